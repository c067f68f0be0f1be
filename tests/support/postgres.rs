//! A PostgreSQL server of the tests' own, and microburst in front of it.
//!
//! Rules of microburst's that were tried here, with `"service": "postgres"`: `"operation"` is the
//! first word of the statement (`select`, `insert`, `begin`, `startup`), `"times": 1` lets later
//! ones through, and what they do is `{"reset": true}`, `{"latency": ms}`, `{"timeout_ms": -1}`
//! (never answers).

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::sync::OnceCell;

use super::process::{Server, ServerCommand, free_port, temporary_folder, testbed_path, wait_for};

/// Of the superuser `postgres`; connections by TCP need it.
pub const PASSWORD: &str = "s3cret of the tests";

const READY_DEADLINE: Duration = Duration::from_mins(1);

/// A server on 127.0.0.1, which is removed with everything in it at its end.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    folder: PathBuf,
    pub port: u16,
}

impl Postgres {
    /// The one of this test process; every test makes databases of its own there.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_init(async || Self::start(&[]).await).await
    }

    /// One of the test's own, with settings (`name=value`). About 2 s.
    pub async fn start(settings: &[&str]) -> Self {
        let folder = temporary_folder("postgres");
        let port = free_port();
        initialise(&folder);
        Self::run(folder, port, settings, &[]).await
    }

    /// One with TLS; `authority.pem` in its folder is the certificate of who signed its own.
    pub async fn start_with_tls() -> Self {
        let folder = temporary_folder("postgres");
        initialise(&folder);
        let (authority, key) = authority();
        let issuer = rcgen::Issuer::new(rcgen::CertificateParams::default(), key);
        let own_key = rcgen::KeyPair::generate().expect("a key can be made");
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let own = rcgen::CertificateParams::new(names)
            .and_then(|own| own.signed_by(&own_key, &issuer))
            .expect("a certificate can be made");
        for (name, text) in [
            ("authority.pem", authority.pem()),
            ("server.pem", own.pem()),
            ("server.key", own_key.serialize_pem()),
        ] {
            let path = folder.join(name);
            fs::write(&path, text).expect("a file can be written");
            give_to_mere_user(&path);
        }
        let (own, key) = (folder.join("server.pem"), folder.join("server.key"));
        let settings = [
            "ssl=on",
            &format!("ssl_cert_file={}", own.display()),
            &format!("ssl_key_file={}", key.display()),
        ];
        Self::run(folder, free_port(), &settings, &[]).await
    }

    /// One with a disk of so many megabytes beside its usual one, in a mount namespace of its own.
    pub async fn start_with_small_disk(megabytes: u32) -> Self {
        let folder = temporary_folder("postgres");
        initialise(&folder);
        let small = folder.join("small");
        fs::create_dir(&small).expect("a folder can be made");
        give_to_mere_user(&small);
        let mount = format!(
            "mount -t tmpfs -o size={megabytes}m,mode=0700 tmpfs {0} && chown --reference={1} {0} \
             && exec \"$@\"",
            small.display(),
            folder.display()
        );
        // Who is not root is it in a namespace of its own, and not again in one within that:
        // PostgreSQL refuses to run as root.
        let user: &[&str] = if is_root() {
            &[]
        } else {
            &["--user", "--map-root-user"]
        };
        let inner: &[&str] = if is_root() {
            &[]
        } else {
            &["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        };
        let within = [
            &["unshare", "--mount"],
            user,
            &["sh", "-c", &mount, "sh"],
            inner,
        ]
        .concat();
        let server = Self::run(folder, free_port(), &[], &within).await;
        let small = small.display();
        server.say(
            "postgres",
            &format!("CREATE TABLESPACE small LOCATION '{small}'"),
        );
        server
    }

    /// A new, empty database on the small disk, of which it takes 8 megabytes.
    pub fn database_on_small_disk(&self) -> String {
        self.say("postgres", "CREATE DATABASE small TABLESPACE small");
        "small".to_owned()
    }

    /// The same cluster once more, after [`Postgres::stop`].
    pub async fn start_again(stopped: Stopped) -> Self {
        Self::run(stopped.folder, stopped.port, &[], &[]).await
    }

    /// `within` is what runs it.
    async fn run(folder: PathBuf, port: u16, settings: &[&str], within: &[&str]) -> Self {
        // What is written need not outlive the machine, only the server.
        let usual = ["fsync=off", "full_page_writes=off", "shared_buffers=32MB"];
        let mut words: Vec<String> = within.iter().map(|word| (*word).to_owned()).collect();
        words.extend(as_a_mere_user(&program("postgres")));
        let mut command = ServerCommand::new("postgres", &words[0])
            .args(&words[1..])
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(&folder)
            .args(["-p", &port.to_string(), "-h", "127.0.0.1"])
            .removes(&folder)
            // Killed, it would leave its shared memory behind.
            .ends_by("QUIT");
        for setting in usual.iter().chain(settings) {
            command = command.args(["-c", setting]);
        }
        let server = command.start(&folder);
        let postgres = Self {
            server,
            folder,
            port,
        };
        postgres
            .server
            .ready(READY_DEADLINE, async || {
                postgres.psql("postgres", "SELECT 1").status.success()
            })
            .await;
        postgres
    }

    /// A new, empty database: its name.
    pub fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("sumsq_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.say("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// `postgres://` of a database on this server.
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// The same by its Unix socket, where nobody is asked for a password: of tests that connect
    /// very often, since without optimisation that takes a tenth of a second each time.
    pub fn socket_url(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/{database}", self.port)
    }

    /// Says SQL as the superuser, which must succeed; what it answers, bare.
    pub fn say(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql);
        assert!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Waits for a query's answer.
    pub async fn wait_until(&self, database: &str, sql: &str, answer: &str) {
        wait_for(
            &format!("{sql} to be {answer}"),
            READY_DEADLINE,
            async || (self.say(database, sql) == answer).then_some(()),
        )
        .await;
    }

    /// Ends the server at once, as a crash would; its data stay.
    pub async fn stop(self) -> Stopped {
        self.server.signal("QUIT");
        self.server.ended(READY_DEADLINE).await;
        let (folder, port) = (self.folder.clone(), self.port);
        // It is for the next one to remove.
        std::mem::forget(self);
        Stopped { folder, port }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn log(&self) -> String {
        self.server.log_tail()
    }

    fn psql(&self, database: &str, sql: &str) -> Output {
        Command::new(program("psql"))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-d", database])
            .args(["-p", &self.port.to_string(), "-XAtq", "-c", sql])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .expect("psql can be run")
    }
}

/// A cluster whose server is gone.
#[derive(Debug)]
pub struct Stopped {
    folder: PathBuf,
    port: u16,
}

impl Stopped {
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// A new one that signs certificates, and its key.
pub fn authority() -> (rcgen::Certificate, rcgen::KeyPair) {
    let key = rcgen::KeyPair::generate().expect("a key can be made");
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let own = parameters.self_signed(&key);
    (own.expect("a certificate can be made"), key)
}

pub fn url(port: u16, database: &str) -> String {
    let password = PASSWORD.replace(' ', "%20");
    format!("postgres://postgres:{password}@127.0.0.1:{port}/{database}")
}

fn initialise(folder: &Path) {
    let words = folder.join("password");
    fs::write(&words, PASSWORD).expect("a file can be written");
    give_to_mere_user(folder);
    give_to_mere_user(&words);
    let command = as_a_mere_user(&program("initdb"));
    let output = Command::new(&command[0])
        .args(&command[1..])
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-U", "postgres", "-E", "UTF8", "--auth-local=trust"])
        .arg("--auth-host=scram-sha-256")
        // Another order than the one of bytes, as most databases have.
        .args(["--locale=C.UTF-8", "--no-sync", "--no-instructions"])
        .arg(format!("--pwfile={}", words.display()))
        .current_dir(folder)
        .output()
        .expect("initdb can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// PostgreSQL refuses to run as root; then it runs as `nobody`.
fn as_a_mere_user(program: &Path) -> Vec<String> {
    let mut command: Vec<String> = Vec::new();
    if is_root() {
        let setpriv = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ];
        command.extend(setpriv.map(str::to_owned));
    }
    command.push(program.display().to_string());
    command
}

pub fn give_to_mere_user(path: &Path) {
    if is_root() {
        chown(path, Some(65_534), Some(65_534)).expect("root may give files away");
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("and set their mode");
    }
}

pub fn is_root() -> bool {
    let own = fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own));
    own.is_ok_and(|uid| uid == 0)
}

fn program(name: &str) -> PathBuf {
    testbed_path("SUMSQ_TEST_POSTGRES_BIN").join(name)
}
