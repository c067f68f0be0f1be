//! [`decide`]: what to do now about one data source. Pure: the world as observed and the time go
//! in, a [`Decision`] comes out, and one place carries it out.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::data_source::DataSource;
use super::fetch::{FetchRecord, NextStep, Trigger};

/// Slots missed in one go are counted up to this many.
pub const MAX_MISSED_COUNTED: u32 = 10_000;
/// A fetch that ends sooner is not told of before.
pub const SHOWN_AFTER: Duration = Duration::from_secs(5);
/// The same of one that waits for a worker, where somebody waits for it.
const QUEUE_SHOWN_AFTER: Duration = Duration::from_secs(30);
/// A longer token is none: status, which echoes it, has to stay small.
pub const MAX_TOKEN_BYTES: usize = 1024;

/// All that [`decide`] looks at besides the data source itself.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The newest completed fetch of this very object (its UID).
    pub newest: Option<FetchRecord>,
    /// Begun, not completed, and not under way in this process: its process is gone.
    pub interrupted: Option<UnfinishedFetch>,
    /// Queued or running in this process.
    pub in_flight: Option<InFlight>,
    /// Annotation `sumsq.dev/fetch-requested-at`.
    pub requested: Option<String>,
    /// Annotation `sumsq.dev/force-fetch-requested-at`.
    pub force_requested: Option<String>,
    /// The tokens whose fetch has completed.
    pub handled: Option<String>,
    pub force_handled: Option<String>,
    /// Up to when slots have been dealt with, and of which schedule. None: never seen before.
    pub cursor: Option<SlotCursor>,
    /// Failures in a row since the backoff was last reset.
    pub failures: u32,
}

/// A fetch that this process has queued or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    pub trigger: Trigger,
    /// Of the spec it was begun with.
    pub fingerprint: String,
    pub queued_at: Timestamp,
    /// None while it waits for a worker.
    pub started_at: Option<Timestamp>,
}

/// A row of the fetch log that was begun and never completed.
#[derive(Debug, Clone, PartialEq)]
pub struct UnfinishedFetch {
    pub id: Uuid,
    pub uid: String,
    pub trigger: Trigger,
    pub slot: Option<Timestamp>,
    pub fingerprint: String,
    pub started_at: Timestamp,
    pub request: Option<String>,
    pub force_request: Option<String>,
}

/// Slots up to and including `until` have fired, were skipped, or lie before the schedule's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotCursor {
    /// [`super::schedule::Schedule::text`] for which it counts. Another schedule's slots start
    /// from the moment in which the change is seen: none fires retroactively.
    pub schedule: String,
    pub until: Timestamp,
}

/// Settings of the operator that bear on the plan.
#[derive(Debug, Clone, Copy)]
pub struct PlanSettings {
    /// The most that a fetch is put off after its slot.
    pub schedule_jitter: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// To be stored before the plan is carried out (with a fetch: in the transaction that begins it).
    pub cursor: Option<CursorUpdate>,
    pub plan: Plan,
}

/// Moves the cursor and counts slots that were skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorUpdate {
    pub cursor: SlotCursor,
    /// Slots passed over since the last update: too late, or older than the newest one due.
    pub missed: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    Fetch(FetchPlan),
    /// The fetch under way is for another spec: cancel it, then decide again.
    Cancel,
    /// A fetch that a dead process left behind, for a spec that is no longer wanted: strike it from
    /// the log, then decide again.
    Abandon(Uuid),
    /// Nothing to do before `until` (None: before the object changes).
    Wait {
        reason: Waiting,
        until: Option<Timestamp>,
        /// With jitter; what status shows as `nextFetchTime`.
        next_fetch: Option<Timestamp>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    ForSlot,
    /// The newest fetch failed and is tried again at `until`.
    ForRetry,
    /// A fetch is queued or under way.
    ForFetch,
    Suspended,
    NoGoals,
}

/// One fetch to begin, with everything that it settles.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchPlan {
    pub trigger: Trigger,
    /// Take up this row of the log, left by a process that is gone, rather than begin another.
    pub resume: Option<Uuid>,
    /// The slot that it is for; the log holds each slot of a source once.
    pub slot: Option<Timestamp>,
    /// The tokens to echo with the result.
    pub request: Option<String>,
    pub force_request: Option<String>,
    /// Send no If-None-Match.
    pub ignore_etag: bool,
    /// Manual requests and spec changes start the backoff anew.
    pub resets_backoff: bool,
}

/// What to do now.
///
/// All that is due at once is settled by one fetch: it echoes the tokens, claims the newest slot,
/// and reads under today's spec.
#[must_use]
pub fn decide(
    source: &DataSource,
    observed: &Observed,
    settings: PlanSettings,
    now: Timestamp,
) -> Decision {
    let jitter = source
        .schedule
        .jitter(&source.uid, settings.schedule_jitter);
    let fingerprint = source.fingerprint();
    if let Some(flight) = &observed.in_flight {
        return if flight.fingerprint == fingerprint && !source.goals.is_empty() {
            let until = flight.shows_at().filter(|at| *at > now);
            let next_fetch = next_slot(source, observed, jitter, now);
            Decision::new(Plan::Wait {
                reason: Waiting::ForFetch,
                until,
                next_fetch,
            })
        } else {
            Decision::new(Plan::Cancel)
        };
    }
    if let Some(row) = &observed.interrupted {
        let wanted = row.uid == source.uid
            && row.fingerprint == fingerprint
            && !source.goals.is_empty()
            && row
                .slot
                .is_none_or(|slot| in_time(source, slot + jitter, now));
        return Decision::new(if wanted {
            resume(row)
        } else {
            Plan::Abandon(row.id)
        });
    }
    if source.goals.is_empty() {
        return Decision {
            cursor: without_schedule(observed, now),
            plan: idle(Waiting::NoGoals),
        };
    }

    let slots = due_slots(source, observed, jitter, now);
    let requested = unhandled(observed.requested.as_ref(), observed.handled.as_ref());
    let forced = unhandled(
        observed.force_requested.as_ref(),
        observed.force_handled.as_ref(),
    );
    let manual = requested.is_some() || forced.is_some();
    if source.suspend {
        // Slots are neither fired nor passed over: at the resume the newest runs.
        let cursor = slots.adopted.clone();
        if !manual {
            return Decision {
                cursor,
                plan: idle(Waiting::Suspended),
            };
        }
        let plan = FetchPlan {
            trigger: Trigger::Manual,
            resume: None,
            slot: None,
            ignore_etag: forced.is_some(),
            request: requested,
            force_request: forced,
            resets_backoff: true,
        };
        return Decision {
            cursor,
            plan: Plan::Fetch(plan),
        };
    }

    let spec_changed = observed
        .newest
        .as_ref()
        .is_some_and(|newest| newest.fingerprint != fingerprint);
    let retry_at = retry_at(observed);
    let trigger = if manual {
        Some(Trigger::Manual)
    } else if observed.newest.is_none() {
        Some(Trigger::Created)
    } else if spec_changed {
        Some(Trigger::SpecChange)
    } else if slots.to_fire.is_some() {
        Some(Trigger::Schedule)
    } else {
        retry_at.filter(|at| *at <= now).map(|_| Trigger::Retry)
    };
    let plan = match trigger {
        Some(trigger) => Plan::Fetch(FetchPlan {
            trigger,
            resume: None,
            slot: slots.to_fire,
            ignore_etag: forced.is_some() || spec_changed,
            request: requested,
            force_request: forced,
            resets_backoff: manual || spec_changed,
        }),
        None => wait(next_slot(source, observed, jitter, now), retry_at),
    };
    Decision {
        cursor: slots.update,
        plan,
    }
}

/// How long to wait after the `failures`th failure in a row: from 30 s, doubling, to 15 min.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    Duration::from_secs(30 << doublings).min(Duration::from_mins(15))
}

impl InFlight {
    /// From when on status tells of it: a fetch of a few seconds is not worth a write of its own,
    /// nor is a short queue. None while it is queued and nobody waits for it: a slot that thousands
    /// of sources share would else be written down twice by each.
    #[must_use]
    pub fn shows_at(&self) -> Option<Timestamp> {
        match (self.started_at, self.trigger) {
            (Some(started_at), _) => Some(started_at + SHOWN_AFTER),
            (None, Trigger::Created | Trigger::Manual | Trigger::SpecChange) => {
                Some(self.queued_at + QUEUE_SHOWN_AFTER)
            }
            (None, Trigger::Schedule | Trigger::Retry) => None,
        }
    }

    /// Whether status tells of it.
    #[must_use]
    pub fn shows(&self, now: Timestamp) -> bool {
        self.shows_at().is_some_and(|at| at <= now)
    }
}

impl Decision {
    fn new(plan: Plan) -> Self {
        Self { cursor: None, plan }
    }
}

fn idle(reason: Waiting) -> Plan {
    Plan::Wait {
        reason,
        until: None,
        next_fetch: None,
    }
}

fn resume(row: &UnfinishedFetch) -> Plan {
    Plan::Fetch(FetchPlan {
        trigger: row.trigger,
        resume: Some(row.id),
        slot: row.slot,
        ignore_etag: row.force_request.is_some() || row.trigger == Trigger::SpecChange,
        request: row.request.clone(),
        force_request: row.force_request.clone(),
        resets_backoff: false,
    })
}

fn wait(next_slot: Option<Timestamp>, retry_at: Option<Timestamp>) -> Plan {
    let next_fetch = [next_slot, retry_at].into_iter().flatten().min();
    let reason = if retry_at.is_some() {
        Waiting::ForRetry
    } else {
        Waiting::ForSlot
    };
    Plan::Wait {
        reason,
        until: next_fetch,
        next_fetch,
    }
}

/// When the newest fetch is tried again; None where it succeeded, or where only another spec helps.
fn retry_at(observed: &Observed) -> Option<Timestamp> {
    let newest = observed.newest.as_ref()?;
    let retried = newest.error()?.class.next_step() == NextStep::Retry;
    newest
        .completed_at
        .filter(|_| retried)
        .map(|at| at + backoff(observed.failures))
}

/// The next slot that will fire: none that lies before the cursor does, though its jittered time
/// may be ahead.
fn next_slot(
    source: &DataSource,
    observed: &Observed,
    jitter: Duration,
    now: Timestamp,
) -> Option<Timestamp> {
    let text = source.schedule.text();
    let cursor = observed
        .cursor
        .as_ref()
        .filter(|cursor| cursor.schedule == text);
    let passed = cursor.map_or(now, |cursor| cursor.until).max(now - jitter);
    source.schedule.next_after(passed).map(|slot| slot + jitter)
}

/// A token that no completed fetch has echoed; an empty one is none, nor is one too long to echo.
fn unhandled(token: Option<&String>, handled: Option<&String>) -> Option<String> {
    token
        .filter(|token| (1..=MAX_TOKEN_BYTES).contains(&token.len()) && Some(*token) != handled)
        .cloned()
}

struct Slots {
    /// The newest slot that is due and not too late.
    to_fire: Option<Timestamp>,
    /// Where the cursor has to move to.
    update: Option<CursorUpdate>,
    /// Where it has to move to although no slot may be passed over.
    adopted: Option<CursorUpdate>,
}

fn due_slots(source: &DataSource, observed: &Observed, jitter: Duration, now: Timestamp) -> Slots {
    let text = source.schedule.text();
    let kept = observed
        .cursor
        .as_ref()
        .filter(|cursor| cursor.schedule == text);
    let cursor_at = |until| SlotCursor {
        schedule: text.to_owned(),
        until,
    };
    // Another schedule's slots start now: none fires retroactively.
    let Some(kept) = kept else {
        let adopted = CursorUpdate {
            cursor: cursor_at(now),
            missed: 0,
        };
        return Slots {
            to_fire: None,
            update: Some(adopted.clone()),
            adopted: Some(adopted),
        };
    };
    let Some(due) = source
        .schedule
        .due(kept.until, now - jitter, MAX_MISSED_COUNTED)
    else {
        return Slots {
            to_fire: None,
            update: None,
            adopted: None,
        };
    };
    let in_time = in_time(source, due.newest + jitter, now);
    let update = CursorUpdate {
        cursor: cursor_at(due.newest),
        missed: due.count - u32::from(in_time),
    };
    Slots {
        to_fire: in_time.then_some(due.newest),
        update: Some(update),
        adopted: None,
    }
}

/// Whether what was to begin at `at` may still begin.
fn in_time(source: &DataSource, at: Timestamp, now: Timestamp) -> bool {
    let late = now.duration_since(at);
    Duration::try_from(late).unwrap_or_default() <= source.starting_deadline
}

/// While there are no goals no slot is missed, and none is made up for later.
fn without_schedule(observed: &Observed, now: Timestamp) -> Option<CursorUpdate> {
    let had_one = observed
        .cursor
        .as_ref()
        .is_some_and(|cursor| !cursor.schedule.is_empty());
    had_one.then(|| CursorUpdate {
        cursor: SlotCursor {
            schedule: String::new(),
            until: now,
        },
        missed: 0,
    })
}

#[cfg(test)]
mod simulation;
