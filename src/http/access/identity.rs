//! Who a caller is, and what one may be asked whether they may do it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::data_source::SourceKey;

/// A user as Kubernetes knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    pub user: String,
    pub uid: Option<String>,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// Names this user with these groups among all others.
    pub(super) fn hash(&self) -> [u8; 32] {
        // Lengths are part of JSON's shape: no two identities read the same.
        let json = serde_json::to_vec(self).unwrap_or_default();
        *blake3::hash(&json).as_bytes()
    }
}

/// A bearer token, which is shown to the API server and to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Longer ones are nobody's: a request's whole head has 32 KiB.
const MOST_TOKEN_BYTES: usize = 16 << 10;

impl Token {
    /// None where no token looks like that (RFC 6750, section 2.1).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters = text.trim_end_matches('=');
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        (!letters.is_empty() && text.len() <= MOST_TOKEN_BYTES && letters.bytes().all(is_known))
            .then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// When a JSON Web Token is over, as it says itself: for one that was found to be good. None of
    /// other kinds.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        #[derive(Deserialize)]
        struct Claims {
            exp: i64,
        }
        let claims = unsealed(self.0.split('.').nth(1)?)?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        Timestamp::from_second(claims.exp).ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(...)")
    }
}

/// Base64 of addresses, without padding (RFC 4648, section 5).
fn unsealed(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xfff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// What a route does to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// `get datasources/report`: how sources are, their fetches, their counts.
    ReadSources,
    /// `get agents/report`: agents and their reports.
    ReadAgents,
    /// `patch datasources`: fetch now.
    Fetch,
}

impl Action {
    /// Verb, resource and subresource.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::ReadSources => ("get", "datasources", Some("report")),
            Self::ReadAgents => ("get", "agents", Some("report")),
            Self::Fetch => ("patch", "datasources", None),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, resource, subresource) = self.words();
        write!(f, "{verb} {resource}")?;
        subresource.map_or(Ok(()), |subresource| write!(f, "/{subresource}"))
    }
}

/// One question to the API server: an action, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Right {
    pub action: Action,
    /// None: in all of them.
    pub namespace: Option<String>,
    /// None: on all objects there.
    pub name: Option<String>,
}

impl Right {
    #[must_use]
    pub fn everywhere(action: Action) -> Self {
        Self {
            action,
            namespace: None,
            name: None,
        }
    }

    #[must_use]
    pub fn within(action: Action, namespace: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..Self::everywhere(action)
        }
    }

    /// To have this one source fetched: Roles may name objects.
    #[must_use]
    pub fn to_fetch(source: &SourceKey) -> Self {
        Self {
            name: Some(source.name.clone()),
            ..Self::within(Action::Fetch, &source.namespace)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_token() {
        for token in ["abc", "eyJhbGciOi.J9_-~+/x.abc", "a==", &"a".repeat(16384)] {
            assert_eq!(Token::parse(token).unwrap().expose(), token);
        }
        for other in ["", "=", "a b", "a\n", "a=b", "é", "a,b", &"a".repeat(16385)] {
            assert_eq!(Token::parse(other), None, "{other:?}");
        }
        // {"exp":1700000000}
        let token = Token::parse("e30.eyJleHAiOjE3MDAwMDAwMDB9.c2ln").unwrap();
        assert_eq!(token.ends(), Timestamp::from_second(1_700_000_000).ok());
        for opaque in ["abc", "a.b.c", "e30.e30.c2ln"] {
            assert_eq!(Token::parse(opaque).unwrap().ends(), None, "{opaque}");
        }
        let shown = format!("{:?}", Token::parse("secret").unwrap());
        assert!(!shown.contains("secret"));
    }
}
