//! The engine with everything real about it but the clock: SQLite in a folder, objects from a real
//! S3 endpoint in this process, and a gate before it that a test can shut.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use sumsq::domain::counts_csv::Means;
use sumsq::domain::fetch::{FetchRecord, Trigger};
use sumsq::domain::plan::{PlanSettings, Waiting};
use sumsq::ingest::engine::{Engine, Standing, Wanted};
use sumsq::ingest::pool::Pool;
use sumsq::ingest::{Ingest, NoProgress};
use sumsq::local::BucketServer;
use sumsq::metrics::Metrics;
use sumsq::object::{NoServiceAccounts, Objects, Setup, Timeouts};
use sumsq::store::Store;
use sumsq::store::sqlite::Sqlite;
use sumsq::validate::{self, Defaults};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;

/// Of this machine's own time, which has nothing to do with the clock.
const PATIENCE: Duration = Duration::from_secs(20);

const WORKERS: usize = 2;

pub(crate) const CSV: &str = "Date,Agent,Variation,Sels,sales,sales_sumsq\n\
    1767225600,checkout,A,100,7,7\n1767225600,checkout,B,100,9,9\n";

const MANIFEST: &str = "
apiVersion: sumsq.dev/v1alpha1
kind: DataSource
metadata: {name: counts, namespace: growth, uid: uid-1, generation: 1}
spec:
  goals: [{code: sales}]
  dating: Exposure
  schedule: '0 9 * * *'
  source:
    s3: {region: us-east-1, bucket: counts, key: counts.csv, endpoint: 'http://127.0.0.1:1',
         forcePathStyle: true, secretRef: {name: s3}}
";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) struct World {
    folder: TempDir,
    buckets: BucketServer,
    clock: Arc<Mutex<Timestamp>>,
    pub(crate) gate: Gate,
    pub(crate) wanted: Wanted,
    pub(crate) engine: Arc<Engine>,
    pool: Arc<Pool>,
    ended: mpsc::UnboundedReceiver<sumsq::domain::data_source::SourceKey>,
}

impl World {
    /// At `now`, with [`CSV`] in the bucket and nothing fetched.
    pub(crate) async fn new(now: &str) -> Self {
        Self::on(now, |store| Arc::new(store)).await
    }

    /// The same on a store that `dress` makes of the real one.
    pub(crate) async fn on(now: &str, dress: impl Fn(Sqlite) -> Arc<dyn Store>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("buckets/counts")).unwrap();
        let buckets = BucketServer::start(&folder.path().join("buckets"))
            .await
            .unwrap();
        let gate = Gate::before(buckets.endpoint()).await;
        let clock = Arc::new(Mutex::new(at(now)));
        let store = dress(open(&folder).await);
        let (engine, pool, ended) = engine(&folder, store, &buckets, &gate, &clock).await;
        let world = Self {
            wanted: wanted(MANIFEST),
            folder,
            buckets,
            clock,
            gate,
            engine,
            pool,
            ended,
        };
        world.put(Some(CSV));
        world
    }

    pub(crate) fn put(&self, csv: Option<&str>) {
        let path = self.folder.path().join("buckets/counts/counts.csv");
        match csv {
            Some(csv) => fs::write(path, csv).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
    }

    /// Whether the store can write down how fetches end.
    pub(crate) async fn log_ends(&self, can: bool) {
        let path = self.folder.path().join("sumsq.db");
        let options = SqliteConnectOptions::new().filename(path);
        let mut connection = options.connect().await.unwrap();
        let statement = if can {
            "DROP TRIGGER refused"
        } else {
            "CREATE TRIGGER refused BEFORE UPDATE OF completed_at ON \"fetch\" \
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        };
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    /// The same object with another spec.
    pub(crate) fn edit(&mut self, from: &str, to: &str) {
        assert!(MANIFEST.contains(from), "{from}");
        let edited = wanted(&MANIFEST.replace(from, to));
        self.wanted.source = edited.source;
    }

    pub(crate) fn after_seconds(&self, seconds: i64) -> Timestamp {
        *self.clock.lock().unwrap() + jiff::Span::new().seconds(seconds)
    }

    pub(crate) fn set(&self, now: &str) {
        *self.clock.lock().unwrap() = at(now);
    }

    /// To when the engine wants to look again, which it must not be kept from.
    pub(crate) fn pass(&self, standing: &Standing) -> Timestamp {
        let until = standing.until.expect("there is something to wait for");
        *self.clock.lock().unwrap() = until;
        until
    }

    /// Keeps every worker busy until what is returned is cancelled.
    pub(crate) async fn keep_workers_busy(&self) -> CancellationToken {
        let done = CancellationToken::new();
        for _ in 0..WORKERS {
            let (busy, is_busy) = oneshot::channel();
            let done = done.clone();
            let job = async move {
                busy.send(()).ok();
                done.cancelled().await;
            };
            self.pool.submit("busy", job.boxed());
            tokio::time::timeout(PATIENCE, is_busy)
                .await
                .expect("a worker is free")
                .expect("it takes the job");
        }
        done
    }

    /// Begins what is due, lets it end, and says how it stands then.
    pub(crate) async fn settle(&mut self) -> Standing {
        self.until(|standing| standing.reason != Waiting::ForFetch)
            .await
    }

    /// Begins what is due; at the gate it stays.
    pub(crate) async fn begin(&mut self) -> Standing {
        let under_way = |standing: &Standing| {
            let flight = standing.in_flight.as_ref();
            flight.is_some_and(|flight| flight.started_at.is_some())
                && standing.stored.unfinished.is_some()
        };
        let standing = self.until(under_way).await;
        self.gate.has_somebody_waiting().await;
        standing
    }

    /// So that only what comes from now on is news.
    pub(crate) fn forget_news(&mut self) {
        while self.ended.try_recv().is_ok() {}
    }

    /// Waits for so many ends of fetches.
    pub(crate) async fn has_news(&mut self, count: usize) {
        for _ in 0..count {
            let news = tokio::time::timeout(PATIENCE, self.ended.recv());
            news.await.expect("there is news").expect("the engine runs");
        }
    }

    async fn until(&mut self, wanted: impl Fn(&Standing) -> bool) -> Standing {
        let story = async {
            loop {
                let standing = self.engine.advance(&self.wanted).await.unwrap();
                if wanted(&standing) {
                    return standing;
                }
                // A fetch that has begun is logged a moment later, and nobody is told of that.
                let told = tokio::time::timeout(Duration::from_millis(5), self.ended.recv());
                told.await.ok();
            }
        };
        tokio::time::timeout(PATIENCE, story)
            .await
            .expect("it comes about")
    }

    /// Another engine on the same store comes to lead, in a term of its own, while the one before,
    /// which is returned, does not know it. Its store is what `dress` makes of the real one.
    pub(crate) async fn follow(&mut self, dress: impl Fn(Sqlite) -> Arc<dyn Store>) -> Arc<Engine> {
        let store = dress(open(&self.folder).await);
        store.begin_term().await.unwrap();
        let (engine, pool, ended) =
            engine(&self.folder, store, &self.buckets, &self.gate, &self.clock).await;
        (self.pool, self.ended) = (pool, ended);
        std::mem::replace(&mut self.engine, engine)
    }

    /// Ends the engine as a signal would, leaving what is under way, and starts another on the
    /// same store.
    pub(crate) async fn restart(&mut self) {
        self.engine.shut_down(Duration::ZERO).await;
        self.engine.store().close().await;
        let store = Arc::new(open(&self.folder).await);
        let (engine, pool, ended) =
            engine(&self.folder, store, &self.buckets, &self.gate, &self.clock).await;
        (self.engine, self.pool, self.ended) = (engine, pool, ended);
    }
}

fn wanted(manifest: &str) -> Wanted {
    let resource = &validate::manifest(manifest).unwrap().data_sources[0];
    let defaults = Defaults {
        default_time_zone: "UTC".to_owned(),
    };
    let source = validate::data_source(resource, "growth", &defaults).unwrap();
    Wanted {
        source: Arc::new(source),
        requested: None,
        force_requested: None,
    }
}

async fn open(folder: &TempDir) -> Sqlite {
    Sqlite::open(&folder.path().join("sumsq.db")).await.unwrap()
}

async fn engine(
    folder: &TempDir,
    store: Arc<dyn Store>,
    buckets: &BucketServer,
    gate: &Gate,
    clock: &Arc<Mutex<Timestamp>>,
) -> (
    Arc<Engine>,
    Arc<Pool>,
    mpsc::UnboundedReceiver<sumsq::domain::data_source::SourceKey>,
) {
    let metrics = Arc::new(Metrics::new().unwrap());
    // What is cancelled must not wait for anything, and be it only to learn whose identity reads.
    let timeouts = Timeouts {
        reader: Duration::from_hours(1),
        ..Timeouts::default()
    };
    let clock = Arc::clone(clock);
    let ingest = Ingest {
        objects: Objects::with(Setup {
            endpoint: Some(gate.endpoint()),
            timeouts,
            ..Setup::default()
        })
        .await,
        store,
        secrets: Arc::new(buckets.secrets()),
        accounts: Arc::new(NoServiceAccounts),
        progress: Arc::new(NoProgress),
        means: Means::new(Means::DEFAULT_MEMORY, folder.path().to_owned()),
        clock: Arc::new(move || *clock.lock().unwrap()),
    };
    let settings = PlanSettings {
        schedule_jitter: Duration::ZERO,
    };
    let pool = Pool::start(WORKERS, false, Arc::clone(&metrics));
    let (engine, ended) = Engine::new(ingest, Arc::clone(&pool), metrics, settings);
    (engine, pool, ended)
}

/// What ran and what came of it, newest first.
pub(crate) fn told(standing: &Standing) -> Vec<(Trigger, &str, u32)> {
    let told = |record: &FetchRecord| {
        let outcome = match record.error() {
            Some(error) => error.class.as_str(),
            None => record.outcome.as_ref().unwrap().as_str(),
        };
        (record.trigger, outcome, record.attempts)
    };
    // Errors' names are of a closed list, and so for ever.
    standing.stored.history.iter().map(told).collect()
}
