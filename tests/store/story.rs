//! The same steps on every store.

use jiff::ToSpan;
use sumsq::domain::agent_day::Day;
use sumsq::domain::fetch::{Outcome, ReadyPolicy, Trigger};
use sumsq::domain::plan::{CursorUpdate, FetchPlan, SlotCursor};
use sumsq::store::{SourceRef, Store, StoreError};

use crate::support::postgres::Postgres;
use crate::{begin, boxed, day, denied, end, imported, now, open, plan, source};

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/sumsq.db");
    let store = open(&format!("sqlite:{}", path.display())).await;
    tell(store.as_ref()).await;
    store.close().await;
}

#[tokio::test]
async fn on_postgres() {
    let postgres = Postgres::shared().await;
    let store = open(&postgres.url(&postgres.database())).await;
    tell(store.as_ref()).await;
    store.close().await;
}

pub async fn tell(store: &dyn Store) {
    store.ping().await.unwrap();
    a_fetch_replaces_days_and_leaves_the_others(store).await;
    an_unchanged_day_is_not_written(store).await;
    goals_that_are_absent_are_not_zero(store).await;
    a_slot_is_fetched_once(store).await;
    repeats_of_a_failure_are_one_record(store).await;
    tokens_count_as_handled_at_the_end(store).await;
    an_unfinished_fetch_is_found_and_taken_up(store).await;
    an_abandoned_fetch_leaves_no_trace(store).await;
    the_log_is_paged(store).await;
    a_new_object_has_the_data_and_not_the_past(store).await;
    retired_and_deleted_sources(store).await;
    sources_do_not_see_each_other(store).await;
    crate::catalogue::tell(store).await;
}

pub async fn import(
    store: &dyn Store,
    source: &SourceRef,
    days: Vec<(&str, i32, u64)>,
) -> (u64, u64) {
    store.observe(source, 10).await.unwrap();
    let fetch = store
        .begin_fetch(&begin(source, plan(Trigger::Manual)))
        .await
        .unwrap();
    let days = days
        .into_iter()
        .map(|(agent, number, value)| day(agent, number, value))
        .collect();
    let import = store
        .import(&end(source, fetch, imported(7)), boxed(days))
        .await
        .unwrap();
    (import.agent_days, import.changed_agent_days)
}

async fn visitors(store: &dyn Store, source: &SourceRef, agent: &str) -> Vec<(i32, u64)> {
    let days = store
        .agent_days(source.id, agent, Day::MIN, Day::MAX)
        .await
        .unwrap();
    days.iter()
        .map(|day| (day.day.0, day.cell(0).visitors))
        .collect()
}

async fn a_fetch_replaces_days_and_leaves_the_others(store: &dyn Store) {
    let source = source("replace");
    assert_eq!(
        import(
            store,
            &source,
            vec![("a", 1, 10), ("a", 2, 10), ("b", 2, 10)]
        )
        .await,
        (3, 3)
    );
    assert_eq!(
        import(store, &source, vec![("a", 2, 20), ("a", 3, 20)]).await,
        (2, 2)
    );
    assert_eq!(
        visitors(store, &source, "a").await,
        [(1, 10), (2, 20), (3, 20)]
    );
    assert_eq!(visitors(store, &source, "b").await, [(2, 10)]);
    let of_b = store
        .agent_days(source.id, "a", Day(2), Day(2))
        .await
        .unwrap();
    assert_eq!(
        of_b,
        [day("a", 2, 20)],
        "what was written is read, to the last digit"
    );

    let stored = store.observe(&source, 10).await.unwrap();
    assert_eq!((stored.agent_count, stored.rows), (2, Some(7)));
    assert_eq!(
        (stored.first_day, stored.last_day),
        (Some(Day(1)), Some(Day(3)))
    );
    assert_eq!(stored.agents, ["a", "b"]);
    assert_eq!(stored.etag.as_deref(), Some("\"etag\""));
    assert_eq!(stored.etag_fingerprint.as_deref(), Some("fingerprint"));
    assert_eq!(stored.history.len(), 2);
    assert_eq!(
        stored.last_success_at,
        Some(now().checked_add(2.seconds()).unwrap())
    );
    let agents = store.agents(source.id).await.unwrap();
    let shown: Vec<_> = agents
        .iter()
        .map(|agent| {
            (
                agent.code.as_str(),
                agent.days,
                agent.first_day.0,
                agent.last_day.0,
            )
        })
        .collect();
    assert_eq!(shown, [("a", 3, 1, 3), ("b", 1, 2, 2)]);
}

async fn an_unchanged_day_is_not_written(store: &dyn Store) {
    let source = source("unchanged");
    assert_eq!(
        import(store, &source, vec![("a", 1, 1), ("a", 2, 2)]).await,
        (2, 2)
    );
    assert_eq!(
        import(store, &source, vec![("a", 1, 1), ("a", 2, 3)]).await,
        (2, 1)
    );
    assert_eq!(
        import(store, &source, vec![("a", 1, 1), ("a", 2, 3)]).await,
        (2, 0)
    );
    // Many days in one go: more than one statement holds.
    let many: Vec<_> = (0..1000).map(|number| ("many", number, 5)).collect();
    assert_eq!(import(store, &source, many.clone()).await, (1000, 1000));
    assert_eq!(import(store, &source, many).await, (1000, 0));
    assert_eq!(visitors(store, &source, "many").await.len(), 1000);
}

async fn goals_that_are_absent_are_not_zero(store: &dyn Store) {
    let source = source("absent");
    store.observe(&source, 10).await.unwrap();
    let fetch = store
        .begin_fetch(&begin(&source, plan(Trigger::Manual)))
        .await
        .unwrap();
    let mut without = day("a", 2, 0);
    without.goals = Vec::new().into();
    let mut cells = without.cells.to_cells();
    for cell in &mut cells {
        cell.goals.clear();
    }
    without.cells = cells.into();
    let days = vec![day("a", 1, 0), without.clone()];
    store
        .import(&end(&source, fetch, imported(2)), boxed(days.clone()))
        .await
        .unwrap();
    assert_eq!(
        store
            .agent_days(source.id, "a", Day(0), Day(9))
            .await
            .unwrap(),
        days
    );
}

async fn a_slot_is_fetched_once(store: &dyn Store) {
    let source = source("slot");
    store.observe(&source, 10).await.unwrap();
    let for_slot = FetchPlan {
        slot: Some(now()),
        ..plan(Trigger::Schedule)
    };
    let fetch = store
        .begin_fetch(&begin(&source, for_slot.clone()))
        .await
        .unwrap();
    store
        .complete_fetch(&end(&source, fetch, Outcome::NotModified))
        .await
        .unwrap();
    let again = store.begin_fetch(&begin(&source, for_slot)).await;
    assert!(
        matches!(again, Err(StoreError::SlotTaken { .. })),
        "{again:?}"
    );
    assert_eq!(store.observe(&source, 10).await.unwrap().history.len(), 1);

    let update = |until, missed| CursorUpdate {
        cursor: SlotCursor {
            schedule: "0 9 * * * UTC".into(),
            until,
        },
        missed,
    };
    store
        .advance_cursor(source.id, &update(now(), 2))
        .await
        .unwrap();
    let mut begun = begin(&source, plan(Trigger::Schedule));
    let later = now().checked_add(24.hours()).unwrap();
    begun.cursor = Some(update(later, 3));
    let fetch = store.begin_fetch(&begun).await.unwrap();
    let stored = store.observe(&source, 10).await.unwrap();
    assert_eq!(stored.missed_fetches, 5);
    assert_eq!(stored.cursor.unwrap().until, later);
    store
        .complete_fetch(&end(&source, fetch, Outcome::NotModified))
        .await
        .unwrap();
}

async fn repeats_of_a_failure_are_one_record(store: &dyn Store) {
    let source = source("repeats");
    store.observe(&source, 10).await.unwrap();
    let fail = async |outcome: Outcome, plan: FetchPlan| {
        let fetch = store.begin_fetch(&begin(&source, plan)).await.unwrap();
        store
            .complete_fetch(&end(&source, fetch, outcome))
            .await
            .unwrap();
    };
    let with_policy = |message: &str| {
        let Outcome::Failed(mut error) = denied(message) else {
            unreachable!()
        };
        error.policies = vec![ReadyPolicy {
            target: "bucket policy".into(),
            statement: "{}".into(),
        }];
        Outcome::Failed(error)
    };
    for trigger in [Trigger::Created, Trigger::Retry, Trigger::Retry] {
        fail(with_policy("no"), plan(trigger)).await;
    }
    let stored = store.observe(&source, 10).await.unwrap();
    assert_eq!(stored.history.len(), 1);
    assert_eq!(
        (stored.history[0].attempts, stored.history[0].trigger),
        (3, Trigger::Created)
    );
    assert_eq!(stored.failures, 3);
    assert_eq!(stored.history[0].error().unwrap().policies.len(), 1);
    // Another failure is another record, and the older one loses its policies.
    fail(with_policy("still no"), plan(Trigger::Retry)).await;
    let stored = store.observe(&source, 10).await.unwrap();
    assert_eq!(
        stored
            .history
            .iter()
            .map(|record| record.attempts)
            .collect::<Vec<_>>(),
        [1, 3]
    );
    assert_eq!(stored.history[1].error().unwrap().policies, []);
    // A slot whose fetch became an attempt of an older record stays claimed.
    let for_slot = FetchPlan {
        slot: Some(now()),
        ..plan(Trigger::Schedule)
    };
    fail(denied("still no"), for_slot.clone()).await;
    assert_eq!(store.observe(&source, 10).await.unwrap().history.len(), 2);
    let again = store.begin_fetch(&begin(&source, for_slot)).await;
    assert!(matches!(again, Err(StoreError::SlotTaken { .. })));
    // The backoff starts anew where the plan says so, and ends with a success.
    let reset = FetchPlan {
        resets_backoff: true,
        ..plan(Trigger::Manual)
    };
    fail(denied("again"), reset).await;
    assert_eq!(store.observe(&source, 10).await.unwrap().failures, 1);
    fail(Outcome::NotModified, plan(Trigger::Retry)).await;
    let stored = store.observe(&source, 1).await.unwrap();
    assert_eq!((stored.failures, stored.history.len()), (0, 1));
}

async fn tokens_count_as_handled_at_the_end(store: &dyn Store) {
    let source = source("tokens");
    store.observe(&source, 10).await.unwrap();
    let asked = FetchPlan {
        request: Some("one".into()),
        force_request: Some("two".into()),
        ..plan(Trigger::Manual)
    };
    let fetch = store.begin_fetch(&begin(&source, asked)).await.unwrap();
    let stored = store.observe(&source, 10).await.unwrap();
    assert_eq!(
        (stored.handled_request, stored.handled_force_request),
        (None, None)
    );
    store
        .complete_fetch(&end(&source, fetch, denied("no")))
        .await
        .unwrap();
    let fetch = store
        .begin_fetch(&begin(&source, plan(Trigger::Retry)))
        .await
        .unwrap();
    store
        .complete_fetch(&end(&source, fetch, denied("no")))
        .await
        .unwrap();
    let stored = store.observe(&source, 10).await.unwrap();
    assert_eq!(stored.handled_request.as_deref(), Some("one"));
    assert_eq!(stored.handled_force_request.as_deref(), Some("two"));
}

async fn an_unfinished_fetch_is_found_and_taken_up(store: &dyn Store) {
    let source = source("unfinished");
    store.observe(&source, 10).await.unwrap();
    let for_slot = FetchPlan {
        slot: Some(now()),
        ..plan(Trigger::Schedule)
    };
    let fetch = store.begin_fetch(&begin(&source, for_slot)).await.unwrap();
    let stored = store.observe(&source, 10).await.unwrap();
    let row = stored.unfinished.unwrap();
    assert_eq!(
        (row.id, row.slot, row.trigger),
        (fetch, Some(now()), Trigger::Schedule)
    );
    assert_eq!(stored.history, []);
    let resumed = FetchPlan {
        resume: Some(fetch),
        slot: row.slot,
        ..plan(Trigger::Schedule)
    };
    assert_eq!(
        store
            .begin_fetch(&begin(&source, resumed.clone()))
            .await
            .unwrap(),
        fetch
    );
    store
        .complete_fetch(&end(&source, fetch, Outcome::NotModified))
        .await
        .unwrap();
    let stored = store.observe(&source, 10).await.unwrap();
    assert_eq!((stored.unfinished, stored.history.len()), (None, 1));
    let ended_twice = store
        .complete_fetch(&end(&source, fetch, Outcome::NotModified))
        .await;
    assert!(matches!(ended_twice, Err(StoreError::UnknownFetch(_))));
    let resumed = store.begin_fetch(&begin(&source, resumed)).await;
    assert!(matches!(resumed, Err(StoreError::UnknownFetch(_))));
}

async fn an_abandoned_fetch_leaves_no_trace(store: &dyn Store) {
    let source = source("abandoned");
    store.observe(&source, 10).await.unwrap();
    let fetch = store
        .begin_fetch(&begin(&source, plan(Trigger::Manual)))
        .await
        .unwrap();
    store.abandon_fetch(source.id, fetch).await.unwrap();
    // Its import comes too late.
    let late = store
        .import(
            &end(&source, fetch, imported(1)),
            boxed(vec![day("a", 1, 1)]),
        )
        .await;
    assert!(matches!(late, Err(StoreError::UnknownFetch(_))));
    let stored = store.observe(&source, 10).await.unwrap();
    assert_eq!(
        (stored.unfinished, stored.history.len(), stored.agent_count),
        (None, 0, 0)
    );
    assert_eq!(store.agents(source.id).await.unwrap(), []);
    // A slot that it had claimed is free again, and the cursor lies before it.
    let slot = now();
    let mut begun = begin(
        &source,
        FetchPlan {
            slot: Some(slot),
            ..plan(Trigger::Schedule)
        },
    );
    begun.cursor = Some(CursorUpdate {
        cursor: SlotCursor {
            schedule: "0 9 * * * UTC".into(),
            until: slot,
        },
        missed: 0,
    });
    let fetch = store.begin_fetch(&begun).await.unwrap();
    store.abandon_fetch(source.id, fetch).await.unwrap();
    let cursor = store.observe(&source, 10).await.unwrap().cursor.unwrap();
    assert!(cursor.until < slot, "it is due once more");
    let fetch = store.begin_fetch(&begun).await.unwrap();
    store
        .complete_fetch(&end(&source, fetch, Outcome::NotModified))
        .await
        .unwrap();
}

async fn the_log_is_paged(store: &dyn Store) {
    let source = source("paged");
    store.observe(&source, 10).await.unwrap();
    for _ in 0..5 {
        let fetch = store
            .begin_fetch(&begin(&source, plan(Trigger::Manual)))
            .await
            .unwrap();
        store
            .complete_fetch(&end(&source, fetch, Outcome::NotModified))
            .await
            .unwrap();
    }
    let first = store.fetches(source.id, 3, None).await.unwrap();
    let rest = store
        .fetches(source.id, 3, Some(first[2].id))
        .await
        .unwrap();
    assert_eq!((first.len(), rest.len()), (3, 2));
    let ids: Vec<_> = first.iter().chain(&rest).map(|record| record.id).collect();
    assert!(ids.is_sorted_by(|a, b| a > b), "newest first, none twice");
}

async fn a_new_object_has_the_data_and_not_the_past(store: &dyn Store) {
    let old = source("again");
    import(store, &old, vec![("a", 1, 1)]).await;
    store
        .set_reader(old.id, "arn:aws:iam::123456789012:role/r")
        .await
        .unwrap();
    assert!(store.observe(&old, 10).await.unwrap().reader.is_some());
    // Nobody reads is no reader's name.
    store.set_reader(old.id, "").await.unwrap();
    assert_eq!(store.observe(&old, 10).await.unwrap().reader, None);
    store.set_reader(old.id, "arn").await.unwrap();
    let new = SourceRef {
        uid: "another".into(),
        ..old.clone()
    };
    let stored = store.observe(&new, 10).await.unwrap();
    assert_eq!(
        (stored.history.len(), stored.last_success_at, stored.reader),
        (0, None, None)
    );
    assert_eq!(
        (stored.agent_count, stored.agents.as_slice()),
        (1, &["a".to_owned()][..])
    );
    assert_eq!(
        stored.etag.as_deref(),
        Some("\"etag\""),
        "the data are still that object's"
    );
    // A fetch that the old object began ends after it: what reports show has changed all the same.
    let version = async || {
        let found = store.source(&new.key).await.unwrap();
        found.unwrap().version
    };
    let late = begin(&old, plan(Trigger::Manual));
    let late = store.begin_fetch(&late).await.unwrap();
    let before = version().await;
    let days = boxed(vec![day("a", 1, 2)]);
    store
        .import(&end(&old, late, imported(1)), days)
        .await
        .unwrap();
    assert_eq!(visitors(store, &new, "a").await, [(1, 2)]);
    assert!(version().await > before);
}

async fn retired_and_deleted_sources(store: &dyn Store) {
    let source = source("retired");
    import(store, &source, vec![("a", 1, 1)]).await;
    let present = async || {
        let sources = store.sources().await.unwrap();
        sources
            .into_iter()
            .find(|row| row.id == source.id)
            .map(|row| row.present)
    };
    let is_named = async || {
        let named = store.present_sources().await.unwrap();
        named.contains(&(source.id, source.key.clone()))
    };
    assert_eq!(present().await, Some(true));
    assert!(is_named().await);
    store.retire(source.id).await.unwrap();
    assert_eq!(present().await, Some(false));
    assert!(!is_named().await);
    assert_eq!(visitors(store, &source, "a").await, [(1, 1)]);
    store.observe(&source, 10).await.unwrap();
    assert_eq!(present().await, Some(true));
    store.delete(source.id).await.unwrap();
    assert_eq!(present().await, None);
    assert_eq!(visitors(store, &source, "a").await, []);
    assert_eq!(store.fetches(source.id, 10, None).await.unwrap(), []);
}

async fn sources_do_not_see_each_other(store: &dyn Store) {
    let (one, other) = (source("one"), source("other"));
    import(store, &one, vec![("a", 1, 1)]).await;
    import(store, &other, vec![("a", 1, 2)]).await;
    store.delete(one.id).await.unwrap();
    assert_eq!(visitors(store, &other, "a").await, [(1, 2)]);
}
