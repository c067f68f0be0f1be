//! `/api/openapi.json`

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::http::{Method, StatusCode};
use serde_json::Value;
use sumsq::domain::report::query::{ActivityQuery, TestingQuery};

use crate::fixture::{Site, request};

async fn document() -> Value {
    Site::empty().await.json("/api/openapi.json").await
}

fn operations(document: &Value) -> Vec<(String, Method, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            found.push((path.clone(), method, operation));
        }
    }
    found
}

#[tokio::test]
async fn it_lists_these() {
    let document = document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let listed: Vec<_> = operations(&document)
        .iter()
        .map(|(path, method, operation)| {
            format!(
                "{method} {path}: {}",
                operation["summary"].as_str().unwrap()
            )
        })
        .collect();
    insta::assert_snapshot!(listed.join("\n"), @r"
    GET /api/openapi.json: This document
    GET /api/v1/agents: All agents that the caller may see
    GET /api/v1/data-sources: All data sources that the caller may see
    GET /api/v1/namespaces/{namespace}/agents/{code}/activity: Activity Report
    GET /api/v1/namespaces/{namespace}/agents/{code}/activity.csv: Activity Report as CSV
    GET /api/v1/namespaces/{namespace}/agents/{code}/goals: All goals of an agent side by side
    GET /api/v1/namespaces/{namespace}/agents/{code}/goals.csv: All goals of an agent side by side, as CSV
    GET /api/v1/namespaces/{namespace}/agents/{code}/testing: Testing Report
    GET /api/v1/namespaces/{namespace}/agents/{code}/testing.csv: Testing Report as CSV
    GET /api/v1/namespaces/{namespace}/data-sources/{name}: One data source
    GET /api/v1/namespaces/{namespace}/data-sources/{name}/counts.csv: A data source's data, as a CSV that can be imported again
    POST /api/v1/namespaces/{namespace}/data-sources/{name}/fetch: Fetch now
    GET /api/v1/namespaces/{namespace}/data-sources/{name}/fetches: The fetches of a data source, newest first
    ");
}

/// Routes come to the router with their description or not at all.
#[test]
fn no_route_is_added_beside_it() {
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/api");
    for entry in fs::read_dir(api).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(".route("), "{}", path.display());
        let described = text.matches("#[utoipa::path(").count();
        let handlers = text.matches("State(state): State<ReportState>,").count();
        assert!(
            described >= handlers,
            "{}: a handler is not described",
            path.display()
        );
    }
}

#[tokio::test]
async fn every_operation_is_served() {
    let site = Site::filled().await;
    for (path, method, _) in operations(&document().await) {
        let address = path
            .replace("{namespace}", "growth")
            .replace("{code}", "agent-1")
            .replace("{name}", "internal-conversions");
        let answer = site.ask(request(method.clone(), &address)).await;
        let expected = if method == Method::POST {
            StatusCode::CONFLICT
        } else {
            StatusCode::OK
        };
        assert_eq!(
            answer.status, expected,
            "{method} {address}: {}",
            answer.body
        );
    }
    let metrics = site.metrics.encode().unwrap();
    for (path, _, _) in operations(&document().await) {
        assert!(metrics.contains(&format!("route=\"{path}\"")), "{path}");
    }
}

#[tokio::test]
async fn its_parameters_are_those_that_are_read() {
    let document = document().await;
    for (path, method, operation) in operations(&document) {
        let empty = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&empty);
        let of = |place: &str| -> BTreeSet<&str> {
            parameters
                .iter()
                .filter(|parameter| parameter["in"] == place)
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect()
        };
        let template: BTreeSet<&str> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        assert_eq!(of("path"), template, "{method} {path}");
        let read: Option<BTreeSet<&str>> = if path.contains("/activity") {
            Some(ActivityQuery::PARAMETERS.into_iter().collect())
        } else if path.contains("/testing") || path.contains("/goals") {
            Some(TestingQuery::PARAMETERS.into_iter().collect())
        } else {
            None
        };
        if let Some(read) = read {
            assert_eq!(of("query"), read, "{method} {path}");
        }
        for parameter in parameters {
            let name = &parameter["name"];
            assert!(parameter["description"].is_string(), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = document().await;
    let text = document.to_string();
    for (at, prefix) in text.match_indices("\"$ref\":\"#") {
        let pointer = text[at + prefix.len()..].split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn what_goes_wrong_is_a_problem() {
    let document = document().await;
    for (path, method, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with('4') || status.starts_with('5') {
                let schema = &response["content"]["application/problem+json"]["schema"];
                let reference = schema["$ref"].as_str();
                assert_eq!(
                    reference,
                    Some("#/components/schemas/Problem"),
                    "{method} {path} {status}"
                );
            }
        }
    }
}
