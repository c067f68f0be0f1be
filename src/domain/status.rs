//! What status says: (source, fetch log, plan, now) -> conditions and fields. Pure.

mod conditions;
mod history;
mod reason;

use jiff::Timestamp;
use serde::Serialize;

use super::agent_day::Day;
use super::data_source::DataSource;
use super::description::Description;
use super::fetch::{FetchError, FetchRecord, Import, presentable};
use super::plan::{InFlight, SlotCursor, UnfinishedFetch, Waiting};

pub use conditions::{Condition, ConditionStatus};
use conditions::{ready, reconciling, unknown};
use history::entry;
pub use history::{HistoryEntry, HistoryError};
pub use reason::{Meaning, Reason};

/// The status object never exceeds this many bytes of JSON.
pub const MAX_STATUS_BYTES: usize = 64 * 1024;
/// Agent codes in status take at most this much of it.
const MAX_AGENTS_BYTES: usize = 16 * 1024;

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
    /// What the trust policy of the role has to ask for that the operator itself assumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
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
        external_id: source.object.derived_external_id().map(str::to_owned),
        ..facts(stored, source.generation, source.history_limit)
    };
    status.fitted()
}

/// What status says where only another spec helps. What was fetched before is still told.
#[must_use]
pub fn stalled_status(
    generation: i64,
    history_limit: usize,
    reason: Reason,
    message: &str,
    stored: &Stored,
) -> Status {
    let condition = |status| Condition {
        status,
        reason: reason.as_str(),
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
            entry.shorten();
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
        ready: unknown(Reason::NotFetchedYet, ""),
        reconciling: None,
        stalled: None,
        last_handled_fetch_request: stored.handled_request.clone(),
        last_handled_force_fetch_request: stored.handled_force_request.clone(),
        reader: stored.reader.clone(),
        external_id: None,
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
