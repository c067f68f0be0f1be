//! Agent days: written as blocks in one transaction, read back by agent.

use std::sync::Arc;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};
use tokio::sync::mpsc;

use super::super::{AgentRow, StoreError, block};
use super::{database, key};
use crate::domain::agent_day::{AgentDay, Day};
use crate::domain::data_source::SourceId;
use crate::domain::fetch::Import;

/// Rows of one statement.
const BATCH: usize = 64;
/// Batches that wait for the writer: what is encoded ahead is bounded.
const BATCHES_AHEAD: usize = 4;

/// What a transaction has replaced.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Replaced {
    pub(super) agent_days: u64,
    /// Those whose content was new.
    pub(super) changed: u64,
}

struct Encoded {
    agent: Arc<str>,
    day: Day,
    hash: [u8; 16],
    block: Vec<u8>,
}

/// Writes every day that is not there with the same content. Days are encoded as they are taken,
/// on a thread of their own: a file is never in memory twice, and nobody waits for the computing.
pub(super) async fn replace(
    writing: &mut Transaction<'static, Sqlite>,
    source: SourceId,
    agent_days: Box<dyn Iterator<Item = AgentDay> + Send>,
) -> Result<Replaced, StoreError> {
    let (batches, mut encoded) = mpsc::channel(BATCHES_AHEAD);
    let encoding = tokio::task::spawn_blocking(move || {
        let mut days = agent_days.map(encode).peekable();
        while days.peek().is_some() {
            let batch: Vec<Encoded> = days.by_ref().take(BATCH).collect();
            // The writer has failed: there is nobody left to encode for.
            if batches.blocking_send(batch).is_err() {
                return;
            }
        }
    });
    let mut replaced = Replaced::default();
    while let Some(batch) = encoded.recv().await {
        replaced.agent_days += batch.len() as u64;
        replaced.changed += upsert(writing, source, batch).await?;
    }
    // A panic while encoding must not look like a short file.
    if let Err(panic) = encoding.await {
        std::panic::resume_unwind(panic.into_panic());
    }
    if replaced.changed > 0 {
        summarise(writing, source).await?;
    }
    Ok(replaced)
}

pub(super) async fn first_agents(
    pool: &SqlitePool,
    id: SourceId,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar("SELECT code FROM agent WHERE source = ? ORDER BY code LIMIT ?")
        .bind(key(id))
        .bind(i64::try_from(Import::MAX_AGENTS).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await
        .map_err(database)
}

pub(super) async fn agents(pool: &SqlitePool, id: SourceId) -> Result<Vec<AgentRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT code, days, first_day, last_day FROM agent WHERE source = ? ORDER BY code",
    )
    .bind(key(id))
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter()
        .map(|row| agent_row(row).map_err(database))
        .collect()
}

pub(super) async fn agent_days(
    pool: &SqlitePool,
    id: SourceId,
    agent: &str,
    from: Day,
    to: Day,
) -> Result<Vec<AgentDay>, StoreError> {
    let rows = sqlx::query(
        "SELECT day, block FROM agent_day \
         WHERE source = ? AND agent = ? AND day BETWEEN ? AND ? ORDER BY day",
    )
    .bind(key(id))
    .bind(agent)
    .bind(from.0)
    .bind(to.0)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    let agent: Arc<str> = agent.into();
    rows.iter()
        .map(|row| {
            let day = Day(row.try_get("day").map_err(database)?);
            let bytes: &[u8] = row.try_get("block").map_err(database)?;
            Ok(block::read(Arc::clone(&agent), day, bytes)?)
        })
        .collect()
}

fn encode(day: AgentDay) -> Encoded {
    let block = block::write(&day);
    Encoded {
        agent: day.agent,
        day: day.day,
        hash: block::hash(&block),
        block,
    }
}

/// How many of them were new or changed.
async fn upsert(
    writing: &mut Transaction<'static, Sqlite>,
    source: SourceId,
    batch: Vec<Encoded>,
) -> Result<u64, StoreError> {
    let source = key(source);
    let mut query = QueryBuilder::new("INSERT INTO agent_day (source, agent, day, hash, block) ");
    query.push_values(batch, |mut row, day| {
        row.push_bind(source.clone())
            .push_bind(day.agent.to_string())
            .push_bind(day.day.0)
            .push_bind(day.hash.to_vec())
            .push_bind(day.block);
    });
    query.push(
        " ON CONFLICT (source, agent, day) DO UPDATE SET hash = excluded.hash, \
         block = excluded.block WHERE hash <> excluded.hash",
    );
    let result = query
        .build()
        .execute(&mut **writing)
        .await
        .map_err(database)?;
    Ok(result.rows_affected())
}

async fn summarise(
    writing: &mut Transaction<'static, Sqlite>,
    source: SourceId,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO agent (source, code, days, first_day, last_day) \
         SELECT source, agent, count(*), min(day), max(day) FROM agent_day WHERE source = ? \
         GROUP BY source, agent ON CONFLICT (source, code) DO UPDATE SET days = excluded.days, \
         first_day = excluded.first_day, last_day = excluded.last_day",
    )
    .bind(key(source))
    .execute(&mut **writing)
    .await
    .map_err(database)?;
    Ok(())
}

pub(super) fn agent_row(row: &SqliteRow) -> Result<AgentRow, sqlx::Error> {
    Ok(AgentRow {
        code: row.try_get("code")?,
        days: u64::try_from(row.try_get::<i64, _>("days")?).unwrap_or_default(),
        first_day: Day(row.try_get("first_day")?),
        last_day: Day(row.try_get("last_day")?),
    })
}
