//! [`Problem`]: every answer that is not what was asked for, as RFC 9457 has it. Clients read the
//! safe sentence; the cause is in the log.

use std::error::Error;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::domain::report::query::QueryError;
use crate::store::StoreError;

/// When to ask again after a 503.
const RETRY_AFTER_SECONDS: u32 = 2;

/// An answer of `application/problem+json`. It also travels in the response's extensions, so that
/// pages can show it in their own clothes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "about:blank", "title": "Bad Request", "status": 400, "parameter": "confidence",
    "detail": "confidence: a number from 0.5 to 0.9999, such as 0.95",
}))]
pub struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: &'static str,
    /// The status in words.
    #[schema(value_type = String)]
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = u16, minimum = 400, maximum = 599)]
    status: StatusCode,
    /// What is wrong, in a sentence for people.
    detail: String,
    /// The parameter that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// What somebody who may would run to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
}

impl Problem {
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: detail.into(),
            parameter: None,
            command: None,
        }
    }

    /// 404. `what` names what there is none of.
    #[must_use]
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    /// 400. `takes` says what the parameter takes.
    #[must_use]
    pub fn parameter(name: &str, takes: &str) -> Self {
        Self {
            parameter: Some(name.to_owned()),
            ..Self::new(StatusCode::BAD_REQUEST, format!("{name}: {takes}"))
        }
    }

    /// 500, with its cause in the log alone.
    #[must_use]
    pub fn internal(doing: &str, cause: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = cause, "{doing}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "something went wrong here; the server's log says what",
        )
    }

    /// 503: worth asking again soon.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// With the command that mends it.
    #[must_use]
    pub fn with_command(mut self, command: String) -> Self {
        self.command = Some(command);
        self
    }

    #[must_use]
    pub fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    #[must_use]
    pub fn title(&self) -> &'static str {
        self.title
    }

    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The parameter that it is about.
    #[must_use]
    pub fn about(&self) -> Option<&str> {
        self.parameter.as_deref()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if let StoreError::Block(_) | StoreError::Damaged { .. } = error {
            return Self::internal("cannot read what the store holds", &error);
        }
        tracing::warn!(error = &error as &dyn Error, "the store does not answer");
        Self::unavailable("the store does not answer; try again in a moment")
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Self::parameter(&error.parameter, &error.message)
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands fields over so"
)]
fn as_number<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
