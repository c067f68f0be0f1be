//! Objects that this version cannot read, since another version's definition let them in: told as
//! such, and no reason for anything else to stand still.

use kube::api::ObjectMeta;
use kube::core::object::HasStatus;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Context, Known, Stalled, reconcile, stall};
use crate::controller::{Error, Shared};
use crate::crd::Pruned;
use crate::crd::data_source::{DataSource, DataSourceStatus};
use crate::domain::fetch::presentable;
use crate::domain::status::Reason;

/// A DataSource as the API server holds it.
#[derive(Resource, Debug, Clone, Serialize, Deserialize)]
#[resource(inherit = "DataSource")]
pub(super) struct Unread {
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) spec: Value,
    #[serde(default)]
    pub(super) status: Option<Value>,
}

impl HasStatus for Unread {
    type Status = Value;

    fn status(&self) -> Option<&Value> {
        self.status.as_ref()
    }

    fn status_mut(&mut self) -> &mut Option<Value> {
        &mut self.status
    }
}

/// Looks at an object of which only the metadata could be read.
pub(super) async fn look(known: &Known, context: &Context) -> Result<Action, Error> {
    let Some(object) = whole(&context.shared, known).await? else {
        return Ok(Action::await_change());
    };
    let problem = match read(&object) {
        // The status alone was another version's: it is written anew.
        Ok(object) => {
            let known = Known::new(&object)?;
            return match known.kept() {
                Some(kept) => reconcile(&known, kept, context).await,
                None => Ok(Action::await_change()),
            };
        }
        Err(problem) => problem,
    };
    let namespace_uid = context.shared.namespaces.uid_of(&object).await?;
    if object.metadata.deletion_timestamp.is_some() {
        let delete = object.spec["deletionPolicy"] == "Delete";
        return context.finalize(&object, &namespace_uid, delete).await;
    }
    tracing::warn!(
        source = %crate::controller::dereference::key(&object),
        problem,
        "an object cannot be read; the others are looked after"
    );
    let history_limit = object.spec["historyLimit"].as_u64().unwrap_or(10);
    let stalled = Stalled {
        reason: Reason::UnreadableSpec,
        message: &problem,
        history_limit: usize::try_from(history_limit).unwrap_or(1),
        suspended: object.spec["suspend"] == true,
    };
    stall(&object, &namespace_uid, stalled, context).await
}

/// The object as the API server holds it now; None where it is gone.
pub(super) async fn whole(shared: &Shared, known: &Known) -> Result<Option<Unread>, kube::Error> {
    let namespace = known.namespace().unwrap_or_default();
    let api: Api<Pruned<Unread>> = Api::namespaced(shared.client.clone(), &namespace);
    let object = api.get_opt(&known.name_any()).await?;
    let object = object.map(|Pruned(object)| object);
    Ok(object.filter(|object| object.uid() == known.uid()))
}

/// As this version understands it. Of the status no more than the conditions, which say since when
/// they hold: all the rest is in the store.
fn read(object: &Unread) -> Result<DataSource, String> {
    let value = json!({"metadata": object.metadata, "spec": object.spec});
    let mut read: DataSource = serde_path_to_error::deserialize(value).map_err(|error| {
        presentable(&format!(
            "sumsq {} cannot read {}: {}. Another version's definition let it in: run that \
             version of the operator, or write what this one knows",
            env!("CARGO_PKG_VERSION"),
            error.path(),
            error.inner(),
        ))
    })?;
    let conditions = object.status.as_ref().map(|status| &status["conditions"]);
    read.status = conditions.map(|conditions| DataSourceStatus {
        conditions: Vec::deserialize(conditions).unwrap_or_default(),
        ..DataSourceStatus::default()
    });
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(dating: &str, status: Value) -> Unread {
        let source =
            json!({"s3": {"region": "us-east-1", "bucket": "counts", "key": "counts.csv"}});
        Unread {
            metadata: ObjectMeta {
                name: Some("counts".into()),
                ..ObjectMeta::default()
            },
            spec: json!({"dating": dating, "source": source}),
            status: Some(status),
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let problem = read(&unread("Session", json!({}))).unwrap_err();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            problem,
            format!(
                "sumsq {version} cannot read spec.dating: unknown variant `Session`, expected \
                 `Exposure` or `Event`. Another version's definition let it in: run that version \
                 of the operator, or write what this one knows"
            )
        );
    }

    #[test]
    fn another_versions_status_is_no_obstacle() {
        let condition = json!({"type": "Ready", "status": "True", "reason": "Imported",
            "message": "", "lastTransitionTime": "2026-01-05T09:00:00Z"});
        let status = json!({"conditions": [condition], "history": [{"trigger": "Webhook"}]});
        let object = read(&unread("Event", status)).unwrap();
        assert_eq!(object.status.unwrap().conditions.len(), 1);
        assert!(read(&unread("Event", json!({}))).is_ok());
    }
}
