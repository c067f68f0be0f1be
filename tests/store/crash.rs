//! A process that is killed in the middle of an import, many times over, with a reader looking on:
//! it sees the old data or the new, never a mixture, and the next start finishes the job.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use sumsq::domain::agent_day::Day;
use sumsq::domain::fetch::Trigger;
use sumsq::store::{Store, StoreError};

use crate::support::postgres::Postgres;
use crate::{begin, boxed, day, end, imported, open, plan, source};

const DAYS: i32 = 400;
/// Where the process that is to be killed finds the store; also what makes this test binary it.
const CHILD: &str = "SUMSQ_CRASH_TEST_STORE";

/// Not a test of its own: what the child process runs.
#[tokio::test]
async fn import_for_ever() {
    let Ok(address) = std::env::var(CHILD) else {
        return;
    };
    let store = open(&address).await;
    let source = source("crash");
    loop {
        let stored = store.observe(&source, 1).await.unwrap();
        // A fetch that was left behind is taken up.
        let mut plan = plan(Trigger::Manual);
        plan.resume = stored.unfinished.map(|row| row.id);
        let fetch = store.begin_fetch(&begin(&source, plan)).await.unwrap();
        let version = stored.rows.unwrap_or(0) + 1;
        let days = (0..DAYS).map(|number| day("a", number, version)).collect();
        store
            .import(&end(&source, fetch, imported(version)), boxed(days))
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_the_old_data_or_the_new_whenever_the_writer_dies_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}/sumsq.db", folder.path().display());
    writers_die(&address, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_the_old_data_or_the_new_whenever_the_writer_dies_on_postgres() {
    let postgres = Postgres::shared().await;
    // Where a start and a commit take a multiple of SQLite's.
    let address = postgres.socket_url(&postgres.database());
    writers_die(&address, 40).await;
}

async fn writers_die(address: &str, kills: u64) {
    let store = open(address).await;
    let source = source("crash");
    store.observe(&source, 1).await.unwrap();

    let (stop, looks) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let reader = tokio::spawn({
        let (store, stop, looks) = (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&looks));
        async move {
            let mut newest = 0;
            while !stop.load(Ordering::Relaxed) {
                if let Some(version) = seen(store.as_ref()).await {
                    assert!(version >= newest, "what was committed was lost");
                    newest = version;
                }
                looks.fetch_add(1, Ordering::Relaxed);
            }
            newest
        }
    });
    let mut random = rand::rng();
    for _ in 0..kills {
        let before = rows(store.as_ref()).await;
        let mut child = start(address);
        // It is past its start when it has imported once; then it dies at any moment of the next.
        let deadline = Instant::now() + Duration::from_mins(1);
        while rows(store.as_ref()).await == before {
            assert!(Instant::now() < deadline, "nothing is imported");
            assert!(child.try_wait().unwrap().is_none(), "the importer ended");
            tokio::task::yield_now().await;
        }
        let moment = Instant::now() + Duration::from_micros(random.random_range(0..40_000));
        while Instant::now() < moment {
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let newest = reader.await.unwrap();
    assert!(
        newest >= kills,
        "each start has imported at least once: {newest}"
    );
    assert!(looks.load(Ordering::Relaxed) > kills);
    // Whatever the last one left behind is finished by the next start.
    let stored = store.observe(&source, 1).await.unwrap();
    if let Some(row) = stored.unfinished {
        let mut plan = plan(Trigger::Manual);
        plan.resume = Some(row.id);
        let fetch = store.begin_fetch(&begin(&source, plan)).await.unwrap();
        let days = (0..DAYS)
            .map(|number| day("a", number, newest + 1))
            .collect();
        store
            .import(&end(&source, fetch, imported(newest + 1)), boxed(days))
            .await
            .unwrap();
        assert_eq!(seen(store.as_ref()).await, Some(newest + 1));
    }
}

fn start(address: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::import_for_ever",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD, address)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The one version that all days have; None while there are none.
async fn seen(store: &dyn Store) -> Option<u64> {
    let days = match store
        .agent_days(source("crash").id, "a", Day::MIN, Day::MAX)
        .await
    {
        Ok(days) => days,
        Err(StoreError::Database(error)) => panic!("the reader is disturbed: {error}"),
        Err(error) => panic!("{error}"),
    };
    let version = days.first()?.cell(0).visitors;
    assert_eq!(days.len(), DAYS as usize, "some days are missing");
    for (number, read) in (0..).zip(&days) {
        assert_eq!(*read, day("a", number, version), "a mixture");
    }
    Some(version)
}

async fn rows(store: &dyn Store) -> Option<u64> {
    store.observe(&source("crash"), 1).await.unwrap().rows
}
