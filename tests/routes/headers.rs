//! Caching, compression, and what keeps browsers safe.

use std::sync::Arc;
use std::time::Duration;

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::to_bytes;
use axum::http::{Method, StatusCode};
use sumsq::domain::data_source::SourceId;
use sumsq::http::{HttpLimits, Probes, StoreSlot, router_at};
use sumsq::store::Store;
use tokio::io::AsyncReadExt;
use tower::ServiceExt;

use crate::fixture::{Answer, DOCUMENT, Site, denied, goal, request};

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
async fn data_that_were_entered_anew_are_not_the_data_that_were_deleted() {
    let site = Site::filled().await;
    let goals = [goal("g-sales", true)];
    let addresses = [
        "/api/v1/namespaces/ops/agents/agent-1/activity",
        "/api/v1/namespaces/ops/agents/agent-1/testing",
        "/api/v1/namespaces/ops/data-sources/internal-conversions/counts.csv",
        "/namespaces/ops/agents/agent-1",
    ];
    let mut before = Vec::new();
    for address in addresses {
        before.push(site.get(address).await);
    }
    let key = "ops/internal-conversions";
    let version = async || {
        let sources = site.store.sources().await.unwrap();
        let found = sources.iter().find(|row| row.key.to_string() == key);
        found.unwrap().version
    };
    let first = version().await;
    let id = SourceId::derive("ops", "internal-conversions");
    site.store.delete(id).await.unwrap();
    let source = site.source("ops", "internal-conversions", &goals).await;
    let other = DOCUMENT.replace("A,10,", "A,7654,");
    site.import(&source, &goals, &other).await;
    assert_eq!(version().await, first, "else this shows nothing");
    for (address, before) in addresses.into_iter().zip(before) {
        let etag = before.header("etag").unwrap();
        let now = site.ask_again(address, etag).await;
        assert_eq!(now.status, StatusCode::OK, "{address}");
        let told = now
            .body
            .replace([',', '\u{202f}', '\u{2009}', '\u{a0}'], "");
        assert!(told.contains("7654"), "{address}: {}", now.body);
    }
}

#[tokio::test]
async fn a_download_follows_what_the_importer_does_not_date() {
    let site = Site::filled().await;
    let counts = "/api/v1/namespaces/growth/data-sources/signups/counts.csv";
    let etag = site.get(counts).await.header("etag").unwrap().to_owned();
    let id = SourceId::derive("growth", "signups");
    let imported_at = async || {
        let sources = site.store.sources().await.unwrap();
        let row = sources.into_iter().find(|row| row.id == id).unwrap();
        row.imported_at
    };
    let imported = imported_at().await;
    let goals = [goal("g-signup", false), goal("other", false)];
    site.source("growth", "signups", &goals).await;
    assert_eq!(imported_at().await, imported);
    let again = site.ask_again(counts, &etag).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_ne!(again.header("etag"), Some(etag.as_str()));
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
    safe_page(&page);
}

/// As pages are, also where the page is a problem's.
fn safe_page(page: &Answer) {
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    assert!(page.body.starts_with("<!"), "{}", page.body);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );

    assert_eq!(
        page.header("content-security-policy"),
        Some(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
    );
}

/// Refusals come from the outer layers: they are no less safe, and no less readable.
#[tokio::test]
async fn refusals_and_accidents_are_safe_too() {
    let of = |limits: HttpLimits| async move { Site::filled().await.with_limits(limits) };
    let whole = of(HttpLimits::default()).await;
    let busy = of(HttpLimits {
        requests_in_flight: 0,
        ..HttpLimits::default()
    })
    .await;
    let slow = of(HttpLimits {
        answer_within: Duration::ZERO,
        ..HttpLimits::default()
    })
    .await;
    let mut broken = of(HttpLimits::default()).await;
    broken.state.clock = Arc::new(|| panic!("no clock"));
    let long = format!("search={}", "x".repeat(9000));
    for (site, query, status) in [
        (&whole, long.as_str(), StatusCode::URI_TOO_LONG),
        (&busy, "", StatusCode::SERVICE_UNAVAILABLE),
        (&slow, "", StatusCode::GATEWAY_TIMEOUT),
        (&broken, "", StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let page = site.get(&format!("/?{query}")).await;
        assert_eq!(page.status, status);
        safe_page(&page);
        let answer = site.get(&format!("/api/v1/agents?{query}")).await;
        assert_eq!(answer.status, status);
        answer.problem();
        assert_eq!(
            answer.header("content-security-policy"),
            Some("default-src 'none'; frame-ancestors 'none'"),
            "{status}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let busy_page = busy.get("/").await;
    assert_eq!(busy_page.header("retry-after"), Some("2"));
}

#[tokio::test]
async fn a_name_of_somebody_else_is_not_answered_on_loopback() {
    let site = Site::filled().await;
    let probes = || Probes {
        metrics: Arc::clone(&site.metrics),
        store: StoreSlot::holding(site.store.clone()),
        readiness: Arc::new(|| None),
    };
    let ask = async |listen: &str, address: &str, host: Option<&str>| {
        let router = router_at(listen.parse().unwrap(), site.state.clone(), probes());
        let mut asking = request(Method::GET, address);
        if let Some(host) = host {
            asking.headers_mut().insert("host", host.parse().unwrap());
        }
        router.oneshot(asking).await.unwrap().status()
    };
    let refused = StatusCode::MISDIRECTED_REQUEST;
    for address in ["/", "/api/v1/agents", "/metrics", "/healthz", "/no/such"] {
        let found = match address {
            "/no/such" => StatusCode::NOT_FOUND,
            _ => StatusCode::OK,
        };
        for listen in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            for own in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
                assert_eq!(
                    ask(listen, address, Some(own)).await,
                    found,
                    "{own}{address}"
                );
            }
            assert_eq!(ask(listen, address, None).await, found, "{address}");
            let foreign = Some("evil.example:8080");
            assert_eq!(ask(listen, address, foreign).await, refused, "{address}");
        }
    }
    // A target in the absolute form names a host, too.
    let absolute = "http://evil.example/api/v1/agents";
    assert_eq!(ask("::1", absolute, Some("localhost")).await, refused);
    // Where others are served as well, the name is theirs to choose; metrics are not there.
    let named = Some("reports.example");
    let everywhere = "0.0.0.0";
    assert_eq!(
        ask(everywhere, "/api/v1/agents", named).await,
        StatusCode::OK
    );
    let metrics = ask(everywhere, "/metrics", named).await;
    assert_eq!(metrics, StatusCode::NOT_FOUND);
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
