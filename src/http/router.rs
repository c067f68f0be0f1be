//! Every address of the report server, and what stands around it.

use std::any::Any;
use std::net::IpAddr;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::OpenApi;

use super::probes::Probes;
use super::problem::Problem;
use super::state::ReportState;
use super::{access, api, guard, pages};

/// The report server: JSON, CSV, pages. Probes are not in it; see [`super::probes()`].
pub fn router(state: ReportState) -> Router {
    // Outermost last: a panic is a 500 and a refusal a problem, dressed and counted as any other.
    pages::routes()
        .merge(api::routes())
        .route_layer(from_fn_with_state(state.clone(), access::authorize))
        .fallback(no_such_address)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(state.clone(), guard::limit))
        .layer(from_fn_with_state(state.clone(), guard::own_host))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), guard::dress))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(from_fn_with_state(state.clone(), guard::measure))
        .with_state(state)
}

/// Every method and template of an address, sorted: what there is to be allowed.
#[must_use]
pub fn routes() -> Vec<(String, String)> {
    let mut routes = pages::addresses();
    routes.extend(api::addresses());
    routes.sort();
    routes
}

/// What listens on `address`. Where that is this machine's alone and nobody is asked who they are: only
/// for who asks by its own name, and the probes and metrics too. Where somebody is, what stands before
/// it on this machine (a proxy in the same Pod) has a name of its own.
pub fn router_at(address: IpAddr, state: ReportState, probes: Probes) -> Router {
    let open = state.access().is_none();
    let loopback = address.to_canonical().is_loopback() && open;
    let state = state.loopback_only(loopback);
    let reports = router(state.clone());
    if !loopback {
        return reports;
    }
    let probes = super::probes(probes).layer(from_fn_with_state(state, guard::own_host));
    reports.merge(probes)
}

/// The OpenAPI document of everything under `/api`.
#[must_use]
pub fn documented() -> OpenApi {
    api::documented()
}

async fn no_such_address(request: Request) -> Problem {
    Problem::not_found(format!("there is nothing at {}", request.uri().path()))
}

async fn no_such_method(request: Request) -> Problem {
    let detail = format!("{} is not for this address", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the layer hands the panic over"
)]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let said = panic
        .downcast_ref::<&str>()
        .map(|said| (*said).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Problem::internal("a request panicked", &std::io::Error::other(said)).into_response()
}
