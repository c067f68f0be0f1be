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

/// Whatever the files of the corpus hold, what a source hands out imports as the same content.
#[tokio::test]
async fn counts_that_are_handed_out_import_as_the_same() {
    let folders = [temporary_folder("first"), temporary_folder("second")];
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/good");
    let mut files: Vec<_> = fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect();
    files.sort();
    assert!(files.len() >= 20);
    for folder in &folders {
        fs::create_dir_all(folder.join("buckets/counts")).unwrap();
    }
    for (number, file) in files.iter().enumerate() {
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let goal = if stem == "document_example" {
            "sales"
        } else {
            "g-sales"
        };
        let manifest = manifest(number, goal);
        for folder in &folders {
            fs::write(folder.join(format!("{number}.yaml")), &manifest).unwrap();
        }
        fs::copy(
            file,
            folders[0].join(format!("buckets/counts/{number}.csv")),
        )
        .unwrap();
    }
    let [first, second] = &folders;
    local_once(first);
    let store = first.join(".sumsq/sumsq.db");
    let report = Report::start(first, &store).await;
    wait_for("readiness", PATIENCE, async || {
        (get(&report.probes, "/readyz").await.0 == 200).then_some(())
    })
    .await;
    for (number, file) in files.iter().enumerate() {
        let address = format!("/api/v1/namespaces/default/data-sources/f{number}/counts.csv");
        let (status, csv) = get(&report.main, &address).await;
        assert_eq!(status, 200, "{}: {csv}", file.display());
        fs::write(second.join(format!("buckets/counts/{number}.csv")), csv).unwrap();
    }
    local_once(second);
    let (one, other) = (
        hashes(&store).await,
        hashes(&second.join(".sumsq/sumsq.db")).await,
    );
    assert!(one.len() > files.len());
    assert_eq!(one, other);
    for folder in &folders {
        fs::remove_dir_all(folder).unwrap();
    }
}

fn manifest(number: usize, goal: &str) -> String {
    format!(
        "apiVersion: sumsq.dev/v1alpha1
kind: DataSource
metadata: {{name: f{number}}}
spec:
  displayName: File {number}
  goals: [{{code: {goal}, numeric: true}}, {{code: g-signup}}]
  source: {{s3: {{region: us-east-1, bucket: counts, key: {number}.csv, accountId: \"123456789012\"}}}}
"
    )
}

fn local_once(folder: &Path) {
    let run = Command::new(SUMSQ)
        .args(["local", folder.to_str().unwrap(), "--once"])
        .env_remove("AWS_PROFILE")
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].concat();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// Source, agent, day and content hash of everything in a store.
async fn hashes(store: &Path) -> Vec<(Vec<u8>, String, i64, Vec<u8>)> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(store);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let days = "SELECT source, agent, day, hash FROM agent_day ORDER BY source, agent, day";
    let rows = sqlx::query_as(days).fetch_all(&pool).await.unwrap();
    pool.close().await;
    rows
}

#[tokio::test]
async fn a_folder_fetches_when_its_page_is_asked_to() {
    let folder = temporary_folder("local");
    quickstart(&folder);
    let server = ServerCommand::new("local", SUMSQ)
        .args(["local", folder.to_str().unwrap(), "--listen", "127.0.0.1:0"])
        .start(&folder);
    let log = folder.join("local.log");
    let base = wait_for("the first line", PATIENCE, async || {
        let log = fs::read_to_string(&log).ok()?;
        let (line, _) = log.split_once('\n')?;
        Some(line.strip_prefix("reports on ")?.to_owned())
    })
    .await;
    let source = "/api/v1/namespaces/default/data-sources/shop-conversions";
    let (_, detail) = get(&base, source).await;
    assert!(
        detail.contains(r#""fetchNow":{"available":true"#),
        "{detail}"
    );
    let fetches = async || {
        let (_, fetches) = get(&base, &format!("{source}/fetches")).await;
        let fetches: Value = serde_json::from_str(&fetches).unwrap();
        fetches["fetches"].as_array().unwrap().clone()
    };
    let before = fetches().await.len();
    let post = |path: String| {
        let url = format!("{base}{path}");
        tokio::task::spawn_blocking(move || {
            let config = ureq::Agent::config_builder().http_status_as_error(false);
            let agent = config.timeout_global(Some(PATIENCE)).build().new_agent();
            agent.post(&url).send_empty().unwrap().status().as_u16()
        })
    };
    assert_eq!(post(format!("{source}/fetch")).await.unwrap(), 202);
    let newest = wait_for("a manual fetch", PATIENCE, async || {
        let fetches = fetches().await;
        let newest = fetches.first()?.clone();
        (fetches.len() > before && !newest["result"].is_null()).then_some(newest)
    })
    .await;
    assert_eq!(newest["trigger"], "Manual");
    assert_eq!(newest["result"], "NotModified");
    let unknown = "/api/v1/namespaces/default/data-sources/x/fetch";
    assert_eq!(post(unknown.to_owned()).await.unwrap(), 404);
    server.signal("TERM");
    assert_eq!(server.ended(PATIENCE).await.code(), Some(0));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_would_leave_reports_open_is_usage() {
    let folder = temporary_folder("usage");
    let short = folder.join("short");
    fs::write(&short, "too short").unwrap();
    let short = short.to_str().unwrap();
    let report = |flags: &[&str]| {
        let output = Command::new(SUMSQ)
            .args(["report", "--store", "sqlite:none.db"])
            .args(flags)
            .env("KUBECONFIG", "/nonexistent")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said)
    };
    for (flags, code, expected) in [
        (
            &["--listen", "0.0.0.0:8080"][..],
            2,
            "Give --auth kubernetes or --auth proxy; or --listen 127.0.0.1:8080",
        ),
        (&["--auth", "proxy"], 2, "give --proxy-secret FILE"),
        (
            &["--auth", "everybody"],
            2,
            "possible values: kubernetes, proxy, none",
        ),
        (&["--auth", "kubernetes"], 1, "no Kubernetes cluster"),
        (
            &["--auth", "proxy", "--proxy-secret", short],
            1,
            "has fewer than 16 bytes; `openssl rand -hex 32`",
        ),
        (
            &["--tls-cert", short, "--tls-key", short],
            1,
            "cannot serve by TLS",
        ),
    ] {
        let (found, said) = report(flags);
        assert_eq!(found, code, "{said}");
        assert!(said.contains(expected), "{said}");
    }
    fs::remove_dir_all(&folder).unwrap();
}
