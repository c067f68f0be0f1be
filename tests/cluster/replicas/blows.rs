//! The leader is killed, or frozen, at random moments, again and again.
//!
//! A few times by default, since each takeover waits for the Lease; `SUMSQ_TEST_ROUNDS=50` for what
//! docs/scale.md tells of.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::counts;
use super::fleet::{Fleet, Member};
use crate::buckets::Bucket;
use crate::cluster_with_crds;
use crate::operator::PATIENCE;
use crate::support::process::wait_for;

const SOURCES: usize = 12;
/// The issue of a Lease, a look at it, and the start of the work.
const LONGEST_HANDOVER: Duration = Duration::from_secs(15);

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Blow {
    /// SIGKILL.
    Death,
    /// SIGSTOP, and SIGCONT when another leads and has done its work.
    Frost,
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_the_leader_is_killed_nothing_is_lost_or_doubled() {
    again_and_again(Blow::Death, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_the_leader_is_frozen_nothing_is_lost_or_doubled() {
    again_and_again(Blow::Frost, 2).await;
}

async fn again_and_again(blow: Blow, rounds: u64) {
    let rounds = from_environment("SUMSQ_TEST_ROUNDS", rounds);
    let seed = from_environment("SUMSQ_TEST_SEED", u64::from(std::process::id()));
    println!("{blow:?}: {rounds} rounds, SUMSQ_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let fleet = Fleet::new(cluster_with_crds().await, "blows").await;
    let bucket = Bucket::create(fleet.namespace.name()).await;
    bucket.put("counts.csv", counts(0, 4, 20)).await;
    let mut leader = fleet.join(&[]).await;
    leader.leads_since(Instant::now()).await;
    let mut stands_by = fleet.join(&[]).await;
    stands_by.operator.is_ready().await;
    assert!(!stands_by.leads().await);
    let mut sources = Vec::new();
    for number in 0..SOURCES {
        let mut source = bucket.data_source(&format!("counts-{number}")).await;
        source["spec"]["schedule"] = json!("* * * * *");
        sources.push(source);
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": sources});
    leader.operator.apply(&list).await;
    all_have(&fleet, "rows = 160", "imported").await;

    let mut handovers = Vec::new();
    for round in 1..=rounds {
        let version = u32::try_from(round).unwrap();
        bucket.put("counts.csv", counts(version, 4, 20)).await;
        let token = format!("round-{round}");
        request(&fleet, &token).await;
        // At any moment of what the request brings about.
        let moment = Duration::from_micros(random.random_range(0..1_500_000));
        tokio::time::sleep(moment).await;
        let struck = Instant::now();
        match blow {
            Blow::Death => leader.operator.kill(),
            Blow::Frost => leader.operator.signal("STOP"),
        }
        let took = stands_by.leads_since(struck).await;
        assert!(took < LONGEST_HANDOVER, "{took:?}");
        handovers.push(took);
        println!("round {round}: after {moment:.0?}, followed after {took:.1?}");
        let next = std::mem::replace(&mut stands_by, fleet.join(&[]).await);
        let mut struck = std::mem::replace(&mut leader, next);
        all_have(&fleet, &format!("handled_request = '{token}'"), &token).await;
        if blow == Blow::Frost {
            struck.operator.signal("CONT");
            assert_eq!(struck.operator.ended(PATIENCE).await, 1);
        }
        holds_nothing_but(&fleet, version);
    }
    handovers.sort();
    println!(
        "followed after {:.1?} at the least, {:.1?} in the middle, {:.1?} at the most",
        handovers[0],
        handovers[handovers.len() / 2],
        handovers[handovers.len() - 1]
    );
    at_rest(&fleet, &leader).await;
    fleet.no_writer_comes_back();
    one_after_another(&fleet);
    let slots = fleet.each_slot_and_request_once();
    let requests = fleet.say("SELECT count(*) FROM completed WHERE request IS NOT NULL");
    assert_eq!(requests, (rounds * SOURCES as u64).to_string());
    println!("{slots} slots and {requests} requests, each fetched once");
}

async fn request(fleet: &Fleet, token: &str) {
    let annotation = format!("sumsq.dev/fetch-requested-at={token}");
    let namespace = fleet.namespace.name();
    let args = [
        "-n",
        namespace,
        "annotate",
        "--overwrite",
        "datasource",
        "--all",
    ];
    let args = [&args[..], &[&annotation]].concat();
    fleet.cluster.kubectl(&args).await.expect_success();
}

async fn all_have(fleet: &Fleet, condition: &str, what: &str) {
    let sql = format!("SELECT count(*) FROM data_source WHERE {condition}");
    wait_for(what, PATIENCE, async || {
        (fleet.say(&sql) == SOURCES.to_string()).then_some(())
    })
    .await;
}

/// Every source has taken the whole file of this version or, by a slot that came in between, of the
/// one before; and what it has taken, it has taken whole: that is what its log says.
fn holds_nothing_but(fleet: &Fleet, version: u32) {
    // A day has one hash for each version, whatever the source.
    let versions = fleet.say(
        "SELECT max(hashes) FROM (SELECT count(DISTINCT hash) AS hashes FROM agent_day \
         GROUP BY agent, day) AS by_day",
    );
    assert_eq!(versions, "1", "days of another version than {version}");
}

/// No slot is under way, so that all that was begun is completed.
async fn at_rest(fleet: &Fleet, leader: &Member) {
    wait_for("rest", PATIENCE, async || {
        (fleet.say("SELECT count(*) FROM \"fetch\" WHERE completed_at IS NULL") == "0")
            .then_some(())
    })
    .await;
    assert!(leader.leads().await);
}

/// Of all that was ever written: a writer begins when the one before has ended.
fn one_after_another(fleet: &Fleet) {
    let overlaps = fleet.say(
        "SELECT string_agg(writer, ', ') FROM (SELECT writer, min(at) AS first, \
         lag(max(at)) OVER (ORDER BY min(at)) AS last_before FROM audit GROUP BY writer) AS turns \
         WHERE first <= last_before",
    );
    assert_eq!(
        overlaps, "",
        "writers that began before the one before had ended"
    );
}
