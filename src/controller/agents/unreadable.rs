//! Agents that this version cannot read, since another version's definition let them in: told as
//! such. What such a one said before stays in force.

use kube::api::ObjectMeta;
use kube::core::error_boundary::InvalidObject;
use kube::core::object::HasStatus;
use kube::runtime::controller::Action;
use kube::{Api, Resource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Context;
use crate::controller::Error;
use crate::crd::Pruned;
use crate::crd::agent::Agent;
use crate::domain::agent_status::Standing;

/// An Agent as the API server holds it.
#[derive(Resource, Debug, Clone, Serialize, Deserialize)]
#[resource(inherit = "Agent")]
struct Unread {
    metadata: ObjectMeta,
    #[serde(default)]
    status: Option<Value>,
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
pub(super) async fn look(problem: &InvalidObject, context: &Context) -> Result<Action, Error> {
    let InvalidObject { error, metadata } = problem;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    let api: Api<Pruned<Unread>> = Api::namespaced(context.shared.client.clone(), namespace);
    let object = api.get_opt(name).await?;
    let object = object.map(|Pruned(object)| object);
    let Some(object) = object.filter(|object| object.metadata.uid == metadata.uid) else {
        return Ok(Action::await_change());
    };
    tracing::warn!(
        agent = %crate::controller::dereference::key(&object),
        error,
        "an Agent cannot be read; the others are looked after"
    );
    let message = format!(
        "sumsq {} cannot read this Agent: {error}. Another version's definition let it in: run \
         that version of the operator, or write what this one knows",
        env!("CARGO_PKG_VERSION"),
    );
    context.tell(&object, Standing::Invalid { message }).await
}
