//! `kubectl sumsq suspend` and `resume`.

use std::process::ExitCode;

use serde_json::json;

use super::cluster::Cluster;
use super::failure::{Failure, Result};
use super::names;
use super::output::Data;
use super::select::{Target, print_done, print_objects, targets};
use crate::args::plugin::{Format, SelectArgs};
use crate::crd::data_source::DataSource;

/// Sets `spec.suspend` of each; one that fails does not hold up the others.
pub(super) async fn run(
    cluster: &Cluster,
    select: &SelectArgs,
    suspend: bool,
    output: Option<Format>,
) -> Result<ExitCode> {
    let done = if suspend { "suspended" } else { "resumed" };
    let mut objects = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for target in targets(cluster, select).await? {
        match set(cluster, &target, suspend).await {
            Ok((object, changed)) => {
                let said = if changed {
                    done.to_owned()
                } else {
                    format!("{done} (no change)")
                };
                print_done(&object, &said, output);
                objects.push(object);
            }
            Err(failure) => {
                failure.tell();
                code = ExitCode::from(failure.code);
            }
        }
    }
    if let Some(format) = Data::asked_for(output)
        && !objects.is_empty()
    {
        print_objects(&objects, format)?;
    }
    Ok(code)
}

/// The object, and whether it was otherwise before.
async fn set(cluster: &Cluster, target: &Target, suspend: bool) -> Result<(DataSource, bool)> {
    let before = cluster.get::<DataSource>(&target.namespace, &target.name);
    let before = match before.await {
        Err(failure) if failure.is_not_found => return Err(missing(cluster, failure, target).await),
        found => found?,
    };
    if before.spec.suspend == suspend {
        return Ok((before, false));
    }
    let patch = json!({"spec": {"suspend": suspend}});
    let after = cluster.patch::<DataSource>(&target.namespace, &target.name, &patch);
    Ok((after.await?, true))
}

pub(super) async fn missing(cluster: &Cluster, failure: Failure, target: &Target) -> Failure {
    names::explained::<DataSource>(cluster, failure, &target.name, "DataSource").await
}
