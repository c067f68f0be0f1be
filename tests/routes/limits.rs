//! Too large, too much, too slow, and broken: each has its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use sumsq::http::{HttpLimits, Probes, ReportState, StoreSlot, probes, router};
use sumsq::metrics::Metrics;
use tower::ServiceExt;

use crate::fixture::{Site, now, request};

#[tokio::test]
async fn addresses_and_bodies_have_an_end() {
    let site = Site::filled().await;
    let long = format!("/api/v1/agents?search={}", "x".repeat(9000));
    assert_eq!(
        site.get(&long).await.problem(),
        "414 [-] addresses have at most 8192 bytes"
    );
    let body = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/namespaces/growth/data-sources/signups/fetch")
        .header("content-length", "1000000")
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        site.ask(body).await.problem(),
        "413 [-] bodies have at most 16384 bytes"
    );
}

#[tokio::test]
async fn beyond_the_limit_requests_are_turned_away() {
    let site = Site::filled().await.with_limits(HttpLimits {
        requests_in_flight: 0,
        ..HttpLimits::default()
    });
    let answer = site.get("/api/v1/agents").await;
    assert_eq!(
        answer.problem(),
        "503 [-] too many requests at once; try again in a moment"
    );
    assert_eq!(answer.header("retry-after"), Some("2"));
    let metrics = site.metrics.encode().unwrap();
    let counted =
        r#"sumsq_http_requests_total{method="GET",route="/api/v1/agents",status="503"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn beyond_their_limit_downloads_are_turned_away() {
    let site = Site::filled().await.with_limits(HttpLimits {
        downloads_in_flight: 1,
        ..HttpLimits::default()
    });
    let counts = "/api/v1/namespaces/growth/data-sources/signups/counts.csv";
    let first = site.router().oneshot(request(Method::GET, counts)).await;
    let first = first.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    // A body that nobody reads keeps its place only until it is dropped.
    let body = axum::body::to_bytes(first.into_body(), usize::MAX).await;
    assert!(body.unwrap().starts_with(b"Date,"));
    crate::support::process::wait_for("a free place", Duration::from_secs(10), async || {
        (site.get(counts).await.status == StatusCode::OK).then_some(())
    })
    .await;

    let site = site.with_limits(HttpLimits {
        downloads_in_flight: 0,
        ..HttpLimits::default()
    });
    assert_eq!(
        site.get(counts).await.problem(),
        "503 [-] too many downloads at once; try again in a moment"
    );
}

#[tokio::test]
async fn what_takes_too_long_is_given_up() {
    let site = Site::filled().await.with_limits(HttpLimits {
        answer_within: Duration::ZERO,
        ..HttpLimits::default()
    });
    assert_eq!(
        site.get("/api/v1/agents").await.problem(),
        "504 [-] the store or the report took too long; try again in a moment"
    );
}

#[tokio::test]
async fn before_the_store_is_there() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let slot = StoreSlot::default();
    let state = ReportState::new(slot.clone(), metrics, Arc::new(now));
    let ask = async |address: &str| {
        let response = router(state.clone()).oneshot(request(Method::GET, address));
        response.await.unwrap().status()
    };
    assert_eq!(ask("/api/v1/agents").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask("/api/openapi.json").await, StatusCode::OK);
    let site = Site::filled().await;
    slot.fill(site.store.clone());
    assert_eq!(ask("/api/v1/agents").await, StatusCode::OK);
}

#[tokio::test]
async fn a_store_that_fails_tells_only_the_log() {
    let site = Site::filled().await;
    sumsq::store::Store::close(&*site.store).await;
    for address in [
        "/api/v1/agents",
        "/api/v1/data-sources",
        "/api/v1/namespaces/growth/agents/agent-1/activity",
        "/api/v1/namespaces/growth/data-sources/signups/counts.csv",
    ] {
        let answer = site.get(address).await;
        assert_eq!(
            answer.problem(),
            "503 [-] the store does not answer; try again in a moment"
        );
        assert_eq!(answer.header("retry-after"), Some("2"));
    }
}

#[tokio::test]
async fn only_a_store_that_was_replaced_is_a_reason_to_start_anew() {
    let site = Site::filled().await;
    let probes = probes(Probes {
        metrics: Arc::clone(&site.metrics),
        store: StoreSlot::holding(site.store.clone()),
        readiness: Arc::new(|| None),
    });
    let life = async || {
        let response = probes.clone().oneshot(request(Method::GET, "/healthz"));
        response.await.unwrap().status()
    };
    assert_eq!(life().await, StatusCode::OK);
    site.replace_store_file();
    assert_eq!(life().await, StatusCode::SERVICE_UNAVAILABLE);
    // A store that fails otherwise fails after a restart, too.
    let site = Site::filled().await;
    sumsq::store::Store::close(&*site.store).await;
    let probes = sumsq::http::probes(Probes {
        metrics: Arc::clone(&site.metrics),
        store: StoreSlot::holding(site.store.clone()),
        readiness: Arc::new(|| None),
    });
    let asking = |address| probes.clone().oneshot(request(Method::GET, address));
    assert_eq!(asking("/healthz").await.unwrap().status(), StatusCode::OK);
    let ready = asking("/readyz").await.unwrap().status();
    assert_eq!(ready, StatusCode::SERVICE_UNAVAILABLE);
}
