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

mod status;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

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
#[x_kube(
    validation = Rule::new("has(self.accountId) || (has(self.endpoint) && \
        !self.endpoint.lowerAscii().matches('^https?://([^/]*[.])?amazonaws[.](com|com[.]cn|eu)[.]?(:[0-9]*)?(/|$)'))")
        .message("accountId is missing: write the 12 digits of the AWS account that owns the \
            bucket, in quotes (it may be left out only where endpoint is set and not AWS's own)")
        .field_path(".accountId")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("!has(self.secretRef) || !has(self.serviceAccountName)")
        .message("serviceAccountName and secretRef exclude each other: one identity reads")
        .field_path(".serviceAccountName"),
    validation = Rule::new("!has(self.externalId) || has(self.roleArn)")
        .message("externalId goes with roleArn: it is what that role's trust policy asks for")
        .field_path(".externalId"),
    validation = Rule::new("!has(self.externalId) || !has(self.roleArn) || \
        has(self.secretRef) || has(self.serviceAccountName)")
        .message("externalId goes with an identity of your own (secretRef or serviceAccountName): \
            where the operator's own identity assumes the role, the external ID is \
            sumsq:NAMESPACE:UID of this namespace, as status.externalId shows it")
        .field_path(".externalId")
)]
pub struct S3 {
    /// The bucket's region, such as us-east-1 or eu-west-2.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_-]{1,64}$')")
        .message("region takes a region's code, such as us-east-1"))]
    pub region: String,

    /// The bucket's name, such as com.my-company.counts: neither its ARN nor a URL.
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new("!self.startsWith('arn:')")
            .message("bucket takes a name, not an ARN: write com.my-company.counts rather than \
                arn:aws:s3:::com.my-company.counts"),
        validation = Rule::new("self.startsWith('arn:') || (!self.contains('://') && \
            !self.lowerAscii().matches('[.]amazonaws[.]com([.]cn)?(/|$)'))")
            .message("bucket takes a name, not a URL: write com.my-company.counts rather than \
                s3://com.my-company.counts or https://com.my-company.counts.s3.amazonaws.com"),
        validation = Rule::new("self.startsWith('arn:') || self.contains('://') || \
            self.lowerAscii().matches('[.]amazonaws[.]com([.]cn)?(/|$)') || !self.contains('/')")
            .message("bucket takes a name without slashes: what follows the slash belongs into \
                key"),
        validation = Rule::new("self.startsWith('arn:') || self.contains('/') || \
            self.matches('^[A-Za-z0-9._-]{3,255}$')")
            .message("bucket takes a name as S3 shows it, such as com.my-company.counts: \
                letters, digits, dots and hyphens, at least 3")
    )]
    pub bucket: String,

    /// The CSV's name in the bucket, such as exports/counts.csv; slashes are folders. A file that
    /// ends in .gz or .zst is read as well.
    #[schemars(length(max = 4096))]
    #[x_kube(
        validation = Rule::new("self != '' && bytes(self).size() <= 1024")
            .message("key takes the CSV's name in the bucket, such as exports/counts.csv, 1 to \
                1024 bytes"),
        validation = Rule::new("!self.startsWith('/')")
            .message("key starts without a slash: write exports/counts.csv rather than \
                /exports/counts.csv"),
        validation = Rule::new("!self.contains('://') && !self.startsWith('arn:')")
            .message("key takes the CSV's name in the bucket, not a URL or ARN: write \
                exports/counts.csv rather than s3://com.my-company.counts/exports/counts.csv"),
        validation = Rule::new("self.startsWith('/') || !self.endsWith('/')")
            .message("key takes one CSV, not a folder: write exports/counts.csv rather than \
                exports/")
    )]
    pub key: String,

    /// The 12 digits, in quotes, of the AWS account that owns the bucket. S3 refuses to read where
    /// another account does, so a bucket that changes hands is noticed. May be left out only where
    /// endpoint is set and not AWS's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]{12}$')")
        .message("accountId takes the 12 digits of an AWS account, without hyphens and in \
            quotes, such as \"123456789012\""))]
    pub account_id: Option<String>,

    /// The address of an S3-compatible store, such as https://minio.example.com:9000. Default:
    /// AWS, in the bucket's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("\
            self.matches('^https?://([A-Za-z0-9._-]+|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?(/[^?#[:space:][:cntrl:]]*)?$')")
        .message("endpoint takes an address that starts with http:// or https://, such as \
            https://minio.example.com:9000"))]
    pub endpoint: Option<String>,

    /// Whether requests name the bucket in the path rather than in the host name, as many
    /// S3-compatible stores want it. Default: false.
    #[serde(default)]
    pub force_path_style: bool,

    /// The Secret of this namespace whose credentials read the object; it must be labelled
    /// sumsq.dev/credentials: "true". Default: serviceAccountName, or else the operator's own
    /// identity, which reads only for the namespaces that the operator's settings list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,

    /// The ServiceAccount of this namespace whose AWS role reads the object: that of its annotation
    /// eks.amazonaws.com/role-arn. The operator asks for it by a token of that account. Not
    /// together with secretRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$')")
        .message("serviceAccountName takes the name of a ServiceAccount in this namespace"))]
    pub service_account_name: Option<String>,

    /// A role that the identity which reads assumes first, such as
    /// arn:aws:iam::123456789012:role/counts-reader. Where that is the operator's own identity, the
    /// role's trust policy must ask for the external ID that status.externalId shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("\
        self.matches('^arn:aws[a-z-]{0,16}:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}$')")
        .message("roleArn takes a role's ARN, such as arn:aws:iam::123456789012:role/counts-reader"))]
    pub role_arn: Option<String>,

    /// The external ID that roleArn's trust policy asks for, with secretRef or serviceAccountName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_+=,.@:/-]{2,1000}$')")
        .message("externalId takes 2 to 1000 letters, digits and characters of _+=,.@:/-"))]
    pub external_id: Option<String>,
}

/// Names a Secret of the same namespace.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name. Its keys are accessKeyId, secretAccessKey and, where they are temporary,
    /// sessionToken. It must be labelled sumsq.dev/credentials: "true".
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$')")
        .message("secretRef.name takes the name of a Secret in this namespace"))]
    pub name: String,
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
