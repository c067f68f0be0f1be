//! `/api/v1/namespaces/{namespace}/data-sources/{name}` and what is below it

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::http::{Method, StatusCode};
use sumsq::domain::data_source::SourceKey;
use sumsq::http::FetchNow;
use sumsq::store::Store;

use crate::fixture::{Site, denied, goal, request};

const SIGNUPS: &str = "/api/v1/namespaces/growth/data-sources/signups";

#[tokio::test]
async fn everything_about_one() {
    let site = Site::filled().await;
    insta::assert_json_snapshot!(site.json(SIGNUPS).await, @r#"
    {
      "agentCount": 2,
      "agents": [
        {
          "code": "agent-1",
          "days": 1,
          "displayName": "Checkout button",
          "firstDay": "2024-03-17",
          "lastDay": "2024-03-17"
        },
        {
          "code": "only-here",
          "days": 1,
          "displayName": null,
          "firstDay": "2024-03-17",
          "lastDay": "2024-03-17"
        }
      ],
      "bucket": "com.my-company.counts",
      "dating": "Exposure",
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
      "fetchNow": {
        "available": false,
        "command": "kubectl annotate datasource -n growth signups --overwrite sumsq.dev/fetch-requested-at=\"$(date +%s)\""
      },
      "firstDay": "2024-03-17",
      "goals": [
        {
          "allowNegative": false,
          "code": "g-signup",
          "displayName": null,
          "goodDirection": "Increase",
          "numeric": false
        }
      ],
      "health": "Failing",
      "key": "exports/counts.csv",
      "lastDay": "2024-03-17",
      "lastFetchTime": "2024-03-21T09:00:04Z",
      "lastSuccessTime": "2024-03-21T09:00:03Z",
      "missedFetches": 0,
      "name": "signups",
      "namespace": "growth",
      "nextFetchTime": "2024-03-22T09:01:00Z",
      "reader": null,
      "region": "us-east-1",
      "rows": 3,
      "schedule": "0 9 * * *",
      "stalled": null,
      "suspend": false,
      "timeZone": "UTC"
    }
    "#);
}

#[tokio::test]
async fn those_that_are_not_there() {
    let site = Site::filled().await;
    for (address, expected) in [
        (
            "/api/v1/namespaces/growth/data-sources/x",
            "404 [-] there is no data source \"x\" in namespace \"growth\"",
        ),
        (
            "/api/v1/namespaces/nowhere/data-sources/signups/fetches",
            "404 [-] there is no data source \"signups\" in namespace \"nowhere\"",
        ),
        (
            "/api/v1/namespaces/growth/data-sources/%FF",
            "404 [-] names in the address are UTF-8, percent-encoded",
        ),
    ] {
        assert_eq!(site.get(address).await.problem(), expected);
    }
    let id = site.source("growth", "gone", &[goal("g", false)]).await.id;
    site.store.retire(id).await.unwrap();
    let gone = site
        .get("/api/v1/namespaces/growth/data-sources/gone")
        .await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn fetches_are_paged() {
    let site = Site::empty().await;
    let source = site.source("growth", "signups", &[goal("g", false)]).await;
    for number in 0..5 {
        let mut error = denied();
        error.message = format!("failure {number}");
        site.fail(&source, error).await;
    }
    let mut seen = Vec::new();
    let mut address = format!("{SIGNUPS}/fetches?limit=2");
    loop {
        let page = site.json(&address).await;
        let fetches = page["fetches"].as_array().unwrap();
        assert!(fetches.len() <= 2);
        seen.extend(fetches.iter().map(|fetch| {
            let message = &fetch["error"]["message"];
            message.as_str().unwrap().to_owned()
        }));
        match page["next"].as_str() {
            Some(next) => address = format!("{SIGNUPS}/fetches?limit=2&before={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = (0..5)
        .rev()
        .map(|number| format!("failure {number}"))
        .collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_fetch_says_what_came_of_it() {
    let site = Site::filled().await;
    let mut page = site.json(&format!("{SIGNUPS}/fetches")).await;
    for fetch in page["fetches"].as_array_mut().unwrap() {
        let id = fetch["id"].take();
        assert!(id.as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    }
    insta::assert_json_snapshot!(page, @r#"
    {
      "fetches": [
        {
          "agentCount": null,
          "agents": [],
          "attempts": 1,
          "bytes": null,
          "changedAgentDays": null,
          "completedAt": "2024-03-21T09:00:04Z",
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
          "id": null,
          "result": "Error",
          "rows": null,
          "startedAt": "2024-03-21T09:00:00Z",
          "trigger": "Schedule",
          "warningMessages": [],
          "warnings": 0
        },
        {
          "agentCount": 2,
          "agents": [
            "agent-1",
            "only-here"
          ],
          "attempts": 1,
          "bytes": 151,
          "changedAgentDays": 2,
          "completedAt": "2024-03-21T09:00:03Z",
          "error": null,
          "id": null,
          "result": "Imported",
          "rows": 3,
          "startedAt": "2024-03-21T09:00:00Z",
          "trigger": "Schedule",
          "warningMessages": [],
          "warnings": 0
        }
      ],
      "next": null
    }
    "#);
}

#[tokio::test]
async fn pages_that_cannot_be() {
    let site = Site::filled().await;
    let limit = "400 [limit] limit: a whole number from 1 to 100";
    for (query, expected) in [
        ("limit=0", limit),
        ("limit=101", limit),
        ("limit=%2B5", limit),
        ("limit=1e1", limit),
        ("limit=99999999999999999999999", limit),
        (
            "before=yesterday",
            "400 [before] before: the id of a fetch, a UUID",
        ),
        (
            "after=x",
            "400 [after] after: not known; this address takes limit, before",
        ),
    ] {
        let answer = site.get(&format!("{SIGNUPS}/fetches?{query}")).await;
        assert_eq!(answer.problem(), expected, "{query}");
    }
}

#[derive(Default)]
struct Asked(Mutex<Vec<SourceKey>>);

#[async_trait]
impl FetchNow for Asked {
    async fn fetch_now(&self, source: &SourceKey) -> bool {
        self.0.lock().unwrap().push(source.clone());
        true
    }
}

#[tokio::test]
async fn fetch_now_where_it_can_be() {
    let mut site = Site::filled().await;
    let asked = Arc::new(Asked::default());
    site.state = site.state.clone().with_fetch_now(Arc::clone(&asked) as _);
    let detail = site.json(SIGNUPS).await;
    assert_eq!(detail["fetchNow"]["available"], true);

    let fetch = format!("{SIGNUPS}/fetch");
    let answer = site.ask(request(Method::POST, &fetch)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);

    let unknown = "/api/v1/namespaces/growth/data-sources/x/fetch";
    let answer = site.ask(request(Method::POST, unknown)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);

    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://example.com"),
        ("origin", "null"),
    ] {
        let mut foreign = request(Method::POST, &fetch);
        let headers = foreign.headers_mut();
        headers.insert("host", "127.0.0.1:8080".parse().unwrap());
        headers.insert(name, value.parse().unwrap());
        assert_eq!(
            site.ask(foreign).await.problem(),
            "403 [-] another site asks for this; ask from a page of this server"
        );
    }
    let mut own = request(Method::POST, &fetch);
    for (name, value) in [
        ("host", "127.0.0.1:8080"),
        ("origin", "http://127.0.0.1:8080"),
        ("sec-fetch-site", "same-origin"),
    ] {
        own.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(site.ask(own).await.status, StatusCode::ACCEPTED);
    let asked: Vec<_> = asked
        .0
        .lock()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(asked, ["growth/signups", "growth/signups"]);
}

#[tokio::test]
async fn fetch_now_beside_an_operator() {
    let site = Site::filled().await;
    let answer = site
        .ask(request(Method::POST, &format!("{SIGNUPS}/fetch")))
        .await;
    assert_eq!(
        answer.problem(),
        "409 [-] this server does not fetch; run: kubectl annotate datasource -n growth signups \
         --overwrite sumsq.dev/fetch-requested-at=\"$(date +%s)\""
    );
}
