//! The store on a relational database: every statement that SQLite and PostgreSQL both understand
//! as it stands is written here once. What differs is behind [`Relational`] and [`Session`]:
//! connections, transactions, and the one statement in which an import spends its time.
//!
//! `fence` says who may write; `sources` and `log` keep sources and their fetches, `catalogue` what there is, `data` the agent
//! days; `copy` and `moving` carry whole `tables` from one store or source to another.

mod catalogue;
mod copy;
mod data;
mod fence;
mod log;
mod moving;
mod rows;
mod sources;
mod store;
mod tables;
mod value;

use std::cmp::Ordering;
use std::sync::Arc;

use async_trait::async_trait;

pub use copy::{Copied, CopyError, Digest, copy_agents, copy_source, digest};
pub use fence::Tenure;
pub use moving::{Adopted, OnConflict, adopt, purge};
pub use value::{Row, Value};

use super::{Store, StoreError, block as block_of};
use crate::domain::agent_day::Day;
use crate::domain::data_source::SourceId;

/// A database that a [`Store`] stands on.
#[async_trait]
pub trait Relational: Send + Sync + 'static {
    /// For reading with single statements: each sees what is committed when it begins.
    async fn reading(&self) -> Result<Box<dyn Session>, StoreError>;

    /// For reading with several statements that all see the same state.
    async fn snapshot(&self) -> Result<Box<dyn Session>, StoreError>;

    /// A transaction, undone unless it is committed. Of those that write the same source one waits
    /// for the other; None for what belongs to no source.
    async fn writing(&self, source: Option<SourceId>) -> Result<Box<dyn Session>, StoreError>;

    /// The term in which this process writes.
    fn tenure(&self) -> &Tenure;

    /// As [`Store::turned_away`].
    async fn turned_away(&self) {
        std::future::pending::<()>().await;
    }

    /// Writes everything out and closes.
    async fn close(&self);
}

/// One connection in use. Statements are SQL that both databases know, with `$1` for the first
/// value.
#[async_trait]
pub trait Session: Send {
    /// How many rows it has changed.
    async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError>;

    async fn rows(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError>;

    /// How many days [`Session::put_days`] likes to get at a time.
    fn batch(&self) -> usize;

    /// Writes those days that are not held with the same hash; how many these were. No two of
    /// `days` are of one agent and day.
    async fn put_days(
        &mut self,
        source: SourceId,
        days: Vec<EncodedDay>,
    ) -> Result<u64, StoreError>;

    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// A row of `agent_day`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedDay {
    pub agent: Arc<str>,
    pub day: Day,
    /// Of the block.
    pub hash: [u8; 16],
    pub block: Vec<u8>,
}

impl EncodedDay {
    #[must_use]
    pub fn of(agent: Arc<str>, day: Day, block: Vec<u8>) -> Self {
        Self {
            agent,
            day,
            hash: block_of::hash(&block),
            block,
        }
    }
}

/// The first row of what can be one at most.
async fn row(
    session: &mut dyn Session,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Option<Row>, StoreError> {
    let rows = session.rows(sql, values).await?;
    Ok(rows.into_iter().next())
}

/// Which of a migrator's versions is the newest.
pub(super) fn newest_version(migrations: &sqlx::migrate::Migrator) -> i64 {
    migrations
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default()
}

/// A reader never migrates: it waits for a store of its own version.
pub(super) fn readable(found: i64, known: i64) -> Result<(), StoreError> {
    match found.cmp(&known) {
        Ordering::Less => Err(StoreError::Older { found, known }),
        Ordering::Greater => Err(StoreError::Newer { found, known }),
        Ordering::Equal => Ok(()),
    }
}
