//! Reports for people: HTML, rendered on the server.

use axum::Router;
use axum::response::Response;

use super::problem::Problem;
use super::state::ReportState;

/// The pages' addresses.
pub(super) fn routes() -> Router<ReportState> {
    Router::new()
}

/// A problem in the pages' clothes, for addresses outside of `/api`; None: as JSON.
pub(super) fn problem(_problem: &Problem, _state: &ReportState) -> Option<Response> {
    None
}
