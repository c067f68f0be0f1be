//! docs/runbooks: each command is run beside an object that it is about, and each query is parsed by
//! promtool and asks for what there is.

use std::collections::BTreeSet;

use serde_json::json;
use sumsq::metrics::Metrics;

use super::node::{NAMESPACE, Node};
use super::person::Person;
use super::{blocks, checkout, commands, page};
use crate::alerts::promtool;
use crate::dashboard::story;
use crate::helm::CHART;
use crate::support::kubernetes::Cluster;
use crate::support::process::wait_for;
use crate::{PATIENCE, SETTINGS, condition, start_cluster};

/// As the chart names the one that cert-manager fills.
const TLS_SECRET: &str = "sumsq-report-tls";

/// Names of the pages, in order.
fn pages() -> Vec<String> {
    let files = std::fs::read_dir(checkout("docs/runbooks")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// What stands between two such marks, on one line or more, outside of indented blocks.
fn inline(page: &str) -> Vec<String> {
    let prose = page.lines().filter(|line| !line.starts_with("    "));
    let prose = prose.map(str::trim).collect::<Vec<_>>().join(" ");
    let code = prose.split('`').skip(1).step_by(2);
    code.map(str::to_owned).collect()
}

fn is_command(code: &str) -> bool {
    ["kubectl ", "sumsq "]
        .iter()
        .any(|program| code.starts_with(program))
}

/// All code of a page that is a command or a query.
fn code_of(page: &str) -> (Vec<String>, Vec<String>) {
    let of_blocks = blocks(page).into_iter().flat_map(|block| commands(&block));
    let (mut run, mut asked) = (Vec::new(), Vec::new());
    for code in of_blocks.chain(inline(page)) {
        let names = code.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        let mut metrics = names
            .filter(|name| name.starts_with("sumsq_") || name.starts_with("kubelet_volume_stats_"));
        if is_command(&code) {
            run.push(code);
        } else if metrics.next().is_some() {
            asked.push(code);
        }
    }
    (run, asked)
}

#[test]
fn every_query_is_one_and_asks_for_what_there_is() {
    let metrics = Metrics::new().unwrap();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for metric in metrics.described() {
        for suffix in ["", "_bucket", "_sum", "_count"] {
            known.insert(format!("{}{suffix}", metric.name));
        }
    }
    let mut rules = Vec::new();
    for name in pages() {
        let (_, queries) = code_of(&page(&format!("runbooks/{name}")));
        for query in queries {
            let names = query.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
            for asked in names.filter(|name| name.starts_with("sumsq_")) {
                assert!(known.contains(asked), "{name}: nobody has {asked}");
            }
            rules.push(json!({"record": format!("query:{}", rules.len()), "expr": query}));
        }
    }
    assert!(rules.len() > 8, "{rules:?}");
    let folder = tempfile::tempdir().unwrap();
    let rules = json!({"groups": [{"name": "runbooks", "rules": rules}]});
    std::fs::write(folder.path().join("rules.yaml"), rules.to_string()).unwrap();
    promtool(folder.path(), &["check", "rules", "rules.yaml"]);
}

/// The release in the namespace that the pages name, on a volume that may grow; a source that fails, two
/// that are gone, and an Agent that is not trustworthy.
async fn installed<'c>(cluster: &'c Cluster, person: &mut Person<'_>) -> Node<'c> {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {
            "name": "growing", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "nobody.example", "allowVolumeExpansion": true,
    });
    let class = cluster.apply("default", &class.to_string()).await;
    class.expect_success();
    let args = [
        "install",
        "sumsq",
        CHART,
        "-n",
        NAMESPACE,
        "--create-namespace",
    ];
    let args = [&args[..], &["--set", SETTINGS]].concat();
    cluster.helm(&args).await.expect_success();
    let patch = async |more: &[&str], patch: serde_json::Value| {
        let patch = patch.to_string();
        let args = [
            "-n",
            NAMESPACE,
            "patch",
            "pvc",
            "sumsq",
            "--type=merge",
            "-p",
            &patch,
        ];
        cluster
            .kubectl(&[&args[..], more].concat())
            .await
            .expect_success();
    };
    patch(&[], json!({"spec": {"volumeName": "somewhere"}})).await;
    let bound = json!({"status": {"phase": "Bound", "capacity": {"storage": "8Gi"}}});
    patch(&["--subresource=status"], bound).await;
    let certificate = rcgen::generate_simple_self_signed(["sumsq-report".to_owned()]).unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": TLS_SECRET},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate.cert.pem(),
            "tls.key": certificate.signing_key.serialize_pem()},
    });
    let secret = cluster.apply(NAMESPACE, &secret.to_string()).await;
    secret.expect_success();
    let node = Node::run(cluster, person).await;

    let args = ["create", "namespace", "growth"];
    cluster.kubectl(&args).await.expect_success();
    let bucket = story(cluster, "growth", "runbooks").await;
    for name in ["gone", "spent"] {
        let mut gone = bucket.data_source(name).await;
        gone["spec"]["source"]["s3"]["secretRef"] = json!({"name": "keys"});
        let applied = cluster.apply("growth", &gone.to_string()).await;
        applied.expect_success();
        let object = format!("datasource/{name}");
        wait_for("the import", PATIENCE, async || {
            condition(cluster, "growth", &object, "Ready", "Imported").await
        })
        .await;
        let args = ["-n", "growth", "delete", &object];
        cluster.kubectl(&args).await.expect_success();
    }

    let report = format!("http://127.0.0.1:{}", node.report.port(8080));
    // A page's plugin finds its way through a kubelet.
    person.exports("SUMSQ_SERVER", &report);
    person.exports("SUMSQ_TOKEN", crate::support::kubernetes::ADMIN_TOKEN);
    node
}

/// What stands for the words in capitals of this command.
fn meant(name: &str, command: &str) -> [(&'static str, &'static str); 6] {
    let object = match name {
        "SumsqExperimentNotTrustworthy.md" => "lopsided",
        "SumsqStoreFull.md" if command.contains(" purge ") => "gone",
        _ if command.contains(" purge ") => "spent",
        _ => "refused",
    };
    [
        ("SECRET", TLS_SECRET),
        ("NAMESPACE", "growth"),
        ("NAME", object),
        ("CODE", "lopsided"),
        (
            " FILE ",
            " examples/quickstart/buckets/shop-experiment-counts/exports/shop-conversions.csv ",
        ),
        ("YAML", "examples/quickstart/shop-conversions.yaml"),
    ]
}

#[tokio::test]
async fn every_command_is_run() {
    let cluster = start_cluster().await;
    let mut person = Person::new(&cluster).with_programs();
    let node = installed(&cluster, &mut person).await;
    let pod = node.pod.name().to_owned();
    let (mut told, mut of_replicas) = (0, Vec::new());
    for name in pages() {
        let (commands, _) = code_of(&page(&format!("runbooks/{name}")));
        for command in commands {
            let pairs = meant(&name, &command).into_iter();
            let written = pairs.fold(command.replace("POD", &pod), |command, (said, meant)| {
                command.replace(said, meant)
            });
            if written.contains("/proxy/") {
                // The API server asks the Pod at its address, of which there is none; here it is asked.
                let (_, path) = written
                    .split_once(&format!("/pods/{pod}:8081/proxy"))
                    .unwrap();
                let path = path.trim_end_matches('"');
                let answer = node.controller.get(8081, path, None).await;
                assert_eq!(answer.map(|(status, _)| status), Some(200), "{written}");
            } else if written.contains("auth can-i update leases") {
                of_replicas.push(written);
            } else {
                let said = person.runs(&written).await;
                assert!(!said.trim().is_empty(), "{written} says nothing");
            }
            told += 1;
        }
    }
    // The volume was grown, and the pages say to have its size alike.
    let upgrade = async |settings: &str| {
        let args = ["upgrade", "sumsq", CHART, "-n", NAMESPACE, "--set"];
        cluster.helm(&[&args[..], &[settings]].concat()).await
    };
    let refused = upgrade(SETTINGS).await.expect_failure();
    assert!(refused.contains("can not be less"), "{refused}");
    // Leases are of operators that stand by for each other.
    let replicas = "postgres.existingSecret=db,replicas=2,persistence.size=20Gi";
    let upgraded = upgrade(&format!("{SETTINGS},{replicas}")).await;
    upgraded.expect_success();
    for command in of_replicas {
        assert_eq!(person.runs(&command).await.trim(), "yes", "{command}");
    }
    assert!(told > 20, "{told} commands are no runbooks");
}
