//! Our own way, each step in a process of its own, which says how long it took and how much memory
//! it has held at most.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use jiff::Timestamp;
use sumsq::app::open_store;
use sumsq::args::StoreAddress;
use sumsq::domain::agent_day::{AgentDay, CellView, Day};
use sumsq::domain::counts_csv::Means;
use sumsq::domain::data_source::DataSource;
use sumsq::domain::fetch::{FetchError, Outcome, Trigger};
use sumsq::domain::plan::FetchPlan;
use sumsq::ingest::{Credentials, Ended, Ingest, Known, NoProgress, Secrets};
use sumsq::object::{NoServiceAccounts, Objects, SecretCredentials};
use sumsq::store::{BeginFetch, SourceRef, Store};
use sumsq::validate::{self, Defaults};
use tokio_util::sync::CancellationToken;

const AGENT: &str = "agent-7";

struct AnyCredentials;

#[async_trait]
impl Secrets for AnyCredentials {
    async fn read(&self, _: &str, _: &str) -> Result<SecretCredentials, FetchError> {
        Ok(SecretCredentials {
            access_key_id: "compare".to_owned(),
            secret_access_key: "compare".to_owned(),
            session_token: None,
            session: None,
        })
    }
}

/// The data source that reads `counts/KEY`.
fn source(key: &str, goals: usize) -> Result<DataSource> {
    let goals: Vec<String> = (1..=goals)
        .map(|number| format!("{{code: goal-{number}, numeric: true}}"))
        .collect();
    let yaml = format!(
        "apiVersion: sumsq.dev/v1alpha1\nkind: DataSource\nmetadata: {{name: counts, namespace: compare, uid: uid}}\n\
         spec:\n  goals: [{}]\n  maxObjectBytes: 64Gi\n  timeoutSeconds: 3600\n  source:\n    s3: {{region: us-east-1, \
         bucket: counts, key: {key}, accountId: \"123456789012\", secretRef: {{name: any}}}}\n",
        goals.join(", ")
    );
    let mut manifest = validate::manifest(&yaml)?;
    let resource = manifest.data_sources.pop().context("no data source")?;
    let defaults = Defaults {
        default_time_zone: "UTC".to_owned(),
    };
    match validate::data_source(&resource, "compare", &defaults) {
        Ok(source) => Ok(source),
        Err(problems) => bail!("{problems:?}"),
    }
}

/// Fetches the object and prints seconds from the request to the commit, agent days changed, and
/// the most memory in KiB.
pub async fn import(store: &str, endpoint: &str, key: &str, goals: usize) -> Result<()> {
    let address: StoreAddress = store.parse().map_err(anyhow::Error::msg)?;
    let folder = address
        .folder()
        .map_or_else(std::env::temp_dir, Path::to_owned);
    let store: Arc<dyn Store> = open_store(&address).await?;
    let source = source(key, goals)?;
    let reference = SourceRef {
        id: source.id,
        key: source.key.clone(),
        uid: source.uid.clone(),
    };
    store.observe(&reference, 1).await?;
    let ingest = Ingest {
        objects: Objects::new(endpoint.to_owned()).await,
        store: Arc::clone(&store),
        secrets: Arc::new(AnyCredentials),
        accounts: Arc::new(NoServiceAccounts),
        progress: Arc::new(NoProgress),
        means: Means::new(Means::DEFAULT_MEMORY, folder),
        clock: Arc::new(Timestamp::now),
    };
    let started = Instant::now();
    let begin = BeginFetch {
        source: source.id,
        uid: source.uid.clone(),
        plan: FetchPlan {
            trigger: Trigger::Manual,
            resume: None,
            slot: None,
            request: None,
            force_request: None,
            ignore_etag: true,
            resets_backoff: false,
        },
        cursor: None,
        fingerprint: source.fingerprint(),
        started_at: Timestamp::now(),
    };
    let fetch = store.begin_fetch(&begin).await?;
    let ended = ingest
        .run(
            &source,
            fetch,
            Known::default(),
            &Credentials::default(),
            &CancellationToken::new(),
        )
        .await?;
    let seconds = started.elapsed().as_secs_f64();
    let Ended::Logged(Outcome::Imported(import)) = ended else {
        bail!("{ended:?}");
    };
    store.close().await;
    println!("{seconds} {} {}", import.changed_agent_days, peak_kib()?);
    Ok(())
}

/// One variation's sums of one day: visitors, and of each goal all four numbers.
#[derive(Default)]
struct Sums {
    visitors: u64,
    goals: Vec<[i128; 4]>,
}

impl Sums {
    fn add(&mut self, cell: &CellView<'_>) {
        self.visitors += cell.visitors;
        for (sum, counts) in self.goals.iter_mut().zip(cell.goals) {
            let values = counts.values.unwrap_or_default();
            sum[0] += i128::from(counts.count);
            sum[1] += counts.count_sumsq.cast_signed();
            sum[2] += values.sum.units;
            sum[3] += values.sumsq.units;
        }
    }
}

/// What the rivals' `SELECT ... GROUP BY` answers: every column's sum by variation and day.
fn sums(days: &[AgentDay]) -> BTreeMap<(&str, Day), Sums> {
    let mut sums = BTreeMap::<_, Sums>::new();
    for day in days {
        let mut place = 0;
        for arm in day.cells.keys().chunk_by(|a, b| a.variation == b.variation) {
            let of_arm = sums.entry((&*arm[0].variation, day.day)).or_default();
            of_arm.goals.resize(day.goals.len(), [0; 4]);
            for cell in day.cells.range(place..place + arm.len()) {
                of_arm.add(&cell);
            }
            place += arm.len();
        }
    }
    sums
}

/// Reads one agent's days and adds them up as the rivals do, 21 times; prints the median in seconds
/// and the visitors, by which the answers are compared.
pub async fn query(store: &str) -> Result<()> {
    let address: StoreAddress = store.parse().map_err(anyhow::Error::msg)?;
    let store = open_store(&address).await?;
    let source = source("any", 1)?;
    let (mut times, mut visitors) = (Vec::new(), 0_u64);
    for _ in 0..21 {
        let begun = Instant::now();
        let days = store
            .agent_days(source.id, AGENT, Day::MIN, Day::MAX)
            .await?;
        let sums = sums(&days);
        times.push(begun.elapsed().as_secs_f64());
        anyhow::ensure!(!sums.is_empty(), "the store holds nothing of {AGENT}");
        visitors = sums.values().map(|sums| sums.visitors).sum();
    }
    times.sort_unstable_by(f64::total_cmp);
    store.close().await;
    println!("{} {visitors}", times[times.len() / 2]);
    Ok(())
}

/// The most memory that this process has held, in KiB. Linux alone tells.
fn peak_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
