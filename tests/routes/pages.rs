//! Pages as browsers get them.

use axum::http::StatusCode;
use serde_json::Value;
use sumsq::domain::data_source::SourceKey;
use sumsq::domain::description::{Description, Stall};
use sumsq::store::Store;

use crate::fixture::{Site, denied, goal};

/// What follows `before` in the page, up to the next quote.
fn addresses<'a>(page: &'a str, before: &str) -> Vec<&'a str> {
    let found = page.split(before).skip(1);
    found.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn what_pages_load_is_kept_for_ever_and_changes_its_address() {
    let site = Site::filled().await;
    let page = site.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    let mut loaded = addresses(&page.body, "href=\"/assets/");
    loaded.extend(addresses(&page.body, "src=\"/assets/"));
    let mut kinds = Vec::new();
    for name in &loaded {
        let asset = site.get(&format!("/assets/{name}")).await;
        assert_eq!(asset.status, StatusCode::OK, "{name}");
        assert_eq!(
            asset.header("cache-control"),
            Some("public, max-age=31536000, immutable"),
            "{name}"
        );
        let hash = name.split('.').nth(1).unwrap();
        let content = blake3::hash(asset.body.as_bytes()).to_hex();
        assert_eq!(hash, &content[..hash.len()], "{name}");
        kinds.push(asset.header("content-type").unwrap().to_owned());
    }
    kinds.sort();
    let expected = [
        "image/svg+xml",
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
    ];
    assert_eq!(kinds, expected);
    let other = site.get("/assets/style.0000000000000000.css").await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    assert_eq!(other.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_denied_fetch_shows_the_statements_to_paste() {
    let site = Site::filled().await;
    let address = "/namespaces/growth/data-sources/denied";
    let goals = [goal("g-signup", false)];
    let source = site.source("growth", "denied", &goals).await;
    let before = site.get(address).await.body;
    assert!(!before.contains("Add to the"));
    let mut error = denied();
    let mut for_the_key = error.policies[0].clone();
    for_the_key.target = "key policy".into();
    for_the_key.statement = "{\n  \"Action\": \"kms:Decrypt\"\n}".into();
    error.policies.push(for_the_key);
    site.fail(&source, error).await;
    let page = site.get(address).await;
    assert_eq!(page.status, StatusCode::OK);
    for shown in [
        "<strong class=\"code\">AccessDenied</strong>",
        "is not authorized to perform: s3:GetObject",
        "Let the bucket&#39;s policy allow it.",
        "Add to the bucket policy:</p><button type=\"button\" hidden data-copy>Copy</button>",
        "aria-label=\"Statement for the bucket policy\">{&#34;Effect&#34;: &#34;Allow&#34;}</pre>",
        "Add to the key policy:</p><button type=\"button\" hidden data-copy>Copy</button>",
        ">{\n  &#34;Action&#34;: &#34;kms:Decrypt&#34;\n}</pre>",
    ] {
        assert!(page.body.contains(shown), "{shown} in {}", page.body);
    }
}

#[tokio::test]
async fn whether_data_are_fresh_is_not_told_as_an_agents_health() {
    let page = Site::filled().await.get("/").await.body;
    let (sources, agents) = page.split_once("id=\"agents-heading\"").unwrap();
    let (health, data) = (
        "<th scope=\"col\">Health</th>",
        "<th scope=\"col\">Data</th>",
    );
    assert!(sources.contains(health) && !sources.contains(data));
    assert!(agents.contains(data) && !agents.contains(health));
    assert!(agents.contains("Fresh"), "{agents}");
}

#[tokio::test]
async fn a_wrong_parameter_is_told_beside_a_way_back() {
    let site = Site::filled().await;
    let page = site
        .get("/namespaces/growth/agents/agent-1/activity?per=year")
        .await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    for shown in [
        "<span class=\"code\">per</span>: ",
        "<a href=\"/namespaces/growth/agents/agent-1\">",
    ] {
        assert!(page.body.contains(shown), "{shown} in {}", page.body);
    }
}

#[tokio::test]
async fn a_source_that_was_never_read_says_why_and_its_agents_have_their_reports() {
    let site = Site::filled().await;
    let key = SourceKey {
        namespace: "growth".into(),
        name: "internal-conversions".into(),
    };
    let id = site.store.source(&key).await.unwrap().unwrap().id;
    let stall = Stall {
        reason: "InvalidSchedule".into(),
        message: "\"every day\" is no schedule of five fields".into(),
    };
    let described = Description::of_stalled(None, &key.name, stall);
    site.store.describe(id, &described).await.unwrap();
    let page = "/namespaces/growth/data-sources/internal-conversions";
    let answer = site.get(page).await;
    assert_eq!(answer.status, StatusCode::OK);
    for said in [
        "Stalled",
        "until its spec is changed (InvalidSchedule)",
        "is no schedule of five fields.",
        "are still served",
        "None until its spec is changed.",
    ] {
        assert!(answer.body.contains(said), "{said} in {}", answer.body);
    }
    assert!(!answer.body.contains("not looked at"));
    let start = site.get("/").await.body;
    assert!(start.contains("Stalled") && start.contains("InvalidSchedule"));
    let detail = site.json(&format!("/api/v1{page}")).await;
    assert_eq!(detail["health"], "Stalled");
    assert_eq!(detail["stalled"]["reason"], "InvalidSchedule");
    for unknown in ["schedule", "timeZone", "bucket", "dating", "nextFetchTime"] {
        assert_eq!(detail[unknown], Value::Null, "{unknown}");
    }
    // With an Agent that names goals, though none of the source's is known.
    let report = "/namespaces/growth/agents/agent-1?dataSource=internal-conversions";
    assert_eq!(site.get(report).await.status, StatusCode::OK);
}

#[tokio::test]
async fn values_of_a_goal_that_has_none_are_not_drawn() {
    let site = Site::filled().await;
    for (path, parameter) in [("", "metric"), ("/activity", "measure")] {
        let page = format!("/namespaces/growth/agents/agent-1{path}?dataSource=");
        let of_signups = format!("{page}signups&goal=g-signup");
        let answer = site.get(&format!("{of_signups}&{parameter}=value")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{parameter}");
        assert_eq!(answer.header("location"), Some(&*of_signups));
        // The first goal, where none is named.
        let first = site.get(&format!("{page}signups&{parameter}=value")).await;
        let location = format!("{page}signups");
        assert_eq!(first.header("location"), Some(&*location));
        let of_sales = format!("{page}internal-conversions&goal=g-sales&{parameter}=value");
        assert_eq!(site.get(&of_sales).await.status, StatusCode::OK);
    }
}
