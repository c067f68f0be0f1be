//! A copy of the whole store in one file, made while others write.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::super::StoreError;
use super::{READER_PATIENCE, Sqlite, database, shown};

impl Sqlite {
    /// Writes what the store at `path` holds into `copy`, a file that does not exist or is empty:
    /// what was committed when it began, whoever commits meanwhile, and without its gaps. What was
    /// written is read again, and is on the disk at the end.
    ///
    /// Returns how many bytes it has.
    ///
    /// # Errors
    /// As [`Sqlite::open_read_only`]; [`StoreError::Full`] where `copy` finds no room, and
    /// [`StoreError::Query`] where what was written is not whole.
    pub async fn back_up(path: &Path, copy: &Path) -> Result<u64, StoreError> {
        // Is there one, and one of this version's?
        Self::open_read_only(path).await?.readers.close().await;
        let mut source = connect(path).await?;
        // One transaction that reads; the other file is the only one written.
        sqlx::query("VACUUM INTO ?")
            .bind(copy.to_string_lossy())
            .execute(&mut source)
            .await
            .map_err(database)?;
        source.close().await.map_err(database)?;

        let mut written = connect(copy).await?;
        let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&mut written)
            .await
            .map_err(database)?;
        written.close().await.map_err(database)?;
        if found != "ok" {
            return Err(database(sqlx::Error::Protocol(found)));
        }
        let synced = std::fs::File::open(copy).and_then(|file| {
            file.sync_all()?;
            file.metadata()
        });
        Ok(synced.map_err(|error| database(error.into()))?.len())
    }
}

async fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(READER_PATIENCE)
        .pragma("trusted_schema", "OFF")
        .connect()
        .await
        .map_err(|source| StoreError::Open {
            path: shown(path),
            source: source.into(),
        })
}
