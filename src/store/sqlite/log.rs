//! Sources and the log of their fetches.

use sqlx::sqlite::SqlitePool;
use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use super::super::{BeginFetch, EndFetch, SourceRef, StoreError};
use super::catalogue;
use super::data::Replaced;
use super::rows::{
    bytes, decode, get, nanoseconds, optional, record, signed, time, unfinished_fetch, unsigned,
    uuid,
};
use super::{database, key};
use crate::domain::agent_day::Day;
use crate::domain::data_source::SourceId;
use crate::domain::fetch::{FetchRecord, Import, Outcome};
use crate::domain::plan::{CursorUpdate, SlotCursor};
use crate::domain::status::Stored;

type Writing = Transaction<'static, Sqlite>;

const COMPLETED: &str = "SELECT id, uid, \"trigger\", fingerprint, started_at, completed_at, \
     attempts, outcome FROM fetch";

pub(super) async fn is_known(pool: &SqlitePool, source: &SourceRef) -> Result<bool, StoreError> {
    sqlx::query("SELECT 1 FROM data_source WHERE id = ? AND uid = ? AND present = 1")
        .bind(key(source.id))
        .bind(&source.uid)
        .fetch_optional(pool)
        .await
        .map(|row| row.is_some())
        .map_err(database)
}

/// A new object under a known name starts with the data and without the past of the one that is
/// gone.
pub(super) async fn enter(writing: &mut Writing, source: &SourceRef) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE data_source SET uid = ?, cursor_schedule = NULL, cursor_until = NULL, \
         missed_fetches = 0, failures = 0, handled_request = NULL, handled_force_request = NULL, \
         last_fetch_at = NULL, last_success_at = NULL, reader = NULL, version = version + 1 \
         WHERE id = ? AND uid <> ?",
    )
    .bind(&source.uid)
    .bind(key(source.id))
    .bind(&source.uid)
    .execute(&mut **writing)
    .await
    .map_err(database)?;
    sqlx::query(
        "INSERT INTO data_source (id, namespace, name, uid) VALUES (?, ?, ?, ?) \
         ON CONFLICT (id) DO UPDATE SET present = 1, version = version + 1",
    )
    .bind(key(source.id))
    .bind(&source.key.namespace)
    .bind(&source.key.name)
    .bind(&source.uid)
    .execute(&mut **writing)
    .await
    .map_err(database)?;
    Ok(())
}

pub(super) async fn stored(
    pool: &SqlitePool,
    source: &SourceRef,
    history: usize,
) -> Result<Stored, StoreError> {
    // One connection and one transaction: what is read belongs together.
    let mut reading = pool.begin().await.map_err(database)?;
    let row = sqlx::query("SELECT * FROM data_source WHERE id = ?")
        .bind(key(source.id))
        .fetch_one(&mut *reading)
        .await
        .map_err(database)?;
    let records = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{COMPLETED} WHERE source = ? AND uid = ? AND completed_at IS NOT NULL \
         ORDER BY id DESC LIMIT ?"
    )))
    .bind(key(source.id))
    .bind(&source.uid)
    .bind(i64::try_from(history.max(1)).unwrap_or(i64::MAX))
    .fetch_all(&mut *reading)
    .await
    .map_err(database)?;
    let unfinished = sqlx::query(
        "SELECT id, uid, \"trigger\", slot, fingerprint, started_at, request, force_request \
         FROM fetch WHERE source = ? AND completed_at IS NULL ORDER BY id DESC LIMIT 1",
    )
    .bind(key(source.id))
    .fetch_optional(&mut *reading)
    .await
    .map_err(database)?;
    let cursor = optional::<String>(&row, "cursor_schedule")?
        .zip(time(&row, "cursor_until")?)
        .map(|(schedule, until)| SlotCursor { schedule, until });
    Ok(Stored {
        history: records.iter().map(record).collect::<Result<_, _>>()?,
        unfinished: unfinished.as_ref().map(unfinished_fetch).transpose()?,
        last_fetch_at: time(&row, "last_fetch_at")?,
        last_success_at: time(&row, "last_success_at")?,
        etag: optional(&row, "etag")?,
        etag_fingerprint: optional(&row, "etag_fingerprint")?,
        rows: optional::<i64>(&row, "rows")?.map(unsigned),
        cursor,
        missed_fetches: unsigned(get(&row, "missed_fetches")?),
        handled_request: optional(&row, "handled_request")?,
        handled_force_request: optional(&row, "handled_force_request")?,
        failures: u32::try_from(get::<i64>(&row, "failures")?).unwrap_or(u32::MAX),
        reader: optional(&row, "reader")?,
        description: catalogue::description(&row)?,
        agent_count: unsigned(get(&row, "agent_count")?),
        agents: Vec::new(),
        first_day: optional(&row, "first_day")?.map(Day),
        last_day: optional(&row, "last_day")?.map(Day),
    })
}

pub(super) async fn advance_cursor(
    writing: &mut Writing,
    id: SourceId,
    update: &CursorUpdate,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE data_source SET cursor_schedule = ?, cursor_until = ?, \
         missed_fetches = missed_fetches + ? WHERE id = ?",
    )
    .bind(&update.cursor.schedule)
    .bind(nanoseconds(update.cursor.until))
    .bind(update.missed)
    .bind(key(id))
    .execute(&mut **writing)
    .await
    .map_err(database)?;
    Ok(())
}

pub(super) async fn begin(writing: &mut Writing, begin: &BeginFetch) -> Result<Uuid, StoreError> {
    if let Some(fetch) = begin.plan.resume {
        let found =
            sqlx::query("SELECT 1 FROM fetch WHERE source = ? AND id = ? AND completed_at IS NULL")
                .bind(key(begin.source))
                .bind(bytes(&fetch))
                .fetch_optional(&mut **writing)
                .await
                .map_err(database)?;
        return found.map(|_| fetch).ok_or(StoreError::UnknownFetch(fetch));
    }
    let fetch = next_id(writing, begin.source).await?;
    if let Some(slot) = begin.plan.slot {
        let claimed = sqlx::query(
            "INSERT INTO slot (source, uid, slot, fetch) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(key(begin.source))
        .bind(&begin.uid)
        .bind(nanoseconds(slot))
        .bind(bytes(&fetch))
        .execute(&mut **writing)
        .await
        .map_err(database)?;
        if claimed.rows_affected() == 0 {
            return Err(StoreError::SlotTaken {
                source_id: begin.source,
                slot,
            });
        }
    }
    sqlx::query(
        "INSERT INTO fetch (source, id, uid, \"trigger\", fingerprint, slot, request, \
         force_request, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(key(begin.source))
    .bind(bytes(&fetch))
    .bind(&begin.uid)
    .bind(begin.plan.trigger.as_str())
    .bind(&begin.fingerprint)
    .bind(begin.plan.slot.map(nanoseconds))
    .bind(&begin.plan.request)
    .bind(&begin.plan.force_request)
    .bind(nanoseconds(begin.started_at))
    .execute(&mut **writing)
    .await
    .map_err(database)?;
    if let Some(update) = &begin.cursor {
        advance_cursor(writing, begin.source, update).await?;
    }
    if begin.plan.resets_backoff {
        sqlx::query("UPDATE data_source SET failures = 0 WHERE id = ?")
            .bind(key(begin.source))
            .execute(&mut **writing)
            .await
            .map_err(database)?;
    }
    Ok(fetch)
}

/// Sorts behind every fetch of the source, also where the clock has been set back.
async fn next_id(writing: &mut Writing, source: SourceId) -> Result<Uuid, StoreError> {
    let newest =
        sqlx::query("SELECT max(id) AS id FROM fetch WHERE source = ? HAVING max(id) IS NOT NULL")
            .bind(key(source))
            .fetch_optional(&mut **writing)
            .await
            .map_err(database)?;
    let newest = newest.map(|row| uuid(&row, "id")).transpose()?;
    let by_clock = Uuid::now_v7();
    Ok(match newest {
        Some(newest) if newest >= by_clock => Uuid::from_u128(newest.as_u128().wrapping_add(1)),
        _ => by_clock,
    })
}

pub(super) async fn abandon(
    writing: &mut Writing,
    source: SourceId,
    fetch: Uuid,
) -> Result<(), StoreError> {
    for statement in [
        "UPDATE data_source SET cursor_until = min(cursor_until, \
         (SELECT slot - 1 FROM slot WHERE source = ?1 AND fetch = ?2)) \
         WHERE id = ?1 AND EXISTS (SELECT 1 FROM slot WHERE source = ?1 AND fetch = ?2)",
        "DELETE FROM slot WHERE source = ?1 AND fetch = ?2",
        "DELETE FROM fetch WHERE source = ?1 AND id = ?2 AND completed_at IS NULL",
    ] {
        let struck = sqlx::query(statement)
            .bind(key(source))
            .bind(bytes(&fetch))
            .execute(&mut **writing)
            .await;
        struck.map_err(database)?;
    }
    Ok(())
}

pub(super) async fn complete(writing: &mut Writing, end: &EndFetch) -> Result<(), StoreError> {
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
    writing: &mut Writing,
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
    log_outcome(
        writing,
        end,
        end.fetch,
        &Outcome::Imported(import.clone()),
        1,
    )
    .await?;
    sqlx::query(
        "UPDATE data_source SET etag = ?2, etag_fingerprint = ?3, \"rows\" = ?4, \
         imported_at = ?5, \
         agent_count = (SELECT count(*) FROM agent WHERE source = ?1), \
         first_day = (SELECT min(first_day) FROM agent WHERE source = ?1), \
         last_day = (SELECT max(last_day) FROM agent WHERE source = ?1) WHERE id = ?1",
    )
    .bind(key(end.source))
    .bind(&end.etag)
    .bind(&ending.fingerprint)
    .bind(signed(import.rows))
    .bind(nanoseconds(end.completed_at))
    .execute(&mut **writing)
    .await
    .map_err(database)?;
    settle(writing, end, &ending).await?;
    Ok(import)
}

/// Its data stay; what it was doing is of no interest any more.
pub(super) async fn retire(writing: &mut Writing, id: SourceId) -> Result<(), StoreError> {
    for statement in [
        "UPDATE data_source SET present = 0, version = version + 1 WHERE id = ?",
        "DELETE FROM fetch WHERE source = ? AND completed_at IS NULL",
    ] {
        let retired = sqlx::query(statement)
            .bind(key(id))
            .execute(&mut **writing)
            .await;
        retired.map_err(database)?;
    }
    Ok(())
}

pub(super) async fn fetches(
    pool: &SqlitePool,
    id: SourceId,
    limit: usize,
    before: Option<Uuid>,
) -> Result<Vec<FetchRecord>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{COMPLETED} WHERE source = ? AND id < ? ORDER BY id DESC LIMIT ?"
    )))
    .bind(key(id))
    .bind(bytes(&before.unwrap_or(Uuid::max())))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter().map(record).collect()
}

/// The fetch that ends, as it was begun.
struct Ending {
    uid: String,
    fingerprint: String,
    request: Option<String>,
    force_request: Option<String>,
}

async fn running(writing: &mut Writing, end: &EndFetch) -> Result<Ending, StoreError> {
    let row = sqlx::query(
        "SELECT uid, fingerprint, request, force_request FROM fetch \
         WHERE source = ? AND id = ? AND completed_at IS NULL",
    )
    .bind(key(end.source))
    .bind(bytes(&end.fetch))
    .fetch_optional(&mut **writing)
    .await
    .map_err(database)?
    .ok_or(StoreError::UnknownFetch(end.fetch))?;
    Ok(Ending {
        uid: get(&row, "uid")?,
        fingerprint: get(&row, "fingerprint")?,
        request: optional(&row, "request")?,
        force_request: optional(&row, "force_request")?,
    })
}

async fn newest(
    writing: &mut Writing,
    source: SourceId,
    uid: &str,
) -> Result<Option<FetchRecord>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{COMPLETED} WHERE source = ? AND uid = ? AND completed_at IS NOT NULL \
         ORDER BY id DESC LIMIT 1"
    )))
    .bind(key(source))
    .bind(uid)
    .fetch_optional(&mut **writing)
    .await
    .map_err(database)?;
    row.as_ref().map(record).transpose()
}

/// A repeat of the newest failure is one more attempt of that record; the row that was begun for
/// it goes, and the slot that it claimed is the record's.
async fn merge(
    writing: &mut Writing,
    end: &EndFetch,
    record: &FetchRecord,
) -> Result<(), StoreError> {
    log_outcome(
        writing,
        end,
        record.id,
        &end.outcome,
        record.attempts.saturating_add(1),
    )
    .await?;
    sqlx::query("UPDATE slot SET fetch = ? WHERE source = ? AND fetch = ?")
        .bind(bytes(&record.id))
        .bind(key(end.source))
        .bind(bytes(&end.fetch))
        .execute(&mut **writing)
        .await
        .map_err(database)?;
    sqlx::query("DELETE FROM fetch WHERE source = ? AND id = ?")
        .bind(key(end.source))
        .bind(bytes(&end.fetch))
        .execute(&mut **writing)
        .await
        .map_err(database)?;
    Ok(())
}

async fn log_outcome(
    writing: &mut Writing,
    end: &EndFetch,
    fetch: Uuid,
    outcome: &Outcome,
    attempts: u32,
) -> Result<(), StoreError> {
    let outcome = serde_json::to_string(outcome).map_err(|error| decode("outcome", error))?;
    sqlx::query(
        "UPDATE fetch SET completed_at = ?, attempts = ?, outcome = ? WHERE source = ? AND id = ?",
    )
    .bind(nanoseconds(end.completed_at))
    .bind(attempts)
    .bind(outcome)
    .bind(key(end.source))
    .bind(bytes(&fetch))
    .execute(&mut **writing)
    .await
    .map_err(database)?;
    Ok(())
}

/// Ready-made policies stand with the newest failure only.
async fn strip_policies(
    writing: &mut Writing,
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
    sqlx::query("UPDATE fetch SET outcome = ? WHERE source = ? AND id = ?")
        .bind(outcome)
        .bind(key(source))
        .bind(bytes(&id))
        .execute(&mut **writing)
        .await
        .map_err(database)?;
    Ok(())
}

/// What every end of a fetch says of its source.
async fn settle(writing: &mut Writing, end: &EndFetch, ending: &Ending) -> Result<(), StoreError> {
    let succeeded = end.outcome.succeeded();
    sqlx::query(
        "UPDATE data_source SET last_fetch_at = ?1, version = version + 1, \
         last_success_at = CASE WHEN ?2 THEN ?1 ELSE last_success_at END, \
         failures = CASE WHEN ?2 THEN 0 ELSE failures + 1 END, \
         handled_request = coalesce(?3, handled_request), \
         handled_force_request = coalesce(?4, handled_force_request) WHERE id = ?5 AND uid = ?6",
    )
    .bind(nanoseconds(end.completed_at))
    .bind(succeeded)
    .bind(&ending.request)
    .bind(&ending.force_request)
    .bind(key(end.source))
    .bind(&ending.uid)
    .execute(&mut **writing)
    .await
    .map_err(database)?;
    Ok(())
}
