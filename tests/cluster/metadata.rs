//! What others write beside the spec.

use serde_json::json;

use crate::buckets::{Bucket, DOCUMENT};
use crate::cluster_with_crds;
use crate::operator::Operator;
use crate::plugin::Person;

/// The API server takes any time of whoever may patch the object; this one is later than the client
/// library can tell.
#[tokio::test]
async fn records_of_managers_that_nobody_can_read_hold_up_nothing() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("managers").await;
    let bucket = Bucket::create("managers").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let mut operator = Operator::start(cluster, &namespace).await;
    let mut source = bucket.data_source("odd").await;
    source["metadata"]["labels"] = json!({"a": "b"});
    operator.apply(&source).await;
    let agent = json!({"apiVersion": "sumsq.dev/v1alpha1", "kind": "Agent",
        "metadata": {"name": "odd", "labels": {"a": "b"}}, "spec": {}});
    operator.apply(&agent).await;
    operator.ready_when("odd", "True", "Imported").await;
    let manager = json!({"manager": "x", "operation": "Update", "fieldsType": "FieldsV1",
        "apiVersion": "sumsq.dev/v1alpha1", "time": "9999-12-31T00:00:00Z",
        "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}}});
    let patch = json!({"metadata": {"managedFields": [manager]}}).to_string();
    for object in ["dsrc/odd", "agent/odd"] {
        let patched = ["patch", object, "--type=merge", "-p", &patch];
        operator.kubectl(&patched).await;
        let shown = ["get", object, "--show-managed-fields", "-o", "yaml"];
        let shown = operator.kubectl(&shown).await;
        assert!(shown.contains("9999-12-31T00:00:00Z"), "{shown}");
    }

    // Watched, and then listed.
    for name in ["watched", "listed"] {
        operator.apply(&bucket.data_source(name).await).await;
        operator.ready_when(name, "True", "Imported").await;
        operator
            .annotate("odd", &format!("sumsq.dev/fetch-requested-at={name}"))
            .await;
        operator
            .status_when("odd", name, |status| {
                status["lastHandledFetchRequest"] == name
            })
            .await;
        operator.kill();
        operator.launch();
        operator.is_ready().await;
    }
    let log = operator.log();
    assert!(!log.contains("the watch of"), "{log}");

    let person = Person::new(cluster, &namespace);
    for args in [
        &["status"][..],
        &["why", "odd"],
        &["fetch", "odd", "--wait"],
    ] {
        person.sumsq(args).await.expect_success();
    }
}
