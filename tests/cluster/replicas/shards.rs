//! The count of shards changes while fetches are asked for and slots fall due: namespaces move, and no
//! fetch is lost or doubled by it.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::json;
use sumsq::domain::shard::Shard;

use super::counts;
use super::fleet::{Fleet, Member};
use crate::buckets::Bucket;
use crate::install_chart;
use crate::operator::PATIENCE;
use crate::support::kubernetes::{Cluster, Namespace};
use crate::support::process::wait_for;

/// From how many shards to how many, one after the other.
const MOVES: [(u32, u32); 3] = [(1, 2), (2, 3), (3, 2)];
/// At least so many namespaces move each time, and so many stay.
const OF_EITHER: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_move_between_shards_and_nothing_is_lost_or_doubled() {
    // Operators that watch all namespaces want a cluster of their own.
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start().await));
    install_chart(cluster).await;
    let fleet = Fleet::sharded(cluster, "shards", MOVES[0].0).await;
    let bucket = Bucket::create("shards").await;
    bucket.put("counts.csv", counts(1, 2, 10)).await;
    // Their names are drawn: as many as it takes.
    let mut teams = Vec::new();
    while !MOVES.iter().all(|&of| is_told_apart(&teams, of)) {
        let team = cluster.namespace("team").await;
        let mut source = bucket.data_source("counts").await;
        source["spec"]["schedule"] = json!("* * * * *");
        cluster
            .apply(team.name(), &source.to_string())
            .await
            .expect_success();
        teams.push(team);
    }
    let mut members = shards(&fleet, MOVES[0].0).await;
    all_have(&fleet, teams.len(), "imported_at IS NOT NULL").await;
    each_has_its_own(&members, &teams, MOVES[0].0).await;
    for (from, to) in MOVES {
        let begun = Instant::now();
        members = change_count(&fleet, &teams, members, (from, to)).await;
        let (moved, all) = (moving(&teams, (from, to)), teams.len());
        let took = begun.elapsed();
        println!("{from} to {to} shards: {moved} of {all} namespaces moved, in {took:.1?}");
    }
    wait_for("rest", PATIENCE, async || {
        (fleet.say("SELECT count(*) FROM \"fetch\" WHERE completed_at IS NULL") == "0")
            .then_some(())
    })
    .await;
    fleet.no_writer_comes_back();
    let slots = fleet.each_slot_and_request_once();
    let gone = fleet.say("SELECT count(*) FROM data_source WHERE NOT present");
    assert_eq!(
        gone, "0",
        "retired by a shard that does not look after them"
    );
    println!("{slots} slots, each fetched once");
}

/// Operators of the new count come, those of the old one go; whoever is there in the end.
async fn change_count(
    fleet: &Fleet,
    teams: &[Namespace],
    mut old: Vec<Member>,
    (from, to): (u32, u32),
) -> Vec<Member> {
    let at = |when: &str| format!("{from}-{to}-{when}");
    let handled = |when: &str| format!("handled_request = '{}'", at(when));
    let newest = fleet.say("SELECT coalesce(max(slot), 0) FROM slot");
    fleet.upgrade(&format!("shards={to}")).await;
    request(fleet, &at("before")).await;
    let new = shards(fleet, to).await;
    request(fleet, &at("between")).await;
    all_have(fleet, teams.len(), &handled("between")).await;
    // A slot falls due while operators of both counts are there.
    let slot = format!("EXISTS (SELECT FROM slot WHERE source = id AND slot > {newest})");
    all_have(fleet, teams.len(), &slot).await;
    request(fleet, &at("while-the-old-ones-end")).await;
    for old in &mut old {
        old.operator.signal("TERM");
        assert_eq!(old.operator.ended(PATIENCE).await, 0);
    }
    request(fleet, &at("after")).await;
    all_have(fleet, teams.len(), &handled("after")).await;
    each_has_its_own(&new, teams, to).await;
    new
}

/// Whether enough of them move, and enough stay.
fn is_told_apart(teams: &[Namespace], of: (u32, u32)) -> bool {
    let moving = moving(teams, of);
    moving >= OF_EITHER && teams.len() - moving >= OF_EITHER
}

/// How many are of another shard in the new count than in the old one.
fn moving(teams: &[Namespace], (from, to): (u32, u32)) -> usize {
    let moves = |team: &&Namespace| shard_of(team, from) != shard_of(team, to);
    teams.iter().filter(moves).count()
}

/// One operator for each, which leads.
async fn shards(fleet: &Fleet, count: u32) -> Vec<Member> {
    let begun = Instant::now();
    let mut members = Vec::new();
    for number in 1..=count {
        let shard = format!("{number}/{count}");
        members.push(fleet.join(&["--shard", &shard]).await);
    }
    for (member, number) in members.iter().zip(1..) {
        member.leads_since(begun).await;
        let lease = if count == 1 {
            "sumsq".to_owned()
        } else {
            format!("sumsq-{number}-of-{count}")
        };
        assert_eq!(fleet.holder(&lease).await, member.name);
    }
    members
}

fn shard_of(namespace: &Namespace, count: u32) -> usize {
    let shards = (1..=count).filter_map(|number| Shard::new(number, count));
    shards
        .enumerate()
        .find(|(_, shard)| shard.holds(namespace.name()))
        .map(|(place, _)| place)
        .expect("one shard of them holds it")
}

/// What each tells of in its metrics is what its shard holds.
async fn each_has_its_own(members: &[Member], teams: &[Namespace], count: u32) {
    for (place, member) in members.iter().enumerate() {
        let own: BTreeSet<String> = teams
            .iter()
            .filter(|team| shard_of(team, count) == place)
            .map(|team| team.name().to_owned())
            .collect();
        let what = format!("the series of {own:?} at {}", member.name);
        wait_for(&what, PATIENCE, async || {
            (told_of(member).await == own).then_some(())
        })
        .await;
    }
}

async fn told_of(member: &Member) -> BTreeSet<String> {
    let metrics = member.operator.get("metrics").await.unwrap_or_default();
    let series = metrics
        .lines()
        .filter(|line| line.starts_with("sumsq_ready{"));
    series
        .filter_map(|line| line.split_once("namespace=\"")?.1.split_once('"'))
        .map(|(namespace, _)| namespace.to_owned())
        .collect()
}

async fn request(fleet: &Fleet, token: &str) {
    let annotation = format!("sumsq.dev/fetch-requested-at={token}");
    let args = [
        "annotate",
        "--overwrite",
        "--all-namespaces",
        "--all",
        "datasource",
    ];
    let args = [&args[..], &[&annotation]].concat();
    fleet.cluster.kubectl(&args).await.expect_success();
}

async fn all_have(fleet: &Fleet, all: usize, condition: &str) {
    let sql = format!("SELECT count(*) FROM data_source WHERE {condition}");
    // Slots are a minute apart.
    wait_for(condition, PATIENCE * 2, async || {
        (fleet.say(&sql) == all.to_string()).then_some(())
    })
    .await;
}
