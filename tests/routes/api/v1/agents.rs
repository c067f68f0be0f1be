//! `/api/v1/agents`

use crate::fixture::{ODD_AGENT, Site};

#[tokio::test]
async fn all_with_their_data_sources() {
    let site = Site::filled().await;
    insta::assert_json_snapshot!(site.json("/api/v1/agents").await, @r#"
    {
      "agents": [
        {
          "code": "a/b c?d%2Fé‑x",
          "dataSources": [
            "internal-conversions"
          ],
          "days": 3,
          "displayName": null,
          "firstDay": "2024-03-18",
          "health": "Ok",
          "lastDay": "2024-03-20",
          "namespace": "growth"
        },
        {
          "code": "agent-1",
          "dataSources": [
            "internal-conversions",
            "signups"
          ],
          "days": 3,
          "displayName": "Checkout button",
          "firstDay": "2024-03-18",
          "health": "Ok",
          "lastDay": "2024-03-20",
          "namespace": "growth"
        },
        {
          "code": "only-here",
          "dataSources": [
            "signups"
          ],
          "days": 1,
          "displayName": null,
          "firstDay": "2024-03-17",
          "health": "Failing",
          "lastDay": "2024-03-17",
          "namespace": "growth"
        },
        {
          "code": "agent-1",
          "dataSources": [
            "internal-conversions"
          ],
          "days": 1,
          "displayName": null,
          "firstDay": "2024-03-18",
          "health": "Ok",
          "lastDay": "2024-03-18",
          "namespace": "ops"
        }
      ]
    }
    "#);
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
