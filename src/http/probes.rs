//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::state::StoreSlot;
use crate::metrics::Metrics;
use crate::store::StoreError;

/// The kubelet takes a probe without an answer for a failure.
const LIFE_WITHIN: Duration = Duration::from_secs(1);

/// `None` when ready, else the sentence that says what is missing.
pub type Readiness = Arc<dyn Fn() -> Option<&'static str> + Send + Sync>;

/// What the probes look at.
#[derive(Clone)]
pub struct Probes {
    pub metrics: Arc<Metrics>,
    pub store: StoreSlot,
    pub readiness: Readiness,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes").finish_non_exhaustive()
    }
}

/// `/healthz`, `/readyz` and `/metrics`.
pub fn probes(state: Probes) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(state)
}

/// A store whose file is no longer the one at its path is the one thing that a start anew mends: the
/// kubelet restarts what says so. All other trouble would outlast a restart, or passes without.
async fn healthz(State(probes): State<Probes>) -> Response {
    if let Some(store) = probes.store.get()
        // A store that is busy is no reason for an end.
        && let Ok(Err(error @ StoreError::Replaced { .. })) =
            tokio::time::timeout(LIFE_WITHIN, store.ping()).await
    {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response();
    }
    "ok\n".into_response()
}

/// Ready is: caches synced and the store answers.
async fn readyz(State(probes): State<Probes>) -> Response {
    if let Some(missing) = (probes.readiness)() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")).into_response();
    }
    let Some(store) = probes.store.get() else {
        let missing = "the store is not open yet\n";
        return (StatusCode::SERVICE_UNAVAILABLE, missing).into_response();
    };
    match store.ping().await {
        Ok(()) => "ok\n".into_response(),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the store does not answer"
            );
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the store does not answer\n",
            )
                .into_response()
        }
    }
}

async fn metrics(State(probes): State<Probes>) -> Response {
    match probes.metrics.encode() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "metrics cannot be encoded"
            );
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "metrics cannot be encoded\n",
            )
                .into_response()
        }
    }
}
