//! `/api/v1/data-sources`

use serde_json::json;

use crate::fixture::Site;

#[tokio::test]
async fn all_with_their_health() {
    let site = Site::filled().await;
    insta::assert_json_snapshot!(site.json("/api/v1/data-sources").await, @r#"
    {
      "dataSources": [
        {
          "agentCount": 2,
          "displayName": "The internal-conversions",
          "error": null,
          "failures": 0,
          "firstDay": "2024-03-18",
          "health": "Ok",
          "lastDay": "2024-03-20",
          "lastFetchTime": "2024-03-21T09:00:02Z",
          "lastSuccessTime": "2024-03-21T09:00:02Z",
          "missedFetches": 0,
          "name": "internal-conversions",
          "namespace": "growth",
          "nextFetchTime": "2024-03-22T09:01:00Z",
          "rows": 36,
          "stalled": null
        },
        {
          "agentCount": 2,
          "displayName": "The signups",
          "error": {
            "code": "AccessDenied",
            "hint": "let the bucket's policy allow it",
            "message": "User: arn:aws:iam::123456789012:role/r is not authorized to perform: s3:GetObject",
            "policies": [
              {
                "statement": "{\"Effect\": \"Allow\"}",
                "target": "bucket policy"
              }
            ]
          },
          "failures": 1,
          "firstDay": "2024-03-17",
          "health": "Failing",
          "lastDay": "2024-03-17",
          "lastFetchTime": "2024-03-21T09:00:04Z",
          "lastSuccessTime": "2024-03-21T09:00:03Z",
          "missedFetches": 0,
          "name": "signups",
          "namespace": "growth",
          "nextFetchTime": "2024-03-22T09:01:00Z",
          "rows": 3,
          "stalled": null
        },
        {
          "agentCount": 1,
          "displayName": "The internal-conversions",
          "error": null,
          "failures": 0,
          "firstDay": "2024-03-18",
          "health": "Ok",
          "lastDay": "2024-03-18",
          "lastFetchTime": "2024-03-21T09:00:05Z",
          "lastSuccessTime": "2024-03-21T09:00:05Z",
          "missedFetches": 0,
          "name": "internal-conversions",
          "namespace": "ops",
          "nextFetchTime": "2024-03-22T09:01:00Z",
          "rows": 2,
          "stalled": null
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn some() {
    let site = Site::filled().await;
    for (query, expected) in [
        (
            "",
            vec![
                "growth/internal-conversions",
                "growth/signups",
                "ops/internal-conversions",
            ],
        ),
        (
            "?namespace=growth",
            vec!["growth/internal-conversions", "growth/signups"],
        ),
        ("?search=SIGN", vec!["growth/signups"]),
        (
            "?search=the%20internal&namespace=ops",
            vec!["ops/internal-conversions"],
        ),
        (
            "?namespace=&search=",
            vec![
                "growth/internal-conversions",
                "growth/signups",
                "ops/internal-conversions",
            ],
        ),
        ("?namespace=nowhere", vec![]),
    ] {
        let list = site.json(&format!("/api/v1/data-sources{query}")).await;
        let names: Vec<_> = list["dataSources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|source| {
                let text = |name: &str| source[name].as_str().unwrap();
                format!("{}/{}", text("namespace"), text("name"))
            })
            .collect();
        assert_eq!(names, expected, "{query}");
    }
}

#[tokio::test]
async fn parameters_that_are_not_there() {
    let site = Site::filled().await;
    for (query, expected) in [
        (
            "?name=x",
            "400 [name] name: not known; this address takes namespace, search",
        ),
        (
            "?search=a&search=b",
            "400 [search] search: stands there twice",
        ),
    ] {
        let answer = site.get(&format!("/api/v1/data-sources{query}")).await;
        assert_eq!(answer.problem(), expected);
    }
}

#[tokio::test]
async fn an_empty_store_has_none() {
    let site = Site::empty().await;
    assert_eq!(
        site.json("/api/v1/data-sources").await,
        json!({"dataSources": []})
    );
    assert_eq!(site.json("/api/v1/agents").await, json!({"agents": []}));
}
