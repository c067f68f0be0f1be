//! The operator as a Pod would run it: the chart's settings, the chart's ServiceAccount, on the
//! host, since a test cluster has no nodes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::kubernetes::{Cluster, Namespace};
use crate::support::process::{Server, ServerCommand, free_port, temporary_folder, wait_for};

pub const PATIENCE: Duration = Duration::from_mins(1);

/// One operator that watches one namespace, with a store of its own.
pub struct Operator {
    cluster: &'static Cluster,
    namespace: String,
    folder: PathBuf,
    kubeconfig: PathBuf,
    server: Option<Server>,
    port: u16,
    flags: Vec<String>,
    watches_all: bool,
    /// A command that starts another: the operator is started through it.
    launcher: Vec<String>,
    /// What it lends to whom, and whatever else its environment says.
    environment: Vec<(String, String)>,
}

/// Its own identity reads for every test's namespace, from servers on this machine.
const LENDS_ALL: &[(&str, &str)] = &[
    ("SUMSQ_AMBIENT_CREDENTIALS_NAMESPACES", "*"),
    ("SUMSQ_ALLOWED_ENDPOINTS", "http://127.0.0.1:*"),
];

impl Operator {
    pub async fn start(cluster: &'static Cluster, namespace: &Namespace) -> Self {
        Self::start_with(cluster, namespace, &[]).await
    }

    pub async fn start_with(
        cluster: &'static Cluster,
        namespace: &Namespace,
        flags: &[&str],
    ) -> Self {
        let operator = Self::new(cluster, namespace, flags).await;
        operator.launched().await
    }

    /// Started, and not waited for.
    pub async fn begin(cluster: &'static Cluster, namespace: &Namespace, flags: &[&str]) -> Self {
        let mut operator = Self::new(cluster, namespace, flags).await;
        operator.launch();
        operator
    }

    /// One whose environment says this, and nothing of what it lends.
    pub async fn start_in(
        cluster: &'static Cluster,
        namespace: &Namespace,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut operator = Self::new(cluster, namespace, &[]).await;
        operator.environment = owned(environment);
        operator.launched().await
    }

    /// One that is launched later, with more in its environment.
    pub async fn prepared(
        cluster: &'static Cluster,
        namespace: &Namespace,
        flags: &[&str],
        more: &[(&str, &str)],
    ) -> Self {
        let mut operator = Self::new(cluster, namespace, flags).await;
        operator.environment.extend(owned(more));
        operator
    }

    /// From the next launch on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.extend(owned(&[(name, value)]));
    }

    /// Starts it again in another environment, on the same store.
    pub async fn restart_in(&mut self, environment: &[(&str, &str)]) {
        self.kill();
        self.environment = owned(environment);
        self.launch();
        self.is_ready().await;
    }

    /// One of several, with a kubeconfig of its own. It is not waited for.
    pub fn replica(
        cluster: &'static Cluster,
        namespace: &Namespace,
        kubeconfig: &Path,
        watches_all: bool,
        flags: &[&str],
    ) -> Self {
        let mut operator = Self::with(cluster, namespace, kubeconfig.to_owned(), flags);
        operator.watches_all = watches_all;
        operator.launch();
        operator
    }

    /// Through a command that is told the store's folder and then what to start.
    pub async fn start_through(
        cluster: &'static Cluster,
        namespace: &Namespace,
        launcher: &[&str],
    ) -> Self {
        let mut operator = Self::new(cluster, namespace, &[]).await;
        let folder = operator.store_folder();
        operator.launcher = launcher.iter().map(|&word| word.to_owned()).collect();
        operator.launcher.push(folder.display().to_string());
        operator.launched().await
    }

    /// One that watches every namespace of a cluster of its own; `namespace` is what the methods
    /// below are about.
    pub async fn start_for_all(
        cluster: &'static Cluster,
        namespace: &Namespace,
        flags: &[&str],
    ) -> Self {
        let mut operator = Self::new(cluster, namespace, flags).await;
        operator.watches_all = true;
        operator.launched().await
    }

    async fn launched(mut self) -> Self {
        self.launch();
        self.is_ready().await;
        self
    }

    async fn new(cluster: &'static Cluster, namespace: &Namespace, flags: &[&str]) -> Self {
        let account = cluster.service_account_kubeconfig("sumsq-system", "sumsq");
        Self::with(cluster, namespace, account.await, flags)
    }

    fn with(
        cluster: &'static Cluster,
        namespace: &Namespace,
        kubeconfig: PathBuf,
        flags: &[&str],
    ) -> Self {
        let operator = Self {
            cluster,
            namespace: namespace.name().to_owned(),
            folder: temporary_folder("operator"),
            kubeconfig,
            server: None,
            port: 0,
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            watches_all: false,
            launcher: Vec::new(),
            environment: owned(LENDS_ALL),
        };
        std::fs::create_dir(operator.store_folder()).unwrap();
        operator
    }

    /// Starts the process; on the same store where it has run before.
    pub fn launch(&mut self) {
        self.port = free_port();
        let binary = std::env::var("SUMSQ_TEST_BINARY");
        let binary = binary.unwrap_or_else(|_| env!("CARGO_BIN_EXE_sumsq").to_owned());
        let mut command = self.launcher.iter().chain([&binary]);
        let program = command.next().expect("the operator at least");
        let server = ServerCommand::new("sumsq", program)
            .args(command)
            .args(["controller", "--schedule-jitter", "0s"])
            .args(&self.flags)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("SUMSQ_STORE", format!("sqlite:{}", self.store().display()))
            .env("SUMSQ_LISTEN", format!("127.0.0.1:{}", self.port))
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("RUST_LOG", "info");
        let server = self
            .environment
            .iter()
            .fold(server, |server, (name, value)| server.env(name, value));
        let server = if self.watches_all {
            server
        } else {
            server.env("SUMSQ_NAMESPACE", &self.namespace)
        };
        self.server = Some(server.start(&self.folder));
    }

    pub async fn is_ready(&self) {
        let server = self.server.as_ref().expect("it runs");
        server
            .ready(PATIENCE, async || self.get("readyz").await.is_some())
            .await;
    }

    /// Kills it, as a node that dies would.
    pub fn kill(&mut self) {
        self.server = None;
    }

    pub fn signal(&self, signal: &str) {
        self.server.as_ref().expect("it runs").signal(signal);
    }

    pub async fn ended(&mut self, deadline: Duration) -> i32 {
        let status = self.server.as_ref().expect("it ran").ended(deadline).await;
        self.server = None;
        status.code().unwrap_or(-1)
    }

    /// The process, by its number.
    pub fn process(&self) -> String {
        self.server.as_ref().expect("it runs").process()
    }

    /// The most memory that the process has had resident.
    pub fn peak_resident_kib(&self) -> u64 {
        let process = self.process();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn store(&self) -> PathBuf {
        self.store_folder().join("sumsq.db")
    }

    pub fn store_folder(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("sumsq.log")).unwrap_or_default()
    }

    /// The body of a 200 answer.
    pub async fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}/{path}", self.port);
        tokio::task::spawn_blocking(move || {
            ureq::get(&url)
                .call()
                .ok()?
                .body_mut()
                .read_to_string()
                .ok()
        })
        .await
        .unwrap()
    }

    /// The sum of all series whose line begins with `prefix`.
    pub async fn metric(&self, prefix: &str) -> u64 {
        let metrics = self.get("metrics").await.unwrap_or_default();
        metrics
            .lines()
            .filter(|line| line.starts_with(prefix))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum()
    }

    pub async fn apply(&self, resource: &Value) {
        self.cluster
            .apply(&self.namespace, &resource.to_string())
            .await
            .expect_success();
    }

    pub async fn kubectl(&self, args: &[&str]) -> String {
        let args = [&["-n", &self.namespace], args].concat();
        self.cluster.kubectl(&args).await.expect_success()
    }

    pub async fn annotate(&self, name: &str, annotation: &str) {
        self.kubectl(&["annotate", "--overwrite", "datasource", name, annotation])
            .await;
    }

    pub async fn patch(&self, name: &str, patch: &Value) {
        let patch = patch.to_string();
        self.kubectl(&["patch", "datasource", name, "--type=merge", "-p", &patch])
            .await;
    }

    pub async fn object(&self, name: &str) -> Option<Value> {
        let args = [
            "-n",
            &self.namespace,
            "get",
            "datasource",
            name,
            "-o",
            "json",
        ];
        let output = self.cluster.kubectl(&args).await;
        output
            .status
            .success()
            .then(|| serde_json::from_str(&output.stdout).unwrap())
    }

    pub async fn status(&self, name: &str) -> Value {
        self.object(name)
            .await
            .map(|object| object["status"].clone())
            .unwrap_or_default()
    }

    /// Waits until the status is as wanted, and returns it.
    pub async fn status_when(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let found = tokio::time::timeout(
            PATIENCE,
            wait_for(what, PATIENCE * 2, async || {
                last = self.status(name).await;
                wanted(&last).then(|| last.clone())
            }),
        )
        .await;
        if let Ok(status) = found {
            return status;
        }
        panic!("{name}: no {what}; its status is {last:#}\n{}", self.log());
    }

    /// Waits for the Ready condition to have this status and reason.
    pub async fn ready_when(&self, name: &str, status: &str, reason: &str) -> Value {
        self.status_when(name, &format!("Ready={status} {reason}"), |seen| {
            condition(seen, "Ready").is_some_and(|ready| {
                ready["status"] == status && (reason.is_empty() || ready["reason"] == reason)
            })
        })
        .await
    }

    /// Events of an object: type, reason and note, oldest first.
    pub async fn events(&self, name: &str) -> Vec<(String, String, String)> {
        let args = ["get", "events.events.k8s.io", "-o", "json"];
        let list: Value = serde_json::from_str(&self.kubectl(&args).await).unwrap();
        let mut events: Vec<_> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|event| event["regarding"]["name"] == name)
            .map(|event| {
                let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
                (
                    text("eventTime"),
                    (text("type"), text("reason"), text("note")),
                )
            })
            .collect();
        events.sort();
        events.into_iter().map(|(_, event)| event).collect()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the operator's log:\n{}", self.log());
        }
        self.server = None;
        remove(&self.folder);
    }
}

fn owned(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = environment.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn remove(folder: &Path) {
    std::fs::remove_dir_all(folder).ok();
}

pub fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}
