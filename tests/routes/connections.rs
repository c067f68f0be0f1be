//! More clients than places: who does nothing keeps nobody out.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures::stream;
use sumsq::http::{HttpLimits, ServerLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::access::rbac::Guarded;
use crate::server::{PATIENCE, rest, start};
use crate::support::process::{ServerCommand, free_port, temporary_folder};

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn here() -> Router {
    Router::new().route("/healthz", get(|| async { "here" }))
}

fn limited(connections: usize) -> ServerLimits {
    ServerLimits {
        connections,
        ..ServerLimits::default()
    }
}

async fn answered(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Where the server gives the place away again, the client sees the end of it.
    stream.write_all(REQUEST).await.ok();
    rest(&mut stream).await
}

#[tokio::test]
async fn who_is_busy_keeps_its_place() {
    let (arrived, mut arrivals) = mpsc::channel(1);
    let (go_on, gate) = watch::channel(false);
    let router = here().route(
        "/slow",
        get(move || {
            let (arrived, mut gate) = (arrived.clone(), gate.clone());
            async move {
                arrived.send(()).await.unwrap();
                gate.wait_for(|open| *open).await.unwrap();
                "finished"
            }
        }),
    );
    let server = start(router, limited(1)).await;
    let mut busy = TcpStream::connect(server.address()).await.unwrap();
    let slow = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
    busy.write_all(slow).await.unwrap();
    arrivals.recv().await.unwrap();
    let mut waiting = TcpStream::connect(server.address()).await.unwrap();
    waiting.write_all(REQUEST).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), waiting.read(&mut byte)).await;
    assert!(early.is_err(), "served beyond the limit");
    go_on.send(true).unwrap();
    // It would stay, and has nothing more to do.
    assert!(rest(&mut busy).await.ends_with("finished"));
    assert!(rest(&mut waiting).await.ends_with("here"));
    server.stop(PATIENCE).await;
}

#[tokio::test]
async fn who_has_done_nothing_for_longest_makes_room() {
    let server = start(here(), limited(2)).await;
    let mut first = TcpStream::connect(server.address()).await.unwrap();
    let mut second = TcpStream::connect(server.address()).await.unwrap();
    // It was served, and waits for what its client asks next.
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    first.write_all(request).await.unwrap();
    let mut said = [0; 16];
    first.read_exact(&mut said).await.unwrap();
    assert!(answered(server.address()).await.ends_with("here"));
    assert_eq!(rest(&mut second).await, "");
    first.write_all(REQUEST).await.unwrap();
    assert!(rest(&mut first).await.ends_with("here"));
    server.stop(PATIENCE).await;
}

/// Heads that come a byte at a time hold up nobody, however many come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_keep_nobody_out() {
    let server = start(here(), limited(8)).await;
    let address = server.address();
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..64 {
        slow.spawn(async move {
            loop {
                let Ok(mut stream) = TcpStream::connect(address).await else {
                    continue;
                };
                let mut sent = stream
                    .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
                    .await;
                while sent.is_ok() {
                    // Its own pace, not ours.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    sent = stream.write_all(b"x: y\r\n").await;
                }
            }
        });
    }
    let begun = Instant::now();
    let (mut answers, mut tried) = (0, 0);
    while answers < 50 {
        tried += 1;
        // One that lost its place to another before its head was read tries again, as browsers do.
        answers += usize::from(answered(address).await.ends_with("here"));
        assert!(begun.elapsed() < PATIENCE, "{answers} of {tried}");
    }
    slow.shutdown().await;
    server.stop(PATIENCE).await;
}

/// Bodies that do not come take no other request's place, and those of strangers no known reader's.
#[tokio::test]
async fn slow_bodies_keep_nobody_out() {
    let guarded = Guarded::filled().await;
    guarded.rbac.allow("alice", "patch datasources", "growth");
    let site = guarded.site.with_limits(HttpLimits {
        requests_in_flight: 8,
        forms_in_flight: 1,
        sign_ins_in_flight: 4,
        form_within: Duration::from_secs(1),
        ..HttpLimits::default()
    });
    let server = start(site.router(), ServerLimits::default()).await;
    let send = async |head: &str| {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    };
    let form = "content-length: 100\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    let mut slow = Vec::new();
    for _ in 0..16 {
        let head = format!("POST /sign-in HTTP/1.1\r\nhost: x\r\n{form}\r\ntoken=");
        slow.push(send(&head).await);
    }
    let fetch = "/namespaces/growth/data-sources/internal-conversions/fetch";
    for (request, headers, status) in [
        ("GET /sign-in", "", 200),
        // Of another site's form nothing is waited for, though there were a turn.
        (
            "POST /sign-in",
            &*format!("sec-fetch-site: cross-site\r\n{form}"),
            403,
        ),
        (
            &*format!("POST {fetch}"),
            "authorization: Bearer alice\r\ncontent-length: 0\r\n",
            303,
        ),
    ] {
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        let said = rest(&mut send(&head).await).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(said.starts_with(&expected), "{request}: {said}");
    }
    let mut said = Vec::new();
    for mut stream in slow {
        said.push(rest(&mut stream).await[9..12].to_owned());
    }
    said.sort();
    assert_eq!(said[..4], ["408"; 4]);
    assert_eq!(said[4..], ["503"; 12]);
    server.stop(PATIENCE).await;
}

/// Who asks for much and reads none of it does nothing either.
#[tokio::test]
async fn who_takes_nothing_of_an_answer_makes_room() {
    // Without an end: no socket's buffer holds all of it.
    let part = || Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 16 << 10]));
    let endless = move || async move { Body::from_stream(stream::repeat_with(part)) };
    let limits = ServerLimits {
        reader_stalls: Duration::from_millis(200),
        ..limited(1)
    };
    let server = start(here().route("/endless", get(endless)), limits).await;
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    let request = b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n";
    slow.write_all(request).await.unwrap();
    let mut begun = [0; 12];
    slow.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    let other = tokio::time::timeout(PATIENCE, answered(server.address())).await;
    assert!(other.expect("it makes room").ends_with("here"));
    // What was on its way may still come, and then there is an end.
    let mut taken = Vec::new();
    let end = tokio::time::timeout(PATIENCE, slow.read_to_end(&mut taken)).await;
    assert!(end.is_ok(), "{} bytes", taken.len());
    server.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_head_has_so_many_lines() {
    let server = start(here(), ServerLimits::default()).await;
    for (lines, status) in [(98, "200"), (120, "431")] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let head = format!(
            "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{}\r\n",
            "x: y\r\n".repeat(lines)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let said = rest(&mut stream).await;
        assert!(
            said.starts_with(&format!("HTTP/1.1 {status}")),
            "{lines}: {said}"
        );
    }
    server.stop(PATIENCE).await;
}

/// As many files as this process may have open at most.
fn raise_the_limit() {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let hard = line.unwrap().split_whitespace().nth(4).unwrap().to_owned();
    let most: usize = hard.parse().unwrap_or(usize::MAX);
    assert!(
        most > 11_000,
        "at most {most} files may be open here: raise `ulimit -Hn`"
    );
    let raised = Command::new("prlimit")
        .args(["--pid", &std::process::id().to_string()])
        .arg(format!("--nofile={hard}:{hard}"))
        .status();
    assert!(raised.is_ok_and(|status| status.success()), "prlimit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_clients_are_survived() {
    const CLIENTS: usize = 10_000;
    raise_the_limit();
    let folder = temporary_folder("idle");
    let port = free_port();
    let server = ServerCommand::new("report", env!("CARGO_BIN_EXE_sumsq"))
        .args([
            "report",
            "--store",
            "sqlite:none.db",
            "--probe-listen",
            "127.0.0.1:0",
        ])
        .arg(format!("--listen=127.0.0.1:{port}"))
        .removes(&folder)
        .start(&folder);
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    server
        .ready(PATIENCE, async || TcpStream::connect(address).await.is_ok())
        .await;
    let mut held = Vec::with_capacity(CLIENTS);
    let mut longest = Duration::ZERO;
    for number in 0..CLIENTS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Nothing, half a head, and a whole request whose answer nobody reads.
        let sent: &[u8] = match number % 3 {
            0 => b"",
            1 => b"GET / HTTP/1.1\r\nhost: loc",
            _ => b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
        };
        stream.write_all(sent).await.ok();
        held.push(stream);
        if number % 500 == 499 {
            let begun = Instant::now();
            assert!(answered(address).await.ends_with("ok\n"), "after {number}");
            longest = longest.max(begun.elapsed());
        }
    }
    assert_eq!(held.len(), CLIENTS);
    for _ in 0..100 {
        let begun = Instant::now();
        assert!(answered(address).await.ends_with("ok\n"));
        longest = longest.max(begun.elapsed());
    }
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    let process = server.process();
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    assert!(open < 600, "{open} files");
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(peak < 128 << 10, "{peak} KiB");
}
