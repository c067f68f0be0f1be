//! The operator on PostgreSQL: a database that goes away and comes back, one that a standby has taken
//! the place of, a password that is changed, a statement that takes too long, a disk that is full.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::buckets::{Bucket, DOCUMENT};
use crate::cluster_with_crds;
use crate::operator::{Operator, PATIENCE, condition};
use crate::replicas::counts;
use crate::support::postgres::Postgres;
use crate::support::process::wait_for;

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

/// A database whose owner is asked for a password.
struct Owned {
    server: Postgres,
    database: String,
}

impl Owned {
    async fn new() -> Self {
        let server = Postgres::start(&[]).await;
        let database = server.database();
        server.say(
            &database,
            &format!(
                "CREATE ROLE sumsq LOGIN PASSWORD 'first'; ALTER DATABASE {database} OWNER TO sumsq; \
                 GRANT ALL ON SCHEMA public TO sumsq"
            ),
        );
        Self { server, database }
    }

    fn place(&self) -> String {
        format!("127.0.0.1:{}/{}", self.server.port, self.database)
    }

    fn address(&self) -> String {
        format!("postgres://sumsq@{}", self.place())
    }

    fn say(&self, sql: &str) -> String {
        self.server.say(&self.database, sql)
    }

    /// Changes the role; what is connected by then has to connect anew.
    fn alter(&self, change: &str) {
        self.say(&format!(
            "ALTER ROLE sumsq {change}; \
             SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'sumsq'"
        ));
    }
}

/// Minutes since 1970.
fn minute() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs() / 60
}

#[tokio::test]
async fn a_password_that_is_changed_is_had_by_the_next_start_and_nothing_is_lost_or_doubled() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("password").await;
    let bucket = Bucket::create(namespace.name()).await;
    bucket.put("counts.csv", DOCUMENT).await;
    let owned = Owned::new().await;
    let (place, address) = (owned.place(), owned.address());
    let store = ["--store", &*address];
    let password = [("PGPASSWORD", "wr0ng")];
    let mut operator = Operator::prepared(cluster, &namespace, &store, &password).await;
    let mut source = bucket.data_source("counts").await;
    source["spec"]["schedule"] = json!("* * * * *");
    operator.apply(&source).await;
    let refused = format!(
        "error: the database at {place} refuses the user, the password, or what the user may do: \
         error returned from database: password authentication failed for user \"sumsq\""
    );
    operator.launch();
    assert_eq!(operator.ended(PATIENCE).await, 1);
    let log = operator.log();
    assert!(log.contains(&refused), "{log}");
    assert!(!log.contains("wr0ng"), "{log}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(owned.say(tables), "0");
    assert_eq!(operator.status("counts").await["conditions"], Value::Null);

    operator.set("PGPASSWORD", "first");
    operator.launch();
    operator.ready_when("counts", "True", "Imported").await;
    let changed = minute();
    owned.alter("PASSWORD 'second'");
    operator.annotate("counts", &format!("{REQUEST}=one")).await;
    assert_eq!(operator.ended(PATIENCE).await, 1);
    let log = operator.log();
    let ends = "error: the database no longer takes the user or the password that this process was \
                started with; it ends, and the next start has what the Secret holds by then";
    assert!(log.contains(ends), "{log}");
    // With the Secret as it was, another start is refused as the first one.
    operator.launch();
    assert_eq!(operator.ended(PATIENCE).await, 1);
    assert_eq!(operator.log().matches(&refused).count(), 2);
    // A slot falls due meanwhile.
    wait_for("a slot", PATIENCE * 2, async || {
        (minute() > changed).then_some(())
    })
    .await;
    operator.set("PGPASSWORD", "second");
    operator.launch();
    let answered = |status: &Value| status["lastHandledFetchRequest"] == "one";
    operator.status_when("counts", "the answer", answered).await;
    let due = (changed + 1) * 60_000_000_000;
    let fetched = format!(
        "SELECT count(*) FROM \"fetch\" WHERE slot = {due} AND completed_at IS NOT NULL \
         AND outcome NOT LIKE '%Failed%'"
    );
    owned
        .server
        .wait_until(&owned.database, &fetched, "1")
        .await;
    operator.ready_when("counts", "True", "NotModified").await;
    let twice = "SELECT count(*) FROM (SELECT count(*) FROM \"fetch\" \
                 WHERE coalesce(request, slot::text) IS NOT NULL \
                 GROUP BY request, slot HAVING count(*) > 1) AS counted";
    assert_eq!(owned.say(twice), "0");
    let lost = "SELECT sum(missed_fetches) + (SELECT 1 + (max(slot) - min(slot)) / 60000000000 \
                - count(*) FROM slot) FROM data_source";
    assert_eq!(owned.say(lost), "0");
    assert!(!operator.log().contains("panicked"), "{}", operator.log());
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_told_and_tried_again() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("slow").await;
    let bucket = Bucket::create(namespace.name()).await;
    bucket.put("counts.csv", DOCUMENT).await;
    let owned = Owned::new().await;
    owned.alter("SET statement_timeout = '2s'");
    let address = owned.address();
    let store = ["--store", &*address];
    let password = [("PGPASSWORD", "first")];
    let mut operator = Operator::prepared(cluster, &namespace, &store, &password).await;
    operator.launch();
    operator.is_ready().await;
    owned.say(
        "CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM pg_sleep(4); RETURN NULL; END $$; \
         CREATE TRIGGER take_long BEFORE INSERT ON agent_day \
         FOR EACH STATEMENT EXECUTE FUNCTION take_long()",
    );
    operator.apply(&bucket.data_source("counts").await).await;
    let status = operator.ready_when("counts", "False", "StoreError").await;
    let told = message(&status);
    let place = owned.place();
    let late = format!("the database at {place} did not answer in time");
    assert!(told.contains(&late), "{told}");
    assert!(told.contains("nothing was changed"), "{told}");
    assert!(told.contains("it is tried again; "), "{told}");
    assert!(told.contains("statement_timeout"), "{told}");
    let log = operator.log();
    let reason = "canceling statement due to statement timeout";
    assert!(log.contains(reason), "{log}");
    assert_eq!(owned.say("SELECT count(*) FROM agent_day"), "0");
    // It is as slow as before, and may be: what had failed is done with nobody asking.
    owned.alter("RESET statement_timeout");
    let status = operator.ready_when("counts", "True", "Imported").await;
    assert_eq!(status["agentCount"], 1);
    assert_ne!(owned.say("SELECT count(*) FROM agent_day"), "0");
}

#[tokio::test]
async fn a_full_disk_of_the_database_is_told_and_the_file_comes_in_when_there_is_room() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("full-postgres").await;
    let bucket = Bucket::create(namespace.name()).await;
    bucket.put("counts.csv", DOCUMENT).await;
    let server = Postgres::start_with_small_disk(24).await;
    let database = server.database_on_small_disk();
    server.say(
        &database,
        "CREATE TABLE ballast AS SELECT repeat('-', 1000) FROM generate_series(1, 12000)",
    );
    let address = server.socket_url(&database);
    let operator = Operator::start_with(cluster, &namespace, &["--store", &address]).await;
    operator.apply(&bucket.data_source("counts").await).await;
    operator.ready_when("counts", "True", "Imported").await;
    let days = "SELECT count(*), sum(length(block)) FROM agent_day";
    let before = server.say(&database, days);
    bucket.put("counts.csv", counts(2, 100, 600)).await;
    operator.annotate("counts", &format!("{REQUEST}=one")).await;
    let status = operator.ready_when("counts", "False", "StoreFull").await;
    let told = message(&status);
    assert!(told.contains("the store has no room left"), "{told}");
    assert!(told.contains("nothing was changed"), "{told}");
    assert_eq!(server.say(&database, days), before);
    server.say(&database, "DROP TABLE ballast");
    let status = operator.ready_when("counts", "True", "Imported").await;
    assert_eq!(status["agentCount"], 101, "and the one of the first file");
}
