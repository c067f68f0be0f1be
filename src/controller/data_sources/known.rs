//! What is kept of a DataSource between looks. There may be ten thousand of them, each with a history:
//! only what a decision needs stays.

use kube::Resource;
use kube::api::ObjectMeta;
use serde::{Deserialize, Deserializer, de};

use super::unreadable::Unread;
use crate::controller::publish::{Reported, Told};
use crate::crd::data_source::{DataSource, DataSourceSpec, DataSourceStatus, DeletionPolicy};

/// A DataSource as it was last listed or watched.
#[derive(Resource, Debug, Clone)]
#[resource(inherit = "DataSource")]
pub struct Known {
    metadata: ObjectMeta,
    /// None where this version cannot read it, since another's definition let it in: such an object
    /// must not hold up the watch of all the others.
    kept: Option<Kept>,
}

/// What stands beside the metadata.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// In JSON: it is read once for each generation, and then kept as what it means.
    spec: Box<str>,
    pub(super) deletion_policy: DeletionPolicy,
    pub(super) history_limit: i64,
    pub(super) suspend: bool,
    observed_generation: Option<i64>,
    told: Told,
}

impl Known {
    pub(super) fn new(object: &DataSource) -> Result<Self, serde_json::Error> {
        Ok(Self {
            metadata: object.metadata.clone(),
            kept: Some(Kept {
                spec: serde_json::to_string(&object.spec)?.into(),
                deletion_policy: object.spec.deletion_policy,
                history_limit: object.spec.history_limit,
                suspend: object.spec.suspend,
                observed_generation: object
                    .status
                    .as_ref()
                    .and_then(|status| status.observed_generation),
                told: Told::of(object.status.as_ref())?,
            }),
        })
    }

    /// Of the spec that its status is about.
    pub(super) fn observed_generation(&self) -> Option<i64> {
        self.kept.as_ref()?.observed_generation
    }

    pub(super) fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// Without its status.
    pub(super) fn object(&self, kept: &Kept) -> Result<DataSource, serde_json::Error> {
        Ok(DataSource {
            metadata: self.metadata.clone(),
            spec: serde_json::from_str(&kept.spec)?,
            status: None,
        })
    }
}

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Unread {
            metadata,
            spec,
            status,
        } = Unread::deserialize(deserializer)?;
        let spec = DataSourceSpec::deserialize(&spec);
        let status = status.as_ref().map(DataSourceStatus::deserialize);
        let (Ok(spec), Ok(status)) = (spec, status.transpose()) else {
            return Ok(Self {
                metadata,
                kept: None,
            });
        };
        let object = DataSource {
            metadata,
            spec,
            status,
        };
        Self::new(&object).map_err(de::Error::custom)
    }
}

impl Reported for Known {
    fn told(&self) -> Result<Told, serde_json::Error> {
        match &self.kept {
            Some(kept) => Ok(kept.told.clone()),
            None => Told::of(None::<&DataSourceStatus>),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;
    use serde_json::{Value, json};

    use super::*;

    fn listed(spec: &Value, status: &Value) -> Known {
        serde_json::from_value(json!({
            "apiVersion": "sumsq.dev/v1alpha1", "kind": "DataSource",
            "metadata": {
                "namespace": "growth", "name": "counts", "uid": "uid-1", "generation": 3,
            },
            "spec": spec,
            "status": status,
        }))
        .unwrap()
    }

    fn spec() -> Value {
        let s3 = json!({"region": "us-east-1", "bucket": "counts", "key": "counts.csv"});
        json!({
            "goals": [{"code": "sales"}], "deletionPolicy": "Delete", "source": {"s3": s3},
            "historyLimit": 7,
        })
    }

    fn status() -> Value {
        let ready = json!({"type": "Ready", "status": "False", "reason": "NoSuchKey",
            "message": "gone", "lastTransitionTime": "2026-01-05T09:00:00Z"});
        let entry = |id: &str| {
            json!({"id": id, "trigger": "Schedule", "startedAt": "2026-01-05T09:00:00Z",
                "attempts": 1, "result": "Error", "agents": ["agent-1"],
                "error": {"code": "NoSuchKey", "message": "gone", "hint": "put it there"}})
        };
        json!({"observedGeneration": 3, "conditions": [ready],
            "history": [entry("2"), entry("1")]})
    }

    #[test]
    fn of_the_status_only_what_a_look_needs_is_kept() {
        let known = listed(&spec(), &status());
        let kept = known.kept().unwrap();
        assert_eq!(kept.deletion_policy, DeletionPolicy::Delete);
        assert_eq!((kept.history_limit, kept.suspend), (7, false));
        let read = known.object(kept).unwrap();
        let whole = DataSourceSpec::deserialize(spec()).unwrap();
        assert_eq!(read.spec, whole);
        assert_eq!(read.name_any(), "counts");
        let before = known.told().unwrap().before().unwrap();
        insta::assert_json_snapshot!(before, @r#"
        {
          "conditions": [
            {
              "lastTransitionTime": "2026-01-05T09:00:00Z",
              "message": "gone",
              "reason": "NoSuchKey",
              "status": "False",
              "type": "Ready"
            }
          ],
          "history": [
            {
              "error": {
                "code": "NoSuchKey",
                "message": "gone"
              }
            }
          ],
          "observedGeneration": 3
        }
        "#);
    }

    #[test]
    fn a_status_that_differs_anywhere_is_another_one() {
        let same = listed(&spec(), &status()).told().unwrap();
        let whole = DataSourceStatus::deserialize(status()).unwrap();
        let whole = serde_json::to_value(whole).unwrap();
        assert!(same.says(&whole).unwrap());
        let mut other = whole.clone();
        other["history"][1]["agents"] = json!(["agent-2"]);
        assert!(!same.says(&other).unwrap());
        let nothing = listed(&spec(), &Value::Null).told().unwrap();
        assert!(!nothing.says(&whole).unwrap());
    }

    #[test]
    fn what_this_version_cannot_read_is_still_an_object() {
        let mut another = spec();
        another["dating"] = json!("Session");
        let known = listed(&another, &status());
        assert!(known.kept().is_none());
        assert_eq!(known.name_any(), "counts");
        let known = listed(&spec(), &json!({"history": [{"trigger": "Webhook"}]}));
        assert!(known.kept().is_none());
    }
}
