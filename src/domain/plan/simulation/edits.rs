//! Edits of the spec: what they fetch, what they cancel, what they hold back.

use std::time::Duration;

use super::world::{World, at, source};
use crate::domain::data_source::plain::goal;
use crate::domain::data_source::{DataSource, Dating, OnIntegrityProblem};
use crate::domain::fetch::Trigger;
use crate::domain::plan::Waiting;
use crate::domain::schedule::Schedule;

#[test]
fn a_change_of_what_a_fetch_depends_on_fetches_at_once_and_cancels() {
    type Edit = fn(&mut DataSource);
    let edits: [Edit; 6] = [
        |source| source.object.key = "other.csv".into(),
        |source| source.goals[0].numeric = true,
        |source| source.goals.push(goal("calls")),
        |source| source.dating = Dating::Event,
        |source| source.max_object_bytes = 1 << 20,
        |source| source.on_integrity_problem = OnIntegrityProblem::Reject,
    ];
    for edit in edits {
        let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T10:00:00Z");
        world.run_until("2026-01-01T10:01:00Z");
        edit(&mut world.source);
        world.run_until("2026-01-01T10:02:00Z");
        assert_eq!(world.triggers(), [Trigger::Created, Trigger::SpecChange]);
        assert!(world.done[1].ignored_etag);
        // The same in the middle of a fetch: that one is cancelled.
        world.observed.requested = Some("token".into());
        world.settle();
        edit(&mut world.source);
        world.source.object.bucket = "another".into();
        world.run_until("2026-01-01T10:03:00Z");
        assert_eq!(world.cancelled, 1);
        assert_eq!(world.observed.handled.as_deref(), Some("token"));
        assert_eq!(world.done.len(), 4);
    }
}

#[test]
fn other_edits_fetch_nothing_and_fire_nothing_retroactively() {
    type Edit = fn(&mut DataSource);
    let edits: [Edit; 6] = [
        |source| source.display_name = "Other".into(),
        |source| source.goals[0].display_name = Some("Other".into()),
        |source| source.schedule = Schedule::parse("0 8 * * *", "UTC").unwrap(),
        |source| source.schedule = Schedule::parse("0 9 * * *", "Asia/Tokyo").unwrap(),
        |source| source.timeout = Duration::from_secs(1),
        |source| source.history_limit = 1,
    ];
    for edit in edits {
        let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T10:00:00Z");
        world.run_until("2026-01-01T10:01:00Z");
        edit(&mut world.source);
        world.run_until("2026-01-01T20:00:00Z");
        assert_eq!(world.triggers(), [Trigger::Created]);
        assert_eq!(world.missed, 0);
        world.run_until("2026-01-02T20:00:00Z");
        assert_eq!(world.triggers(), [Trigger::Created, Trigger::Schedule]);
    }
}

#[test]
fn suspend_holds_everything_back_but_a_request_until_resume() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T10:00:00Z");
    world.source.suspend = true;
    world.run_until("2026-01-03T10:00:00Z");
    assert_eq!(world.triggers(), [], "not even the creation");
    world.observed.requested = Some("now".into());
    world.run_until("2026-01-03T11:00:00Z");
    assert_eq!(world.triggers(), [Trigger::Manual]);
    world.source.object.key = "other.csv".into();
    let (reason, until, next_fetch) = world.settle();
    assert_eq!(
        (reason, until, next_fetch),
        (Waiting::Suspended, None, None)
    );
    world.run_until("2026-01-05T20:00:00Z");
    world.source.suspend = false;
    world.run_until("2026-01-05T20:01:00Z");
    // The change of the spec and the newest missed slot are settled by one fetch; the older ones
    // are counted.
    assert_eq!(world.triggers(), [Trigger::Manual, Trigger::SpecChange]);
    assert_eq!(world.done[1].slot, Some(at("2026-01-05T09:00:00Z")));
    assert_eq!(world.missed, 3);
}

#[test]
fn a_fetch_under_way_finishes_although_suspended() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T10:00:00Z");
    world.settle();
    world.source.suspend = true;
    world.run_until("2026-01-01T11:00:00Z");
    assert_eq!(world.triggers(), [Trigger::Created]);
    assert!(world.observed.newest.is_some());
}

#[test]
fn without_goals_nothing_is_fetched_and_nothing_is_missed() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T10:00:00Z");
    world.source.goals.clear();
    world.observed.requested = Some("now".into());
    world.run_until("2026-01-04T10:00:00Z");
    assert_eq!(world.settle().0, Waiting::NoGoals);
    assert_eq!(world.triggers(), []);
    world.source.goals.push(goal("sales"));
    world.run_until("2026-01-04T11:00:00Z");
    assert_eq!(
        world.triggers(),
        [Trigger::Manual],
        "the request has waited for the goals"
    );
    world.source.goals.clear();
    world.run_until("2026-01-09T10:00:00Z");
    world.source.goals.push(goal("sales"));
    world.run_until("2026-01-09T10:01:00Z");
    assert_eq!(world.missed, 0);
}
