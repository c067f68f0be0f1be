//! JSON, CSV and the OpenAPI document. Each handler stands below its own description, and the
//! routes are made of both: what is served is what is documented.

mod agents;
pub(super) mod counts;
mod openapi;
mod parameters;
mod reports;
mod sources;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::conditional;
use super::parameters::Pairs;
use super::problem::Problem;
use super::state::ReportState;

/// What the document says besides its paths.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "sumsq reports",
        description = "Experiment reports from aggregated counts. Every view is one address; \
            unknown parameters and impossible values are 400 and name the parameter."
    ),
    tags(
        (name = "reports", description = "Testing and Activity reports of an agent"),
        (name = "data", description = "Data sources, agents and fetches"),
    ),
    components(schemas(Problem))
)]
struct Document;

/// Every address under `/api`.
pub(super) fn routes() -> Router<ReportState> {
    documented_routes().into()
}

/// Method and template of each of those.
pub(super) fn addresses() -> Vec<(String, String)> {
    let mut addresses = Vec::new();
    for (path, item) in documented().paths.paths {
        for (method, operation) in [
            ("GET", &item.get),
            ("PUT", &item.put),
            ("POST", &item.post),
            ("DELETE", &item.delete),
            ("OPTIONS", &item.options),
            ("HEAD", &item.head),
            ("PATCH", &item.patch),
            ("TRACE", &item.trace),
        ] {
            if operation.is_some() {
                addresses.push((method.to_owned(), path.clone()));
            }
        }
    }
    addresses
}

/// The document of those.
pub(super) fn documented() -> OpenApi {
    openapi::completed(documented_routes().into_openapi())
}

fn documented_routes() -> OpenApiRouter<ReportState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(document))
        .routes(routes!(sources::list))
        .routes(routes!(sources::one))
        .routes(routes!(sources::fetches))
        .routes(routes!(sources::fetch_now))
        .routes(routes!(counts::counts))
        .routes(routes!(agents::list))
        .routes(routes!(reports::testing))
        .routes(routes!(reports::testing_csv))
        .routes(routes!(reports::goals))
        .routes(routes!(reports::goals_csv))
        .routes(routes!(reports::activity))
        .routes(routes!(reports::activity_csv))
}

/// This document
#[utoipa::path(get, path = "/api/openapi.json", tag = "data",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
async fn document(pairs: Pairs, headers: HeaderMap) -> Result<Response, Problem> {
    pairs.only([])?;
    conditional::json(&headers, &documented())
}
