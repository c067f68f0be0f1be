//! The custom resources' schema: types, CEL rules, printer columns. No behaviour, nothing of ours.

pub mod agent;
pub mod data_source;
mod pruned;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

pub(crate) use self::pruned::Pruned;

/// A token here that status does not echo yet asks for one fetch.
pub const FETCH_REQUESTED_AT: &str = "sumsq.dev/fetch-requested-at";
/// The same, and the object is read although it is the one that was imported last.
pub const FORCE_FETCH_REQUESTED_AT: &str = "sumsq.dev/force-fetch-requested-at";

/// A Secret is used for DataSources where this label of it is "true".
pub const CREDENTIALS: &str = "sumsq.dev/credentials";

/// Every definition that a cluster needs.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![data_source::DataSource::crd(), agent::Agent::crd()];
    let versions = definitions
        .iter_mut()
        .flat_map(|definition| &mut definition.spec.versions);
    let schemas =
        versions.filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut());
    schemas.for_each(|schema| {
        unwrap_descriptions(schema);
        start_unobserved(schema);
    });
    definitions
}

/// A new object says that it has not been looked at. Tools that follow kstatus (Flux, Argo CD)
/// would take one without a status for done.
fn start_unobserved(schema: &mut JSONSchemaProps) {
    let status = schema
        .properties
        .as_mut()
        .and_then(|properties| properties.get_mut("status"));
    if let Some(status) = status {
        status.default = Some(JSON(serde_json::json!({"observedGeneration": -1})));
    }
}

/// Descriptions break where the source code's lines do; kubectl breaks them to the terminal's
/// width, and would keep those breaks as well.
fn unwrap_descriptions(schema: &mut JSONSchemaProps) {
    if let Some(description) = &mut schema.description {
        let paragraphs: Vec<String> = description
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "))
            .collect();
        *description = paragraphs.join("\n\n");
    }
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
    {
        unwrap_descriptions(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => unwrap_descriptions(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => {
            items.iter_mut().for_each(unwrap_descriptions);
        }
        None => {}
    }
}
