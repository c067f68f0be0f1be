//! A leader that stands still, or that nobody tells: what it had begun lands wholly before the
//! takeover, or is refused.
//!
//! The file that the old leader reads names an agent that the new leader's does not, so that one row
//! of the old one's would show.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

use super::counts;
use super::fleet::{Fleet, Member};
use super::wire::Wire;
use crate::buckets::Bucket;
use crate::cluster_with_crds;
use crate::operator::PATIENCE;
use crate::support::process::wait_for;
use crate::support::s3::{Microburst, S3};

/// Of the one file and of the other.
const AGENTS: u32 = 4;
const AGENTS_OF_THE_OLD: u32 = 5;

/// Two operators, and a source that has been imported once.
struct Scene {
    fleet: Fleet,
    bucket: Bucket,
    proxy: Microburst,
    leader: Member,
    stands_by: Member,
}

impl Scene {
    async fn set(prefix: &str, through: Option<&Wire>) -> Self {
        let fleet = Fleet::new(cluster_with_crds().await, prefix).await;
        let bucket = Bucket::create(fleet.namespace.name()).await;
        let proxy = S3::shared().await.behind_microburst().await;
        bucket.put("counts.csv", counts(1, AGENTS, 10)).await;
        let leader = match through {
            Some(wire) => fleet.join_through(wire.port(), &[]).await,
            None => fleet.join(&[]).await,
        };
        leader.leads_since(Instant::now()).await;
        let stands_by = fleet.join(&[]).await;
        stands_by.operator.is_ready().await;
        let source = bucket.data_source_at("counts", &proxy.endpoint());
        leader.operator.apply(&source).await;
        leader
            .operator
            .ready_when("counts", "True", "Imported")
            .await;
        Self {
            fleet,
            bucket,
            proxy,
            leader,
            stands_by,
        }
    }

    /// Does this to the first answer that the leader gets.
    async fn rule(&self, does: Value) {
        let mut rule = json!({"service": "s3", "operation": "GetObject",
            "resource": self.bucket.name, "times": 1});
        let members = does.as_object().unwrap().clone();
        rule.as_object_mut().unwrap().extend(members);
        self.proxy.rules(json!([rule])).await;
    }

    /// The leader begins to fetch the old file.
    async fn ask(&self) {
        let old = counts(2, AGENTS_OF_THE_OLD, 10);
        self.bucket.put("counts.csv", old).await;
        self.leader
            .operator
            .annotate("counts", "sumsq.dev/fetch-requested-at=now")
            .await;
        let begun = "SELECT count(*) FROM \"fetch\" WHERE completed_at IS NULL AND request = 'now'";
        self.until(begun, "1").await;
    }

    async fn until(&self, sql: &str, answer: &str) {
        wait_for(&format!("{sql} to be {answer}"), PATIENCE, async || {
            (self.fleet.say(sql) == answer).then_some(())
        })
        .await;
    }

    async fn bring_the_new_file(&self) {
        let new = counts(3, AGENTS, 10);
        self.bucket.put("counts.csv", new).await;
    }

    /// The one that stood by has finished what was begun, with the new file, and alone.
    async fn is_taken_over(&self) {
        let status = self
            .stands_by
            .operator
            .status_when("counts", "the answer", |status| {
                status["lastHandledFetchRequest"] == "now"
            });
        let status = status.await;
        assert_eq!(status["history"][0]["result"], "Imported", "{status:#}");
        let completed = "SELECT string_agg(writer, ' ') FROM completed WHERE request = 'now'";
        assert_eq!(self.fleet.say(completed), self.stands_by.name);
        self.holds_the_new_file();
    }

    fn holds_the_new_file(&self) {
        let agents = self.fleet.say("SELECT count(*) FROM agent");
        assert_eq!(
            agents,
            AGENTS.to_string(),
            "the old leader's file has come in"
        );
        let days = self
            .fleet
            .say("SELECT count(*), count(DISTINCT hash) FROM agent_day");
        assert_eq!(days, format!("{}|1", AGENTS * 10));
        self.fleet.no_writer_comes_back();
    }

    /// It ends by itself, and has changed nothing.
    async fn the_old_leader_ends(&mut self) {
        assert_eq!(self.leader.operator.ended(PATIENCE).await, 1);
        let log = self.leader.operator.log();
        assert!(log.contains("the Lease sumsq is lost"), "{log}");
        self.holds_the_new_file();
    }
}

#[tokio::test]
async fn a_leader_that_is_frozen_in_a_download_is_followed_and_ends() {
    let mut scene = Scene::set("frozen-download", None).await;
    // The body takes half a minute.
    scene.rule(json!({"response": {"bandwidth_kbps": 1}})).await;
    scene.ask().await;
    wait_for("the body to come", PATIENCE, async || {
        let fired = scene.proxy.fired().await;
        (!fired.as_array()?.is_empty()).then_some(())
    })
    .await;
    let frozen = Instant::now();
    scene.leader.operator.signal("STOP");
    scene.bring_the_new_file().await;
    let took = scene.stands_by.leads_since(frozen).await;
    assert!(took < Duration::from_secs(15), "{took:?}");
    scene.is_taken_over().await;
    println!(
        "frozen in a download: followed after {took:.1?}, its fetch done again after {:.1?}",
        frozen.elapsed()
    );
    scene.leader.operator.signal("CONT");
    scene.the_old_leader_ends().await;
}

#[tokio::test]
async fn a_leader_that_is_frozen_in_its_transaction_commits_nothing_after_the_takeover() {
    let mut scene = Scene::set("frozen-commit", None).await;
    let address = scene.fleet.postgres.socket_url(&scene.fleet.database);
    let mut lock = PgConnection::connect(&address).await.unwrap();
    // Near its end the import writes what the agents hold.
    let held = "BEGIN; LOCK TABLE agent IN SHARE ROW EXCLUSIVE MODE";
    lock.execute(sqlx::raw_sql(held)).await.unwrap();
    scene.ask().await;
    let of_leader = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}' AND ",
        scene.leader.name
    );
    let waits = format!("{of_leader} wait_event_type = 'Lock'");
    scene.until(&waits, "1").await;
    let frozen = Instant::now();
    scene.leader.operator.signal("STOP");
    lock.execute(sqlx::raw_sql("COMMIT")).await.unwrap();
    let is_open = format!("{of_leader} state = 'idle in transaction' AND backend_xid IS NOT NULL");
    scene.until(&is_open, "1").await;
    scene.bring_the_new_file().await;
    let took = scene.stands_by.leads_since(frozen).await;
    assert!(took < Duration::from_secs(15), "{took:?}");
    scene.is_taken_over().await;
    println!(
        "frozen in its transaction: followed after {took:.1?}, its fetch done again after {:.1?}",
        frozen.elapsed()
    );
    scene.leader.operator.signal("CONT");
    scene.the_old_leader_ends().await;
}

/// Somebody deletes the Lease, and the leader does not hear of it since it cannot reach the API
/// server: for some seconds two believe to lead. The store knows better.
#[tokio::test]
async fn a_leader_that_does_not_know_better_is_refused_by_the_store() {
    let cluster = cluster_with_crds().await;
    let wire = Wire::before(&cluster.server_url()).await;
    let mut scene = Scene::set("unaware", Some(&wire)).await;
    scene.rule(json!({"latency": 3_000})).await;
    scene.ask().await;
    wire.cut();
    scene.bring_the_new_file().await;
    let deleted = Instant::now();
    let namespace = scene.fleet.namespace.name();
    let args = ["-n", namespace, "delete", "lease", "sumsq"];
    cluster.kubectl(&args).await.expect_success();
    let took = scene.stands_by.leads_since(deleted).await;
    assert!(scene.leader.leads().await, "so it believes");
    scene.is_taken_over().await;
    wait_for("the refusal", PATIENCE, async || {
        let log = scene.leader.operator.log();
        log.contains("another operator has taken it over")
            .then_some(())
    })
    .await;
    println!("the Lease deleted: followed after {took:.1?}, and the old leader refused");
    scene.the_old_leader_ends().await;
}
