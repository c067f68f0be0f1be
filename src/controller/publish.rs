//! Status and finalizers of any kind, written to the API server; nothing is written where nothing
//! changed.

use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::core::object::HasStatus;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::lease::Leadership;
use crate::domain::status::{Condition, ConditionStatus};
use crate::metrics::Metrics;

const FIELD_MANAGER: &str = "sumsq";
/// Somebody else writes at the same time: rare, and never often in a row.
const MAX_CONFLICTS: usize = 5;

/// A namespaced object with a status that the operator writes.
pub(super) trait Reported:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Serialize>
    + Clone
    + Debug
    + DeserializeOwned
{
}

impl<K> Reported for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + HasStatus<Status: Serialize>
        + Clone
        + Debug
        + DeserializeOwned
{
}

pub(super) struct Publisher {
    client: Client,
    metrics: Arc<Metrics>,
    leadership: Leadership,
}

/// A status that has been written, and what stood there before.
pub(super) struct Written {
    pub(super) before: Value,
    pub(super) after: Value,
}

impl Publisher {
    pub(super) fn new(client: Client, metrics: Arc<Metrics>, leadership: Leadership) -> Self {
        Self {
            client,
            metrics,
            leadership,
        }
    }

    /// Brings the object's status to what `status` makes of the present one, by server-side apply
    /// on the version that was read. None where nothing was written: it says so already, the
    /// object is gone, or another replica leads by now.
    pub(super) async fn publish<K: Reported>(
        &self,
        object: &K,
        status: impl Fn(&Value) -> Result<Value, serde_json::Error>,
    ) -> Result<Option<Written>, kube::Error> {
        let api = self.api::<K>(object);
        let mut read = object.clone();
        for _ in 0..MAX_CONFLICTS {
            let before = serde_json::to_value(read.status()).map_err(kube::Error::SerdeError)?;
            let after = status(&before).map_err(kube::Error::SerdeError)?;
            // Frozen between this look and the write, it meets the version that the next leader has
            // written, and looks again.
            if before == after || !self.leadership.holds() {
                return Ok(None);
            }
            let patch = json!({
                "apiVersion": K::api_version(&()),
                "kind": K::kind(&()),
                "metadata": {
                    "name": read.name_any(),
                    "namespace": read.namespace(),
                    "resourceVersion": read.resource_version(),
                },
                "status": after,
            });
            let params = PatchParams::apply(FIELD_MANAGER).force();
            match api
                .patch_status(&read.name_any(), &params, &Patch::Apply(&patch))
                .await
            {
                Ok(_) => {
                    self.metrics.status_written();
                    return Ok(Some(Written { before, after }));
                }
                Err(kube::Error::Api(response)) if response.code == 409 => {
                    // Somebody wrote in between, perhaps ourselves: read again. Of another object
                    // under this name there is nothing to say.
                    match api.get_opt(&read.name_any()).await? {
                        Some(fresh) if fresh.uid() == object.uid() => read = fresh,
                        _ => return Ok(None),
                    }
                }
                Err(kube::Error::Api(response)) if response.code == 404 => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        tracing::warn!(object = %super::dereference::key(object), "status is contended");
        Ok(None)
    }

    /// Adds or removes a finalizer of ours; others' stay.
    pub(super) async fn set_finalizer<K: Reported>(
        &self,
        object: &K,
        ours: &str,
        present: bool,
    ) -> Result<(), kube::Error> {
        if !self.leadership.holds() {
            return Ok(());
        }
        let mut finalizers: Vec<&str> = object
            .finalizers()
            .iter()
            .map(String::as_str)
            .filter(|finalizer| *finalizer != ours)
            .collect();
        if present {
            finalizers.push(ours);
        }
        // With the version that was read, so that nobody's finalizer is overwritten.
        let patch = json!({"metadata": {
            "resourceVersion": object.resource_version(),
            "finalizers": finalizers,
        }});
        let name = object.name_any();
        match self
            .api::<K>(object)
            .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Err(kube::Error::Api(response)) if response.code == 404 => Ok(()),
            result => result.map(drop),
        }
    }

    fn api<K: Reported>(&self, object: &K) -> Api<K> {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }
}

/// The status as the API server holds it, its conditions with it. It goes through `Raw`, the
/// resource's own type, so that it compares with what was read.
pub(super) fn status_value<Raw: Serialize + DeserializeOwned>(
    status: &impl Serialize,
    conditions: &[(&str, &Condition)],
    generation: i64,
    (before, now): (&Value, Timestamp),
) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(status)?;
    let conditions = conditions
        .iter()
        .map(|(kind, condition)| condition_value(kind, condition, generation, before, now));
    value["conditions"] = conditions.collect();
    serde_json::to_value(serde_json::from_value::<Raw>(value)?)
}

/// A condition as the API server holds it. It keeps its transition time while its status stays
/// what it was `before`.
pub(super) fn condition_value(
    kind: &str,
    condition: &Condition,
    generation: i64,
    before: &Value,
    now: Timestamp,
) -> Value {
    let state = match condition.status {
        ConditionStatus::True => "True",
        ConditionStatus::False => "False",
        ConditionStatus::Unknown => "Unknown",
    };
    let since = find_condition(before, kind)
        .filter(|earlier| earlier["status"] == state)
        .and_then(|earlier| earlier["lastTransitionTime"].as_str().map(str::to_owned))
        .unwrap_or_else(|| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    json!({
        "type": kind,
        "status": state,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": since,
        "observedGeneration": generation,
    })
}

/// The condition of this type in a status.
pub(super) fn find_condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}
