//! Addresses. Codes hold any Unicode, slashes and quotes, so each is percent-encoded as one
//! segment or one value.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::agent::to_segment;

/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// `text` as one segment of a path or one value of a query.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[must_use]
pub fn source(namespace: &str, name: &str) -> String {
    format!(
        "/namespaces/{}/data-sources/{}",
        encode(namespace),
        encode(name)
    )
}

/// Leads to the counts of a source, be they one file or several.
#[must_use]
pub fn counts(namespace: &str, name: &str) -> String {
    format!("{}/counts", source(namespace, name))
}

#[must_use]
pub fn agent(namespace: &str, code: &str) -> String {
    let segment = encode(&to_segment(code));
    format!("/namespaces/{}/agents/{segment}", encode(namespace))
}

#[must_use]
pub fn activity(namespace: &str, code: &str) -> String {
    format!("{}/activity", agent(namespace, code))
}

/// `path` with the pairs in their order; no `?` where there are none.
#[must_use]
pub fn with_query<K: AsRef<str>, V: AsRef<str>>(path: &str, pairs: &[(K, V)]) -> String {
    let mut address = path.to_owned();
    for (at, (key, value)) in pairs.iter().enumerate() {
        let separator = if at == 0 { '?' } else { '&' };
        // Writing to a String does not fail.
        let _ = write!(
            address,
            "{separator}{}={}",
            encode(key.as_ref()),
            encode(value.as_ref())
        );
    }
    address
}

/// The pairs with `key` set to `value` (None: taken out).
#[must_use]
pub fn replaced(
    pairs: &[(&'static str, String)],
    key: &'static str,
    value: Option<&str>,
) -> Vec<(&'static str, String)> {
    let mut changed: Vec<_> = pairs
        .iter()
        .filter(|(name, _)| *name != key)
        .cloned()
        .collect();
    changed.extend(value.map(|value| (key, value.to_owned())));
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_stays_one_segment() {
        assert_eq!(
            agent("growth", "a/b \"c\" <é>"),
            "/namespaces/growth/agents/a%2Fb%20%22c%22%20%3C%C3%A9%3E"
        );
        // A browser takes these for folders.
        for (code, address) in [
            (".", "/namespaces/growth/agents/%1F."),
            ("..", "/namespaces/growth/agents/%1F.."),
            ("...", "/namespaces/growth/agents/..."),
        ] {
            assert_eq!(agent("growth", code), address);
        }
        assert_eq!(
            with_query("/x", &[("traitValue", "50% & more"), ("goal", "g=1")]),
            "/x?traitValue=50%25%20%26%20more&goal=g%3D1"
        );
        assert_eq!(with_query::<&str, &str>("/x", &[]), "/x");
    }
}
