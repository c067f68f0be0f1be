//! When a data source is due: next slot, missed slots, jitter.
//!
//! Slots are civil times, mapped to instants once: in the spring gap to its end, in the autumn
//! fold to the first of the two. So each slot fires exactly once across both changes.

use std::time::Duration;

use jiff::Timestamp;

/// A 5-field cron in an IANA time zone that has at least one slot.
#[derive(Debug, Clone)]
pub struct Schedule {
    // cron, zone and the text of both
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("schedule {cron:?} is not a cron expression of five fields: {reason}")]
    InvalidCron { cron: String, reason: String },
    #[error("schedule {cron:?} never fires")]
    NeverFires { cron: String },
    #[error("timeZone {zone:?} is not an IANA time zone")]
    UnknownTimeZone { zone: String },
}

impl Schedule {
    pub fn parse(cron: &str, zone: &str) -> Result<Self, ScheduleError> {
        todo!()
    }

    /// Cron and zone as written: two schedules with the same text have the same slots.
    #[must_use]
    pub fn text(&self) -> String {
        todo!()
    }

    /// The first slot strictly after `after`.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        todo!()
    }

    /// The newest slot in `(after, until]` and how many there are, counted up to `limit`.
    #[must_use]
    pub fn due(&self, after: Timestamp, until: Timestamp, limit: u32) -> Option<DueSlots> {
        todo!()
    }

    /// How long after its slot this object fetches: forward only, stable, at most `most` and a
    /// tenth of the period.
    #[must_use]
    pub fn jitter(&self, uid: &str, most: Duration) -> Duration {
        todo!()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueSlots {
    pub newest: Timestamp,
    /// At least 1.
    pub count: u32,
}
