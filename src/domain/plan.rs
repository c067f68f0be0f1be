//! [`decide`]: what to do now about one data source. Pure: the world as observed and the time go
//! in, a [`Decision`] comes out, and one place carries it out.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::data_source::DataSource;
use super::fetch::{FetchRecord, Trigger};

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
    /// Of the spec it was begun with.
    pub fingerprint: String,
    pub started_at: Timestamp,
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
#[must_use]
pub fn decide(source: &DataSource, observed: &Observed, settings: PlanSettings, now: Timestamp) -> Decision {
    todo!()
}

/// How long to wait after the `failures`th failure in a row: from 30 s, doubling, to 15 min.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    todo!()
}
