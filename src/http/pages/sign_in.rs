//! Where people sign in with a token, and out again.

use std::collections::BTreeMap;

use askama::Template;
use axum::Form;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use tokio::sync::Semaphore;

use super::handlers::rendered;
use super::links;
use super::parts::{Frame, sentence};
use crate::http::access::{Caller, Token, no_sign_in};
use crate::http::connection::Connection;
use crate::http::guard::same_site;
use crate::http::parameters::Pairs;
use crate::http::problem::Problem;
use crate::http::state::ReportState;

/// Fields of one form.
const MOST_FIELDS: usize = 16;
/// An address that is led back to.
const MOST_ADDRESS: usize = 2_048;

#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    pub(super) frame: Frame,
    next: String,
    signed_out: bool,
    /// Why the last try did not work.
    refused: Option<String>,
}

/// Leads on from a page of our own.
#[derive(Debug, Template)]
#[template(path = "own_step.html")]
struct OwnStep<'a> {
    to: &'a str,
}

/// The sign-in page that leads back to `next`.
#[must_use]
pub fn address(next: &str) -> String {
    match own(next) {
        "/" => "/sign-in".to_owned(),
        next => links::with_query("/sign-in", &[("next", next)]),
    }
}

/// The address itself, where it is one of this server's own pages, else the start page: a link to the
/// sign-in page leads nobody elsewhere.
fn own(address: &str) -> &str {
    let mut bytes = address.bytes();
    let is_path = bytes.next() == Some(b'/');
    // Browsers take both for the beginning of another host.
    let is_host = matches!(bytes.next(), Some(b'/' | b'\\'));
    // They leave out tabs and line breaks, and take a backslash for a slash.
    let is_plain = address
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let leads_here = ["/sign-in", "/sign-out", "/api/", "/assets/"];
    let leads_here = leads_here.iter().any(|own| address.starts_with(own));
    if is_path && !is_host && is_plain && !leads_here && address.len() <= MOST_ADDRESS {
        address
    } else {
        "/"
    }
}

/// Who comes by a link of another site comes once more from here, so that the browser sends the
/// cookie along.
pub fn own_step(wanted: &str) -> Response {
    let page = OwnStep { to: own(wanted) };
    match page.render() {
        Ok(page) => {
            let headers = [(header::CACHE_CONTROL, "no-store")];
            (StatusCode::UNAUTHORIZED, headers, Html(page)).into_response()
        }
        Err(error) => Problem::internal("cannot write a page", &error).into_response(),
    }
}

/// The fields of a form that somebody sends who is known.
pub(super) struct Fields(pub(super) BTreeMap<String, String>);

impl FromRequest<ReportState> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ReportState) -> Result<Self, Problem> {
        Self::read(request, state, &state.forms).await
    }
}

/// The fields of the one form that anybody may send.
pub(super) struct SignInFields(BTreeMap<String, String>);

impl FromRequest<ReportState> for SignInFields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ReportState) -> Result<Self, Problem> {
        if !state.signs_in() {
            return Err(no_sign_in());
        }
        let Fields(fields) = Fields::read(request, state, &state.sign_ins).await?;
        Ok(Self(fields))
    }
}

impl Fields {
    /// # Errors
    /// 403 for the form of another site, of which nothing is read; 408, 413 and 400 for what is no form
    /// of ours in time; 503 where the turns are taken.
    async fn read(
        request: Request,
        state: &ReportState,
        turns: &Semaphore,
    ) -> Result<Self, Problem> {
        // Nobody is signed in as somebody else by another site's form, nor kept from it by many.
        same_site(request.headers())?;
        let limits = state.limits();
        let limit = limits.body_bytes;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let (parts, body) = request.into_parts();
        let turn = turns.try_acquire();
        let turn =
            turn.map_err(|_| Problem::unavailable("too many forms at once; send it again"))?;
        let read = tokio::time::timeout(limits.form_within, to_bytes(body, most)).await;
        drop(turn);
        let read = read.map_err(|_| {
            let detail = "the form did not arrive in time";
            Problem::new(StatusCode::REQUEST_TIMEOUT, detail)
        })?;
        let body = read.map_err(|_| {
            let detail = format!("bodies have at most {limit} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        })?;
        if body.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let request = Request::from_parts(parts, Body::from(body));
        let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, state)
            .await
            .map_err(|_| no_form())?;
        let count = pairs.len();
        let fields: BTreeMap<_, _> = pairs.into_iter().collect();
        if fields.len() != count || count > MOST_FIELDS {
            return Err(no_form());
        }
        Ok(Self(fields))
    }
}

fn no_form() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "this is no form of ours: fields are sent once, as application/x-www-form-urlencoded",
    )
}

pub(super) async fn form(
    State(state): State<ReportState>,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let [next, out] = pairs.only(["next", "out"])?;
    if !state.signs_in() {
        return Err(no_sign_in());
    }
    shown(
        StatusCode::OK,
        SignInPage::new(next.unwrap_or("/"), out.is_some()),
    )
}

/// Nobody is signed in here yet.
fn shown(status: StatusCode, page: SignInPage) -> Result<Response, Problem> {
    let page = Html(rendered(page, false)?);
    let headers = [(header::CACHE_CONTROL, "no-store")];
    Ok((status, headers, page).into_response())
}

impl SignInPage {
    fn new(next: &str, signed_out: bool) -> Self {
        Self {
            frame: Frame::new("Sign in"),
            next: own(next).to_owned(),
            signed_out,
            refused: None,
        }
    }
}

pub(super) async fn sign_in(
    State(state): State<ReportState>,
    extensions: Extensions,
    headers: HeaderMap,
    SignInFields(fields): SignInFields,
) -> Result<Response, Problem> {
    let field = |name| fields.get(name).map_or("", |value| value.trim());
    let next = own(field("next"));
    let token = Token::parse(field("token")).ok_or_else(|| {
        let detail = "this is no token: paste all of it, and nothing else";
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    });
    let connection = Connection::of(&extensions);
    let signed_in = match token {
        Ok(token) => state.sign_in(&token, &headers, connection).await,
        Err(problem) => Err(problem),
    };
    match signed_in {
        Ok(cookie) => with_cookie(Redirect::to(next).into_response(), &cookie),
        Err(problem) => {
            let mut page = SignInPage::new(next, false);
            page.refused = Some(sentence(problem.detail()));
            shown(problem.status(), page)
        }
    }
}

pub(super) async fn sign_out(
    State(state): State<ReportState>,
    caller: Caller,
    extensions: Extensions,
    headers: HeaderMap,
    Fields(fields): Fields,
) -> Result<Response, Problem> {
    if !state.signs_in() {
        return Err(no_sign_in());
    }
    state.meant(&caller, &headers, fields.get("word").map(String::as_str))?;
    let cookie = ReportState::sign_out(&headers, Connection::of(&extensions));
    let mut response = Redirect::to("/sign-in?out=yes").into_response();
    // What a browser has kept is for nobody who comes after.
    let cache = HeaderValue::from_static("\"cache\"");
    response.headers_mut().insert("clear-site-data", cache);
    with_cookie(response, &cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Result<Response, Problem> {
    let cookie = HeaderValue::try_from(cookie)
        .map_err(|error| Problem::internal("a cookie cannot be set", &error))?;
    let headers = response.headers_mut();
    headers.insert(header::SET_COOKIE, cookie);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for here in [
            "/",
            "/?q=a",
            "/account",
            "/namespaces/growth/agents/a%2Fb%20%22c%22?goal=x&from=2024-01-01",
            "/..//elsewhere.example",
        ] {
            assert_eq!(own(here), here);
        }
        for elsewhere in [
            "",
            "https://elsewhere.example/",
            "//elsewhere.example",
            "/\\elsewhere.example",
            "/a\\b",
            "/\t/elsewhere.example",
            "/\n/elsewhere.example",
            " /",
            "javascript:alert(1)",
            "elsewhere",
            "/\u{e9}",
            "/sign-in?next=/",
            "/sign-out",
            "/api/v1/agents",
            &format!("/{}", "a".repeat(2048)),
        ] {
            assert_eq!(own(elsewhere), "/", "{elsewhere:?}");
        }
        assert_eq!(address("//elsewhere.example"), "/sign-in");
        assert_eq!(address("/?q=a&b"), "/sign-in?next=%2F%3Fq%3Da%26b");
    }
}
