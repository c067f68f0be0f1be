//! How a source stands, in words for the terminal.

use std::time::Instant;

use jiff::Timestamp;
use uuid::Uuid;

use super::summary::{ErrorSummary, SourceSummary};
use crate::domain::data_source::DataSource;
use crate::domain::fetch::FetchRecord;
use crate::domain::plan::Waiting;
use crate::ingest::engine::Standing;

/// What to say of a source once its first fetch has ended; None while it has not.
pub(super) fn stands(
    source: &DataSource,
    standing: &Standing,
    token: Option<&str>,
    began: Instant,
) -> Option<SourceSummary> {
    let never_fetched = standing.stored.history.is_empty();
    let unfetched = match standing.reason {
        Waiting::NoGoals => Some((
            "NoGoals",
            "spec.goals is empty: nothing is fetched yet",
            "name at least one goal: the columns of the CSV to read",
        )),
        Waiting::Suspended if never_fetched => Some((
            "Suspended",
            "spec.suspend is true and nothing has been fetched yet",
            "set it to false, or request one fetch by annotation",
        )),
        _ => None,
    };
    if let Some((code, message, hint)) = unfetched {
        let error = ErrorSummary {
            code: code.to_owned(),
            message: message.to_owned(),
            hint: hint.to_owned(),
        };
        let (namespace, name) = (&source.key.namespace, &source.key.name);
        return Some(SourceSummary::unfetched(namespace, name, Some(error)));
    }
    if standing.reason == Waiting::ForFetch {
        return None;
    }
    let handled =
        token.is_none_or(|token| standing.stored.handled_request.as_deref() == Some(token));
    let record = standing.stored.history.first()?;
    if !handled && record.error().is_none() {
        return None;
    }
    let took = if record.attempts > 1 {
        began.elapsed().as_secs_f64()
    } else {
        seconds(record)
    };
    Some(SourceSummary::fetched(
        source,
        &standing.stored,
        record,
        took,
    ))
}

pub(super) fn newest(standing: &Standing) -> Option<(Uuid, u32)> {
    standing
        .stored
        .history
        .first()
        .map(|record| (record.id, record.attempts))
}

pub(super) fn seconds(record: &FetchRecord) -> f64 {
    record
        .completed_at
        .map(|completed| completed.duration_since(record.started_at).as_secs_f64())
        .unwrap_or_default()
}

pub(super) fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
