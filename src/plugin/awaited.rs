//! Whether the fetch that was asked for has ended, by what status says. Pure.

use kube::ResourceExt;

use super::output::counted;
use super::standing::find;
use crate::crd::data_source::{DataSource, DataSourceStatus, FetchResult, HistoryEntry};
use crate::crd::{FETCH_REQUESTED_AT, FORCE_FETCH_REQUESTED_AT};

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Awaited {
    /// Of the object that was asked: one of the same name is another.
    uid: Option<String>,
    /// Of the object as it was then: an older status says nothing of it.
    generation: Option<i64>,
    force: bool,
    token: String,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// What is being done.
    Waiting(String),
    Succeeded(String),
    /// Why, and what to do about it.
    Failed(String),
}

impl Awaited {
    /// The request that was written into `object`.
    pub(super) fn of(object: &DataSource, force: bool, token: &str) -> Self {
        Self {
            uid: object.uid(),
            generation: object.metadata.generation,
            force,
            token: token.to_owned(),
        }
    }

    pub(super) fn state(&self, object: &DataSource) -> State {
        if object.uid() != self.uid {
            return State::Failed(
                "it was deleted and created anew; its first fetch is its own".into(),
            );
        }
        let status = object.status.clone().unwrap_or_default();
        if self.is_echoed(object, &status) {
            return match status.history.first() {
                Some(entry) => ended(entry),
                None => State::Succeeded("the fetch has ended".to_owned()),
            };
        }
        if status.observed_generation >= self.generation {
            // Nothing is fetched of these until the spec has changed: the echo would never come.
            if let Some(stalled) = find(&status.conditions, "Stalled")
                && stalled.status == "True"
            {
                return State::Failed(format!(
                    "cannot be fetched: {}: {}",
                    stalled.reason, stalled.message
                ));
            }
            if let Some(ready) = find(&status.conditions, "Ready")
                && ready.reason == "NoGoals"
            {
                return State::Failed(format!("cannot be fetched: {}", ready.message));
            }
        }
        let reconciling = find(&status.conditions, "Reconciling");
        let doing = reconciling.filter(|found| {
            found.status == "True" && ["Fetching", "Queued"].contains(&&*found.reason)
        });
        State::Waiting(doing.map_or_else(|| "requested".to_owned(), |found| found.message.clone()))
    }

    /// By the token itself, or by that of a later request, which takes its place.
    fn is_echoed(&self, object: &DataSource, status: &DataSourceStatus) -> bool {
        let (annotation, echoed) = if self.force {
            (
                FORCE_FETCH_REQUESTED_AT,
                &status.last_handled_force_fetch_request,
            )
        } else {
            (FETCH_REQUESTED_AT, &status.last_handled_fetch_request)
        };
        let Some(echoed) = echoed else {
            return false;
        };
        let asked = object.annotations().get(annotation);
        *echoed == self.token || asked.is_some_and(|asked| *asked != self.token && asked == echoed)
    }
}

fn ended(entry: &HistoryEntry) -> State {
    match (entry.result, &entry.error) {
        (_, Some(error)) => {
            let hint: Vec<String> = error
                .hint
                .lines()
                .map(|line| format!("  hint: {line}"))
                .collect();
            State::Failed(format!(
                "{}: {}\n{}",
                error.code,
                error.message,
                hint.join("\n")
            ))
        }
        (FetchResult::Error, None) => State::Failed("the fetch failed".to_owned()),
        (FetchResult::NotModified, None) => {
            State::Succeeded("the file is the one that was imported before".to_owned())
        }
        (FetchResult::Imported, None) => State::Succeeded(imported(entry)),
    }
}

/// `3 agents, 1,203 rows, 12 agent days changed, 2 warnings`.
pub(super) fn imported(entry: &HistoryEntry) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(entry.agent_count.map(|count| counted(count, "agent")));
    parts.extend(entry.rows.map(|count| counted(count, "row")));
    parts.extend(
        entry
            .changed_agent_days
            .map(|count| counted(count, "agent day") + " changed"),
    );
    if let Some(warnings) = entry.warning_count.filter(|count| *count > 0) {
        parts.push(counted(warnings, "warning"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(annotation: &str, status: Value) -> DataSource {
        let mut status = status;
        status["observedGeneration"] = json!(2);
        serde_json::from_value(json!({
            "apiVersion": "sumsq.dev/v1alpha1",
            "kind": "DataSource",
            "metadata": {"name": "counts", "uid": "u", "generation": 2,
                "annotations": {FETCH_REQUESTED_AT: annotation}},
            "spec": {},
            "status": status,
        }))
        .unwrap()
    }

    fn entry(result: &str, more: &Value) -> Value {
        let mut entry = json!({
            "id": "1", "trigger": "Manual", "attempts": 1, "result": result,
            "startedAt": "2026-01-05T09:00:00Z", "completedAt": "2026-01-05T09:00:01Z",
        });
        entry
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        entry
    }

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-05T09:00:02Z"})
    }

    #[test]
    fn only_its_own_echo_or_a_later_one_ends_it() {
        let awaited = Awaited::of(&object("mine", json!({})), false, "mine");
        let imported = entry("Imported", &json!({"agentCount": 1, "rows": 2}));
        for (annotation, echo, expected) in [
            ("mine", json!(null), false),
            ("mine", json!("before"), false),
            ("mine", json!("mine"), true),
            // Somebody has asked again: that fetch is later than the one that was asked for.
            ("later", json!("before"), false),
            ("later", json!("later"), true),
        ] {
            let status = json!({"lastHandledFetchRequest": echo, "history": [imported]});
            let state = awaited.state(&object(annotation, status));
            assert_eq!(
                matches!(state, State::Succeeded(_)),
                expected,
                "{annotation} {echo}: {state:?}"
            );
        }
        // The other annotation has an echo of its own.
        let status = json!({"lastHandledForceFetchRequest": "mine", "history": [imported]});
        let state = awaited.state(&object("mine", status));
        assert_eq!(state, State::Waiting("requested".into()));
    }

    #[test]
    fn how_it_ended_is_told_with_the_hint() {
        let awaited = Awaited::of(&object("mine", json!({})), false, "mine");
        let state = |entry: Value| {
            let status = json!({"lastHandledFetchRequest": "mine", "history": [entry]});
            awaited.state(&object("mine", status))
        };
        let counts =
            json!({"agentCount": 1, "rows": 1203, "changedAgentDays": 4, "warningCount": 2});
        assert_eq!(
            state(entry("Imported", &counts)),
            State::Succeeded("1 agent, 1,203 rows, 4 agent days changed, 2 warnings".into())
        );
        assert_eq!(
            state(entry("NotModified", &json!({}))),
            State::Succeeded("the file is the one that was imported before".into())
        );
        let error = json!({"code": "NoSuchKey", "message": "not there", "hint": "compare\nkeys"});
        assert_eq!(
            state(entry("Error", &json!({"error": error}))),
            State::Failed("NoSuchKey: not there\n  hint: compare\n  hint: keys".into())
        );
    }

    #[test]
    fn what_can_never_be_echoed_is_not_waited_for() {
        let awaited = Awaited::of(&object("mine", json!({})), false, "mine");
        let stalled =
            json!({"conditions": [condition("Stalled", "True", "InvalidSchedule", "no such day")]});
        assert_eq!(
            awaited.state(&object("mine", stalled)),
            State::Failed("cannot be fetched: InvalidSchedule: no such day".into())
        );
        let no_goals = json!({"conditions": [condition("Ready", "Unknown", "NoGoals", "none")]});
        assert_eq!(
            awaited.state(&object("mine", no_goals)),
            State::Failed("cannot be fetched: none".into())
        );
        let mut other = object("mine", json!({}));
        other.metadata.uid = Some("v".into());
        assert!(matches!(awaited.state(&other), State::Failed(_)));
    }

    #[test]
    fn what_is_being_done_is_told() {
        let awaited = Awaited::of(&object("mine", json!({})), false, "mine");
        let fetching = condition("Reconciling", "True", "Fetching", "fetching since nine");
        let state = awaited.state(&object("mine", json!({"conditions": [fetching]})));
        assert_eq!(state, State::Waiting("fetching since nine".into()));
    }
}
