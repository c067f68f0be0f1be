//! One connection to SQLite in use.

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, Transaction};

use super::super::StoreError;
use super::super::relational::{EncodedDay, Row, Session, Value};
use super::checkpoints::{Checkpoints, LARGE};
use super::log::Log;
use super::{database, unsynced};
use crate::domain::data_source::SourceId;

/// Rows of one statement.
const BATCH: usize = 64;

pub(super) struct SqliteSession {
    within: Within,
    checkpoints: Checkpoints,
    /// Of the blocks that it has written, in bytes.
    written: usize,
}

pub(super) enum Within {
    /// Each statement on its own.
    Reading(PoolConnection<Sqlite>),
    Snapshot(Transaction<'static, Sqlite>),
    /// What it commits is in the log.
    Writing(Transaction<'static, Sqlite>, Log),
}

impl SqliteSession {
    pub(super) fn new(within: Within, checkpoints: &Checkpoints) -> Self {
        Self {
            within,
            checkpoints: checkpoints.clone(),
            written: 0,
        }
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        match &mut self.within {
            Within::Reading(connection) => connection,
            Within::Snapshot(transaction) | Within::Writing(transaction, _) => transaction,
        }
    }

    async fn count(&mut self, days: &[EncodedDay]) -> Result<(), StoreError> {
        let before = self.written;
        self.written += days.iter().map(|day| day.block.len()).sum::<usize>();
        if before < LARGE && self.written >= LARGE {
            let checkpoints = self.checkpoints.clone();
            checkpoints
                .put_off(self.connection())
                .await
                .map_err(database)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Session for SqliteSession {
    async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        statement(sql, values)
            .execute(self.connection())
            .await
            .map(|result| result.rows_affected())
            .map_err(database)
    }

    async fn rows(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let rows = statement(sql, values)
            .fetch_all(self.connection())
            .await
            .map_err(database)?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    fn batch(&self) -> usize {
        BATCH
    }

    async fn put_days(
        &mut self,
        source: SourceId,
        days: Vec<EncodedDay>,
    ) -> Result<u64, StoreError> {
        self.count(&days).await?;
        let mut query =
            QueryBuilder::new("INSERT INTO agent_day (source, agent, day, hash, block) ");
        query.push_values(days, |mut row, day| {
            row.push_bind(source.0)
                .push_bind(day.agent.to_string())
                .push_bind(day.day.0)
                .push_bind(day.hash.to_vec())
                .push_bind(day.block);
        });
        query.push(
            " ON CONFLICT (source, agent, day) DO UPDATE SET hash = excluded.hash, \
             block = excluded.block WHERE hash <> excluded.hash",
        );
        query
            .build()
            .execute(self.connection())
            .await
            .map(|result| result.rows_affected())
            .map_err(database)
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        match self.within {
            Within::Reading(_) => Ok(()),
            Within::Snapshot(transaction) => transaction.commit().await.map_err(database),
            Within::Writing(transaction, log) => {
                transaction.commit().await.map_err(database)?;
                // The next writer has its turn meanwhile.
                log.reach_disk().await.map_err(unsynced)
            }
        }
    }
}

fn statement<'q>(
    sql: &str,
    values: &[Value<'_>],
) -> sqlx::query::Query<'q, Sqlite, SqliteArguments> {
    // Every statement is written in this program; only values come from outside.
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    for value in values {
        query = match *value {
            Value::Id(id) => query.bind(id),
            Value::Text(text) => query.bind(text.map(str::to_owned)),
            Value::Integer(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
            Value::Bytes(bytes) => query.bind(bytes.to_vec()),
        };
    }
    query
}
