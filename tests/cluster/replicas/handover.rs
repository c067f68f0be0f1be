//! A clean stop, a database that is down, and a file that two operators want.

use std::time::{Duration, Instant};

use serde_json::json;

use super::fleet::Fleet;
use crate::buckets::{Bucket, DOCUMENT};
use crate::cluster_with_crds;
use crate::operator::{Operator, PATIENCE};
use crate::support::postgres::Postgres;
use crate::support::process::wait_for;

#[tokio::test]
async fn a_clean_stop_hands_over_at_once() {
    let fleet = Fleet::new(cluster_with_crds().await, "handover").await;
    let bucket = Bucket::create(fleet.namespace.name()).await;
    bucket.put("counts.csv", DOCUMENT).await;
    let mut leader = fleet.join(&[]).await;
    leader.leads_since(Instant::now()).await;
    assert_eq!(fleet.holder("sumsq").await, leader.name);
    let source = bucket.data_source("counts").await;
    leader.operator.apply(&source).await;
    leader
        .operator
        .ready_when("counts", "True", "Imported")
        .await;
    let mut handovers = Vec::new();
    for _ in 0..3 {
        let stands_by = fleet.join(&[]).await;
        stands_by.operator.is_ready().await;
        assert!(!stands_by.leads().await, "ready, and not the leader");
        let stopped = Instant::now();
        leader.operator.signal("TERM");
        let took = stands_by.leads_since(stopped).await;
        handovers.push(took);
        assert!(took < Duration::from_secs(3), "{took:?}");
        assert_eq!(leader.operator.ended(PATIENCE).await, 0);
        leader = stands_by;
        assert_eq!(fleet.holder("sumsq").await, leader.name);
    }
    println!("followed a clean stop after {handovers:.1?}");
    leader
        .operator
        .annotate("counts", "sumsq.dev/fetch-requested-at=one")
        .await;
    leader
        .operator
        .status_when("counts", "the answer", |status| {
            status["lastHandledFetchRequest"] == "one"
        })
        .await;
    // The last one to go leaves the Lease to whoever comes.
    leader.operator.signal("TERM");
    assert_eq!(leader.operator.ended(PATIENCE).await, 0);
    assert_eq!(fleet.holder("sumsq").await, "");
    fleet.no_writer_comes_back();
}

#[tokio::test]
async fn one_that_stands_by_with_a_password_of_old_ends_as_well() {
    let fleet = Fleet::new(cluster_with_crds().await, "old-password").await;
    let leader = fleet.join(&[]).await;
    leader.leads_since(Instant::now()).await;
    let role = "CREATE ROLE stands_by SUPERUSER LOGIN PASSWORD 'first'";
    fleet.say(role);
    let port = fleet.postgres.port;
    let address = format!(
        "postgres://stands_by:first@127.0.0.1:{port}/{}",
        fleet.database
    );
    let mut stands_by = fleet.join_by_address(&address, &[]).await;
    stands_by.operator.is_ready().await;
    assert!(!stands_by.leads().await);
    fleet.say(
        "ALTER ROLE stands_by PASSWORD 'second'; SELECT count(pg_terminate_backend(pid)) \
         FROM pg_stat_activity WHERE usename = 'stands_by'",
    );
    // The kubelet asks whether it is ready, again and again.
    wait_for("the end", PATIENCE, async || {
        let ready = stands_by.operator.get("readyz").await;
        let told = stands_by
            .operator
            .log()
            .contains("no longer takes the user");
        (ready.is_none() && told).then_some(())
    })
    .await;
    assert_eq!(stands_by.operator.ended(PATIENCE).await, 1);
    assert!(leader.leads().await, "whose password nobody has changed");
}

#[tokio::test]
async fn an_operator_waits_for_a_database_that_is_down() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("down").await;
    let bucket = Bucket::create(namespace.name()).await;
    bucket.put("counts.csv", DOCUMENT).await;
    let server = Postgres::start(&[]).await;
    let database = server.database();
    let address = server.socket_url(&database);
    let stopped = server.stop().await;
    let operator = Operator::begin(cluster, &namespace, &["--store", &address]).await;
    wait_for("the reason", PATIENCE, async || {
        operator
            .log()
            .contains("waiting for the store")
            .then_some(())
    })
    .await;
    assert_eq!(operator.get("healthz").await.as_deref(), Some("ok\n"));
    assert_eq!(operator.get("readyz").await, None);
    operator.apply(&bucket.data_source("counts").await).await;
    let server = Postgres::start_again(stopped).await;
    operator.ready_when("counts", "True", "Imported").await;
    operator.is_ready().await;
    let told = operator.log().matches("waiting for the store").count();
    assert!(told <= 3, "told {told} times");
    drop(server);
}

#[tokio::test]
async fn of_two_operators_that_elect_nobody_the_older_one_is_refused_and_ends() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("unelected").await;
    let bucket = Bucket::create(namespace.name()).await;
    bucket.put("counts.csv", DOCUMENT).await;
    let server = Postgres::start(&[]).await;
    let address = server.socket_url(&server.database());
    let store = ["--store", &*address];
    let mut older = Operator::start_with(cluster, &namespace, &store).await;
    older.apply(&bucket.data_source("counts").await).await;
    older.ready_when("counts", "True", "Imported").await;
    let newer = Operator::start_with(cluster, &namespace, &store).await;
    // The newer one is the first to hear of this.
    older.signal("STOP");
    newer
        .annotate("counts", "sumsq.dev/fetch-requested-at=one")
        .await;
    newer
        .status_when("counts", "the answer", |status| {
            status["lastHandledFetchRequest"] == "one"
        })
        .await;
    older.signal("CONT");
    // And where the older one is, it is refused.
    let mut edits = 0;
    wait_for("the refusal", PATIENCE, async || {
        edits += 1;
        let name = format!("Renamed {edits} times");
        newer
            .patch("counts", &json!({"spec": {"displayName": name}}))
            .await;
        let log = older.log();
        log.contains("another operator writes to this store")
            .then_some(())
    })
    .await;
    assert_eq!(older.ended(PATIENCE).await, 1);
    newer
        .annotate("counts", "sumsq.dev/fetch-requested-at=two")
        .await;
    newer
        .status_when("counts", "the answer", |status| {
            status["lastHandledFetchRequest"] == "two"
        })
        .await;
}

#[tokio::test]
async fn of_two_operators_on_one_file_the_second_waits_for_the_first_s_end() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("one-file").await;
    let mut first = Operator::start(cluster, &namespace).await;
    let address = format!("sqlite:{}", first.store().display());
    let second = Operator::begin(cluster, &namespace, &["--store", &address]).await;
    wait_for("the reason", PATIENCE, async || {
        second
            .log()
            .contains("another operator has the store at")
            .then_some(())
    })
    .await;
    assert_eq!(second.get("healthz").await.as_deref(), Some("ok\n"));
    assert_eq!(second.get("readyz").await, None);
    first.kill();
    second.is_ready().await;
}
