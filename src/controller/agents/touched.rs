//! Which Agents want another look when something else has changed.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{Context, Watched, code};
use crate::controller::Touched;
use crate::crd::agent::Agent;
use crate::domain::agent::AgentResource;
use crate::domain::agent_status::TrustReason;
use crate::domain::data_source::SourceKey;
use crate::store::{Store, StoreError};

/// Agents to be looked at again, as they come; the controller's queue holds each once.
pub(super) fn agents(
    context: Arc<Context>,
    touched: mpsc::UnboundedReceiver<Touched>,
) -> impl Stream<Item = ObjectRef<Watched>> + Send + 'static {
    UnboundedReceiverStream::new(touched)
        .then(move |touched| {
            let context = Arc::clone(&context);
            async move { context.touched_by(touched).await }
        })
        .flat_map(futures::stream::iter)
}

/// The other Agents of this one's code: which of them counts may have changed.
pub(super) fn code_of(resource: &AgentResource) -> Touched {
    Touched::Code {
        namespace: resource.namespace.clone(),
        code: resource.agent.code.clone(),
    }
}

impl Context {
    async fn touched_by(&self, touched: Touched) -> Vec<ObjectRef<Watched>> {
        match touched {
            Touched::Source(key) => {
                let agents = self.of_namespace(&key.namespace);
                if agents.is_empty() {
                    return Vec::new();
                }
                let store = self.shared.engine.store();
                // Of a source that is gone, or a store that fails, no agent is known: each may be
                // one of its own.
                let held = held_by(store.as_ref(), &key).await.unwrap_or_default();
                let is_held = |agent: &Agent| {
                    held.as_ref()
                        .is_none_or(|codes| codes.contains(&code(agent)))
                };
                refs(&agents, is_held)
            }
            Touched::Code {
                namespace,
                code: of,
            } => {
                let agents = self.of_namespace(&namespace);
                refs(&agents, |agent| code(agent) == of || is_duplicate(agent))
            }
        }
    }

    fn of_namespace(&self, namespace: &str) -> Vec<Arc<Watched>> {
        let agents = self.listed.state().into_iter();
        agents
            .filter(|agent| agent.namespace().as_deref() == Some(namespace))
            .collect()
    }
}

/// The codes of a source's agents; None where it is gone.
async fn held_by(
    store: &dyn Store,
    key: &SourceKey,
) -> Result<Option<HashSet<String>>, StoreError> {
    let Some(source) = store.source(key).await? else {
        return Ok(None);
    };
    let agents = store.agents(source.id).await?.into_iter();
    Ok(Some(agents.map(|agent| agent.code).collect()))
}

/// Whether another counted when it was last looked at: perhaps for a code that this one let go of.
fn is_duplicate(agent: &Agent) -> bool {
    let conditions = agent.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .any(|condition| condition.reason == TrustReason::DuplicateCode.as_str())
}

/// Of those that can be read.
fn refs(agents: &[Arc<Watched>], is_wanted: impl Fn(&Agent) -> bool) -> Vec<ObjectRef<Watched>> {
    agents
        .iter()
        .filter(|agent| agent.0.as_ref().is_ok_and(&is_wanted))
        .map(|agent| ObjectRef::from_obj(agent.as_ref()))
        .collect()
}
