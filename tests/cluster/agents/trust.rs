//! Whether an agent's reports can be trusted, told as data and specs change.

use serde_json::{Value, json};

use super::{
    DAY, DAY_ONE, agent, counts, counts_from, message, series, status, turns, until,
    until_trustworthy,
};
use crate::buckets::Bucket;
use crate::cluster_with_crds;
use crate::metrics::promtool_check;
use crate::operator::{Operator, PATIENCE, condition};
use crate::support::process::wait_for;

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
    assert_eq!(
        condition(&seen, "Trustworthy").unwrap()["status"],
        "Unknown"
    );
    assert_eq!(condition(&seen, "Stalled").unwrap()["status"], "True");
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
    let seen = until(&operator, "b", "Ready", ("True", "InForce")).await;
    assert_eq!(condition(&seen, "Stalled"), None);
    until_trustworthy(&operator, "b", ("True", "NoAlarm")).await;
    assert_eq!(
        series(&operator).await,
        [r#"sumsq_agent_trustworthy{agent="b",reason="NoAlarm"} 1"#]
    );
}
