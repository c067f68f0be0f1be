//! What status says: (source, fetch log, plan, now) -> conditions and fields. Pure.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::agent_day::Day;
use super::data_source::DataSource;
use super::description::Description;
use super::fetch::{FetchError, FetchRecord, Import, NextStep, Outcome, Trigger, presentable};
use super::plan::{InFlight, SlotCursor, UnfinishedFetch, Waiting};

/// The status object never exceeds this many bytes of JSON.
pub const MAX_STATUS_BYTES: usize = 64 * 1024;
/// Agent codes in status take at most this much of it.
const MAX_AGENTS_BYTES: usize = 16 * 1024;
/// Agents of one history entry.
const MAX_ENTRY_AGENTS: usize = 10;
/// Warnings in words of one history entry; the others are counted.
const MAX_ENTRY_WARNINGS: usize = 3;
/// Messages are shortened to this where the whole does not fit.
const SHORT_MESSAGE_CHARS: usize = 120;

/// What the store knows of one data source: the truth of everything below.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// Completed fetches of this object, newest first, as many as were asked for (at least one
    /// where there is one).
    pub history: Vec<FetchRecord>,
    /// Begun and not completed, of whatever object of this name.
    pub unfinished: Option<UnfinishedFetch>,
    /// When the newest fetch of this object completed, and when one last succeeded.
    pub last_fetch_at: Option<Timestamp>,
    pub last_success_at: Option<Timestamp>,
    /// The object whose content the store holds: its ETag and the fingerprint it was read under.
    pub etag: Option<String>,
    pub etag_fingerprint: Option<String>,
    /// Rows of the newest file imported.
    pub rows: Option<u64>,
    pub cursor: Option<SlotCursor>,
    /// Slots that were skipped since the object was created.
    pub missed_fetches: u64,
    pub handled_request: Option<String>,
    pub handled_force_request: Option<String>,
    pub failures: u32,
    /// ARN of whose identity reads.
    pub reader: Option<String>,
    /// What reports know of the spec.
    pub description: Option<Description>,
    /// Of everything the store holds of this data source.
    pub agent_count: u64,
    /// At most 500 codes, in order.
    pub agents: Vec<String>,
    pub first_day: Option<Day>,
    pub last_day: Option<Day>,
}

/// The status subresource in domain words: its serialized form is what the API server is sent,
/// but for the conditions, whose transition times depend on what stood there before.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub observed_generation: i64,
    #[serde(skip)]
    pub ready: Condition,
    /// Absent means False, as kstatus reads it.
    #[serde(skip)]
    pub reconciling: Option<Condition>,
    /// Absent means False.
    #[serde(skip)]
    pub stalled: Option<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_fetch_request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_force_fetch_request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339_option"
    )]
    pub last_fetch_time: Option<Timestamp>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339_option"
    )]
    pub last_success_time: Option<Timestamp>,
    /// With jitter.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339_option"
    )]
    pub next_fetch_time: Option<Timestamp>,
    pub missed_fetches: u64,
    pub agent_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub agents_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_day: Option<Day>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_day: Option<Day>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
}

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

/// One line of the history, trimmed to fit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    pub id: Uuid,
    pub trigger: Trigger,
    #[serde(serialize_with = "rfc3339")]
    pub started_at: Timestamp,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339_option"
    )]
    pub completed_at: Option<Timestamp>,
    pub attempts: u32,
    /// Imported, NotModified or Error.
    pub result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_count: Option<u64>,
    /// At most 10.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_agent_days: Option<u64>,
    /// How many findings there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning_count: Option<u64>,
    /// The first of them in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<HistoryError>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryError {
    pub code: String,
    pub message: String,
    /// With ready-made policies where it is the newest.
    pub hint: String,
}

/// Where a data source stands besides what the store knows.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    pub in_flight: Option<&'a InFlight>,
    pub waiting: Waiting,
    /// When it is looked at again: of a retry, its time.
    pub until: Option<Timestamp>,
    pub next_fetch: Option<Timestamp>,
}

/// What status says of a data source whose spec is sound.
#[must_use]
pub fn status(
    source: &DataSource,
    stored: &Stored,
    situation: Situation,
    now: Timestamp,
) -> Status {
    let status = Status {
        next_fetch_time: situation.next_fetch,
        ready: ready(source, stored, situation),
        reconciling: reconciling(stored, situation, now),
        ..facts(stored, source.generation, source.history_limit)
    };
    status.fitted()
}

/// What status says where only another spec helps: `reason` is InvalidSchedule, InvalidTimeZone or
/// InvalidSpec. What was fetched before is still told.
#[must_use]
pub fn stalled_status(
    generation: i64,
    history_limit: usize,
    reason: &'static str,
    message: &str,
    stored: &Stored,
) -> Status {
    let condition = |status| Condition {
        status,
        reason,
        message: presentable(message),
    };
    let status = Status {
        ready: condition(ConditionStatus::False),
        stalled: Some(condition(ConditionStatus::True)),
        ..facts(stored, generation, history_limit)
    };
    status.fitted()
}

/// What status says while the store can't be read or written; nothing else of it is known.
#[must_use]
pub fn unstored_status(failure: &FetchError) -> Status {
    Status {
        ready: Condition {
            status: ConditionStatus::False,
            reason: failure.class.as_str(),
            message: format!("{}; {}", failure.message, failure.hint),
        },
        ..facts(&Stored::default(), 0, 0)
    }
}

impl Status {
    /// Conditions by type, in the order in which they are shown.
    #[must_use]
    pub fn conditions(&self) -> Vec<(&'static str, &Condition)> {
        let mut conditions = vec![("Ready", &self.ready)];
        conditions.extend(
            self.reconciling
                .as_ref()
                .map(|condition| ("Reconciling", condition)),
        );
        conditions.extend(
            self.stalled
                .as_ref()
                .map(|condition| ("Stalled", condition)),
        );
        conditions
    }

    /// Bytes of JSON, at most: each condition has some 200 besides its texts.
    #[must_use]
    pub fn json_bytes(&self) -> usize {
        let json = |value: &str| serde_json::to_string(value).map_or(0, |json| json.len());
        let conditions = self.conditions();
        let of_conditions = conditions
            .iter()
            .map(|(_, condition)| json(&condition.message) + 250);
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
            + of_conditions.sum::<usize>()
    }

    /// Under [`MAX_STATUS_BYTES`]: the history loses its agents first, then the length of its
    /// messages, then its oldest entries.
    fn fitted(mut self) -> Self {
        if self.json_bytes() <= MAX_STATUS_BYTES {
            return self;
        }
        for entry in &mut self.history {
            entry.agents.clear();
        }
        if self.json_bytes() <= MAX_STATUS_BYTES {
            return self;
        }
        for entry in self.history.iter_mut().skip(1) {
            entry.warnings.clear();
            if let Some(error) = &mut entry.error {
                shorten(&mut error.message);
                shorten(&mut error.hint);
            }
        }
        while self.history.len() > 1 && self.json_bytes() > MAX_STATUS_BYTES {
            self.history.pop();
        }
        self.agents_truncated |= self.json_bytes() > MAX_STATUS_BYTES && !self.agents.is_empty();
        if self.json_bytes() > MAX_STATUS_BYTES {
            self.agents.clear();
        }
        self
    }
}

fn facts(stored: &Stored, generation: i64, history_limit: usize) -> Status {
    let agents = fitting(&stored.agents);
    Status {
        observed_generation: generation,
        ready: unknown("NotFetchedYet", ""),
        reconciling: None,
        stalled: None,
        last_handled_fetch_request: stored.handled_request.clone(),
        last_handled_force_fetch_request: stored.handled_force_request.clone(),
        reader: stored.reader.clone(),
        last_fetch_time: stored.last_fetch_at,
        last_success_time: stored.last_success_at,
        next_fetch_time: None,
        missed_fetches: stored.missed_fetches,
        agent_count: stored.agent_count,
        agents_truncated: (agents.len() as u64) < stored.agent_count,
        agents,
        rows: stored.rows,
        first_day: stored.first_day,
        last_day: stored.last_day,
        history: stored
            .history
            .iter()
            .take(history_limit)
            .enumerate()
            .filter_map(|(index, record)| entry(record, index == 0))
            .collect(),
    }
}

/// The first codes that take no more than [`MAX_AGENTS_BYTES`] of JSON.
fn fitting(agents: &[String]) -> Vec<String> {
    let mut bytes = 0;
    agents
        .iter()
        .take_while(|code| {
            bytes += serde_json::to_string(code).map_or(0, |json| json.len()) + 1;
            bytes <= MAX_AGENTS_BYTES
        })
        .take(Import::MAX_AGENTS)
        .cloned()
        .collect()
}

fn ready(source: &DataSource, stored: &Stored, situation: Situation) -> Condition {
    if source.goals.is_empty() {
        return unknown(
            "NoGoals",
            "spec.goals is empty: nothing is fetched until it names a goal",
        );
    }
    let Some(newest) = stored.history.first() else {
        return if source.suspend {
            unknown(
                "Suspended",
                "suspended before the first fetch; a request by annotation fetches once",
            )
        } else {
            unknown("NotFetchedYet", "the first fetch is under way")
        };
    };
    if newest.fingerprint != source.fingerprint() {
        return if source.suspend {
            unknown(
                "SpecChanged",
                "the spec has changed; it is fetched anew when no longer suspended",
            )
        } else {
            unknown(
                "SpecChanged",
                "the spec has changed; the fetch is under way",
            )
        };
    }
    match &newest.outcome {
        Some(Outcome::Imported(import)) => Condition {
            status: ConditionStatus::True,
            reason: "Imported",
            message: imported(import),
        },
        Some(Outcome::NotModified) => Condition {
            status: ConditionStatus::True,
            reason: "NotModified",
            message: "the file is the one that was imported before".to_owned(),
        },
        Some(Outcome::Failed(error)) => failed(error, situation),
        None => unknown("NotFetchedYet", "the first fetch is under way"),
    }
}

fn unknown(reason: &'static str, message: &str) -> Condition {
    Condition {
        status: ConditionStatus::Unknown,
        reason,
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

fn reconciling(stored: &Stored, situation: Situation, now: Timestamp) -> Option<Condition> {
    let (reason, message) = match (situation.waiting, situation.in_flight) {
        (Waiting::ForFetch, Some(flight)) if flight.shows_at() <= now => match flight.started_at {
            Some(at) => ("Fetching", format!("fetching since {}", shown(at))),
            None => (
                "Queued",
                format!("waiting for a worker since {}", shown(flight.queued_at)),
            ),
        },
        (Waiting::ForRetry, _) => {
            let at = situation.until.map(shown).unwrap_or_default();
            let failures = stored.failures.max(1);
            (
                "WaitingForRetry",
                format!("failed {failures} times in a row; will be retried at {at}"),
            )
        }
        _ => return None,
    };
    Some(Condition {
        status: ConditionStatus::True,
        reason,
        message,
    })
}

fn entry(record: &FetchRecord, newest: bool) -> Option<HistoryEntry> {
    let outcome = record.outcome.as_ref()?;
    let entry = HistoryEntry {
        id: record.id,
        trigger: record.trigger,
        started_at: record.started_at,
        completed_at: record.completed_at,
        attempts: record.attempts,
        result: outcome.as_str(),
        agent_count: None,
        agents: Vec::new(),
        rows: None,
        bytes: None,
        changed_agent_days: None,
        warning_count: None,
        warnings: Vec::new(),
        error: record.error().map(|error| history_error(error, newest)),
    };
    let Outcome::Imported(import) = outcome else {
        return Some(entry);
    };
    let warnings = import.warnings.messages.iter().take(MAX_ENTRY_WARNINGS);
    Some(HistoryEntry {
        agent_count: Some(import.agent_count),
        agents: import
            .agents
            .iter()
            .take(MAX_ENTRY_AGENTS)
            .cloned()
            .collect(),
        rows: Some(import.rows),
        bytes: Some(import.bytes),
        changed_agent_days: Some(import.changed_agent_days),
        warning_count: Some(import.warnings.total),
        warnings: warnings.map(|warning| presentable(warning)).collect(),
        ..entry
    })
}

fn history_error(error: &FetchError, newest: bool) -> HistoryError {
    let mut hint = error.hint.clone();
    for policy in error.policies.iter().filter(|_| newest) {
        _ = write!(hint, "\n{}:\n{}", policy.target, policy.statement);
    }
    HistoryError {
        code: error.code.clone(),
        message: presentable(&error.message),
        hint,
    }
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(SHORT_MESSAGE_CHARS) {
        text.truncate(end);
        text.push('…');
    }
}

/// To the second, as Kubernetes writes times.
fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn rfc3339<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown(*at))
}

#[allow(clippy::ref_option, reason = "the signature that serde calls")]
fn rfc3339_option<S: serde::Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_some(&at.map(shown))
}

#[cfg(test)]
mod tests;
