//! Sources and the log of their fetches.

use uuid::Uuid;

use super::super::{BeginFetch, EndFetch, SourceRef, StoreError};
use super::data::Replaced;
use super::rows::{decode, nanoseconds, record, signed, unfinished_fetch, unsigned};
use super::{Session, Value, catalogue, row};
use crate::domain::data_source::SourceId;
use crate::domain::fetch::{FetchRecord, Import, Outcome};
use crate::domain::plan::{CursorUpdate, SlotCursor};
use crate::domain::status::Stored;

const COMPLETED: &str = "SELECT id, uid, \"trigger\", fingerprint, started_at, completed_at, \
     attempts, outcome FROM \"fetch\"";

pub(super) async fn is_known(
    reading: &mut dyn Session,
    source: &SourceRef,
) -> Result<bool, StoreError> {
    let found = row(
        reading,
        "SELECT id FROM data_source WHERE id = $1 AND uid = $2 AND present",
        &[source.id.into(), (&source.uid).into()],
    )
    .await?;
    Ok(found.is_some())
}

/// A new object under a known name starts with the data and without the past of the one that is
/// gone.
pub(super) async fn enter(writing: &mut dyn Session, source: &SourceRef) -> Result<(), StoreError> {
    writing
        .execute(
            "UPDATE data_source SET uid = $1, cursor_schedule = NULL, cursor_until = NULL, \
             missed_fetches = 0, failures = 0, handled_request = NULL, \
             handled_force_request = NULL, last_fetch_at = NULL, last_success_at = NULL, \
             reader = NULL, version = version + 1 WHERE id = $2 AND uid <> $1",
            &[(&source.uid).into(), source.id.into()],
        )
        .await?;
    writing
        .execute(
            "INSERT INTO data_source (id, namespace, name, uid) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (id) DO UPDATE SET present = TRUE, version = data_source.version + 1",
            &[
                source.id.into(),
                (&source.key.namespace).into(),
                (&source.key.name).into(),
                (&source.uid).into(),
            ],
        )
        .await
        .map(drop)
}

/// `reading` sees one state: what is read belongs together.
pub(super) async fn stored(
    reading: &mut dyn Session,
    source: &SourceRef,
    history: usize,
) -> Result<Stored, StoreError> {
    let held = row(
        reading,
        "SELECT * FROM data_source WHERE id = $1",
        &[source.id.into()],
    )
    .await?
    .ok_or(StoreError::Database(sqlx::Error::RowNotFound))?;
    let records = completed(reading, source.id, &source.uid, history.max(1)).await?;
    let unfinished = row(
        reading,
        "SELECT id, uid, \"trigger\", slot, fingerprint, started_at, request, force_request \
         FROM \"fetch\" WHERE source = $1 AND completed_at IS NULL ORDER BY id DESC LIMIT 1",
        &[source.id.into()],
    )
    .await?;
    let cursor = held
        .optional_text("cursor_schedule")?
        .zip(held.time("cursor_until")?)
        .map(|(schedule, until)| SlotCursor { schedule, until });
    Ok(Stored {
        history: records,
        unfinished: unfinished.as_ref().map(unfinished_fetch).transpose()?,
        last_fetch_at: held.time("last_fetch_at")?,
        last_success_at: held.time("last_success_at")?,
        etag: held.optional_text("etag")?,
        etag_fingerprint: held.optional_text("etag_fingerprint")?,
        rows: held.get::<Option<i64>>("rows")?.map(unsigned),
        cursor,
        missed_fetches: held.count("missed_fetches")?,
        handled_request: held.optional_text("handled_request")?,
        handled_force_request: held.optional_text("handled_force_request")?,
        failures: held.small_count("failures")?,
        reader: held.optional_text("reader")?,
        description: catalogue::description(&held)?,
        agent_count: held.count("agent_count")?,
        agents: Vec::new(),
        first_day: held.optional_day("first_day")?,
        last_day: held.optional_day("last_day")?,
    })
}

pub(super) async fn set_reader(
    writing: &mut dyn Session,
    id: SourceId,
    reader: &str,
) -> Result<(), StoreError> {
    writing
        .execute(
            "UPDATE data_source SET reader = $1 WHERE id = $2",
            &[reader.into(), id.into()],
        )
        .await
        .map(drop)
}

pub(super) async fn advance_cursor(
    writing: &mut dyn Session,
    id: SourceId,
    update: &CursorUpdate,
) -> Result<(), StoreError> {
    writing
        .execute(
            "UPDATE data_source SET cursor_schedule = $1, cursor_until = $2, \
             missed_fetches = missed_fetches + $3 WHERE id = $4",
            &[
                (&update.cursor.schedule).into(),
                nanoseconds(update.cursor.until).into(),
                update.missed.into(),
                id.into(),
            ],
        )
        .await
        .map(drop)
}

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
        advance_cursor(writing, begin.source, update).await?;
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
             imported_at = $5 WHERE id = $1",
            &[
                end.source.into(),
                (&end.etag).into(),
                (&ending.fingerprint).into(),
                signed(import.rows).into(),
                nanoseconds(end.completed_at).into(),
            ],
        )
        .await?;
    count_agents(writing, end.source).await?;
    settle(writing, end, &ending).await?;
    Ok(import)
}

/// What the source holds, by what its agents hold.
pub(super) async fn count_agents(
    writing: &mut dyn Session,
    source: SourceId,
) -> Result<(), StoreError> {
    writing
        .execute(
            "UPDATE data_source SET \
             agent_count = (SELECT count(*) FROM agent WHERE source = $1), \
             first_day = (SELECT min(first_day) FROM agent WHERE source = $1), \
             last_day = (SELECT max(last_day) FROM agent WHERE source = $1) WHERE id = $1",
            &[source.into()],
        )
        .await
        .map(drop)
}

/// Reports of it are to be looked at anew.
pub(super) async fn raise_version(
    writing: &mut dyn Session,
    source: SourceId,
) -> Result<(), StoreError> {
    writing
        .execute(
            "UPDATE data_source SET version = version + 1 WHERE id = $1",
            &[source.into()],
        )
        .await
        .map(drop)
}

/// Its data stay; what it was doing is of no interest any more.
pub(super) async fn retire(writing: &mut dyn Session, id: SourceId) -> Result<(), StoreError> {
    for statement in [
        "UPDATE data_source SET present = FALSE, version = version + 1 WHERE id = $1",
        "DELETE FROM \"fetch\" WHERE source = $1 AND completed_at IS NULL",
    ] {
        writing.execute(statement, &[id.into()]).await?;
    }
    Ok(())
}

pub(super) async fn delete(writing: &mut dyn Session, id: SourceId) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM agent_day WHERE source = $1",
        "DELETE FROM agent WHERE source = $1",
        "DELETE FROM slot WHERE source = $1",
        "DELETE FROM \"fetch\" WHERE source = $1",
        "DELETE FROM data_source WHERE id = $1",
    ] {
        writing.execute(statement, &[id.into()]).await?;
    }
    Ok(())
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
async fn completed(
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
