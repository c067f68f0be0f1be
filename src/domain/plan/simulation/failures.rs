//! Failures and crashes: when they are tried again, and what is left behind.

use std::time::Duration;

use jiff::ToSpan;

use super::world::{World, at, source};
use crate::domain::fetch::{ErrorCode, Trigger};
use crate::domain::plan::backoff;

#[test]
fn a_failure_is_tried_again_from_30_s_to_15_min_until_the_next_slot() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T08:00:00Z");
    world.outcomes = [ErrorCode::AccessDenied; 12].into();
    world.run_until("2026-01-01T09:05:00Z");
    let waits: Vec<i64> = world
        .done
        .windows(2)
        .map(|pair| pair[1].at.duration_since(pair[0].at).as_secs() - 2)
        .collect();
    assert_eq!(waits[..7], [30, 60, 120, 240, 480, 900, 900]);
    assert!(
        world
            .done
            .iter()
            .any(|done| done.slot == Some(at("2026-01-01T09:00:00Z")))
    );
    // A request starts it anew.
    world.observed.requested = Some("now".into());
    let before = world.done.len();
    world.run_until("2026-01-01T09:07:00Z");
    assert_eq!(
        world.triggers()[before..],
        [Trigger::Manual, Trigger::Retry, Trigger::Retry],
        "at once, after 30 s and after 60 s"
    );
}

#[test]
fn the_backoff_doubles_up_to_a_quarter_of_an_hour() {
    let seconds: Vec<u64> = (1..8).map(|failures| backoff(failures).as_secs()).collect();
    assert_eq!(seconds, [30, 60, 120, 240, 480, 900, 900]);
    assert_eq!(backoff(u32::MAX), Duration::from_mins(15));
}

#[test]
fn what_only_another_spec_mends_waits_for_the_slot() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T08:00:00Z");
    world.outcomes = [ErrorCode::PermanentRedirect; 2].into();
    world.run_until("2026-01-01T12:00:00Z");
    assert_eq!(world.triggers(), [Trigger::Created, Trigger::Schedule]);
    world.source.object.region = "eu-west-2".into();
    world.run_until("2026-01-01T12:01:00Z");
    assert_eq!(world.triggers()[2..], [Trigger::SpecChange]);
}

#[test]
fn a_crash_in_the_middle_ends_as_if_nothing_had_happened() {
    for crash_at in [
        "2026-01-01T08:00:00Z",
        "2026-01-01T09:00:00Z",
        "2026-01-02T09:00:00Z",
    ] {
        let mut undisturbed = World::new(source("0 9 * * *", "UTC"), "2026-01-01T08:00:00Z");
        undisturbed.run_until("2026-01-03T08:00:00Z");

        let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T08:00:00Z");
        if world.now < at(crash_at) {
            world.run_until(crash_at);
        }
        world.settle();
        world.crash();
        world.now = world.now.checked_add(1.minute()).unwrap();
        world.run_until("2026-01-03T08:00:00Z");

        let slots = |world: &World| world.slots.keys().copied().collect::<Vec<_>>();
        assert_eq!(slots(&world), slots(&undisturbed));
        assert_eq!(world.missed, 0);
        assert_eq!(world.observed.failures, 0);
        // The one that died is there twice: begun, and taken up again as what it was.
        assert_eq!(world.done.len(), undisturbed.done.len() + 1);
    }
}

#[test]
fn a_fetch_left_behind_beyond_the_deadline_is_counted_and_not_run() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T10:00:00Z");
    world.run_until("2026-01-02T08:59:00Z");
    world.now = at("2026-01-02T09:00:00Z");
    world.settle();
    world.crash();
    world.sleep_until("2026-01-05T10:00:00Z");
    world.run_until("2026-01-05T11:00:00Z");
    let slots: Vec<_> = world.slots.keys().copied().collect();
    assert_eq!(slots, [at("2026-01-05T09:00:00Z")], "the newest runs");
    assert_eq!(world.missed, 3, "the one that was cut off among them");
}

#[test]
fn a_fetch_left_behind_for_another_spec_is_struck() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T08:00:00Z");
    world.settle();
    world.crash();
    world.source.object.key = "other.csv".into();
    world.run_until("2026-01-01T08:01:00Z");
    assert_eq!(world.triggers(), [Trigger::Created, Trigger::Created]);
    assert_eq!(
        world.observed.newest.unwrap().fingerprint,
        world.source.fingerprint()
    );
}
