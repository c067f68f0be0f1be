//! Status and finalizers, written to the API server; nothing is written where nothing changed.

use std::sync::Arc;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};

use super::FINALIZER;
use super::events::{Events, News};
use crate::crd::data_source::{DataSource, DataSourceStatus};
use crate::domain::fetch::FetchError;
use crate::domain::status::{Condition, ConditionStatus, Status, unstored_status};
use crate::metrics::Metrics;

const FIELD_MANAGER: &str = "sumsq";
/// Somebody else writes at the same time: rare, and never often in a row.
const MAX_CONFLICTS: usize = 5;

pub(super) struct Publisher {
    client: Client,
    metrics: Arc<Metrics>,
}

impl Publisher {
    pub(super) fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self { client, metrics }
    }

    /// Brings the object's status to `status`, by server-side apply on the version that was read,
    /// and tells what is news in it.
    pub(super) async fn publish(
        &self,
        object: &DataSource,
        status: &Status,
        now: Timestamp,
        events: &Events,
    ) -> Result<(), kube::Error> {
        let api = self.api(object);
        let mut read = object.clone();
        for _ in 0..MAX_CONFLICTS {
            let before = serde_json::to_value(&read.status).map_err(kube::Error::SerdeError)?;
            let after = status_value(status, &before, now)?;
            if before == after {
                return Ok(());
            }
            let patch = json!({
                "apiVersion": DataSource::api_version(&()),
                "kind": DataSource::kind(&()),
                "metadata": {
                    "name": read.name_any(),
                    "namespace": read.namespace(),
                    "resourceVersion": read.resource_version(),
                },
                "status": after,
            });
            let params = PatchParams::apply(FIELD_MANAGER).force();
            match api
                .patch_status(&read.name_any(), &params, &Patch::Apply(&patch))
                .await
            {
                Ok(_) => {
                    self.metrics.status_written();
                    if let Some(news) = news(&before, &after) {
                        events.publish(object, news).await;
                    }
                    return Ok(());
                }
                Err(kube::Error::Api(response)) if response.code == 409 => {
                    // Somebody wrote in between, perhaps ourselves: read again. Of another object
                    // under this name there is nothing to say.
                    match api.get_opt(&read.name_any()).await? {
                        Some(fresh) if fresh.uid() == object.uid() => read = fresh,
                        _ => return Ok(()),
                    }
                }
                Err(kube::Error::Api(response)) if response.code == 404 => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        tracing::warn!(source = %super::dereference::key(object), "status is contended");
        Ok(())
    }

    /// Says that the store fails, and leaves everything else as it stands.
    pub(super) async fn unstored(
        &self,
        object: &DataSource,
        failure: &FetchError,
        now: Timestamp,
    ) -> Result<(), kube::Error> {
        let status = Status {
            observed_generation: object.metadata.generation.unwrap_or_default(),
            ..unstored_status(failure)
        };
        let before = serde_json::to_value(&object.status).map_err(kube::Error::SerdeError)?;
        let ready = condition_value("Ready", &status.ready, &status, &before, now);
        if find_condition(&before, "Ready") == Some(&ready) {
            return Ok(());
        }
        let mut after = if before.is_object() {
            before
        } else {
            json!({})
        };
        after["conditions"] = json!([ready]);
        let patch = json!({
            "apiVersion": DataSource::api_version(&()),
            "kind": DataSource::kind(&()),
            "metadata": {
                "name": object.name_any(),
                "namespace": object.namespace(),
                "resourceVersion": object.resource_version(),
            },
            "status": after,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&patch);
        match self
            .api(object)
            .patch_status(&object.name_any(), &params, &patch)
            .await
        {
            // Read again, it comes back to this.
            Err(kube::Error::Api(response)) if response.code == 409 || response.code == 404 => {
                Ok(())
            }
            result => {
                self.metrics.status_written();
                result.map(drop)
            }
        }
    }

    /// Adds or removes our finalizer; others' stay.
    pub(super) async fn set_finalizer(
        &self,
        object: &DataSource,
        present: bool,
    ) -> Result<(), kube::Error> {
        let mut finalizers: Vec<String> = object
            .finalizers()
            .iter()
            .filter(|finalizer| *finalizer != FINALIZER)
            .cloned()
            .collect();
        if present {
            finalizers.push(FINALIZER.to_owned());
        }
        // With the version that was read, so that nobody's finalizer is overwritten.
        let patch = json!({"metadata": {
            "resourceVersion": object.resource_version(),
            "finalizers": finalizers,
        }});
        let name = object.name_any();
        match self
            .api(object)
            .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Err(kube::Error::Api(response)) if response.code == 404 => Ok(()),
            result => result.map(drop),
        }
    }

    fn api(&self, object: &DataSource) -> Api<DataSource> {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }
}

/// The status as the API server holds it. A condition keeps its transition time while its status
/// stays what it was.
fn status_value(status: &Status, before: &Value, now: Timestamp) -> Result<Value, kube::Error> {
    let mut value = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
    let conditions: Vec<Value> = status
        .conditions()
        .into_iter()
        .map(|(kind, condition)| condition_value(kind, condition, status, before, now))
        .collect();
    value["conditions"] = Value::Array(conditions);
    // Through the resource's own type, so that it compares with what was read.
    let typed: DataSourceStatus = serde_json::from_value(value).map_err(kube::Error::SerdeError)?;
    serde_json::to_value(typed).map_err(kube::Error::SerdeError)
}

fn condition_value(
    kind: &str,
    condition: &Condition,
    status: &Status,
    before: &Value,
    now: Timestamp,
) -> Value {
    let state = match condition.status {
        ConditionStatus::True => "True",
        ConditionStatus::False => "False",
        ConditionStatus::Unknown => "Unknown",
    };
    let since = find_condition(before, kind)
        .filter(|earlier| earlier["status"] == state)
        .and_then(|earlier| earlier["lastTransitionTime"].as_str().map(str::to_owned))
        .unwrap_or_else(|| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    json!({
        "type": kind,
        "status": state,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": since,
        "observedGeneration": status.observed_generation,
    })
}

fn find_condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// What is worth an event: a failure that was not there before, and the end of one. Repeats of
/// the same failure and further successes are not.
fn news(before: &Value, after: &Value) -> Option<News> {
    let ready = find_condition(after, "Ready")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (reason, note) = (text(&ready["reason"]), text(&ready["message"]));
    let before_ready = find_condition(before, "Ready");
    let was = before_ready
        .and_then(|condition| condition["status"].as_str())
        .unwrap_or("Unknown");
    match ready["status"].as_str() {
        Some("False") => {
            let repeated = was == "False"
                && before_ready.is_some_and(|condition| condition["reason"] == ready["reason"])
                && failure(before) == failure(after);
            (!repeated).then_some(News {
                warning: true,
                reason,
                note,
            })
        }
        Some("True") if was == "False" => Some(News {
            warning: false,
            reason: "Recovered".to_owned(),
            note,
        }),
        Some("True") if was == "Unknown" => Some(News {
            warning: false,
            reason,
            note,
        }),
        _ => None,
    }
}

/// Code and message of the newest failure.
fn failure(status: &Value) -> (Option<&Value>, Option<&Value>) {
    let error = status
        .get("history")
        .and_then(|history| history.get(0))
        .map(|entry| &entry["error"]);
    (
        error.map(|error| &error["code"]),
        error.map(|error| &error["message"]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(ready: &str, reason: &str, error: Option<&str>) -> Value {
        json!({
            "conditions": [{"type": "Ready", "status": ready, "reason": reason, "message": "m"}],
            "history": [{"error": error.map(|message| json!({"code": reason, "message": message}))}],
        })
    }

    fn told(before: &Value, after: &Value) -> Option<(bool, String)> {
        news(before, after).map(|news| (news.warning, news.reason))
    }

    #[test]
    fn events_tell_changes_and_recoveries_only() {
        let nothing = json!(null);
        let fetched = status("True", "Imported", None);
        let unmodified = status("True", "NotModified", None);
        let denied = status("False", "AccessDenied", Some("no s3:GetObject"));
        let denied_otherwise = status("False", "AccessDenied", Some("no kms:Decrypt"));
        let missing = status("False", "NoSuchKey", Some("gone"));
        let warning = |reason: &str| Some((true, reason.to_owned()));
        let normal = |reason: &str| Some((false, reason.to_owned()));
        for (before, after, expected) in [
            (&nothing, &fetched, normal("Imported")),
            (&nothing, &denied, warning("AccessDenied")),
            (&fetched, &unmodified, None),
            (&fetched, &denied, warning("AccessDenied")),
            (&denied, &denied, None),
            (&denied, &denied_otherwise, warning("AccessDenied")),
            (&denied, &missing, warning("NoSuchKey")),
            (&missing, &unmodified, normal("Recovered")),
        ] {
            assert_eq!(told(before, after), expected, "{before} -> {after}");
        }
    }
}
