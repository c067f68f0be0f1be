//! DataSource: what to fetch, when, and what came of it.
//!
//! Whatever can be wrong is refused with a sentence that says what to write instead. Only CEL
//! rules carry one, and a failed type or length check hides them: so those limits are wide, and
//! the rules narrow. The API server holds every rule's cost against the widest value that the
//! schema lets in, so there is a limit on everything that a rule looks at. Rules about one field
//! exclude each other, so that one mistake is one sentence.

#![allow(
    unreachable_pub,
    reason = "the schema's derive repeats each struct inside a function"
)]

mod source;
mod status;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use source::{S3, SecretRef, Source};
pub use status::{DataSourceStatus, FetchError, FetchResult, HistoryEntry, Trigger};

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
    doc = "A CSV of aggregated A/B-test counts in S3, which is fetched on a schedule and turned \
           into experiment reports.",
    status = "DataSourceStatus",
    derive = "PartialEq",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the newest fetch of this source and these goals succeeded."
    ),
    printcolumn(
        name = "Agents",
        type_ = "integer",
        json_path = ".status.agentCount",
        description = "How many agents (experiments) the store holds of this source."
    ),
    printcolumn(
        name = "Last Success",
        type_ = "date",
        json_path = ".status.lastSuccessTime",
        description = "How long ago a fetch last succeeded."
    ),
    // As a date it would print <invalid>: it lies ahead.
    printcolumn(
        name = "Next",
        type_ = "string",
        json_path = ".status.nextFetchTime",
        description = "When the next fetch begins."
    ),
    printcolumn(
        name = "Schedule",
        type_ = "string",
        json_path = ".spec.schedule",
        priority = 1,
        description = "When to fetch, as cron."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why Ready is what it is: a failed fetch's error code."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "How long ago the object was created."
    )
)]
#[serde(rename_all = "camelCase")]
// A default of `source` could not break a rule of its own, so the rule stands here.
#[x_kube(validation = Rule::new("has(self.source) && has(self.source.s3)")
    .message("source is missing: write source: {s3: {region: ..., bucket: ..., key: ..., \
        accountId: ...}}")
    .field_path(".source")
    .reason(Reason::FieldValueRequired))]
pub struct DataSourceSpec {
    /// What people call it, such as "Internal Conversion Events". Default: the object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("self.size() <= 256 && !self.matches('\\\\p{Cc}')")
        .message("displayName takes one line of at most 256 characters"))]
    pub display_name: Option<String>,

    /// The conversion types (goals) that the CSV holds, at most 100, each with a code of its own.
    /// They may come later: while there are none, nothing is fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    #[x_kube(
        validation = Rule::new("self.size() <= 100")
            .message("goals takes at most 100: spread more over several DataSources"),
        validation = Rule::new("self.size() > 100 || \
            self.all(g, self.exists_one(h, h.code == g.code))")
            .message(Message::Expression("'goal code ' + \
                self.map(g, g.code).filter(c, !self.exists_one(h, h.code == c))[0] + \
                ' stands more than once: each goal needs a code of its own'".to_owned())),
        validation = Rule::new("self.size() > 100 || \
            !self.exists(g, g.code + '_sumsq' in self.map(h, h.code) \
            || g.code + '_val' in self.map(h, h.code) \
            || g.code + '_val_sumsq' in self.map(h, h.code))")
            .message(Message::Expression("'goal code ' + \
                self.map(g, g.code).filter(c, c + '_sumsq' in self.map(h, h.code) \
                || c + '_val' in self.map(h, h.code) \
                || c + '_val_sumsq' in self.map(h, h.code))[0] + \
                ' with _sumsq, _val or _val_sumsq behind it names columns of its own: \
                rename the goal whose code is one of them'".to_owned()))
    )]
    pub goals: Vec<Goal>,

    /// On which day a visitor's events lie. Exposure: each visitor once, on the day of the first
    /// exposure, with all of that visitor's events. Event: events on their own day, or a visitor
    /// on each day seen; intervals over several days are then too narrow, and reports say so.
    /// Default: Exposure.
    #[serde(default)]
    pub dating: Dating,

    /// Where the CSV lies: exactly one member; s3 is the only one today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,

    /// When to fetch: a cron of five fields (minute hour day-of-month month day-of-week) in
    /// timeZone. Default: 0 9 * * *, which is nine every morning.
    #[serde(default = "default_schedule")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self != ''")
        .message("schedule takes a cron of five fields (minute hour day-of-month month \
            day-of-week), such as \"0 9 * * *\""))]
    pub schedule: String,

    /// The IANA time zone of the schedule, such as America/New_York. Default: the operator's
    /// --default-time-zone, which is UTC where nothing else was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self != ''")
        .message("timeZone takes an IANA time zone, such as America/New_York or UTC; leave it \
            out for the operator's default"))]
    pub time_zone: Option<String>,

    /// Seconds, 0 to 31622400 (a year). A slot of the schedule that was missed by more than this
    /// is skipped, and counted in status.missedFetches. Default: 43200 (12 hours).
    #[serde(default = "default_starting_deadline_seconds")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 31622400")
        .message("startingDeadlineSeconds takes 0 to 31622400 (a year)"))]
    pub starting_deadline_seconds: i64,

    /// Holds the schedule, retries, the first fetch and those that a change of the spec asks for
    /// back until it is false again. A fetch under way finishes, and one that the annotation
    /// sumsq.dev/fetch-requested-at asks for still runs. Default: false.
    #[serde(default)]
    pub suspend: bool,

    /// Seconds, 1 to 86400 (a day), that a fetch may take from the request until everything is
    /// stored. Default: 600.
    #[serde(default = "default_timeout_seconds")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 86400")
        .message("timeoutSeconds takes 1 to 86400 (a day)"))]
    pub timeout_seconds: i64,

    /// The largest object that is read, 1Ki to 1Ti, such as 500Mi or 1Gi. It also limits what a
    /// compressed object decompresses to. Default: 1Gi.
    #[serde(default = "default_max_object_bytes")]
    #[x_kube(
        validation = Rule::new("isQuantity(string(self))")
            .message("maxObjectBytes takes a quantity of bytes, such as 500Mi or 1Gi"),
        validation = Rule::new("!isQuantity(string(self)) || \
            (quantity(string(self)).compareTo(quantity('1Ki')) >= 0 && \
            quantity(string(self)).compareTo(quantity('1Ti')) <= 0)")
            .message("maxObjectBytes takes 1Ki to 1Ti")
    )]
    pub max_object_bytes: ByteQuantity,

    /// How many fetches status.history shows, 1 to 100; the store keeps them all. Default: 10.
    #[serde(default = "default_history_limit")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100")
        .message("historyLimit takes 1 to 100; the store keeps every fetch all the same"))]
    pub history_limit: i64,

    /// What to do with a file whose numbers no visitors can have produced, whatever the dating.
    /// Warn: import it, and say so. Reject: refuse it, so that nothing changes.
    /// Default: Warn.
    #[serde(default)]
    pub on_integrity_problem: OnIntegrityProblem,

    /// What becomes of the data when this object is deleted. Retain: they stay in the store, where
    /// an object of the same name in the same namespace has them again. Delete: they go with it.
    /// Default: Retain.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// A conversion type.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Goal {
    /// The name of the goal's column in the CSV, at most 128 bytes. Beside it stands <code>_sumsq,
    /// and for a numeric goal <code>_val and <code>_val_sumsq.
    #[schemars(length(max = 256))]
    #[x_kube(
        validation = Rule::new("self != '' && bytes(self).size() <= 128")
            .message("a goal's code takes the name of its column in the CSV, 1 to 128 bytes"),
        validation = Rule::new("!(self.lowerAscii() in ['date', 'agent', 'variation', 'sels', \
            'trait_group', 'trait_value', 'policy'])")
            .message("a goal's code cannot be Date, Agent, Variation, Sels, Trait_Group, \
                Trait_Value or Policy: those columns have a meaning of their own"),
        validation = Rule::new("!self.matches('\\\\p{Cc}')")
            .message("a goal's code takes no control characters, such as tabs and line breaks")
    )]
    pub code: String,

    /// What people call it, such as "Sales". Default: the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("self.size() <= 256 && !self.matches('\\\\p{Cc}')")
        .message("displayName takes one line of at most 256 characters"))]
    pub display_name: Option<String>,

    /// Whether its events have values, such as an order's total: then <code>_val and
    /// <code>_val_sumsq must be in the CSV. Default: false.
    #[serde(default)]
    pub numeric: bool,

    /// Whether values may be negative, as refunds are. Default: false.
    #[serde(default)]
    pub allow_negative: bool,

    /// Which way is better: Increase or Decrease. Default: Increase.
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

/// A quantity of bytes, as text (`1Gi`) or as a plain number.
///
/// Kubernetes' own type for this holds 32 bits, and 5368709120 does not fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a quantity of bytes, such as 500Mi or 1Gi"
)]
pub enum ByteQuantity {
    Number(i64),
    Text(String),
}

impl JsonSchema for ByteQuantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteQuantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true, "maxLength": 128})
    }
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

fn default_max_object_bytes() -> ByteQuantity {
    ByteQuantity::Text("1Gi".to_owned())
}

fn default_history_limit() -> i64 {
    10
}
