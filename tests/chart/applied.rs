//! What a user applies, and what becomes of it.

use serde_json::Value;

use crate::PATIENCE;
use crate::buckets::Bucket;
use crate::support::kubernetes::Cluster;
use crate::support::process::wait_for;

/// Of [`ready`]'s schedule.
pub const ZONE: &str = "Europe/Berlin";

/// A DataSource that reads the bucket with keys from a Secret, once it has.
pub async fn ready(cluster: &Cluster, namespace: &str, bucket: &Bucket) {
    let secret = ["create", "secret", "generic", "keys", "-n", namespace];
    let keys = [
        "--from-literal=accessKeyId=test",
        "--from-literal=secretAccessKey=test",
    ];
    let secret = [&secret[..], &keys].concat();
    cluster.kubectl(&secret).await.expect_success();
    let label = [
        "label",
        "secret",
        "keys",
        "sumsq.dev/credentials=true",
        "-n",
        namespace,
    ];
    cluster.kubectl(&label).await.expect_success();
    let mut source = bucket.data_source("counts").await;
    source["spec"]["source"]["s3"]["secretRef"] = serde_json::json!({"name": "keys"});
    // Whose times a Pod must know without any file of the host's.
    source["spec"]["timeZone"] = ZONE.into();
    let source = source.to_string();
    let applied = cluster.apply(namespace, &source);
    applied.await.expect_success();
    wait_for("the import", PATIENCE, async || {
        condition(cluster, namespace, "datasource/counts", "Ready", "Imported").await
    })
    .await;
}

/// Some, where an object's condition has this reason.
pub async fn condition(
    cluster: &Cluster,
    namespace: &str,
    object: &str,
    kind: &str,
    reason: &str,
) -> Option<()> {
    let args = ["-n", namespace, "get", object, "-o", "json"];
    let found = cluster.kubectl(&args).await;
    let found = found.status.success().then_some(found.stdout)?;
    let found: Value = serde_json::from_str(&found).unwrap();
    let conditions = found["status"]["conditions"].as_array()?;
    let condition = conditions
        .iter()
        .find(|condition| condition["type"] == kind)?;
    (condition["reason"] == reason).then_some(())
}
