//! Conditions: how a data source stands, as kubectl and kstatus tools read it.

use jiff::Timestamp;

use super::{Reason, Situation, Stored, shown};
use crate::domain::data_source::DataSource;
use crate::domain::fetch::{FetchError, Import, NextStep, Outcome};
use crate::domain::plan::Waiting;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub status: ConditionStatus,
    /// CamelCase, from a closed list.
    pub reason: &'static str,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

pub(super) fn ready(source: &DataSource, stored: &Stored, situation: Situation) -> Condition {
    if source.goals.is_empty() {
        return unknown(
            Reason::NoGoals,
            "spec.goals is empty: nothing is fetched until it names a goal",
        );
    }
    let Some(newest) = stored.history.first() else {
        return if source.suspend {
            unknown(
                Reason::Suspended,
                "suspended before the first fetch; a request by annotation fetches once",
            )
        } else {
            unknown(Reason::NotFetchedYet, "the first fetch is under way")
        };
    };
    if newest.fingerprint != source.fingerprint() {
        return if source.suspend {
            unknown(
                Reason::SpecChanged,
                "the spec has changed; it is fetched anew when no longer suspended",
            )
        } else {
            unknown(
                Reason::SpecChanged,
                "the spec has changed; the fetch is under way",
            )
        };
    }
    match &newest.outcome {
        Some(Outcome::Imported(import)) => Condition {
            status: ConditionStatus::True,
            reason: Reason::Imported.as_str(),
            message: imported(import),
        },
        Some(Outcome::NotModified) => Condition {
            status: ConditionStatus::True,
            reason: Reason::NotModified.as_str(),
            message: "the file is the one that was imported before".to_owned(),
        },
        Some(Outcome::Failed(error)) => failed(error, situation),
        None => unknown(Reason::NotFetchedYet, "the first fetch is under way"),
    }
}

pub(super) fn unknown(reason: Reason, message: &str) -> Condition {
    Condition {
        status: ConditionStatus::Unknown,
        reason: reason.as_str(),
        message: message.to_owned(),
    }
}

/// `3 agents, 1203 rows, 2026-01-05 to 2026-03-05, 2 warnings`.
fn imported(import: &Import) -> String {
    let mut parts = vec![
        counted(import.agent_count, "agent"),
        counted(import.rows, "row"),
    ];
    if let Some((first, last)) = import.first_day.zip(import.last_day) {
        parts.push(if first == last {
            first.to_string()
        } else {
            format!("{first} to {last}")
        });
    }
    if import.warnings.total > 0 {
        parts.push(counted(import.warnings.total, "warning"));
    }
    parts.join(", ")
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn failed(error: &FetchError, situation: Situation) -> Condition {
    let next = match (error.class.next_step(), situation.waiting, situation.until) {
        (_, Waiting::ForRetry, Some(at)) => format!("; will be retried at {}", shown(at)),
        (NextStep::ChangeSpec, ..) => "; retrying does not help, another spec does".to_owned(),
        _ => String::new(),
    };
    let message = format!("{}; {}{next}", error.message, error.hint);
    Condition {
        status: ConditionStatus::False,
        reason: error.class.as_str(),
        message,
    }
}

pub(super) fn reconciling(
    stored: &Stored,
    situation: Situation,
    now: Timestamp,
) -> Option<Condition> {
    let (reason, message) = match (situation.waiting, situation.in_flight) {
        (Waiting::ForFetch, Some(flight)) if flight.shows(now) => match flight.started_at {
            Some(at) => (Reason::Fetching, format!("fetching since {}", shown(at))),
            None => (
                Reason::Queued,
                format!("waiting for a worker since {}", shown(flight.queued_at)),
            ),
        },
        (Waiting::ForRetry, _) => {
            let at = situation.until.map(shown).unwrap_or_default();
            let failures = stored.failures.max(1);
            (
                Reason::WaitingForRetry,
                format!("failed {failures} times in a row; will be retried at {at}"),
            )
        }
        _ => return None,
    };
    Some(Condition {
        status: ConditionStatus::True,
        reason: reason.as_str(),
        message,
    })
}
