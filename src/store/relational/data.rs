//! Agent days: written as blocks in one transaction, read back by agent.

use tokio::sync::mpsc;

use super::super::{AgentRow, EncodedDays, StoreError, block};
use super::rows::agent_row;
use super::{EncodedDay, Session};
use crate::domain::agent_day::{AgentDay, Day};
use crate::domain::data_source::SourceId;
use crate::domain::fetch::Import;

/// Batches that wait for the writer: what is encoded ahead is bounded.
const BATCHES_AHEAD: usize = 4;

/// What a transaction has replaced.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Replaced {
    pub(super) agent_days: u64,
    /// Those whose content was new.
    pub(super) changed: u64,
}

/// Writes every day that is not there with the same content. Days are encoded as they are taken,
/// off the runtime's threads: a file is never in memory twice, and nobody waits for the computing.
pub(super) async fn replace(
    writing: &mut dyn Session,
    source: SourceId,
    encoded: EncodedDays,
) -> Result<Replaced, StoreError> {
    let (batches, mut ready) = mpsc::channel(BATCHES_AHEAD);
    let most = writing.batch();
    let encoding = tokio::task::spawn_blocking(move || {
        let mut days = encoded.peekable();
        while days.peek().is_some() {
            let batch: Result<Vec<EncodedDay>, StoreError> = days.by_ref().take(most).collect();
            let failed = batch.is_err();
            // The writer has failed: there is nobody left to encode for.
            if batches.blocking_send(batch).is_err() || failed {
                return;
            }
        }
    });
    let mut replaced = Replaced::default();
    while let Some(batch) = ready.recv().await {
        let batch = batch?;
        replaced.agent_days += batch.len() as u64;
        replaced.changed += writing.put_days(source, batch).await?;
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
    reading: &mut dyn Session,
    id: SourceId,
) -> Result<Vec<String>, StoreError> {
    let most = i64::try_from(Import::MAX_AGENTS).unwrap_or(i64::MAX);
    let rows = reading
        .rows(
            "SELECT code FROM agent WHERE source = $1 ORDER BY code LIMIT $2",
            &[id.into(), most.into()],
        )
        .await?;
    rows.iter().map(|row| row.text("code")).collect()
}

pub(super) async fn agents(
    reading: &mut dyn Session,
    id: SourceId,
) -> Result<Vec<AgentRow>, StoreError> {
    let rows = reading
        .rows(
            "SELECT code, days, first_day, last_day FROM agent WHERE source = $1 ORDER BY code",
            &[id.into()],
        )
        .await?;
    rows.iter().map(agent_row).collect()
}

pub(super) async fn agent_days(
    reading: &mut dyn Session,
    id: SourceId,
    agent: &str,
    from: Day,
    to: Day,
) -> Result<Vec<AgentDay>, StoreError> {
    let rows = reading
        .rows(
            "SELECT day, block FROM agent_day \
             WHERE source = $1 AND agent = $2 AND day BETWEEN $3 AND $4 ORDER BY day",
            &[id.into(), agent.into(), from.0.into(), to.0.into()],
        )
        .await?;
    let mut reader = block::Reader::new(agent.into());
    rows.iter()
        .map(|row| Ok(reader.read(row.day("day")?, row.get("block")?)?))
        .collect()
}

/// What the agents hold, after days have come.
pub(super) async fn summarise(
    writing: &mut dyn Session,
    source: SourceId,
) -> Result<(), StoreError> {
    writing
        .execute(
            "INSERT INTO agent (source, code, days, first_day, last_day) \
             SELECT source, agent, count(*), min(day), max(day) FROM agent_day WHERE source = $1 \
             GROUP BY source, agent ON CONFLICT (source, code) DO UPDATE SET days = excluded.days, \
             first_day = excluded.first_day, last_day = excluded.last_day",
            &[source.into()],
        )
        .await
        .map(drop)
}
