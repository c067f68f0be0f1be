//! The operator that is measured, its metrics and its memory.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::PATIENCE;
use crate::support::kubernetes::Cluster;
use crate::support::process::{Server, ServerCommand, free_port};

/// More often than Prometheus scrapes; each time a hundred thousand series are written.
const BETWEEN_SCRAPES: Duration = Duration::from_secs(5);

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
            let metrics = self.metrics().await?;
            let looks = metrics.sum("sumsq_reconcile_duration_seconds_count", "");
            let done = looks + metrics.sum("sumsq_status_writes_total", "");
            let queued = metrics.sum("sumsq_fetch_queue_depth", "");
            if done.to_bits() != last.1.to_bits() || queued > 0.0 {
                last = (Instant::now(), done);
            } else if last.0.elapsed() > Duration::from_secs(5) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        bail!("it is never quiet")
    }

    /// The most that the queue's metric shows until `count` more fetches have ended.
    pub async fn longest_queue(&self, count: u32) -> Result<f64> {
        let ended = |metrics: &Metrics| metrics.sum("sumsq_fetches_total", "");
        let mut metrics = self.metrics().await?;
        let all = ended(&metrics) + f64::from(count);
        let (began, mut longest) = (Instant::now(), 0.0_f64);
        while ended(&metrics) < all && began.elapsed() < PATIENCE {
            longest = longest.max(metrics.sum("sumsq_fetch_queue_depth", ""));
            tokio::time::sleep(BETWEEN_SCRAPES).await;
            metrics = self.metrics().await?;
        }
        Ok(longest)
    }

    pub async fn imported(&self) -> Result<f64> {
        let metrics = self.metrics().await?;
        Ok(metrics.sum("sumsq_fetches_total", "result=\"Imported\""))
    }

    async fn metrics(&self) -> Result<Metrics> {
        Ok(Metrics(self.get("metrics").await?))
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

    /// Of all its threads, on any core, since it started.
    pub fn cpu_seconds(&self) -> Result<f64> {
        /// Of Linux, on every machine that there is: USER_HZ.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // Behind the name, which may hold anything; user and system time are the 14th and 15th.
        let (_, fields) = stat.rsplit_once(')').context("no such field")?;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(ticks / TICKS_PER_SECOND)
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

/// As they are scraped.
struct Metrics(String);

impl Metrics {
    /// The sum of the series of a metric whose labels contain `labels`.
    fn sum(&self, name: &str, labels: &str) -> f64 {
        self.0
            .lines()
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| series.split('{').next() == Some(name) && series.contains(labels))
            .filter_map(|(_, value)| value.parse::<f64>().ok())
            .fold(0.0, |sum, value| sum + value)
    }
}
