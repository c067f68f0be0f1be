//! Every address of the report server, and what stands around it.

use std::any::Any;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::OpenApi;

use super::problem::Problem;
use super::state::ReportState;
use super::{api, guard, pages};

/// The report server: JSON, CSV, pages. Probes are not in it; see [`super::probes()`].
pub fn router(state: ReportState) -> Router {
    // Outermost last: a panic is a 500 that is counted, and so is a refusal.
    pages::routes()
        .merge(api::routes())
        .fallback(no_such_address)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn(guard::dress))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(from_fn_with_state(state.clone(), guard::limit))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), guard::measure))
        .with_state(state)
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
