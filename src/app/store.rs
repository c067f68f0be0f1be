//! Opens the store that an address names, and `sumsq store`.

mod backup;
mod copy;
mod leave;
mod list;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use uuid::Uuid;

use crate::args::{StoreAddress, StoreArgs, StoreCommand};
use crate::store::postgres::Postgres;
use crate::store::relational::Relational;
use crate::store::sqlite::{Sqlite, WriterLock};
use crate::store::{SourceRow, Store, StoreError};

/// For the process that writes: makes the store where it is missing, and brings it up to date.
///
/// # Errors
/// The store's own.
pub async fn open_store(address: &StoreAddress) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match address {
        StoreAddress::Sqlite(path) => Arc::new(Sqlite::open(path).await?),
        StoreAddress::Postgres(url) => Arc::new(Postgres::open(url.reveal()).await?),
    })
}

/// For a process that only reads.
///
/// # Errors
/// [`StoreError::Missing`] and [`StoreError::Older`] until the one that writes has been there.
pub async fn open_store_read_only(address: &StoreAddress) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match address {
        StoreAddress::Sqlite(path) => Arc::new(Sqlite::open_read_only(path).await?),
        StoreAddress::Postgres(url) => Arc::new(Postgres::open_read_only(url.reveal()).await?),
    })
}

/// A store that is opened in two steps: a replica that stands by has seen it, and leaves it alone.
pub(super) enum Opening {
    Sqlite {
        path: PathBuf,
        /// Held until the process ends.
        lock: Mutex<Option<WriterLock>>,
    },
    Postgres(Box<Postgres>),
}

impl Opening {
    /// # Errors
    /// An address that is not understood.
    pub(super) fn of(address: &StoreAddress) -> Result<Self, StoreError> {
        Ok(match address {
            StoreAddress::Sqlite(path) => Self::Sqlite {
                path: path.clone(),
                lock: Mutex::default(),
            },
            StoreAddress::Postgres(url) => {
                Self::Postgres(Box::new(Postgres::attach(url.reveal())?))
            }
        })
    }

    /// Whether processes of several machines can have it open.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// What a probe may ask whether it answers; a file is not opened before its time.
    pub(super) fn at_rest(&self) -> Option<Arc<dyn Store>> {
        match self {
            Self::Sqlite { .. } => None,
            Self::Postgres(store) => Some(Arc::new(store.as_ref().clone())),
        }
    }

    /// For the one that writes: makes it where it is missing, and brings it up to date.
    ///
    /// # Errors
    /// The store's own.
    pub(super) async fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::Sqlite { path, lock } => {
                // Of two operators on one file the second one waits for the first one's end.
                let taken = lock.lock().unwrap_or_else(PoisonError::into_inner).take();
                let taken = taken.map_or_else(|| WriterLock::take(path), Ok)?;
                *lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
                Ok(Arc::new(Sqlite::open(path).await?))
            }
            Self::Postgres(store) => {
                store.migrate().await?;
                Ok(Arc::new(store.as_ref().clone()))
            }
        }
    }
}

pub(super) async fn run(args: StoreArgs) -> Result<ExitCode> {
    match args.command {
        StoreCommand::List { store, output } => {
            let store = open_to_read(&store.address).await?;
            list::run(store.as_ref(), output).await
        }
        StoreCommand::Copy {
            from,
            to,
            replace,
            output,
        } => {
            if from == to {
                bail!("--from and --to are the same store");
            }
            let from = open_to_read(&from).await.context("--from")?;
            // Held to the end: whoever starts meanwhile waits for it.
            let _lock = lock_out_operators(&to)?;
            let to = open_to_write(&to).await.context("--to")?;
            let code = copy::run(from.as_ref(), to.as_ref(), replace, output).await?;
            to.close().await;
            Ok(code)
        }
        StoreCommand::Backup { to, store } => backup::run(&store.address, &to).await,
        StoreCommand::Adopt {
            gone,
            by,
            on_conflict,
            store,
        } => {
            let store = open_present(&store.address).await?;
            let code = leave::adopt(store.as_ref(), &gone, &by, on_conflict).await?;
            store.close().await;
            Ok(code)
        }
        StoreCommand::Purge { gone, yes, store } => {
            let store = open_present(&store.address).await?;
            let code = leave::purge(store.as_ref(), &gone, yes).await?;
            store.close().await;
            Ok(code)
        }
    }
}

async fn open_to_read(address: &StoreAddress) -> Result<Box<dyn Relational>, StoreError> {
    Ok(match address {
        StoreAddress::Sqlite(path) => Box::new(Sqlite::open_read_only(path).await?),
        StoreAddress::Postgres(url) => Box::new(Postgres::open_read_only(url.reveal()).await?),
    })
}

async fn open_to_write(address: &StoreAddress) -> Result<Box<dyn Relational>, StoreError> {
    Ok(match address {
        StoreAddress::Sqlite(path) => Box::new(Sqlite::open(path).await?),
        StoreAddress::Postgres(url) => Box::new(Postgres::open(url.reveal()).await?),
    })
}

/// An operator that runs knows its cursors by heart and would go on beside what arrives. A file tells
/// of one by its lock; a database does not, since it knows connections, and no operators.
fn lock_out_operators(address: &StoreAddress) -> Result<Option<WriterLock>> {
    let StoreAddress::Sqlite(path) = address else {
        return Ok(None);
    };
    match WriterLock::take(path) {
        Err(StoreError::InUse { path }) => bail!(
            "--to: an operator, or another copy, has the store at {path} open; stop it first, as \
             what it writes and what is copied would mix"
        ),
        taken => Ok(Some(taken.context("--to")?)),
    }
}

/// To write into a store that is there and of this version: an operator may be running on it, so it
/// is neither made nor migrated.
async fn open_present(address: &StoreAddress) -> Result<Box<dyn Relational>, StoreError> {
    open_to_read(address).await?.close().await;
    open_to_write(address).await
}

/// The source that is meant: by its id, or by its name among those that are there, or gone.
fn find<'a>(sources: &'a [SourceRow], named: &str, present: bool) -> Result<&'a SourceRow> {
    let id = Uuid::parse_str(named).ok();
    let of_name: Vec<&SourceRow> = sources
        .iter()
        .filter(|source| id.map_or(source.key.to_string() == named, |id| source.id.0 == id))
        .collect();
    let matching: Vec<&SourceRow> = of_name
        .iter()
        .filter(|source| source.present == present)
        .copied()
        .collect();
    match (matching.as_slice(), of_name.as_slice()) {
        ([source], _) => Ok(source),
        ([], []) => bail!(
            "the store holds no source {named}; write NAMESPACE/NAME or an id, as `sumsq store \
             list` shows them"
        ),
        ([], _) if present => bail!("{named} is gone: its DataSource does not exist"),
        ([], _) => bail!("{named} is not gone: its DataSource exists"),
        (several, _) => {
            let ids: Vec<String> = several.iter().map(|source| source.id.to_string()).collect();
            bail!(
                "several sources were called {named}; say which by its id: {}",
                ids.join(", ")
            )
        }
    }
}
