//! The way to the report server of the cluster: a port-forward that the API server carries.
//!
//! The service proxy of the API server would do with one request, but it takes the Authorization
//! header away, by which a report server knows who reads; and it can't reach a server that listens
//! within its Pod alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::Api;
use kube::{Client, ResourceExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::cluster::{Cluster, Scope};
use super::failure::{Failure, Result};

/// All Pods of the chart: its own, or the operator's, beside whom it is. Another label than the
/// selectors', so that it is the same under every `nameOverride`.
const SELECTOR: &str = "app.kubernetes.io/part-of=sumsq";
/// The container that serves reports.
const CONTAINER: &str = "report";
/// Names of its port, where the Pod tells it.
const PORT_NAMES: [&str; 3] = ["http", "https", "report"];
const PORT: u16 = 8080;
/// From a connection's end until it is known why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A port of this machine that leads to the report server, until this is dropped.
pub(super) struct Forward {
    address: SocketAddr,
    is_tls: bool,
    accepting: JoinHandle<()>,
    connections: TaskTracker,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Forward {
    /// `http://127.0.0.1:40123`
    pub(super) fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// What has kept a connection from the server. Its caller may see the end before the node has
    /// said why, so the connections are waited for.
    pub(super) async fn trouble(&self) -> Option<String> {
        self.connections.close();
        let ended = self.connections.wait();
        tokio::time::timeout(LAST_WORDS, ended).await.ok();
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// To a report server that shows `namespace`.
    pub(super) async fn open(
        cluster: &Cluster,
        operator_namespace: &str,
        namespace: &str,
    ) -> Result<Self> {
        let server = ReportPod::find(cluster, operator_namespace, namespace).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listening = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listening
            .map_err(|error| Failure::new(format!("error: cannot listen on 127.0.0.1: {error}")))?;
        let trouble = Arc::new(Mutex::new(None));
        let connections = TaskTracker::new();
        let accepting = tokio::spawn(accept(
            listener,
            cluster.client(),
            server.clone(),
            connections.clone(),
            Arc::clone(&trouble),
        ));
        Ok(Self {
            address,
            is_tls: server.is_tls,
            accepting,
            connections,
            trouble,
        })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    client: Client,
    server: ReportPod,
    connections: TaskTracker,
    trouble: Arc<Mutex<Option<String>>>,
) {
    while let Ok((connection, _)) = listener.accept().await {
        let (client, server) = (client.clone(), server.clone());
        let trouble = Arc::clone(&trouble);
        connections.spawn(async move {
            if let Err(message) = carry(connection, client, &server).await {
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
            }
        });
    }
}

/// Carries one connection's bytes both ways.
async fn carry(
    mut connection: TcpStream,
    client: Client,
    server: &ReportPod,
) -> Result<(), String> {
    let pods: Api<Pod> = Api::namespaced(client, &server.namespace);
    let mut forwarder = pods
        .portforward(&server.name, &[server.port])
        .await
        .map_err(|error| server.unreachable(&error))?;
    let (stream, told) = (
        forwarder.take_stream(server.port),
        forwarder.take_error(server.port),
    );
    let (Some(mut stream), Some(told)) = (stream, told) else {
        return Err(format!("{server} gives no stream"));
    };
    let copied = tokio::io::copy_bidirectional(&mut connection, &mut stream).await;
    drop(stream);
    // The node says here what it could not do, such as reach the port.
    if let Some(message) = told.await {
        return Err(format!("{server}: {}", message.trim()));
    }
    match copied {
        Ok((_, 0)) => Err(format!(
            "{server}: the node has ended the connection without an answer"
        )),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{server}: {error}")),
    }
}

/// The Pod that serves reports.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ReportPod {
    namespace: String,
    name: String,
    port: u16,
    is_tls: bool,
}

impl std::fmt::Display for ReportPod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pod {}/{} port {}", self.namespace, self.name, self.port)
    }
}

impl ReportPod {
    async fn find(cluster: &Cluster, operator_namespace: &str, namespace: &str) -> Result<Self> {
        // The caller's token goes to what is found, so that others' Pods are not looked at.
        let scope = Scope::Namespace(operator_namespace);
        let listed = cluster.list::<Pod>(scope, Some(SELECTOR)).await;
        let elsewhere = "--operator-namespace says where the operator is, and --server names a report \
                         server by its address";
        let pods = listed.map_err(|failure| match failure.hint {
            Some(_) => failure,
            None => failure.with_hint(elsewhere),
        })?;
        if let Some(found) = Self::best(&pods, namespace) {
            return Ok(found);
        }
        if pods.is_empty() {
            let said = format!("error: there is no Pod of sumsq in namespace {operator_namespace}");
            return Err(Failure::new(format!("{said} ({SELECTOR})")).with_hint(elsewhere));
        }
        let said = format!(
            "error: no Pod in namespace {operator_namespace} that serves reports of namespace \
             {namespace} is ready"
        );
        Err(Failure::new(said).with_hint(
            "where the report server has an address of its own, name it by --server; the chart \
             serves reports unless report.enabled is false",
        ))
    }

    /// One that is ready, shows the namespace, and rather that one alone.
    fn best(pods: &[Pod], namespace: &str) -> Option<Self> {
        let found = pods.iter().filter(|pod| is_ready(pod)).filter_map(|pod| {
            let container = container(pod)?;
            let rank = serves(container, pod, namespace)?;
            Some((rank, Self::of(pod, container)))
        });
        found
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, server)| server)
    }

    fn of(pod: &Pod, container: &Container) -> Self {
        let named = container.ports.iter().flatten().find(|port| {
            let name = port.name.as_deref().unwrap_or_default();
            PORT_NAMES.contains(&name)
        });
        let port = named
            .and_then(|port| u16::try_from(port.container_port).ok())
            .or_else(|| listen_port(container));
        Self {
            namespace: pod.namespace().unwrap_or_default(),
            name: pod.name_any(),
            port: port.unwrap_or(PORT),
            is_tls: variables(container).contains_key("SUMSQ_TLS_CERT"),
        }
    }

    fn unreachable(&self, error: &kube::Error) -> String {
        let hint = "it needs `create` and `get` on pods/portforward there";
        match error {
            kube::Error::Api(status) if status.code == 403 => {
                format!("{self}: {}; {hint}", status.message)
            }
            kube::Error::UpgradeConnection(_) => {
                format!("{self}: the API server can't forward to it: {error}; {hint}")
            }
            error => format!("{self}: {error}"),
        }
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .filter_map(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions
            .flatten()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn container(pod: &Pod) -> Option<&Container> {
    let containers = &pod.spec.as_ref()?.containers;
    containers
        .iter()
        .find(|container| container.name == CONTAINER)
}

/// Less is better; None: it shows other namespaces.
fn serves(container: &Container, pod: &Pod, namespace: &str) -> Option<u8> {
    // One Pod holds the controller as well, which says what the store can hold.
    let all = pod.spec.iter().flat_map(|spec| &spec.containers);
    let named = all
        .chain([container])
        .find_map(|container| variables(container).remove("SUMSQ_NAMESPACE"));
    match named {
        Some(only) if only == namespace => Some(0),
        None => Some(1),
        Some(_) => None,
    }
}

/// `127.0.0.1:8080`
fn listen_port(container: &Container) -> Option<u16> {
    let listen = variables(container).remove("SUMSQ_LISTEN")?;
    listen
        .parse::<SocketAddr>()
        .ok()
        .map(|address| address.port())
}

fn variables(container: &Container) -> BTreeMap<&str, &str> {
    let variables = container.env.iter().flatten();
    variables
        .filter_map(|variable| Some((&*variable.name, variable.value.as_deref()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, ready: &str, only: Option<&str>, report: Value) -> Pod {
        let watched = only.map(|only| json!([{"name": "SUMSQ_NAMESPACE", "value": only}]));
        let mut report = report;
        report["name"] = json!("report");
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "sumsq-system"},
            "spec": {"containers": [
                {"name": "controller", "env": watched.unwrap_or(json!([]))},
                report,
            ]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    #[test]
    fn the_server_that_shows_the_namespace_is_chosen() {
        let pods = [
            pod("other", "True", Some("tills"), json!({})),
            pod("unready", "False", None, json!({})),
            pod("all", "True", None, json!({})),
            pod("own", "True", Some("growth"), json!({})),
        ];
        let chosen = |pods: &[Pod], namespace| Some(ReportPod::best(pods, namespace)?.name);
        assert_eq!(chosen(&pods, "growth").as_deref(), Some("own"));
        assert_eq!(chosen(&pods, "tills").as_deref(), Some("other"));
        assert_eq!(chosen(&pods, "web").as_deref(), Some("all"));
        assert_eq!(chosen(&pods[..2], "growth"), None);
    }

    #[test]
    fn the_port_is_the_one_that_the_pod_tells() {
        for (report, expected) in [
            (json!({}), 8080),
            (
                json!({"env": [{"name": "SUMSQ_LISTEN", "value": "127.0.0.1:9090"}]}),
                9090,
            ),
            (
                json!({"ports": [
                    {"name": "report-probes", "containerPort": 8082},
                    {"name": "http", "containerPort": 8443},
                ]}),
                8443,
            ),
        ] {
            let found = ReportPod::best(&[pod("a", "True", None, report)], "growth").unwrap();
            assert_eq!(found.port, expected);
        }
    }
}
