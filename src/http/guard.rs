//! What stands around every address: limits, deadlines, metrics, headers that keep browsers safe.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::connection::Connection;
use super::problem::Problem;
use super::state::ReportState;

/// Nothing here is for other sites, frames or scripts.
const API_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Pages load what is of their own origin, and nothing inline.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// Once a browser has come by TLS it comes by nothing else.
const ONE_YEAR_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Limits on requests.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Beyond, requests are answered 503 at once.
    pub requests_in_flight: usize,
    /// Of those, downloads of data: each holds a part of it in memory.
    pub downloads_in_flight: usize,
    /// Path and query.
    pub address_bytes: usize,
    pub body_bytes: u64,
    /// Forms whose bodies are on their way. Further ones are answered 503 at once: clients that send a
    /// body slowly take no other request's place.
    pub forms_in_flight: usize,
    /// The same of the sign-in form, which anybody may send: those that are slow with it keep nobody from
    /// another form who is signed in.
    pub sign_ins_in_flight: usize,
    /// For all of a form's body to arrive.
    pub form_within: Duration,
    /// From the request's head to the answer's.
    pub answer_within: Duration,
    /// A download whose reader takes nothing for so long is given up.
    pub reader_stalls: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            requests_in_flight: 256,
            downloads_in_flight: 4,
            address_bytes: 8 << 10,
            body_bytes: 16 << 10,
            forms_in_flight: 32,
            sign_ins_in_flight: 16,
            form_within: Duration::from_secs(5),
            answer_within: Duration::from_secs(30),
            reader_stalls: Duration::from_secs(30),
        }
    }
}

/// Counts and times every request by its route's template.
pub(super) async fn measure(
    State(state): State<ReportState>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    state.metrics.request_ended(
        route,
        method.as_str(),
        response.status().as_u16(),
        begun.elapsed(),
    );
    response
}

/// Refuses what is too large and what is too much, and does not wait for ever.
pub(super) async fn limit(
    State(state): State<ReportState>,
    request: Request,
    next: Next,
) -> Response {
    let limits = state.limits();
    let address = request
        .uri()
        .path_and_query()
        .map_or(0, |a| a.as_str().len());
    if address > limits.address_bytes {
        let detail = format!("addresses have at most {} bytes", limits.address_bytes);
        return Problem::new(StatusCode::URI_TOO_LONG, detail).into_response();
    }
    if body_bytes(request.headers()) > limits.body_bytes {
        let detail = format!("bodies have at most {} bytes", limits.body_bytes);
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response();
    }
    let Ok(_permit) = state.in_flight.try_acquire() else {
        return Problem::unavailable("too many requests at once; try again in a moment")
            .into_response();
    };
    match tokio::time::timeout(limits.answer_within, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "the store or the report took too long; try again in a moment",
        )
        .into_response(),
    }
}

/// Where only this machine's own clients are served: a name that leads here by somebody else's DNS
/// would make their page one of ours, to browsers. The machine's name for itself and addresses are
/// nobody else's to give.
pub(super) async fn own_host(
    State(state): State<ReportState>,
    request: Request,
    next: Next,
) -> Response {
    let named = request.headers().get_all(header::HOST).iter();
    let foreign = named.into_iter().any(|host| !is_own(host.to_str().ok()))
        || (request.uri().host().is_some_and(|host| !is_own(Some(host))));
    if state.is_loopback_only() && foreign {
        let detail = "this server is asked as localhost or by its address";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response();
    }
    next.run(request).await
}

/// `localhost` or an address, with or without a port.
fn is_own(host: Option<&str>) -> bool {
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let host = authority.host();
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok()
        || host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|host| host.parse::<Ipv6Addr>().is_ok())
}

/// Browsers say whether one of our own pages asks; other clients say nothing.
///
/// # Errors
/// 403 where another site does.
pub(super) fn same_site(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let foreign_site = site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let foreign_origin = text(header::ORIGIN).is_some_and(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_none() || host != text(header::HOST)
    });
    if foreign_site || foreign_origin {
        let detail = "another site asks for this; ask from a page of this server";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(())
}

/// What a body announces; one that does not is read by nobody.
fn body_bytes(headers: &HeaderMap) -> u64 {
    let announced = headers.get(header::CONTENT_LENGTH);
    announced
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}

/// Gives every answer its headers; a problem outside of `/api` comes in the pages' clothes.
pub(super) async fn dress(
    State(state): State<ReportState>,
    request: Request,
    next: Next,
) -> Response {
    let secure = Connection::of(request.extensions()).is_secure(request.headers());
    if request.uri().path().starts_with("/api/") {
        return with_headers(next.run(request).await, API_POLICY, secure);
    }
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions().get::<Problem>()
        && let Some(mut page) = super::pages::problem(problem, &uri, &state)
    {
        *page.status_mut() = problem.status();
        for name in [
            header::RETRY_AFTER,
            header::ALLOW,
            header::CACHE_CONTROL,
            header::VARY,
            header::SET_COOKIE,
        ] {
            for value in response.headers().get_all(&name) {
                page.headers_mut().append(name.clone(), value.clone());
            }
        }
        if method == Method::HEAD {
            *page.body_mut() = axum::body::Body::empty();
        }
        response = page;
    }
    with_headers(response, PAGE_POLICY, secure)
}

fn with_headers(mut response: Response, policy: HeaderValue, secure: bool) -> Response {
    let headers = response.headers_mut();
    if secure {
        headers
            .entry(header::STRICT_TRANSPORT_SECURITY)
            .or_insert(ONE_YEAR_TLS);
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ] {
        headers.entry(name).or_insert(value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_name_it_is() {
        for own in [
            "localhost",
            "localhost:8080",
            "LOCALHOST:1",
            "127.0.0.1",
            "127.0.0.1:8080",
            "10.1.2.3:80",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(is_own(Some(own)), "{own}");
        }
        for foreign in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "evil-localhost",
            "",
            "[::1",
            "::1",
            "a b",
        ] {
            assert!(!is_own(Some(foreign)), "{foreign}");
        }
        assert!(!is_own(None));
    }
}
