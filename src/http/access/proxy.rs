//! An authenticating proxy in front: what it proves itself by, and whom its headers name.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName};

use super::identity::Identity;
use crate::http::connection::Connection;

/// Shorter secrets can be guessed.
pub const LEAST_SECRET_BYTES: usize = 16;
/// Everybody whom some authenticator of Kubernetes knows is in it.
const AUTHENTICATED: &str = "system:authenticated";
/// Names and groups that Kubernetes keeps for itself, such as its administrators.
const RESERVED: &str = "system:";
/// Groups of one user.
const MOST_GROUPS: usize = 1_000;

/// What is believed of a proxy's headers, and under which proof.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// The header, and the hash of the secret that has to be in it.
    pub secret: Option<(HeaderName, Secret)>,
    /// Whether the connection must have a client certificate that TLS has verified.
    pub certificate: bool,
    pub user: HeaderName,
    pub groups: HeaderName,
}

/// A secret that is compared with, never shown.
#[derive(Clone)]
pub struct Secret(blake3::Hash);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(...)")
    }
}

impl Secret {
    /// None where it is shorter than [`LEAST_SECRET_BYTES`].
    #[must_use]
    pub fn new(secret: &[u8]) -> Option<Self> {
        (secret.len() >= LEAST_SECRET_BYTES).then(|| Self(blake3::hash(secret)))
    }

    /// In constant time: hashes are compared so.
    fn is(&self, given: &[u8]) -> bool {
        blake3::hash(given) == self.0
    }
}

impl Proxy {
    /// Whom a proxy that proves itself names.
    ///
    /// # Errors
    /// The reason, for the log: whoever sent the request learns only that it is not taken.
    pub(super) fn identify(
        &self,
        headers: &HeaderMap,
        connection: Connection,
    ) -> Result<Identity, &'static str> {
        if self.certificate && !connection.client_certificate {
            return Err("no client certificate of the proxy");
        }
        if let Some((name, secret)) = &self.secret {
            let mut given = headers.get_all(name).iter();
            let (Some(only), None) = (given.next(), given.next()) else {
                return Err("no secret of the proxy, or several");
            };
            if !secret.is(only.as_bytes()) {
                return Err("a wrong secret of the proxy");
            }
        }
        let mut users = headers.get_all(&self.user).iter();
        let (Some(user), None) = (users.next(), users.next()) else {
            return Err("the proxy names no user, or several");
        };
        let user = text(user)?;
        let mut groups = Vec::new();
        for value in headers.get_all(&self.groups) {
            let given = text(value)?.split(',').map(str::trim);
            groups.extend(given.filter(|group| !group.is_empty()).map(str::to_owned));
        }
        if user.is_empty() {
            return Err("the proxy names no user");
        }
        let reserved = groups.iter().any(|group| group.starts_with(RESERVED));
        if reserved || user.starts_with(RESERVED) {
            return Err("the proxy names a user or group that Kubernetes keeps for itself");
        }
        if groups.len() > MOST_GROUPS {
            return Err("the proxy names too many groups");
        }
        groups.push(AUTHENTICATED.to_owned());
        Ok(Identity {
            user: user.to_owned(),
            uid: None,
            groups,
            extra: BTreeMap::new(),
        })
    }
}

fn text(value: &axum::http::HeaderValue) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(value.as_bytes());
    Ok(text.map_err(|_| "a name that is not UTF-8")?.trim())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const SECRET: &str = "a secret of the proxy";

    fn told(certificate: bool, secret: bool, sent: &[(&str, &str)], presented: bool) -> String {
        let name = |name: &'static str| HeaderName::from_static(name);
        let proxy = Proxy {
            secret: secret.then(|| (name("x-secret"), Secret::new(SECRET.as_bytes()).unwrap())),
            certificate,
            user: name("x-forwarded-user"),
            groups: name("x-forwarded-groups"),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let connection = Connection {
            tls: presented,
            client_certificate: presented,
        };
        match proxy.identify(&headers, connection) {
            Ok(who) => format!("{} in {}", who.user, who.groups.join(" ")),
            Err(reason) => format!("refused: {reason}"),
        }
    }

    #[test]
    fn headers_are_believed_with_their_proof_alone() {
        let secret = ("x-secret", SECRET);
        let alice = ("x-forwarded-user", "alice");
        let groups = ("x-forwarded-groups", "team-a, team-b,,");
        let mut seen = String::new();
        for sent in [
            &[secret, alice][..],
            &[secret, alice, groups, ("x-forwarded-groups", "team-c")],
            &[alice],
            &[("x-secret", "a secret of the prox"), alice],
            &[("x-secret", "a secret of the proxy "), alice],
            &[secret, secret, alice],
            &[secret],
            &[secret, groups],
            &[secret, ("x-forwarded-user", " ")],
            &[secret, alice, ("x-forwarded-user", "bob")],
            &[secret, ("x-forwarded-user", "system:admin")],
            &[secret, alice, ("x-forwarded-groups", "a,system:masters")],
        ] {
            writeln!(seen, "{}", told(false, true, sent, false)).unwrap();
        }
        for (secret_too, presented) in [(false, true), (false, false), (true, true)] {
            writeln!(seen, "{}", told(true, secret_too, &[alice], presented)).unwrap();
        }
        insta::assert_snapshot!(seen, @"
        alice in system:authenticated
        alice in team-a team-b team-c system:authenticated
        refused: no secret of the proxy, or several
        refused: a wrong secret of the proxy
        refused: a wrong secret of the proxy
        refused: no secret of the proxy, or several
        refused: the proxy names no user, or several
        refused: the proxy names no user, or several
        refused: the proxy names no user
        refused: the proxy names no user, or several
        refused: the proxy names a user or group that Kubernetes keeps for itself
        refused: the proxy names a user or group that Kubernetes keeps for itself
        alice in system:authenticated
        refused: no client certificate of the proxy
        refused: no secret of the proxy, or several
        ");
    }

    #[test]
    fn a_secret_is_long_enough() {
        assert!(Secret::new(&[b'a'; 15]).is_none());
        let shown = format!("{:?}", Secret::new(SECRET.as_bytes()));
        assert!(!shown.contains(SECRET));
    }
}
