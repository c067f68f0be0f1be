//! Requests by annotation.

use super::world::{World, source};
use crate::domain::fetch::Trigger;
use crate::domain::plan::Waiting;

#[test]
fn a_token_fetches_once_and_is_echoed_with_the_result() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T10:00:00Z");
    world.run_until("2026-01-01T10:01:00Z");
    world.observed.requested = Some("one".into());
    world.settle();
    assert_eq!(
        world.observed.handled, None,
        "echoed with the result, not before"
    );
    world.run_until("2026-01-01T10:02:00Z");
    assert_eq!(world.observed.handled.as_deref(), Some("one"));
    assert_eq!(world.triggers(), [Trigger::Created, Trigger::Manual]);
    assert!(!world.done[1].ignored_etag);
    world.run_until("2026-01-01T12:00:00Z");
    assert_eq!(world.done.len(), 2);
    // Forced: the same, whatever the ETag, and with a token of its own.
    world.observed.force_requested = Some("one".into());
    world.run_until("2026-01-01T12:01:00Z");
    assert_eq!(world.observed.force_handled.as_deref(), Some("one"));
    assert!(world.done[2].ignored_etag);
    // An empty token is none.
    world.observed.requested = Some(String::new());
    world.run_until("2026-01-01T12:02:00Z");
    assert_eq!(world.done.len(), 3);
}

#[test]
fn a_token_that_arrives_during_a_fetch_means_one_more_after_it() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T10:00:00Z");
    world.observed.requested = Some("one".into());
    world.settle();
    world.observed.requested = Some("two".into());
    let (reason, ..) = world.settle();
    assert_eq!(reason, Waiting::ForFetch);
    world.run_until("2026-01-01T11:00:00Z");
    assert_eq!(world.triggers(), [Trigger::Manual, Trigger::Manual]);
    assert_eq!(world.observed.handled.as_deref(), Some("two"));
}

#[test]
fn a_token_too_long_to_echo_is_none() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T10:00:00Z");
    world.run_until("2026-01-01T10:01:00Z");
    world.observed.requested = Some("x".repeat(1025));
    world.run_until("2026-01-01T10:02:00Z");
    assert_eq!(world.triggers(), [Trigger::Created]);
}
