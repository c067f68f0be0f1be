//! What status says: (source, fetch log, plan, now) -> conditions and fields. Pure.

use jiff::Timestamp;

use super::agent_day::Day;
use super::data_source::DataSource;
use super::fetch::FetchRecord;
use super::plan::Plan;

/// The status object never exceeds this many bytes of JSON.
pub const MAX_STATUS_BYTES: usize = 64 * 1024;

/// What the store knows of one data source: the truth of everything below.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// Completed fetches of this object, newest first, as many as were asked for (at least one
    /// where there is one).
    pub history: Vec<FetchRecord>,
    /// Begun and not completed, of whatever object of this name.
    pub unfinished: Option<super::plan::UnfinishedFetch>,
    /// When the newest fetch of this object completed, and when one last succeeded.
    pub last_fetch_at: Option<Timestamp>,
    pub last_success_at: Option<Timestamp>,
    /// The object whose content the store holds: its ETag and the fingerprint it was read under.
    pub etag: Option<String>,
    pub etag_fingerprint: Option<String>,
    /// Rows of the newest file imported.
    pub rows: Option<u64>,
    pub cursor: Option<super::plan::SlotCursor>,
    /// Slots that were skipped since the object was created.
    pub missed_fetches: u64,
    pub handled_request: Option<String>,
    pub handled_force_request: Option<String>,
    pub failures: u32,
    /// ARN of whose identity reads.
    pub reader: Option<String>,
    /// Of everything the store holds of this data source.
    pub agent_count: u64,
    /// At most 500 codes, in order.
    pub agents: Vec<String>,
    pub first_day: Option<Day>,
    pub last_day: Option<Day>,
}

/// The status subresource in domain words; `controller` gives it the resource's types.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub observed_generation: i64,
    pub ready: Condition,
    pub reconciling: Condition,
    pub stalled: Condition,
    pub last_handled_fetch_request: Option<String>,
    pub last_handled_force_fetch_request: Option<String>,
    pub reader: Option<String>,
    pub last_fetch_time: Option<Timestamp>,
    pub last_success_time: Option<Timestamp>,
    pub next_fetch_time: Option<Timestamp>,
    pub missed_fetches: u64,
    pub agent_count: u64,
    pub agents: Vec<String>,
    pub agents_truncated: bool,
    pub rows: Option<u64>,
    pub first_day: Option<Day>,
    pub last_day: Option<Day>,
    pub history: Vec<HistoryEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub status: ConditionStatus,
    /// CamelCase, from a closed list.
    pub reason: String,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

/// One line of the history, trimmed to fit.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    pub id: uuid::Uuid,
    pub trigger: super::fetch::Trigger,
    pub started_at: Timestamp,
    pub completed_at: Option<Timestamp>,
    pub attempts: u32,
    /// Imported, NotModified or Error.
    pub result: &'static str,
    pub agent_count: Option<u64>,
    /// At most 10.
    pub agents: Vec<String>,
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    pub changed_agent_days: Option<u64>,
    /// The first findings in words.
    pub warnings: Vec<String>,
    pub warning_count: u64,
    pub error: Option<HistoryError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryError {
    pub code: String,
    pub message: String,
    /// With ready-made policies where it is the newest.
    pub hint: String,
}
