//! Fills a store with one agent of 90 days x 4 variations x 20 traits x 5 goals, starts the report
//! server of the same profile on it, asks it over 16 connections at once, and prints what each view
//! takes and how much memory the server has held at most:
//!
//! ```text
//! cargo build --release --bin sumsq --example load_report
//! target/release/examples/load_report
//! ```
//!
//! "same" asks for one address again and again, "each other" for another confidence each time, so
//! that no two requests are alike. Times are the client's, from the request's first byte to the
//! answer's last; client and server share the machine. CPU is the server's own, and tells the same on a
//! busy machine.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use jiff::Timestamp;
use sumsq::domain::counts_csv::{CsvSpec, Limits, Reader};
use sumsq::domain::data_source::{
    Dating, Goal, GoodDirection, OnIntegrityProblem, SourceId, SourceKey,
};
use sumsq::domain::description::Description;
use sumsq::domain::fetch::{Import, Outcome, Trigger};
use sumsq::domain::plan::FetchPlan;
use sumsq::store::sqlite::Sqlite;
use sumsq::store::{BeginFetch, EndFetch, SourceRef, Store};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[path = "make_counts.rs"]
mod make_counts;

#[derive(Debug, Parser)]
struct Args {
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// For each view
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// The server to measure [default: `sumsq` beside this program's folder]
    #[arg(long)]
    binary: Option<PathBuf>,
    #[arg(long)]
    gzip: bool,
}

/// A name, what is asked for, and whether each request asks for another confidence.
const VIEWS: &[(&str, &str, bool)] = &[
    ("page, same", "/namespaces/load/agents/agent-0?", false),
    ("page, each other", "/namespaces/load/agents/agent-0?", true),
    (
        "testing, same",
        "/api/v1/namespaces/load/agents/agent-0/testing?",
        false,
    ),
    (
        "testing, each other",
        "/api/v1/namespaces/load/agents/agent-0/testing?",
        true,
    ),
    (
        "testing by trait, each other",
        "/api/v1/namespaces/load/agents/agent-0/testing?traitGroup=segment&",
        true,
    ),
    (
        "all goals, each other",
        "/api/v1/namespaces/load/agents/agent-0/goals?",
        true,
    ),
    (
        "activity by trait and day",
        "/api/v1/namespaces/load/agents/agent-0/activity?groupBy=trait&traitGroup=segment&",
        false,
    ),
];

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("sumsq.db");
    fill(&store).await.context("cannot fill the store")?;
    let server = Server::start(args.binary.clone(), &store, folder.path()).await?;
    println!(
        "{:32}{:>10}{:>10}{:>10}{:>12}{:>13}{:>8}",
        "view", "median", "p99", "most", "requests/s", "CPU/request", "kB"
    );
    for (name, address, varies) in VIEWS {
        measure(&args, &server, name, address, *varies).await?;
    }
    println!("\nserver, at most resident: {}", server.peak_memory()?);
    Ok(())
}

async fn fill(path: &Path) -> Result<()> {
    let generated = make_counts::Args::parse_from([
        "make_counts",
        "--agents",
        "1",
        "--days",
        "90",
        "--variations",
        "4",
        "--traits",
        "20",
        "--goals",
        "5",
    ]);
    let mut csv = Vec::new();
    make_counts::generate(&mut csv, &generated)?;
    let goals: Vec<Goal> = (1..=5)
        .map(|number| Goal {
            code: format!("goal-{number}"),
            display_name: None,
            numeric: true,
            allow_negative: false,
            good_direction: GoodDirection::Increase,
        })
        .collect();
    let spec = CsvSpec {
        goals: goals.clone(),
        dating: Dating::Exposure,
        on_integrity_problem: OnIntegrityProblem::Warn,
    };
    let mut reader = Reader::new(spec, Limits::default());
    reader.feed(&csv)?;
    let parsed = reader.finish()?;
    let store = Sqlite::open(path).await?;
    let source = SourceRef {
        id: SourceId::derive("load", "counts"),
        key: SourceKey {
            namespace: "load".into(),
            name: "counts".into(),
        },
        uid: "uid".into(),
    };
    store.observe(&source, 1).await?;
    let description = Description {
        display_name: "Counts".into(),
        goals,
        schedule: "0 9 * * *".into(),
        time_zone: "UTC".into(),
        ..Description::default()
    };
    store.describe(source.id, &description).await?;
    let begin = BeginFetch {
        source: source.id,
        uid: source.uid.clone(),
        plan: FetchPlan {
            trigger: Trigger::Manual,
            resume: None,
            slot: None,
            request: None,
            force_request: None,
            ignore_etag: false,
            resets_backoff: false,
        },
        cursor: None,
        fingerprint: String::new(),
        started_at: Timestamp::now(),
    };
    let end = EndFetch {
        source: source.id,
        fetch: store.begin_fetch(&begin).await?,
        outcome: Outcome::Imported(Import::default()),
        etag: None,
        completed_at: Timestamp::now(),
    };
    let import = store.import(&end, parsed.agent_days).await?;
    println!(
        "{} agent days, {} rows",
        import.agent_days, parsed.summary.rows
    );
    store.close().await;
    Ok(())
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    async fn start(binary: Option<PathBuf>, store: &Path, folder: &Path) -> Result<Self> {
        let beside = std::env::current_exe()?;
        let beside = beside
            .parent()
            .and_then(Path::parent)
            .context("no folder")?;
        let binary = binary.unwrap_or_else(|| beside.join("sumsq"));
        let log = folder.join("log");
        let child = Command::new(&binary)
            .args([
                "report",
                "--listen",
                "127.0.0.1:0",
                "--probe-listen",
                "127.0.0.1:0",
            ])
            .arg("--store")
            .arg(format!("sqlite:{}", store.display()))
            .stderr(std::fs::File::create(&log)?)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut server = Self {
            child,
            address: String::new(),
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let said = std::fs::read_to_string(&log)?;
            if let Some((line, _)) = said.split_once('\n') {
                server.address = line.rsplit('/').next().unwrap_or_default().to_owned();
                let mut connection = Connection::open(&server.address).await?;
                if connection.get("/readyz", false).await?.0 == 200 {
                    return Ok(server);
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the server does not become ready")
    }

    /// Of all its threads; what it does not have to wait for is no part of it.
    fn cpu_milliseconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').context("no name in /proc")?;
        let ticks: f64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<f64>().ok())
            .sum();
        // A hundred ticks a second.
        Ok(ticks * 10.0)
    }

    fn peak_memory(&self) -> Result<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib: u64 = line
            .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .context("no peak in /proc")?;
        Ok(format!("{} MiB", kib / 1024))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn measure(
    args: &Args,
    server: &Server,
    name: &str,
    address: &str,
    varies: bool,
) -> Result<()> {
    let number = Arc::new(AtomicU64::new(0));
    let until = Instant::now() + Duration::from_secs(args.seconds);
    let (begun, cpu_before) = (Instant::now(), server.cpu_milliseconds()?);
    let clients = (0..args.connections).map(|_| {
        let (number, gzip) = (Arc::clone(&number), args.gzip);
        let (server, address) = (server.address.clone(), address.to_owned());
        tokio::spawn(async move {
            let mut connection = Connection::open(&server).await?;
            let mut took = Vec::new();
            let mut size = 0;
            while Instant::now() < until {
                let n = if varies {
                    number.fetch_add(1, Ordering::Relaxed)
                } else {
                    0
                };
                // 0.9 to 0.95 in steps that never come again.
                let path = format!("{address}confidence=0.9{:07}", n % 5_000_000);
                let path = if address.contains("activity") {
                    address.clone()
                } else {
                    path
                };
                let begun = Instant::now();
                let (status, bytes) = connection
                    .get(path.trim_end_matches(['?', '&']), gzip)
                    .await?;
                took.push(begun.elapsed());
                size = bytes;
                if status != 200 {
                    bail!("{path} is answered {status}");
                }
            }
            Ok((took, size))
        })
    });
    let mut took = Vec::new();
    let mut size = 0;
    for client in clients.collect::<Vec<_>>() {
        match client.await? {
            Ok((times, bytes)) => {
                took.extend(times);
                size = bytes;
            }
            Err(error) => {
                println!("{name:32}{error}");
                return Ok(());
            }
        }
    }
    let cpu = server.cpu_milliseconds()? - cpu_before;
    let elapsed = begun.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |thousandths: usize| took[(took.len() - 1) * thousandths / 1000].as_secs_f64() * 1e3;
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = took.len() as f64 / elapsed;
    println!(
        "{name:32}{:>7.1} ms{:>7.1} ms{:>7.1} ms{rate:>12.0}{:>10.2} ms{:>8}",
        at(500),
        at(990),
        at(1000),
        cpu / rate / elapsed,
        size / 1000
    );
    Ok(())
}

/// HTTP/1.1, as little as it takes.
struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Status, and the bytes of the body as sent.
    async fn get(&mut self, path: &str, gzip: bool) -> Result<(u16, usize)> {
        let encoding = if gzip {
            "accept-encoding: gzip\r\n"
        } else {
            ""
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{encoding}\r\n");
        self.0.get_mut().write_all(request.as_bytes()).await?;
        let status: u16 = self
            .line()
            .await?
            .split(' ')
            .nth(1)
            .context("no status")?
            .parse()?;
        let mut length = None;
        loop {
            let line = self.line().await?.to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = Some(value.parse()?);
            }
        }
        match length {
            Some(length) => Ok((status, self.skip(length).await?)),
            None => Ok((status, self.chunks().await?)),
        }
    }

    async fn chunks(&mut self) -> Result<usize> {
        let mut total = 0;
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16)?;
            total += self.skip(size).await?;
            self.line().await?;
            if size == 0 {
                return Ok(total);
            }
        }
    }

    async fn skip(&mut self, length: usize) -> Result<usize> {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(length)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        Ok(line.trim_end().to_owned())
    }
}
