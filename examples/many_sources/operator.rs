//! The operator that is measured, its metrics and its memory.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::PATIENCE;
use crate::support::kubernetes::Cluster;
use crate::support::process::{Server, ServerCommand, free_port};

/// The operator as a Pod would run it, with a store of its own.
pub struct Operator {
    server: Server,
    port: u16,
}

impl Operator {
    pub fn start(binary: &Path, cluster: &Cluster, concurrency: u16) -> Self {
        let port = free_port();
        let store = cluster.folder().join("store").join("sumsq.db");
        let server = ServerCommand::new("sumsq", binary)
            .args(["controller", "--schedule-jitter", "0s"])
            .args(["--concurrency", &concurrency.to_string()])
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("SUMSQ_STORE", format!("sqlite:{}", store.display()))
            .env("SUMSQ_LISTEN", format!("127.0.0.1:{port}"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("SUMSQ_ALLOWED_ENDPOINTS", "http://127.0.0.1:*")
            .env("MALLOC_ARENA_MAX", "1")
            .env("RUST_LOG", "warn")
            .start(cluster.folder());
        Self { server, port }
    }

    /// Of one that has been ready.
    pub fn process(&self) -> Process {
        Process::of(&self.server)
    }

    pub async fn is_ready(&self) {
        let ready = async || self.get("readyz").await.is_ok();
        self.server.ready(PATIENCE, ready).await;
    }

    pub async fn stop(&self) {
        self.server.signal("TERM");
        self.server.ended(PATIENCE).await;
    }

    /// Until it has written no status for five seconds, and nothing is queued.
    pub async fn is_quiet(&self) -> Result<()> {
        let mut last = (Instant::now(), f64::NAN);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let written = self.metric("sumsq_status_writes_total", "").await?;
            let looks = self
                .metric("sumsq_reconcile_duration_seconds_count", "")
                .await?;
            let queued = self.metric("sumsq_fetch_queue_depth", "").await?;
            let done = written + looks;
            if done.to_bits() != last.1.to_bits() || queued > 0.0 {
                last = (Instant::now(), done);
            } else if last.0.elapsed() > Duration::from_secs(5) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        bail!("it is never quiet")
    }

    /// The most that the queue's metric shows until `count` more fetches have ended.
    pub async fn longest_queue(&self, count: u32) -> Result<f64> {
        let ended = async || self.metric("sumsq_fetches_total", "").await;
        let all = ended().await? + f64::from(count);
        let (began, mut longest) = (Instant::now(), 0.0_f64);
        while ended().await? < all && began.elapsed() < PATIENCE {
            longest = longest.max(self.metric("sumsq_fetch_queue_depth", "").await?);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(longest)
    }

    pub async fn imported(&self) -> Result<f64> {
        self.metric("sumsq_fetches_total", "result=\"Imported\"")
            .await
    }

    /// The sum of the series of a metric whose labels contain `labels`.
    pub async fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let text = self.get("metrics").await?;
        Ok(sum(&text, name, |series| series.contains(labels)))
    }

    pub async fn get(&self, path: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/{path}", self.port);
        tokio::task::spawn_blocking(move || {
            let mut answer = ureq::get(&url).call()?;
            let body = answer.body_mut().with_config().limit(100 << 20);
            Ok(body.read_to_string()?)
        })
        .await?
    }
}

/// A process, by its number.
pub struct Process(String);

impl Process {
    pub fn of(server: &Server) -> Self {
        Self(server.process())
    }

    /// KiB.
    pub fn resident(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// KiB, since the last reset.
    pub fn peak(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    pub fn reset_peak(&self) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.0), "5")?)
    }

    fn status(&self, field: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context("no such field")?.parse()?)
    }
}

fn sum(metrics: &str, name: &str, wanted: impl Fn(&str) -> bool) -> f64 {
    metrics
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(series, _)| series.split('{').next() == Some(name) && wanted(series))
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .fold(0.0, |sum, value| sum + value)
}
