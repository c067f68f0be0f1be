//! The operator on PostgreSQL: a database that goes away and comes back, and one that a standby has
//! taken the place of.

use serde_json::Value;

use crate::buckets::{Bucket, DOCUMENT};
use crate::cluster_with_crds;
use crate::operator::{Operator, condition};
use crate::support::postgres::Postgres;

const REQUEST: &str = "sumsq.dev/fetch-requested-at";

fn message(status: &Value) -> String {
    let ready = condition(status, "Ready").unwrap();
    ready["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_database_that_goes_away_is_told_and_nothing_is_lost() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("on-postgres").await;
    let bucket = Bucket::create("on-postgres").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let server = Postgres::start(&[]).await;
    let database = server.database();
    let address = server.socket_url(&database);
    let operator = Operator::start_with(cluster, &namespace, &["--store", &address]).await;
    operator.apply(&bucket.data_source("counts").await).await;
    operator.ready_when("counts", "True", "Imported").await;
    assert!(!operator.store().exists(), "nothing is kept in a file");

    let stopped = server.stop().await;
    operator.annotate("counts", &format!("{REQUEST}=one")).await;
    let status = operator.ready_when("counts", "False", "StoreError").await;
    let told = message(&status);
    assert!(told.contains("cannot be reached; "), "{told}");
    assert!(told.contains("nothing was changed"), "{told}");
    assert_eq!(
        operator.get("readyz").await,
        None,
        "not ready without its store"
    );

    // It is back: what was asked for meanwhile is done with nobody asking again.
    let server = Postgres::start_again(stopped).await;
    let status = operator.ready_when("counts", "True", "NotModified").await;
    assert_eq!(status["lastHandledFetchRequest"], "one");
    assert_eq!(status["agentCount"], 1);

    // After a failover to a standby that is none yet.
    server.say(
        "postgres",
        &format!(
            "ALTER DATABASE {database} SET default_transaction_read_only = on; \
             SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = '{database}'"
        ),
    );
    operator.annotate("counts", &format!("{REQUEST}=two")).await;
    let status = operator.ready_when("counts", "False", "StoreError").await;
    let told = message(&status);
    assert!(told.contains("takes no changes"), "{told}");
    let writable = format!("ALTER DATABASE {database} RESET default_transaction_read_only");
    server.say("postgres", &writable);
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = ";
    server.say("postgres", &format!("{end}'{database}'"));
    operator
        .annotate("counts", &format!("{REQUEST}=three"))
        .await;
    let status = operator.ready_when("counts", "True", "NotModified").await;
    assert_eq!(status["lastHandledFetchRequest"], "three");
    let log = operator.log();
    assert!(!log.contains("panicked"), "{log}");
}
