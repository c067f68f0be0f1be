//! The world of one data source: a log, a clock, and fetches that end as they are told to.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::data_source::{DataSource, plain};
use crate::domain::fetch::{ErrorCode, FetchError, FetchRecord, Outcome, Trigger};
use crate::domain::plan::{
    Decision, FetchPlan, InFlight, Observed, Plan, PlanSettings, UnfinishedFetch, Waiting, decide,
};
use crate::domain::schedule::Schedule;

const FETCH_TAKES: Duration = Duration::from_secs(2);

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn source(cron: &str, zone: &str) -> DataSource {
    DataSource {
        schedule: Schedule::parse(cron, zone).unwrap(),
        ..plain::source()
    }
}

/// A fetch as it happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Done {
    pub(super) at: Timestamp,
    pub(super) trigger: Trigger,
    pub(super) slot: Option<Timestamp>,
    pub(super) ignored_etag: bool,
}

/// The data source, what is known of it, and the clock.
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) source: DataSource,
    pub(super) observed: Observed,
    pub(super) missed: u32,
    pub(super) settings: PlanSettings,
    /// What the next fetches end with; success where it is empty.
    pub(super) outcomes: VecDeque<ErrorCode>,
    running: Option<(FetchPlan, String)>,
    pub(super) done: Vec<Done>,
    /// Rows of the log by slot: the store's own key.
    pub(super) slots: BTreeMap<Timestamp, u32>,
    pub(super) cancelled: u32,
}

impl World {
    pub(super) fn new(source: DataSource, now: &str) -> Self {
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
    pub(super) fn settle(&mut self) -> (Waiting, Option<Timestamp>, Option<Timestamp>) {
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
            trigger: plan.trigger,
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
    pub(super) fn crash(&mut self) {
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
    pub(super) fn run_until(&mut self, end: &str) {
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
    pub(super) fn sleep_until(&mut self, end: &str) {
        self.now = at(end);
    }

    pub(super) fn triggers(&self) -> Vec<Trigger> {
        self.done.iter().map(|done| done.trigger).collect()
    }
}
