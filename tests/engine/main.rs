//! The engine on a fake clock: days of schedules, backoff, restarts and cancelling, with a real
//! store and real objects, in milliseconds.

mod gate;
mod late;
mod terms;
mod world;

use sumsq::domain::fetch::Trigger;
use sumsq::domain::plan::Waiting;
use sumsq::ingest::engine::Standing;

use world::{CSV, World, at, told};

#[tokio::test]
async fn a_new_object_is_fetched_at_once_and_each_slot_once() {
    let mut world = World::new("2026-01-01T08:00:00Z").await;
    let mut standing = world.settle().await;
    assert_eq!(told(&standing), [(Trigger::Created, "Imported", 1)]);
    for morning in [
        "2026-01-01T09:00:00Z",
        "2026-01-02T09:00:00Z",
        "2026-01-03T09:00:00Z",
    ] {
        assert_eq!(standing.next_fetch, Some(at(morning)));
        assert_eq!(world.pass(&standing), at(morning));
        standing = world.settle().await;
        let newest = &standing.stored.history[0];
        assert_eq!(newest.trigger, Trigger::Schedule);
        assert_eq!(newest.started_at, at(morning));
        // A restart at that moment finds the slot in the log.
        world.restart().await;
        standing = world.settle().await;
    }
    assert_eq!(standing.stored.history.len(), 4);
    assert_eq!(standing.stored.missed_fetches, 0);
}

#[tokio::test]
async fn what_waits_for_a_worker_wants_a_look_only_where_somebody_waits_for_it() {
    let mut world = World::new("2026-01-01T08:00:00Z").await;
    let standing = world.settle().await;
    let busy = world.keep_workers_busy().await;
    let queued = |standing: &Standing| {
        let flight = standing.in_flight.as_ref().unwrap();
        assert_eq!(flight.started_at, None);
        (flight.trigger, standing.until)
    };
    world.pass(&standing);
    let standing = world.engine.advance(&world.wanted).await.unwrap();
    assert_eq!(queued(&standing), (Trigger::Schedule, None));
    busy.cancel();
    world.settle().await;

    let busy = world.keep_workers_busy().await;
    world.wanted.requested = Some("now".to_owned());
    let standing = world.engine.advance(&world.wanted).await.unwrap();
    let half_a_minute = Some(at("2026-01-01T09:00:30Z"));
    assert_eq!(queued(&standing), (Trigger::Manual, half_a_minute));
    busy.cancel();
    let standing = world.settle().await;
    assert_eq!(standing.stored.handled_request.as_deref(), Some("now"));
}

#[tokio::test]
async fn a_failure_is_tried_again_with_backoff_until_it_mends() {
    let mut world = World::new("2026-01-01T10:00:00Z").await;
    world.put(None);
    let begun = at("2026-01-01T10:00:00Z");
    let mut standing = world.settle().await;
    let mut seconds = Vec::new();
    for attempt in 1..=4 {
        assert_eq!(told(&standing), [(Trigger::Created, "NoSuchKey", attempt)]);
        assert_eq!(standing.reason, Waiting::ForRetry);
        seconds.push(world.pass(&standing).duration_since(begun).as_secs());
        if attempt == 3 {
            // The backoff is in the store, not in memory.
            world.restart().await;
        }
        standing = world.settle().await;
    }
    assert_eq!(seconds, [30, 90, 210, 450]);
    world.put(Some(CSV));
    world.pass(&standing);
    let standing = world.settle().await;
    let expected = [
        (Trigger::Retry, "Imported", 1),
        (Trigger::Created, "NoSuchKey", 5),
    ];
    assert_eq!(told(&standing), expected);
    assert_eq!(standing.stored.failures, 0);
    assert_eq!(standing.until, Some(at("2026-01-02T09:00:00Z")));
}

#[tokio::test]
async fn a_slot_missed_by_more_than_its_deadline_is_skipped_and_counted() {
    let mut world = World::new("2026-01-01T10:00:00Z").await;
    world.settle().await;
    // Twelve hours and a second after the third slot.
    world.set("2026-01-04T21:00:01Z");
    let standing = world.settle().await;
    assert_eq!(standing.stored.history.len(), 1);
    assert_eq!(standing.stored.missed_fetches, 3);
    // Twelve hours after the fifth: it runs, and the fourth is counted.
    world.set("2026-01-06T21:00:00Z");
    let standing = world.settle().await;
    assert_eq!(told(&standing)[0].0, Trigger::Schedule);
    assert_eq!(standing.stored.history.len(), 2);
    assert_eq!(standing.stored.missed_fetches, 4);
    // What was counted is in the store.
    world.restart().await;
    assert_eq!(world.settle().await.stored.missed_fetches, 4);
}

#[tokio::test]
async fn another_spec_cancels_what_is_under_way() {
    let mut world = World::new("2026-01-01T10:00:00Z").await;
    world.gate.shut();
    let standing = world.begin().await;
    let cancelled = standing.stored.unfinished.unwrap();
    world.edit("dating: Exposure", "dating: Event");
    let standing = world.begin().await;
    let begun = standing.stored.unfinished.unwrap();
    assert_ne!(begun.id, cancelled.id);
    assert_ne!(begun.fingerprint, cancelled.fingerprint);
    world.gate.open();
    let standing = world.settle().await;
    assert_eq!(told(&standing), [(Trigger::Created, "Imported", 1)]);
    assert_eq!(standing.stored.history[0].id, begun.id);
    assert_eq!(standing.stored.unfinished, None, "it left nothing behind");
}

#[tokio::test]
async fn a_fetch_that_a_restart_cuts_off_is_taken_up_as_what_it_was() {
    let mut world = World::new("2026-01-01T08:00:00Z").await;
    let standing = world.settle().await;
    world.pass(&standing);
    world.put(Some(&CSV.replace(",100,", ",200,")));
    world.gate.shut();
    let cut_off = world.begin().await.stored.unfinished.unwrap();
    assert_eq!(cut_off.slot, Some(at("2026-01-01T09:00:00Z")));
    world.restart().await;
    // Hours later it is the same fetch, of the same slot.
    world.set("2026-01-01T15:00:00Z");
    world.gate.open();
    let standing = world.settle().await;
    let expected = [
        (Trigger::Schedule, "Imported", 1),
        (Trigger::Created, "Imported", 1),
    ];
    assert_eq!(told(&standing), expected);
    assert_eq!(standing.stored.history[0].id, cut_off.id);
    assert_eq!(standing.stored.missed_fetches, 0);
    assert_eq!(standing.next_fetch, Some(at("2026-01-02T09:00:00Z")));
}

#[tokio::test]
async fn a_fetch_ends_when_it_takes_longer_than_its_spec_allows() {
    let mut world = World::new("2026-01-01T10:00:00Z").await;
    world.edit("dating: Exposure", "timeoutSeconds: 1");
    world.gate.shut();
    let standing = world.settle().await;
    assert_eq!(told(&standing), [(Trigger::Created, "Timeout", 1)]);
    assert_eq!(standing.until, Some(at("2026-01-01T10:00:30Z")));
    world.gate.open();
    world.pass(&standing);
    let standing = world.settle().await;
    assert_eq!(told(&standing)[0], (Trigger::Retry, "Imported", 1));
}

#[tokio::test]
async fn a_request_during_a_fetch_means_one_more_after_it() {
    let mut world = World::new("2026-01-01T10:00:00Z").await;
    world.gate.shut();
    world.begin().await;
    world.wanted.requested = Some("token".to_owned());
    let standing = world.begin().await;
    assert_eq!(standing.stored.handled_request, None);
    world.gate.open();
    let standing = world.settle().await;
    let expected = [
        (Trigger::Manual, "NotModified", 1),
        (Trigger::Created, "Imported", 1),
    ];
    assert_eq!(told(&standing), expected);
    assert_eq!(standing.stored.handled_request.as_deref(), Some("token"));
}

#[tokio::test]
async fn what_is_deleted_while_it_is_fetched_leaves_nothing_behind() {
    let mut world = World::new("2026-01-01T10:00:00Z").await;
    world.gate.shut();
    world.begin().await;
    let id = world.wanted.source.id;
    world.engine.forget(id, true).await.unwrap();
    world.gate.open();
    let store = world.engine.store();
    assert_eq!(store.sources().await.unwrap(), []);
    // An object of the same name is new.
    let standing = world.settle().await;
    assert_eq!(told(&standing), [(Trigger::Created, "Imported", 1)]);
}

#[tokio::test]
async fn a_request_is_heard_while_the_store_is_in_trouble() {
    type Ask = fn(&mut World, &str);
    let asks: [Ask; 2] = [
        |world, token| world.wanted.requested = Some(token.to_owned()),
        |world, token| world.wanted.force_requested = Some(token.to_owned()),
    ];
    for ask in asks {
        let mut world = World::new("2026-01-01T10:00:00Z").await;
        world.log_ends(false).await;
        let mut standing = world.settle().await;
        world.pass(&standing);
        standing = world.settle().await;
        assert_eq!(told(&standing), [(Trigger::Created, "StoreError", 2)]);
        // It is tried at once, and the backoff starts anew.
        let before = standing.stored.history[0].id;
        ask(&mut world, "first");
        standing = world.settle().await;
        assert_ne!(standing.stored.history[0].id, before);
        assert_eq!(told(&standing)[0].2, 1);
        assert_eq!(standing.until, Some(world.after_seconds(30)));
        world.log_ends(true).await;
        ask(&mut world, "second");
        standing = world.settle().await;
        let outcomes: Vec<_> = told(&standing).iter().map(|told| told.1).collect();
        assert!(!outcomes.contains(&"StoreError"), "{outcomes:?}");
        assert!(outcomes.contains(&"Imported"), "{outcomes:?}");
    }
}
