//! The validated spec of a data source: goals, object, schedule, limits.
//!
//! Parsed once (by `validate`); nothing later looks at the raw resource or derives it again.

#[cfg(test)]
pub(crate) mod plain;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::schedule::Schedule;

/// At most this many goals in one data source.
pub const MAX_GOALS: usize = 100;
/// Codes (goal, agent, variation, policy, trait) are at most this many bytes of UTF-8.
pub const MAX_CODE_BYTES: usize = 128;

/// Namespace and name: how people call a data source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct SourceKey {
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The identity under which a data source's data are stored: UUIDv5(namespace UID, name), so that
/// a namespace made anew under an old name inherits nothing, and an object made anew in the same
/// namespace has its data again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct SourceId(pub Uuid);

impl SourceId {
    /// `namespace_uid` is the namespace's UID in a cluster. Where there is none (`sumsq local`)
    /// it is the namespace's name, which stands for itself.
    #[must_use]
    pub fn derive(namespace_uid: &str, name: &str) -> Self {
        let namespace = Uuid::parse_str(namespace_uid)
            .unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_DNS, namespace_uid.as_bytes()));
        Self(Uuid::new_v5(&namespace, name.as_bytes()))
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A data source whose every field has been checked.
#[derive(Debug, Clone)]
pub struct DataSource {
    pub id: SourceId,
    pub key: SourceKey,
    /// The object's own UID: tells it from an earlier one of the same name.
    pub uid: String,
    pub generation: i64,
    pub display_name: String,
    /// May be empty: then nothing is fetched yet.
    pub goals: Vec<Goal>,
    pub dating: Dating,
    pub object: S3Object,
    pub schedule: Schedule,
    /// A slot missed by more than this is skipped and counted.
    pub starting_deadline: Duration,
    pub suspend: bool,
    /// From the request to the commit.
    pub timeout: Duration,
    /// Of the object, and of what it decompresses to.
    pub max_object_bytes: u64,
    /// 1 to 100 fetches kept in status; the store keeps them all.
    pub history_limit: usize,
    pub on_integrity_problem: OnIntegrityProblem,
    pub deletion_policy: DeletionPolicy,
}

impl DataSource {
    /// A digest of everything that a fetch's result depends on. A change of it fetches at once and
    /// makes an ETag that was kept under the old one worthless.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        #[derive(Serialize)]
        struct DependsOn<'a> {
            goals: Vec<(&'a str, bool, bool)>,
            dating: Dating,
            object: &'a S3Object,
            max_object_bytes: u64,
            on_integrity_problem: OnIntegrityProblem,
        }
        let mut depends_on = DependsOn {
            goals: self
                .goals
                .iter()
                .map(|goal| (goal.code.as_str(), goal.numeric, goal.allow_negative))
                .collect(),
            dating: self.dating,
            object: &self.object,
            max_object_bytes: self.max_object_bytes,
            on_integrity_problem: self.on_integrity_problem,
        };
        // Their order in the list says nothing.
        depends_on.goals.sort_unstable();
        let json = serde_json::to_vec(&depends_on).unwrap_or_default();
        blake3::hash(&json).to_hex()[..32].to_owned()
    }
}

/// A conversion type: its code names the CSV's columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    pub code: String,
    pub display_name: Option<String>,
    /// Then `<code>_val` and `<code>_val_sumsq` must be there.
    pub numeric: bool,
    /// Values may be negative (refunds).
    pub allow_negative: bool,
    pub good_direction: GoodDirection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum GoodDirection {
    #[default]
    Increase,
    Decrease,
}

/// On which day a visitor's events lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Dating {
    /// Each visitor once, on the day of the first exposure, with all events.
    #[default]
    Exposure,
    /// Events on their own day, or a visitor on each day seen.
    Event,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum OnIntegrityProblem {
    #[default]
    Warn,
    /// Refuse a file that breaks an "always" rule.
    Reject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum DeletionPolicy {
    #[default]
    Retain,
    /// A finalizer removes the data from the store with the object.
    Delete,
}

/// Where the CSV lies and whose identity reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct S3Object {
    pub region: String,
    pub bucket: String,
    pub key: String,
    /// 12 digits, sent as ExpectedBucketOwner.
    pub account_id: Option<String>,
    /// An S3-compatible store's address, `http` or `https`.
    pub endpoint: Option<String>,
    pub force_path_style: bool,
    pub identity: Identity,
    /// What that identity assumes to read; None: it reads itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<AssumedRole>,
}

impl S3Object {
    /// What the operator made up for the trust policy of [`Self::role`]: it asks for that role
    /// itself, and takes nobody's word for the external ID.
    #[must_use]
    pub fn derived_external_id(&self) -> Option<&str> {
        let role = self
            .role
            .as_ref()
            .filter(|_| self.identity == Identity::Operator);
        role?.external_id.as_deref()
    }
}

/// A role that an identity assumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssumedRole {
    pub arn: String,
    /// Where the operator's own identity assumes it: of the namespace
    /// ([`super::tenancy::external_id`]). Else as the spec says.
    pub external_id: Option<String>,
}

/// Whose credentials read the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Identity {
    /// The operator's own, from the SDK's usual chain.
    Operator,
    /// A Secret of the same namespace with `accessKeyId`, `secretAccessKey` and, optionally,
    /// `sessionToken`.
    Secret { name: String },
    /// The role of a ServiceAccount of the same namespace, by a token of that account.
    ServiceAccount { name: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an operator stored before it knew of roles is still what it finds: an upgrade fetches
    /// nothing anew.
    #[test]
    fn a_role_is_part_of_a_fingerprint_where_there_is_one() {
        let mut source = plain::source();
        let before = r#"{"goals":[["sales",false,false]],"dating":"Exposure","object":{"region":"us-east-1","bucket":"counts","key":"counts.csv","account_id":null,"endpoint":null,"force_path_style":false,"identity":"Operator"},"max_object_bytes":1073741824,"on_integrity_problem":"Warn"}"#;
        let before = blake3::hash(before.as_bytes()).to_hex();
        assert_eq!(source.fingerprint(), before[..32]);
        let mut seen = vec![source.fingerprint()];
        let account = Identity::ServiceAccount {
            name: "reader".into(),
        };
        for identity in [Identity::Operator, account] {
            source.object.identity = identity;
            for (arn, external_id) in [("arn-1", None), ("arn-1", Some("a")), ("arn-2", Some("a"))]
            {
                source.object.role = Some(AssumedRole {
                    arn: arn.into(),
                    external_id: external_id.map(str::to_owned),
                });
                seen.push(source.fingerprint());
            }
        }
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }

    #[test]
    fn an_external_id_is_derived_for_the_operator_alone() {
        let mut object = plain::source().object;
        assert_eq!(object.derived_external_id(), None);
        object.role = Some(AssumedRole {
            arn: "arn".into(),
            external_id: Some("sumsq:growth:uid".into()),
        });
        assert_eq!(object.derived_external_id(), Some("sumsq:growth:uid"));
        object.identity = Identity::Secret { name: "s".into() };
        assert_eq!(object.derived_external_id(), None);
    }
}
