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

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Parser;
use futures::{StreamExt, TryStreamExt, stream};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[path = "../tests/support/mod.rs"]
mod support;

use support::kubernetes::Cluster;
use support::process::{Server, ServerCommand, free_port};

#[derive(Debug, Parser)]
struct Args {
    /// DataSources to make
    #[arg(long, default_value_t = 10_000)]
    sources: usize,
    /// Make so many CronJobs instead, for Kubernetes' own controller
    #[arg(long)]
    cron_jobs: Option<usize>,
    #[arg(long, default_value_t = 100)]
    namespaces: usize,
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

/// Requests that make or change objects, on their way to the API server at once.
const AT_ONCE: usize = 32;
/// Of the S3 server.
const ACCESS_KEY: &str = "many-sources";
const SECRET_KEY: &str = "known to everybody on this machine";
/// Longer than this no step takes that will ever end.
const PATIENCE: Duration = Duration::from_mins(15);

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let cluster = Cluster::start().await;
    let client = client(&cluster).await?;
    match args.cron_jobs {
        Some(count) => cron_jobs(&args, &cluster, client, count).await,
        None => data_sources(&args, &cluster, client).await,
    }
}

async fn client(cluster: &Cluster) -> Result<Client> {
    let kubeconfig = kube::config::Kubeconfig::read_from(cluster.kubeconfig())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await?;
    Ok(Client::try_from(config)?)
}

async fn data_sources(args: &Args, cluster: &Cluster, client: Client) -> Result<()> {
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None => std::env::current_exe()?
            .parent()
            .and_then(Path::parent)
            .context("no folder")?
            .join("sumsq"),
    };
    let definitions = std::process::Command::new(&binary).arg("crd").output()?;
    let definitions = String::from_utf8(definitions.stdout)?;
    let applied = cluster.kubectl_stdin(&["apply", "--server-side", "-f", "-"], &definitions);
    applied.await.expect_success();
    let kind = ApiResource::erase::<sumsq::crd::data_source::DataSource>(&());

    let buckets = cluster.folder().join("buckets");
    write_files(&buckets, args.sources, 1)?;
    let endpoint = serve(&buckets).await?;
    let namespaces = namespaces(&client, args.namespaces).await?;
    secrets(&client, &namespaces).await?;
    let began = Instant::now();
    let objects = (0..args.sources).map(|number| {
        let namespace = &namespaces[number % namespaces.len()];
        data_source(namespace, number, &endpoint)
    });
    create(&client, &kind, objects).await?;
    println!("{:46}{:>9.1} s", "DataSources made in", seconds(began));

    // From nothing: every source is new and is fetched at once.
    let mut operator = Operator::start(&binary, cluster, args.concurrency);
    let began = Instant::now();
    operator.is_ready().await;
    println!("{:46}{:>9.1} s", "new: synced after", seconds(began));
    until_all(&client, &kind, args.sources, Timestamp::UNIX_EPOCH).await?;
    println!("{:46}{:>9.1} s", "new: all imported after", seconds(began));

    // Again, with everything known.
    operator.stop().await;
    operator = Operator::start(&binary, cluster, args.concurrency);
    let began = Instant::now();
    operator.is_ready().await;
    println!(
        "{:46}{:>9.1} s",
        "started again: synced after",
        seconds(began)
    );
    operator.is_quiet().await?;
    println!(
        "{:46}{:>9.1} s",
        "started again: quiet after",
        seconds(began)
    );
    println!(
        "{:46}{:>7} MiB",
        "at rest: resident",
        operator.resident()? / 1024
    );
    let before = Requests::now(&client).await?;
    tokio::time::sleep(Duration::from_secs(args.rest_seconds)).await;
    let rest = Requests::now(&client).await?.since(&before);
    println!(
        "{:46}{:>9}   {}",
        format!("at rest: requests in {} s, writes", args.rest_seconds),
        rest.writes,
        rest.told()
    );
    println!(
        "{:46}{:>7} MiB",
        "at rest: resident, after that",
        operator.resident()? / 1024
    );

    // One slot for all, and another file for each.
    write_files(&buckets, args.sources, 2)?;
    let slot = slot_in(Duration::from_secs(60 + args.sources as u64 / 50));
    let zoned = slot.to_zoned(TimeZone::UTC);
    let schedule = format!("{} {} * * *", zoned.minute(), zoned.hour());
    let began = Instant::now();
    patch_all(
        &client,
        &kind,
        &namespaces,
        args.sources,
        &json!({"spec": {"schedule": schedule}}),
    )
    .await?;
    operator.is_quiet().await?;
    println!(
        "{:46}{:>9.1} s",
        "another schedule: written and quiet after",
        seconds(began)
    );
    ensure!(
        Timestamp::now() < slot,
        "the slot came before all had its schedule"
    );
    let before = Requests::now(&client).await?;
    operator.reset_peak()?;
    tokio::time::sleep(Duration::try_from(slot.duration_since(Timestamp::now()))?).await;
    let began = Instant::now();
    let (written, queue) = tokio::join!(
        until_all(&client, &kind, args.sources, slot),
        operator.longest_queue(args.sources)
    );
    written?;
    println!(
        "{:46}{:>9.1} s",
        "slot: imported and written after",
        seconds(began)
    );
    println!(
        "{:46}{:>7} MiB",
        "slot: at most resident",
        operator.peak()? / 1024
    );
    println!("{:46}{:>9}", "slot: queue's length, at most seen", queue);
    operator.is_quiet().await?;
    let day = Requests::now(&client).await?.since(&before);
    println!(
        "{:46}{:>9.2}   {}",
        "slot: requests per source, writes",
        day.writes as f64 / args.sources as f64,
        day.told()
    );
    let imported = operator
        .metric("sumsq_fetches_total", "result=\"imported\"")
        .await?;
    println!(
        "{:46}{:>9}",
        "imported since it was started again", imported
    );
    ensure!(
        imported == args.sources as f64,
        "not every fetch brought something"
    );
    Ok(())
}

async fn cron_jobs(args: &Args, cluster: &Cluster, client: Client, count: usize) -> Result<()> {
    let namespaces = namespaces(&client, args.namespaces).await?;
    let kind = ApiResource::erase::<k8s_openapi::api::batch::v1::CronJob>(&());
    let slot = slot_in(Duration::from_secs(120 + count as u64 / 50));
    let zoned = slot.to_zoned(TimeZone::UTC);
    let schedule = format!("{} {} * * *", zoned.minute(), zoned.hour());
    let objects = (0..count).map(|number| {
        let container = json!({"name": "fetch", "image": "fetch"});
        json!({
            "apiVersion": "batch/v1", "kind": "CronJob",
            "metadata": {"namespace": namespaces[number % namespaces.len()], "name": format!("counts-{number}")},
            "spec": {"schedule": schedule, "timeZone": "Etc/UTC", "jobTemplate": {"spec": {"template": {
                "spec": {"restartPolicy": "Never", "containers": [container]},
            }}}},
        })
    });
    create(&client, &kind, objects).await?;
    let controller = cluster.start_controllers("cronjob-controller");
    let process = Process(controller.process());
    tokio::time::sleep(Duration::from_secs(30)).await;
    println!(
        "{:46}{:>7} MiB",
        "at rest: resident",
        process.resident()? / 1024
    );
    ensure!(
        Timestamp::now() < slot,
        "the slot came before all was at rest"
    );
    process.reset_peak()?;
    tokio::time::sleep(Duration::try_from(slot.duration_since(Timestamp::now()))?).await;
    let began = Instant::now();
    let jobs: Api<DynamicObject> = Api::all_with(
        client,
        &ApiResource::erase::<k8s_openapi::api::batch::v1::Job>(&()),
    );
    let events = watcher(jobs, watcher::Config::default());
    count_until(events, count, |_| true).await?;
    println!(
        "{:46}{:>9.1} s",
        "slot: last Job exists after",
        seconds(began)
    );
    println!(
        "{:46}{:>7} MiB",
        "slot: at most resident",
        process.peak()? / 1024
    );
    Ok(())
}

async fn namespaces(client: &Client, count: usize) -> Result<Vec<String>> {
    let names: Vec<String> = (0..count.max(1))
        .map(|number| format!("team-{number}"))
        .collect();
    let kind = ApiResource::erase::<k8s_openapi::api::core::v1::Namespace>(&());
    let objects = names
        .iter()
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    create(client, &kind, objects).await?;
    Ok(names)
}

async fn secrets(client: &Client, namespaces: &[String]) -> Result<()> {
    let kind = ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&());
    let objects = namespaces.iter().map(|namespace| {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"namespace": namespace, "name": "s3"},
            "stringData": {
                "accessKeyId": ACCESS_KEY,
                "secretAccessKey": SECRET_KEY,
            },
        })
    });
    create(client, &kind, objects).await
}

/// An S3 server over the folder, for as long as this process runs; its address.
async fn serve(buckets: &Path) -> Result<String> {
    let files = s3s_fs::FileSystem::new(buckets).map_err(|error| anyhow!("{error:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = service.build();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let server = Builder::new(TokioExecutor::new());
                server
                    .serve_connection(TokioIo::new(socket), service)
                    .await
                    .ok();
            });
        }
    });
    Ok(endpoint)
}

/// One agent with two variations, and as many days.
fn write_files(buckets: &Path, count: usize, days: usize) -> Result<()> {
    let folder = buckets.join("counts");
    std::fs::create_dir_all(&folder)?;
    let mut csv = String::from("Date,Agent,Variation,Sels,sales,sales_sumsq\n");
    for day in 1..=days {
        for variation in ["A", "B"] {
            let (date, sales) = (20_454 + day, 40 + day);
            writeln!(
                csv,
                "{},checkout,{variation},1000,{sales},{sales}",
                date * 86_400
            )?;
        }
    }
    for number in 0..count {
        std::fs::write(folder.join(format!("{number}.csv")), &csv)?;
    }
    Ok(())
}

fn data_source(namespace: &str, number: usize, endpoint: &str) -> Value {
    json!({
        "apiVersion": "sumsq.dev/v1alpha1", "kind": "DataSource",
        "metadata": {"namespace": namespace, "name": format!("counts-{number}")},
        "spec": {
            "displayName": format!("Counts {number}"),
            "schedule": "0 0 1 1 *",
            "goals": [{"code": "sales"}],
            "source": {"s3": {
                "bucket": "counts", "key": format!("{number}.csv"), "region": "us-east-1",
                "endpoint": endpoint, "forcePathStyle": true, "secretRef": {"name": "s3"},
            }},
        },
    })
}

async fn create(
    client: &Client,
    kind: &ApiResource,
    objects: impl Iterator<Item = Value>,
) -> Result<()> {
    stream::iter(objects)
        .map(|object| async move {
            let object: DynamicObject = serde_json::from_value(object)?;
            let api: Api<DynamicObject> = match object.namespace() {
                Some(namespace) => Api::namespaced_with(client.clone(), &namespace, kind),
                None => Api::all_with(client.clone(), kind),
            };
            api.create(&PostParams::default(), &object).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn patch_all(
    client: &Client,
    kind: &ApiResource,
    namespaces: &[String],
    count: usize,
    patch: &Value,
) -> Result<()> {
    stream::iter(0..count)
        .map(|number| async move {
            let namespace = &namespaces[number % namespaces.len()];
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, kind);
            let name = format!("counts-{number}");
            api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await?;
            anyhow::Ok(())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Until the status of so many objects says that they were fetched with success at `since` or later.
async fn until_all(
    client: &Client,
    kind: &ApiResource,
    count: usize,
    since: Timestamp,
) -> Result<()> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), kind);
    let events = watcher(api, watcher::Config::default());
    count_until(events, count, |object| {
        let success = object.data["status"]["lastSuccessTime"].as_str();
        success
            .and_then(|text| text.parse::<Timestamp>().ok())
            .is_some_and(|success| success >= since)
    })
    .await
}

async fn count_until(
    events: impl futures::Stream<Item = watcher::Result<watcher::Event<DynamicObject>>>,
    count: usize,
    done: impl Fn(&DynamicObject) -> bool,
) -> Result<()> {
    let counting = async {
        let mut events = std::pin::pin!(events);
        let mut found = HashSet::new();
        while let Some(event) = events.try_next().await? {
            if let watcher::Event::InitApply(object) | watcher::Event::Apply(object) = event
                && done(&object)
            {
                found.insert((object.namespace(), object.name_any()));
                if found.len() == count {
                    return Ok(());
                }
            }
        }
        bail!("the watch ended at {} of {count}", found.len())
    };
    tokio::time::timeout(PATIENCE, counting)
        .await
        .context("not all were done in time")?
}

/// The start of a minute, `wait` from now or a little later.
fn slot_in(wait: Duration) -> Timestamp {
    let earliest = Timestamp::now() + wait;
    let minute = earliest.as_second().div_euclid(60) * 60;
    Timestamp::from_second(minute).unwrap_or(earliest) + 1.minute()
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

/// The operator as a Pod would run it, with a store of its own.
struct Operator {
    server: Server,
    process: Process,
    port: u16,
}

impl Operator {
    fn start(binary: &Path, cluster: &Cluster, concurrency: u16) -> Self {
        let port = free_port();
        let store = cluster.folder().join("store").join("sumsq.db");
        let server = ServerCommand::new("sumsq", binary)
            .args(["controller", "--schedule-jitter", "0s"])
            .args(["--concurrency", &concurrency.to_string()])
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("SUMSQ_STORE", format!("sqlite:{}", store.display()))
            .env("SUMSQ_LISTEN", format!("127.0.0.1:{port}"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("MALLOC_ARENA_MAX", "1")
            .env("RUST_LOG", "warn")
            .start(cluster.folder());
        let process = Process(server.process());
        Self {
            server,
            process,
            port,
        }
    }

    async fn is_ready(&self) {
        let ready = async || self.get("readyz").await.is_ok();
        self.server.ready(PATIENCE, ready).await;
    }

    async fn stop(&self) {
        self.server.signal("TERM");
        self.server.ended(PATIENCE).await;
    }

    /// Until it has written no status for five seconds, and nothing is queued.
    async fn is_quiet(&self) -> Result<()> {
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

    /// The most that the queue's metric shows until `count` fetches have ended.
    async fn longest_queue(&self, count: usize) -> f64 {
        let mut longest = 0.0_f64;
        let began = Instant::now();
        let mut all = f64::INFINITY;
        while began.elapsed() < PATIENCE {
            let ended = self.metric("sumsq_fetches_total", "").await.unwrap_or(0.0);
            if all.is_infinite() {
                all = ended + count as f64;
            }
            let queued = self.metric("sumsq_fetch_queue_depth", "").await;
            longest = longest.max(queued.unwrap_or(0.0));
            if ended >= count as f64 && longest > 0.0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        longest
    }

    /// The sum of the series of a metric whose labels contain `labels`.
    async fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let text = self.get("metrics").await?;
        Ok(sum(&text, name, |series| series.contains(labels)))
    }

    async fn get(&self, path: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/{path}", self.port);
        tokio::task::spawn_blocking(move || {
            let mut answer = ureq::get(&url).call()?;
            let body = answer.body_mut().with_config().limit(100 << 20);
            Ok(body.read_to_string()?)
        })
        .await?
    }

    fn resident(&self) -> Result<u64> {
        self.process.resident()
    }

    fn reset_peak(&self) -> Result<()> {
        self.process.reset_peak()
    }

    fn peak(&self) -> Result<u64> {
        self.process.peak()
    }
}

/// A process, by its number.
struct Process(String);

impl Process {
    /// KiB.
    fn resident(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// KiB, since the last reset.
    fn peak(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn reset_peak(&self) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.0), "5")?)
    }

    fn status(&self, field: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context("no such field")?.parse()?)
    }
}

/// What the API server has been asked, by verb and resource, but for what this program asks.
struct Requests {
    by_kind: BTreeMap<String, f64>,
    writes: f64,
}

impl Requests {
    /// Of resources that the operator uses.
    async fn now(client: &Client) -> Result<Self> {
        let request = axum::http::Request::get("/metrics").body(Vec::new())?;
        let text = client.request_text(request).await?;
        let mut by_kind = BTreeMap::new();
        for line in text
            .lines()
            .filter(|line| line.starts_with("apiserver_request_total{"))
        {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let label = |name: &str| {
                let start = series.find(&format!("{name}=\""))? + name.len() + 2;
                Some(series[start..].split('"').next()?.to_owned())
            };
            let (Some(verb), Some(resource)) = (label("verb"), label("resource")) else {
                continue;
            };
            let ours = ["datasources", "agents", "secrets", "events"];
            if ours.contains(&resource.as_str()) && verb != "WATCH" && verb != "LIST" {
                let subresource = label("subresource").filter(|name| !name.is_empty());
                let kind = match subresource {
                    Some(of) => format!("{verb} {resource}/{of}"),
                    None => format!("{verb} {resource}"),
                };
                *by_kind.entry(kind).or_insert(0.0) += value.parse::<f64>()?;
            }
        }
        Ok(Self {
            by_kind,
            writes: 0.0,
        })
    }

    fn since(&self, before: &Self) -> Self {
        let mut by_kind = self.by_kind.clone();
        for (kind, count) in &mut by_kind {
            *count -= before.by_kind.get(kind).copied().unwrap_or(0.0);
        }
        by_kind.retain(|_, count| *count > 0.0);
        let writes = by_kind.iter().filter(|(kind, _)| !kind.starts_with("GET"));
        Self {
            writes: writes.map(|(_, count)| count).sum(),
            by_kind,
        }
    }

    fn told(&self) -> String {
        let kinds = self
            .by_kind
            .iter()
            .map(|(kind, count)| format!("{kind}: {count}"));
        kinds.collect::<Vec<_>>().join(", ")
    }
}

fn sum(metrics: &str, name: &str, wanted: impl Fn(&str) -> bool) -> f64 {
    metrics
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(series, _)| series.split('{').next() == Some(name) && wanted(series))
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}
