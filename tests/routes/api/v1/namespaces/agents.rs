//! `/api/v1/namespaces/{namespace}/agents/{code}` and the reports below it

mod activity;
mod testing;

use axum::http::StatusCode;

use crate::fixture::{ODD_AGENT, Site};

/// Every byte that is not a letter or a digit.
fn encoded(code: &str) -> String {
    percent_encoding::utf8_percent_encode(code, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn codes_hold_what_they_like() {
    let site = Site::filled().await;
    let code = encoded(ODD_AGENT);
    assert!(
        code.contains("%2F") && code.contains("%252F") && code.contains("%20"),
        "{code}"
    );
    for view in ["activity", "activity?per=total"] {
        let report = site
            .json(&format!("/api/v1/namespaces/growth/agents/{code}/{view}"))
            .await;
        assert_eq!(report["agent"], ODD_AGENT);
    }
    let csv = site
        .get(&format!(
            "/api/v1/namespaces/growth/agents/{code}/activity.csv"
        ))
        .await;
    assert_eq!(csv.status, StatusCode::OK);
    assert_eq!(
        csv.header("content-disposition"),
        Some(
            format!("attachment; filename=\"activity.csv\"; filename*=UTF-8''{code}-activity.csv")
                .as_str()
        )
    );
    // A slash that is not encoded separates, as everywhere.
    let apart = site
        .get("/api/v1/namespaces/growth/agents/a/b/activity")
        .await;
    assert_eq!(apart.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn agents_that_are_not_there() {
    let site = Site::filled().await;
    let agents = "/api/v1/namespaces/growth/agents";
    for (address, expected) in [
        (
            format!("{agents}/x/activity"),
            "404 [-] no data source in namespace \"growth\" holds an agent \"x\"",
        ),
        (
            format!("{agents}/only-here/activity?dataSource=internal-conversions"),
            "404 [-] no data source \"internal-conversions\" in namespace \"growth\" holds agent \
             \"only-here\"; these do: signups",
        ),
        (
            "/api/v1/namespaces/nowhere/agents/agent-1/activity.csv".to_owned(),
            "404 [-] no data source in namespace \"nowhere\" holds an agent \"agent-1\"",
        ),
    ] {
        assert_eq!(site.get(&address).await.problem(), expected);
    }
}
