//! Servers that die with the test process, free ports, and waiting with a deadline.

use std::{
    collections::hash_map::RandomState,
    env,
    ffi::{OsStr, OsString},
    fs::{self, OpenOptions},
    hash::BuildHasher,
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

/// How much of a log a panic shows.
const LOG_TAIL_LINES: usize = 40;

/// Runs `$@` until it ends or the standard input does, which is a pipe that the test process holds.
/// The pipe closes however that process ends, by SIGKILL too. Then the server gets the signal in
/// `$2`, KILL for most, since all it has is temporary, and the folder in `$1` is removed where there
/// is one.
const SUPERVISOR: &str = r#"
folder=$1; signal=$2; shift 2
exec 3<&0
told=
trap 'told=yes' USR1
"$@" 3<&- </dev/null &
server=$!
{
    read -r _ <&3
    kill -USR1 $$
    kill -"$signal" "$server" 2>/dev/null
    while kill -0 "$server" 2>/dev/null; do sleep 0.02; done
    [ -z "$folder" ] || rm -rf "$folder" 2>/dev/null || { sleep 1; rm -rf "$folder"; }
} &
watcher=$!
wait "$server"
code=$?
# Told to end: its signal has ended the first wait.
[ -z "$told" ] || { wait "$server"; code=137; }
# Ended by itself: leave the log to be read, and say how it ended.
[ "$code" = 137 ] || kill "$watcher" 2>/dev/null
wait "$watcher"
exit "$code"
"#;

/// A server that is to be started.
#[derive(Debug)]
pub struct ServerCommand {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    removes: Option<PathBuf>,
    farewell: &'static str,
}

impl ServerCommand {
    pub fn new(name: &'static str, program: impl Into<PathBuf>) -> Self {
        Self {
            name,
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            removes: None,
            farewell: "KILL",
        }
    }

    /// The signal that ends it, for a server that has to clean up what outlives it.
    pub fn ends_by(mut self, signal: &'static str) -> Self {
        self.farewell = signal;
        self
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        for argument in arguments {
            self = self.arg(argument);
        }
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let pair = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.environment.push(pair);
        self
    }

    /// The folder goes when the server does, even where the test process was killed.
    pub fn removes(mut self, folder: &Path) -> Self {
        self.removes = Some(folder.to_owned());
        self
    }

    /// Starts it in `folder`, where its output is appended to `<name>.log`.
    pub fn start(self, folder: &Path) -> Server {
        let log = folder.join(format!("{}.log", self.name));
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap_or_else(|error| panic!("{} cannot be opened: {error}", log.display()));
        let errors = output.try_clone().expect("a file can be opened twice");
        let child = Command::new("sh")
            .args(["-c", SUPERVISOR, self.name])
            .arg(self.removes.as_deref().unwrap_or(Path::new("")))
            .arg(self.farewell)
            .arg(&self.program)
            .args(&self.arguments)
            .envs(self.environment)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C in a terminal ends the test process; the pipe then ends the server.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.name));
        Server {
            name: self.name,
            child: Mutex::new(child),
            log,
            removes: self.removes,
        }
    }
}

/// A server that runs until this is dropped or the test process ends, however that happens.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    child: Mutex<Child>,
    log: PathBuf,
    removes: Option<PathBuf>,
}

impl Server {
    pub fn log_tail(&self) -> String {
        log_tail(&self.log)
    }

    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Polls until the server is ready; panics with the log's tail where it ends first or is late.
    pub async fn ready(&self, deadline: Duration, mut poll: impl AsyncFnMut() -> bool) {
        let ready = poll_until(deadline, async || {
            if let Some(status) = self.exited() {
                panic!(
                    "{} ended with {status} before it was ready:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            poll().await.then_some(())
        })
        .await;
        assert!(
            ready.is_some(),
            "{} is not ready after {deadline:?}:\n{}",
            self.name,
            self.log_tail()
        );
    }

    /// Sends a signal, such as `TERM`, to the server itself rather than to what watches over it.
    pub fn signal(&self, signal: &str) {
        let server = self.process();
        let status = Command::new("kill")
            .args([&format!("-{signal}"), &server])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "no signal {signal} to {server}"
        );
    }

    /// The process of the server itself.
    pub fn process(&self) -> String {
        let watcher = self.child.lock().expect("no panic while locked").id();
        let children = fs::read_to_string(format!("/proc/{watcher}/task/{watcher}/children"))
            .expect("the processes of Linux can be read");
        // The server is the first that the supervisor starts.
        let server = children.split_whitespace().next();
        server.expect("the server runs").to_owned()
    }

    /// Waits until the server has ended by itself.
    pub async fn ended(&self, deadline: Duration) -> std::process::ExitStatus {
        wait_for(&format!("the end of {}", self.name), deadline, async || {
            self.exited()
        })
        .await
    }

    fn exited(&self) -> Option<std::process::ExitStatus> {
        let mut child = self.child.lock().expect("no panic while locked");
        child.try_wait().expect("a child can be waited for")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(mut child) = self.child.lock() {
            drop(child.stdin.take());
            child.wait().ok();
        }
        // Where the server ended by itself, nobody else has removed it.
        if let Some(folder) = &self.removes {
            fs::remove_dir_all(folder).ok();
        }
    }
}

/// Polls until there is a value; panics with `what` at the deadline. Tests wait by nothing else.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    poll: impl AsyncFnMut() -> Option<T>,
) -> T {
    match poll_until(deadline, poll).await {
        Some(value) => value,
        None => panic!("waited {deadline:?} in vain for {what}"),
    }
}

/// Every 25 ms at first and every 250 ms later, at least once, and once more at the deadline.
async fn poll_until<T>(deadline: Duration, mut poll: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(25);
    loop {
        let remaining = deadline.saturating_sub(begun.elapsed());
        if let Some(value) = poll().await {
            return Some(value);
        }
        if remaining.is_zero() {
            return None;
        }
        tokio::time::sleep(pause.min(remaining)).await;
        pause = (pause * 5 / 4).min(Duration::from_millis(250));
    }
}

/// A port of 127.0.0.1 that nothing listens on.
///
/// It lies below the range that the kernel gives to outgoing connections, so that none of those
/// takes it between here and the server's start; and this process never gets it twice.
pub fn free_port() -> u16 {
    const FIRST: u16 = 16_384;
    const COUNT: u16 = 16_000;
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let random = RandomState::new().hash_one(std::process::id());
        AtomicU16::new(u16::try_from(random % u64::from(COUNT)).expect("less than COUNT"))
    });
    (0..COUNT)
        .map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one port of 16,000 is free")
}

/// What `tests/testbed/install` wrote into its `env` file.
pub fn testbed_path(variable: &str) -> PathBuf {
    env::var_os(variable).map_or_else(
        || {
            panic!(
                "{variable} is not set: use tests/run, or first run tests/testbed/install \
                 and source the env file that it names"
            )
        },
        PathBuf::from,
    )
}

/// A new temporary folder, which a server removes at its end (see [`ServerCommand::removes`]).
pub fn temporary_folder(name: &str) -> PathBuf {
    tempfile::Builder::new()
        .prefix(&format!("sumsq-{name}-"))
        .tempdir()
        .expect("a temporary folder can be made")
        .keep()
}

fn log_tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
    format!("--- {} ---\n{}", log.display(), tail.join("\n"))
}
