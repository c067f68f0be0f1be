//! Testing and Activity reports, as JSON and as CSV: the same view, so they can't disagree.

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::parameters::{ActivityParameters, TestingParameters};
use crate::domain::report::view::{ActivityReport, GoalsReport, GroupBy, TestingReport};
use crate::domain::report::{
    self, ActivityQuery, QueryError, SourceData, Tally, TestingQuery, csv,
};
use crate::http::parameters::{AgentOfPath, Pairs};
use crate::http::problem::Problem;
use crate::http::state::ReportState;

/// How a view is written down.
struct Form<R> {
    /// Names the view among others of the same data; the end of a download's name.
    name: &'static str,
    content_type: &'static str,
    write: Write<R>,
}

enum Write<R> {
    Json(fn(&R) -> serde_json::Result<Vec<u8>>),
    Csv(fn(&R) -> String),
}

impl<R> Form<R> {
    fn json(name: &'static str) -> Self
    where
        R: Serialize,
    {
        Self {
            name,
            content_type: "application/json",
            write: Write::Json(serde_json::to_vec),
        }
    }

    fn csv(name: &'static str, write: fn(&R) -> String) -> Self {
        Self {
            name,
            content_type: "text/csv; charset=utf-8; header=present",
            write: Write::Csv(write),
        }
    }

    fn write(&self, report: &R) -> Result<Vec<u8>, Problem> {
        match self.write {
            Write::Json(write) => {
                write(report).map_err(|error| Problem::internal("cannot write JSON", &error))
            }
            Write::Csv(write) => Ok(write(report).into_bytes()),
        }
    }
}

/// Who asks for what.
pub(super) struct Asked {
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
        make: impl FnOnce(&Tally, &[SourceData], Timestamp) -> Result<R, QueryError> + Send + 'static,
    ) -> Result<Response, Problem> {
        let state = &self.state;
        let loaded = state
            .agent(&self.namespace, &self.code, data_source)
            .await?;
        let etag = loaded.etag(form.name, self.pairs.all(), state);
        if etag.is_held(&self.headers) {
            return Ok(etag.not_modified());
        }
        let (name, content_type) = (form.name, form.content_type);
        let is_download = matches!(form.write, Write::Csv(_));
        let body = if let Some(body) = state.answers.get(etag.as_str()) {
            body
        } else {
            let others = if with_others {
                state.others(&loaded).await?
            } else {
                Vec::new()
            };
            let (tally, now) = (loaded.tally, state.now());
            let report = move || form.write(&make(&tally, &others, now)?);
            let body = Bytes::from(state.compute(report).await?);
            let key = etag.as_str().to_owned();
            state.answers.put(key, body.clone(), body.len());
            body
        };
        let mut response = etag.with(content_type, body);
        if is_download {
            attach(&mut response, &self.code, name);
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

impl FromRequestParts<ReportState> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ReportState) -> Result<Self, Problem> {
        let AgentOfPath { namespace, code } = AgentOfPath::from_request_parts(parts, state).await?;
        Ok(Self {
            state: state.clone(),
            namespace,
            code,
            pairs: Pairs::from_request_parts(parts, state).await?,
            headers: parts.headers.clone(),
        })
    }
}

/// Testing Report
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/agents/{code}/testing",
    tag = "reports",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("code" = String, Path, description = "The agent's code, percent-encoded; `.` and `..` after `%1F`"),
        TestingParameters,
    ),
    responses((status = 200, body = TestingReport)))]
pub(super) async fn testing(asked: Asked) -> Result<Response, Problem> {
    of_testing(asked, Form::json("testing"), report::testing).await
}

/// Testing Report as CSV
///
/// One row per comparison, with the JSON's names in the same order, numbers unrounded.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/agents/{code}/testing.csv",
    tag = "reports",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("code" = String, Path, description = "The agent's code, percent-encoded; `.` and `..` after `%1F`"),
        TestingParameters,
    ),
    responses((status = 200, body = String, content_type = "text/csv")))]
pub(super) async fn testing_csv(asked: Asked) -> Result<Response, Problem> {
    let form = Form::csv("testing.csv", csv::testing_csv);
    of_testing(asked, form, report::testing).await
}

/// All goals of an agent side by side
///
/// A row per goal, metric and comparison; `goal` and `metric` of the query choose nothing here.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/agents/{code}/goals",
    tag = "reports",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("code" = String, Path, description = "The agent's code, percent-encoded; `.` and `..` after `%1F`"),
        TestingParameters,
    ),
    responses((status = 200, body = GoalsReport)))]
pub(super) async fn goals(asked: Asked) -> Result<Response, Problem> {
    of_testing(asked, Form::json("goals"), report::goals).await
}

/// All goals of an agent side by side, as CSV
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/agents/{code}/goals.csv",
    tag = "reports",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("code" = String, Path, description = "The agent's code, percent-encoded; `.` and `..` after `%1F`"),
        TestingParameters,
    ),
    responses((status = 200, body = String, content_type = "text/csv")))]
pub(super) async fn goals_csv(asked: Asked) -> Result<Response, Problem> {
    let form = Form::csv("goals.csv", csv::goals_csv);
    of_testing(asked, form, report::goals).await
}

/// Activity Report
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/agents/{code}/activity",
    tag = "reports",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("code" = String, Path, description = "The agent's code, percent-encoded; `.` and `..` after `%1F`"),
        ActivityParameters,
    ),
    responses((status = 200, body = ActivityReport)))]
pub(super) async fn activity(asked: Asked) -> Result<Response, Problem> {
    of_activity(asked, Form::json("activity")).await
}

/// Activity Report as CSV
///
/// One row per row and group of the JSON, with the same names in the same order.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/agents/{code}/activity.csv",
    tag = "reports",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("code" = String, Path, description = "The agent's code, percent-encoded; `.` and `..` after `%1F`"),
        ActivityParameters,
    ),
    responses((status = 200, body = String, content_type = "text/csv")))]
pub(super) async fn activity_csv(asked: Asked) -> Result<Response, Problem> {
    of_activity(asked, Form::csv("activity.csv", csv::activity_csv)).await
}

async fn of_testing<R: 'static>(
    asked: Asked,
    form: Form<R>,
    make: fn(&Tally, &TestingQuery, Timestamp) -> Result<R, QueryError>,
) -> Result<Response, Problem> {
    let query = TestingQuery::parse(asked.pairs.iter())?;
    let data_source = query.data_source.clone();
    let make = move |tally: &Tally, _: &[SourceData], now| make(tally, &query, now);
    asked
        .answer(form, data_source.as_deref(), false, make)
        .await
}

async fn of_activity(asked: Asked, form: Form<ActivityReport>) -> Result<Response, Problem> {
    let query = ActivityQuery::parse(asked.pairs.iter())?;
    let data_source = query.data_source.clone();
    let with_others = query.group_by == Some(GroupBy::DataSource);
    let make = move |tally: &Tally, others: &[SourceData], now| {
        report::activity(tally.data(), others, &query, now)
    };
    asked
        .answer(form, data_source.as_deref(), with_others, make)
        .await
}
