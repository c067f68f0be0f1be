//! [`Description`]: what the reports need to know of a data source's spec, kept in the store beside
//! its data so that a report server needs no cluster.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::data_source::{DataSource, Dating, Goal};
use super::schedule::{Schedule, ScheduleError};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    pub display_name: String,
    /// In the order of the spec.
    pub goals: Vec<Goal>,
    pub dating: Dating,
    /// 5-field cron.
    pub schedule: String,
    /// IANA.
    pub time_zone: String,
    /// How long after its slot this source fetches.
    pub jitter_seconds: u64,
    pub suspend: bool,
    pub region: String,
    pub bucket: String,
    pub key: String,
    /// Where its object can't be followed any more: the rest is what was known before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<Stall>,
}

/// Why only another spec helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stall {
    /// The condition's, of its closed list.
    #[schema(example = "InvalidSchedule")]
    pub reason: String,
    pub message: String,
}

impl Description {
    /// `most_jitter` is the operator's setting, of which this source has its own part.
    #[must_use]
    pub fn of(source: &DataSource, most_jitter: Duration) -> Self {
        Self {
            display_name: source.display_name.clone(),
            goals: source.goals.clone(),
            dating: source.dating,
            schedule: source.schedule.cron().to_owned(),
            time_zone: source.schedule.time_zone().to_owned(),
            jitter_seconds: source.schedule.jitter(&source.uid, most_jitter).as_secs(),
            suspend: source.suspend,
            region: source.object.region.clone(),
            bucket: source.object.bucket.clone(),
            key: source.object.key.clone(),
            stalled: None,
        }
    }

    /// What was known before still is; of an object that was never read, only its name.
    #[must_use]
    pub fn of_stalled(before: Option<Self>, name: &str, stall: Stall) -> Self {
        Self {
            stalled: Some(stall),
            ..before.unwrap_or_else(|| Self {
                display_name: name.to_owned(),
                ..Self::default()
            })
        }
    }

    #[must_use]
    pub fn goal(&self, code: &str) -> Option<&Goal> {
        self.goals.iter().find(|goal| goal.code == code)
    }

    /// # Errors
    /// None for what [`Description::of`] has written.
    pub fn parsed_schedule(&self) -> Result<Schedule, ScheduleError> {
        Schedule::parse(&self.schedule, &self.time_zone)
    }

    /// When it fetches next by schedule, with jitter; None while suspended or stalled.
    #[must_use]
    pub fn next_fetch(&self, now: Timestamp) -> Option<Timestamp> {
        if self.suspend || self.stalled.is_some() {
            return None;
        }
        let schedule = self.parsed_schedule().ok()?;
        let jitter = Duration::from_secs(self.jitter_seconds);
        // A slot of the last minutes may still lie ahead with its jitter.
        let slot = schedule.next_after(now.checked_sub(jitter).ok()?)?;
        slot.checked_add(jitter).ok()
    }

    /// Slots that have passed with nothing fetched since `last_success`, counted up to `limit`.
    #[must_use]
    pub fn slots_missed(&self, last_success: Timestamp, now: Timestamp, limit: u32) -> u32 {
        let Ok(schedule) = self.parsed_schedule() else {
            return 0;
        };
        let jitter = Duration::from_secs(self.jitter_seconds);
        let Ok(until) = now.checked_sub(jitter) else {
            return 0;
        };
        schedule
            .due(last_success, until, limit)
            .map_or(0, |due| due.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(schedule: &str, zone: &str, jitter_seconds: u64) -> Description {
        Description {
            schedule: schedule.into(),
            time_zone: zone.into(),
            jitter_seconds,
            ..Description::default()
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_next_fetch_is_the_slot_with_its_jitter() {
        for (zone, jitter, now, next) in [
            ("UTC", 0, "2026-03-01T08:59:59Z", "2026-03-01T09:00:00Z"),
            ("UTC", 0, "2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z"),
            ("UTC", 120, "2026-03-01T09:00:30Z", "2026-03-01T09:02:00Z"),
            ("UTC", 120, "2026-03-01T09:02:00Z", "2026-03-02T09:02:00Z"),
            (
                "America/New_York",
                60,
                "2026-03-08T05:00:00Z",
                "2026-03-08T13:01:00Z",
            ),
        ] {
            let found = described("0 9 * * *", zone, jitter).next_fetch(at(now));
            assert_eq!(found, Some(at(next)), "{zone} {jitter} {now}");
        }
        let suspended = Description {
            suspend: true,
            ..described("0 9 * * *", "UTC", 0)
        };
        assert_eq!(suspended.next_fetch(at("2026-03-01T08:00:00Z")), None);
    }

    #[test]
    fn slots_are_missed_once_they_should_have_been_fetched() {
        let daily = described("0 9 * * *", "UTC", 300);
        let success = at("2026-03-01T09:05:10Z");
        for (now, missed) in [
            ("2026-03-01T12:00:00Z", 0),
            ("2026-03-02T09:04:59Z", 0),
            ("2026-03-02T09:05:00Z", 1),
            ("2026-03-03T09:04:59Z", 1),
            ("2026-03-03T09:06:00Z", 2),
            ("2026-04-03T09:06:00Z", 5),
        ] {
            assert_eq!(daily.slots_missed(success, at(now), 5), missed, "{now}");
        }
    }
}
