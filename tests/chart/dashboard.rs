//! The dashboard and the alerts in a real Prometheus, which scrapes the Pods as the ServiceMonitor
//! says: every panel has something to show.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::buckets::{Bucket, DOCUMENT};
use crate::helm::{CHART, of_kind, render, render_in};
use crate::pods::{Pod, Running, get};
use crate::running::ready;
use crate::support::kubernetes::{ADMIN_TOKEN, Cluster};
use crate::support::process::{
    Server, ServerCommand, free_port, temporary_folder, testbed_path, wait_for,
};
use crate::{PATIENCE, SETTINGS, cluster, condition};

const MONITORED: &str = "metrics: {serviceMonitor: {enabled: true}, \
    prometheusRule: {enabled: true}, dashboard: {enabled: true}}";

struct Prometheus {
    port: u16,
    _server: Server,
}

impl Prometheus {
    /// Scrapes these twice a second, with the labels that the Prometheus operator adds to a target.
    async fn start(targets: &[(&str, u16)], namespace: &str, pod: &str) -> Self {
        let documents = render_in(namespace, MONITORED);
        let monitor = of_kind(&documents, "ServiceMonitor")[0];
        let endpoint = &monitor["spec"]["endpoints"][0];
        let scrapes = targets.iter().map(|(service, port)| {
            json!({
                "job_name": service,
                "honor_labels": endpoint["honorLabels"],
                "static_configs": [{
                    "targets": [format!("127.0.0.1:{port}")],
                    "labels": {"namespace": namespace, "pod": pod, "service": service,
                        "endpoint": endpoint["port"]},
                }],
            })
        });
        let config = json!({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms",
                "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": scrapes.collect::<Vec<_>>(),
        });
        let folder = temporary_folder("prometheus");
        let rule = of_kind(&documents, "PrometheusRule")[0];
        let rules = json!({"groups": rule["spec"]["groups"]});
        for (name, value) in [("prometheus.yml", config), ("rules.yaml", rules)] {
            std::fs::write(folder.join(name), value.to_string()).unwrap();
        }
        let port = free_port();
        let server = ServerCommand::new("prometheus", testbed_path("SUMSQ_TEST_PROMETHEUS"))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--web.console.templates=.", "--web.console.libraries=."])
            .removes(&folder)
            .start(&folder);
        let address = format!("http://127.0.0.1:{port}/-/ready");
        server
            .ready(PATIENCE, async || {
                matches!(get(address.clone(), None).await, Some((200, _)))
            })
            .await;
        Self {
            port,
            _server: server,
        }
    }

    async fn api(&self, path: &str) -> Value {
        let address = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let (_, body) = get(address, None).await.expect("Prometheus answers");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    /// Whether a query has a sample that is a number.
    async fn shows(&self, query: &str) -> bool {
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let data = self.api(&format!("query?query={query}")).await;
        let samples = data["result"].as_array().unwrap();
        let numbers = samples
            .iter()
            .filter_map(|sample| sample["value"][1].as_str());
        numbers.filter(|number| *number != "NaN").count() > 0
    }
}

/// Title and queries of each panel.
fn panels() -> Vec<(String, Vec<String>)> {
    let documents = render(MONITORED);
    let maps = of_kind(&documents, "ConfigMap");
    let dashboard = maps[0]["data"]["sumsq.json"].as_str().unwrap();
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let panels = panels.filter(|panel| panel["type"] != "row");
    panels
        .map(|panel| {
            let targets = panel["targets"].as_array().unwrap().iter();
            let queries = targets.map(|target| {
                let query = target["expr"].as_str().unwrap();
                query
                    .replace("$namespace", ".*")
                    .replace("$__rate_interval", "1m")
            });
            (
                panel["title"].as_str().unwrap().to_owned(),
                queries.collect(),
            )
        })
        .collect()
}

/// Sources that come in and fail, an experiment that is believed and one that is not.
pub async fn story(cluster: &Cluster, namespace: &str, bucket: &str) -> Bucket {
    let bucket = Bucket::create(bucket).await;
    let mut counts = DOCUMENT.to_owned();
    for (variation, visitors) in [("A", 90_000), ("B", 60_000)] {
        writeln!(
            counts,
            "1710720000,lopsided,{variation},{visitors},10,10,10,10"
        )
        .unwrap();
        writeln!(counts, "1710720000,even,{variation},75000,10,10,10,10").unwrap();
    }
    bucket.put("counts.csv", counts).await;
    ready(cluster, namespace, &bucket).await;
    let mut refused = bucket.data_source_at("refused", "http://127.0.0.1:1");
    refused["spec"]["source"]["s3"]["secretRef"] = json!({"name": "keys"});
    let agent = |name: &str| {
        json!({"apiVersion": "sumsq.dev/v1alpha1", "kind": "Agent", "metadata": {"name": name},
            "spec": {}})
    };
    for object in [refused, agent("lopsided"), agent("even")] {
        let object = object.to_string();
        let applied = cluster.apply(namespace, &object);
        applied.await.expect_success();
    }
    for (agent, reason) in [("lopsided", "SampleRatioMismatch"), ("even", "NoAlarm")] {
        let agent = format!("agent/{agent}");
        wait_for(&format!("{agent}: {reason}"), PATIENCE, async || {
            condition(cluster, namespace, &agent, "Trustworthy", reason).await
        })
        .await;
    }
    wait_for("the failure", PATIENCE, async || {
        condition(
            cluster,
            namespace,
            "datasource/refused",
            "Ready",
            "ConnectFailed",
        )
        .await
    })
    .await;
    bucket
}

/// Something new, for what counts and measures: a file, a failure and a few readers.
async fn goes_on(cluster: &Cluster, namespace: &str, report: &Running, turn: u32) {
    let token = format!("sumsq.dev/force-fetch-requested-at={turn}");
    let args = [
        "-n",
        namespace,
        "annotate",
        "--overwrite",
        "datasource",
        "--all",
        &token,
    ];
    cluster.kubectl(&args).await.expect_success();
    let token = Some(ADMIN_TOKEN);
    for path in ["/", "/api/v1/agents", "/nowhere"] {
        assert!(report.get(8080, path, token).await.is_some(), "{path}");
    }
}

#[tokio::test]
async fn every_panel_has_something_to_show() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("dashboard").await;
    let name = namespace.name();
    let settings = format!("{SETTINGS},namespace={name}");
    let args = ["install", "sumsq", CHART, "-n", name, "--set", &settings];
    cluster.helm(&args).await.expect_success();
    let pod = Pod::of(cluster, name, "sumsq").await;
    let controller = pod.start("controller").await;
    let report = pod.start("report").await;
    controller.is_ready().await;
    report.is_ready().await;
    let targets = [
        ("sumsq-metrics", controller.port(8081)),
        ("sumsq-report-metrics", report.port(8082)),
    ];
    let bucket = story(cluster, name, "dashboard").await;
    let prometheus = Prometheus::start(&targets, name, "sumsq-0").await;

    let mut missing = panels();
    let mut turn = 0;
    let shown = tokio::time::timeout(
        PATIENCE,
        wait_for("all panels", PATIENCE * 2, async || {
            turn += 1;
            let counts = DOCUMENT.replace(",B,9,", &format!(",B,{},", 9 + turn));
            bucket.put("counts.csv", counts).await;
            goes_on(cluster, name, &report, turn).await;
            let mut left = Vec::new();
            for (title, queries) in missing.drain(..) {
                let mut empty = Vec::new();
                for query in queries {
                    if !prometheus.shows(&query).await {
                        empty.push(query);
                    }
                }
                if !empty.is_empty() {
                    left.push((title, empty));
                }
            }
            missing = left;
            missing.is_empty().then_some(())
        }),
    )
    .await;
    assert!(shown.is_ok(), "empty after {turn} turns: {missing:#?}");

    // The alerts are evaluated, and those that this story is about have begun to count; others may for a
    // moment, until what they miss has been scraped.
    let expected = ["SumsqExperimentNotTrustworthy", "SumsqSourceFailing"];
    let expected: BTreeSet<String> = expected.map(str::to_owned).into();
    let evaluated = wait_for("the alerts", PATIENCE, async || {
        let rules = prometheus.api("rules?type=alert").await;
        let rules = rules["groups"][0]["rules"].as_array()?.clone();
        let all = rules.iter().all(|rule| rule["health"] == "ok");
        let waiting = rules.iter().filter(|rule| rule["state"] != "inactive");
        let waiting: BTreeSet<String> = waiting
            .map(|rule| rule["name"].as_str().unwrap().to_owned())
            .collect();
        (all && waiting == expected).then_some(rules.len())
    })
    .await;
    let documents = render(MONITORED);
    let alerts = &of_kind(&documents, "PrometheusRule")[0]["spec"]["groups"][0]["rules"];
    assert_eq!(evaluated, alerts.as_array().unwrap().len());
}
