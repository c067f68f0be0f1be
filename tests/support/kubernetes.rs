//! A real Kubernetes API server with its etcd and controller manager, kubectl and helm.
//!
//! There are no nodes: Deployments become Pods that are never scheduled, so a test runs on the host
//! what a Pod would run. All controllers are off but those that namespaces, garbage collection,
//! ServiceAccounts and Deployments need.

use std::{
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;
use tokio::{io::AsyncWriteExt, process::Command, sync::OnceCell};

use super::process::{Server, ServerCommand, free_port, temporary_folder, testbed_path};

const READY_DEADLINE: Duration = Duration::from_mins(1);
/// A bearer token of every cluster's administrator.
pub const ADMIN_TOKEN: &str = "admin-token-of-a-test-cluster";
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,\
    serviceaccount-controller,serviceaccount-token-controller,\
    root-ca-certificate-publisher-controller,deployment-controller,replicaset-controller";

const AUDIT_POLICY: &str = "audit-policy.yaml";
const AUDIT_LOG: &str = "audit.log";
/// Requests of ServiceAccounts and what came of them; of the API server's own and of Kubernetes'
/// controllers nothing. In JSON, which is YAML.
const AUDITED: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"], "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"}]}"#;

/// What a command said and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The standard output; panics with the standard error where the command failed.
    #[track_caller]
    pub fn expect_success(self) -> String {
        assert!(
            self.status.success(),
            "{}\nstdout: {}\nstderr: {}",
            self.status,
            self.stdout,
            self.stderr
        );
        self.stdout
    }

    /// The standard error; panics with the standard output where the command succeeded.
    #[track_caller]
    pub fn expect_failure(self) -> String {
        assert!(!self.status.success(), "it succeeded: {}", self.stdout);
        self.stderr
    }
}

/// etcd, kube-apiserver and kube-controller-manager, which end with this or the test process.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    binaries: PathBuf,
    api_port: u16,
    etcd_port: u16,
    kubeconfig: PathBuf,
    // Dropped in this order: etcd last, as it removes the folder.
    controller_manager: Server,
    api_server: Mutex<Option<Server>>,
    etcd: Server,
}

impl Cluster {
    /// The one of this test process; the first test that asks starts it. About 3 s.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// One of the test's own, for tests in which the API server goes away.
    pub async fn start() -> Self {
        Self::start_in(temporary_folder("cluster")).await
    }

    /// One whose API server writes down what ServiceAccounts ask of it: see [`Cluster::audit_log`].
    pub async fn start_audited() -> Self {
        let folder = temporary_folder("cluster");
        fs::write(folder.join(AUDIT_POLICY), AUDITED).expect("a file can be written");
        Self::start_in(folder).await
    }

    async fn start_in(folder: PathBuf) -> Self {
        let binaries = testbed_path("SUMSQ_TEST_KUBE_BIN");
        write_certificates(&folder);
        let (etcd_port, api_port) = (free_port(), free_port());
        let kubeconfig = folder.join("admin.kubeconfig");
        write_kubeconfig(&kubeconfig, &folder, api_port, ADMIN_TOKEN, "default");

        let etcd = start_etcd(&binaries, &folder, etcd_port);
        let health = format!("http://127.0.0.1:{etcd_port}/health");
        etcd.ready(READY_DEADLINE, async || super::s3::answers(&health))
            .await;
        let api_server = start_api_server(&binaries, &folder, etcd_port, api_port);
        let controller_manager = controller_manager(
            "kube-controller-manager",
            &binaries,
            &kubeconfig,
            CONTROLLERS,
        )
        .start(&folder);
        let cluster = Self {
            folder,
            binaries,
            api_port,
            etcd_port,
            kubeconfig,
            controller_manager,
            api_server: Mutex::new(None),
            etcd,
        };
        cluster.until_ready(api_server).await;
        cluster
    }

    /// The kubeconfig of the cluster's administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `https://127.0.0.1:PORT`
    pub fn server_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    /// Where tests may keep files; it goes with the cluster.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs the real kubectl as the administrator.
    pub async fn kubectl(&self, arguments: &[&str]) -> Output {
        self.run("kubectl", arguments, "").await
    }

    /// The same, with `input` on its standard input: `kubectl_stdin(&["apply", "-f", "-"], yaml)`.
    pub async fn kubectl_stdin(&self, arguments: &[&str], input: &str) -> Output {
        self.run("kubectl", arguments, input).await
    }

    /// `kubectl apply` of the YAML in the namespace.
    pub async fn apply(&self, namespace: &str, yaml: &str) -> Output {
        self.kubectl_stdin(&["-n", namespace, "apply", "-f", "-"], yaml)
            .await
    }

    /// Runs the real helm as the administrator; its caches are in the cluster's folder.
    pub async fn helm(&self, arguments: &[&str]) -> Output {
        self.run("helm", arguments, "").await
    }

    /// A new namespace, named after `prefix`, that is deleted when this is dropped.
    pub async fn namespace(&self, prefix: &str) -> Namespace {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}-{number}");
        self.kubectl(&["create", "namespace", &name])
            .await
            .expect_success();
        Namespace {
            name,
            kubectl: self.binaries.join("kubectl"),
            kubeconfig: self.kubeconfig.clone(),
        }
    }

    /// A kubeconfig with a token of the ServiceAccount, good for an hour: what it may do is what its
    /// Roles say. The ServiceAccount must be there.
    pub async fn service_account_kubeconfig(
        &self,
        namespace: &str,
        service_account: &str,
    ) -> PathBuf {
        let token = self
            .kubectl(&["-n", namespace, "create", "token", service_account])
            .await
            .expect_success();
        let path = self
            .folder
            .join(format!("{namespace}.{service_account}.kubeconfig"));
        write_kubeconfig(&path, &self.folder, self.api_port, token.trim(), namespace);
        path
    }

    /// Starts others of Kubernetes' own controllers, in a process beside it, with further arguments.
    pub fn start_controllers(&self, controllers: &str, arguments: &[&str]) -> Server {
        controller_manager(
            "more-controllers",
            &self.binaries,
            &self.kubeconfig,
            controllers,
        )
        .args(arguments)
        .start(&self.folder)
    }

    /// Kills the API server as a crash would. Only for a cluster of the test's own.
    pub fn stop_api_server(&self) {
        self.api_server
            .lock()
            .expect("no panic while locked")
            .take();
    }

    /// Starts it again on the same port, and waits until it is ready.
    pub async fn start_api_server(&self) {
        let server = start_api_server(&self.binaries, &self.folder, self.etcd_port, self.api_port);
        self.until_ready(server).await;
    }

    /// Events of the API server's audit log, as JSON a line, so far.
    pub fn audit_log(&self) -> String {
        fs::read_to_string(self.folder.join(AUDIT_LOG)).unwrap_or_default()
    }

    /// The last lines that each server wrote, for a test's failure.
    pub fn logs(&self) -> String {
        let api_server = self.api_server.lock().expect("no panic while locked");
        [
            Some(&self.etcd),
            api_server.as_ref(),
            Some(&self.controller_manager),
        ]
        .into_iter()
        .flatten()
        .map(Server::log_tail)
        .collect::<Vec<_>>()
        .join("\n")
    }

    async fn until_ready(&self, api_server: Server) {
        api_server
            .ready(READY_DEADLINE, async || {
                self.kubectl(&["get", "--raw", "/readyz"])
                    .await
                    .status
                    .success()
            })
            .await;
        *self.api_server.lock().expect("no panic while locked") = Some(api_server);
    }

    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(self.binaries.join(program))
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", self.folder.join("kubectl"))
            .env("HELM_CACHE_HOME", self.folder.join("helm"))
            .env("HELM_CONFIG_HOME", self.folder.join("helm"))
            .env("HELM_DATA_HOME", self.folder.join("helm"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        let mut stdin = child.stdin.take().expect("it is piped");
        let write = async move {
            // A command that does not read its input may be gone already.
            stdin.write_all(input.as_bytes()).await.ok();
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), write);
        let output = output.expect("a child can be waited for");
        Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A namespace of one test's own; dropping it asks for its deletion and does not wait.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
}

impl Namespace {
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        std::process::Command::new(&self.kubectl)
            .args(["delete", "namespace", "--wait=false", &self.name])
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok();
    }
}

fn start_etcd(binaries: &Path, folder: &Path, port: u16) -> Server {
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{}", free_port());
    ServerCommand::new("etcd", binaries.join("etcd"))
        .args(["--data-dir", "etcd", "--unsafe-no-fsync"])
        .args([
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
        ])
        .args([
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
        ])
        .args(["--initial-cluster", &format!("default={peer}")])
        .removes(folder)
        .start(folder)
}

fn start_api_server(binaries: &Path, folder: &Path, etcd_port: u16, port: u16) -> Server {
    let audited = folder.join(AUDIT_POLICY).exists();
    let audit = [
        format!("--audit-policy-file={AUDIT_POLICY}"),
        format!("--audit-log-path={AUDIT_LOG}"),
        "--audit-log-mode=blocking".to_owned(),
    ];
    ServerCommand::new("kube-apiserver", binaries.join("kube-apiserver"))
        .args(audit.iter().filter(|_| audited))
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"))
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        .arg(format!("--secure-port={port}"))
        .args(["--cert-dir=.", "--client-ca-file=ca.crt"])
        .args([
            "--tls-cert-file=server.crt",
            "--tls-private-key-file=server.key",
        ])
        .args(["--token-auth-file=tokens.csv", "--authorization-mode=RBAC"])
        .args([
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",
        ])
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg("--service-account-key-file=service-account.pub")
        .arg("--service-account-signing-key-file=service-account.key")
        .start(folder)
}

/// `name` is that of its log.
fn controller_manager(
    name: &'static str,
    binaries: &Path,
    kubeconfig: &Path,
    controllers: &str,
) -> ServerCommand {
    ServerCommand::new(name, binaries.join("kube-controller-manager"))
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args([
            "--bind-address=127.0.0.1",
            "--cert-dir=.",
            "--leader-elect=false",
        ])
        .arg(format!("--secure-port={}", free_port()))
        .args([
            "--root-ca-file=ca.crt",
            "--service-account-private-key-file=service-account.key",
        ])
        .arg(format!("--controllers={controllers}"))
}

/// A certificate authority, the API server's certificate, the key that signs ServiceAccount tokens,
/// and the administrator's token.
fn write_certificates(folder: &Path) {
    let write = |name: &str, text: &dyn AsRef<OsStr>| {
        fs::write(folder.join(name), text.as_ref().as_encoded_bytes())
            .unwrap_or_else(|error| panic!("{name} cannot be written: {error}"));
    };
    let key = || KeyPair::generate().expect("a key can be made");

    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "test cluster");
    let authority = CertifiedIssuer::self_signed(authority, key()).expect("a CA can be made");
    let server_key = key();
    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"];
    let server = CertificateParams::new(names.map(String::from))
        .and_then(|params| params.signed_by(&server_key, &authority))
        .expect("a certificate can be made");
    let service_account = key();

    write("ca.crt", &authority.pem());
    write("server.crt", &server.pem());
    write("server.key", &server_key.serialize_pem());
    write("service-account.key", &service_account.serialize_pem());
    write("service-account.pub", &service_account.public_key_pem());
    write(
        "tokens.csv",
        &format!("{ADMIN_TOKEN},admin,admin-uid,\"system:masters\"\n"),
    );
}

/// In JSON, which is YAML.
fn write_kubeconfig(path: &Path, folder: &Path, port: u16, token: &str, namespace: &str) {
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": folder.join("ca.crt"),
        }}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {
            "cluster": "test", "user": "test", "namespace": namespace,
        }}],
        "current-context": "test",
    });
    fs::write(path, kubeconfig.to_string())
        .unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
}
