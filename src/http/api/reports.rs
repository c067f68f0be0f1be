//! Testing and Activity reports, as JSON and as CSV: the same view, so they can't disagree.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::parameters::ActivityParameters;

use crate::domain::report::csv;
use crate::domain::report::query::{ActivityQuery, QueryError};
use crate::domain::report::view::{ActivityReport, GroupBy};
use crate::domain::report::{self, AgentData, SourceData};
use crate::http::parameters::{Names, Pairs};
use crate::http::problem::Problem;
use crate::http::state::ReportState;

const JSON: &str = "application/json";
const CSV: &str = "text/csv; charset=utf-8; header=present";

/// How a view is written down.
struct Form<R> {
    /// Names the view among others of the same data; the end of a download's name.
    name: &'static str,
    content_type: &'static str,
    write: fn(&R) -> Result<Vec<u8>, Problem>,
}

impl<R: Serialize> Form<R> {
    const fn json(name: &'static str) -> Self {
        Self {
            name,
            content_type: JSON,
            write: |report| {
                serde_json::to_vec(report)
                    .map_err(|error| Problem::internal("cannot write JSON", &error))
            },
        }
    }
}

impl<R> Form<R> {
    const fn csv(name: &'static str, write: fn(&R) -> Result<Vec<u8>, Problem>) -> Self {
        Self {
            name,
            content_type: CSV,
            write,
        }
    }
}

/// Who asks for what.
struct Asked {
    state: ReportState,
    namespace: String,
    code: String,
    pairs: Pairs,
    headers: HeaderMap,
}

impl Asked {
    /// Loads, and answers 304, or makes the report where it holds up nobody and writes it down.
    async fn answer<R: 'static>(
        self,
        form: Form<R>,
        data_source: Option<&str>,
        with_others: bool,
        make: impl FnOnce(&AgentData, &[SourceData], Timestamp) -> Result<R, QueryError>
        + Send
        + 'static,
    ) -> Result<Response, Problem> {
        let state = &self.state;
        let loaded = state
            .agent(&self.namespace, &self.code, data_source)
            .await?;
        let etag = loaded.etag(form.name, self.pairs.all(), state);
        if etag.is_held(&self.headers) {
            return Ok(etag.not_modified());
        }
        let others = if with_others {
            state.others(&loaded).await?
        } else {
            Vec::new()
        };
        let (data, now) = (loaded.data, state.now());
        let body = state
            .compute(move || (form.write)(&make(&data, &others, now)?))
            .await?;
        let mut response = etag.with(form.content_type, body);
        if form.content_type == CSV {
            attach(&mut response, &self.code, form.name);
        }
        Ok(response)
    }
}

/// Names the file that a browser saves.
fn attach(response: &mut Response, code: &str, name: &str) {
    let encoded = utf8_percent_encode(code, NON_ALPHANUMERIC);
    let value = format!("attachment; filename=\"{name}\"; filename*=UTF-8''{encoded}-{name}");
    if let Ok(value) = HeaderValue::try_from(value) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
}

/// Activity Report
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/agents/{code}/activity",
    tag = "reports",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("code" = String, Path, description = "The agent's code, percent-encoded"),
        ActivityParameters,
    ),
    responses((status = 200, body = ActivityReport)))]
pub(super) async fn activity(
    State(state): State<ReportState>,
    Names((namespace, code)): Names<(String, String)>,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked {
        state,
        namespace,
        code,
        pairs,
        headers,
    };
    of_activity(asked, Form::json("activity")).await
}

/// Activity Report as CSV
///
/// One row per row and group of the JSON, with the same names in the same order.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/agents/{code}/activity.csv",
    tag = "reports",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("code" = String, Path, description = "The agent's code, percent-encoded"),
        ActivityParameters,
    ),
    responses((status = 200, body = String, content_type = "text/csv")))]
pub(super) async fn activity_csv(
    State(state): State<ReportState>,
    Names((namespace, code)): Names<(String, String)>,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked {
        state,
        namespace,
        code,
        pairs,
        headers,
    };
    let write = |report: &ActivityReport| Ok(csv::activity_csv(report).into_bytes());
    of_activity(asked, Form::csv("activity.csv", write)).await
}

async fn of_activity(asked: Asked, form: Form<ActivityReport>) -> Result<Response, Problem> {
    let query = ActivityQuery::parse(asked.pairs.iter())?;
    let data_source = query.data_source.clone();
    let with_others = query.group_by == Some(GroupBy::DataSource);
    let make = move |data: &AgentData, others: &[SourceData], now| {
        report::activity(data, others, &query, now)
    };
    asked
        .answer(form, data_source.as_deref(), with_others, make)
        .await
}
