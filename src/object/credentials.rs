//! Whose signature a request bears. Nothing here is ever shown.

use std::fmt;

use super::identity::SessionKey;
use crate::domain::fetch::{ErrorCode, FetchError, cases};

/// Credentials out of a Secret, or of a role's session. Debug never shows them.
#[derive(Clone)]
pub struct SecretCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
    /// Where STS gave them.
    pub session: Option<Session>,
}

/// What is known of credentials that STS gave.
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) key: SessionKey,
    /// ARN of the role, with its path.
    pub(super) reader: String,
}

/// Whose signature a request bears.
#[derive(Clone, Copy)]
pub(super) enum Credentials<'a> {
    Operator,
    Static(&'a SecretCredentials),
    Unsigned,
}

impl Credentials<'_> {
    /// AWS calls keys that are temporary ASIA...; they are worth nothing without a token.
    pub(super) fn lack_session_token(self) -> bool {
        matches!(self, Self::Static(given)
            if given.access_key_id.starts_with("ASIA") && given.session_token.is_none())
    }
}

impl SecretCredentials {
    /// White space is never part of a key, and would make a request that can't be sent or a
    /// signature that never matches.
    pub(super) fn check(&self, namespace: &str, name: &str) -> Result<(), FetchError> {
        let keys = [
            ("accessKeyId", Some(&self.access_key_id)),
            ("secretAccessKey", Some(&self.secret_access_key)),
            ("sessionToken", self.session_token.as_ref()),
        ];
        for (key, value) in keys {
            let Some(value) = value else { continue };
            let problem = if value.is_empty() {
                "is empty"
            } else if value.ends_with('\n') {
                "ends with a line break"
            } else if value
                .chars()
                .any(|c| c.is_whitespace() || !c.is_ascii_graphic())
            {
                "holds a character that no key has, such as a space or a line break"
            } else {
                continue;
            };
            return Err(FetchError::new(
                ErrorCode::SecretInvalid,
                format!("Secret {namespace}/{name}, key {key}: the value {problem}"),
                cases::write_secret_key(key),
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for SecretCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretCredentials").finish_non_exhaustive()
    }
}
