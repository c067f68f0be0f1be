//! The released program as the chart's Pods run it: command, arguments, environment, volumes and tokens
//! of the Pod that the API server has made, in a root that holds the program alone.

use jiff::Timestamp;
use jiff::civil::time;

use crate::RELEASE;
use crate::applied::{ZONE, ready};
use crate::buckets::{Bucket, DOCUMENT};
use crate::helm::CHART;
use crate::pods::Pod;
use crate::support::kubernetes::{ADMIN_TOKEN, Cluster};

const SETTINGS: &str =
    "controller.allowedEndpoints={http://127.0.0.1:*},controller.scheduleJitter=0s";

#[tokio::test]
async fn the_program_is_all_that_the_chart_s_pod_needs() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace("released").await;
    let name = namespace.name();
    let args = ["install", "sumsq", CHART, "-n", name, "--set", SETTINGS];
    cluster.helm(&args).await.expect_success();
    let pod = Pod::of(&cluster, name, "sumsq").await;
    let program = RELEASE.program();
    let controller = pod.start_program("controller", &program, "").await;
    controller.is_ready().await;
    let report = pod.start_program("report", &program, "").await;
    report.is_ready().await;
    for container in [&controller, &report] {
        assert_eq!(container.status("Uid"), "65532 65532 65532 65532");
        assert_eq!(container.probe("livenessProbe").await, Some(200));
        // Of the host's there is nothing: no library, and no time zone.
        for folder in ["lib", "lib64", "usr", "etc/ssl"] {
            assert!(!container.root().join(folder).exists(), "/{folder}");
        }
    }

    // It reads by TLS and a token from the API server, by HTTP from S3, and keeps the time of a zone.
    let bucket = Bucket::create("released").await;
    bucket.put("counts.csv", DOCUMENT).await;
    ready(&cluster, name, &bucket).await;
    let next = [
        "-n",
        name,
        "get",
        "dsrc",
        "counts",
        "-o=jsonpath={.status.nextFetchTime}",
    ];
    let next = cluster.kubectl(&next).await.expect_success();
    let next: Timestamp = next.parse().unwrap();
    let there = next.in_tz(ZONE).unwrap();
    assert_eq!(there.time(), time(9, 0, 0, 0), "{there}");
    let address = format!("/api/v1/namespaces/{name}/agents/agent%E2%80%911/testing?metric=rate");
    let answer = report.get(8080, &address, Some(ADMIN_TOKEN)).await;
    let (status, body) = answer.unwrap();
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"dataSource\":\"counts\""), "{body}");

    assert_eq!(report.terminate().await, Some(0));
    assert_eq!(controller.terminate().await, Some(0));
}
