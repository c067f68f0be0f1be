//! What Prometheus is told.

use crate::buckets::{Bucket, DOCUMENT};
use crate::cluster_with_crds;
use crate::operator::{Operator, PATIENCE};
use crate::support::process::wait_for;

#[tokio::test]
async fn metrics_follow_prometheus_rules() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("metrics").await;
    let bucket = Bucket::create("metrics").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("counts").await).await;
    operator
        .apply(&bucket.data_source_at("refused", "http://127.0.0.1:1"))
        .await;
    operator.ready_when("counts", "True", "Imported").await;
    operator
        .ready_when("refused", "False", "ConnectFailed")
        .await;
    let metrics = operator.get("metrics").await.unwrap();
    let labels = format!(r#"namespace="{}""#, namespace.name());
    for expected in [
        format!(
            r#"sumsq_fetches_total{{name="counts",{labels},result="Imported",trigger="Created"}} 1"#
        ),
        format!(r#"sumsq_fetch_errors_total{{code="ConnectFailed",name="refused",{labels}}} 1"#),
        format!(r#"sumsq_rows{{name="counts",{labels}}} 2"#),
        format!(r#"sumsq_agents{{name="counts",{labels}}} 1"#),
        format!(r#"sumsq_ready{{name="counts",{labels}}} 1"#),
        format!(r#"sumsq_ready{{name="refused",{labels}}} 0"#),
        format!(
            r#"sumsq_object_bytes{{name="counts",{labels}}} {}"#,
            DOCUMENT.len()
        ),
        format!(r#"sumsq_agent_day_changes_total{{name="counts",{labels}}} 1"#),
        "sumsq_fetch_queue_depth 0".to_owned(),
        "sumsq_reconcile_errors_total 0".to_owned(),
    ] {
        assert!(metrics.contains(&expected), "no {expected} in\n{metrics}");
    }
    for name in [
        "sumsq_last_success_timestamp_seconds",
        "sumsq_next_fetch_timestamp_seconds",
        "sumsq_missed_fetches",
        "sumsq_stalled",
        "sumsq_build_info",
        "sumsq_fetch_duration_seconds_bucket",
        "sumsq_reconcile_duration_seconds_count",
        "process_resident_memory_bytes",
    ] {
        assert!(metrics.contains(name), "no {name} in\n{metrics}");
    }
    let findings = promtool_check(metrics).await;
    assert_eq!(findings, "", "promtool check metrics");

    // The series end with their object.
    operator.kubectl(&["delete", "dsrc", "counts"]).await;
    wait_for("the series' end", PATIENCE, async || {
        let metrics = operator.get("metrics").await?;
        (!metrics.contains(r#"name="counts""#)).then_some(())
    })
    .await;
}

pub async fn promtool_check(metrics: String) -> String {
    use tokio::io::AsyncWriteExt;
    let promtool = crate::support::process::testbed_path("SUMSQ_TEST_PROMTOOL");
    let mut child = tokio::process::Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(metrics.as_bytes())
        .await
        .unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let findings = text(output.stdout) + &text(output.stderr);
    // These are the Go and Rust client libraries' own, under the names that everyone knows.
    findings
        .lines()
        .filter(|line| !line.starts_with("process_"))
        .collect()
}
