//! Objects that come and go: finalizers, deletions, and those that went while nobody watched.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use kube::ResourceExt;
use kube::runtime::controller::Action;

use super::{Context, Kept, Known};
use crate::controller::publish::Reported;
use crate::controller::{Error, LONGEST_LOOK, Touched, dereference, has_gone};
use crate::crd::data_source::DeletionPolicy;
use crate::domain::data_source::{SourceId, SourceKey};

/// Its data go with the object.
const FINALIZER: &str = "sumsq.dev/delete-data";

impl Context {
    /// Adds or removes the finalizer as `deletionPolicy` says. True where the object was changed.
    pub(super) async fn align_finalizer(&self, object: &Known, kept: &Kept) -> Result<bool, Error> {
        let has = object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER);
        let wants = kept.deletion_policy == DeletionPolicy::Delete;
        if has == wants {
            return Ok(false);
        }
        self.shared
            .publisher
            .set_finalizer(object, FINALIZER, wants)
            .await?;
        Ok(true)
    }

    /// Lets a deleted object go: its fetch ends, and its data go along where asked.
    pub(super) async fn finalize<K: Reported>(
        &self,
        object: &K,
        namespace_uid: &str,
        delete: bool,
    ) -> Result<Action, Error> {
        if object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER)
        {
            let id = dereference::source_id(object, namespace_uid);
            self.shared.engine.forget(id, delete).await?;
            self.shared
                .publisher
                .set_finalizer(object, FINALIZER, false)
                .await?;
            tracing::info!(source = %dereference::key(object), data_deleted = delete, "deleted");
        } else {
            // Somebody else's finalizer holds the object; its fetch is of no use any more.
            self.shared
                .engine
                .cancel(dereference::source_id(object, namespace_uid));
        }
        Ok(Action::await_change())
    }

    /// A look that was under way when its object went has entered it again: then it goes again.
    pub(super) async fn ends_where_its_object_did(&self, object: &Known) {
        if has_gone(&self.listed, object) {
            self.gone(object).await;
        }
    }

    /// The object is gone: its fetch ends, its series end, its data stay.
    pub(super) async fn gone(&self, object: &impl ResourceExt) {
        let key = dereference::key(object);
        self.shared.metrics.forget(&key);
        self.shared.namespaces.forget(object);
        self.shared.publisher.forget(object.uid());
        self.parsed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&object.uid().unwrap_or_default());
        // The watch of all the others waits for this.
        let retired = tokio::time::timeout(LONGEST_LOOK, async {
            if let Some(row) = self.shared.engine.store().source(&key).await? {
                self.retire(row.id, &key).await;
            }
            Ok(())
        });
        if let Err(error) = retired.await.unwrap_or(Err(Error::TimedOut)) {
            tracing::warn!(source = %key, error = &error as &dyn std::error::Error,
                "a deletion will be noted at the next start");
        }
    }

    /// Retires what the store calls present and is not among all the objects there are.
    pub(super) async fn retire_missing<K: ResourceExt>(&self, present: &[Arc<K>]) {
        let uids: HashSet<_> = present.iter().filter_map(|object| object.uid()).collect();
        self.parsed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|uid, _| uids.contains(uid));
        self.shared.namespaces.retain(&uids);
        let retired = tokio::time::timeout(LONGEST_LOOK, async {
            let ids = self.shared.namespaces.source_ids(present).await?;
            for (id, key) in self.shared.engine.store().present_sources().await? {
                if self.shared.scope.holds(&key.namespace) && is_gone(id, &key, &ids) {
                    if !ids.contains_key(&key) {
                        self.shared.metrics.forget(&key);
                    }
                    self.retire(id, &key).await;
                }
            }
            Ok(())
        });
        if let Err(error) = retired.await.unwrap_or(Err(Error::TimedOut)) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "deletions while the operator was down will be noted later"
            );
        }
    }

    async fn retire(&self, id: SourceId, key: &SourceKey) {
        match self.shared.engine.forget(id, false).await {
            Ok(()) => {
                tracing::info!(source = %key, "deleted; its data stay");
                self.shared.touch(Touched::Source(key.clone()));
            }
            Err(error) => tracing::warn!(
                source = %key,
                error = &error as &dyn std::error::Error,
                "a deletion will be noted at the next start"
            ),
        }
    }
}

/// A source whose name is gone, or stands for another: its namespace was made anew under it.
fn is_gone(id: SourceId, key: &SourceKey, present: &HashMap<SourceKey, Option<SourceId>>) -> bool {
    match present.get(key) {
        Some(Some(now)) => *now != id,
        Some(None) => false,
        None => true,
    }
}
