//! docs/getting-started.md, from nothing to a report.

use super::node::{NAMESPACE, Node};
use super::person::Person;
use super::{blocks, checkout, commands, page};
use crate::buckets::Bucket;
use crate::support::kubernetes::Cluster;
use crate::support::s3::{ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, S3};

/// S3 is on this machine.
async fn settings() -> String {
    let endpoint = S3::shared().await.endpoint();
    format!(
        "--set controller.extraEnv[0].name=AWS_ENDPOINT_URL_S3 \
         --set controller.extraEnv[0].value={endpoint}"
    )
}

/// The words of `aws s3 cp FILE s3://BUCKET/KEY`.
fn upload(command: &str) -> (String, String) {
    let words: Vec<&str> = command.split_whitespace().collect();
    let ["aws", "s3", "cp", file, "\\", to] = words[..] else {
        panic!("another upload: {command}");
    };
    let (_, key) = to.strip_prefix("s3://").unwrap().split_once('/').unwrap();
    (file.to_owned(), key.to_owned())
}

/// What makes the image and publishes it, which tests/image is about, and what a kubelet does.
const ELSEWHERE: [&str; 5] = [
    "cargo install --locked cargo-cyclonedx@0.5.9 cargo-bundle-licenses@5.0.0",
    "release/build dist",
    "buildah login REGISTRY",
    "release/publish-image dist REGISTRY/sumsq 0.1.0",
    "kubectl -n sumsq-system port-forward service/sumsq-report 8080:8080     # goes on until Ctrl-C",
];

#[tokio::test]
async fn from_nothing_to_a_report() {
    let cluster = Cluster::start().await;
    let bucket = Bucket::create("getting-started").await;
    let mut person = Person::new(&cluster);
    for (said, written) in [
        ("REGISTRY", "registry.example"),
        ("BUCKET", &bucket.name),
        ("REGION", "us-east-1"),
        ("ACCOUNT", "000000000000"),
        ("AKIA...", ROOT_ACCESS_KEY_ID),
        (
            "secretAccessKey=...",
            &format!("secretAccessKey={ROOT_SECRET_ACCESS_KEY}"),
        ),
    ] {
        person.replaces(said, written);
    }
    let page = page("getting-started.md");
    let all: Vec<_> = blocks(&page)
        .iter()
        .flat_map(|block| commands(block))
        .collect();
    let (mut node, mut elsewhere, mut said) = (None, Vec::new(), String::new());
    for command in &all {
        let first = command.split_whitespace().next().unwrap();
        match first {
            // Makes the image and publishes it: tests/image.
            "cargo" | "buildah" => elsewhere.push(command.as_str()),
            _ if first.starts_with("release/") => elsewhere.push(command),
            "helm" => {
                person
                    .runs(&format!("{command} {}", settings().await))
                    .await;
            }
            "aws" => {
                let (file, key) = upload(command);
                let body = std::fs::read(checkout(&file)).unwrap();
                bucket.put(&key, body).await;
            }
            _ if command.contains(" rollout status ") => {
                node = Some(Node::run(&cluster, &person).await);
                said = person.runs(command).await;
                assert!(said.contains("successfully rolled out"), "{said}");
            }
            _ if command.contains(" port-forward ") => {
                let node = node.as_ref().unwrap();
                leads_to_the_report(&cluster).await;
                elsewhere.push(command);
                let address = format!("http://127.0.0.1:{}", node.report.port(8080));
                person.replaces("http://127.0.0.1:8080", &address);
            }
            _ => said = person.runs(command).await,
        }
    }
    assert_eq!(elsewhere, ELSEWHERE);
    // What the last command of the page has printed: the report.
    insta::assert_snapshot!(said.lines().take(8).collect::<Vec<_>>().join("\n"), @"
    checkout-button  (growth/shop-conversions, 2026-01-05 to 2026-03-05, policy r)
    Purchase per visitor is 1.8% higher with B than with A; the data can't yet tell that from chance: −0.57% to +4.1% (95% interval).
      goal      variation  visitors  conversions  per visitor  against A     95% interval      p  verdict
      Purchase  A            20,596        8,391        40.7%
                B            20,660        8,565        41.5%      +1.8%  −0.57% to +4.1%  0.139  Undecided
    ");
}

/// The port that the page forwards is a port of the Service, and leads to where reports are served.
async fn leads_to_the_report(cluster: &Cluster) {
    let get = ["-n", NAMESPACE, "get"];
    let port = "jsonpath={.spec.ports[?(@.port==8080)].targetPort}";
    let service = ["service", "sumsq-report", "-o", port];
    let target = cluster.kubectl(&[&get[..], &service].concat()).await;
    let target = target.expect_success();
    let ports = "jsonpath={.items[0].spec.containers[?(@.name=='report')].ports}";
    let pods = ["pods", "-l", "app.kubernetes.io/name=sumsq", "-o", ports];
    let ports = cluster.kubectl(&[&get[..], &pods].concat()).await;
    let ports: serde_json::Value = serde_json::from_str(&ports.expect_success()).unwrap();
    assert_eq!(
        *crate::helm::entry(&ports, "name", &target),
        serde_json::json!({
            "name": target, "containerPort": 8080, "protocol": "TCP",
        })
    );
}
