//! What goes wrong, what is said of it, and that it mends.

use std::time::Duration;

use serde_json::{Value, json};
use sumsq::domain::data_source::SourceKey;
use sumsq::domain::description::Description;
use sumsq::store::Store;
use sumsq::store::sqlite::Sqlite;

use crate::buckets::{Bucket, DOCUMENT};
use crate::operator::{Operator, PATIENCE, condition};
use crate::support::kubernetes::Cluster;
use crate::support::process::wait_for;
use crate::support::s3::Microburst;
use crate::{cluster_with_crds, install_chart};

#[tokio::test]
async fn a_missing_file_is_told_once_and_its_arrival_is_a_recovery() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("missing").await;
    let bucket = Bucket::create("missing").await;
    let operator = Operator::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("counts").await).await;
    let status = operator.ready_when("counts", "False", "NoSuchKey").await;
    let error = &status["history"][0]["error"];
    assert_eq!(error["code"], "NoSuchKey");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("does not exist"),
        "{error}"
    );
    assert!(error["hint"].as_str().unwrap().contains("key"), "{error}");
    let reconciling = condition(&status, "Reconciling").unwrap();
    assert_eq!(reconciling["reason"], "WaitingForRetry");
    let message = condition(&status, "Ready").unwrap()["message"]
        .as_str()
        .unwrap();
    assert!(message.contains("will be retried at 20"), "{message}");

    // Asked again: the same failure is the same entry, and no news.
    operator
        .annotate("counts", "sumsq.dev/fetch-requested-at=one")
        .await;
    let status = operator
        .status_when("counts", "a second attempt", |status| {
            status["history"][0]["attempts"] == 2
        })
        .await;
    assert_eq!(status["history"].as_array().unwrap().len(), 1);
    assert_eq!(status["lastHandledFetchRequest"], "one");
    assert_eq!(operator.events("counts").await.len(), 1);

    bucket.put("counts.csv", DOCUMENT).await;
    operator
        .annotate("counts", "sumsq.dev/fetch-requested-at=two")
        .await;
    let status = operator.ready_when("counts", "True", "Imported").await;
    assert!(condition(&status, "Reconciling").is_none());
    let events = wait_for("both events", PATIENCE, async || {
        Some(operator.events("counts").await).filter(|events| events.len() == 2)
    })
    .await;
    let kinds: Vec<_> = events
        .iter()
        .map(|(kind, reason, _)| (kind.as_str(), reason.as_str()))
        .collect();
    assert_eq!(kinds, [("Warning", "NoSuchKey"), ("Normal", "Recovered")]);
}

#[tokio::test]
async fn a_wrong_bucket_and_a_wrong_region_are_mended_as_the_hint_says() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("mistakes").await;
    let bucket = Bucket::create("mistakes").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let microburst = Microburst::shared().await;
    let operator = Operator::start(cluster, &namespace).await;
    let mut wrong_bucket = bucket.data_source("bucket").await;
    wrong_bucket["spec"]["source"]["s3"]["bucket"] = json!("misteaks");
    operator.apply(&wrong_bucket).await;
    // Behind the proxy, which names the region's own host, the server is as strict as AWS.
    let mut wrong_region = bucket.data_source_at("region", &microburst.endpoint());
    wrong_region["spec"]["source"]["s3"]["region"] = json!("eu-west-2");
    operator.apply(&wrong_region).await;
    for (name, reason, says, patch) in [
        (
            "bucket",
            "NoSuchBucket",
            "There is no bucket \"misteaks\"",
            json!({"bucket": "mistakes"}),
        ),
        (
            "region",
            "PermanentRedirect",
            "Set `region` to us-east-1: bucket mistakes is there",
            json!({"region": "us-east-1"}),
        ),
    ] {
        let status = operator.ready_when(name, "False", reason).await;
        let message = condition(&status, "Ready").unwrap()["message"].as_str();
        let message = message.unwrap();
        assert!(message.contains(says), "{message}");
        operator
            .patch(name, &json!({"spec": {"source": {"s3": patch}}}))
            .await;
        operator.ready_when(name, "True", "Imported").await;
    }
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_stays_broken_until_it_changes() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("broken").await;
    let bucket = Bucket::create("broken").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("counts").await).await;
    operator.ready_when("counts", "True", "Imported").await;

    bucket
        .put("counts.csv", DOCUMENT.replace("1710720000", "2024-03-18"))
        .await;
    operator
        .annotate("counts", "sumsq.dev/fetch-requested-at=one")
        .await;
    let status = operator.ready_when("counts", "False", "InvalidCsv").await;
    let error = &status["history"][0]["error"];
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("line 2, column Date: \"2024-03-18\""),
        "{message}"
    );
    assert!(
        error["hint"].as_str().unwrap().contains("1710720000"),
        "{error}"
    );
    assert_eq!(
        status["agentCount"], 1,
        "what was imported before is still there"
    );
    assert!(status["lastSuccessTime"].is_string());

    // 304 against the refused object stays the error.
    operator
        .annotate("counts", "sumsq.dev/fetch-requested-at=two")
        .await;
    let status = operator
        .status_when("counts", "echo", |status| {
            status["lastHandledFetchRequest"] == "two"
        })
        .await;
    assert_eq!(condition(&status, "Ready").unwrap()["reason"], "InvalidCsv");
    assert_eq!(status["history"][0]["attempts"], 2);

    bucket.put("counts.csv", DOCUMENT).await;
    operator
        .annotate("counts", "sumsq.dev/fetch-requested-at=three")
        .await;
    operator.ready_when("counts", "True", "").await;
}

#[tokio::test]
async fn an_impossible_sum_of_squares_is_refused_where_asked() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("reject").await;
    let bucket = Bucket::create("reject").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    let mut resource = bucket.data_source("counts").await;
    resource["spec"]["onIntegrityProblem"] = json!("Reject");
    operator.apply(&resource).await;
    operator
        .ready_when("counts", "False", "IntegrityProblem")
        .await;
    operator
        .patch("counts", &json!({"spec": {"onIntegrityProblem": "Warn"}}))
        .await;
    operator.ready_when("counts", "True", "Imported").await;
}

#[tokio::test]
async fn only_cron_and_zone_stall() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("stalled").await;
    let bucket = Bucket::create("stalled").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    for (name, spec, reason, words) in [
        (
            "cron",
            json!({"schedule": "every day"}),
            "InvalidSchedule",
            "five fields",
        ),
        (
            "never",
            json!({"schedule": "0 9 31 2 *"}),
            "InvalidSchedule",
            "never fires",
        ),
        (
            "zone",
            json!({"timeZone": "Europe/Berlim"}),
            "InvalidTimeZone",
            "not an IANA time zone",
        ),
    ] {
        let mut resource = bucket.data_source(name).await;
        for (field, value) in spec.as_object().unwrap() {
            resource["spec"][field] = value.clone();
        }
        operator.apply(&resource).await;
        let status = operator.ready_when(name, "False", reason).await;
        let stalled = condition(&status, "Stalled").unwrap();
        assert_eq!(stalled["status"], "True");
        assert!(
            stalled["message"].as_str().unwrap().contains(words),
            "{stalled}"
        );
        assert_eq!(status["history"], Value::Null);
        // The report server beside it says so too.
        let described = description(&operator, namespace.name(), name).await;
        assert_eq!(described.display_name, name);
        let told = described.stalled.unwrap();
        assert_eq!(told.reason, reason);
        assert_eq!(told.message, stalled["message"]);
    }
    assert_eq!(operator.metric("sumsq_stalled{").await, 3);
    operator
        .patch("zone", &json!({"spec": {"timeZone": "Europe/Berlin"}}))
        .await;
    let status = operator.ready_when("zone", "True", "Imported").await;
    assert!(condition(&status, "Stalled").is_none());
    let described = description(&operator, namespace.name(), "zone").await;
    assert_eq!(
        (&*described.time_zone, described.stalled),
        ("Europe/Berlin", None)
    );
    // What was read while it could be is still known when it can't any more.
    operator
        .patch("zone", &json!({"spec": {"timeZone": "Europe/Berlim"}}))
        .await;
    operator
        .ready_when("zone", "False", "InvalidTimeZone")
        .await;
    let described = description(&operator, namespace.name(), "zone").await;
    assert_eq!(described.time_zone, "Europe/Berlin");
    assert!(described.stalled.is_some() && !described.goals.is_empty());
}

/// As report servers read it.
async fn description(operator: &Operator, namespace: &str, name: &str) -> Description {
    let store = Sqlite::open_read_only(&operator.store()).await.unwrap();
    let key = SourceKey {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let source = store.source(&key).await.unwrap().expect("the source");
    source.description.expect("it is described")
}

#[tokio::test]
async fn a_missing_secret_may_come_later_and_is_never_shown() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("secret").await;
    let bucket = Bucket::create("secret").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    let mut resource = bucket.data_source("counts").await;
    resource["spec"]["source"]["s3"]["secretRef"] = json!({"name": "s3-credentials"});
    operator.apply(&resource).await;
    let status = operator
        .ready_when("counts", "False", "SecretNotFound")
        .await;
    assert!(condition(&status, "Stalled").is_none());
    // It comes, and the retry finds it: nobody has to ask.
    let secret = [
        "create",
        "secret",
        "generic",
        "s3-credentials",
        "--from-literal=accessKeyId=test",
        "--from-literal=secretAccessKey=do-not-tell",
    ];
    operator.kubectl(&secret).await;
    // A Secret that does not say what it is for is none, whatever its name.
    operator
        .annotate("counts", "sumsq.dev/fetch-requested-at=one")
        .await;
    let status = operator
        .ready_when("counts", "False", "SecretNotLabeled")
        .await;
    let hint = status["history"][0]["error"]["hint"].as_str().unwrap();
    let (_, command) = hint.split_once("kubectl ").expect("a command");
    // As it stands there.
    let label: Vec<&str> = command.split(' ').collect();
    cluster.kubectl(&label).await.expect_success();
    let status = operator.ready_when("counts", "True", "Imported").await;
    assert_eq!(status["history"][0]["trigger"], "Retry");
    assert!(!status.to_string().contains("do-not-tell"));
    assert!(!operator.log().contains("do-not-tell"));
}

#[tokio::test]
async fn a_hanging_endpoint_holds_up_nobody_else_and_a_new_spec_cancels_it() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("hanging").await;
    let bucket = Bucket::create("hanging").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let microburst = Microburst::shared().await;
    let hang = json!({"service": "s3", "operation": "GetObject", "resource": "hanging", "timeout_ms": 600_000});
    microburst.rules(json!([hang])).await;
    let operator = Operator::start_with(cluster, &namespace, &["--concurrency", "2"]).await;
    operator
        .apply(&bucket.data_source_at("hangs", &microburst.endpoint()))
        .await;

    // After five seconds it shows.
    let status = operator
        .status_when("hangs", "Reconciling", |status| {
            condition(status, "Reconciling").is_some()
        })
        .await;
    assert_eq!(
        condition(&status, "Reconciling").unwrap()["reason"],
        "Fetching"
    );
    assert_eq!(condition(&status, "Ready").unwrap()["status"], "Unknown");
    assert_eq!(operator.metric("sumsq_fetches_in_flight").await, 1);

    operator.apply(&bucket.data_source("goes").await).await;
    operator.ready_when("goes", "True", "Imported").await;

    // Another endpoint: the fetch under way is of no use any more.
    let direct = bucket.data_source("hangs").await;
    operator.apply(&direct).await;
    let status = operator.ready_when("hangs", "True", "Imported").await;
    assert_eq!(
        status["history"].as_array().unwrap().len(),
        1,
        "a cancelled fetch leaves no entry"
    );
    wait_for("the worker", Duration::from_secs(10), async || {
        (operator.metric("sumsq_fetches_in_flight").await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_namespace_whose_sources_hang_does_not_hold_up_another() {
    // A cluster of its own: this operator looks after all of its namespaces.
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start().await));
    install_chart(cluster).await;
    let crowd = cluster.namespace("crowd").await;
    let other = cluster.namespace("other").await;
    let bucket = Bucket::create("fairness").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let microburst = Microburst::shared().await;
    let hang = json!({"service": "s3", "operation": "GetObject", "resource": "fairness", "timeout_ms": 600_000});
    microburst.rules(json!([hang])).await;
    let operator = Operator::start_for_all(cluster, &other, &["--concurrency", "3"]).await;
    for number in 0..6 {
        let hangs = bucket.data_source_at(&format!("hangs-{number}"), &microburst.endpoint());
        let applied = cluster.apply(crowd.name(), &hangs.to_string()).await;
        applied.expect_success();
    }
    let crowded = async || {
        let running = operator.metric("sumsq_fetches_in_flight").await;
        let queued = operator.metric("sumsq_fetch_queue_depth").await;
        (running, queued)
    };
    wait_for("the crowd", PATIENCE, async || {
        (crowded().await == (2, 4)).then_some(())
    })
    .await;

    for name in ["first", "second", "third"] {
        operator.apply(&bucket.data_source(name).await).await;
    }
    for name in ["first", "second", "third"] {
        operator.ready_when(name, "True", "Imported").await;
    }
    wait_for("the free worker", PATIENCE, async || {
        (crowded().await == (2, 4)).then_some(())
    })
    .await;

    // What is deleted is not fetched any more, whether it hangs or waits.
    let delete = ["-n", crowd.name(), "delete", "dsrc", "--all"];
    cluster.kubectl(&delete).await.expect_success();
    wait_for("free workers", Duration::from_secs(10), async || {
        (crowded().await == (0, 0)).then_some(())
    })
    .await;
    cluster.stop_api_server();
}
