//! Agents that come, go, are many, or are of another version.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sumsq::store::Store;
use sumsq::store::sqlite::Sqlite;

use super::{agent, counts, message, series, until, until_trustworthy};
use crate::buckets::Bucket;
use crate::operator::{Operator, PATIENCE, condition};
use crate::support::kubernetes::Cluster;
use crate::support::process::wait_for;
use crate::{cluster_with_crds, install_chart};

/// What the store of an operator that has ended keeps: names of Agents, and agents of sources.
async fn kept(operator: &mut Operator) -> (Vec<String>, u64) {
    operator.signal("TERM");
    operator.ended(Duration::from_secs(10)).await;
    let store = Sqlite::open(&operator.store()).await.unwrap();
    let resources = store.agent_resources(None).await.unwrap();
    let sources = store.sources().await.unwrap();
    store.close().await;
    let names = resources.into_iter().map(|resource| resource.name);
    let agents = sources.iter().map(|source| source.agent_count).sum();
    (names.collect(), agents)
}

#[tokio::test]
async fn deleted_agents_leave_their_data_also_while_the_operator_was_down() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("gone").await;
    let bucket = Bucket::create("gone").await;
    let csv = counts(&[("one", 90, 90), ("two", 90, 90), ("three", 90, 90)]);
    bucket.put("counts.csv", csv).await;
    let mut operator = Operator::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("shop").await).await;
    for name in ["one", "two", "three"] {
        operator.apply(&agent(name, json!({}))).await;
        until_trustworthy(&operator, name, ("True", "NoAlarm")).await;
    }
    assert_eq!(series(&operator).await.len(), 3);
    operator
        .kubectl(&["delete", "agent", "one", "--timeout=60s"])
        .await;
    wait_for("the end of the series", PATIENCE, async || {
        (series(&operator).await.len() == 2).then_some(())
    })
    .await;
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(kept(&mut operator).await, (names(&["three", "two"]), 3));

    operator
        .kubectl(&["delete", "agent", "two", "--timeout=60s"])
        .await;
    operator.launch();
    operator.is_ready().await;
    wait_for("the series of what is left", PATIENCE, async || {
        (series(&operator).await.len() == 1).then_some(())
    })
    .await;
    assert_eq!(kept(&mut operator).await, (names(&["three"]), 3));

    // One made anew under the name is as good as the first.
    operator.launch();
    operator.is_ready().await;
    operator.apply(&agent("two", json!({}))).await;
    until_trustworthy(&operator, "two", ("True", "NoAlarm")).await;
    assert_eq!(kept(&mut operator).await, (names(&["three", "two"]), 3));
}

/// Waits until the Agents of the namespace have these reasons of Trustworthy, so often each.
async fn until_reasons(operator: &Operator, expected: &[(&str, u64)]) {
    let expected = expected
        .iter()
        .map(|(reason, count)| ((*reason).to_owned(), *count));
    let expected: BTreeMap<String, u64> = expected.collect();
    wait_for(&format!("{expected:?}"), PATIENCE, async || {
        let list = operator.kubectl(&["get", "agents", "-o", "json"]).await;
        let list: Value = serde_json::from_str(&list).unwrap();
        let mut found = BTreeMap::new();
        for item in list["items"].as_array().unwrap() {
            let reason = condition(&item["status"], "Trustworthy")?["reason"].as_str()?;
            *found.entry(reason.to_owned()).or_insert(0) += 1;
        }
        (found == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_import_refreshes_every_agent_that_it_touches_and_no_other() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("many").await;
    let bucket = Bucket::create("many").await;
    let names: Vec<String> = (0..40).map(|n| format!("agent-{n:02}")).collect();
    let rows: Vec<_> = names.iter().map(|name| (name.as_str(), 90, 90)).collect();
    bucket.put("counts.csv", counts(&rows)).await;
    let operator = Operator::start(cluster, &namespace).await;
    let resources = names
        .iter()
        .map(String::as_str)
        .chain(["elsewhere"])
        .map(|name| agent(name, json!({})).to_string());
    let stream = resources.collect::<Vec<_>>().join("\n---\n");
    cluster
        .apply(namespace.name(), &stream)
        .await
        .expect_success();
    until_reasons(&operator, &[("NoData", 41)]).await;
    operator.apply(&bucket.data_source("shop").await).await;
    until_reasons(&operator, &[("NoAlarm", 40), ("NoData", 1)]).await;
    operator.ready_when("shop", "True", "Imported").await;
    // Each was written once without data, and those of the file once with them.
    assert_eq!(
        operator.metric("sumsq_status_writes_total").await,
        41 + 40 + 1
    );
}

/// Definitions may lag behind the operator: without them everything else goes on.
#[tokio::test]
async fn a_cluster_that_does_not_know_agents_loses_nothing() {
    // A cluster of its own: the others need the definition.
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start().await));
    install_chart(cluster).await;
    let definition = "crd/agents.sumsq.dev";
    cluster
        .kubectl(&["delete", definition, "--timeout=60s"])
        .await
        .expect_success();
    let namespace = cluster.namespace("unknown").await;
    let bucket = Bucket::create("unknown").await;
    bucket
        .put("counts.csv", counts(&[("checkout", 1000, 1000)]))
        .await;
    let operator = Operator::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("shop").await).await;
    let status = operator.ready_when("shop", "True", "Imported").await;
    assert_eq!(status["agents"], json!(["checkout"]));

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/agents.sumsq.dev.yaml");
    cluster
        .kubectl(&["apply", "--server-side", "-f", file])
        .await
        .expect_success();
    let established = ["wait", "--for=condition=Established", definition];
    cluster.kubectl(&established).await.expect_success();
    operator.apply(&agent("checkout", json!({}))).await;
    until_trustworthy(&operator, "checkout", ("True", "NoAlarm")).await;

    // Nor does it lose anything by an Agent of another version's definition.
    let field = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/targetLift";
    let patch = json!([{"op": "replace", "path": field, "value": {"type": "string"}}]).to_string();
    cluster
        .kubectl(&["patch", definition, "--type=json", "-p", &patch])
        .await
        .expect_success();
    let newer = agent("newer", json!({"targetLift": "2%"})).to_string();
    wait_for("the other definition", PATIENCE, async || {
        let applied = cluster.apply(namespace.name(), &newer).await;
        applied.status.success().then_some(())
    })
    .await;
    let seen = until(&operator, "newer", "Ready", ("False", "InvalidSpec")).await;
    let told = message(&seen, "Ready");
    assert!(told.contains("cannot read this Agent: "), "{told}");
    assert!(told.contains("\"2%\""), "{told}");
    assert_eq!(seen["observedGeneration"], 1);
    operator
        .apply(&agent("other", json!({"code": "checkout"})))
        .await;
    until(&operator, "other", "Ready", ("False", "DuplicateCode")).await;
    operator
        .kubectl(&["delete", "agent", "newer", "--timeout=60s"])
        .await;
}

/// An explicit null is as good as a field left out.
#[tokio::test]
async fn fields_that_say_nothing_are_taken() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("nulls").await;
    let nothing = json!({"code": null, "displayName": null, "goals": null, "baseline": null,
        "targetLift": null, "variations": null});
    let applied = cluster
        .apply(namespace.name(), &agent("checkout", nothing).to_string())
        .await
        .expect_success();
    assert_eq!(applied.trim(), "agent.sumsq.dev/checkout created");
}
