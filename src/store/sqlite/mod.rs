//! The embedded store: one SQLite file, one writer, several readers.
//!
//! `log` keeps sources and their fetches, `data` the agent days. What is committed stays committed
//! (write-ahead log, `synchronous = FULL`); a process that dies in between leaves what was there.

mod catalogue;
mod data;
mod log;
mod rows;

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite as Driver, Transaction};
use uuid::Uuid;

use super::{AgentRow, BeginFetch, EndFetch, SourceRef, SourceRow, Store, StoreError};
use crate::domain::agent::AgentResource;
use crate::domain::agent_day::{AgentDay, Day};
use crate::domain::data_source::{SourceId, SourceKey};
use crate::domain::description::Description;
use crate::domain::fetch::{FetchRecord, Import};
use crate::domain::plan::CursorUpdate;
use crate::domain::status::Stored;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

const READERS: u32 = 4;
/// A request does not wait longer than this for its turn.
const READER_PATIENCE: Duration = Duration::from_secs(5);
/// A writer waits for another one's import; an import of gigabytes takes a while.
const PATIENCE: Duration = Duration::from_mins(10);

/// A store in one file.
#[derive(Debug, Clone)]
pub struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Sqlite {
    /// Opens the store at `path`, making it and its folders where they are missing, and brings it
    /// to this version's schema.
    ///
    /// # Errors
    /// A path that cannot be written, a file that is no store, one of a newer version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, |options| options).await
    }

    /// Like [`Sqlite::open`], for a store that has room for `pages` pages of 4096 bytes only:
    /// a full disk, for tests.
    ///
    /// # Errors
    /// As [`Sqlite::open`].
    pub async fn open_with_room_for(path: &Path, pages: u32) -> Result<Self, StoreError> {
        Self::open_with(path, |options| {
            options.pragma("max_page_count", pages.to_string())
        })
        .await
    }

    async fn open_with(
        path: &Path,
        adjust: impl FnOnce(SqliteConnectOptions) -> SqliteConnectOptions,
    ) -> Result<Self, StoreError> {
        let failed = |source: sqlx::Error| StoreError::Open {
            path: shown(path),
            source,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
        }
        let options = adjust(
            SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(PATIENCE)
                .pragma("trusted_schema", "OFF"),
        );
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            // Where a disk is full SQLite ends a transaction by itself, and sqlx counts it as open
            // for ever: such a connection makes room for a new one.
            .before_acquire(|connection, _| {
                let at_rest = !connection.is_in_transaction();
                Box::pin(std::future::ready(Ok(at_rest)))
            })
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        MIGRATIONS
            .run(&writer)
            .await
            .map_err(|error| migration_error(path, error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self { writer, readers })
    }

    /// Opens the store at `path` for reading only; another process writes it. The folder has to be
    /// writable all the same: readers of a write-ahead log leave marks beside it.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and [`StoreError::Older`] until the writer has been there,
    /// [`StoreError::Newer`] for one of a newer version.
    pub async fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing { path: shown(path) });
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .busy_timeout(READER_PATIENCE)
            .pragma("trusted_schema", "OFF")
            .pragma("query_only", "ON");
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(READER_PATIENCE)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open {
                path: shown(path),
                source,
            })?;
        // A store whose writer has only just made it has no schema yet.
        let found: i64 = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&readers)
            .await
            .unwrap_or_default();
        let known = newest_migration();
        match found.cmp(&known) {
            Ordering::Less => Err(StoreError::Older { found, known }),
            Ordering::Greater => Err(StoreError::Newer { found, known }),
            Ordering::Equal => Ok(Self {
                writer: readers.clone(),
                readers,
            }),
        }
    }

    /// A transaction that has the write lock from its start, so that it never has to be begun
    /// again half way.
    async fn write(&self) -> Result<Transaction<'static, Driver>, StoreError> {
        self.writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(database)
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn observe(&self, source: &SourceRef, history: usize) -> Result<Stored, StoreError> {
        if !log::is_known(&self.readers, source).await? {
            let mut transaction = self.write().await?;
            log::enter(&mut transaction, source).await?;
            transaction.commit().await.map_err(database)?;
        }
        let mut stored = log::stored(&self.readers, source, history).await?;
        stored.agents = data::first_agents(&self.readers, source.id).await?;
        Ok(stored)
    }

    async fn advance_cursor(&self, id: SourceId, update: &CursorUpdate) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        log::advance_cursor(&mut transaction, id, update).await?;
        transaction.commit().await.map_err(database)
    }

    async fn set_reader(&self, id: SourceId, reader: &str) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("UPDATE data_source SET reader = ? WHERE id = ?")
            .bind(reader)
            .bind(key(id))
            .execute(&mut *transaction)
            .await
            .map_err(database)?;
        transaction.commit().await.map_err(database)
    }

    async fn describe(&self, id: SourceId, description: &Description) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        catalogue::describe(&mut transaction, id, description).await?;
        transaction.commit().await.map_err(database)
    }

    async fn begin_fetch(&self, begin: &BeginFetch) -> Result<Uuid, StoreError> {
        let mut transaction = self.write().await?;
        let fetch = log::begin(&mut transaction, begin).await?;
        transaction.commit().await.map_err(database)?;
        Ok(fetch)
    }

    async fn complete_fetch(&self, end: &EndFetch) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        log::complete(&mut transaction, end).await?;
        transaction.commit().await.map_err(database)
    }

    async fn import(
        &self,
        end: &EndFetch,
        agent_days: Box<dyn Iterator<Item = AgentDay> + Send>,
    ) -> Result<Import, StoreError> {
        let mut transaction = self.write().await?;
        let replaced = data::replace(&mut transaction, end.source, agent_days).await?;
        let import = log::complete_import(&mut transaction, end, replaced).await?;
        transaction.commit().await.map_err(database)?;
        Ok(import)
    }

    async fn abandon_fetch(&self, id: SourceId, fetch: Uuid) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        log::abandon(&mut transaction, id, fetch).await?;
        transaction.commit().await.map_err(database)
    }

    async fn retire(&self, id: SourceId) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        log::retire(&mut transaction, id).await?;
        transaction.commit().await.map_err(database)
    }

    async fn delete(&self, id: SourceId) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        for statement in [
            "DELETE FROM agent_day WHERE source = ?",
            "DELETE FROM agent WHERE source = ?",
            "DELETE FROM slot WHERE source = ?",
            "DELETE FROM fetch WHERE source = ?",
            "DELETE FROM data_source WHERE id = ?",
        ] {
            let deleted = sqlx::query(statement)
                .bind(key(id))
                .execute(&mut *transaction)
                .await;
            deleted.map_err(database)?;
        }
        transaction.commit().await.map_err(database)
    }

    async fn sources(&self) -> Result<Vec<SourceRow>, StoreError> {
        catalogue::sources(&self.readers).await
    }

    async fn source(&self, key: &SourceKey) -> Result<Option<SourceRow>, StoreError> {
        catalogue::source(&self.readers, key).await
    }

    async fn agent_holders(
        &self,
        namespace: &str,
        code: &str,
    ) -> Result<Vec<(SourceRow, AgentRow)>, StoreError> {
        catalogue::agent_holders(&self.readers, namespace, code).await
    }

    async fn agent_list(&self) -> Result<Vec<(SourceId, AgentRow)>, StoreError> {
        catalogue::agent_list(&self.readers).await
    }

    async fn put_agent(&self, resource: &AgentResource) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let changed = catalogue::put_agent(&mut transaction, resource).await?;
        transaction.commit().await.map_err(database)?;
        Ok(changed)
    }

    async fn remove_agent(&self, namespace: &str, name: &str) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        catalogue::remove_agent(&mut transaction, namespace, name).await?;
        transaction.commit().await.map_err(database)
    }

    async fn agent_resources(
        &self,
        namespace: Option<&str>,
    ) -> Result<Vec<AgentResource>, StoreError> {
        catalogue::agent_resources(&self.readers, namespace).await
    }

    async fn agents(&self, id: SourceId) -> Result<Vec<AgentRow>, StoreError> {
        data::agents(&self.readers, id).await
    }

    async fn agent_days(
        &self,
        id: SourceId,
        agent: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<AgentDay>, StoreError> {
        data::agent_days(&self.readers, id, agent, from, to).await
    }

    async fn fetches(
        &self,
        id: SourceId,
        limit: usize,
        before: Option<Uuid>,
    ) -> Result<Vec<FetchRecord>, StoreError> {
        log::fetches(&self.readers, id, limit, before).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1")
            .execute(&self.readers)
            .await
            .map(drop)
            .map_err(database)
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn key(id: SourceId) -> Vec<u8> {
    id.0.as_bytes().to_vec()
}

/// A full disk has a name of its own: it is the one failure that only the platform can mend.
fn database(error: sqlx::Error) -> StoreError {
    const SQLITE_FULL: i64 = 13;
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<i64>().ok());
    // Extended codes carry the primary one in their lowest byte.
    if code.is_some_and(|code| code & 0xff == SQLITE_FULL) {
        StoreError::Full(error)
    } else {
        StoreError::Database(error)
    }
}

fn newest_migration() -> i64 {
    MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default()
}

fn migration_error(path: &Path, error: sqlx::migrate::MigrateError) -> StoreError {
    use sqlx::migrate::MigrateError;
    let known = newest_migration();
    match error {
        MigrateError::VersionMissing(found) => StoreError::Newer { found, known },
        MigrateError::Execute(source) => StoreError::Open {
            path: shown(path),
            source,
        },
        other => StoreError::Migrate(other),
    }
}

fn shown(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}
