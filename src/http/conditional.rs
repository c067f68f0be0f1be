//! ETag and If-None-Match: a dashboard that polls gets 304 while nothing has changed.
//!
//! Tags are weak: the same view compressed is the same view.

use std::sync::OnceLock;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::Problem;
use crate::VERSION;

/// What names one state of one view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Etag(String);

impl Etag {
    /// Of everything that the view depends on; the program is one of them.
    pub(super) fn of(depends_on: &impl Serialize) -> Self {
        Self::by(build(), depends_on)
    }

    fn by(build: &str, depends_on: &impl Serialize) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(build.as_bytes());
        // Lengths are part of JSON's shape: no two lists of parts read the same.
        hasher.update(&serde_json::to_vec(depends_on).unwrap_or_default());
        Self(format!("W/\"{}\"", &hasher.finalize().to_hex()[..32]))
    }

    /// Whether the client holds this very state.
    pub(super) fn is_held(&self, request: &HeaderMap) -> bool {
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let own = opaque(&self.0);
        request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|tag| tag.trim() == "*" || opaque(tag) == own)
    }

    /// To be asked again each time, by this one reader.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        if let Ok(tag) = HeaderValue::from_str(&self.0) {
            headers.insert(header::ETAG, tag);
        }
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        );
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn not_modified(&self) -> Response {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        self.put(response.headers_mut());
        response
    }

    pub(super) fn with(&self, content_type: &'static str, body: impl Into<Body>) -> Response {
        let mut response = Response::new(body.into());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.put(headers);
        response
    }
}

/// Names the program that answers: two builds of one version may show the same data differently.
fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| {
        let file = std::env::current_exe().and_then(std::fs::metadata).ok();
        let written = file.as_ref().and_then(|file| file.modified().ok());
        let bytes = file.as_ref().map(std::fs::Metadata::len);
        format!("{VERSION} {bytes:?} {written:?}")
    })
}

/// A small answer, tagged by what it says.
pub(super) fn json(request: &HeaderMap, value: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value)
        .map_err(|error| Problem::internal("cannot write JSON", &error))?;
    let etag = Etag::of(&blake3::hash(&body).to_hex().as_str());
    Ok(if etag.is_held(request) {
        etag.not_modified()
    } else {
        etag.with("application/json", body)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_build_of_the_same_version_tags_otherwise() {
        let here = Etag::of(&"view");
        assert_eq!(here, Etag::by(build(), &"view"));
        assert_ne!(here, Etag::by(VERSION, &"view"));
        assert_ne!(Etag::by("0.1.0 a", &"view"), Etag::by("0.1.0 b", &"view"));
        // What tells builds apart is known here: the length and the time of the file that runs.
        assert!(build().contains("Some(SystemTime"), "{}", build());
    }
}
