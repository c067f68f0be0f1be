//! What stands before every route.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::{Method, StatusCode};
use futures::FutureExt;
use sumsq::http::{StoreSlot, routes};

use super::rbac::Guarded;
use crate::fixture::Site;
use crate::server::PATIENCE;
use crate::support::process::wait_for;

const READ_AGENTS: &str = "get agents/report";
const READ_SOURCES: &str = "get datasources/report";
const TESTING: &str = "/api/v1/namespaces/growth/agents/agent-1/testing";

fn path(route: &str) -> String {
    route
        .replace("{namespace}", "growth")
        .replace("{code}", "agent-1")
        .replace("{name}", "internal-conversions")
}

/// A store that would be asked would be missed.
async fn without_a_store() -> Guarded {
    let mut site = Site::empty().await;
    let (metrics, clock) = (Arc::clone(&site.metrics), site.state.clock.clone());
    site.state = sumsq::http::ReportState::new(StoreSlot::default(), metrics, clock);
    Guarded::over(site)
}

/// Whatever an answer could tell of the data, by its words or by its time: nothing is looked at first.
#[tokio::test]
async fn nothing_is_looked_at_before_who_asks() {
    let guarded = without_a_store().await;
    for (method, route) in routes() {
        if !route.contains("{namespace}") {
            continue;
        }
        let method: Method = method.parse().unwrap();
        for query in ["", "?nonsense=1", "?from=never", "?before=x"] {
            let address = format!("{}{query}", path(&route));
            let stranger = [("authorization", "Bearer stranger"), ("if-none-match", "*")];
            let answer = guarded.ask(method.clone(), &address, &stranger, "").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{address}");
            let nobody = guarded.ask(method.clone(), &address, &[], "").await;
            let expected = if address.starts_with("/api/") || method == Method::POST {
                StatusCode::UNAUTHORIZED
            } else {
                StatusCode::SEE_OTHER
            };
            assert_eq!(nobody.status, expected, "{address}");
        }
    }
}

#[tokio::test]
async fn equal_questions_are_asked_once_a_minute() {
    let guarded = Guarded::filled().await;
    guarded.rbac.allow("alice", READ_AGENTS, "growth");
    for (second, questions) in [
        (
            0,
            &["who is alice", "may alice get agents/report in growth"][..],
        ),
        (59, &[]),
        (
            60,
            &["who is alice", "may alice get agents/report in growth"],
        ),
    ] {
        guarded.at(second);
        let asking = (0..20).map(|_| guarded.get(TESTING, "alice"));
        for answer in futures::future::join_all(asking).await {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        }
        assert_eq!(guarded.rbac.asked(), questions, "{second}");
    }
    // Two tokens of one user are two tokens, and one user.
    guarded.get(TESTING, "alice.other").await;
    assert_eq!(guarded.rbac.asked(), ["who is alice.other"]);
    for second in [100, 104] {
        guarded.at(second);
        assert_eq!(guarded.get(TESTING, "forged").await.status, 401);
    }
    assert_eq!(guarded.rbac.asked(), ["who is forged"]);
    guarded.at(105);
    guarded.get(TESTING, "forged").await;
    assert_eq!(guarded.rbac.asked(), ["who is forged"]);
}

#[tokio::test]
async fn a_list_is_one_question_for_who_may_everywhere() {
    let guarded = Guarded::filled().await;
    guarded.rbac.allow("everywhere", READ_AGENTS, "*");
    guarded.rbac.allow("alice", READ_AGENTS, "ops");
    let list = async |token, query| {
        let address = format!("/api/v1/agents{query}");
        let list = guarded.get(&address, token).await.json();
        let agents = list["agents"].as_array().unwrap().clone();
        let mut seen: Vec<String> = agents
            .iter()
            .map(|agent| agent["namespace"].as_str().unwrap().to_owned())
            .collect();
        seen.dedup();
        (seen, guarded.rbac.asked())
    };
    let (seen, asked) = list("everywhere", "").await;
    assert_eq!(seen, ["growth", "ops"]);
    assert_eq!(
        asked,
        ["who is everywhere", "may everywhere get agents/report in *"]
    );
    let (seen, asked) = list("alice", "?namespace=growth").await;
    assert!(seen.is_empty());
    let question = |namespace| format!("may alice get agents/report in {namespace}");
    assert_eq!(
        asked,
        ["who is alice".to_owned(), question("*"), question("growth")]
    );
    let (seen, asked) = list("alice", "").await;
    assert_eq!(
        (seen, asked),
        (vec!["ops".to_owned()], vec![question("ops")])
    );
}

/// Who names a namespace is told nothing by what is done to answer: neither a question more nor the
/// store's time.
#[tokio::test]
async fn a_forbidden_namespace_costs_what_one_costs_that_is_not_there() {
    for guarded in [Guarded::filled().await, without_a_store().await] {
        for (list, body) in [
            ("agents", r#"{"agents":[]}"#),
            ("data-sources", r#"{"dataSources":[]}"#),
        ] {
            let mut done = Vec::new();
            for namespace in ["growth", "absent"] {
                // Nothing is known of this one yet.
                let stranger = format!("{list}-{namespace}");
                let address = format!("/api/v1/{list}?namespace={namespace}");
                let answer = guarded.get(&address, &stranger).await;
                assert_eq!(
                    (answer.status, answer.body.as_str()),
                    (StatusCode::OK, body)
                );
                let asked = guarded.rbac.asked();
                assert_eq!(asked.len(), 3, "{asked:?}");
                done.push(asked.join(", ").replace(namespace, "NAMESPACE"));
            }
            assert_eq!(done[0], done[1]);
            // What cannot be a name is nothing to ask about.
            let address = format!("/api/v1/{list}?namespace=A%2Fb");
            let answer = guarded.get(&address, &format!("{list}-odd")).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (StatusCode::OK, body)
            );
            assert_eq!(guarded.rbac.asked().len(), 2);
        }
    }
    // It would be missed.
    let guarded = without_a_store().await;
    guarded.rbac.allow("alice", READ_AGENTS, "growth");
    let answer = guarded
        .get("/api/v1/agents?namespace=growth", "alice")
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_flood_of_forged_tokens_holds_up_nobody_who_is_known() {
    let guarded = Guarded::filled().await;
    guarded.rbac.allow("alice", READ_AGENTS, "growth");
    assert_eq!(guarded.get(TESTING, "alice").await.status, 200);
    let slow = guarded.rbac.slow.write().await;
    for number in 0..256 {
        // The client goes away at once, and its question stays.
        let token = format!("slow-{number}");
        let asked = guarded.get(TESTING, &token).now_or_never();
        assert!(asked.is_none(), "{number}");
    }
    let one_more = guarded.get(TESTING, "bob").now_or_never();
    let one_more = one_more.expect("an answer at once");
    assert_eq!(
        one_more.problem(),
        "503 [-] too many others ask at once who they are and what they may; try again in a moment"
    );
    assert_eq!(one_more.header("retry-after"), Some("2"));
    // Rights that alice was never asked about, and all that is known of her once it is over.
    let elsewhere = TESTING.replace("growth", "ops");
    assert_eq!(guarded.get(&elsewhere, "alice").await.status, 403);
    guarded.at(60);
    assert_eq!(guarded.get(TESTING, "alice").await.status, 200);
    drop(slow);
    wait_for("the end of the flood", PATIENCE, async || {
        (guarded.get(TESTING, "bob").await.status == 403).then_some(())
    })
    .await;
}

/// What was made for one reader is kept, and goes to nobody who may not read it.
#[tokio::test]
async fn a_tag_or_a_kept_answer_opens_nothing() {
    let guarded = Guarded::filled().await;
    guarded.rbac.allow("alice", READ_AGENTS, "growth");
    guarded.rbac.allow("alice", READ_SOURCES, "growth");
    for (method, route) in routes() {
        if method != "GET" || !route.contains("{namespace}") {
            continue;
        }
        let address = path(&route);
        let answer = guarded.get(&address, "alice").await;
        assert!(
            matches!(answer.status, StatusCode::OK | StatusCode::SEE_OTHER),
            "{address} {}",
            answer.body
        );
        let cache = answer.header("cache-control").unwrap_or("private");
        assert!(cache.starts_with("private"), "{address} {cache}");
        let etag = answer.header("etag").unwrap_or("*").to_owned();
        for (token, status) in [("bob", 403), ("forged", 401)] {
            for tag in [etag.as_str(), "*", "W/\"x\""] {
                let bearer = format!("Bearer {token}");
                let sent = [("authorization", bearer.as_str()), ("if-none-match", tag)];
                let refused = guarded.ask(Method::GET, &address, &sent, "").await;
                let is_page = !address.starts_with("/api/");
                let expected = if is_page && status == 401 {
                    303
                } else {
                    status
                };
                assert_eq!(refused.status, expected, "{address}");
                assert_eq!(refused.header("etag"), None);
                let vary: Vec<_> = refused.headers.get_all("vary").iter().collect();
                assert_eq!(vary[..2], ["authorization", "cookie"], "{address}");
                assert_eq!(
                    refused.header("cache-control"),
                    Some("no-store"),
                    "{address}"
                );
            }
        }
        // A page says nothing of whom it was made for: it is kept for the next one.
        assert!(!answer.body.contains("alice"), "{address}");
    }
}

#[tokio::test]
async fn without_an_answer_it_is_nobodys_fault() {
    let guarded = Guarded::filled().await;
    guarded.rbac.down.store(true, Ordering::SeqCst);
    let answer = guarded.get(TESTING, "alice").await;
    assert_eq!(
        answer.problem(),
        "503 [-] the Kubernetes API server, which says who may read, does not answer; try again in a \
         moment"
    );
    assert_eq!(answer.header("retry-after"), Some("2"));
    let page = guarded
        .get("/namespaces/growth/agents/agent-1", "alice")
        .await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        page.body.contains("which says who may read"),
        "{}",
        page.body
    );
    // What failed is not kept.
    guarded.rbac.down.store(false, Ordering::SeqCst);
    assert_eq!(guarded.get(TESTING, "alice").await.status, 403);
}

#[tokio::test]
async fn what_is_no_token_asks_nobody() {
    let guarded = Guarded::filled().await;
    let long = format!("Bearer {}", "a".repeat(17_000));
    for header in [
        "alice",
        "Basic YWxpY2U6",
        "Bearer",
        "Bearer a b",
        "Bearer \u{7f}",
        &long,
    ] {
        if let Ok(value) = axum::http::HeaderValue::from_str(header) {
            let sent = [("authorization", value.to_str().unwrap())];
            let answer = guarded.ask(Method::GET, TESTING, &sent, "").await;
            assert_eq!(answer.status, 401);
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Bearer realm=\"sumsq\"")
            );
        }
    }
    // Nobody is a proxy here.
    let named = [
        ("x-forwarded-user", "alice"),
        ("x-forwarded-groups", "system:masters"),
    ];
    assert_eq!(
        guarded.ask(Method::GET, TESTING, &named, "").await.status,
        401
    );
    let twice = [
        ("authorization", "Bearer alice"),
        ("authorization", "Bearer bob"),
    ];
    assert_eq!(
        guarded.ask(Method::GET, TESTING, &twice, "").await.status,
        401
    );
    assert_eq!(guarded.rbac.asked(), Vec::<String>::new());
    // Names that cannot be are asked nobody about either.
    for namespace in ["..", "a%2Fb", "%00", "A", "a%27%3Brm"] {
        let address = format!("/api/v1/namespaces/{namespace}/agents/x/testing");
        assert_eq!(
            guarded.get(&address, "alice").await.status,
            404,
            "{address}"
        );
    }
    assert_eq!(guarded.rbac.asked(), ["who is alice"]);
}

#[tokio::test]
async fn probes_stay_where_they_are_asked() {
    let guarded = Guarded::filled().await;
    let probes = sumsq::http::Probes {
        metrics: Arc::clone(&guarded.site.metrics),
        store: StoreSlot::holding(guarded.site.store.clone()),
        readiness: Arc::new(|| None),
    };
    let loopback = "127.0.0.1".parse().unwrap();
    let router = sumsq::http::router_at(loopback, guarded.site.state.clone(), probes);
    // A proxy in the same Pod has a name of its own.
    for (address, status) in [("/metrics", 404), ("/sign-in", 200)] {
        let mut request = crate::fixture::request(Method::GET, address);
        let host = "reports.example".parse().unwrap();
        request.headers_mut().insert("host", host);
        let answer = tower::ServiceExt::oneshot(router.clone(), request).await;
        assert_eq!(answer.unwrap().status(), status, "{address}");
    }
}
