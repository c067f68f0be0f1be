//! When the write-ahead log is brought into the store's file. SQLite does it within the commit that
//! makes the log long; after a large import that would double the time until the commit is over,
//! and so it is done after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor};

/// Blocks of one transaction, in bytes, that make it a large one.
pub(super) const LARGE: usize = 1 << 20;

/// Of the writer's connection: whether a large transaction has put its checkpoint off.
#[derive(Debug, Clone, Default)]
pub(super) struct Checkpoints(Arc<AtomicBool>);

impl Checkpoints {
    /// The transaction under way on this connection is a large one.
    pub(super) async fn put_off(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        self.0.store(true, Ordering::Release);
        set(connection, 0).await
    }

    /// Does what was put off, before anybody else gets the connection. True: it can be used again.
    pub(super) async fn catch_up(self, connection: &mut SqliteConnection) -> sqlx::Result<bool> {
        if self.0.swap(false, Ordering::AcqRel) {
            set(connection, DEFAULT_PAGES).await?;
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").await?;
        }
        Ok(true)
    }
}

/// SQLite's own.
const DEFAULT_PAGES: u32 = 1000;

async fn set(connection: &mut SqliteConnection, pages: u32) -> sqlx::Result<()> {
    let sql = format!("PRAGMA wal_autocheckpoint = {pages}");
    connection.execute(AssertSqlSafe(sql)).await?;
    Ok(())
}
