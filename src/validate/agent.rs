//! An Agent, checked and as the domain has it.

use jiff::Timestamp;
use kube::ResourceExt;

use super::{SpecProblem, non_empty, schema};
use crate::crd::agent as raw;
use crate::domain::agent::{Agent, AgentResource, DeclaredVariation};

/// An object without a time of creation, as in a file, counts as the oldest there can be.
///
/// # Errors
/// Everything that only another spec can mend, by field; at least one.
pub fn agent(resource: &raw::Agent) -> Result<AgentResource, Vec<SpecProblem>> {
    let problems = schema::AGENT.broken_rules(resource);
    if !problems.is_empty() {
        return Err(problems);
    }
    let spec = &resource.spec;
    let name = resource.name_any();
    Ok(AgentResource {
        namespace: resource.namespace().unwrap_or_default(),
        uid: resource.uid().unwrap_or_default(),
        created_at: resource
            .creation_timestamp()
            .map_or(Timestamp::UNIX_EPOCH, |created| created.0),
        agent: Agent {
            code: spec.code.clone().unwrap_or_else(|| name.clone()),
            display_name: non_empty(spec.display_name.as_ref()),
            goals: spec.goals.clone(),
            baseline: spec.baseline.clone(),
            target_lift: spec.target_lift,
            variations: spec.variations.iter().map(variation).collect(),
        },
        name,
    })
}

fn variation(variation: &raw::Variation) -> DeclaredVariation {
    DeclaredVariation {
        code: variation.code.clone(),
        display_name: non_empty(variation.display_name.as_ref()),
        weight: variation.weight,
    }
}
