//! PostgreSQL, where one machine is outgrown: many processes read, and those that write different
//! sources do not wait for each other.
//!
//! A transaction locks its source's row and touches no other source. A connection whose statement
//! failed or was left half way is closed and never used again: the server undoes what it held.

mod failure;
mod session;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use self::failure::{Server, has_code};
use self::session::PostgresSession;
use super::StoreError;
use super::relational::{Relational, Session, Tenure, newest_version, readable};
use crate::domain::data_source::SourceId;
use crate::roots;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// The parameters that an address may have: another one is a slip, and one in `sslmode` must not
/// go unseen.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

/// Where the operator's machine is gone without a word, its locks must not stay for the two hours
/// that an idle connection is trusted by default; nor while it is frozen, since the next leader
/// waits for them. One that lives says its next statement within milliseconds.
const NOTICE_DEAD_CLIENTS: &str = "SET LOCAL idle_in_transaction_session_timeout = 15000; \
     SET LOCAL tcp_keepalives_idle = 30; \
     SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 3; \
     SET LOCAL tcp_user_timeout = 60000";

/// What one process asks of the server at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections for reading, and as many again for writing.
    pub connections: usize,
    /// Until there is a connection.
    pub connect: Duration,
    /// One statement that reads.
    pub read: Duration,
    /// One statement of a transaction that writes; it may wait for another writer of its source.
    pub write: Duration,
    /// Until it is a writer's turn: imports of gigabytes take a while.
    pub turn: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 5,
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            write: Duration::from_mins(2),
            turn: Duration::from_mins(10),
        }
    }
}

/// A store in a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct Postgres {
    options: PgConnectOptions,
    pool: PgPool,
    server: Server,
    limits: Limits,
    readers: Arc<Semaphore>,
    writers: Arc<Semaphore>,
    read_only: bool,
    tenure: Tenure,
}

impl Postgres {
    /// Opens the store in the database at `url` (`postgres://USER@HOST:PORT/DATABASE`), and brings
    /// it to this version's schema. What the address lacks comes from `PGPASSWORD`, `PGHOST`,
    /// `PGSSLMODE` and their kin.
    ///
    /// # Errors
    /// An address that is not understood, a server that cannot be reached or refuses, a schema of a
    /// newer version.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_with(url, Limits::default()).await
    }

    /// As [`Postgres::open`], with limits of its own.
    ///
    /// # Errors
    /// As [`Postgres::open`].
    pub async fn open_with(url: &str, limits: Limits) -> Result<Self, StoreError> {
        let store = Self::lazy(url, limits, false)?;
        store.migrate().await?;
        Ok(store)
    }

    /// The store in the database at `url`, of which nothing is asked yet.
    ///
    /// # Errors
    /// An address that is not understood.
    pub fn attach(url: &str) -> Result<Self, StoreError> {
        Self::lazy(url, Limits::default(), false)
    }

    /// Brings it to this version's schema.
    ///
    /// # Errors
    /// As [`Postgres::open`].
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.connect().await?;
        MIGRATIONS
            .run(&mut connection)
            .await
            .map_err(|error| self.migration_error(error))?;
        connection.close().await.ok();
        Ok(())
    }

    /// Opens the store for reading only; another process writes it. A standby will do.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and [`StoreError::Older`] until the writer has been there,
    /// [`StoreError::Newer`] for one of a newer version.
    pub async fn open_read_only(url: &str) -> Result<Self, StoreError> {
        const UNDEFINED_TABLE: &str = "42P01";
        let store = Self::lazy(url, Limits::default(), true)?;
        let mut connection = store.connect().await?;
        let found = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&mut connection)
            .await;
        connection.close().await.ok();
        let found: Option<i64> = match found {
            Err(error) if has_code(&error, UNDEFINED_TABLE) => {
                return Err(store.server.missing());
            }
            found => found.map_err(|error| store.server.failure(error))?,
        };
        readable(found.unwrap_or_default(), newest_version(&MIGRATIONS))?;
        Ok(store)
    }

    fn lazy(url: &str, limits: Limits, read_only: bool) -> Result<Self, StoreError> {
        let options = options(url)?;
        let most = u32::try_from(limits.connections * 2).unwrap_or(u32::MAX);
        let pool = PgPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(limits.connect)
            .connect_lazy_with(options.clone());
        Ok(Self {
            server: Server::of(&options),
            options,
            pool,
            limits,
            readers: Arc::new(Semaphore::new(limits.connections)),
            writers: Arc::new(Semaphore::new(limits.connections)),
            read_only,
            tenure: Tenure::default(),
        })
    }

    async fn connect(&self) -> Result<PgConnection, StoreError> {
        timeout(
            self.limits.connect,
            PgConnection::connect_with(&self.options),
        )
        .await
        .map_err(|_| self.server.silent())?
        .map_err(|error| self.server.failure(error))
    }

    /// A connection, once it is this caller's turn, upon which `opening` has been said.
    async fn session(
        &self,
        turns: &Arc<Semaphore>,
        turn: Duration,
        patience: Duration,
        opening: Option<String>,
    ) -> Result<Box<dyn Session>, StoreError> {
        let turn = timeout(turn, Arc::clone(turns).acquire_owned())
            .await
            .map_err(|_| self.server.silent())?
            .map_err(|_| self.server.failure(sqlx::Error::PoolClosed))?;
        let mut session = self.open_session(turn, patience).await?;
        if let Some(opening) = opening {
            session.begin(&opening).await?;
        }
        Ok(Box::new(session))
    }

    async fn open_session(
        &self,
        turn: OwnedSemaphorePermit,
        patience: Duration,
    ) -> Result<PostgresSession, StoreError> {
        let connection = match self.pool.acquire().await {
            // The pool has kept the reason to itself; a connection of our own tells it.
            Err(sqlx::Error::PoolTimedOut) => {
                let waited = Duration::from_secs(1);
                let attempt = PgConnection::connect_with(&self.options);
                return Err(match timeout(waited, attempt).await {
                    Ok(Err(reason)) => self.server.failure(reason),
                    Ok(Ok(_)) | Err(_) => self.server.silent(),
                });
            }
            acquired => acquired.map_err(|error| self.server.failure(error))?,
        };
        Ok(PostgresSession::new(
            connection,
            self.server.clone(),
            patience,
            turn,
        ))
    }

    fn migration_error(&self, error: sqlx::migrate::MigrateError) -> StoreError {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::VersionMissing(found) => StoreError::Newer {
                found,
                known: newest_version(&MIGRATIONS),
            },
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                self.server.failure(error)
            }
            other => StoreError::Migrate(other.into()),
        }
    }
}

#[async_trait]
impl Relational for Postgres {
    async fn reading(&self) -> Result<Box<dyn Session>, StoreError> {
        self.session(&self.readers, self.limits.read, self.limits.read, None)
            .await
    }

    async fn snapshot(&self) -> Result<Box<dyn Session>, StoreError> {
        let opening = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned();
        self.session(
            &self.readers,
            self.limits.read,
            self.limits.read,
            Some(opening),
        )
        .await
    }

    /// Locks the source's row from the start, so that no two writers of one source meet half way.
    async fn writing(&self, source: Option<SourceId>) -> Result<Box<dyn Session>, StoreError> {
        let mode = if self.read_only { " READ ONLY" } else { "" };
        let mut opening = format!("BEGIN{mode}; {NOTICE_DEAD_CLIENTS}");
        if let Some(id) = source {
            // One round trip for all of it; an id is digits and hyphens.
            opening.push_str("; SELECT id FROM data_source WHERE id = '");
            opening.push_str(&id.to_string());
            opening.push_str("' FOR UPDATE");
        }
        self.session(
            &self.writers,
            self.limits.turn,
            self.limits.write,
            Some(opening),
        )
        .await
    }

    fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    async fn turned_away(&self) {
        self.server.turned_away().await;
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

/// From the address, with nothing in the errors that could be a secret.
fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let misunderstood = |reason: String| StoreError::Address { reason };
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(misunderstood("it is of another kind".to_owned()));
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    for parameter in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = parameter.split('=').next().unwrap_or_default();
        if !PARAMETERS.contains(&name) && !name.starts_with("options[") {
            return Err(misunderstood(format!(
                "it has a parameter that is none of {}",
                PARAMETERS.join(", ")
            )));
        }
    }
    let options: PgConnectOptions = url.parse().map_err(|error| {
        misunderstood(match error {
            sqlx::Error::Configuration(reason) => reason.to_string(),
            other => other.to_string(),
        })
    })?;
    let name = options.get_application_name().unwrap_or("sumsq").to_owned();
    let options = options.application_name(&name);
    let names_roots = query.contains("sslrootcert=") || std::env::var_os("PGSSLROOTCERT").is_some();
    Ok(match roots::bundled() {
        Some(pem) if !names_roots => options.ssl_root_cert_from_pem(pem.into()),
        _ => options,
    })
}

/// Says one statement or several, for which there are no values.
async fn say(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    connection
        .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())))
        .await
        .map(drop)
}
