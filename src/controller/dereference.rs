//! What an object refers to, looked up: I/O and nothing else.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};

use crate::crd::Pruned;
use crate::domain::data_source::{SourceId, SourceKey};

/// UIDs of namespaces, kept by the UID of the object that asked: an object lives in one namespace
/// all its life, while a namespace's name may come to mean another one.
pub(super) struct Namespaces {
    client: Client,
    by_object: Mutex<HashMap<String, String>>,
}

impl Namespaces {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            by_object: Mutex::default(),
        }
    }

    pub(super) async fn uid_of(&self, object: &impl ResourceExt) -> Result<String, kube::Error> {
        let object_uid = object.uid().unwrap_or_default();
        if let Some(uid) = self.lock().get(&object_uid) {
            return Ok(uid.clone());
        }
        let api: Api<Pruned<PartialObjectMeta<Namespace>>> = Api::all(self.client.clone());
        let namespace = api.get(&object.namespace().unwrap_or_default()).await?;
        let uid = namespace.uid().unwrap_or_default();
        self.lock().insert(object_uid, uid.clone());
        Ok(uid)
    }

    /// The ids under which the store holds what these objects brought; None where the namespace
    /// went in this moment. Each namespace is asked for once.
    pub(super) async fn source_ids<K: ResourceExt>(
        &self,
        objects: &[Arc<K>],
    ) -> Result<HashMap<SourceKey, Option<SourceId>>, kube::Error> {
        let mut by_namespace: HashMap<String, String> = HashMap::new();
        let mut ids = HashMap::new();
        for object in objects {
            let key = key(object.as_ref());
            if let Some(uid) = by_namespace.get(&key.namespace) {
                let object_uid = object.uid().unwrap_or_default();
                self.lock().entry(object_uid).or_insert_with(|| uid.clone());
            }
            let id = match self.uid_of(object.as_ref()).await {
                Ok(uid) => {
                    let id = source_id(object.as_ref(), &uid);
                    by_namespace.insert(key.namespace.clone(), uid);
                    Some(id)
                }
                Err(kube::Error::Api(response)) if response.code == 404 => None,
                Err(error) => return Err(error),
            };
            ids.insert(key, id);
        }
        Ok(ids)
    }

    pub(super) fn forget(&self, object: &impl ResourceExt) {
        self.lock().remove(&object.uid().unwrap_or_default());
    }

    /// Of objects that are there no more nothing is kept.
    pub(super) fn retain(&self, objects: &HashSet<String>) {
        self.lock().retain(|object, _| objects.contains(object));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.by_object
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn key(object: &impl ResourceExt) -> SourceKey {
    SourceKey {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

pub(super) fn source_id(object: &impl ResourceExt, namespace_uid: &str) -> SourceId {
    SourceId::derive(namespace_uid, &object.name_any())
}
