//! Rows of the log in the domain's words.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite};
use uuid::Uuid;

use super::super::StoreError;
use super::database;
use crate::domain::fetch::{FetchRecord, Trigger};
use crate::domain::plan::UnfinishedFetch;

pub(super) fn record(row: &SqliteRow) -> Result<FetchRecord, StoreError> {
    let outcome = optional::<String>(row, "outcome")?
        .map(|json| serde_json::from_str(&json).map_err(|error| decode("outcome", error)))
        .transpose()?;
    Ok(FetchRecord {
        id: uuid(row, "id")?,
        uid: get(row, "uid")?,
        trigger: trigger(row)?,
        fingerprint: get(row, "fingerprint")?,
        started_at: required_time(row, "started_at")?,
        completed_at: time(row, "completed_at")?,
        attempts: get(row, "attempts")?,
        outcome,
    })
}

pub(super) fn unfinished_fetch(row: &SqliteRow) -> Result<UnfinishedFetch, StoreError> {
    Ok(UnfinishedFetch {
        id: uuid(row, "id")?,
        uid: get(row, "uid")?,
        trigger: trigger(row)?,
        slot: time(row, "slot")?,
        fingerprint: get(row, "fingerprint")?,
        started_at: required_time(row, "started_at")?,
        request: optional(row, "request")?,
        force_request: optional(row, "force_request")?,
    })
}

pub(super) fn trigger(row: &SqliteRow) -> Result<Trigger, StoreError> {
    let name: String = get(row, "trigger")?;
    Trigger::ALL
        .into_iter()
        .find(|trigger| trigger.as_str() == name)
        .ok_or_else(|| decode("trigger", format!("{name:?} is unknown")))
}

pub(super) fn get<'row, T>(row: &'row SqliteRow, column: &str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'row, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(column).map_err(database)
}

pub(super) fn optional<'row, T>(row: &'row SqliteRow, column: &str) -> Result<Option<T>, StoreError>
where
    Option<T>: sqlx::Decode<'row, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(column).map_err(database)
}

pub(super) fn uuid(row: &SqliteRow, column: &str) -> Result<Uuid, StoreError> {
    let bytes: &[u8] = row.try_get(column).map_err(database)?;
    Uuid::from_slice(bytes).map_err(|error| decode(column, error))
}

pub(super) fn time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, StoreError> {
    optional::<i64>(row, column)?
        .map(|nanoseconds| {
            Timestamp::from_nanosecond(nanoseconds.into()).map_err(|error| decode(column, error))
        })
        .transpose()
}

pub(super) fn required_time(row: &SqliteRow, column: &str) -> Result<Timestamp, StoreError> {
    time(row, column)?.ok_or_else(|| decode(column, "there is none"))
}

pub(super) fn decode(
    column: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Database(sqlx::Error::ColumnDecode {
        index: column.into(),
        source: source.into(),
    })
}

/// Fits until the year 2262; times beyond are of no clock.
pub(super) fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

pub(super) fn bytes(id: &Uuid) -> &[u8] {
    id.as_bytes().as_slice()
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
