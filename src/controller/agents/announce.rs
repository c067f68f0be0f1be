//! What is told of an Agent: its status, and the news in it.

use jiff::Timestamp;
use serde_json::Value;

use crate::controller::events::News;
use crate::controller::publish::{Reported, find_condition, status_value};
use crate::controller::{Error, Shared};
use crate::crd::agent::AgentStatus as RawStatus;
use crate::domain::agent_status::AgentStatus;

/// Writes the status where it changed, and tells what is news in it.
pub(super) async fn status<K: Reported>(
    shared: &Shared,
    object: &K,
    status: &AgentStatus,
    now: Timestamp,
) -> Result<(), Error> {
    let written = shared
        .publisher
        .publish(object, |_, before| {
            let conditions = status.conditions();
            let generation = status.observed_generation;
            status_value::<RawStatus>(status, &conditions, generation, (before, now))
        })
        .await?;
    if let Some(news) = written.and_then(|written| news(&written.before, &written.after)) {
        shared.events.publish(object, "Judge", news).await;
    }
    Ok(())
}

/// Every turn: of Ready to False, of Trustworthy to anything that it was not before. A judgement
/// that is still awaited is none.
fn news(before: &Value, after: &Value) -> Option<News> {
    let (was, is) = (state(before, "Ready"), state(after, "Ready"));
    if is.status == "False" && (was.status, was.reason) != (is.status, is.reason) {
        return Some(is.news(true));
    }
    let (was, is) = (state(before, "Trustworthy"), state(after, "Trustworthy"));
    let turned = match is.status {
        "Unknown" => was.status != "Unknown",
        _ => (was.status, was.reason) != (is.status, is.reason),
    };
    turned.then(|| is.news(is.status == "False"))
}

/// A condition's texts; one that is not there is unknown.
struct State<'a> {
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

fn state<'a>(status: &'a Value, kind: &str) -> State<'a> {
    let condition = find_condition(status, kind);
    let text = |field: &str| condition.and_then(|condition| condition[field].as_str());
    State {
        status: text("status").unwrap_or("Unknown"),
        reason: text("reason").unwrap_or_default(),
        message: text("message").unwrap_or_default(),
    }
}

impl State<'_> {
    fn news(&self, warning: bool) -> News {
        News {
            warning,
            reason: self.reason.to_owned(),
            note: self.message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(ready: (&str, &str), trustworthy: (&str, &str)) -> Value {
        let condition = |kind: &str, (status, reason): (&str, &str)| json!({"type": kind, "status": status, "reason": reason, "message": "m"});
        json!({"conditions": [
            condition("Ready", ready),
            condition("Trustworthy", trustworthy),
        ]})
    }

    #[test]
    fn events_tell_turns_only() {
        let in_force = ("True", "InForce");
        let nothing = json!({"observedGeneration": -1});
        let no_data = status(in_force, ("Unknown", "NoData"));
        let no_goal = status(in_force, ("Unknown", "NoGoal"));
        let good = status(in_force, ("True", "NoAlarm"));
        let skewed = status(in_force, ("False", "SampleRatioMismatch"));
        let drifting = status(in_force, ("False", "AllocationDrift"));
        let duplicate = status(("False", "DuplicateCode"), ("Unknown", "DuplicateCode"));
        let warning = |reason: &str| Some((true, reason.to_owned()));
        let normal = |reason: &str| Some((false, reason.to_owned()));
        for (before, after, expected) in [
            (&nothing, &no_data, None),
            (&nothing, &good, normal("NoAlarm")),
            (&nothing, &skewed, warning("SampleRatioMismatch")),
            (&nothing, &duplicate, warning("DuplicateCode")),
            (&no_data, &no_goal, None),
            (&no_data, &good, normal("NoAlarm")),
            (&good, &good, None),
            (&good, &skewed, warning("SampleRatioMismatch")),
            (&skewed, &skewed, None),
            (&skewed, &drifting, warning("AllocationDrift")),
            (&drifting, &good, normal("NoAlarm")),
            (&good, &no_data, normal("NoData")),
            (&good, &duplicate, warning("DuplicateCode")),
            (&duplicate, &duplicate, None),
            (&duplicate, &no_data, None),
            (&duplicate, &good, normal("NoAlarm")),
        ] {
            let told = news(before, after).map(|news| (news.warning, news.reason));
            assert_eq!(told, expected, "{before} -> {after}");
        }
    }
}
