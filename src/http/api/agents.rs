//! Agents, and their reports.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::access::{Action, Caller};
use crate::http::conditional;
use crate::http::lists::AgentView;
use crate::http::parameters::Pairs;
use crate::http::problem::Problem;
use crate::http::state::ReportState;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgentList {
    /// By namespace and code.
    agents: Vec<AgentView>,
}

/// All agents that the caller may see
#[utoipa::path(get, path = "/api/v1/agents", tag = "data",
    params(
        ("namespace" = Option<String>, Query, description = "Of this namespace only"),
        ("dataSource" = Option<String>, Query, description = "Held by data sources of this name"),
        ("search" = Option<String>, Query, description = "Whose code or display name holds this"),
    ),
    responses((status = 200, body = AgentList)))]
pub(super) async fn list(
    State(state): State<ReportState>,
    caller: Caller,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [namespace, data_source, search] = pairs.only(["namespace", "dataSource", "search"])?;
    let scope = state.scope(&caller, Action::ReadAgents, namespace).await?;
    let mut agents = state.agents(&scope).await?;
    agents.retain(|agent| {
        namespace.is_none_or(|namespace| agent.namespace == namespace)
            && data_source.is_none_or(|name| agent.data_sources.iter().any(|held| held == name))
            && search.is_none_or(|search| agent.matches(search))
    });
    conditional::json(&headers, &AgentList { agents })
}
