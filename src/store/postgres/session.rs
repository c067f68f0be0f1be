//! One connection to PostgreSQL in use.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, Postgres};
use sqlx::{AssertSqlSafe, Row as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::super::StoreError;
use super::super::relational::{EncodedDay, Row, Session, Value};
use super::failure::Server;
use super::say;
use crate::domain::data_source::SourceId;

/// Days of one statement: few enough round trips, and a few megabytes at most.
const BATCH: usize = 256;

/// Which of the days are not held with that hash, as their places from 1 on.
const NEW_DAYS: &str = "SELECT new.place FROM \
     unnest($2::text[], $3::int4[], $4::bytea[]) WITH ORDINALITY AS new (agent, day, hash, place) \
     WHERE NOT EXISTS (SELECT FROM agent_day AS held WHERE held.source = $1 \
     AND held.agent = new.agent AND held.day = new.day AND held.hash = new.hash)";

const PUT_DAYS: &str = "INSERT INTO agent_day (source, agent, day, hash, block) \
     SELECT $1::uuid, new.* FROM unnest($2::text[], $3::int4[], $4::bytea[], $5::bytea[]) AS new \
     ON CONFLICT (source, agent, day) DO UPDATE SET hash = excluded.hash, block = excluded.block \
     WHERE agent_day.hash <> excluded.hash";

type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

pub(super) struct PostgresSession {
    /// None once it has been given back or away.
    connection: Option<PoolConnection<Postgres>>,
    server: Server,
    /// For one statement.
    patience: Duration,
    /// In a transaction, or in the middle of a statement: not fit for anybody else.
    in_use: bool,
    in_transaction: bool,
    _turn: OwnedSemaphorePermit,
}

impl PostgresSession {
    pub(super) fn new(
        connection: PoolConnection<Postgres>,
        server: Server,
        patience: Duration,
        turn: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            connection: Some(connection),
            server,
            patience,
            in_use: false,
            in_transaction: false,
            _turn: turn,
        }
    }

    /// Begins a transaction with these words.
    pub(super) async fn begin(&mut self, opening: &str) -> Result<(), StoreError> {
        self.in_transaction = true;
        self.run(async |connection| say(connection, opening).await)
            .await
    }

    /// Whatever fails or is left half way leaves the connection marked as in use.
    async fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let Some(connection) = self.connection.as_mut() else {
            return Err(self.server.failure(sqlx::Error::PoolClosed));
        };
        self.in_use = true;
        match timeout(self.patience, work(connection)).await {
            Ok(Ok(done)) => {
                self.in_use = self.in_transaction;
                Ok(done)
            }
            Ok(Err(error)) => Err(self.server.failure(error)),
            Err(_) => Err(self.server.silent()),
        }
    }
}

#[async_trait]
impl Session for PostgresSession {
    async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let statement = statement(sql, values);
        self.run(async |connection| Ok(statement.execute(connection).await?.rows_affected()))
            .await
    }

    async fn rows(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let statement = statement(sql, values);
        let rows = self
            .run(async |connection| statement.fetch_all(connection).await)
            .await?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    fn batch(&self) -> usize {
        BATCH
    }

    /// The hashes go first: of days that are held as they are, no block is sent.
    async fn put_days(
        &mut self,
        source: SourceId,
        days: Vec<EncodedDay>,
    ) -> Result<u64, StoreError> {
        let columns = Columns::of(days.iter());
        let asked = columns.bind(sqlx::query(NEW_DAYS).bind(source.0));
        let places = self
            .run(async |connection| asked.fetch_all(connection).await)
            .await?;
        if places.is_empty() {
            return Ok(0);
        }
        let mut new = Vec::with_capacity(places.len());
        for row in places {
            let place: i64 = row.try_get(0).map_err(|error| self.server.failure(error))?;
            new.extend(usize::try_from(place - 1).ok().and_then(|at| days.get(at)));
        }
        let blocks: Vec<&[u8]> = new.iter().map(|day| day.block.as_slice()).collect();
        let put = Columns::of(new.into_iter())
            .bind(sqlx::query(PUT_DAYS).bind(source.0))
            .bind(blocks);
        self.run(async |connection| Ok(put.execute(connection).await?.rows_affected()))
            .await
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        if self.in_transaction {
            self.run(async |connection| say(connection, "COMMIT").await)
                .await?;
            self.in_transaction = false;
            self.in_use = false;
        }
        Ok(())
    }
}

impl Drop for PostgresSession {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && self.in_use
        {
            connection.close_on_drop();
        }
    }
}

/// Days by column, as `unnest` takes them.
struct Columns<'a> {
    agents: Vec<&'a str>,
    days: Vec<i32>,
    hashes: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(days: impl Iterator<Item = &'a EncodedDay>) -> Self {
        let mut columns = Self {
            agents: Vec::new(),
            days: Vec::new(),
            hashes: Vec::new(),
        };
        for day in days {
            columns.agents.push(&day.agent);
            columns.days.push(day.day.0);
            columns.hashes.push(&day.hash);
        }
        columns
    }

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query.bind(&self.agents).bind(&self.days).bind(&self.hashes)
    }
}

fn statement<'q>(sql: &str, values: &[Value<'_>]) -> Query<'q> {
    // Every statement is written in this program; only values come from outside.
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    for value in values {
        query = match *value {
            Value::Id(id) => query.bind(id),
            Value::Text(text) => query.bind(text),
            Value::Integer(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
            Value::Bytes(bytes) => query.bind(bytes),
        };
    }
    query
}
