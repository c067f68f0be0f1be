//! The custom resources' schema: types, CEL rules, printer columns. No behaviour, nothing of ours.

pub mod data_source;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// A token here that status does not echo yet asks for one fetch.
pub const FETCH_REQUESTED_AT: &str = "sumsq.dev/fetch-requested-at";
/// The same, and the object is read although it is the one that was imported last.
pub const FORCE_FETCH_REQUESTED_AT: &str = "sumsq.dev/force-fetch-requested-at";

/// Every definition that a cluster needs.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![data_source::DataSource::crd()]
}
