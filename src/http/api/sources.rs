//! Data sources and their fetches.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::data_source::SourceKey;
use crate::http::conditional;
use crate::http::guard::same_site;
use crate::http::lists::{FetchView, SourceDetail, SourceView};
use crate::http::parameters::{Names, Pairs, whole};
use crate::http::problem::Problem;
use crate::http::state::ReportState;

/// Fetches of one page.
const DEFAULT_FETCHES: usize = 20;
const MOST_FETCHES: usize = 100;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceList {
    /// By namespace and name.
    data_sources: Vec<SourceView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FetchList {
    /// Newest first.
    fetches: Vec<FetchView>,
    /// `before` of the next page; null on the last one.
    next: Option<Uuid>,
}

/// All data sources
#[utoipa::path(get, path = "/api/v1/data-sources", tag = "data",
    params(
        ("namespace" = Option<String>, Query, description = "Of this namespace only"),
        ("search" = Option<String>, Query, description = "Whose name or display name holds this"),
    ),
    responses((status = 200, body = SourceList)))]
pub(super) async fn list(
    State(state): State<ReportState>,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [namespace, search] = pairs.only(["namespace", "search"])?;
    let mut data_sources = state.data_sources().await?;
    data_sources.retain(|source| {
        namespace.is_none_or(|namespace| source.namespace == namespace)
            && search.is_none_or(|search| source.matches(search))
    });
    conditional::json(&headers, &SourceList { data_sources })
}

/// One data source
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/data-sources/{name}", tag = "data",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("name" = String, Path, description = "Name of the DataSource"),
    ),
    responses((status = 200, body = SourceDetail)))]
pub(super) async fn one(
    State(state): State<ReportState>,
    Names((namespace, name)): Names<(String, String)>,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    pairs.only([])?;
    let detail = state.data_source(&namespace, &name).await?;
    conditional::json(&headers, &detail)
}

/// The fetches of a data source, newest first
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/data-sources/{name}/fetches",
    tag = "data",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("name" = String, Path, description = "Name of the DataSource"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100,
            description = "At most so many; 20 by default"),
        ("before" = Option<Uuid>, Query, description = "Fetches that began before this one: \
            `next` of the page before"),
    ),
    responses((status = 200, body = FetchList)))]
pub(super) async fn fetches(
    State(state): State<ReportState>,
    Names((namespace, name)): Names<(String, String)>,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [limit, before] = pairs.only(["limit", "before"])?;
    let limit = whole("limit", limit, DEFAULT_FETCHES, (1, MOST_FETCHES))?;
    let before = match before.map(Uuid::parse_str) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Err(Problem::parameter("before", "the id of a fetch, a UUID")),
    };
    let (fetches, more) = state.fetches(&namespace, &name, limit, before).await?;
    let next = fetches.last().filter(|_| more).map(|fetch| fetch.id);
    conditional::json(&headers, &FetchList { fetches, next })
}

/// Fetch now
///
/// Only `sumsq local` fetches for a report's reader; beside an operator this is 409, and the detail
/// is the command that does it.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/data-sources/{name}/fetch",
    tag = "data",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("name" = String, Path, description = "Name of the DataSource"),
    ),
    responses(
        (status = 202, description = "It will be fetched, now or after the fetch under way"),
        (status = 403, description = "Asked from another site", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "Not by this server", body = Problem,
            content_type = "application/problem+json"),
    ))]
pub(super) async fn fetch_now(
    State(state): State<ReportState>,
    Names((namespace, name)): Names<(String, String)>,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    pairs.only([])?;
    same_site(&headers)?;
    state.request_fetch(&namespace, &name).await?;
    Ok(StatusCode::ACCEPTED)
}

impl ReportState {
    /// Asks for a fetch now; the caller has made sure that the reader did.
    ///
    /// # Errors
    /// 404 where there is no such data source, 409 where another process fetches.
    pub async fn request_fetch(&self, namespace: &str, name: &str) -> Result<(), Problem> {
        let detail = self.data_source(namespace, name).await?;
        let key = SourceKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let Some(fetch_now) = &self.fetch_now else {
            let command = detail.fetch_now.command.unwrap_or_default();
            let detail = format!("this server does not fetch; run: {command}");
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        };
        if fetch_now.fetch_now(&key).await {
            Ok(())
        } else {
            Err(Problem::not_found(format!("no manifest names {key} now")))
        }
    }
}
