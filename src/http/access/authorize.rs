//! What stands before every route.

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;

use super::identity::{Action, Right, Token};
use super::needs::{self, Need};
use super::session::{self, Session, SessionKey};
use super::{Access, Caller, From, refusal};
use crate::domain::data_source::SourceKey;
use crate::http::connection::Connection;
use crate::http::pages;
use crate::http::problem::Problem;
use crate::http::state::ReportState;

/// Of a namespace's name, and of an object's.
const MOST_LABEL: usize = 63;
const MOST_NAME: usize = 253;

/// What [`Access::identify`] looks at.
pub(super) struct Asking<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) connection: Connection,
}

impl<'a> Asking<'a> {
    fn of(headers: &'a HeaderMap, extensions: &axum::http::Extensions) -> Self {
        Self {
            headers,
            connection: Connection::of(extensions),
        }
    }

    pub(super) fn session(&self, key: &SessionKey, now: Timestamp) -> Option<Session> {
        let cookies = self.headers.get_all(header::COOKIE).iter();
        let cookies = cookies.filter_map(|value| value.to_str().ok());
        session::read(key, cookies, self.connection.is_secure(self.headers), now)
    }
}

pub(super) fn bearer(authorization: &HeaderValue) -> Option<Token> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(())?;
    Token::parse(token.trim())
}

/// Why a request goes no further.
enum Refused {
    Method(Problem, String),
    Caller(Problem),
}

impl std::convert::From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Caller(problem)
    }
}

/// Lets pass who may, and says to others what to do about it.
pub(in crate::http) async fn authorize(
    State(state): State<ReportState>,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let judged = judge(&state, route.as_str(), &mut parts).await;
    let is_everybodys = matches!(judged, Ok(None));
    let mut response = match judged {
        Ok(caller) => {
            if let Some(caller) = caller {
                parts.extensions.insert(caller);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(Refused::Method(problem, allowed)) => {
            let mut response = problem.into_response();
            if let Ok(allowed) = HeaderValue::try_from(allowed) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
            response
        }
        Err(Refused::Caller(problem)) => refused(&state, problem, &parts),
    };
    if !is_everybodys {
        // Of no use to who keeps it for another caller.
        for name in state.access().map(Access::vary).unwrap_or_default() {
            let headers = response.headers_mut();
            headers.append(header::VARY, HeaderValue::from(name));
        }
    }
    response
}

/// None: it shows nothing of anybody's.
async fn judge(
    state: &ReportState,
    route: &str,
    parts: &mut Parts,
) -> Result<Option<Caller>, Refused> {
    let Some(access) = state.access() else {
        return Ok(Some(Caller::Anyone));
    };
    let Some(need) = needs::need(&parts.method, route) else {
        let detail = format!("{} is not for this address", parts.method);
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail);
        return Err(Refused::Method(problem, needs::methods(route)));
    };
    // A proxy has to prove itself whatever is asked for.
    if need == Need::Nothing && matches!(access.from, From::Kubernetes) {
        return Ok(None);
    }
    let now = state.now();
    let asking = Asking::of(&parts.headers, &parts.extensions);
    let known = access.identify(&asking, now).await?;
    if let Need::Right(action) = need {
        let (namespace, name) = names(parts).await?;
        let right = match (action, name) {
            (Action::Fetch, Some(name)) => Right::to_fetch(&SourceKey {
                namespace: namespace.clone(),
                name,
            }),
            _ => Right::within(action, &namespace),
        };
        if !access.allows(&known, right, now).await? {
            return Err(refusal::forbidden(&known.identity, action, &namespace).into());
        }
    }
    Ok(Some(Caller::Known(std::sync::Arc::new(known))))
}

/// The namespace of the address, and the data source where it names one. What cannot be a name is
/// nothing to ask the API server about.
///
/// # Errors
/// 404 where nothing can be called so.
async fn names(parts: &mut Parts) -> Result<(String, Option<String>), Problem> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await;
    let (mut namespace, mut name) = (None, None);
    for (key, value) in parameters.iter().flatten() {
        match key {
            "namespace" if is_namespace(value) => namespace = Some(value.to_owned()),
            "name" if is_name(value, MOST_NAME, true) => name = Some(value.to_owned()),
            "namespace" | "name" => return Err(no_name()),
            _ => {}
        }
    }
    namespace
        .map(|namespace| (namespace, name))
        .ok_or_else(no_name)
}

fn no_name() -> Problem {
    Problem::not_found(
        "a namespace or data source of that name cannot be: names are lower case letters, digits and \
         dashes",
    )
}

pub(super) fn is_namespace(text: &str) -> bool {
    is_name(text, MOST_LABEL, false)
}

/// A DNS label, or with dots a DNS name.
fn is_name(text: &str, most: usize, dots: bool) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty()
        && text.len() <= most
        && text
            .bytes()
            .all(|byte| is_letter(byte) || byte == b'-' || (dots && byte == b'.'))
        && text.bytes().next().is_some_and(is_letter)
        && text.bytes().last().is_some_and(is_letter)
}

/// Programs are told to send a token; people are led to where they sign in.
fn refused(state: &ReportState, problem: Problem, parts: &Parts) -> Response {
    let unknown = problem.status() == StatusCode::UNAUTHORIZED;
    let signs_in = state.access().is_some_and(Access::has_sign_in);
    let path = parts.uri.path();
    if !unknown || !signs_in {
        return problem.into_response();
    }
    if path.starts_with("/api/") {
        let mut response = problem.into_response();
        let scheme = HeaderValue::from_static("Bearer realm=\"sumsq\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
        return response;
    }
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return problem.into_response();
    }
    let wanted = parts
        .uri
        .path_and_query()
        .map_or("/", |wanted| wanted.as_str());
    // Who comes by a link of another site may be signed in: a browser sends a cookie of SameSite=Strict
    // only where a page of our own leads on.
    let site = parts.headers.get("sec-fetch-site");
    let from_elsewhere = site.is_some_and(|site| site == "cross-site" || site == "same-site");
    if from_elsewhere && !parts.headers.contains_key(header::COOKIE) {
        return pages::own_step(wanted);
    }
    let mut response = Redirect::to(&pages::sign_in_address(wanted)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_a_name() {
        for name in ["a", "growth", "team-1", &"a".repeat(63)] {
            assert!(is_name(name, MOST_LABEL, false), "{name}");
        }
        for other in [
            "",
            "A",
            "a/b",
            "..",
            "-a",
            "a-",
            "a b",
            "a.b",
            "\u{e9}",
            &"a".repeat(64),
        ] {
            assert!(!is_name(other, MOST_LABEL, false), "{other}");
        }
        assert!(is_name("a.b-c", MOST_NAME, true));
        assert!(!is_name("a.b.", MOST_NAME, true));
    }

    #[test]
    fn how_a_token_is_sent() {
        let token = |text: &'static str| bearer(&HeaderValue::from_static(text));
        for sent in ["Bearer abc", "bearer abc", "BEARER  abc "] {
            assert_eq!(token(sent).unwrap().expose(), "abc", "{sent}");
        }
        for sent in ["abc", "Basic abc", "Bearer", "Bearer a b", "Bearer "] {
            assert_eq!(token(sent), None, "{sent}");
        }
    }
}
