//! The embedded store: one SQLite file, one writer, several readers.
//!
//! What is committed stays committed (a write-ahead [`log`] that is synced after every commit); a
//! process that dies in between leaves what was there.

mod backup;
mod checkpoints;
mod lock;
mod log;
mod session;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Connection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use self::checkpoints::Checkpoints;
pub use self::lock::WriterLock;
use self::log::Log;
use self::session::{SqliteSession, Within};
use super::StoreError;
use super::relational::{Relational, Session, Tenure, newest_version, readable};
use crate::domain::data_source::SourceId;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

const READERS: u32 = 4;
/// Rows that wait for a reader: the days of an agent come at once, and not by turns.
const ROWS_AHEAD: usize = 128;
/// A request does not wait longer than this for its turn.
const READER_PATIENCE: Duration = Duration::from_secs(5);
/// A writer waits for another one's import; an import of gigabytes takes a while.
const PATIENCE: Duration = Duration::from_mins(10);

/// A store in one file.
#[derive(Debug, Clone)]
pub struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    file: OpenFile,
    log: Log,
    tenure: Tenure,
    checkpoints: Checkpoints,
}

/// Which file is open. One that is removed or replaced underneath would still take what is written,
/// and connections made later would never show it.
#[derive(Debug, Clone)]
struct OpenFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl OpenFile {
    fn at(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: Self::identity(path)?,
        })
    }

    fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
        let metadata = std::fs::metadata(path)?;
        Ok((metadata.dev(), metadata.ino()))
    }

    fn check(&self) -> Result<(), StoreError> {
        match Self::identity(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            _ => Err(StoreError::Replaced {
                path: shown(&self.path),
            }),
        }
    }
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
            source: source.into(),
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
        }
        let options = adjust(
            SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                // With what FULL adds, done for many commits at once: see `log`.
                .synchronous(SqliteSynchronous::Normal)
                .busy_timeout(PATIENCE)
                .pragma("trusted_schema", "OFF")
                // A statement that writes many days can be undone alone: what it takes for that
                // would go through a file, at more than the cost of the days themselves.
                .pragma("temp_store", "MEMORY"),
        );
        let checkpoints = Checkpoints::default();
        let due = checkpoints.clone();
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            // Where a disk is full SQLite ends a transaction by itself, and sqlx counts it as open
            // for ever: such a connection makes room for a new one.
            .before_acquire(|connection, _| {
                let at_rest = !connection.is_in_transaction();
                Box::pin(std::future::ready(Ok(at_rest)))
            })
            .after_release(move |connection, _| {
                let due = due.clone();
                Box::pin(due.catch_up(connection))
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
            .connect_lazy_with(
                options
                    .pragma("query_only", "ON")
                    .row_buffer_size(ROWS_AHEAD),
            );
        Ok(Self {
            writer,
            readers,
            file: OpenFile::at(path).map_err(|error| failed(error.into()))?,
            log: Log::of(path).map_err(|error| failed(error.into()))?,
            tenure: Tenure::default(),
            checkpoints,
        })
    }

    /// Opens the store at `path` for reading only; another process writes it. The folder has to be
    /// writable all the same: readers of a write-ahead log leave marks beside it.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and [`StoreError::Older`] until the writer has been there,
    /// [`StoreError::Newer`] for one of a newer version.
    pub async fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let failed = |source: sqlx::Error| StoreError::Open {
            path: shown(path),
            source: source.into(),
        };
        if !path.exists() {
            return Err(StoreError::Missing { path: shown(path) });
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .busy_timeout(READER_PATIENCE)
            .row_buffer_size(ROWS_AHEAD)
            .pragma("trusted_schema", "OFF")
            .pragma("temp_store", "MEMORY")
            .pragma("query_only", "ON");
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(READER_PATIENCE)
            .connect_with(options)
            .await
            .map_err(failed)?;
        // A store whose writer has only just made it has no schema yet.
        let found = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
            .fetch_one(&readers)
            .await;
        let found: i64 = match found {
            Err(error) if is_no_schema(&error) => 0,
            found => found.map_err(failed)?,
        };
        readable(found, newest_version(&MIGRATIONS))?;
        Ok(Self {
            writer: readers.clone(),
            readers,
            file: OpenFile::at(path).map_err(|error| failed(error.into()))?,
            log: Log::of(path).map_err(|error| failed(error.into()))?,
            tenure: Tenure::default(),
            checkpoints: Checkpoints::default(),
        })
    }
}

#[async_trait]
impl Relational for Sqlite {
    async fn reading(&self) -> Result<Box<dyn Session>, StoreError> {
        self.file.check()?;
        let connection = self.readers.acquire().await.map_err(database)?;
        Ok(Box::new(SqliteSession::new(
            Within::Reading(connection),
            &self.checkpoints,
        )))
    }

    async fn snapshot(&self) -> Result<Box<dyn Session>, StoreError> {
        self.file.check()?;
        let transaction = self.readers.begin().await.map_err(database)?;
        Ok(Box::new(SqliteSession::new(
            Within::Snapshot(transaction),
            &self.checkpoints,
        )))
    }

    /// It has the write lock from its start, so that it never has to be begun again half way; all
    /// sources share that lock.
    async fn writing(&self, _: Option<SourceId>) -> Result<Box<dyn Session>, StoreError> {
        self.file.check()?;
        let transaction = self
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(database)?;
        Ok(Box::new(SqliteSession::new(
            Within::Writing(transaction, self.log.clone()),
            &self.checkpoints,
        )))
    }

    fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn is_no_schema(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.message().starts_with("no such table"))
}

/// A commit that did not reach the disk.
fn unsynced(error: std::io::Error) -> StoreError {
    let full = error.kind() == std::io::ErrorKind::StorageFull;
    let error = sqlx::Error::Io(error);
    if full {
        StoreError::Full(error.into())
    } else {
        StoreError::Database(error.into())
    }
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
        StoreError::Full(error.into())
    } else {
        StoreError::Database(error.into())
    }
}

fn migration_error(path: &Path, error: sqlx::migrate::MigrateError) -> StoreError {
    use sqlx::migrate::MigrateError;
    let known = newest_version(&MIGRATIONS);
    match error {
        MigrateError::VersionMissing(found) => StoreError::Newer { found, known },
        MigrateError::Execute(source) => StoreError::Open {
            path: shown(path),
            source: source.into(),
        },
        other => StoreError::Migrate(other.into()),
    }
}

fn shown(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}
