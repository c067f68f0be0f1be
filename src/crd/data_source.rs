//! DataSource: what to fetch, when, and what came of it.
//!
//! Whatever can be wrong is refused with a sentence that says what to write instead. Only CEL
//! rules carry one, and a failed type or length check hides them: so those limits are wide, and
//! the rules narrow.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a CSV of aggregated conversion counts lies in S3, which goals it holds, and when to fetch
/// it.
#[allow(
    clippy::duplicated_attributes,
    reason = "each printer column has a type"
)]
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "sumsq.dev",
    version = "v1alpha1",
    kind = "DataSource",
    plural = "datasources",
    shortname = "dsrc",
    category = "sumsq",
    namespaced,
    cel,
    status = "DataSourceStatus",
    derive = "PartialEq",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Agents", type_ = "integer", json_path = ".status.agentCount"),
    printcolumn(
        name = "Last Success",
        type_ = "date",
        json_path = ".status.lastSuccessTime"
    ),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextFetchTime"),
    printcolumn(
        name = "Schedule",
        type_ = "string",
        json_path = ".spec.schedule",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.source) && has(self.source.s3)")
    .message("source is missing: write source: {s3: {region, bucket, key, accountId}}"))]
pub struct DataSourceSpec {
    /// What people call it, such as "Internal Conversion Events".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub display_name: Option<String>,

    /// The conversion types that the CSV holds, at most 100, each with a code of its own. They may
    /// come later: while there are none, nothing is fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(
        validation = Rule::new("self.size() <= 100")
            .message("at most 100 goals: spread more over several DataSources"),
        validation = Rule::new("self.all(g, self.exists_one(h, h.code == g.code))")
            .message("each goal's code stands once: remove the one that is there twice"),
        validation = Rule::new("self.all(g, !self.exists(h, h.code == g.code + '_val' || h.code == g.code + '_sumsq' || h.code == g.code + '_val_sumsq'))")
            .message("a goal's code must not be another's with _sumsq, _val or _val_sumsq behind it: the two would name the same column, so rename one")
    )]
    pub goals: Vec<Goal>,

    /// On which day a visitor's events lie. Exposure: each visitor once, on the day of the first
    /// exposure, with all of that visitor's events. Event: events on their own day, or a visitor
    /// on each day seen; intervals over several days are then too short, and reports say so.
    #[serde(default)]
    pub dating: Dating,

    /// Where the CSV lies: exactly one member; s3 is the only one today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,

    /// When to fetch: cron with five fields (minute hour day-of-month month day-of-week).
    #[serde(default = "default_schedule")]
    #[schemars(length(max = 1024))]
    pub schedule: String,

    /// IANA time zone of the schedule, such as America/New_York; default is the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub time_zone: Option<String>,

    /// A slot of the schedule that is missed by more than this many seconds is skipped and counted.
    #[serde(default = "default_starting_deadline_seconds")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 31622400")
        .message("startingDeadlineSeconds takes 0 to 31622400 (a year)"))]
    pub starting_deadline_seconds: i64,

    /// Holds schedule, retries and spec changes back; a request by annotation still fetches once.
    #[serde(default)]
    pub suspend: bool,

    /// How long a fetch may take, from the request until everything has been read.
    #[serde(default = "default_timeout_seconds")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 86400")
        .message("timeoutSeconds takes 1 to 86400 (a day)"))]
    pub timeout_seconds: i64,

    /// The largest object that is read, such as 1Gi; of what it decompresses to, too.
    #[serde(default = "default_max_object_bytes")]
    #[x_kube(
        validation = Rule::new("isQuantity(string(self))")
            .message("maxObjectBytes takes a quantity of bytes, such as 500Mi or 1Gi"),
        validation = Rule::new("!isQuantity(string(self)) || (quantity(string(self)).compareTo(quantity('1Ki')) >= 0 && quantity(string(self)).compareTo(quantity('1Ti')) <= 0)")
            .message("maxObjectBytes takes 1Ki to 1Ti")
    )]
    pub max_object_bytes: IntOrString,

    /// How many fetches status shows; the store keeps them all.
    #[serde(default = "default_history_limit")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100")
        .message("historyLimit takes 1 to 100"))]
    pub history_limit: i64,

    /// What to do with a file whose numbers no visitors can have produced, whatever the dating:
    /// import it with a warning, or refuse it.
    #[serde(default)]
    pub on_integrity_problem: OnIntegrityProblem,

    /// What becomes of the data when this object is deleted: kept in the store, where one of the
    /// same name in the same namespace finds them again, or deleted with it.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// A conversion type.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Goal {
    /// The column's name in the CSV; `<code>_sumsq` stands beside it, and for values `<code>_val`
    /// and `<code>_val_sumsq`.
    #[schemars(length(max = 200))]
    #[x_kube(
        validation = Rule::new("self.size() >= 1 && self.size() <= 128")
            .message("a goal's code takes 1 to 128 characters: the name of its column in the CSV"),
        validation = Rule::new("!(self.lowerAscii() in ['date', 'agent', 'variation', 'sels', 'trait_group', 'trait_value', 'policy'])")
            .message("a goal's code must not be Date, Agent, Variation, Sels, Trait_Group, Trait_Value or Policy: those columns have a meaning of their own"),
        validation = Rule::new("!self.matches('[\\\\x00-\\\\x1f\\\\x7f]')")
            .message("a goal's code must not hold control characters")
    )]
    pub code: String,

    /// What people call it, such as "Sales".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub display_name: Option<String>,

    /// Whether events have values: then `<code>_val` and `<code>_val_sumsq` must be there.
    #[serde(default)]
    pub numeric: bool,

    /// Whether values may be negative (refunds).
    #[serde(default)]
    pub allow_negative: bool,

    /// Which way is better.
    #[serde(default)]
    pub good_direction: GoodDirection,
}

#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum GoodDirection {
    #[default]
    Increase,
    Decrease,
}

#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dating {
    #[default]
    Exposure,
    Event,
}

#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnIntegrityProblem {
    #[default]
    Warn,
    Reject,
}

#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionPolicy {
    #[default]
    Retain,
    Delete,
}

/// Where the CSV lies.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// An object in S3, or in a store that speaks its language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3>,
}

/// An object in S3.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.accountId) || (has(self.endpoint) && !self.endpoint.matches('^https?://[^/]*[.]amazonaws[.]com'))")
    .message("accountId is missing: the 12 digits of the AWS account that owns the bucket, in quotes (only with an endpoint that is not AWS's may it be left out)"))]
pub struct S3 {
    /// The bucket's region, such as us-east-1 or eu-west-2.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9-]+$')")
        .message("region takes a region's code, such as us-east-1"))]
    pub region: String,

    /// The bucket's name, as S3 shows it.
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new("!self.startsWith('arn:')")
            .message("bucket takes the bucket's name, not its ARN: write what follows the last colon"),
        validation = Rule::new("!self.contains('://') && !self.endsWith('.amazonaws.com')")
            .message("bucket takes the bucket's name, not a URL: write com.my-company.counts rather than s3://com.my-company.counts or https://com.my-company.counts.s3.amazonaws.com"),
        validation = Rule::new("self.contains('://') || self.startsWith('arn:') || !self.contains('/')")
            .message("bucket takes a name without slashes: folders belong into key"),
        validation = Rule::new("self.contains('/') || self.startsWith('arn:') || self.matches('^[A-Za-z0-9._-]{3,255}$')")
            .message("bucket takes the bucket's name as S3 shows it: at least 3 letters, digits, dots and hyphens")
    )]
    pub bucket: String,

    /// The CSV's name in the bucket; slashes are folders.
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new("self.size() >= 1 && self.size() <= 1024")
            .message("key takes the CSV's name in the bucket, such as exports/counts.csv (1 to 1024 characters)"),
        validation = Rule::new("!self.startsWith('/')")
            .message("key starts without a slash: write exports/counts.csv rather than /exports/counts.csv"),
        validation = Rule::new("!self.contains('://')")
            .message("key takes the CSV's name in the bucket, not a URL: write exports/counts.csv")
    )]
    pub key: String,

    /// The 12 digits of the AWS account that owns the bucket, sent as ExpectedBucketOwner, so that
    /// a bucket that changes hands is not read. May be left out only with an endpoint that is not
    /// AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]{12}$')")
        .message("accountId takes the 12 digits of an AWS account, without hyphens and in quotes, such as \"123456789012\""))]
    pub account_id: Option<String>,

    /// Address of an S3-compatible store, such as https://minio.example.com:9000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/?#@[:space:]]+(/[^?#[:space:]]*)?$')")
        .message("endpoint takes an address that starts with http:// or https://, such as https://minio.example.com:9000"))]
    pub endpoint: Option<String>,

    /// Whether the bucket stands in the path rather than in the host name, as many S3-compatible
    /// stores want it.
    #[serde(default)]
    pub force_path_style: bool,

    /// A Secret of this namespace whose credentials read the object, with keys accessKeyId,
    /// secretAccessKey and, where they are temporary, sessionToken. Without it the operator's own
    /// identity reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// Names a Secret of the same namespace.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$')")
        .message("secretRef.name takes the name of a Secret in this namespace"))]
    pub name: String,
}

/// What came of it.
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

    /// The first day that the store holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_day: Option<String>,

    /// The last day that the store holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// Why it ran.
    pub trigger: Trigger,
    pub started_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// How often the same failure was met in a row.
    pub attempts: i64,
    /// What came of it.
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

fn default_schedule() -> String {
    "0 9 * * *".to_owned()
}

fn default_starting_deadline_seconds() -> i64 {
    43_200
}

fn default_timeout_seconds() -> i64 {
    600
}

fn default_max_object_bytes() -> IntOrString {
    IntOrString::String("1Gi".to_owned())
}

fn default_history_limit() -> i64 {
    10
}
