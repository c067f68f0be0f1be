//! How a DataSource or an Agent stands, in one word, by what its status says. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde::Serialize;

use super::output::Tone;
use crate::crd::agent::Agent;
use crate::crd::data_source::DataSource;

/// A slot's jitter is in nextFetchTime already, and an operator that restarts is back within a
/// minute or two. A fetch that is this late has nobody to begin it.
const OVERDUE_AFTER: Duration = Duration::from_mins(10);

/// What stands before the time of the next retry in a condition's message.
const RETRIED_AT: &str = "will be retried at ";

/// Most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Health {
    /// Only another spec helps.
    Stalled,
    /// The newest fetch failed.
    Failing,
    /// A fetch should have begun.
    Overdue,
    /// Nobody has looked at it yet, or its first fetch has not ended.
    Pending,
    /// There is nothing to fetch.
    NoGoals,
    Fetching,
    Suspended,
    Healthy,
}

impl Health {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stalled => "Stalled",
            Self::Failing => "Failing",
            Self::Overdue => "Overdue",
            Self::Pending => "Pending",
            Self::NoGoals => "NoGoals",
            Self::Fetching => "Fetching",
            Self::Suspended => "Suspended",
            Self::Healthy => "Healthy",
        }
    }

    pub(super) fn tone(self) -> Tone {
        match self {
            Self::Stalled | Self::Failing | Self::Overdue => Tone::Bad,
            Self::Pending | Self::NoGoals => Tone::Doubtful,
            Self::Fetching | Self::Suspended => Tone::Plain,
            Self::Healthy => Tone::Good,
        }
    }

    pub(super) fn needs_attention(self) -> bool {
        matches!(
            self,
            Self::Stalled | Self::Failing | Self::Overdue | Self::NoGoals
        )
    }
}

/// How a DataSource stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) health: Health,
    /// From the operator's closed list, or NotSeen and SpecNotSeen, which it can't say itself.
    pub(super) reason: String,
    /// In sentences.
    pub(super) message: String,
    /// Since when Ready is what it is.
    pub(super) since: Option<Timestamp>,
    /// When a failed fetch is tried again.
    pub(super) retry: Option<Timestamp>,
}

/// Reads what the operator has written, and what it has not.
pub(super) fn standing(source: &DataSource, now: Timestamp) -> Standing {
    let status = source.status.clone().unwrap_or_default();
    let ready = find(&status.conditions, "Ready");
    let stalled = find(&status.conditions, "Stalled").filter(|found| found.status == "True");
    let reconciling =
        find(&status.conditions, "Reconciling").filter(|found| found.status == "True");
    let Some(ready) = ready else {
        return unseen(
            source.creation_timestamp().map(|created| created.0),
            "NotSeen",
            "no operator has looked at it yet",
        );
    };
    let told = |health, condition: &Condition| Standing {
        health,
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        since: Some(condition.last_transition_time.0),
        retry: reconciling.and_then(|condition| retry(&condition.message)),
    };
    if source.metadata.generation > status.observed_generation {
        let since = source.creation_timestamp().map(|created| created.0);
        return unseen(
            since,
            "SpecNotSeen",
            "no operator has looked at the present spec yet",
        );
    }
    if let Some(stalled) = stalled {
        return told(Health::Stalled, stalled);
    }
    if ready.reason == "NoGoals" {
        return told(Health::NoGoals, ready);
    }
    let overdue = status
        .next_fetch_time
        .as_ref()
        .is_some_and(|next| now.duration_since(next.0) > signed(OVERDUE_AFTER));
    match (&*ready.status, reconciling) {
        (_, Some(fetching)) if ["Fetching", "Queued"].contains(&&*fetching.reason) => {
            told(Health::Fetching, fetching)
        }
        ("False", _) if source.spec.suspend => told(Health::Suspended, ready),
        ("False", _) => told(Health::Failing, ready),
        _ if source.spec.suspend => told(Health::Suspended, ready),
        _ if overdue => told(Health::Overdue, ready),
        ("True", _) => told(Health::Healthy, ready),
        _ => told(Health::Pending, ready),
    }
}

fn unseen(since: Option<Timestamp>, reason: &str, message: &str) -> Standing {
    Standing {
        health: Health::Pending,
        reason: reason.to_owned(),
        message: message.to_owned(),
        since,
        retry: None,
    }
}

/// `failed 3 times in a row; will be retried at 2026-01-05T10:01:00Z`.
fn retry(message: &str) -> Option<Timestamp> {
    let (_, at) = message.rsplit_once(RETRIED_AT)?;
    at.trim_end_matches('.').parse().ok()
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

/// Most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Trust {
    /// Something in the numbers keeps a reader from believing the reports.
    NotTrustworthy,
    /// Reports do not follow this object: another counts, or it can't be used.
    Unused,
    /// There is nothing to judge.
    NoData,
    /// Nobody has looked at it yet.
    Pending,
    Trustworthy,
}

impl Trust {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::NotTrustworthy => "NotTrustworthy",
            Self::Unused => "Unused",
            Self::NoData => "NoData",
            Self::Pending => "Pending",
            Self::Trustworthy => "Trustworthy",
        }
    }

    pub(super) fn tone(self) -> Tone {
        match self {
            Self::NotTrustworthy => Tone::Bad,
            Self::Unused | Self::NoData | Self::Pending => Tone::Doubtful,
            Self::Trustworthy => Tone::Good,
        }
    }

    pub(super) fn needs_attention(self) -> bool {
        matches!(self, Self::NotTrustworthy | Self::Unused)
    }
}

/// How an Agent stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentStanding {
    pub(super) trust: Trust,
    pub(super) reason: String,
    pub(super) message: String,
    /// Since when Trustworthy is what it is.
    pub(super) since: Option<Timestamp>,
}

pub(super) fn agent_standing(agent: &Agent) -> AgentStanding {
    let status = agent.status.clone().unwrap_or_default();
    let trustworthy = find(&status.conditions, "Trustworthy");
    let unused = find(&status.conditions, "Ready").filter(|ready| ready.status == "False");
    let seen = agent.metadata.generation <= status.observed_generation;
    let told = |trust, condition: &Condition| AgentStanding {
        trust,
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        since: Some(condition.last_transition_time.0),
    };
    match (unused, trustworthy.filter(|_| seen)) {
        (_, None) => AgentStanding {
            trust: Trust::Pending,
            reason: "NotSeen".to_owned(),
            message: "no operator has looked at it yet".to_owned(),
            since: agent.creation_timestamp().map(|created| created.0),
        },
        (Some(unused), Some(_)) => told(Trust::Unused, unused),
        (None, Some(found)) => match &*found.status {
            "True" => told(Trust::Trustworthy, found),
            "False" => told(Trust::NotTrustworthy, found),
            _ => told(Trust::NoData, found),
        },
    }
}

/// The condition of this type.
pub(super) fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-05T09:00:02Z", "observedGeneration": 2,
        })
    }

    /// Of a source that was fetched at nine, and is to be fetched at nine tomorrow.
    fn source(suspend: bool, conditions: &[Value]) -> DataSource {
        serde_json::from_value(json!({
            "apiVersion": "sumsq.dev/v1alpha1",
            "kind": "DataSource",
            "metadata": {"name": "counts", "namespace": "growth", "generation": 2,
                "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"suspend": suspend},
            "status": {"observedGeneration": 2, "conditions": conditions,
                "nextFetchTime": "2026-01-06T09:00:00Z"},
        }))
        .unwrap()
    }

    #[test]
    fn what_status_says_is_one_word() {
        let imported = || condition("Ready", "True", "Imported", "3 agents");
        let failed = || condition("Ready", "False", "AccessDenied", "no; grant it");
        let first = || condition("Ready", "Unknown", "NotFetchedYet", "under way");
        for (suspend, conditions, now, expected) in [
            (
                false,
                vec![imported()],
                "2026-01-05T10:00:00Z",
                "Healthy Imported",
            ),
            (
                true,
                vec![imported()],
                "2026-01-05T10:00:00Z",
                "Suspended Imported",
            ),
            (
                false,
                vec![failed()],
                "2026-01-05T10:00:00Z",
                "Failing AccessDenied",
            ),
            (
                true,
                vec![failed()],
                "2026-01-05T10:00:00Z",
                "Suspended AccessDenied",
            ),
            (
                false,
                vec![first()],
                "2026-01-05T10:00:00Z",
                "Pending NotFetchedYet",
            ),
            (false, vec![], "2026-01-05T10:00:00Z", "Pending NotSeen"),
            (
                false,
                vec![condition(
                    "Ready",
                    "Unknown",
                    "NoGoals",
                    "spec.goals is empty",
                )],
                "2026-01-05T10:00:00Z",
                "NoGoals NoGoals",
            ),
            (
                false,
                vec![
                    imported(),
                    condition("Reconciling", "True", "Fetching", "fetching since"),
                ],
                "2026-01-05T10:00:00Z",
                "Fetching Fetching",
            ),
            (
                false,
                vec![
                    condition("Ready", "False", "InvalidSchedule", "never"),
                    condition("Stalled", "True", "InvalidSchedule", "never"),
                ],
                "2026-01-05T10:00:00Z",
                "Stalled InvalidSchedule",
            ),
            (
                false,
                vec![imported()],
                "2026-01-06T09:09:00Z",
                "Healthy Imported",
            ),
            (
                false,
                vec![imported()],
                "2026-01-06T09:11:00Z",
                "Overdue Imported",
            ),
            (
                true,
                vec![imported()],
                "2026-01-06T09:11:00Z",
                "Suspended Imported",
            ),
        ] {
            let found = standing(&source(suspend, &conditions), at(now));
            let said = format!("{} {}", found.health.word(), found.reason);
            assert_eq!(said, expected, "{conditions:?} at {now}");
        }
    }

    #[test]
    fn a_spec_that_nobody_has_seen_is_pending() {
        let mut source = source(false, &[condition("Ready", "True", "Imported", "")]);
        source.metadata.generation = Some(3);
        let found = standing(&source, at("2026-01-05T10:00:00Z"));
        assert_eq!(
            (found.health, &*found.reason),
            (Health::Pending, "SpecNotSeen")
        );
    }

    #[test]
    fn the_retry_is_read_from_the_condition() {
        let waits = condition(
            "Reconciling",
            "True",
            "WaitingForRetry",
            "failed 3 times in a row; will be retried at 2026-01-05T10:01:00Z",
        );
        let failed = condition("Ready", "False", "NoSuchKey", "not there");
        let found = standing(&source(false, &[failed, waits]), at("2026-01-05T10:00:00Z"));
        assert_eq!(found.retry, Some(at("2026-01-05T10:01:00Z")));
    }

    fn agent(conditions: &[Value]) -> Agent {
        serde_json::from_value(json!({
            "apiVersion": "sumsq.dev/v1alpha1",
            "kind": "Agent",
            "metadata": {"name": "checkout", "namespace": "growth", "generation": 2},
            "spec": {},
            "status": {"observedGeneration": 2, "conditions": conditions},
        }))
        .unwrap()
    }

    #[test]
    fn an_agent_is_one_word_too() {
        let ready = |status, reason| condition("Ready", status, reason, "");
        let trust = |status, reason| condition("Trustworthy", status, reason, "");
        for (conditions, expected) in [
            (vec![], "Pending NotSeen"),
            (
                vec![ready("True", "InForce"), trust("True", "NoAlarm")],
                "Trustworthy NoAlarm",
            ),
            (
                vec![
                    ready("True", "InForce"),
                    trust("False", "SampleRatioMismatch"),
                ],
                "NotTrustworthy SampleRatioMismatch",
            ),
            (
                vec![ready("True", "InForce"), trust("Unknown", "NoData")],
                "NoData NoData",
            ),
            (
                vec![
                    ready("False", "DuplicateCode"),
                    trust("Unknown", "DuplicateCode"),
                ],
                "Unused DuplicateCode",
            ),
        ] {
            let found = agent_standing(&agent(&conditions));
            let said = format!("{} {}", found.trust.word(), found.reason);
            assert_eq!(said, expected, "{conditions:?}");
        }
    }
}
