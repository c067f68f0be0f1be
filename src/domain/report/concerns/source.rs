//! Concerns about the data source: how old its data are, and what its days lack.

use jiff::Timestamp;

use super::{concern, counted};
use crate::domain::agent_day::{AgentDay, Day};
use crate::domain::report::AgentData;
use crate::domain::report::scope;
use crate::domain::report::view::{Concern, ConcernCode};

/// From so many missed slots on data are stale.
const STALE_SLOTS: u32 = 2;
/// No more are counted: each takes its time, and more say no more.
pub const MAX_SLOTS_COUNTED: u32 = 30;
/// Days that a message lists, at most.
const MAX_LISTED: usize = 5;

/// What to do where days are missing.
pub(super) const EXPORT_ALL_DAYS: &str = "Check that the export ran for these days and holds every \
    variation's visitors, also those without events.";

pub(super) fn visitor_days(data: &AgentData, days: &[AgentDay]) -> Option<Concern> {
    scope::is_visitor_days(data, days).then(|| {
        concern(
            ConcernCode::VisitorDays,
            "The export puts events on the day they happen, or counts a visitor on each day seen: \
             over several days the visitors here are visitor-days, and intervals are narrower than \
             the truth."
                .into(),
            "Put each visitor with all events on the day of the first exposure, and set dating: \
             Exposure; until then, believe one day at a time.",
            [("days", days.len().into())],
        )
    })
}

/// Days between the first and the last in view that hold nothing.
pub(super) fn days_missing(days: &[AgentDay]) -> Option<Concern> {
    let days: Vec<Day> = days.iter().map(|day| day.day).collect();
    let missing = days_between(&days);
    (!missing.is_empty()).then(|| {
        concern(
            ConcernCode::DaysMissing,
            no_data(&missing),
            EXPORT_ALL_DAYS,
            [("days", missing.len().into())],
        )
    })
}

/// The days that lie between `days`, which are in order, and are none of them.
pub(super) fn days_between(days: &[Day]) -> Vec<Day> {
    let gaps = days.windows(2).flat_map(|pair| pair[0].0 + 1..pair[1].0);
    // A gap of centuries need not be listed day by day.
    gaps.take(10_000).map(Day).collect()
}

pub(super) fn no_data(missing: &[Day]) -> String {
    format!(
        "There are no data at all for {} ({}).",
        counted(missing.len() as u64, "day"),
        listed(missing)
    )
}

/// `2026-01-07, 2026-01-08, ...`.
pub(super) fn listed(days: &[Day]) -> String {
    let mut listed: Vec<String> = days
        .iter()
        .take(MAX_LISTED)
        .map(ToString::to_string)
        .collect();
    if days.len() > MAX_LISTED {
        listed.push("...".into());
    }
    listed.join(", ")
}

pub(super) fn goal_absent(days: &[AgentDay], goal: &str) -> Option<Concern> {
    let absent: Vec<&AgentDay> = days
        .iter()
        .filter(|day| !day.goals.iter().any(|code| **code == *goal))
        .collect();
    let (first, last) = (absent.first()?.day, absent.last()?.day);
    let count = absent.len() as u64;
    let when = if first == last {
        format!("{first}")
    } else {
        format!("from {first} to {last}")
    };
    Some(concern(
        ConcernCode::GoalAbsentOnDays,
        format!(
            "The file had no {goal} on {} of {} ({when}): their visitors are left out of its \
             numbers.",
            counted(count, "day"),
            days.len()
        ),
        "Export the goal's columns for these days too, or choose the days that have it.",
        [
            ("days", count.into()),
            ("firstDay", first.to_string().into()),
            ("lastDay", last.to_string().into()),
        ],
    ))
}

pub(super) fn incomplete_day(data: &AgentData, days: &[AgentDay]) -> Option<Concern> {
    let newest = days.last()?.day;
    (!scope::is_complete(data, newest)).then(|| {
        concern(
            ConcernCode::IncompleteDay,
            format!("{newest} had not ended when it was fetched: more of it is to come."),
            "Nothing to do: the next fetch brings the rest of the day.",
            [("day", newest.to_string().into())],
        )
    })
}

pub(super) fn stale(data: &AgentData, now: Timestamp) -> Option<Concern> {
    let as_of = data.source.data_as_of?;
    let description = &data.source.description;
    let missed = description.slots_missed(as_of, now, MAX_SLOTS_COUNTED);
    if missed < STALE_SLOTS {
        return None;
    }
    let name = &data.source.key;
    let or_more = if missed == MAX_SLOTS_COUNTED {
        " or more"
    } else {
        ""
    };
    let (why, hint) = if description.suspend {
        (
            "the data source is suspended",
            format!("Resume {name}, or fetch it now by hand."),
        )
    } else {
        (
            "its fetches failed or did not run",
            format!("Look at the data source {name}: its last error says what to do."),
        )
    };
    Some(concern(
        ConcernCode::StaleData,
        format!(
            "These are the data of {}: {missed}{or_more} scheduled fetches have brought nothing newer, \
             because {why}.",
            minute(as_of),
        ),
        hint,
        [
            ("slotsMissed", missed.into()),
            ("dataAsOf", as_of.to_string().into()),
        ],
    ))
}

pub(super) fn last_fetch_failed(data: &AgentData) -> Option<Concern> {
    let error = data.source.last_error.as_ref()?;
    let held = match data.source.data_as_of {
        Some(as_of) => format!("these are the data of {}", minute(as_of)),
        None => "these are older data".to_owned(),
    };
    Some(concern(
        ConcernCode::LastFetchFailed,
        format!("The newest fetch failed, so {held}: {error}"),
        error.hint.clone(),
        [("code", error.code.clone().into())],
    ))
}

/// `2026-03-06 09:02 UTC`.
fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
