//! What is told of a DataSource: its status, and the news in it.

use jiff::Timestamp;
use kube::Resource;
use serde_json::{Value, json};

use super::Known;
use super::unreadable::whole;
use crate::controller::Shared;
use crate::controller::events::News;
use crate::controller::publish::{Reported, condition_value, find_condition, status_value};
use crate::crd::data_source::DataSourceStatus;
use crate::domain::fetch::FetchError;
use crate::domain::status::{Status, unstored_status};

/// Writes the status where it changed, and tells what is news in it.
pub(super) async fn status<K: Reported>(
    shared: &Shared,
    object: &K,
    status: &Status,
    now: Timestamp,
) -> Result<(), kube::Error> {
    let written = shared
        .publisher
        .publish(object, |_, before| {
            let conditions = status.conditions();
            let generation = status.observed_generation;
            status_value::<DataSourceStatus>(status, &conditions, generation, (before, now))
        })
        .await?;
    if let Some(news) = written.and_then(|written| news(&written.before, &written.after)) {
        shared.events.publish(object, "Fetch", news).await;
    }
    Ok(())
}

/// Says that the store fails, and leaves everything else as it stands.
pub(super) async fn unstored(
    shared: &Shared,
    object: &Known,
    failure: &FetchError,
    now: Timestamp,
) -> Result<(), kube::Error> {
    let ready = unstored_status(failure).ready;
    let generation = object.meta().generation.unwrap_or_default();
    let conditions =
        |before: &Value| json!([condition_value("Ready", &ready, generation, before, now)]);
    let known = object.told().and_then(|told| told.before());
    let known = known.map_err(kube::Error::SerdeError)?;
    if known["conditions"] == conditions(&known) {
        return Ok(());
    }
    // What is to stay as it stands is not kept here.
    let Some(whole) = whole(shared, object).await? else {
        return Ok(());
    };
    let written = shared.publisher.publish(&whole, |whole, before| {
        let mut after = whole.status.clone().unwrap_or_else(|| json!({}));
        after["conditions"] = conditions(before);
        Ok(after)
    });
    written.await.map(drop)
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
