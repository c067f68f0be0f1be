//! Status and finalizers of any kind, written to the API server; nothing is written where nothing
//! changed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::core::Request;
use kube::core::object::HasStatus;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use super::lease::Leadership;
use crate::crd::{self, Pruned};
use crate::domain::status::{Condition, ConditionStatus};
use crate::metrics::Metrics;

const FIELD_MANAGER: &str = "sumsq";
const METADATA_ALONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// Somebody else writes at the same time: rare, and never often in a row.
const MAX_CONFLICTS: usize = 5;

/// A namespaced object with a status that the operator writes.
pub(super) trait Reported:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned
{
    fn told(&self) -> Result<Told, serde_json::Error>;
}

impl<K> Reported for K
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + HasStatus<Status: Serialize>
        + Clone
        + Debug
        + DeserializeOwned,
{
    fn told(&self) -> Result<Told, serde_json::Error> {
        Told::of(self.status())
    }
}

/// What is known of a status: by what it is told from another, and what of it bears on the next one.
#[derive(Debug, Clone)]
pub(super) struct Told {
    digest: blake3::Hash,
    /// In JSON, which is smaller than what it says.
    remembered: Box<str>,
}

impl Told {
    pub(super) fn of(status: Option<&impl Serialize>) -> Result<Self, serde_json::Error> {
        let status = serde_json::to_value(status)?;
        Ok(Self {
            digest: digest(&status)?,
            remembered: serde_json::to_string(&remembered(&status))?.into(),
        })
    }

    /// The status without all that no later one depends on.
    pub(super) fn before(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_str(&self.remembered)
    }

    /// Whether it is the same, to its last field.
    pub(super) fn says(&self, status: &Value) -> Result<bool, serde_json::Error> {
        Ok(self.digest == digest(status)?)
    }
}

fn digest(status: &Value) -> Result<blake3::Hash, serde_json::Error> {
    Ok(blake3::hash(&serde_json::to_vec(status)?))
}

/// Tells objects apart for a look: by all of the metadata that one looks at, and the status.
fn echo(metadata: &ObjectMeta, status: blake3::Hash) -> Result<blake3::Hash, serde_json::Error> {
    let annotations = metadata.annotations.as_ref();
    let asked = [crd::FETCH_REQUESTED_AT, crd::FORCE_FETCH_REQUESTED_AT]
        .map(|name| annotations.and_then(|annotations| annotations.get(name)));
    digest(&json!([
        metadata.generation,
        metadata.deletion_timestamp,
        metadata.finalizers,
        asked,
        status.as_bytes(),
    ]))
}

/// The conditions, of which spec they are, and how the newest fetch failed.
fn remembered(status: &Value) -> Value {
    if status.is_null() {
        return Value::Null;
    }
    let mut remembered = json!({
        "observedGeneration": status["observedGeneration"],
        "conditions": status["conditions"],
    });
    if let Some(newest) = status["history"].get(0) {
        let error = &newest["error"];
        let error = json!({"code": error["code"], "message": error["message"]});
        remembered["history"] = json!([{ "error": error }]);
    }
    remembered
}

pub(super) struct Publisher {
    client: Client,
    metrics: Arc<Metrics>,
    leadership: Leadership,
    /// Of each object, by its UID, what is to come back through the watch of the newest write.
    echoes: Mutex<HashMap<String, blake3::Hash>>,
}

/// A status that has been written, and what is known of the one before ([`Told::before`]).
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
            echoes: Mutex::default(),
        }
    }

    /// Whether this is the object with the status that was written last, and with nothing changed
    /// besides that a look would look at: no reason to look again.
    pub(super) fn is_echo(&self, metadata: &ObjectMeta, told: &Told) -> bool {
        let uid = metadata.uid.as_ref();
        let expected = uid.and_then(|uid| lock(&self.echoes).remove(uid));
        expected
            .is_some_and(|expected| echo(metadata, told.digest).is_ok_and(|echo| echo == expected))
    }

    /// The object is gone.
    pub(super) fn forget(&self, uid: Option<String>) {
        uid.and_then(|uid| lock(&self.echoes).remove(&uid));
    }

    /// Brings the object's status to what `status` makes of what is known of it, by server-side apply
    /// on the version that was read. None where nothing was written: it says so already, the
    /// object is gone, or another replica leads by now.
    pub(super) async fn publish<K: Reported>(
        &self,
        object: &K,
        status: impl Fn(&K, &Value) -> Result<Value, serde_json::Error>,
    ) -> Result<Option<Written>, kube::Error> {
        let (api, uid) = (self.api::<K>(object), object.uid().unwrap_or_default());
        let mut read = Cow::Borrowed(object);
        for _ in 0..MAX_CONFLICTS {
            let Some(Written { before, after }) =
                news(read.as_ref(), &status).map_err(kube::Error::SerdeError)?
            else {
                return Ok(None);
            };
            // Frozen between this look and the write, it meets the version that the next leader has
            // written, and looks again.
            if !self.leadership.holds() {
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
            let echo = digest(&patch["status"]).and_then(|status| echo(read.meta(), status));
            let echo = echo.map_err(kube::Error::SerdeError)?;
            lock(&self.echoes).insert(uid.clone(), echo);
            match self.apply_status(read.as_ref(), &patch).await {
                Ok(()) => {
                    self.metrics.status_written();
                    return Ok(Some(Written { before, after }));
                }
                Err(kube::Error::Api(response)) if response.code == 409 => {
                    // Somebody wrote in between, perhaps ourselves: read again. Of another object
                    // under this name there is nothing to say.
                    match api.get_opt(&read.name_any()).await? {
                        Some(Pruned(fresh)) if fresh.uid() == object.uid() => {
                            read = Cow::Owned(fresh);
                        }
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

    /// Of the answer, which is the whole object, nothing is asked for.
    async fn apply_status<K: Reported>(&self, object: &K, patch: &Value) -> kube::Result<()> {
        let url = K::url_path(&(), object.namespace().as_deref());
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let mut request = Request::new(url)
            .patch_subresource("status", &object.name_any(), &params, &Patch::Apply(patch))
            .map_err(kube::Error::BuildRequest)?;
        if let Ok(accept) = METADATA_ALONE.parse() {
            request.headers_mut().insert("accept", accept);
        }
        self.client.request::<IgnoredAny>(request).await.map(drop)
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

    fn api<K: Reported>(&self, object: &K) -> Api<Pruned<K>> {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The status that is to be written, and what bears on it of the one before. None: it is the same.
fn news<K: Reported>(
    object: &K,
    status: impl Fn(&K, &Value) -> Result<Value, serde_json::Error>,
) -> Result<Option<Written>, serde_json::Error> {
    let told = object.told()?;
    let before = told.before()?;
    let after = status(object, &before)?;
    Ok((!told.says(&after)?).then_some(Written { before, after }))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(change: &Value) -> ObjectMeta {
        let mut metadata = json!({
            "name": "counts", "uid": "uid-1", "generation": 3, "resourceVersion": "7",
            "finalizers": ["sumsq.dev/delete-data"],
            "annotations": {"sumsq.dev/fetch-requested-at": "now"},
        });
        for (field, value) in change.as_object().unwrap() {
            metadata[field] = value.clone();
        }
        serde_json::from_value(metadata).unwrap()
    }

    #[test]
    fn a_write_is_known_again_unless_something_else_has_changed_with_it() {
        let status = blake3::hash(b"status");
        let written = echo(&metadata(&json!({})), status).unwrap();
        for (change, is_the_same) in [
            (json!({}), true),
            (json!({"resourceVersion": "8"}), true),
            (json!({"labels": {"team": "growth"}}), true),
            (json!({"generation": 4}), false),
            (json!({"deletionTimestamp": "2026-01-05T09:00:00Z"}), false),
            (json!({"finalizers": []}), false),
            (
                json!({"annotations": {"sumsq.dev/fetch-requested-at": "again"}}),
                false,
            ),
            (
                json!({"annotations": {"sumsq.dev/force-fetch-requested-at": "now"}}),
                false,
            ),
        ] {
            let seen = echo(&metadata(&change), status).unwrap();
            assert_eq!(seen == written, is_the_same, "{change}");
        }
        let other = echo(&metadata(&json!({})), blake3::hash(b"other")).unwrap();
        assert_ne!(other, written);
    }
}
