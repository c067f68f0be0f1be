//! Agents that go, also while nobody watches: the reports are without them from then on.

use std::collections::HashSet;
use std::error::Error as StdError;

use kube::ResourceExt;
use tokio::time::error::Elapsed;

use super::{Context, Watched, code};
use crate::controller::{Error, LONGEST_LOOK, Touched, has_gone};

impl Context {
    /// A look that was under way when its object went has kept it again: then it goes again.
    pub(super) async fn ends_where_its_object_did(&self, object: &Watched) {
        if has_gone(&self.listed, object) {
            self.gone(object).await;
        }
    }

    /// The object is gone: so are its series and what the reports knew by it.
    pub(super) async fn gone(&self, object: &Watched) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        self.shared.metrics.forget_agent(&namespace, &name);
        self.judge.forget(&namespace, &name);
        self.shared.publisher.forget(object.uid());
        self.lock().remove(&object.uid().unwrap_or_default());
        // The watch of all the others waits for this.
        noted(tokio::time::timeout(LONGEST_LOOK, self.remove(&namespace, &name)).await);
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
        let watched = self.shared.scope.namespace.as_deref();
        let removed = tokio::time::timeout(LONGEST_LOOK, async {
            let store = self.shared.engine.store();
            for resource in store.agent_resources(watched).await? {
                let key = (resource.namespace, resource.name);
                if present.contains(&key) || !self.shared.scope.holds(&key.0) {
                    continue;
                }
                self.shared.metrics.forget_agent(&key.0, &key.1);
                self.judge.forget(&key.0, &key.1);
                self.remove(&key.0, &key.1).await?;
            }
            Ok(())
        });
        noted(removed.await);
    }

    async fn remove(&self, namespace: &str, name: &str) -> Result<(), Error> {
        let store = self.shared.engine.store();
        store.remove_agent(namespace, name).await?;
        tracing::info!(agent = %format_args!("{namespace}/{name}"), "Agent deleted; its data stay");
        Ok(())
    }
}

fn noted(removed: Result<Result<(), Error>, Elapsed>) {
    if let Err(error) = removed.unwrap_or(Err(Error::TimedOut)) {
        tracing::warn!(
            error = &error as &dyn StdError,
            "the deletion of Agents will be noted at the next start"
        );
    }
}
