//! Agents that go, also while nobody watches: the reports are without them from then on.

use std::collections::HashSet;
use std::error::Error as StdError;

use kube::ResourceExt;

use super::{Context, Watched, code};
use crate::controller::Touched;
use crate::store::StoreError;

impl Context {
    /// The object is gone: so are its series and what the reports knew by it.
    pub(super) async fn gone(&self, object: &Watched) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        self.shared.metrics.forget_agent(&namespace, &name);
        self.judge.forget(&namespace, &name);
        self.lock().remove(&object.uid().unwrap_or_default());
        if let Err(error) = self.remove(&namespace, &name).await {
            warn(&error);
        }
        let code = object.0.as_ref().map_or(name, code);
        self.shared.touch(Touched::Code { namespace, code });
    }

    /// Compares what the store keeps with the complete list.
    pub(super) async fn remove_missing(&self) {
        let listed = self.listed.state();
        let uids: HashSet<_> = listed.iter().filter_map(|object| object.uid()).collect();
        self.lock().retain(|uid, _| uids.contains(uid));
        let present: HashSet<_> = listed
            .iter()
            .map(|object| (object.namespace().unwrap_or_default(), object.name_any()))
            .collect();
        tracing::info!(agents = present.len(), "Agents are synced");
        let watched = self.shared.namespace.as_deref();
        let kept = match self.shared.engine.store().agent_resources(watched).await {
            Ok(kept) => kept,
            Err(error) => return warn(&error),
        };
        for resource in kept {
            let key = (resource.namespace, resource.name);
            if present.contains(&key) {
                continue;
            }
            self.shared.metrics.forget_agent(&key.0, &key.1);
            self.judge.forget(&key.0, &key.1);
            if let Err(error) = self.remove(&key.0, &key.1).await {
                warn(&error);
            }
        }
    }

    async fn remove(&self, namespace: &str, name: &str) -> Result<(), StoreError> {
        let store = self.shared.engine.store();
        store.remove_agent(namespace, name).await?;
        tracing::info!(agent = %format_args!("{namespace}/{name}"), "Agent deleted; its data stay");
        Ok(())
    }
}

fn warn(error: &StoreError) {
    tracing::warn!(
        error = error as &dyn StdError,
        "the deletion of Agents will be noted at the next start"
    );
}
