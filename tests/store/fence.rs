//! Of two processes that both believe to lead, the one of the earlier term is refused.

use std::sync::Arc;
use std::time::Duration;

use sumsq::domain::agent::{Agent, AgentResource};
use sumsq::domain::agent_day::{AgentDay, Day};
use sumsq::domain::fetch::{Outcome, Trigger};
use sumsq::domain::plan::{CursorUpdate, FetchPlan, SlotCursor};
use sumsq::store::{SourceRef, Store, StoreError};
use uuid::Uuid;

use crate::catalogue::description;
use crate::support::postgres::Postgres;
use crate::{begin, boxed, day, denied, end, imported, now, open, plan, source};

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("sumsq.db").display());
    tell(&address).await;
}

#[tokio::test]
async fn on_postgres() {
    let postgres = Postgres::shared().await;
    tell(&postgres.url(&postgres.database())).await;
}

/// `before` has led until now, and does not know that `after` does.
async fn tell(address: &str) {
    let (before, after) = (open(address).await, open(address).await);
    assert!(!before.take(source("any").id).await.unwrap(), "no term yet");
    assert_eq!(before.begin_term().await.unwrap(), 1);
    let (before, after) = (before.as_ref(), after.as_ref());
    what_was_not_committed_is_refused(before, after).await;
    whoever_takes_over_goes_on_from_the_log(before, after).await;
    nothing_at_all_is_written_any_more(before, after).await;
    a_slot_stays_claimed(before, after).await;
    agents_are_fenced_by_their_namespace(before, after).await;
    who_has_no_term_is_refused_nothing(address, after).await;
}

fn is_fenced<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    match result {
        Err(StoreError::Fenced { term: 1, newer: 2 }) => {}
        other => panic!("{other:?}"),
    }
}

async fn visitors(store: &dyn Store, source: &SourceRef) -> Vec<u64> {
    let days = store.agent_days(source.id, "a", Day::MIN, Day::MAX).await;
    days.unwrap()
        .iter()
        .map(|day| day.cell(0).visitors)
        .collect()
}

async fn begun(store: &dyn Store, source: &SourceRef, plan: FetchPlan) -> Uuid {
    store.observe(source, 10).await.unwrap();
    store.begin_fetch(&begin(source, plan)).await.unwrap()
}

async fn what_was_not_committed_is_refused(before: &dyn Store, after: &dyn Store) {
    let (taken, other) = (source("taken"), source("not taken yet"));
    let fetch = begun(before, &taken, plan(Trigger::Created)).await;
    let fetch_of_other = begun(before, &other, plan(Trigger::Created)).await;
    assert_eq!(after.begin_term().await.unwrap(), 2);
    assert!(after.take(taken.id).await.unwrap());
    let days = || boxed(vec![day("a", 1, 7)]);
    let refused = before
        .import(&end(&taken, fetch, imported(1)), days())
        .await;
    let told = refused.as_ref().unwrap_err().to_string();
    assert_eq!(
        told,
        "another operator has taken over: this one began term 1, and what it would change was \
         written in term 2"
    );
    is_fenced(refused);
    assert_eq!(visitors(after, &taken).await, [0; 0]);
    // What is not taken yet may still land, wholly before the takeover.
    let landed = before
        .import(&end(&other, fetch_of_other, imported(1)), days())
        .await;
    assert_eq!(landed.unwrap().changed_agent_days, 1);
    assert!(after.take(other.id).await.unwrap());
    let stored = after.observe(&other, 10).await.unwrap();
    assert_eq!((stored.unfinished, stored.rows), (None, Some(1)));
    is_fenced(before.take(other.id).await);
}

async fn whoever_takes_over_goes_on_from_the_log(before: &dyn Store, after: &dyn Store) {
    let source = source("taken up");
    let fetch = begun(before, &source, plan(Trigger::Manual)).await;
    after.take(source.id).await.unwrap();
    let stored = after.observe(&source, 10).await.unwrap();
    assert_eq!(
        stored.unfinished.map(|unfinished| unfinished.id),
        Some(fetch)
    );
    let resume = FetchPlan {
        resume: Some(fetch),
        ..plan(Trigger::Manual)
    };
    let resumed = after.begin_fetch(&begin(&source, resume)).await.unwrap();
    assert_eq!(resumed, fetch);
    is_fenced(
        before
            .complete_fetch(&end(&source, fetch, denied("stale")))
            .await,
    );
    let days = || boxed(vec![day("a", 1, 8)]);
    is_fenced(
        before
            .import(&end(&source, fetch, imported(1)), days())
            .await,
    );
    after
        .import(&end(&source, fetch, imported(1)), days())
        .await
        .unwrap();
    let stored = after.observe(&source, 10).await.unwrap();
    assert_eq!(stored.history.len(), 1);
    assert!(matches!(
        stored.history[0].outcome,
        Some(Outcome::Imported(_))
    ));
}

async fn nothing_at_all_is_written_any_more(before: &dyn Store, after: &dyn Store) {
    let source = source("left alone");
    let fetch = begun(before, &source, plan(Trigger::Manual)).await;
    after.take(source.id).await.unwrap();
    let observed = async |store: &dyn Store| {
        let stored = store.observe(&source, 10).await.unwrap();
        format!("{stored:?}")
    };
    let seen = observed(after).await;
    let cursor = CursorUpdate {
        cursor: SlotCursor {
            schedule: "0 9 * * *".into(),
            until: now(),
        },
        missed: 3,
    };
    let made_anew = SourceRef {
        uid: "another".into(),
        ..source.clone()
    };
    is_fenced(before.observe(&made_anew, 10).await);
    is_fenced(before.advance_cursor(source.id, &cursor).await);
    is_fenced(before.set_reader(source.id, "arn").await);
    is_fenced(before.describe(source.id, &description("stale")).await);
    is_fenced(
        before
            .begin_fetch(&begin(&source, plan(Trigger::Manual)))
            .await,
    );
    is_fenced(
        before
            .complete_fetch(&end(&source, fetch, Outcome::NotModified))
            .await,
    );
    is_fenced(
        before
            .import(&end(&source, fetch, imported(1)), boxed(vec![]))
            .await,
    );
    is_fenced(before.abandon_fetch(source.id, fetch).await);
    is_fenced(before.retire(source.id).await);
    is_fenced(before.delete(source.id).await);
    assert_eq!(observed(after).await, seen);
    // It may look.
    assert_eq!(observed(before).await, seen);
}

async fn a_slot_stays_claimed(before: &dyn Store, after: &dyn Store) {
    let source = source("slots");
    let of_slot = FetchPlan {
        slot: Some(now()),
        ..plan(Trigger::Schedule)
    };
    let fetch = begun(before, &source, of_slot.clone()).await;
    let again = after.begin_fetch(&begin(&source, of_slot.clone())).await;
    assert!(
        matches!(again, Err(StoreError::SlotTaken { .. })),
        "{again:?}"
    );
    after.take(source.id).await.unwrap();
    is_fenced(
        before
            .import(&end(&source, fetch, imported(1)), boxed(vec![]))
            .await,
    );
    // It is not lost, either: the log has it as begun.
    let unfinished = after
        .observe(&source, 10)
        .await
        .unwrap()
        .unfinished
        .unwrap();
    assert_eq!((unfinished.id, unfinished.slot), (fetch, Some(now())));
}

async fn agents_are_fenced_by_their_namespace(before: &dyn Store, after: &dyn Store) {
    let agent = |namespace: &str, uid: &str| AgentResource {
        namespace: namespace.into(),
        name: "checkout".into(),
        uid: uid.into(),
        created_at: now(),
        agent: Agent {
            code: "checkout".into(),
            display_name: None,
            goals: Vec::new(),
            baseline: None,
            target_lift: None,
            variations: Vec::new(),
        },
    };
    assert!(before.put_agent(&agent("one", "a")).await.unwrap());
    assert!(after.put_agent(&agent("one", "b")).await.unwrap());
    is_fenced(before.put_agent(&agent("one", "c")).await);
    is_fenced(before.remove_agent("one", "checkout").await);
    let held = after.agent_resources(Some("one")).await.unwrap();
    assert_eq!(held[0].uid, "b");
    assert!(before.put_agent(&agent("two", "a")).await.unwrap());
    // One that is gone does not come back.
    after.remove_agent("two", "checkout").await.unwrap();
    is_fenced(before.put_agent(&agent("two", "a")).await);
}

async fn who_has_no_term_is_refused_nothing(address: &str, after: &dyn Store) {
    let source = source("tools");
    after.observe(&source, 1).await.unwrap();
    after.take(source.id).await.unwrap();
    let tool = open(address).await;
    tool.retire(source.id).await.unwrap();
    assert!(!tool.take(source.id).await.unwrap());
    let store = open(address).await;
    assert_eq!(store.begin_term().await.unwrap(), 3, "terms rise for good");
}

/// Days that come when they are let.
struct Held {
    days: std::vec::IntoIter<AgentDay>,
    gate: Arc<std::sync::Barrier>,
    passed: bool,
}

impl Iterator for Held {
    type Item = AgentDay;

    fn next(&mut self) -> Option<AgentDay> {
        if !self.passed {
            self.gate.wait();
            self.passed = true;
        }
        self.days.next()
    }
}

#[tokio::test]
async fn a_takeover_waits_for_the_import_that_is_being_committed() {
    let postgres = Postgres::shared().await;
    let database = postgres.database();
    let address = postgres.url(&database);
    let (before, after) = (open(&address).await, open(&address).await);
    let source = source("under way");
    before.begin_term().await.unwrap();
    let fetch = begun(before.as_ref(), &source, plan(Trigger::Manual)).await;
    after.begin_term().await.unwrap();
    let gate = Arc::new(std::sync::Barrier::new(2));
    let days = Held {
        days: vec![day("a", 1, 5)].into_iter(),
        gate: Arc::clone(&gate),
        passed: false,
    };
    let ending = end(&source, fetch, imported(1));
    let importing = tokio::spawn({
        let before = Arc::clone(&before);
        async move { before.import(&ending, Box::new(days)).await }
    });
    let holds = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND state = 'idle in transaction'";
    postgres.wait_until(&database, holds, "1").await;
    let taking = tokio::spawn({
        let (after, id) = (Arc::clone(&after), source.id);
        async move { after.take(id).await }
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock'";
    postgres.wait_until(&database, waits, "1").await;
    assert!(!taking.is_finished());
    tokio::task::spawn_blocking(move || gate.wait())
        .await
        .unwrap();
    importing.await.unwrap().unwrap();
    assert!(taking.await.unwrap().unwrap());
    assert_eq!(visitors(after.as_ref(), &source).await, [5]);
    let stored = after.observe(&source, 10).await.unwrap();
    assert_eq!(stored.unfinished, None);
    is_fenced(before.retire(source.id).await);
}

/// As a process is that SIGSTOP has met in the middle of its transaction.
#[tokio::test]
async fn the_lock_of_a_frozen_writer_ends_and_its_commit_is_refused() {
    let postgres = Postgres::shared().await;
    let database = postgres.database();
    let address = postgres.url(&database);
    let (before, after) = (open(&address).await, open(&address).await);
    let source = source("frozen");
    before.begin_term().await.unwrap();
    let fetch = begun(before.as_ref(), &source, plan(Trigger::Manual)).await;
    let gate = Arc::new(std::sync::Barrier::new(2));
    let days = Held {
        days: vec![day("a", 1, 5)].into_iter(),
        gate: Arc::clone(&gate),
        passed: false,
    };
    let ending = end(&source, fetch, imported(1));
    let importing = tokio::spawn({
        let before = Arc::clone(&before);
        async move { before.import(&ending, Box::new(days)).await }
    });
    let holds = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND state = 'idle in transaction'";
    postgres.wait_until(&database, holds, "1").await;
    after.begin_term().await.unwrap();
    let begun = std::time::Instant::now();
    assert!(after.take(source.id).await.unwrap());
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    tokio::task::spawn_blocking(move || gate.wait())
        .await
        .unwrap();
    importing.await.unwrap().unwrap_err();
    assert_eq!(visitors(after.as_ref(), &source).await, [0; 0]);
    is_fenced(
        before
            .complete_fetch(&end(&source, fetch, denied("late")))
            .await,
    );
}
