//! Thousands of data sources on a real API server, with one slot of one schedule shared by all:
//! what the operator takes for that, and, with `--cron-jobs`, what Kubernetes' own CronJob
//! controller takes for as many CronJobs.
//!
//! ```text
//! cargo build --release --bin sumsq --example many_sources
//! . "$(tests/testbed/install)"
//! target/release/examples/many_sources --sources 10000
//! target/release/examples/many_sources --cron-jobs 10000
//! ```
//!
//! The API server, etcd, the S3 server and the operator share this machine. What is counted are the
//! API server's own figures (`apiserver_request_total`), the operator's metrics, and its memory as
//! the kernel tells it.

mod objects;
mod operator;
mod requests;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::ApiResource;
use serde_json::json;
use sumsq::crd::data_source::DataSource;

use objects::{create, until_all};
use operator::{Operator, Process};
use requests::Requests;
use support::kubernetes::Cluster;

/// Longer than this no step takes that will ever end.
const PATIENCE: Duration = Duration::from_mins(15);

#[derive(Debug, Parser)]
struct Args {
    /// DataSources to make
    #[arg(long, default_value_t = 10_000)]
    sources: u32,
    /// Make so many CronJobs instead, for Kubernetes' own controller
    #[arg(long)]
    cron_jobs: Option<u32>,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    namespaces: u32,
    /// Fetches at once
    #[arg(long, default_value_t = 16)]
    concurrency: u16,
    /// How long "at rest" is looked at
    #[arg(long, default_value_t = 60)]
    rest_seconds: u64,
    /// The operator to measure [default: `sumsq` beside this program's folder]
    #[arg(long)]
    binary: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let cluster = Cluster::start().await;
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    let client = Client::try_from(config)?;
    let namespaces = objects::namespaces(&client, args.namespaces).await?;
    if let Some(count) = args.cron_jobs {
        return cron_jobs(&cluster, client, &namespaces, count, args.rest_seconds).await;
    }
    let load = Load {
        kind: ApiResource::erase::<DataSource>(&()),
        buckets: cluster.folder().join("buckets"),
        binary: match &args.binary {
            Some(binary) => binary.clone(),
            None => beside_this_program()?,
        },
        cluster,
        client,
        namespaces,
        args,
    };
    load.make().await?;
    load.with_all_new().await?.stop().await;
    let operator = load.at_rest().await?;
    load.one_slot(&operator).await
}

fn beside_this_program() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().and_then(Path::parent);
    Ok(folder
        .context("this program lies in no folder")?
        .join("sumsq"))
}

/// What the phases share.
struct Load {
    args: Args,
    cluster: Cluster,
    client: Client,
    kind: ApiResource,
    namespaces: Vec<String>,
    buckets: PathBuf,
    binary: PathBuf,
}

impl Load {
    async fn make(&self) -> Result<()> {
        let definitions = std::process::Command::new(&self.binary)
            .arg("crd")
            .output()
            .with_context(|| format!("{} cannot be started", self.binary.display()))?;
        let definitions = String::from_utf8(definitions.stdout)?;
        let arguments = ["apply", "--server-side", "-f", "-"];
        let applied = self.cluster.kubectl_stdin(&arguments, &definitions).await;
        applied.expect_success();
        objects::write_files(&self.buckets, self.args.sources, 1)?;
        let endpoint = objects::serve(&self.buckets).await?;
        objects::secrets(&self.client, &self.namespaces).await?;
        let began = Instant::now();
        let sources = (0..self.args.sources)
            .map(|number| objects::data_source(&self.namespaces, number, &endpoint));
        create(&self.client, &self.kind, sources).await?;
        tell_seconds("DataSources made in", began);
        Ok(())
    }

    fn start(&self) -> Operator {
        Operator::start(&self.binary, &self.cluster, self.args.concurrency)
    }

    /// Every source is new, and is fetched at once.
    async fn with_all_new(&self) -> Result<Operator> {
        let operator = self.start();
        let began = Instant::now();
        operator.is_ready().await;
        tell_seconds("new: synced after", began);
        let ever = Timestamp::UNIX_EPOCH;
        until_all(&self.client, &self.kind, self.args.sources, ever).await?;
        tell_seconds("new: all imported and written after", began);
        tell_memory("new: at most resident", operator.process().peak()?);
        Ok(operator)
    }

    /// Started again, with everything known and nothing due.
    async fn at_rest(&self) -> Result<Operator> {
        let operator = self.start();
        let began = Instant::now();
        operator.is_ready().await;
        tell_seconds("started again: synced after", began);
        operator.is_quiet().await?;
        tell_seconds("started again: quiet after", began);
        tell_memory("at rest: resident", operator.process().resident()?);
        let before = Requests::now(&self.client).await?;
        tokio::time::sleep(Duration::from_secs(self.args.rest_seconds)).await;
        let asked = Requests::now(&self.client).await?.since(&before);
        let what = format!("at rest: writes in {} s", self.args.rest_seconds);
        tell(&what, format!("{}   {}", asked.writes(), asked));
        tell_memory(
            "at rest: resident after that",
            operator.process().resident()?,
        );
        Ok(operator)
    }

    /// One slot for all, and another file for each.
    async fn one_slot(&self, operator: &Operator) -> Result<()> {
        let sources = self.args.sources;
        objects::write_files(&self.buckets, sources, 2)?;
        let slot = slot_in(Duration::from_secs(60 + u64::from(sources) / 50));
        let spec = json!({"spec": {"schedule": schedule(slot)}});
        let began = Instant::now();
        objects::patch_all(&self.client, &self.kind, &self.namespaces, sources, &spec).await?;
        operator.is_quiet().await?;
        tell_seconds("another schedule: written and quiet after", began);
        let process = operator.process();
        process.reset_peak()?;
        let (before, cpu) = (Requests::now(&self.client).await?, process.cpu_seconds()?);
        until(slot).await?;
        let began = Instant::now();
        let written = async {
            until_all(&self.client, &self.kind, sources, slot).await?;
            tell_seconds("slot: imported and written after", began);
            anyhow::Ok(())
        };
        let (written, queue) = tokio::join!(written, operator.longest_queue(sources));
        written?;
        let cpu = process.cpu_seconds()? - cpu;
        tell_memory("slot: at most resident", process.peak()?);
        tell("slot: queue's length, at most seen", queue?);
        operator.is_quiet().await?;
        let day = Requests::now(&self.client).await?.since(&before);
        let each = day.writes() / f64::from(sources);
        tell("slot: writes per source", format!("{each:.2}   {day}"));
        let asked = day.all() / f64::from(sources);
        tell(
            "a day of one slot: requests per source",
            format!("{asked:.2}"),
        );
        tell_cpu(cpu, &day);
        let imported = operator.imported().await?;
        tell("imported", imported);
        ensure!(
            imported >= f64::from(sources),
            "not every fetch brought something"
        );
        Ok(())
    }
}

async fn cron_jobs(
    cluster: &Cluster,
    client: Client,
    namespaces: &[String],
    count: u32,
    rest_seconds: u64,
) -> Result<()> {
    let wait = 90 + rest_seconds + u64::from(count) / 50;
    let slot = slot_in(Duration::from_secs(wait));
    let schedule = schedule(slot);
    let jobs = (0..count).map(|number| objects::cron_job(namespaces, number, &schedule));
    let began = Instant::now();
    create(&client, &ApiResource::erase::<CronJob>(&()), jobs).await?;
    tell_seconds("CronJobs made in", began);
    // As many at once as the operator has looks, and not held to 20 requests a second.
    let syncs = ["--concurrent-cron-job-syncs=16"];
    let requests = ["--kube-api-qps=10000", "--kube-api-burst=10000"];
    let arguments = [syncs.as_slice(), &requests].concat();
    let controller = cluster.start_controllers("cronjob-controller", &arguments);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let process = Process::of(&controller);
    tell_memory("at rest: resident", process.resident()?);
    let before = Requests::now(&client).await?;
    tokio::time::sleep(Duration::from_secs(rest_seconds)).await;
    let asked = Requests::now(&client).await?.since(&before);
    let what = format!("at rest: writes in {rest_seconds} s");
    tell(&what, format!("{}   {}", asked.writes(), asked));
    process.reset_peak()?;
    let (before, cpu) = (Requests::now(&client).await?, process.cpu_seconds()?);
    until(slot).await?;
    let began = Instant::now();
    let kind = ApiResource::erase::<Job>(&());
    objects::until_so_many(&client, &kind, count, |_| true).await?;
    tell_seconds("slot: the last Job exists after", began);
    let kind = ApiResource::erase::<CronJob>(&());
    objects::until_so_many(&client, &kind, count, |job| {
        job.data["status"]["lastScheduleTime"].is_string()
    })
    .await?;
    tell_seconds("slot: every status is written after", began);
    tell_memory("slot: at most resident", process.peak()?);
    let day = Requests::now(&client).await?.since(&before);
    let each = day.writes() / f64::from(count);
    tell("slot: writes per CronJob", format!("{each:.2}   {day}"));
    tell_cpu(process.cpu_seconds()? - cpu, &day);
    Ok(())
}

/// The start of a minute, at least `wait` from now.
fn slot_in(wait: Duration) -> Timestamp {
    let earliest = Timestamp::now() + wait;
    let minute = earliest.as_second().div_euclid(60) * 60;
    Timestamp::from_second(minute).unwrap_or(earliest) + 1.minute()
}

/// Of every day at that minute.
fn schedule(slot: Timestamp) -> String {
    let slot = slot.to_zoned(TimeZone::UTC);
    format!("{} {} * * *", slot.minute(), slot.hour())
}

async fn until(slot: Timestamp) -> Result<()> {
    let wait = Duration::try_from(slot.duration_since(Timestamp::now()));
    tokio::time::sleep(wait.context("the slot came before all had its schedule")?).await;
    Ok(())
}

fn tell(what: &str, value: impl Display) {
    println!("{what:44}{value:>10}");
}

fn tell_seconds(what: &str, began: Instant) {
    tell(what, format!("{:.1} s", began.elapsed().as_secs_f64()));
}

/// Seconds of a core: what the machine does besides shows in how long it takes, and not here.
fn tell_cpu(own: f64, requests: &Requests) {
    let value = format!("{own:.1} s   API server: {:.1} s", requests.cpu_seconds());
    tell("slot: time of a core", value);
}

fn tell_memory(what: &str, kib: u64) {
    tell(what, format!("{} MiB", kib / 1024));
}
