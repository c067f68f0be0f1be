//! Data sources and their fetches.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::access::{Action, Caller};
use crate::http::conditional;
use crate::http::lists::{FetchView, SourceDetail, SourceView, fetch_command};
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

/// All data sources that the caller may see
#[utoipa::path(get, path = "/api/v1/data-sources", tag = "data",
    params(
        ("namespace" = Option<String>, Query, description = "Of this namespace only"),
        ("search" = Option<String>, Query, description = "Whose name or display name holds this"),
    ),
    responses((status = 200, body = SourceList)))]
pub(super) async fn list(
    State(state): State<ReportState>,
    caller: Caller,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [namespace, search] = pairs.only(["namespace", "search"])?;
    let scope = state.scope(&caller, Action::ReadSources, namespace).await?;
    let mut data_sources = state.data_sources(&scope).await?;
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
    caller: Caller,
    Names((namespace, name)): Names<(String, String)>,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    pairs.only([])?;
    let detail = state.data_source(&caller, &namespace, &name).await?;
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

/// What was asked for, and where to see what comes of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FetchRequested {
    /// Of the fetches: the newest one, asked for by hand, is this one.
    watch: String,
    /// What `status.lastHandledFetchRequest` of the DataSource says when it is done; null where no
    /// cluster has it.
    request: Option<String>,
}

/// Fetch now
///
/// Allowed by `patch datasources` (sumsq.dev) in the namespace. With a token the DataSource is
/// annotated in the caller's own name. A browser's session, or a proxy's, has to repeat the word of its
/// page's form in `X-Sumsq-Form`. Where this server cannot ask for it, the answer is 409, and
/// its `command` does it.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/data-sources/{name}/fetch",
    tag = "data",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("name" = String, Path, description = "Name of the DataSource"),
    ),
    responses(
        (status = 202, description = "It will be fetched, now or after the fetch under way",
            body = FetchRequested),
        (status = 403, description = "Not allowed, or asked from another site", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "Not by this server", body = Problem,
            content_type = "application/problem+json"),
    ))]
pub(super) async fn fetch_now(
    State(state): State<ReportState>,
    caller: Caller,
    Names((namespace, name)): Names<(String, String)>,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<FetchRequested>), Problem> {
    pairs.only([])?;
    state.meant(&caller, &headers, None)?;
    let request = state.request_fetch(&caller, &namespace, &name).await?;
    let watch = format!("/api/v1/namespaces/{namespace}/data-sources/{name}/fetches?limit=1");
    Ok((
        StatusCode::ACCEPTED,
        Json(FetchRequested { watch, request }),
    ))
}

impl ReportState {
    /// Asks for a fetch now, and returns the request's name in the cluster, where there is one; the
    /// handler has made sure that the reader meant it.
    ///
    /// # Errors
    /// 403 where the caller may not, 404 where there is no such data source, 409 where a command does
    /// it.
    pub(in crate::http) async fn request_fetch(
        &self,
        caller: &Caller,
        namespace: &str,
        name: &str,
    ) -> Result<Option<String>, Problem> {
        let source = self.source(namespace, name).await?;
        if let Caller::Known(known) = caller
            && let Some(request) = self.annotate(known, &source.key).await?
        {
            return Ok(Some(request));
        }
        let Some(fetch_now) = &self.fetch_now else {
            let command = fetch_command(&source.key);
            let detail = format!("this server does not fetch; run: {command}");
            return Err(Problem::new(StatusCode::CONFLICT, detail).with_command(command));
        };
        if fetch_now.fetch_now(&source.key).await {
            Ok(None)
        } else {
            let detail = format!("no manifest names {} now", source.key);
            Err(Problem::not_found(detail))
        }
    }
}
