//! The server on a socket: slow clients, an end that waits for open requests.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use sumsq::http::{Server, ServerLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub async fn start(router: Router, limits: ServerLimits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Server::start_with(listener, router, limits, None).unwrap()
}

/// Everything until the other side closes.
pub async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes));
    // A reset is an end, too.
    read.await.expect("the server closes").ok();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let router = Router::new().route("/", get(|| async { "here" }));
    let limits = ServerLimits {
        head_within: Duration::from_millis(100),
        ..ServerLimits::default()
    };
    let server = start(router, limits).await;
    for sent in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: x\r\nslow: "] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let said = rest(&mut stream).await;
        assert!(!said.contains("here"), "{sent:?}: {said}");
    }
    // One that was served and then idles, too.
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let whole = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(whole).await.unwrap();
    assert!(rest(&mut stream).await.ends_with("here"));
    server.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_head_has_an_end() {
    let router = Router::new().route("/", get(|| async { "here" }));
    let server = start(router, ServerLimits::default()).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nlarge: {}\r\n\r\n",
        "x".repeat(64 << 10)
    );
    // The server may have closed before all of it is written.
    stream.write_all(head.as_bytes()).await.ok();
    let said = rest(&mut stream).await;
    assert!(!said.contains("here"), "{said}");
    server.stop(PATIENCE).await;
}

#[tokio::test]
async fn open_requests_end_before_the_server_does() {
    let (arrived, mut arrivals) = mpsc::channel(1);
    let (go_on, gate) = tokio::sync::watch::channel(false);
    let router = Router::new().route(
        "/",
        get(move || {
            let (arrived, mut gate) = (arrived.clone(), gate.clone());
            async move {
                arrived.send(()).await.unwrap();
                gate.wait_for(|open| *open).await.unwrap();
                "finished"
            }
        }),
    );
    let server = start(router, ServerLimits::default()).await;
    let address = server.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    arrivals.recv().await.unwrap();

    let stopping = tokio::spawn(server.stop(PATIENCE));
    // From the moment on in which nothing more is accepted the request still runs.
    crate::support::process::wait_for("a closed door", PATIENCE, async || {
        TcpStream::connect(address).await.err()
    })
    .await;
    assert!(!stopping.is_finished());
    go_on.send(true).unwrap();
    assert!(rest(&mut stream).await.ends_with("finished"));
    stopping.await.unwrap();
}

#[tokio::test]
async fn an_end_is_not_put_off_for_ever() {
    let router = Router::new().route("/", get(std::future::pending::<&str>));
    let server = start(router, ServerLimits::default()).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, server.stop(Duration::from_millis(50))).await;
    assert!(ended.is_ok());
}
