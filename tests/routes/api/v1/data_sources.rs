//! `/api/v1/data-sources`

use serde_json::json;

use crate::fixture::Site;

#[tokio::test]
async fn all_with_their_health() {
    let site = Site::filled().await;
    insta::assert_json_snapshot!(site.json("/api/v1/data-sources").await, @"");
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
