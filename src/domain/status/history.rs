//! The history: completed fetches, each trimmed to fit.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{rfc3339, rfc3339_option};
use crate::domain::fetch::{FetchError, FetchRecord, Outcome, Trigger, presentable};

/// Agents of one history entry.
const MAX_ENTRY_AGENTS: usize = 10;
/// Warnings in words of one history entry; the others are counted.
const MAX_ENTRY_WARNINGS: usize = 3;
/// Messages are shortened to this where the whole does not fit.
const SHORT_MESSAGE_CHARS: usize = 120;

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

/// None of a fetch that has not ended. Ready-made policies stand with the newest one only.
pub(super) fn entry(record: &FetchRecord, newest: bool) -> Option<HistoryEntry> {
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

impl HistoryEntry {
    /// Without its warnings, and with the beginning of its messages.
    pub(super) fn shorten(&mut self) {
        self.warnings.clear();
        if let Some(error) = &mut self.error {
            shorten(&mut error.message);
            shorten(&mut error.hint);
        }
    }
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(SHORT_MESSAGE_CHARS) {
        text.truncate(end);
        text.push('…');
    }
}
