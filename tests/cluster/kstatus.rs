//! What tools make of the conditions that wait for a resource as Flux and Argo CD do.

use serde_json::{Value, json};

use crate::buckets::{Bucket, DOCUMENT};
use crate::cluster_with_crds;
use crate::operator::{Operator, condition};

/// kstatus' rules for custom resources.
fn kstatus(object: &Value) -> &'static str {
    let status = &object["status"];
    let is = |kind: &str, state: &str| {
        condition(status, kind).is_some_and(|condition| condition["status"] == state)
    };
    let observed = &status["observedGeneration"];
    if is("Stalled", "True") {
        "Failed"
    } else if *observed != object["metadata"]["generation"]
        || is("Reconciling", "True")
        || is("Ready", "False")
        || is("Ready", "Unknown")
    {
        "InProgress"
    } else {
        "Current"
    }
}

#[tokio::test]
async fn kstatus_calls_it_current_when_it_is_fetched_and_not_before() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("kstatus").await;
    let bucket = Bucket::create("kstatus").await;
    let mut operator = Operator::start(cluster, &namespace).await;
    operator.kill();
    // Nobody has looked at it yet.
    operator.apply(&bucket.data_source("counts").await).await;
    assert_eq!(
        kstatus(&operator.object("counts").await.unwrap()),
        "InProgress"
    );
    operator.launch();
    operator.is_ready().await;
    operator.ready_when("counts", "False", "NoSuchKey").await;
    assert_eq!(
        kstatus(&operator.object("counts").await.unwrap()),
        "InProgress"
    );
    bucket.put("counts.csv", DOCUMENT).await;
    operator
        .annotate("counts", "sumsq.dev/fetch-requested-at=now")
        .await;
    operator.ready_when("counts", "True", "Imported").await;
    assert_eq!(
        kstatus(&operator.object("counts").await.unwrap()),
        "Current"
    );
    operator
        .patch("counts", &json!({"spec": {"schedule": "never"}}))
        .await;
    operator
        .ready_when("counts", "False", "InvalidSchedule")
        .await;
    assert_eq!(kstatus(&operator.object("counts").await.unwrap()), "Failed");
}
