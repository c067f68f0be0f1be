//! Reports for people: HTML, rendered on the server.
//!
//! `parts` is what pages have in common; each page is a struct made of a view model (`start`,
//! `source`, `testing`, `activity`, `sign_in`, `account`, `error`) and a template of its name; `handlers` fetches the one
//! and answers with the other.

mod account;
mod activity;
mod assets;
mod counts;
mod error;
pub(super) mod format;
mod handlers;
mod links;
mod methods;
mod parts;
mod sign_in;
mod source;
mod start;
mod testing;

use axum::Router;
use axum::handler::Handler;
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};

use super::problem::Problem;
use super::state::ReportState;

pub(super) use sign_in::{address as sign_in_address, own_step};

/// Routes, and a list of them: who may use each is decided elsewhere, by its method and address.
#[derive(Default)]
struct Routes {
    router: Router<ReportState>,
    addresses: Vec<(String, String)>,
}

impl Routes {
    fn get<H: Handler<T, ReportState>, T: 'static>(mut self, path: &str, handler: H) -> Self {
        self.router = self.router.route(path, get(handler));
        self.addresses.push(("GET".to_owned(), path.to_owned()));
        self
    }

    fn post<H: Handler<T, ReportState>, T: 'static>(mut self, path: &str, handler: H) -> Self {
        self.router = self.router.route(path, post(handler));
        self.addresses.push(("POST".to_owned(), path.to_owned()));
        self
    }
}

/// The pages' addresses.
pub(super) fn routes() -> Router<ReportState> {
    all().router
}

/// Method and template of each of those.
pub(super) fn addresses() -> Vec<(String, String)> {
    all().addresses
}

fn all() -> Routes {
    const SOURCE: &str = "/namespaces/{namespace}/data-sources/{name}";
    const AGENT: &str = "/namespaces/{namespace}/agents/{code}";
    Routes::default()
        .get("/", handlers::start)
        .get(SOURCE, handlers::source)
        .get(&format!("{SOURCE}/counts"), handlers::counts)
        .post(&format!("{SOURCE}/fetch"), handlers::fetch_now)
        .get(AGENT, handlers::testing)
        .get(&format!("{AGENT}/activity"), handlers::activity)
        .get("/sign-in", sign_in::form)
        .post("/sign-in", sign_in::sign_in)
        .post("/sign-out", sign_in::sign_out)
        .get("/account", account::account)
        .get("/assets/{name}", handlers::asset)
}

/// A problem in the pages' clothes, for addresses outside of `/api`; None: as JSON.
/// `asked` is what was asked for.
pub(super) fn problem(problem: &Problem, asked: &Uri, state: &ReportState) -> Option<Response> {
    let page = error::ErrorPage::new(problem, asked, state.signs_in());
    let html = handlers::rendered(page, state.signs_in()).ok()?;
    Some(Html(html).into_response())
}
