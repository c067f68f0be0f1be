//! The Pods of the chart, run: who they are, what they may write, and whether their probes answer.

pub use crate::applied::ready;
use crate::buckets::{Bucket, DOCUMENT};
use crate::helm::CHART;
use crate::pods::{Pod, Running};
use crate::support::kubernetes::ADMIN_TOKEN;
use crate::support::process::wait_for;
use crate::{PATIENCE, SETTINGS, cluster};

/// Who it runs as, and that it can write nowhere but into its volumes.
fn is_confined(container: &Running, writable: &[&str]) {
    assert_eq!(container.status("Uid"), "65532 65532 65532 65532");
    assert_eq!(container.status("Gid"), "65532 65532 65532 65532");
    assert_eq!(container.status("CapEff"), "0000000000000000");
    assert_eq!(container.status("CapPrm"), "0000000000000000");
    assert_eq!(container.status("NoNewPrivs"), "1");
    // Read as the process sees it: root and libraries are read-only for whomever asks.
    for folder in [
        "",
        "usr/lib",
        "etc",
        "var/run/secrets/kubernetes.io/serviceaccount",
    ] {
        let path = container.root().join(folder).join("written");
        let refused = std::fs::write(&path, "").unwrap_err();
        let kind = std::io::ErrorKind::ReadOnlyFilesystem;
        assert_eq!(refused.kind(), kind, "/{folder}");
    }
    for folder in writable {
        let path = container.root().join(folder).join("written");
        std::fs::write(&path, "").unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn beside_each_other_on_sqlite() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("running").await;
    let name = namespace.name();
    let settings = format!("{SETTINGS},namespace={name}");
    let args = ["install", "sumsq", CHART, "-n", name, "--set", &settings];
    cluster.helm(&args).await.expect_success();
    let pod = Pod::of(cluster, name, "sumsq").await;
    // The report server waits for the store that the operator makes: it lives, and is not ready.
    let report = pod.start("report").await;
    wait_for("the report server's life", PATIENCE, async || {
        (report.probe("livenessProbe").await == Some(200)).then_some(())
    })
    .await;
    assert_eq!(report.probe("readinessProbe").await, Some(503));
    let controller = pod.start("controller").await;
    controller.is_ready().await;
    report.is_ready().await;
    assert_eq!(controller.probe("livenessProbe").await, Some(200));
    is_confined(&controller, &["tmp", "var/lib/sumsq"]);
    is_confined(&report, &["tmp", "var/lib/sumsq"]);

    // It works: a file comes in, and is reported to somebody who may read it.
    let bucket = Bucket::create("running").await;
    bucket.put("counts.csv", DOCUMENT).await;
    ready(cluster, name, &bucket).await;
    let address = format!("/api/v1/namespaces/{name}/agents/agent%E2%80%911/testing?metric=rate");
    let token = ADMIN_TOKEN;
    let answer = report.get(8080, &address, Some(token)).await;
    let (status, body) = answer.unwrap();
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"dataSource\":\"counts\""), "{body}");
    let nobody = report.get(8080, &address, None).await;
    assert_eq!(nobody.map(|(status, _)| status), Some(401));
    assert!(pod.volume("store").join("sumsq.db").exists());

    assert_eq!(report.terminate().await, Some(0));
    assert_eq!(controller.terminate().await, Some(0));
}
