//! `sumsq report` as a person runs it: the first lines, the wait for a store, the end.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::process::{Server, ServerCommand, temporary_folder, wait_for};

const SUMSQ: &str = env!("CARGO_BIN_EXE_sumsq");
const PATIENCE: Duration = Duration::from_secs(30);

struct Report {
    server: Server,
    main: String,
    probes: String,
}

impl Report {
    /// On ports of its own choice, which its first two lines say.
    async fn start(folder: &Path, store: &Path) -> Self {
        let server = ServerCommand::new("report", SUMSQ)
            .args(["report", "--listen", "127.0.0.1:0"])
            .args(["--probe-listen", "127.0.0.1:0", "--store"])
            .arg(format!("sqlite:{}", store.display()))
            .start(folder);
        let log = folder.join("report.log");
        let lines = wait_for("the first two lines", PATIENCE, async || {
            let log = fs::read_to_string(&log).ok()?;
            (log.lines().count() >= 2 && log.ends_with('\n')).then_some(log)
        })
        .await;
        let mut lines = lines.lines();
        let mut address = |what: &str| {
            let line = lines.next().unwrap();
            let address = line.strip_prefix(&format!("{what} on "));
            address.unwrap_or_else(|| panic!("{line}")).to_owned()
        };
        Self {
            server,
            main: address("reports"),
            probes: address("probes"),
        }
    }
}

async fn get(base: &str, path: &str) -> (u16, String) {
    let url = format!("{base}{path}");
    let asked = tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(PATIENCE)).build().new_agent();
        let mut answer = agent.get(&url).call().unwrap();
        let body = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), body)
    });
    asked.await.unwrap()
}

/// Imports the quickstart into a folder, and returns where the store is.
fn quickstart(folder: &Path) -> std::path::PathBuf {
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let bucket = "buckets/shop-experiment-counts/exports";
    fs::create_dir_all(folder.join(bucket)).unwrap();
    for file in [
        "shop-conversions.yaml",
        &format!("{bucket}/shop-conversions.csv"),
    ] {
        fs::copy(quickstart.join(file), folder.join(file)).unwrap();
    }
    let run = Command::new(SUMSQ)
        .args(["local", folder.to_str().unwrap(), "--once"])
        .env_remove("AWS_PROFILE")
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    folder.join(".sumsq/sumsq.db")
}

#[tokio::test]
async fn it_waits_for_the_store_and_ends_when_told() {
    let folder = temporary_folder("report");
    let store = folder.join(".sumsq/sumsq.db");
    let report = Report::start(&folder, &store).await;
    assert_eq!(get(&report.probes, "/healthz").await.0, 200);
    assert_eq!(
        get(&report.probes, "/readyz").await,
        (503, "the store is not open yet\n".to_owned())
    );
    let (status, problem) = get(&report.main, "/api/v1/agents").await;
    assert_eq!(status, 503);
    assert!(problem.contains("the store is not open yet"), "{problem}");

    assert_eq!(quickstart(&folder), store);
    wait_for("readiness", PATIENCE, async || {
        (get(&report.probes, "/readyz").await.0 == 200).then_some(())
    })
    .await;
    let (_, agents) = get(&report.main, "/api/v1/agents").await;
    let agents: Value = serde_json::from_str(&agents).unwrap();
    assert_eq!(agents["agents"].as_array().unwrap().len(), 3);

    // On a loopback address the main port has probes and metrics, too.
    for base in [&report.main, &report.probes] {
        assert_eq!(get(base, "/readyz").await, (200, "ok\n".to_owned()));
        let (_, metrics) = get(base, "/metrics").await;
        let counted =
            r#"sumsq_http_requests_total{method="GET",route="/api/v1/agents",status="200"} 1"#;
        assert!(metrics.contains(counted), "{metrics}");
    }
    assert_eq!(get(&report.probes, "/api/v1/agents").await.0, 404);

    report.server.signal("TERM");
    let status = report.server.ended(PATIENCE).await;
    assert_eq!(status.code(), Some(0));
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn it_changes_nothing_in_the_store() {
    let folder = temporary_folder("report");
    let store = quickstart(&folder);
    let before = fs::read(&store).unwrap();
    let report = Report::start(&folder, &store).await;
    wait_for("readiness", PATIENCE, async || {
        (get(&report.probes, "/readyz").await.0 == 200).then_some(())
    })
    .await;
    for path in [
        "/api/v1/namespaces/default/agents/checkout-button/testing",
        "/api/v1/namespaces/default/data-sources/shop-conversions/counts.csv",
    ] {
        assert_eq!(get(&report.main, path).await.0, 200, "{path}");
    }
    drop(report);
    assert_eq!(fs::read(&store).unwrap(), before);
    fs::remove_dir_all(&folder).unwrap();
}
