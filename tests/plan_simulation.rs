//! Stories of one data source on a fake clock: a small world that carries decisions out, so that a
//! year of schedules takes milliseconds.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use sumsq::domain::data_source::{
    DataSource, Dating, DeletionPolicy, Goal, GoodDirection, Identity, OnIntegrityProblem,
    S3Object, SourceId, SourceKey,
};
use sumsq::domain::fetch::{ErrorCode, FetchError, FetchRecord, Outcome, Trigger};
use sumsq::domain::plan::{
    Decision, FetchPlan, InFlight, Observed, Plan, PlanSettings, UnfinishedFetch, Waiting, backoff,
    decide,
};
use sumsq::domain::schedule::Schedule;
use uuid::Uuid;

const FETCH_TAKES: Duration = Duration::from_secs(2);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn source(cron: &str, zone: &str) -> DataSource {
    DataSource {
        id: SourceId::derive("growth", "sales"),
        key: SourceKey {
            namespace: "growth".into(),
            name: "sales".into(),
        },
        uid: "uid-1".into(),
        generation: 1,
        display_name: "Sales".into(),
        goals: vec![goal("sales")],
        dating: Dating::Exposure,
        object: S3Object {
            region: "us-east-1".into(),
            bucket: "counts".into(),
            key: "counts.csv".into(),
            account_id: None,
            endpoint: None,
            force_path_style: false,
            identity: Identity::Operator,
        },
        schedule: Schedule::parse(cron, zone).unwrap(),
        starting_deadline: Duration::from_hours(12),
        suspend: false,
        timeout: Duration::from_mins(10),
        max_object_bytes: 1 << 30,
        history_limit: 10,
        on_integrity_problem: OnIntegrityProblem::Warn,
        deletion_policy: DeletionPolicy::Retain,
    }
}

fn goal(code: &str) -> Goal {
    Goal {
        code: code.into(),
        display_name: None,
        numeric: false,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    }
}

/// A fetch as it happened.
#[derive(Debug, Clone, PartialEq)]
struct Done {
    at: Timestamp,
    trigger: Trigger,
    slot: Option<Timestamp>,
    ignored_etag: bool,
}

/// The data source, what is known of it, and the clock.
struct World {
    now: Timestamp,
    source: DataSource,
    observed: Observed,
    missed: u32,
    settings: PlanSettings,
    /// What the next fetches end with; success where it is empty.
    outcomes: VecDeque<ErrorCode>,
    running: Option<(FetchPlan, String)>,
    done: Vec<Done>,
    /// Rows of the log by slot: the store's own key.
    slots: BTreeMap<Timestamp, u32>,
    cancelled: u32,
}

impl World {
    fn new(source: DataSource, now: &str) -> Self {
        Self {
            now: at(now),
            source,
            observed: Observed::default(),
            missed: 0,
            settings: PlanSettings {
                schedule_jitter: Duration::ZERO,
            },
            outcomes: VecDeque::new(),
            running: None,
            done: Vec::new(),
            slots: BTreeMap::new(),
            cancelled: 0,
        }
    }

    /// Carries out everything that is due now, and returns what it then waits for.
    fn settle(&mut self) -> (Waiting, Option<Timestamp>, Option<Timestamp>) {
        for _ in 0..10 {
            let Decision { cursor, plan } =
                decide(&self.source, &self.observed, self.settings, self.now);
            if let Some(update) = cursor {
                self.missed += update.missed;
                self.observed.cursor = Some(update.cursor);
                let again = decide(&self.source, &self.observed, self.settings, self.now);
                assert_eq!(again.cursor, None, "the cursor has been moved already");
            }
            match plan {
                Plan::Fetch(plan) => self.begin(plan),
                Plan::Cancel => {
                    self.running = None;
                    self.observed.in_flight = None;
                    self.cancelled += 1;
                }
                Plan::Abandon(_) => {
                    // As the store does: its slot is free again, and the cursor before it.
                    let row = self.observed.interrupted.take().unwrap();
                    if let (Some(slot), Some(cursor)) = (row.slot, &mut self.observed.cursor) {
                        self.slots.remove(&slot);
                        cursor.until = cursor.until.min(slot - Duration::from_nanos(1));
                    }
                }
                Plan::Wait {
                    reason,
                    until,
                    next_fetch,
                } => {
                    assert!(until.is_none_or(|until| until > self.now), "a busy loop");
                    return (reason, until, next_fetch);
                }
            }
        }
        panic!("it never comes to rest");
    }

    fn begin(&mut self, plan: FetchPlan) {
        assert!(self.running.is_none(), "two fetches at a time");
        if plan.resume.is_none()
            && let Some(slot) = plan.slot
        {
            let fetches = self.slots.entry(slot).or_default();
            *fetches += 1;
            assert_eq!(*fetches, 1, "slot {slot} has been fetched already");
        }
        if plan.resets_backoff {
            self.observed.failures = 0;
        }
        self.done.push(Done {
            at: self.now,
            trigger: plan.trigger,
            slot: plan.slot,
            ignored_etag: plan.ignore_etag,
        });
        let fingerprint = self.source.fingerprint();
        self.observed.interrupted = None;
        self.observed.in_flight = Some(InFlight {
            fingerprint: fingerprint.clone(),
            queued_at: self.now,
            started_at: Some(self.now),
        });
        self.running = Some((plan, fingerprint));
    }

    fn finish(&mut self) {
        let (plan, fingerprint) = self.running.take().expect("a fetch is under way");
        self.observed.in_flight = None;
        let outcome = match self.outcomes.pop_front() {
            Some(code) => Outcome::Failed(FetchError::new(code, "scripted", "")),
            None => Outcome::NotModified,
        };
        self.observed.failures = if outcome.succeeded() {
            0
        } else {
            self.observed.failures + 1
        };
        if plan.request.is_some() {
            self.observed.handled = plan.request;
        }
        if plan.force_request.is_some() {
            self.observed.force_handled = plan.force_request;
        }
        self.observed.newest = Some(FetchRecord {
            id: Uuid::now_v7(),
            uid: self.source.uid.clone(),
            trigger: plan.trigger,
            fingerprint,
            started_at: self.now,
            completed_at: Some(self.now),
            attempts: 1,
            outcome: Some(outcome),
        });
    }

    /// The process dies in the middle of a fetch; what the log knows is what the next one finds.
    fn crash(&mut self) {
        let (plan, fingerprint) = self.running.take().expect("a fetch is under way");
        self.observed.in_flight = None;
        self.observed.interrupted = Some(UnfinishedFetch {
            id: Uuid::now_v7(),
            uid: self.source.uid.clone(),
            trigger: plan.trigger,
            slot: plan.slot,
            fingerprint,
            started_at: self.now,
            request: plan.request,
            force_request: plan.force_request,
        });
    }

    /// Lives on until `end`: fetches begin when they are due and end two seconds later.
    fn run_until(&mut self, end: &str) {
        let end = at(end);
        loop {
            let (_, until, _) = self.settle();
            let next = if self.running.is_some() {
                Some(self.now + FETCH_TAKES)
            } else {
                until
            };
            match next.filter(|next| *next <= end) {
                Some(next) => self.now = next,
                None => break,
            }
            if self.running.is_some() {
                self.finish();
            }
        }
        self.now = end;
    }

    /// The operator is down; nothing is looked at.
    fn sleep_until(&mut self, end: &str) {
        self.now = at(end);
    }

    fn triggers(&self) -> Vec<Trigger> {
        self.done.iter().map(|done| done.trigger).collect()
    }
}

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

#[test]
fn a_token_too_long_to_echo_is_none() {
    let mut world = World::new(source("0 9 * * *", "UTC"), "2026-01-01T10:00:00Z");
    world.run_until("2026-01-01T10:01:00Z");
    world.observed.requested = Some("x".repeat(1025));
    world.run_until("2026-01-01T10:02:00Z");
    assert_eq!(world.triggers(), [Trigger::Created]);
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
