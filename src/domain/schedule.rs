//! When a data source is due: next slot, missed slots, jitter.
//!
//! Slots are civil times, mapped to instants once: in the spring gap to its end, in the autumn
//! fold to the first of the two. So each slot fires exactly once across both changes. (Cron's own
//! crate iterates instants, which waits a day for `15,45 2` in a gap and fires `30 1,2` twice in a
//! fold; here it only says which civil times match.) Several slots in one gap share its end, which
//! is one instant and so one fetch.

use std::time::Duration;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// Folds are shorter than this in every zone that there is.
const LONGEST_FOLD_HOURS: i64 = 3;
/// The period is looked for among so many slots.
const SLOTS_OF_A_PERIOD: usize = 12;

/// A 5-field cron in an IANA time zone that has at least one slot.
///
/// Of the cron only its text is kept, and read anew by whoever looks for slots: read, it takes 5 KiB,
/// which tens of thousands of sources cannot have each, and reading it takes microseconds.
#[derive(Debug, Clone)]
pub struct Schedule {
    zone: TimeZone,
    text: String,
    period: SignedDuration,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "schedule {cron:?} is not a cron expression of five fields (minute hour day-of-month month day-of-week, such as \"0 9 * * *\"): {reason}"
    )]
    InvalidCron { cron: String, reason: String },
    #[error("schedule {cron:?} never fires: no such date exists")]
    NeverFires { cron: String },
    #[error("timeZone {zone:?} is not an IANA time zone such as Europe/Berlin or UTC")]
    UnknownTimeZone { zone: String },
}

impl Schedule {
    /// Five fields with lists, ranges, steps and names (`MON`, `JAN`); day of month and day of week
    /// are alternatives where both are given, as in every cron.
    ///
    /// # Errors
    /// A cron that cannot be read or never fires, a zone that does not exist.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, ScheduleError> {
        let invalid = |reason: String| ScheduleError::InvalidCron {
            cron: cron.to_owned(),
            reason,
        };
        let fields = cron.split_whitespace().count();
        if fields != 5 {
            return Err(invalid(format!("it has {fields}")));
        }
        let parsed = read(cron).map_err(|error| invalid(error.to_string()))?;
        let unknown_zone = || ScheduleError::UnknownTimeZone {
            zone: zone.to_owned(),
        };
        let iana =
            zone == "UTC" || zone.contains('/') || zone.chars().all(|c| c.is_ascii_uppercase());
        if zone.is_empty() || !iana {
            return Err(unknown_zone());
        }
        let zone_found = TimeZone::get(zone).map_err(|_| unknown_zone())?;
        let mut schedule = Self {
            zone: zone_found,
            text: format!(
                "{} {zone}",
                cron.split_whitespace().collect::<Vec<_>>().join(" ")
            ),
            period: SignedDuration::ZERO,
        };
        schedule.period = shortest_distance(&parsed).ok_or_else(|| ScheduleError::NeverFires {
            cron: cron.to_owned(),
        })?;
        Ok(schedule)
    }

    /// Cron and zone: two schedules with the same text have the same slots.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The five fields.
    #[must_use]
    pub fn cron(&self) -> &str {
        self.text.rsplit_once(' ').map_or("", |(cron, _)| cron)
    }

    /// IANA.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        self.text.rsplit_once(' ').map_or("", |(_, zone)| zone)
    }

    /// The first slot strictly after `after`.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.slot_after(&self.read(), after)
    }

    fn slot_after(&self, cron: &Cron, after: Timestamp) -> Option<Timestamp> {
        let mut civil = on_the_minute(self.zone.to_datetime(after))?;
        let mut inclusive = true;
        loop {
            // Civil times before that of `after` have their instants before it, too; those at or
            // behind it may, where `after` lies in the second half of a fold.
            civil = matching(cron, civil, inclusive)?;
            inclusive = false;
            let slot = self.instant(civil)?;
            if slot > after {
                return Some(slot);
            }
        }
    }

    /// The newest slot in `(after, until]` and how many there are, counted up to `limit`.
    #[must_use]
    pub fn due(&self, after: Timestamp, until: Timestamp, limit: u32) -> Option<DueSlots> {
        let cron = self.read();
        let newest = self
            .newest_until(&cron, until)
            .filter(|newest| *newest > after)?;
        let (mut count, mut slot) = (0, after);
        while count < limit {
            match self.slot_after(&cron, slot) {
                Some(next) if next <= until => slot = next,
                _ => break,
            }
            count += 1;
        }
        Some(DueSlots {
            newest,
            count: count.max(1),
        })
    }

    /// How long after its slot this object fetches: forward only, stable for its UID, at most
    /// `most` and a tenth of the period (the shortest distance between slots).
    #[must_use]
    pub fn jitter(&self, uid: &str, most: Duration) -> Duration {
        let period = Duration::try_from(self.period).unwrap_or_default();
        let bound = most.min(period / 10).as_secs();
        if bound == 0 {
            return Duration::ZERO;
        }
        let digest = blake3::hash(uid.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        Duration::from_secs(u64::from_le_bytes(first) % (bound + 1))
    }

    fn read(&self) -> Cron {
        read(self.cron()).expect("it has been read before")
    }

    fn newest_until(&self, cron: &Cron, until: Timestamp) -> Option<Timestamp> {
        // Within a fold, slots with a later civil time may lie before `until`.
        let ahead = LONGEST_FOLD_HOURS.hours();
        let mut civil = on_the_minute(self.zone.to_datetime(until).checked_add(ahead).ok()?)?;
        let mut inclusive = true;
        loop {
            let start = utc(civil)?;
            civil = cron
                .find_previous_occurrence(&start, inclusive)
                .ok()?
                .datetime();
            inclusive = false;
            let slot = self.instant(civil)?;
            if slot <= until {
                return Some(slot);
            }
        }
    }

    /// The one instant of a civil time in the zone.
    fn instant(&self, civil: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => {
                let behind = ambiguous.later().ok()?;
                // The gap ends with the last transition up to there.
                let next = behind.checked_add(1.second()).ok()?;
                self.zone
                    .preceding(next)
                    .next()
                    .map(|transition| transition.timestamp())
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                ambiguous.earlier().ok()
            }
        }
    }
}

/// The newest of the slots that are due, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueSlots {
    pub newest: Timestamp,
    /// At least 1.
    pub count: u32,
}

fn read(cron: &str) -> Result<Cron, CronError> {
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(cron)
}

/// The first civil time that the cron matches, from `civil` on.
fn matching(cron: &Cron, civil: DateTime, inclusive: bool) -> Option<DateTime> {
    let found = cron.find_next_occurrence(&utc(civil)?, inclusive).ok()?;
    Some(found.datetime())
}

/// Between two slots that follow each other.
fn shortest_distance(cron: &Cron) -> Option<SignedDuration> {
    let mut civil = DateTime::constant(2024, 1, 1, 0, 0, 0, 0);
    let mut times = Vec::with_capacity(SLOTS_OF_A_PERIOD);
    while times.len() < SLOTS_OF_A_PERIOD {
        let Some(next) = matching(cron, civil, times.is_empty()) else {
            break;
        };
        times.push(next);
        civil = next;
    }
    let distances = times.windows(2).map(|pair| pair[1].duration_since(pair[0]));
    // A schedule with a single slot ahead fires at most once in a long time.
    if times.is_empty() {
        None
    } else {
        distances.min().or(Some(SignedDuration::from_hours(24)))
    }
}

/// UTC has no gaps and no folds: in it, civil times can be iterated as they are.
fn utc(civil: DateTime) -> Option<Zoned> {
    civil.to_zoned(TimeZone::UTC).ok()
}

fn on_the_minute(civil: DateTime) -> Option<DateTime> {
    civil.with().second(0).subsec_nanosecond(0).build().ok()
}

#[cfg(test)]
mod tests;
