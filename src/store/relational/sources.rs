//! What is known of a source besides its data and the log.

use super::super::{SourceRef, StoreError};
use super::rows::{nanoseconds, unfinished_fetch, unsigned};
use super::{Session, catalogue, log, row};
use crate::domain::data_source::SourceId;
use crate::domain::plan::{CursorUpdate, SlotCursor};
use crate::domain::status::Stored;

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
    .ok_or(StoreError::Database(sqlx::Error::RowNotFound.into()))?;
    let records = log::completed(reading, source.id, &source.uid, history.max(1)).await?;
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
            "UPDATE data_source SET reader = NULLIF($1, '') WHERE id = $2",
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

/// Whether an object stands behind it; None where the store does not hold it.
pub(super) async fn is_present(
    session: &mut dyn Session,
    id: SourceId,
) -> Result<Option<bool>, StoreError> {
    let sql = "SELECT present FROM data_source WHERE id = $1";
    let rows = session.rows(sql, &[id.into()]).await?;
    rows.first().map(|row| row.get("present")).transpose()
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
