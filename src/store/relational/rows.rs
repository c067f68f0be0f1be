//! Columns in the domain's words.

use jiff::Timestamp;
use uuid::Uuid;

use super::super::{AgentRow, StoreError};
use super::value::Row;
use crate::domain::agent_day::Day;
use crate::domain::fetch::{FetchRecord, Outcome, Trigger};
use crate::domain::plan::UnfinishedFetch;

impl Row {
    pub(super) fn uuid(&self, column: &str) -> Result<Uuid, StoreError> {
        self.get(column)
    }

    pub(super) fn text(&self, column: &str) -> Result<String, StoreError> {
        self.get(column)
    }

    pub(super) fn optional_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    pub(super) fn count(&self, column: &str) -> Result<u64, StoreError> {
        self.get::<i64>(column).map(unsigned)
    }

    pub(super) fn small_count(&self, column: &str) -> Result<u32, StoreError> {
        let number: i64 = self.get(column)?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    pub(super) fn day(&self, column: &str) -> Result<Day, StoreError> {
        self.get(column).map(Day)
    }

    pub(super) fn optional_day(&self, column: &str) -> Result<Option<Day>, StoreError> {
        Ok(self.get::<Option<i32>>(column)?.map(Day))
    }

    pub(super) fn time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        self.get::<Option<i64>>(column)?
            .map(|nanoseconds| {
                Timestamp::from_nanosecond(nanoseconds.into())
                    .map_err(|error| decode(column, error))
            })
            .transpose()
    }

    pub(super) fn required_time(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.time(column)?
            .ok_or_else(|| decode(column, "there is none"))
    }
}

pub(super) fn record(row: &Row) -> Result<FetchRecord, StoreError> {
    Ok(FetchRecord {
        id: row.uuid("id")?,
        uid: row.text("uid")?,
        trigger: trigger(row)?,
        fingerprint: row.text("fingerprint")?,
        started_at: row.required_time("started_at")?,
        completed_at: row.time("completed_at")?,
        attempts: row.small_count("attempts")?,
        outcome: outcome(row, "outcome")?,
    })
}

pub(super) fn outcome(row: &Row, column: &str) -> Result<Option<Outcome>, StoreError> {
    row.optional_text(column)?
        .map(|json| serde_json::from_str(&json).map_err(|error| decode(column, error)))
        .transpose()
}

pub(super) fn unfinished_fetch(row: &Row) -> Result<UnfinishedFetch, StoreError> {
    Ok(UnfinishedFetch {
        id: row.uuid("id")?,
        uid: row.text("uid")?,
        trigger: trigger(row)?,
        slot: row.time("slot")?,
        fingerprint: row.text("fingerprint")?,
        started_at: row.required_time("started_at")?,
        request: row.optional_text("request")?,
        force_request: row.optional_text("force_request")?,
    })
}

pub(super) fn agent_row(row: &Row) -> Result<AgentRow, StoreError> {
    Ok(AgentRow {
        code: row.text("code")?,
        days: row.count("days")?,
        first_day: row.day("first_day")?,
        last_day: row.day("last_day")?,
    })
}

fn trigger(row: &Row) -> Result<Trigger, StoreError> {
    let name = row.text("trigger")?;
    Trigger::ALL
        .into_iter()
        .find(|trigger| trigger.as_str() == name)
        .ok_or_else(|| decode("trigger", format!("{name:?} is unknown")))
}

pub(super) fn decode(
    column: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    let undecoded = sqlx::Error::ColumnDecode {
        index: column.into(),
        source: source.into(),
    };
    StoreError::Database(undecoded.into())
}

/// Fits until the year 2262; times beyond are of no clock.
pub(super) fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
