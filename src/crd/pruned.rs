//! Objects read without the field managers' records.

use std::borrow::Cow;

use kube::Resource;
use kube::api::ObjectMeta;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// An object as a list, a watch or any other answer of the API server holds it, without
/// `managedFields`.
///
/// Nobody here reads those, and whoever may patch one object writes them as they like, times among
/// them that no client of this language can read: one such object would stop the list of all.
#[derive(Debug, Clone)]
pub(crate) struct Pruned<K>(pub(crate) K);

impl<K> Pruned<K> {
    /// What a watch of pruned objects brings.
    pub(crate) fn event(event: Event<Self>) -> Event<K> {
        match event {
            Event::Apply(object) => Event::Apply(object.0),
            Event::Delete(object) => Event::Delete(object.0),
            Event::Init => Event::Init,
            Event::InitApply(object) => Event::InitApply(object.0),
            Event::InitDone => Event::InitDone,
        }
    }
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Pruned<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata {
            metadata.remove("managedFields");
        }
        K::deserialize(object).map(Self).map_err(de::Error::custom)
    }
}

impl<K: Resource> Resource for Pruned<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::crd::agent::Agent;

    #[test]
    fn what_others_wrote_of_their_fields_is_no_obstacle() {
        // The API server takes this from a merge patch; no `jiff::Timestamp` is so late.
        let manager = json!({"manager": "x", "operation": "Update", "apiVersion": "sumsq.dev/v1alpha1",
            "time": "9999-12-31T00:00:00Z"});
        let object = json!({
            "apiVersion": "sumsq.dev/v1alpha1", "kind": "Agent",
            "metadata": {"name": "checkout", "uid": "uid-1", "managedFields": [manager]},
            "spec": {},
        });
        assert!(serde_json::from_value::<Agent>(object.clone()).is_err());
        let Pruned(agent) = serde_json::from_value::<Pruned<Agent>>(object).unwrap();
        assert_eq!(agent.metadata.uid.as_deref(), Some("uid-1"));
        assert_eq!(agent.metadata.managed_fields, None);
    }
}
