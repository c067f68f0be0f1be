//! The operator's own life: restarts, deletions, an API server that goes away.

use std::time::Duration;

use serde_json::json;

use crate::buckets::{Bucket, DOCUMENT};
use crate::operator::{Operator, PATIENCE};
use crate::support::kubernetes::Cluster;
use crate::support::process::wait_for;
use crate::support::s3::Microburst;
use crate::{cluster_with_crds, install_chart};

#[tokio::test]
async fn a_fetch_cut_off_by_a_crash_is_taken_up_as_what_it_was() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("crash").await;
    let bucket = Bucket::create("crash").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let microburst = Microburst::shared().await;
    let hang_once = json!({"service": "s3", "operation": "GetObject", "resource": "crash",
        "timeout_ms": 600_000, "times": 1});
    microburst.rules(json!([hang_once])).await;
    let mut operator = Operator::start(cluster, &namespace).await;
    operator
        .apply(&bucket.data_source_at("counts", &microburst.endpoint()))
        .await;
    wait_for("the fetch under way", PATIENCE, async || {
        (operator.log().contains("fetch begins")).then_some(())
    })
    .await;
    operator.kill();
    operator.launch();
    operator.is_ready().await;
    let status = operator.ready_when("counts", "True", "Imported").await;
    assert_eq!(
        status["history"].as_array().unwrap().len(),
        1,
        "as if nothing had happened"
    );
    assert_eq!(status["history"][0]["trigger"], "Created");
    assert_eq!(status["missedFetches"], 0);

    // At rest a restart fetches nothing and writes nothing.
    let before = operator.object("counts").await.unwrap()["metadata"]["resourceVersion"].clone();
    operator.kill();
    operator.launch();
    operator.is_ready().await;
    wait_for("a look at it", PATIENCE, async || {
        (operator.metric("sumsq_ready{").await == 1).then_some(())
    })
    .await;
    assert_eq!(operator.metric("sumsq_fetches_total").await, 0);
    assert_eq!(operator.metric("sumsq_status_writes_total").await, 0);
    let after = operator.object("counts").await.unwrap()["metadata"]["resourceVersion"].clone();
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_signal_ends_it_within_ten_seconds_whatever_hangs() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("signal").await;
    let bucket = Bucket::create("signal").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let microburst = Microburst::shared().await;
    let hang_once = json!({"service": "s3", "operation": "GetObject", "resource": "signal",
        "timeout_ms": 600_000, "times": 1});
    microburst.rules(json!([hang_once])).await;
    let mut operator = Operator::start(cluster, &namespace).await;
    operator
        .apply(&bucket.data_source_at("counts", &microburst.endpoint()))
        .await;
    wait_for("the fetch under way", PATIENCE, async || {
        (operator.log().contains("fetch begins")).then_some(())
    })
    .await;
    operator.signal("TERM");
    assert_eq!(operator.ended(Duration::from_secs(10)).await, 0);
    assert!(
        operator.log().contains("fetch left to the next start"),
        "{}",
        operator.log()
    );
    operator.launch();
    operator.is_ready().await;
    let status = operator.ready_when("counts", "True", "Imported").await;
    assert_eq!(status["history"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn deletion_policy_delete_takes_the_data_along_also_while_the_operator_was_down() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("delete").await;
    let bucket = Bucket::create("delete").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let mut operator = Operator::start(cluster, &namespace).await;
    let mut resource = bucket.data_source("goes").await;
    resource["spec"]["deletionPolicy"] = json!("Delete");
    operator.apply(&resource).await;
    operator.apply(&bucket.data_source("stays").await).await;
    operator.ready_when("goes", "True", "Imported").await;
    operator.ready_when("stays", "True", "Imported").await;
    let finalizers = |object: serde_json::Value| object["metadata"]["finalizers"].clone();
    let goes = finalizers(operator.object("goes").await.unwrap());
    assert_eq!(goes, json!(["sumsq.dev/delete-data"]));
    assert_eq!(
        finalizers(operator.object("stays").await.unwrap()),
        json!(null)
    );

    operator.kill();
    operator
        .kubectl(&["delete", "dsrc", "goes", "stays", "--wait=false"])
        .await;
    operator.launch();
    operator.is_ready().await;
    wait_for("the deletion", PATIENCE, async || {
        operator.object("goes").await.is_none().then_some(())
    })
    .await;
    operator.signal("TERM");
    operator.ended(Duration::from_secs(10)).await;
    let kept = kept(&operator).await;
    assert_eq!(kept, [("stays".to_owned(), false, 1)], "present: {kept:?}");

    // One of the same name has its data again, and its object is read as new.
    operator.launch();
    operator.is_ready().await;
    operator.apply(&bucket.data_source("stays").await).await;
    let status = operator.ready_when("stays", "True", "").await;
    assert_eq!(status["agentCount"], 1);
    assert_eq!(status["history"].as_array().unwrap().len(), 1);
    assert_eq!(status["history"][0]["trigger"], "Created");

    // The policy may change while the object lives.
    operator
        .patch("stays", &json!({"spec": {"deletionPolicy": "Delete"}}))
        .await;
    wait_for("the finalizer", PATIENCE, async || {
        let object = operator.object("stays").await?;
        (object["metadata"]["finalizers"] == json!(["sumsq.dev/delete-data"])).then_some(())
    })
    .await;
    operator
        .kubectl(&["delete", "dsrc", "stays", "--timeout=60s"])
        .await;
    operator.signal("TERM");
    operator.ended(Duration::from_secs(10)).await;
    assert_eq!(self::kept(&operator).await, []);
}

#[tokio::test]
async fn a_policy_changed_to_retain_while_the_operator_was_down_keeps_the_data() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("retain").await;
    let bucket = Bucket::create("retain").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let mut operator = Operator::start(cluster, &namespace).await;
    let mut resource = bucket.data_source("counts").await;
    resource["spec"]["deletionPolicy"] = json!("Delete");
    operator.apply(&resource).await;
    operator.ready_when("counts", "True", "Imported").await;
    operator.kill();
    operator
        .patch("counts", &json!({"spec": {"deletionPolicy": "Retain"}}))
        .await;
    operator
        .kubectl(&["delete", "dsrc", "counts", "--wait=false"])
        .await;
    operator.launch();
    operator.is_ready().await;
    wait_for("the deletion", PATIENCE, async || {
        operator.object("counts").await.is_none().then_some(())
    })
    .await;
    operator.signal("TERM");
    operator.ended(Duration::from_secs(10)).await;
    assert_eq!(kept(&operator).await, [("counts".to_owned(), false, 1)]);
}

#[tokio::test]
async fn a_namespace_made_anew_while_the_operator_was_down_inherits_nothing() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("anew").await;
    let bucket = Bucket::create("anew").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let mut operator = Operator::start(cluster, &namespace).await;
    let resource = bucket.data_source("counts").await;
    operator.apply(&resource).await;
    operator.ready_when("counts", "True", "Imported").await;
    operator.kill();
    let name = namespace.name();
    for command in [
        &["delete", "namespace", name, "--timeout=60s"][..],
        &["create", "namespace", name],
    ] {
        cluster.kubectl(command).await.expect_success();
    }
    operator.apply(&resource).await;
    operator.launch();
    operator.is_ready().await;
    let status = operator.ready_when("counts", "True", "Imported").await;
    assert_eq!(status["history"][0]["changedAgentDays"], 1);
    operator.signal("TERM");
    operator.ended(Duration::from_secs(10)).await;
    let mut kept = kept(&operator).await;
    kept.sort();
    assert_eq!(
        kept,
        [
            ("counts".to_owned(), false, 1),
            ("counts".to_owned(), true, 1)
        ],
        "the old namespace's data stay, and are listed no more"
    );
}

/// What the store of an operator that has ended holds: name, present, agents.
async fn kept(operator: &Operator) -> Vec<(String, bool, u64)> {
    use sumsq::store::Store;
    let store = sumsq::store::sqlite::Sqlite::open(&operator.store())
        .await
        .unwrap();
    let rows = store.sources().await.unwrap();
    store.close().await;
    rows.into_iter()
        .map(|row| (row.key.name, row.present, row.agent_count))
        .collect()
}

#[tokio::test]
async fn an_api_server_that_goes_away_loses_nothing() {
    // A cluster of its own: the others must not notice.
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start().await));
    install_chart(cluster).await;
    let namespace = cluster.namespace("away").await;
    let bucket = Bucket::create("away").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let mut operator = Operator::start(cluster, &namespace).await;
    let mut resource = bucket.data_source("counts").await;
    resource["spec"]["schedule"] = json!("* * * * *");
    operator.apply(&resource).await;
    operator.ready_when("counts", "True", "Imported").await;
    cluster.stop_api_server();
    // The slot fires all the same; its news wait for the API server.
    wait_for("the fetch while nobody listens", PATIENCE * 2, async || {
        (operator.metric("sumsq_fetches_total").await >= 2).then_some(())
    })
    .await;
    cluster.start_api_server().await;
    let status = operator
        .status_when("counts", "the news", |status| {
            status["history"]
                .as_array()
                .is_some_and(|history| history.len() >= 2)
        })
        .await;
    let before = status["history"].as_array().unwrap().len();

    // And once more, with a restart while there is no API server: it waits for it.
    cluster.stop_api_server();
    operator.kill();
    operator.launch();
    wait_for("life", PATIENCE, async || operator.get("healthz").await).await;
    assert_eq!(operator.get("readyz").await, None, "nothing is listed yet");
    cluster.start_api_server().await;
    operator.is_ready().await;
    let status = operator
        .status_when("counts", "the slot after the restart", |status| {
            status["history"]
                .as_array()
                .is_some_and(|history| history.len() > before)
        })
        .await;
    assert_eq!(status["missedFetches"], 0);
    let mut slots = Vec::new();
    for entry in status["history"].as_array().unwrap() {
        if entry["trigger"] == "Schedule" {
            slots.push(entry["startedAt"].as_str().unwrap()[..16].to_owned());
        }
    }
    let all = slots.len();
    slots.dedup();
    assert_eq!(slots.len(), all, "a slot ran twice: {slots:?}");
    cluster.stop_api_server();
}
