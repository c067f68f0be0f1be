//! Agents: from `kubectl apply` to the judgement in status, events and metrics.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use sumsq::store::Store;
use sumsq::store::sqlite::Sqlite;

use crate::buckets::Bucket;
use crate::metrics::promtool_check;
use crate::operator::{Operator, PATIENCE, condition};
use crate::support::kubernetes::Cluster;
use crate::support::process::wait_for;
use crate::{cluster_with_crds, install_chart};

/// A day of Unix seconds, 2026-11-01.
const DAY_ONE: u64 = 1_793_491_200;
const DAY: u64 = 86_400;

/// A file of two days, of which each agent has these visitors of A and of B a day. A tenth of them
/// buy once, for 10.
fn counts(agents: &[(&str, u64, u64)]) -> String {
    counts_from(DAY_ONE, agents)
}

fn counts_from(first_day: u64, agents: &[(&str, u64, u64)]) -> String {
    let mut csv =
        String::from("Date,Agent,Variation,Sels,sales,sales_sumsq,sales_val,sales_val_sumsq\n");
    for day in [first_day, first_day + DAY] {
        for (agent, of_a, of_b) in agents {
            for (variation, visitors) in [("A", of_a), ("B", of_b)] {
                let sales = visitors / 10;
                let (value, squares) = (sales * 10, sales * 100);
                writeln!(
                    csv,
                    "{day},{agent},{variation},{visitors},{sales},{sales},{value},{squares}"
                )
                .unwrap();
            }
        }
    }
    csv
}

fn agent(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "sumsq.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": name},
        "spec": spec,
    })
}

async fn status(operator: &Operator, name: &str) -> Value {
    let object = operator
        .kubectl(&["get", "agent", name, "-o", "json"])
        .await;
    serde_json::from_str::<Value>(&object).unwrap()["status"].clone()
}

/// Waits until the condition has this status and reason, and returns the status.
async fn until(operator: &Operator, name: &str, kind: &str, expected: (&str, &str)) -> Value {
    let what = format!("{name}: {kind}={} {}", expected.0, expected.1);
    wait_for(&what, PATIENCE, async || {
        let status = status(operator, name).await;
        let found = condition(&status, kind)?;
        (found["status"] == expected.0 && found["reason"] == expected.1).then_some(status)
    })
    .await
}

async fn until_trustworthy(operator: &Operator, name: &str, expected: (&str, &str)) -> Value {
    until(operator, name, "Trustworthy", expected).await
}

fn message<'a>(status: &'a Value, kind: &str) -> &'a str {
    let message = condition(status, kind).map(|condition| &condition["message"]);
    message.and_then(Value::as_str).unwrap_or_default()
}

/// How often an object's events told what, such as `Normal NoAlarm`; waits for so many. The same
/// news once more is counted on the event that is there.
async fn turns(operator: &Operator, name: &str, expected: &[(&str, u64)]) {
    let expected: BTreeMap<String, u64> = expected
        .iter()
        .map(|(told, count)| ((*told).to_owned(), *count))
        .collect();
    wait_for(&format!("events {expected:?}"), PATIENCE, async || {
        let args = ["get", "events.events.k8s.io", "-o", "json"];
        let list: Value = serde_json::from_str(&operator.kubectl(&args).await).unwrap();
        let mut told = BTreeMap::new();
        for event in list["items"].as_array().unwrap() {
            if event["regarding"]["name"] == name {
                let text = |field: &str| event[field].as_str().unwrap().to_owned();
                let count = event["series"]["count"].as_u64().unwrap_or(1);
                *told
                    .entry(format!("{} {}", text("type"), text("reason")))
                    .or_insert(0) += count;
            }
        }
        (told == expected).then_some(())
    })
    .await;
}

/// The Agents' series, without the namespace.
async fn series(operator: &Operator) -> Vec<String> {
    let metrics = operator.get("metrics").await.unwrap_or_default();
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("sumsq_agent_trustworthy{"));
    lines
        .map(|line| {
            let (before, rest) = line.split_once("namespace=\"").unwrap();
            format!("{before}{}", rest.split_once("\",").unwrap().1)
        })
        .collect()
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story, told to its end")]
async fn an_agent_tells_whether_its_reports_can_be_trusted() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("trust").await;
    let bucket = Bucket::create("trust").await;
    let mut operator = Operator::start(cluster, &namespace).await;

    // Before there are any data.
    let declared = json!({"displayName": "Checkout button", "baseline": "A", "targetLift": 0.02});
    operator.apply(&agent("checkout", declared)).await;
    let seen = until_trustworthy(&operator, "checkout", ("Unknown", "NoData")).await;
    assert_eq!(condition(&seen, "Ready").unwrap()["status"], "True");
    assert_eq!(condition(&seen, "Ready").unwrap()["reason"], "InForce");
    assert_eq!(seen["observedGeneration"], 1);
    assert_eq!(seen["visitors"], Value::Null);
    assert_eq!(series(&operator).await, [""; 0]);

    // The way in which scripts wait.
    bucket
        .put("counts.csv", counts(&[("checkout", 1000, 1000)]))
        .await;
    operator.apply(&bucket.data_source("shop").await).await;
    let wait = [
        "wait",
        "--for=condition=Trustworthy",
        "agent/checkout",
        "--timeout=60s",
    ];
    operator.kubectl(&wait).await;
    let seen = status(&operator, "checkout").await;
    let expected = json!({
        "observedGeneration": 1,
        "dataSources": ["shop"],
        "firstDay": "2026-11-01",
        "lastDay": "2026-11-02",
        "visitors": 4000,
    });
    for (field, expected) in expected.as_object().unwrap() {
        assert_eq!(seen[field], *expected, "{field}");
    }
    assert_eq!(
        message(&seen, "Trustworthy"),
        "No alarm in the reports of 1 goal from data source shop."
    );
    let table = operator.kubectl(&["get", "agents", "-o", "wide"]).await;
    let without_age = |table: &str| {
        let lines = table.lines().map(|line| line.trim_end().rsplit_once("  "));
        let lines: Vec<_> = lines.flatten().map(|(line, _)| line.trim_end()).collect();
        lines.join("\n")
    };
    insta::assert_snapshot!(without_age(&table), @"
    NAME       TRUSTWORTHY   VISITORS   FROM         TO           CODE   DATA SOURCES   REASON
    checkout   True          4000       2026-11-01   2026-11-02          shop           NoAlarm
    ");
    turns(&operator, "checkout", &[("Normal NoAlarm", 1)]).await;
    assert_eq!(
        series(&operator).await,
        [r#"sumsq_agent_trustworthy{agent="checkout",reason="NoAlarm"} 1"#]
    );

    let metrics = operator.get("metrics").await.unwrap();
    assert_eq!(promtool_check(metrics).await, "", "promtool check metrics");

    // A fetch that finds nothing new writes the DataSource's status and no other.
    operator.ready_when("shop", "True", "Imported").await;
    assert_eq!(operator.metric("sumsq_status_writes_total").await, 3);
    operator
        .annotate("shop", "sumsq.dev/fetch-requested-at=one")
        .await;
    operator.ready_when("shop", "True", "NotModified").await;
    assert_eq!(operator.metric("sumsq_status_writes_total").await, 4);

    // A new file with shares that no fair coin gives.
    bucket
        .put("counts.csv", counts(&[("checkout", 1200, 800)]))
        .await;
    operator
        .annotate("shop", "sumsq.dev/fetch-requested-at=two")
        .await;
    let skewed = ("False", "SampleRatioMismatch");
    let seen = until_trustworthy(&operator, "checkout", skewed).await;
    let words = "The variations did not get the visitors they should have: A has 2,400 instead of \
                 2,000 and B has 1,600";
    assert!(message(&seen, "Trustworthy").starts_with(words), "{seen}");
    let once = ("Warning SampleRatioMismatch", 1);
    turns(&operator, "checkout", &[("Normal NoAlarm", 1), once]).await;
    let note = operator.events("checkout").await[1].2.clone();
    assert_eq!(note, message(&seen, "Trustworthy"), "the concern's message");
    assert_eq!(
        series(&operator).await,
        [r#"sumsq_agent_trustworthy{agent="checkout",reason="SampleRatioMismatch"} 0"#]
    );
    let table = operator.kubectl(&["get", "agents"]).await;
    insta::assert_snapshot!(without_age(&table), @"
    NAME       TRUSTWORTHY   VISITORS   FROM         TO           REASON
    checkout   False         4000       2026-11-01   2026-11-02   SampleRatioMismatch
    ");

    // With the shares that were meant there is nothing wrong with it.
    let meant = json!({"spec": {"variations": [
        {"code": "A", "weight": 6}, {"code": "B", "weight": 4},
    ]}});
    let patch = ["patch", "agent", "checkout", "--type=merge", "-p"];
    operator
        .kubectl(&[patch.as_slice(), &[&meant.to_string()]].concat())
        .await;
    let seen = until_trustworthy(&operator, "checkout", ("True", "NoAlarm")).await;
    assert_eq!(seen["observedGeneration"], 2);
    turns(&operator, "checkout", &[("Normal NoAlarm", 2), once]).await;

    // A restart at rest judges anew, and finds nothing to write or tell.
    operator.kill();
    operator.launch();
    operator.is_ready().await;
    wait_for("the series", PATIENCE, async || {
        (!series(&operator).await.is_empty()).then_some(())
    })
    .await;
    wait_for("a look at the data source", PATIENCE, async || {
        (operator.metric("sumsq_ready{").await == 1).then_some(())
    })
    .await;
    assert_eq!(operator.metric("sumsq_status_writes_total").await, 0);
    turns(&operator, "checkout", &[("Normal NoAlarm", 2), once]).await;

    // Without its data source nothing is known of it, and with it again all is.
    operator
        .kubectl(&["delete", "dsrc", "shop", "--timeout=60s"])
        .await;
    let seen = until_trustworthy(&operator, "checkout", ("Unknown", "NoData")).await;
    assert_eq!(seen["dataSources"], Value::Null);
    assert_eq!(series(&operator).await, [""; 0]);
    operator.apply(&bucket.data_source("shop").await).await;
    until_trustworthy(&operator, "checkout", ("True", "NoAlarm")).await;
}

#[tokio::test]
async fn an_agent_created_after_the_data_follows_the_newest_source() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("after").await;
    let operator = Operator::start(cluster, &namespace).await;
    let code = "checkout / button";
    for (name, first_day, visitors) in [("older", DAY_ONE, 500), ("newer", DAY_ONE + DAY, 600)] {
        let bucket = Bucket::create(&format!("after-{name}")).await;
        let csv = counts_from(first_day, &[(code, visitors, visitors)]);
        bucket.put("counts.csv", csv).await;
        operator.apply(&bucket.data_source(name).await).await;
        operator.ready_when(name, "True", "Imported").await;
    }
    // Codes are the CSV's and take more than an object's name may.
    let spec = json!({"code": code, "goals": ["sales"]});
    operator.apply(&agent("checkout", spec)).await;
    let seen = until_trustworthy(&operator, "checkout", ("True", "NoAlarm")).await;
    assert_eq!(seen["dataSources"], json!(["newer", "older"]));
    assert_eq!(
        (&seen["firstDay"], &seen["lastDay"], &seen["visitors"]),
        (&json!("2026-11-02"), &json!("2026-11-03"), &json!(2400))
    );
    // Goals that no source has are a mistake that is told.
    let spec = json!({"code": code, "goals": ["sails"]});
    operator.apply(&agent("checkout", spec)).await;
    let seen = until_trustworthy(&operator, "checkout", ("Unknown", "NoGoal")).await;
    assert!(message(&seen, "Trustworthy").contains("sails"), "{seen}");
    // A source that gains the goal is told of without another fetch of the agent.
    let goals = json!({"spec": {"goals": [
        {"code": "sales", "numeric": true}, {"code": "sails"},
    ]}});
    operator.patch("older", &goals).await;
    let seen = wait_for("the older source", PATIENCE, async || {
        let seen = status(&operator, "checkout").await;
        (seen["dataSources"] == json!(["older"])).then_some(seen)
    })
    .await;
    assert_eq!(seen["firstDay"], "2026-11-01");
}

#[tokio::test]
async fn of_two_agents_with_one_code_the_older_counts_and_the_other_says_so() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("twins").await;
    let bucket = Bucket::create("twins").await;
    let csv = counts(&[("checkout", 1000, 1000), ("search", 1200, 800)]);
    bucket.put("counts.csv", csv).await;
    let operator = Operator::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("shop").await).await;
    // Of one second the name decides, and it agrees.
    operator
        .apply(&agent("a", json!({"code": "checkout"})))
        .await;
    until_trustworthy(&operator, "a", ("True", "NoAlarm")).await;
    operator
        .apply(&agent("b", json!({"code": "checkout"})))
        .await;
    let seen = until(&operator, "b", "Ready", ("False", "DuplicateCode")).await;
    assert_eq!(
        message(&seen, "Ready"),
        "Agent a is older and has the code checkout too: reports follow that one. Delete one of \
         the two, or give this one another code."
    );
    let trustworthy = condition(&seen, "Trustworthy").unwrap();
    assert_eq!(trustworthy["status"], "Unknown");
    assert_eq!(seen["visitors"], Value::Null);
    turns(&operator, "b", &[("Warning DuplicateCode", 1)]).await;
    assert_eq!(
        series(&operator).await,
        [r#"sumsq_agent_trustworthy{agent="a",reason="NoAlarm"} 1"#]
    );

    // The older one turns to another code: the younger one counts.
    let spec = json!({"code": "search"});
    operator.apply(&agent("a", spec)).await;
    until_trustworthy(&operator, "b", ("True", "NoAlarm")).await;
    until_trustworthy(&operator, "a", ("False", "SampleRatioMismatch")).await;
    // And back.
    operator
        .apply(&agent("a", json!({"code": "checkout"})))
        .await;
    until(&operator, "b", "Ready", ("False", "DuplicateCode")).await;
    until_trustworthy(&operator, "a", ("True", "NoAlarm")).await;
    // The older one goes.
    operator
        .kubectl(&["delete", "agent", "a", "--timeout=60s"])
        .await;
    until(&operator, "b", "Ready", ("True", "InForce")).await;
    until_trustworthy(&operator, "b", ("True", "NoAlarm")).await;
    assert_eq!(
        series(&operator).await,
        [r#"sumsq_agent_trustworthy{agent="b",reason="NoAlarm"} 1"#]
    );
}

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
