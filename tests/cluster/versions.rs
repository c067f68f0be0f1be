//! Objects that another version of the operator wrote, or let in.

use serde_json::{Value, json};

use crate::buckets::{Bucket, DOCUMENT};
use crate::install_chart;
use crate::operator::{Operator, PATIENCE, condition};
use crate::support::kubernetes::Cluster;
use crate::support::process::wait_for;

/// Adds a `dating` and a trigger that this version does not know, as a newer one's definition may.
async fn widen_definition(cluster: &Cluster) {
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties";
    let trigger = "status/properties/history/items/properties/trigger/enum/-";
    let patch = json!([
        {"op": "add", "path": format!("{schema}/spec/properties/dating/enum/-"), "value": "Session"},
        {"op": "add", "path": format!("{schema}/{trigger}"), "value": "Webhook"},
    ])
    .to_string();
    let crd = "crd/datasources.sumsq.dev";
    cluster
        .kubectl(&["patch", crd, "--type=json", "-p", &patch])
        .await
        .expect_success();
}

async fn newer(bucket: &Bucket, name: &str) -> Value {
    let mut resource = bucket.data_source(name).await;
    resource["spec"]["dating"] = json!("Session");
    resource
}

fn says_why(status: &Value) {
    let stalled = condition(status, "Stalled").unwrap();
    let message = stalled["message"].as_str().unwrap();
    assert!(
        message.contains("cannot read spec.dating: unknown variant `Session`"),
        "{message}"
    );
}

#[tokio::test]
async fn an_object_that_this_version_cannot_read_holds_up_no_other() {
    // A cluster of its own: the others hold objects to the definition as it is.
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start().await));
    install_chart(cluster).await;
    widen_definition(cluster).await;
    let namespace = cluster.namespace("versions").await;
    let bucket = Bucket::create("versions").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let first = newer(&bucket, "first").await;
    wait_for("the wider definition", PATIENCE, async || {
        let applied = cluster.apply(namespace.name(), &first.to_string()).await;
        applied.status.success().then_some(())
    })
    .await;

    // It is in the first list, and another comes while the operator watches.
    let mut operator = Operator::start(cluster, &namespace).await;
    let mut known = bucket.data_source("known").await;
    known["spec"]["deletionPolicy"] = json!("Delete");
    operator.apply(&known).await;
    operator.ready_when("known", "True", "Imported").await;
    operator.apply(&newer(&bucket, "second").await).await;
    operator.apply(&bucket.data_source("later").await).await;
    operator.ready_when("later", "True", "Imported").await;
    for name in ["first", "second"] {
        let status = operator.ready_when(name, "False", "UnreadableSpec").await;
        says_why(&status);
        assert_eq!(status["history"], Value::Null);
        let told = wait_for("the event", PATIENCE, async || {
            operator.events(name).await.into_iter().next()
        })
        .await;
        assert_eq!(
            (told.0.as_str(), told.1.as_str()),
            ("Warning", "UnreadableSpec")
        );
    }
    assert_eq!(operator.metric("sumsq_stalled{").await, 2);
    let writes = operator.metric("sumsq_status_writes_total").await;
    assert_eq!(writes, 4, "one for each object");

    // What this version knows is read again.
    operator
        .patch("first", &json!({"spec": {"dating": "Event"}}))
        .await;
    operator.ready_when("first", "True", "Imported").await;

    // What was read before is still told, and can be deleted.
    operator
        .patch("known", &json!({"spec": {"dating": "Session"}}))
        .await;
    let status = operator
        .ready_when("known", "False", "UnreadableSpec")
        .await;
    says_why(&status);
    assert_eq!(status["agentCount"], 1);
    assert_eq!(status["history"].as_array().unwrap().len(), 1);
    operator
        .kubectl(&["delete", "dsrc", "known", "--timeout=60s"])
        .await;

    // A status of another version's is written anew.
    operator.kill();
    let status = json!({"status": {"history": [{"id": "1", "trigger": "Webhook", "attempts": 1,
        "startedAt": "2026-01-05T09:00:00Z", "result": "Imported"}]}});
    let status = status.to_string();
    let patch = ["patch", "dsrc", "later", "--subresource=status"];
    operator
        .kubectl(&[&patch[..], &["--type=merge", "-p", &status]].concat())
        .await;
    operator.launch();
    operator.is_ready().await;
    let status = operator
        .status_when("later", "its own history", |status| {
            status["history"][0]["trigger"] == "Created"
        })
        .await;
    assert_eq!(condition(&status, "Ready").unwrap()["status"], "True");
    cluster.stop_api_server();
}
