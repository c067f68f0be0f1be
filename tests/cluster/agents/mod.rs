//! Agents: from `kubectl apply` to the judgement in status, events and metrics.

mod life;
mod trust;

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::operator::{Operator, PATIENCE, condition};
use crate::support::process::wait_for;

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
    let mut resource = json!({
        "apiVersion": "sumsq.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": name},
    });
    resource["spec"] = spec;
    resource
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
