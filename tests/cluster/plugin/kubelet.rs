//! What a node does of a port-forward, in the place of a kubelet, which a test cluster has not: the
//! API server finds it by its Node, speaks TLS to it, and hands it the connection.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use crate::support::kubernetes::{Cluster, Namespace};

const PROTOCOL: &str = "v4.channel.k8s.io";
/// Channels of the first port.
const DATA: u8 = 0;
const ERROR: u8 = 1;

/// A node that can do nothing but forward ports, to this machine's own.
pub struct Kubelet {
    name: String,
    serving: JoinHandle<()>,
}

impl Kubelet {
    pub async fn start(cluster: &Cluster, name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        });
        cluster
            .apply("default", &node.to_string())
            .await
            .expect_success();
        let status = json!({"status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }});
        patch_status(cluster, "default", &format!("node/{name}"), &status).await;
        Self {
            name: name.to_owned(),
            serving: tokio::spawn(serve(listener)),
        }
    }

    /// A Pod on this node that is ready, and that serves reports as the chart has it, on a port of
    /// this machine; it says that it shows the namespace `shown`.
    pub async fn run_report(
        &self,
        cluster: &Cluster,
        namespace: &Namespace,
        shown: &str,
        port: u16,
    ) {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "sumsq", "labels": {"app.kubernetes.io/part-of": "sumsq"}},
            "spec": {
                "nodeName": self.name,
                "containers": [
                    {"name": "controller", "image": "sumsq", "env": [
                        {"name": "SUMSQ_NAMESPACE", "value": shown},
                    ]},
                    {"name": "report", "image": "sumsq", "env": [
                        {"name": "SUMSQ_LISTEN", "value": format!("127.0.0.1:{port}")},
                    ]},
                ],
            },
        });
        cluster
            .apply(namespace.name(), &pod.to_string())
            .await
            .expect_success();
        let status = json!({"status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
        }});
        patch_status(cluster, namespace.name(), "pod/sumsq", &status).await;
    }

    /// There is no kubelet to let the Pod go by itself.
    pub async fn remove(&self, cluster: &Cluster, namespace: &Namespace) {
        let pod = [
            "-n",
            namespace.name(),
            "delete",
            "pod",
            "sumsq",
            "--force",
            "--grace-period=0",
        ];
        cluster.kubectl(&pod).await.expect_success();
    }

    /// The node and its Pod go.
    pub async fn stop(self, cluster: &Cluster, namespace: &Namespace) {
        self.remove(cluster, namespace).await;
        cluster
            .kubectl(&["delete", "node", &self.name])
            .await
            .expect_success();
        self.serving.abort();
    }
}

async fn patch_status(
    cluster: &Cluster,
    namespace: &str,
    object: &str,
    status: &serde_json::Value,
) {
    let status = status.to_string();
    let args = [
        "-n",
        namespace,
        "patch",
        object,
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ];
    cluster.kubectl(&args).await.expect_success();
}

async fn serve(listener: TcpListener) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((connection, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let stream = acceptor.accept(connection).await.ok()?;
            forward(stream).await
        });
    }
}

/// As the kubelet does it: `/portForward/NAMESPACE/POD?port=8080`, a channel for the bytes and one
/// for what went wrong, each begun by the port's number.
async fn forward(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> Option<()> {
    let mut port = None;
    #[allow(
        clippy::result_large_err,
        reason = "the signature that the crate calls"
    )]
    let accept = |request: &Request, mut response: Response| {
        let query = request.uri().query().unwrap_or_default();
        port = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("port=")?.parse::<u16>().ok());
        let headers = response.headers_mut();
        headers.insert("sec-websocket-protocol", PROTOCOL.parse().unwrap());
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, accept)
        .await
        .ok()?;
    let port = port?;
    let (mut to_caller, mut from_caller) = socket.split();
    let frame = |channel: u8, bytes: &[u8]| Message::binary([&[channel], bytes].concat());
    for channel in [DATA, ERROR] {
        to_caller
            .send(frame(channel, &port.to_le_bytes()))
            .await
            .ok()?;
    }
    let connected = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await;
    let mut connection = match connected {
        Ok(connection) => connection,
        Err(error) => {
            let said = format!("failed to connect to localhost:{port} inside namespace: {error}");
            to_caller.send(frame(ERROR, said.as_bytes())).await.ok()?;
            to_caller.close().await.ok()?;
            // The message arrives before the connection ends.
            while let Some(Ok(_)) = from_caller.next().await {}
            return None;
        }
    };
    let (mut from_server, mut to_server) = connection.split();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            message = from_caller.next() => match message? {
                Ok(Message::Binary(bytes)) if bytes.first() == Some(&DATA) => {
                    to_server.write_all(&bytes[1..]).await.ok()?;
                }
                Ok(Message::Close(_)) | Err(_) => return Some(()),
                Ok(_) => {}
            },
            length = from_server.read(&mut chunk) => match length.ok()? {
                0 => {
                    to_caller.close().await.ok();
                    return Some(());
                }
                length => to_caller.send(frame(DATA, &chunk[..length])).await.ok()?,
            },
        }
    }
}
