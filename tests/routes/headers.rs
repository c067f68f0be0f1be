//! Caching, compression, and what keeps browsers safe.

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::to_bytes;
use axum::http::{Method, StatusCode};
use tokio::io::AsyncReadExt;
use tower::ServiceExt;

use crate::fixture::{DOCUMENT, Site, denied, goal, request};

const ADDRESSES: &[&str] = &[
    "/api/openapi.json",
    "/api/v1/agents",
    "/api/v1/data-sources",
    "/api/v1/namespaces/growth/agents/agent-1/activity",
    "/api/v1/namespaces/growth/agents/agent-1/activity.csv",
    "/api/v1/namespaces/growth/agents/agent-1/goals",
    "/api/v1/namespaces/growth/agents/agent-1/goals.csv",
    "/api/v1/namespaces/growth/agents/agent-1/testing",
    "/api/v1/namespaces/growth/agents/agent-1/testing.csv",
    "/api/v1/namespaces/growth/data-sources/signups",
    "/api/v1/namespaces/growth/data-sources/signups/fetches",
    "/api/v1/namespaces/growth/data-sources/signups/counts.csv",
];

#[tokio::test]
async fn who_holds_it_already_is_told_so() {
    let site = Site::filled().await;
    for address in ADDRESSES {
        let answer = site.get(address).await;
        assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.body);
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
        let etag = answer.header("etag").unwrap();
        let again = site.get(address).await;
        assert_eq!(again.header("etag"), Some(etag), "{address}");
        for held in [etag.to_owned(), format!("\"x\", {etag}"), "*".to_owned()] {
            let unchanged = site.ask_again(address, &held).await;
            assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED, "{address}");
            assert_eq!(unchanged.body, "");
            assert_eq!(unchanged.header("etag"), Some(etag));
        }
        let other = site.ask_again(address, "W/\"another\"").await;
        assert_eq!(other.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_tag_changes_with_what_it_stands_for() {
    let site = Site::filled().await;
    let activity = "/api/v1/namespaces/ops/agents/agent-1/activity";
    let mut tags = vec![site.get(activity).await.header("etag").unwrap().to_owned()];
    let mut changed = async |what: &str| {
        let tag = site.get(activity).await.header("etag").unwrap().to_owned();
        assert!(!tags.contains(&tag), "{what}");
        tags.push(tag);
    };
    let goals = [goal("g-sales", true)];
    let source = site.source("ops", "internal-conversions", &goals).await;
    site.import(&source, &goals, &DOCUMENT.replace("B,9", "B,8"))
        .await;
    changed("other data").await;
    site.fail(&source, denied()).await;
    changed("the newest fetch failed").await;
    let renamed = [sumsq::domain::data_source::Goal {
        display_name: Some("Sales".into()),
        ..goal("g-sales", true)
    }];
    site.source("ops", "internal-conversions", &renamed).await;
    changed("another name for the goal").await;
    let other_view = site.get(&format!("{activity}?per=week")).await;
    assert!(!tags.contains(&other_view.header("etag").unwrap().to_owned()));
}

#[tokio::test]
async fn answers_are_compressed_for_who_takes_it() {
    let site = Site::filled().await;
    for address in ADDRESSES {
        let plain = site.get(address).await;
        assert_eq!(plain.header("content-encoding"), None);
        let mut asking = request(Method::GET, address);
        asking
            .headers_mut()
            .insert("accept-encoding", "gzip".parse().unwrap());
        let response = site.router().oneshot(asking).await.unwrap();
        assert_eq!(response.headers()["content-encoding"], "gzip", "{address}");
        assert_eq!(response.headers()["vary"], "accept-encoding");
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let mut text = String::new();
        GzipDecoder::new(&bytes[..])
            .read_to_string(&mut text)
            .await
            .unwrap();
        assert_eq!(text, plain.body, "{address}");
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let site = Site::filled().await;
    for address in ADDRESSES {
        let get = site.get(address).await;
        let head = site.ask(request(Method::HEAD, address)).await;
        assert_eq!(head.status, StatusCode::OK, "{address}");
        assert_eq!(head.body, "");
        for name in ["content-type", "etag", "content-security-policy"] {
            assert_eq!(head.header(name), get.header(name), "{address}");
        }
    }
}

#[tokio::test]
async fn every_answer_keeps_browsers_safe() {
    let site = Site::filled().await;
    let problems = ["/api/v1/agents?x=y", "/api/v1/nothing", "/api"];
    for address in ADDRESSES.iter().chain(&problems) {
        let answer = site.get(address).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{address}");
        assert!(policy.contains("frame-ancestors 'none'"));
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{address}");
        }
    }
    let page = site.get("/no/such/page").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_eq!(
        page.header("content-security-policy"),
        Some(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
    );
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let site = Site::filled().await;
    let put = site.ask(request(Method::PUT, "/api/v1/agents")).await;
    assert_eq!(put.problem(), "405 [-] PUT is not for this address");
    assert_eq!(put.header("allow"), Some("GET,HEAD"));
    let get = site
        .get("/api/v1/namespaces/growth/data-sources/signups/fetch")
        .await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(get.header("allow"), Some("POST"));
}
