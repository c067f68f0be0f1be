//! Who is signed in, and the way out.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::handlers::html;
use super::parts::Frame;
use crate::http::access::{Caller, no_sign_in};
use crate::http::parameters::Pairs;
use crate::http::problem::Problem;
use crate::http::state::ReportState;

#[derive(Debug, Template)]
#[template(path = "account.html")]
pub struct AccountPage {
    pub(super) frame: Frame,
    user: String,
    groups: Vec<String>,
    /// None: nobody signs out here.
    form_word: Option<String>,
}

pub(super) async fn account(
    State(state): State<ReportState>,
    caller: Caller,
    pairs: Pairs,
) -> Result<Response, Problem> {
    pairs.only([])?;
    let who = caller.identity().ok_or_else(no_sign_in)?;
    let page = AccountPage {
        frame: Frame::new("Account"),
        user: who.user.clone(),
        groups: who.groups.clone(),
        form_word: state.form_word(&caller).filter(|_| state.signs_in()),
    };
    html(page, &state)
}
