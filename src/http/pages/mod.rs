//! Reports for people: HTML, rendered on the server.
//!
//! `parts` is what pages have in common; each page is a struct made of a view model (`start`,
//! `source`, `testing`, `activity`, `error`) and a template of its name; `handlers` fetches the one
//! and answers with the other.

mod activity;
mod assets;
mod counts;
mod error;
pub(super) mod format;
mod handlers;
mod links;
mod methods;
mod parts;
mod source;
mod start;
mod testing;

use askama::Template;
use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};

use super::problem::Problem;
use super::state::ReportState;

/// The pages' addresses.
pub(super) fn routes() -> Router<ReportState> {
    Router::new()
        .route("/", get(handlers::start))
        .route(
            "/namespaces/{namespace}/data-sources/{name}",
            get(handlers::source),
        )
        .route(
            "/namespaces/{namespace}/data-sources/{name}/counts",
            get(handlers::counts),
        )
        .route(
            "/namespaces/{namespace}/data-sources/{name}/fetch",
            post(handlers::fetch_now),
        )
        .route(
            "/namespaces/{namespace}/agents/{code}",
            get(handlers::testing),
        )
        .route(
            "/namespaces/{namespace}/agents/{code}/activity",
            get(handlers::activity),
        )
        .route("/assets/{name}", get(handlers::asset))
}

/// A problem in the pages' clothes, for addresses outside of `/api`; None: as JSON.
/// `path` is the one that was asked for.
pub(super) fn problem(problem: &Problem, path: &str) -> Option<Response> {
    let page = error::ErrorPage::new(problem, path);
    page.render().ok().map(|html| Html(html).into_response())
}
