//! The log of fetches: how each begins and ends, and what that says of its source.

use uuid::Uuid;

use super::super::{BeginFetch, EndFetch, StoreError};
use super::data::Replaced;
use super::rows::{decode, nanoseconds, record, signed};
use super::{Session, Value, row, sources};
use crate::domain::data_source::SourceId;
use crate::domain::fetch::{FetchRecord, Import, Outcome};

const COMPLETED: &str = "SELECT id, uid, \"trigger\", fingerprint, started_at, completed_at, \
     attempts, outcome FROM \"fetch\"";

pub(super) async fn begin(
    writing: &mut dyn Session,
    begin: &BeginFetch,
) -> Result<Uuid, StoreError> {
    if let Some(fetch) = begin.plan.resume {
        let found = row(
            writing,
            "SELECT id FROM \"fetch\" WHERE source = $1 AND id = $2 AND completed_at IS NULL",
            &[begin.source.into(), fetch.into()],
        )
        .await?;
        return found.map(|_| fetch).ok_or(StoreError::UnknownFetch(fetch));
    }
    let fetch = next_id(writing, begin.source).await?;
    claim_slot(writing, begin, fetch).await?;
    writing
        .execute(
            "INSERT INTO \"fetch\" (source, id, uid, \"trigger\", fingerprint, slot, request, \
             force_request, started_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                begin.source.into(),
                fetch.into(),
                (&begin.uid).into(),
                begin.plan.trigger.as_str().into(),
                (&begin.fingerprint).into(),
                begin.plan.slot.map(nanoseconds).into(),
                (&begin.plan.request).into(),
                (&begin.plan.force_request).into(),
                nanoseconds(begin.started_at).into(),
            ],
        )
        .await?;
    if let Some(update) = &begin.cursor {
        sources::advance_cursor(writing, begin.source, update).await?;
    }
    if begin.plan.resets_backoff {
        writing
            .execute(
                "UPDATE data_source SET failures = 0 WHERE id = $1",
                &[begin.source.into()],
            )
            .await?;
    }
    Ok(fetch)
}

async fn claim_slot(
    writing: &mut dyn Session,
    begin: &BeginFetch,
    fetch: Uuid,
) -> Result<(), StoreError> {
    let Some(slot) = begin.plan.slot else {
        return Ok(());
    };
    let claimed = writing
        .execute(
            "INSERT INTO slot (source, uid, slot, \"fetch\") VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            &[
                begin.source.into(),
                (&begin.uid).into(),
                nanoseconds(slot).into(),
                fetch.into(),
            ],
        )
        .await?;
    if claimed == 0 {
        return Err(StoreError::SlotTaken {
            source_id: begin.source,
            slot,
        });
    }
    Ok(())
}

/// Sorts behind every fetch of the source, also where the clock has been set back.
async fn next_id(writing: &mut dyn Session, source: SourceId) -> Result<Uuid, StoreError> {
    let newest = row(
        writing,
        "SELECT id FROM \"fetch\" WHERE source = $1 ORDER BY id DESC LIMIT 1",
        &[source.into()],
    )
    .await?;
    let newest = newest.map(|row| row.uuid("id")).transpose()?;
    let by_clock = Uuid::now_v7();
    Ok(match newest {
        Some(newest) if newest >= by_clock => Uuid::from_u128(newest.as_u128().wrapping_add(1)),
        _ => by_clock,
    })
}

pub(super) async fn abandon(
    writing: &mut dyn Session,
    source: SourceId,
    fetch: Uuid,
) -> Result<(), StoreError> {
    for statement in [
        "UPDATE data_source SET cursor_until = \
         (SELECT min(slot) - 1 FROM slot WHERE source = $1 AND \"fetch\" = $2) WHERE id = $1 \
         AND cursor_until >= (SELECT min(slot) FROM slot WHERE source = $1 AND \"fetch\" = $2)",
        "DELETE FROM slot WHERE source = $1 AND \"fetch\" = $2",
        "DELETE FROM \"fetch\" WHERE source = $1 AND id = $2 AND completed_at IS NULL",
    ] {
        writing
            .execute(statement, &[source.into(), fetch.into()])
            .await?;
    }
    Ok(())
}

pub(super) async fn complete(writing: &mut dyn Session, end: &EndFetch) -> Result<(), StoreError> {
    let ending = running(writing, end).await?;
    let newest = newest(writing, end.source, &ending.uid).await?;
    let repeated = newest.filter(|newest| {
        newest.fingerprint == ending.fingerprint
            && matches!((&end.outcome, newest.error()),
                (Outcome::Failed(error), Some(before)) if error.same_failure(before))
    });
    if let Some(record) = repeated {
        merge(writing, end, &record).await?;
    } else {
        strip_policies(writing, end.source, &ending.uid).await?;
        log_outcome(writing, end, end.fetch, &end.outcome, 1).await?;
    }
    settle(writing, end, &ending).await
}

pub(super) async fn complete_import(
    writing: &mut dyn Session,
    end: &EndFetch,
    replaced: Replaced,
) -> Result<Import, StoreError> {
    let ending = running(writing, end).await?;
    let Outcome::Imported(import) = &end.outcome else {
        return Err(StoreError::UnknownFetch(end.fetch));
    };
    let import = Import {
        agent_days: replaced.agent_days,
        changed_agent_days: replaced.changed,
        ..import.clone()
    };
    strip_policies(writing, end.source, &ending.uid).await?;
    let outcome = Outcome::Imported(import.clone());
    log_outcome(writing, end, end.fetch, &outcome, 1).await?;
    writing
        .execute(
            "UPDATE data_source SET etag = $2, etag_fingerprint = $3, \"rows\" = $4, \
             imported_at = $5, version = version + 1 WHERE id = $1",
            &[
                end.source.into(),
                (&end.etag).into(),
                (&ending.fingerprint).into(),
                signed(import.rows).into(),
                nanoseconds(end.completed_at).into(),
            ],
        )
        .await?;
    sources::count_agents(writing, end.source).await?;
    settle(writing, end, &ending).await?;
    Ok(import)
}

pub(super) async fn fetches(
    reading: &mut dyn Session,
    id: SourceId,
    limit: usize,
    before: Option<Uuid>,
) -> Result<Vec<FetchRecord>, StoreError> {
    let sql = format!("{COMPLETED} WHERE source = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    let before = before.unwrap_or(Uuid::max());
    let rows = reading
        .rows(&sql, &[id.into(), before.into(), at_most(limit)])
        .await?;
    rows.iter().map(record).collect()
}

/// Completed fetches of one object, newest first.
pub(super) async fn completed(
    reading: &mut dyn Session,
    source: SourceId,
    uid: &str,
    limit: usize,
) -> Result<Vec<FetchRecord>, StoreError> {
    let sql = format!(
        "{COMPLETED} WHERE source = $1 AND uid = $2 AND completed_at IS NOT NULL \
         ORDER BY id DESC LIMIT $3"
    );
    let rows = reading
        .rows(&sql, &[source.into(), uid.into(), at_most(limit)])
        .await?;
    rows.iter().map(record).collect()
}

fn at_most(limit: usize) -> Value<'static> {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}

/// The fetch that ends, as it was begun.
struct Ending {
    uid: String,
    fingerprint: String,
    request: Option<String>,
    force_request: Option<String>,
}

async fn running(writing: &mut dyn Session, end: &EndFetch) -> Result<Ending, StoreError> {
    let row = row(
        writing,
        "SELECT uid, fingerprint, request, force_request FROM \"fetch\" \
         WHERE source = $1 AND id = $2 AND completed_at IS NULL",
        &[end.source.into(), end.fetch.into()],
    )
    .await?
    .ok_or(StoreError::UnknownFetch(end.fetch))?;
    Ok(Ending {
        uid: row.text("uid")?,
        fingerprint: row.text("fingerprint")?,
        request: row.optional_text("request")?,
        force_request: row.optional_text("force_request")?,
    })
}

async fn newest(
    writing: &mut dyn Session,
    source: SourceId,
    uid: &str,
) -> Result<Option<FetchRecord>, StoreError> {
    Ok(completed(writing, source, uid, 1).await?.into_iter().next())
}

/// A repeat of the newest failure is one more attempt of that record; the row that was begun for
/// it goes, and the slot that it claimed is the record's.
async fn merge(
    writing: &mut dyn Session,
    end: &EndFetch,
    record: &FetchRecord,
) -> Result<(), StoreError> {
    let attempts = record.attempts.saturating_add(1);
    log_outcome(writing, end, record.id, &end.outcome, attempts).await?;
    writing
        .execute(
            "UPDATE slot SET \"fetch\" = $1 WHERE source = $2 AND \"fetch\" = $3",
            &[record.id.into(), end.source.into(), end.fetch.into()],
        )
        .await?;
    writing
        .execute(
            "DELETE FROM \"fetch\" WHERE source = $1 AND id = $2",
            &[end.source.into(), end.fetch.into()],
        )
        .await
        .map(drop)
}

async fn log_outcome(
    writing: &mut dyn Session,
    end: &EndFetch,
    fetch: Uuid,
    outcome: &Outcome,
    attempts: u32,
) -> Result<(), StoreError> {
    let outcome = serde_json::to_string(outcome).map_err(|error| decode("outcome", error))?;
    writing
        .execute(
            "UPDATE \"fetch\" SET completed_at = $1, attempts = $2, outcome = $3 \
             WHERE source = $4 AND id = $5",
            &[
                nanoseconds(end.completed_at).into(),
                attempts.into(),
                (&outcome).into(),
                end.source.into(),
                fetch.into(),
            ],
        )
        .await
        .map(drop)
}

/// Ready-made policies stand with the newest failure only.
async fn strip_policies(
    writing: &mut dyn Session,
    source: SourceId,
    uid: &str,
) -> Result<(), StoreError> {
    let Some(FetchRecord {
        id,
        outcome: Some(Outcome::Failed(mut error)),
        ..
    }) = newest(writing, source, uid).await?
    else {
        return Ok(());
    };
    if error.policies.is_empty() {
        return Ok(());
    }
    error.policies.clear();
    let outcome =
        serde_json::to_string(&Outcome::Failed(error)).map_err(|error| decode("outcome", error))?;
    writing
        .execute(
            "UPDATE \"fetch\" SET outcome = $1 WHERE source = $2 AND id = $3",
            &[(&outcome).into(), source.into(), id.into()],
        )
        .await
        .map(drop)
}

/// What every end of a fetch says of its source.
async fn settle(
    writing: &mut dyn Session,
    end: &EndFetch,
    ending: &Ending,
) -> Result<(), StoreError> {
    writing
        .execute(
            "UPDATE data_source SET last_fetch_at = $1, version = version + 1, \
             last_success_at = CASE WHEN $2 THEN $1 ELSE last_success_at END, \
             failures = CASE WHEN $2 THEN 0 ELSE failures + 1 END, \
             handled_request = coalesce($3, handled_request), \
             handled_force_request = coalesce($4, handled_force_request) \
             WHERE id = $5 AND uid = $6",
            &[
                nanoseconds(end.completed_at).into(),
                end.outcome.succeeded().into(),
                (&ending.request).into(),
                (&ending.force_request).into(),
                end.source.into(),
                (&ending.uid).into(),
            ],
        )
        .await
        .map(drop)
}
