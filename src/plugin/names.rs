//! Objects by their names; of a name that is not there, what was probably meant.

use kube::ResourceExt;

use super::cluster::{Cluster, Kind, Scope};
use super::failure::{Failure, Result};
use crate::args::plugin::{Kind as Named, ResourceName};
use crate::crd::agent::Agent;
use crate::crd::data_source::DataSource;

/// How alike two names are (0 to 1) for one to be the other misspelt; as clap has it for flags.
const ALIKE: f64 = 0.8;
/// Names listed in a hint, at most.
const MOST_NAMED: usize = 10;

/// The DataSource of the namespace in use.
pub(super) async fn data_source(cluster: &Cluster, name: &str) -> Result<DataSource> {
    let found = cluster.get::<DataSource>(cluster.namespace(), name).await;
    match found {
        Err(failure) if failure.is_not_found => {
            Err(explained::<DataSource>(cluster, failure, name, "DataSource").await)
        }
        found => found,
    }
}

/// The Agent of the namespace in use.
pub(super) async fn agent(cluster: &Cluster, name: &str) -> Result<Agent> {
    match cluster.get::<Agent>(cluster.namespace(), name).await {
        Err(failure) if failure.is_not_found && reported(cluster, name).await => Err(failure
            .with_hint(format!(
                "{name} is in the data, and needs no Agent object for its reports: kubectl sumsq \
                 report {name} -n {}",
                cluster.namespace()
            ))),
        Err(failure) if failure.is_not_found => {
            Err(explained::<Agent>(cluster, failure, name, "Agent").await)
        }
        found => found,
    }
}

/// A failure to find `name`, with what is there instead.
pub(super) async fn explained<K: Kind>(
    cluster: &Cluster,
    failure: Failure,
    name: &str,
    kind: &str,
) -> Failure {
    let namespace = cluster.namespace();
    // Whoever may not list gets no hint.
    let Ok(here) = cluster.list::<K>(Scope::Namespace(namespace), None).await else {
        return failure;
    };
    let here: Vec<String> = here.iter().map(ResourceExt::name_any).collect();
    if let Some(near) = nearest(name, here.iter().map(String::as_str)) {
        return failure.with_hint(format!("did you mean {near}?"));
    }
    if let Ok(everywhere) = cluster.list::<K>(Scope::All, None).await {
        let elsewhere = everywhere.iter().find(|object| object.name_any() == name);
        if let Some(other) = elsewhere.and_then(ResourceExt::namespace) {
            return failure.with_hint(format!("it is in namespace {other}: -n {other}"));
        }
    }
    failure.with_hint(match here.len() {
        0 => format!("namespace {namespace} has no {kind}"),
        count if count <= MOST_NAMED => format!("there is {}", here.join(", ")),
        count => format!("there are {count}: {}, ...", here[..MOST_NAMED].join(", ")),
    })
}

/// Whether a DataSource of the namespace holds data of this agent.
async fn reported(cluster: &Cluster, code: &str) -> bool {
    let scope = Scope::Namespace(cluster.namespace());
    let listed = cluster.list::<DataSource>(scope, None).await;
    let mut statuses = listed
        .iter()
        .flatten()
        .filter_map(|source| source.status.as_ref());
    statuses.any(|status| status.agents.iter().any(|agent| agent == code))
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|known| {
        let alike = strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase());
        (alike, known)
    });
    scored
        .filter(|(alike, known)| *alike >= ALIKE && *known != name)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// A name where only a DataSource makes sense.
pub(super) fn of_data_source(name: &ResourceName) -> Result<&str> {
    match name.kind {
        Some(Named::Agent) => Err(Failure::usage(format!(
            "error: agent/{} is an Agent: this is for DataSources",
            name.name
        ))),
        _ => Ok(&name.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found_where_it_is_near() {
        let known = ["internal-conversions", "tills", "returns"];
        assert_eq!(
            nearest("internal-conversion", known),
            Some("internal-conversions")
        );
        assert_eq!(nearest("Tils", known), Some("tills"));
        assert_eq!(nearest("warehouse", known), None);
        assert_eq!(nearest("tills", ["tills"]), None, "it is not there, then");
    }
}
