//! What a server's failure is called here.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

use super::super::StoreError;

#[derive(Debug, Clone)]
pub(super) struct Server {
    /// Where the database is, in words that may be shown: no user, no password.
    address: Arc<str>,
    /// Cancelled by the first login that it refuses.
    turned_away: CancellationToken,
}

impl Server {
    pub(super) fn of(options: &PgConnectOptions) -> Self {
        let place = match options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let database = options
            .get_database()
            .map_or(String::new(), |name| format!("/{name}"));
        Self {
            address: format!("{place}{database}").into(),
            turned_away: CancellationToken::new(),
        }
    }

    pub(super) fn missing(&self) -> StoreError {
        StoreError::Missing {
            path: self.address.to_string(),
        }
    }

    /// No answer within our own patience.
    pub(super) fn silent(&self) -> StoreError {
        StoreError::TooSlow {
            address: self.address.to_string(),
            source: None,
        }
    }

    pub(super) async fn turned_away(&self) {
        self.turned_away.cancelled().await;
    }

    /// By SQLSTATE (appendix A of PostgreSQL's manual), where the server could say anything.
    pub(super) fn failure(&self, error: sqlx::Error) -> StoreError {
        let address = self.address.to_string();
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .map(std::borrow::Cow::into_owned);
        if code.as_deref().is_some_and(is_login_refused) {
            self.turned_away.cancel();
        }
        match (code.as_deref(), &error) {
            // disk_full
            (Some("53100"), _) => StoreError::Full(error.into()),
            // read_only_sql_transaction
            (Some("25006"), _) => StoreError::ReadOnly {
                address,
                source: error.into(),
            },
            // query_canceled, lock_not_available, idle_in_transaction_session_timeout
            (Some("57014" | "55P03" | "25P03"), _) => StoreError::TooSlow {
                address,
                source: Some(error.into()),
            },
            // invalid_catalog_name
            (Some("3D000"), _) => StoreError::NoDatabase {
                address,
                source: error.into(),
            },
            (Some(code), _) if is_login_refused(code) => StoreError::Refused {
                address,
                login: true,
                source: error.into(),
            },
            // insufficient_privilege
            (Some("42501"), _) => StoreError::Refused {
                address,
                login: false,
                source: error.into(),
            },
            (Some(code), _) if is_connection_lost(code) => StoreError::Unreachable {
                address,
                source: error.into(),
            },
            (
                None,
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed,
            ) => StoreError::Unreachable {
                address,
                source: error.into(),
            },
            _ => StoreError::Database(error.into()),
        }
    }
}

/// invalid_authorization_specification, invalid_password. What a user may not do (42501) is granted
/// or not whatever the password.
fn is_login_refused(code: &str) -> bool {
    matches!(code, "28000" | "28P01")
}

/// connection_exception, too_many_connections, admin_shutdown, crash_shutdown, cannot_connect_now.
fn is_connection_lost(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "53300" | "57P01" | "57P02" | "57P03")
}

pub(super) fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|found| found == code)
}
