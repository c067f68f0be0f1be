//! The report container beside the operator: run as the chart has it, on the operator's own store.

use std::time::Duration;

use serde_json::Value;

use crate::buckets::{Bucket, DOCUMENT};
use crate::cluster_with_crds;
use crate::operator::{Operator, PATIENCE};
use crate::support::kubernetes::Cluster;
use crate::support::process::{Server, ServerCommand, free_port, temporary_folder};

/// The container `name` of the Deployment that the chart has made.
async fn container(cluster: &Cluster, name: &str) -> Value {
    let args = [
        "-n",
        "sumsq-system",
        "get",
        "deployment",
        "sumsq",
        "-o",
        "json",
    ];
    let deployment = cluster.kubectl(&args).await.expect_success();
    let deployment: Value = serde_json::from_str(&deployment).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let containers = pod["containers"].as_array().unwrap();
    let found = containers
        .iter()
        .find(|container| container["name"] == name);
    found
        .unwrap_or_else(|| panic!("no container {name}"))
        .clone()
}

fn variables(container: &Value) -> Vec<(String, String)> {
    let variables = container["env"].as_array().unwrap().iter();
    // What comes from elsewhere, such as the Pod's own name, has no value here.
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    variables
        .map(|variable| (text(&variable["name"]), text(&variable["value"])))
        .collect()
}

/// The address with another port, since a test run has its machine not for itself.
fn with_port(address: &str, port: u16) -> String {
    let (host, _) = address.rsplit_once(':').unwrap();
    format!("{host}:{port}")
}

async fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let asked = tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .new_agent();
        let mut answer = agent.get(&url).call().ok()?;
        let body = answer.body_mut().read_to_string().ok()?;
        Some((answer.status().as_u16(), body))
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn it_reads_what_the_operator_has_written() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("report").await;
    let bucket = Bucket::create("report").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let mut operator = Operator::start(cluster, &namespace).await;
    operator
        .apply(&bucket.data_source("internal-conversions").await)
        .await;
    operator
        .ready_when("internal-conversions", "True", "")
        .await;

    let container = container(cluster, "report").await;
    let (port, probes) = (free_port(), free_port());
    let mut command = ServerCommand::new("report", env!("CARGO_BIN_EXE_sumsq"));
    for argument in container["args"].as_array().unwrap() {
        command = command.arg(argument.as_str().unwrap());
    }
    for (name, value) in variables(&container) {
        let value = match name.as_str() {
            "SUMSQ_STORE" => {
                assert_eq!(value, "sqlite:/var/lib/sumsq/sumsq.db");
                format!("sqlite:{}", operator.store().display())
            }
            "SUMSQ_LISTEN" => with_port("127.0.0.1:8080", port),
            // Who may read is told in other tests; this one reads what is there.
            "SUMSQ_AUTH" => "none".to_owned(),
            "SUMSQ_COOKIE_KEY" => continue,
            "SUMSQ_PROBE_LISTEN" => with_port(&value, probes),
            _ => value,
        };
        command = command.env(name, value);
    }
    let folder = temporary_folder("report");
    let server: Server = command.removes(&folder).start(&folder);
    server
        .ready(PATIENCE, async || {
            let probe = &container["readinessProbe"]["httpGet"];
            assert_eq!(probe["port"], "report-probes");
            let path = probe["path"].as_str().unwrap();
            get(probes, path)
                .await
                .is_some_and(|(status, _)| status == 200)
        })
        .await;

    let agents = format!("/api/v1/namespaces/{}/agents", namespace.name());
    let address = format!("{agents}/agent%E2%80%911/testing?metric=rate");
    let (status, body) = get(port, &address).await.unwrap();
    assert_eq!(status, 200, "{body}");
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(report["dataSource"], "internal-conversions");
    let difference = report["comparisons"][0]["difference"].as_f64().unwrap();
    assert!((difference - 0.233_333_333_3).abs() < 1e-9, "{difference}");

    let fetch = format!(
        "/api/v1/namespaces/{}/data-sources/internal-conversions",
        namespace.name()
    );
    let (_, detail) = get(port, &fetch).await.unwrap();
    let detail: Value = serde_json::from_str(&detail).unwrap();
    let command = detail["fetchNow"]["command"].as_str().unwrap();
    let expected = format!("kubectl annotate datasource -n {}", namespace.name());
    assert!(command.starts_with(&expected), "{command}");
    let (status, metrics) = get(probes, "/metrics").await.unwrap();
    assert_eq!(status, 200);
    assert!(metrics.contains("sumsq_http_requests_total"), "{metrics}");

    // The operator goes on writing beside it, and what it writes is seen.
    let other = DOCUMENT.replace(",B,9,", ",B,8,");
    assert_ne!(other, DOCUMENT);
    bucket.put("counts.csv", other).await;
    operator
        .annotate("internal-conversions", "sumsq.dev/fetch-requested-at=again")
        .await;
    operator
        .status_when("internal-conversions", "the second import", |status| {
            status["lastHandledFetchRequest"] == "again"
        })
        .await;
    let (_, body) = get(port, &address).await.unwrap();
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(report["arms"][1]["visitors"], 8, "{body}");

    // And so it does when the writer is gone: the store stays readable.
    operator.kill();
    let (status, _) = get(port, &address).await.unwrap();
    assert_eq!(status, 200);
}

#[tokio::test]
async fn the_container_has_what_it_needs_and_no_more() {
    let cluster = cluster_with_crds().await;
    let report = container(cluster, "report").await;
    let controller = container(cluster, "controller").await;
    assert_eq!(report["image"], controller["image"]);
    assert_eq!(report["securityContext"], controller["securityContext"]);
    let store = |container: &Value| {
        let variables = variables(container);
        let store = variables.iter().find(|(name, _)| name == "SUMSQ_STORE");
        store.unwrap().1.clone()
    };
    assert_eq!(store(&report), store(&controller));
    let mounts: Vec<_> = report["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| {
            let text = |name: &str| mount[name].as_str().unwrap();
            format!("{} at {}", text("name"), text("mountPath"))
        })
        .collect();
    assert_eq!(
        mounts,
        [
            "store at /var/lib/sumsq",
            "report-tmp at /tmp",
            "cookie-key at /etc/sumsq/cookie",
            "report-token at /var/run/secrets/kubernetes.io/serviceaccount"
        ]
    );
    let notes = ["get", "notes", "sumsq", "-n", "sumsq-system"];
    let notes = cluster.helm(&notes).await.expect_success();
    let command = "kubectl -n sumsq-system port-forward service/sumsq-report 8080:8080";
    assert!(notes.contains(command), "{notes}");
}
