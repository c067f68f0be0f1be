//! Slots of the schedule: which fire, when, and what becomes of those that were missed.

use std::time::Duration;

use super::world::{World, at, source};
use crate::domain::fetch::Trigger;

#[test]
fn a_new_object_is_fetched_at_once_and_then_by_schedule() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T08:00:00Z");
    world.run_until("2026-01-03T10:00:00Z");
    assert_eq!(
        world
            .done
            .iter()
            .map(|done| (done.trigger, done.at.to_string()))
            .collect::<Vec<_>>(),
        [
            (Trigger::Created, "2026-01-01T08:00:00Z".to_owned()),
            (Trigger::Schedule, "2026-01-01T09:00:00Z".to_owned()),
            (Trigger::Schedule, "2026-01-02T09:00:00Z".to_owned()),
            (Trigger::Schedule, "2026-01-03T09:00:00Z".to_owned()),
        ]
    );
    assert_eq!(world.missed, 0);
}

#[test]
fn a_year_in_every_zone_fires_each_slot_once() {
    for zone in [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Australia/Sydney",
    ] {
        for (cron, per_day) in [("0 9 * * *", 1), ("15,45 2 * * *", 2), ("30 1,2 * * *", 2)] {
            let mut world = World::new(source(cron, zone), "2026-01-01T12:00:00Z");
            world.run_until("2027-01-01T12:00:00Z");
            let slots: Vec<_> = world.done.iter().filter_map(|done| done.slot).collect();
            let expected = 365 * per_day;
            // In the gap of spring two slots may share its end, and so one fetch.
            let shared = expected - slots.len();
            assert!(
                shared <= 1,
                "{cron} in {zone}: {} of {expected}",
                slots.len()
            );
            assert!(slots.is_sorted());
            assert_eq!(world.missed, 0, "{cron} in {zone}");
        }
    }
}

#[test]
fn jitter_puts_a_fetch_off_and_never_brings_it_forward() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T09:00:00Z");
    world.settings.schedule_jitter = Duration::from_mins(5);
    world.run_until("2026-01-05T12:00:00Z");
    let jitter = world
        .source
        .schedule
        .jitter("uid-1", Duration::from_mins(5));
    assert!(jitter > Duration::ZERO);
    for done in &world.done[1..] {
        assert_eq!(done.at, done.slot.unwrap() + jitter);
    }
    assert_eq!(world.done.len(), 5);
}

#[test]
fn a_slot_missed_within_the_deadline_runs_and_one_beyond_is_counted() {
    for (back_at, triggers, missed) in [
        (
            "2026-01-02T20:59:00Z",
            vec![Trigger::Created, Trigger::Schedule],
            0,
        ),
        ("2026-01-02T21:01:00Z", vec![Trigger::Created], 1),
        // Of several the newest runs, the rest are counted.
        (
            "2026-01-05T09:30:00Z",
            vec![Trigger::Created, Trigger::Schedule],
            3,
        ),
        ("2026-01-05T22:00:00Z", vec![Trigger::Created], 4),
    ] {
        let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T10:00:00Z");
        world.run_until("2026-01-01T11:00:00Z");
        world.sleep_until(back_at);
        world.settle();
        assert_eq!(
            (world.triggers(), world.missed),
            (triggers, missed),
            "{back_at}"
        );
    }
}

#[test]
fn what_is_announced_is_what_fires() {
    // Created at 09:02 with a jitter that ends later: the slot of 09:00 is not this object's.
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T09:00:30Z");
    world.settings.schedule_jitter = Duration::from_mins(5);
    let jitter = world
        .source
        .schedule
        .jitter("uid-1", Duration::from_mins(5));
    assert!(jitter > Duration::from_secs(40), "the case is of interest");
    world.run_until("2026-01-01T09:00:40Z");
    let (_, _, next_fetch) = world.settle();
    assert_eq!(next_fetch, Some(at("2026-01-02T09:00:00Z") + jitter));
    world.run_until("2026-01-01T12:00:00Z");
    assert_eq!(world.triggers(), [Trigger::Created]);
}
