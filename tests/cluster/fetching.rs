//! From `kubectl apply` to the numbers in status, events and metrics.

use serde_json::{Value, json};

use crate::buckets::{Bucket, DOCUMENT};
use crate::cluster_with_crds;
use crate::operator::{Operator, PATIENCE, condition};
use crate::support::process::wait_for;
use crate::support::s3::S3;

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story, told to its end")]
async fn the_documents_example_is_fetched_and_shown() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("document").await;
    let bucket = Bucket::create("document").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    operator
        .apply(&bucket.data_source("internal-conversions").await)
        .await;

    // The way in which scripts wait.
    let wait = [
        "wait",
        "--for=condition=Ready",
        "dsrc/internal-conversions",
        "--timeout=60s",
    ];
    operator.kubectl(&wait).await;
    let status = operator.status("internal-conversions").await;
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(status["agentCount"], 1);
    assert_eq!(status["agents"], json!(["agent\u{2011}1"]));
    assert_eq!(status["rows"], 2);
    assert_eq!(
        (&status["firstDay"], &status["lastDay"]),
        (&json!("2024-03-18"), &json!("2024-03-18"))
    );
    assert_eq!(status["missedFetches"], 0);
    assert_eq!(status["reader"], "arn:aws:iam::000000000000:root");
    let newest = &status["history"][0];
    assert_eq!(
        (&newest["trigger"], &newest["result"]),
        (&json!("Created"), &json!("Imported"))
    );
    assert_eq!(
        (&newest["rows"], &newest["changedAgentDays"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(newest["bytes"], DOCUMENT.len());
    // The document's own number for B is no sum of squares: that is told.
    assert_eq!(newest["warningCount"], 1);
    assert!(
        newest["warnings"][0]
            .as_str()
            .unwrap()
            .contains("450.1504 is too small"),
        "{newest}"
    );
    assert_eq!(
        condition(&status, "Ready").unwrap()["message"],
        "1 agent, 2 rows, 2024-03-18, 1 warning"
    );
    assert!(condition(&status, "Reconciling").is_none());
    assert!(condition(&status, "Stalled").is_none());
    assert!(
        status["nextFetchTime"]
            .as_str()
            .unwrap()
            .ends_with("T09:00:00Z")
    );

    let table = operator.kubectl(&["get", "dsrc"]).await;
    let header: Vec<_> = table
        .lines()
        .next()
        .unwrap()
        .split("  ")
        .filter(|cell| !cell.is_empty())
        .collect();
    let header: Vec<_> = header.iter().map(|cell| cell.trim()).collect();
    assert_eq!(
        header,
        [
            "NAME",
            "READY",
            "AGENTS",
            "LAST SUCCESS",
            "NEXT",
            "REASON",
            "AGE"
        ]
    );
    assert!(!table.contains("<invalid>"), "{table}");
    assert_eq!(
        operator
            .kubectl(&["get", "sumsq", "-o", "name"])
            .await
            .trim(),
        "datasource.sumsq.dev/internal-conversions"
    );

    let events = wait_for("the event", PATIENCE, async || {
        Some(operator.events("internal-conversions").await).filter(|events| !events.is_empty())
    })
    .await;
    assert_eq!(
        events,
        [(
            "Normal".into(),
            "Imported".into(),
            "1 agent, 2 rows, 2024-03-18, 1 warning".into()
        )]
    );
    // One fetch, one write; and none at rest, whatever else is touched.
    assert_eq!(operator.metric("sumsq_status_writes_total").await, 1);
    operator
        .annotate("internal-conversions", "example.com/note=other")
        .await;
    operator
        .kubectl(&["label", "dsrc", "internal-conversions", "a=b"])
        .await;
    operator
        .patch(
            "internal-conversions",
            &json!({"spec": {"displayName": "Renamed"}}),
        )
        .await;
    operator
        .status_when("internal-conversions", "the generation", |status| {
            status["observedGeneration"] == 2
        })
        .await;
    assert_eq!(operator.metric("sumsq_status_writes_total").await, 2);
    assert_eq!(operator.metric("sumsq_fetches_total").await, 1);
}

#[tokio::test]
async fn annotations_fetch_now_and_are_echoed() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("annotations").await;
    let bucket = Bucket::create("annotations").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("counts").await).await;
    operator.ready_when("counts", "True", "Imported").await;

    operator
        .annotate("counts", "sumsq.dev/fetch-requested-at=one")
        .await;
    let status = operator
        .status_when("counts", "echo", |status| {
            status["lastHandledFetchRequest"] == "one"
        })
        .await;
    assert_eq!(status["history"][0]["trigger"], "Manual");
    assert_eq!(status["history"][0]["result"], "NotModified");
    assert_eq!(condition(&status, "Ready").unwrap()["status"], "True");

    operator
        .annotate("counts", "sumsq.dev/force-fetch-requested-at=one")
        .await;
    let status = operator
        .status_when("counts", "echo", |status| {
            status["lastHandledForceFetchRequest"] == "one"
        })
        .await;
    assert_eq!(status["history"][0]["result"], "Imported");
    assert_eq!(
        status["history"][0]["changedAgentDays"], 0,
        "the same content is not written"
    );

    bucket
        .put("counts.csv", DOCUMENT.replace(",10,1,1,", ",20,1,1,"))
        .await;
    operator
        .annotate("counts", "sumsq.dev/fetch-requested-at=two")
        .await;
    let status = operator
        .status_when("counts", "echo", |status| {
            status["lastHandledFetchRequest"] == "two"
        })
        .await;
    assert_eq!(status["history"][0]["changedAgentDays"], 1);
    assert_eq!(status["history"].as_array().unwrap().len(), 4);
    // Four fetches, four writes of status; one event, since nothing was new but the first.
    assert_eq!(operator.metric("sumsq_status_writes_total").await, 4);
    assert_eq!(operator.events("counts").await.len(), 1);
}

#[tokio::test]
async fn a_slot_of_the_schedule_fetches() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("schedule").await;
    let bucket = Bucket::create("schedule").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    let mut resource = bucket.data_source("counts").await;
    resource["spec"]["schedule"] = json!("* * * * *");
    resource["spec"]["timeZone"] = json!("Australia/Lord_Howe");
    operator.apply(&resource).await;
    let status = operator
        .status_when("counts", "a fetch by schedule", |status| {
            status["history"][0]["trigger"] == "Schedule"
        })
        .await;
    assert_eq!(status["history"][0]["result"], "NotModified");
    let started = status["history"][0]["startedAt"].as_str().unwrap();
    let second: u32 = started[17..19].parse().unwrap();
    assert!(second < 10, "it began on the minute: {started}");
}

#[tokio::test]
async fn a_change_of_the_spec_fetches_and_other_edits_do_not() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("spec-change").await;
    let bucket = Bucket::create("spec-change").await;
    bucket.put("counts.csv", DOCUMENT).await;
    bucket.put("other.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("counts").await).await;
    operator.ready_when("counts", "True", "Imported").await;
    operator
        .patch("counts", &json!({"spec": {"schedule": "0 1 * * *"}}))
        .await;
    operator
        .patch(
            "counts",
            &json!({"spec": {"source": {"s3": {"key": "other.csv"}}}}),
        )
        .await;
    let status = operator
        .status_when("counts", "both edits", |status| {
            status["observedGeneration"] == 3
        })
        .await;
    let triggers: Vec<&Value> = status["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["trigger"])
        .collect();
    assert_eq!(triggers, ["SpecChange", "Created"]);
    assert!(
        status["nextFetchTime"]
            .as_str()
            .unwrap()
            .ends_with("T01:00:00Z")
    );
}

#[tokio::test]
async fn goals_may_come_later_and_the_reader_is_known_before() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("goals").await;
    let bucket = Bucket::create("goals").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    let mut resource = bucket.data_source("counts").await;
    let goals = resource["spec"]
        .as_object_mut()
        .unwrap()
        .remove("goals")
        .unwrap();
    operator.apply(&resource).await;
    operator.ready_when("counts", "Unknown", "NoGoals").await;
    // What a bucket policy has to name can be read before there is anything to fetch.
    let status = operator
        .status_when("counts", "the reader", |status| {
            status["reader"].is_string()
        })
        .await;
    assert_eq!(status["history"], Value::Null);
    assert_eq!(operator.metric("sumsq_fetches_total").await, 0);
    operator
        .patch("counts", &json!({"spec": {"goals": goals}}))
        .await;
    operator.ready_when("counts", "True", "Imported").await;
}

#[tokio::test]
async fn the_reader_is_asked_for_anew_when_the_identity_changes_while_suspended() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("reader").await;
    let bucket = Bucket::create("reader").await;
    let operator = Operator::start(cluster, &namespace).await;
    let mut resource = bucket.data_source("counts").await;
    resource["spec"]["suspend"] = json!(true);
    for secret in ["first", "second"] {
        let user = S3::shared().await.iam_user().await;
        let (id, key) = (&user.access_key_id, &user.secret_access_key);
        operator
            .kubectl(&[
                "create",
                "secret",
                "generic",
                secret,
                &format!("--from-literal=accessKeyId={id}"),
                &format!("--from-literal=secretAccessKey={key}"),
            ])
            .await;
        operator
            .kubectl(&["label", "secret", secret, "sumsq.dev/credentials=true"])
            .await;
        resource["spec"]["source"]["s3"]["secretRef"] = json!({"name": secret});
        operator.apply(&resource).await;
        let reader = format!("arn:aws:iam::000000000000:user/{}", user.name);
        operator
            .status_when("counts", &reader, |status| status["reader"] == reader)
            .await;
    }
    assert_eq!(operator.metric("sumsq_fetches_total").await, 0);
}

#[tokio::test]
async fn suspend_holds_back_and_resume_catches_up() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("suspend").await;
    let bucket = Bucket::create("suspend").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    let mut resource = bucket.data_source("counts").await;
    resource["spec"]["suspend"] = json!(true);
    operator.apply(&resource).await;
    let status = operator.ready_when("counts", "Unknown", "Suspended").await;
    assert_eq!(status["nextFetchTime"], Value::Null);
    assert_eq!(operator.metric("sumsq_suspended{").await, 1);
    operator
        .annotate("counts", "sumsq.dev/fetch-requested-at=one")
        .await;
    operator.ready_when("counts", "True", "Imported").await;
    operator
        .patch("counts", &json!({"spec": {"suspend": false}}))
        .await;
    operator
        .status_when("counts", "the next fetch", |status| {
            status["nextFetchTime"].is_string()
        })
        .await;
    assert_eq!(operator.metric("sumsq_fetches_total").await, 1);
    assert_eq!(operator.metric("sumsq_suspended{").await, 0);
}

#[tokio::test]
async fn the_examples_are_applied_as_they_stand() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("examples").await;
    for example in [
        "aws.yaml",
        "s3-compatible.yaml",
        "quickstart/shop-conversions.yaml",
        "quickstart/agents.yaml",
        "document/counts.yaml",
    ] {
        let path = format!("{}/examples/{example}", env!("CARGO_MANIFEST_DIR"));
        let applied = cluster
            .kubectl(&["-n", namespace.name(), "apply", "-f", &path])
            .await;
        applied.expect_success();
    }
}

#[tokio::test]
async fn a_fetch_takes_two_looks_and_one_write() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("looks").await;
    let bucket = Bucket::create("looks").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let operator = Operator::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("counts").await).await;
    operator.ready_when("counts", "True", "Imported").await;
    let mut counted = Vec::new();
    for request in 0..5 {
        let token = format!("request-{request}");
        operator
            .annotate("counts", &format!("sumsq.dev/fetch-requested-at={token}"))
            .await;
        operator
            .status_when("counts", "the token", |status| {
                status["lastHandledFetchRequest"] == token
            })
            .await;
        counted.push((
            operator
                .metric("sumsq_reconcile_duration_seconds_count")
                .await,
            operator.metric("sumsq_status_writes_total").await,
        ));
    }
    let (looks, writes) = (counted[4].0 - counted[0].0, counted[4].1 - counted[0].1);
    // The last look is counted a moment after its write is seen.
    assert!((7..=9).contains(&looks), "{looks} looks for 4 fetches");
    assert!((3..=5).contains(&writes), "{writes} writes for 4 fetches");
}
