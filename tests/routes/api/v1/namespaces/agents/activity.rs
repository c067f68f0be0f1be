//! `.../activity` and `.../activity.csv`

use crate::fixture::Site;

const ACTIVITY: &str = "/api/v1/namespaces/growth/agents/agent-1/activity";

#[tokio::test]
async fn it_reads_like_this() {
    let site = Site::filled().await;
    let report = site
        .json(&format!(
            "{ACTIVITY}?goal=g-signup&groupBy=variation&per=week"
        ))
        .await;
    insta::assert_json_snapshot!(report, @"");
}

#[tokio::test]
async fn its_csv_has_the_same_numbers() {
    let site = Site::filled().await;
    let query = "?goal=g-sales&groupBy=variation&measure=value";
    let csv = site.get(&format!("{ACTIVITY}.csv{query}")).await;
    assert_eq!(
        csv.header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    insta::assert_snapshot!(csv.body, @"");
}

#[tokio::test]
async fn it_knows_the_other_data_sources() {
    let site = Site::filled().await;
    let report = site
        .json(&format!(
            "{ACTIVITY}?goal=g-signup&groupBy=dataSource&per=total"
        ))
        .await;
    let groups: Vec<_> = report["groups"].as_array().unwrap().iter().collect();
    assert_eq!(groups, ["internal-conversions", "signups"]);
    let older = site.json(&format!("{ACTIVITY}?dataSource=signups")).await;
    assert_eq!(older["dataSource"], "signups");
}

#[tokio::test]
async fn parameters_that_cannot_be() {
    let site = Site::filled().await;
    let mut said = Vec::new();
    for query in [
        "confidence=0.95",
        "goal=g-none",
        "per=month",
        "from=2024-3-18",
        "from=2024-03-20&to=2024-03-18",
        "policy=x",
        "traitValue=gold",
        "traitGroup=loyalty&traitValue=bronze",
        "cumulative=yes",
        "per=day&per=week",
    ] {
        let answer = site.get(&format!("{ACTIVITY}?{query}")).await;
        said.push(format!("{query}: {}", answer.problem()));
    }
    insta::assert_snapshot!(said.join("\n"), @"");
}
