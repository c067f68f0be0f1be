//! Which DataSources a command is about, and what is printed of those that it changed.

use kube::ResourceExt;

use super::cluster::Cluster;
use super::failure::{Failure, Result};
use super::names;
use super::output::{Data, data, data_source_name, print};
use crate::args::plugin::{Format, SelectArgs};
use crate::crd::data_source::DataSource;

/// Namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Target {
    pub(super) fn of(source: &DataSource) -> Self {
        Self {
            namespace: source.namespace().unwrap_or_default(),
            name: source.name_any(),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Those that are named, each once, or those that a list finds.
pub(super) async fn targets(cluster: &Cluster, args: &SelectArgs) -> Result<Vec<Target>> {
    if args.names.is_empty() {
        let scope = cluster.scope(args.all_namespaces);
        let listed = cluster
            .list::<DataSource>(scope, args.selector.as_deref())
            .await?;
        return match listed.iter().map(Target::of).collect::<Vec<_>>() {
            found if found.is_empty() => Err(Failure::new("error: no DataSources found")),
            found => Ok(found),
        };
    }
    let mut targets: Vec<Target> = Vec::new();
    for name in &args.names {
        let target = Target {
            namespace: cluster.namespace().to_owned(),
            name: names::of_data_source(name)?.to_owned(),
        };
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// What has become of the objects: one as it is, several as a list, as kubectl prints them.
pub(super) fn print_objects(objects: &[DataSource], format: Data) -> Result<()> {
    let text = match objects {
        [object] => data(object, format)?,
        objects => data(
            &serde_json::json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects}),
            format,
        )?,
    };
    print(&text);
    Ok(())
}

/// `datasource.sumsq.dev/counts suspended`, or the name alone.
pub(super) fn print_done(object: &DataSource, done: &str, format: Option<Format>) {
    let name = object.name_any();
    match format {
        None | Some(Format::Wide) => print(&format!("datasource.sumsq.dev/{name} {done}\n")),
        Some(Format::Name) => print(&data_source_name(&name)),
        // Printed together at the end.
        Some(Format::Json | Format::Yaml) => {}
    }
}
