//! `/api/v1/agents`

use crate::fixture::{ODD_AGENT, Site};

#[tokio::test]
async fn all_with_their_data_sources() {
    let site = Site::filled().await;
    insta::assert_json_snapshot!(site.json("/api/v1/agents").await, @"");
}

#[tokio::test]
async fn some() {
    let site = Site::filled().await;
    for (query, expected) in [
        ("?search=checkout", vec!["agent-1"]),
        ("?search=AGENT&namespace=ops", vec!["agent-1"]),
        ("?dataSource=signups", vec!["agent-1", "only-here"]),
        ("?namespace=growth", vec![ODD_AGENT, "agent-1", "only-here"]),
        ("?search=nothing", vec![]),
    ] {
        let list = site.json(&format!("/api/v1/agents{query}")).await;
        let codes: Vec<_> = list["agents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|agent| agent["code"].as_str().unwrap())
            .collect();
        assert_eq!(codes, expected, "{query}");
    }
}
