//! PyPI schemathesis reads the OpenAPI document and asks the running server for what it allows, and
//! for what it does not.

use std::path::Path;
use std::time::Duration;

use sumsq::http::Server;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::fixture::Site;
use crate::support::process::testbed_path;

const PATIENCE: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
async fn it_finds_nothing() {
    let program = testbed_path("SUMSQ_TEST_SCHEMATHESIS");
    let site = Site::filled().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(listener, site.router()).unwrap();
    let document = format!("http://{}/api/openapi.json", server.address());
    let testbed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testbed");
    let folder = tempfile::tempdir().unwrap();

    let run = Command::new(program)
        .arg("--config-file")
        .arg(testbed.join("schemathesis.toml"))
        .args(["run", &document, "--no-color", "--workers", "1"])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "30",
        ])
        .args(["--seed", "1", "--generation-deterministic"])
        .arg("--continue-on-failure")
        .env("SCHEMATHESIS_HOOKS", testbed.join("schemathesis_checks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await;
    let output = output.expect("it comes to an end").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");

    // It has asked every operation, and has had reports from them.
    let document = sumsq::http::documented();
    let items = document.paths.paths.values();
    let operations: usize = items
        .map(|item| usize::from(item.get.is_some()) + usize::from(item.post.is_some()))
        .sum();
    // The document itself is not asked for once more.
    let operations = operations - 1;
    assert!(said.contains(&format!("Tested: {operations}\n")), "{said}");
    let metrics = site.metrics.encode().unwrap();
    for view in ["testing", "goals", "activity", "activity.csv"] {
        let route = format!("/api/v1/namespaces/{{namespace}}/agents/{{code}}/{view}");
        let answered =
            format!(r#"sumsq_http_requests_total{{method="GET",route="{route}",status="200"}} "#);
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix(&answered)?.parse::<u64>().ok())
            .unwrap_or_default();
        assert!(count >= 10, "{view}: {count} reports\n{said}");
    }
    assert!(!metrics.contains("status=\"5"), "{metrics}");
    server.stop(Duration::from_secs(5)).await;
}
