//! What the operator says of a DataSource.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What came of it: written by the operator alone.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataSourceStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready: the newest fetch of this source and these goals succeeded. Reconciling (while True):
    /// a fetch has run for more than five seconds, or waits for its retry. Stalled (while True):
    /// only another schedule or time zone helps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,

    /// The newest token of sumsq.dev/fetch-requested-at whose fetch has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_fetch_request: Option<String>,

    /// The newest token of sumsq.dev/force-fetch-requested-at whose fetch has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_force_fetch_request: Option<String>,

    /// ARN of whose identity reads: what a bucket policy has to name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,

    /// The external ID under which the operator's own identity assumes spec.source.s3.roleArn: what
    /// the role's trust policy has to ask for (sts:ExternalId), so that no other namespace gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,

    /// When the newest fetch ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fetch_time: Option<Time>,

    /// When a fetch last succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_time: Option<Time>,

    /// When the next fetch begins, with jitter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_fetch_time: Option<Time>,

    /// Slots of the schedule that were skipped, because they were missed by more than
    /// startingDeadlineSeconds or a newer one was due as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_fetches: Option<i64>,

    /// Agents (experiments) that the store holds of this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_count: Option<i64>,

    /// Their codes, at most 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,

    /// Whether there are more agents than are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents_truncated: Option<bool>,

    /// Data rows of the newest imported file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,

    /// The first day that the store holds, such as 2026-11-24 (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub first_day: Option<String>,

    /// The last day that the store holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub last_day: Option<String>,

    /// The newest fetches, newest first. Repeats of the same failure are one entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
}

/// One fetch.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// As in the store's log.
    pub id: String,
    /// Why it ran: Created (a new object), Schedule, Manual (an annotation asked), SpecChange or
    /// Retry.
    pub trigger: Trigger,
    /// When it began; of repeats, the first.
    pub started_at: Time,
    /// When it ended; of repeats, the newest. Not there while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// How often the same failure was met in a row.
    pub attempts: i64,
    /// What came of it: Imported, NotModified (the object is the one imported last) or Error.
    pub result: FetchResult,
    /// Agents in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_count: Option<i64>,
    /// At most 10 of their codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// Data rows of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Bytes of the file, decompressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Days of agents whose numbers were new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_agent_days: Option<i64>,
    /// How many findings there were that did not stop the import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning_count: Option<i64>,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<FetchError>,
}

#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trigger {
    Created,
    Schedule,
    Manual,
    SpecChange,
    Retry,
}

#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FetchResult {
    Imported,
    NotModified,
    Error,
}

/// Why a fetch failed.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchError {
    /// AWS's code where AWS answered, else the operator's.
    pub code: String,
    /// AWS's or the operator's message.
    pub message: String,
    /// What to do about it; with ready-made policies while it is the newest.
    pub hint: String,
}
