//! What requests leave in the metrics.

use std::collections::BTreeSet;
use std::process::Stdio;

use axum::http::Method;
use tokio::io::AsyncWriteExt;

use crate::fixture::{Site, request};
use crate::support::process::testbed_path;

#[tokio::test]
async fn requests_are_counted_by_template() {
    let site = Site::filled().await;
    for number in 0..20 {
        site.get(&format!(
            "/api/v1/namespaces/growth/agents/agent-{number}/testing"
        ))
        .await;
        site.get(&format!("/nothing/at/{number}")).await;
    }
    let odd = Method::from_bytes(b"BREW").unwrap();
    site.ask(request(odd, "/api/v1/agents")).await;
    let metrics = site.metrics.encode().unwrap();
    let counted: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("sumsq_http_requests_total"))
        .collect();
    assert_eq!(
        counted,
        [
            r#"sumsq_http_requests_total{method="GET",route="/api/v1/namespaces/{namespace}/agents/{code}/testing",status="200"} 1"#,
            r#"sumsq_http_requests_total{method="GET",route="/api/v1/namespaces/{namespace}/agents/{code}/testing",status="404"} 19"#,
            r#"sumsq_http_requests_total{method="GET",route="unmatched",status="404"} 20"#,
            r#"sumsq_http_requests_total{method="other",route="/api/v1/agents",status="405"} 1"#,
        ]
    );
    let timed: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("sumsq_http_request_duration_seconds_count"))
        .collect();
    assert_eq!(timed.len(), 3, "{timed:?}");
    assert_eq!(promtool_check(&metrics).await, "");
}

async fn promtool_check(metrics: &str) -> String {
    let mut child = tokio::process::Command::new(testbed_path("SUMSQ_TEST_PROMTOOL"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(metrics.as_bytes()).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    let findings = [output.stdout, output.stderr].concat();
    // These are the client library's own, under the names that everyone knows.
    String::from_utf8(findings)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with("process_"))
        .collect()
}
