//! Credentials that STS gave, kept until shortly before they end: by whom they are for and which
//! role, in memory alone, and no more than a bounded number of them.

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::super::client::{Key, LruCache, cache};
use super::super::credentials::SecretCredentials;
use super::super::lock;

/// Tells sessions apart: a digest, so that no key of a map holds a credential.
pub(in super::super) type SessionKey = Key;

/// A fetch that begins with less left would outlive its credentials too easily. STS gives an hour.
const LEFT: SignedDuration = SignedDuration::from_mins(10);

pub(in super::super) struct Sessions(Mutex<LruCache<SessionKey, Held>>);

struct Held {
    credentials: SecretCredentials,
    ends: Timestamp,
}

impl Sessions {
    pub(in super::super) fn new() -> Self {
        Self(cache())
    }

    pub(super) fn get(&self, key: &SessionKey, now: Timestamp) -> Option<SecretCredentials> {
        let mut held = lock(&self.0);
        let session = held.get(key)?;
        if session.ends.duration_since(now) > LEFT {
            return Some(session.credentials.clone());
        }
        held.pop(key);
        None
    }

    pub(super) fn keep(&self, key: SessionKey, credentials: &SecretCredentials, ends: Timestamp) {
        let held = Held {
            credentials: credentials.clone(),
            ends,
        };
        lock(&self.0).put(key, held);
    }

    /// They are refused: the next attempt asks for others.
    pub(in super::super) fn drop(&self, key: &SessionKey) {
        lock(&self.0).pop(key);
    }
}

/// Digests the parts, each with its length, so that no two lists of parts read the same.
pub(super) fn key(parts: &[&str]) -> SessionKey {
    let mut digest = blake3::Hasher::new();
    for part in parts {
        digest
            .update(&(part.len() as u64).to_le_bytes())
            .update(part.as_bytes());
    }
    *digest.finalize().as_bytes()
}

/// What STS says in its own type of time; where it says nothing, an hour at most, which is its
/// default.
pub(super) fn ends(epoch_seconds: Option<i64>, now: Timestamp) -> Timestamp {
    let said = epoch_seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    said.unwrap_or(now + Duration::from_hours(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(id: &str) -> SecretCredentials {
        SecretCredentials {
            access_key_id: id.to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: None,
            session: None,
        }
    }

    #[test]
    fn a_session_is_used_until_shortly_before_its_end() {
        let sessions = Sessions::new();
        let one = key(&["growth", "uid", "role"]);
        let at = |minutes: i64| Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap();
        sessions.keep(one, &credentials("ASIA1"), at(60));
        let id = |now| sessions.get(&one, now).map(|found| found.access_key_id);
        assert_eq!(id(at(0)).as_deref(), Some("ASIA1"));
        assert_eq!(id(at(49)).as_deref(), Some("ASIA1"));
        assert_eq!(id(at(50)), None);
        assert_eq!(id(at(0)), None, "it is not kept to no purpose");
        sessions.keep(one, &credentials("ASIA2"), at(60));
        sessions.drop(&one);
        assert_eq!(id(at(0)), None);
    }

    #[test]
    fn each_account_and_role_has_its_own_and_no_more_are_kept_than_fit() {
        let now = Timestamp::UNIX_EPOCH;
        let sessions = Sessions::new();
        let keys = [
            key(&["growth", "uid", "role"]),
            key(&["growth", "uid-2", "role"]),
            key(&["growth", "uid", "role-2"]),
            key(&["growthu", "id", "role"]),
        ];
        for (number, key) in keys.iter().enumerate() {
            sessions.keep(*key, &credentials(&number.to_string()), ends(None, now));
        }
        for (number, key) in keys.iter().enumerate() {
            let found = sessions.get(key, now).unwrap();
            assert_eq!(found.access_key_id, number.to_string());
        }
        for number in 0..2000 {
            let key = key(&[&number.to_string()]);
            sessions.keep(key, &credentials("ASIA"), ends(None, now));
        }
        assert!(lock(&sessions.0).len() < 1000);
        assert!(sessions.get(&keys[0], now).is_none());
    }
}
