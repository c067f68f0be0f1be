//! A browser's session: the token in a cookie that only this server can read, and the word that a
//! form has to repeat.

use cookie::{Cookie, CookieJar, Key, SameSite};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::identity::Token;

/// At least so long is the secret that all keys are derived from.
pub const LEAST_KEY_BYTES: usize = 32;
/// Longer tokens fit into no cookie: browsers keep 4,096 bytes of name and value, encrypted and in
/// base64.
pub const MOST_SESSION_TOKEN_BYTES: usize = 2_900;
/// A session ends with its token, and after a working day.
const SESSION_LASTS: SignedDuration = SignedDuration::from_hours(12);

const NAME: &str = "sumsq-session";
/// Browsers let nobody but this very host set a cookie of this prefix, and only behind TLS.
const SECURE_NAME: &str = "__Host-sumsq-session";

/// What sessions are encrypted with and forms are signed with.
#[derive(Clone)]
pub struct SessionKey {
    cookies: Key,
    forms: [u8; 32],
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionKey").finish_non_exhaustive()
    }
}

impl SessionKey {
    /// None where the secret has fewer than [`LEAST_KEY_BYTES`].
    #[must_use]
    pub fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() < LEAST_KEY_BYTES {
            return None;
        }
        let mut cookies = [0; 64];
        blake3::Hasher::new_derive_key("sumsq report: session cookies")
            .update(secret)
            .finalize_xof()
            .fill(&mut cookies);
        Some(Self {
            cookies: Key::from(&cookies),
            forms: blake3::derive_key("sumsq report: forms", secret),
        })
    }

    /// One that ends with this process.
    #[must_use]
    pub fn drawn() -> Self {
        let drawn = Key::generate();
        Self {
            forms: blake3::derive_key("sumsq report: forms", drawn.master()),
            cookies: drawn,
        }
    }

    /// The word that forms of `whose` carry: another site cannot know it.
    pub(super) fn form_word(&self, whose: &str) -> String {
        blake3::keyed_hash(&self.forms, whose.as_bytes())
            .to_hex()
            .to_string()
    }

    /// Compares in constant time, as hashes do.
    pub(super) fn is_form_word(&self, whose: &str, word: &str) -> bool {
        let expected = blake3::keyed_hash(&self.forms, whose.as_bytes());
        blake3::Hash::from_hex(word).is_ok_and(|word| word == expected)
    }
}

/// What a cookie holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) token: Token,
    /// Names the session; drawn when it begins.
    pub(super) id: String,
}

#[derive(Serialize, Deserialize)]
struct Written {
    token: String,
    id: String,
    ends: i64,
}

/// A `Set-Cookie` that begins a session; `None` where the token fits into no cookie. `ends` is the
/// token's own end, where it is known.
pub(super) fn begin(
    key: &SessionKey,
    token: &Token,
    ends: Option<Timestamp>,
    secure: bool,
    now: Timestamp,
) -> Option<String> {
    if token.expose().len() > MOST_SESSION_TOKEN_BYTES {
        return None;
    }
    let latest = now.checked_add(SESSION_LASTS).ok()?;
    let written = Written {
        token: token.expose().to_owned(),
        id: uuid::Uuid::new_v4().to_string(),
        ends: ends.map_or(latest, |ends| ends.min(latest)).as_second(),
    };
    let mut jar = CookieJar::new();
    let value = serde_json::to_string(&written).ok()?;
    jar.private_mut(&key.cookies).add((name(secure), value));
    let sealed = jar.get(name(secure))?.value().to_owned();
    Some(dressed(sealed, secure).build().to_string())
}

/// A `Set-Cookie` that ends it.
pub(super) fn end(secure: bool) -> String {
    let mut cookie = dressed(String::new(), secure).build();
    cookie.make_removal();
    cookie.to_string()
}

fn dressed(value: String, secure: bool) -> cookie::CookieBuilder<'static> {
    Cookie::build((name(secure), value))
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(SameSite::Strict)
}

fn name(secure: bool) -> &'static str {
    if secure { SECURE_NAME } else { NAME }
}

/// The session of a request's `Cookie` headers. None where there is none, where it is over, or where
/// somebody else than this server wrote it.
pub(super) fn read<'a>(
    key: &SessionKey,
    headers: impl Iterator<Item = &'a str>,
    secure: bool,
    now: Timestamp,
) -> Option<Session> {
    let mut jar = CookieJar::new();
    for cookie in headers.flat_map(Cookie::split_parse).flatten() {
        if cookie.name() == name(secure) {
            // Of two of one name neither is believed.
            if jar.get(name(secure)).is_some() {
                return None;
            }
            jar.add_original(cookie.into_owned());
        }
    }
    let cookie = jar.private(&key.cookies).get(name(secure))?;
    let written: Written = serde_json::from_str(cookie.value()).ok()?;
    (now.as_second() < written.ends).then_some(())?;
    Some(Session {
        token: Token::parse(&written.token)?,
        id: written.id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// As a browser sends it back.
    fn sent(set: &str) -> &str {
        set.split(';').next().unwrap()
    }

    #[test]
    fn only_this_server_reads_it() {
        let key = SessionKey::new(&[7; 32]).unwrap();
        let token = Token::parse("a.b.c").unwrap();
        for secure in [false, true] {
            let set = begin(&key, &token, None, secure, at(1000)).unwrap();
            assert!(!set.contains("a.b.c"));
            let attributes = if secure {
                "; HttpOnly; SameSite=Strict; Secure; Path=/"
            } else {
                "; HttpOnly; SameSite=Strict; Path=/"
            };
            assert!(set.ends_with(attributes), "{set}");
            assert_eq!(set.starts_with("__Host-"), secure);
            let cookie = sent(&set);
            let read = |key: &SessionKey, cookie: &str, second| {
                read(key, [cookie].into_iter(), secure, at(second)).map(|read| read.token)
            };
            assert_eq!(read(&key, cookie, 1001), Some(token.clone()));
            let among = format!("a=b; {cookie}; c=d");
            assert_eq!(read(&key, &among, 1001), Some(token.clone()));
            // Replicas with the same file know each other's sessions; no other does.
            let same = SessionKey::new(&[7; 32]).unwrap();
            assert_eq!(read(&same, cookie, 1001), Some(token.clone()));
            for other in [SessionKey::new(&[8; 32]).unwrap(), SessionKey::drawn()] {
                assert_eq!(read(&other, cookie, 1001), None);
            }
            // Over after twelve hours.
            assert!(read(&key, cookie, 1000 + 12 * 3600 - 1).is_some());
            assert_eq!(read(&key, cookie, 1000 + 12 * 3600), None);
            assert_eq!(read(&key, &format!("{cookie}; {cookie}"), 1001), None);
            // Each byte counts.
            let (name, value) = cookie.split_once('=').unwrap();
            for position in 0..value.len() {
                let mut tampered = value.as_bytes().to_vec();
                tampered[position] = if tampered[position] == b'A' {
                    b'B'
                } else {
                    b'A'
                };
                let tampered = format!("{name}={}", String::from_utf8(tampered).unwrap());
                let seen = read(&key, &tampered, 1001);
                // The last digit of base64 may have bits that mean nothing.
                assert!(seen.is_none() || position + 4 >= value.len(), "{position}");
            }
        }
    }

    #[test]
    fn a_cookie_of_plain_http_is_none_behind_tls() {
        let key = SessionKey::new(&[7; 32]).unwrap();
        let token = Token::parse("a.b.c").unwrap();
        let set = begin(&key, &token, None, false, at(0)).unwrap();
        // What a plain neighbour wrote under the other's name is not decrypted either.
        let moved = sent(&set).replace(NAME, SECURE_NAME);
        for cookie in [sent(&set), moved.as_str()] {
            assert_eq!(read(&key, [cookie].into_iter(), true, at(1)), None);
        }
    }

    #[test]
    fn it_ends_with_its_token_and_fits_into_a_cookie() {
        let key = SessionKey::drawn();
        let longest = Token::parse(&"a".repeat(MOST_SESSION_TOKEN_BYTES)).unwrap();
        let set = begin(&key, &longest, Some(at(60)), true, at(0)).unwrap();
        assert!(sent(&set).len() <= 4096, "{}", sent(&set).len());
        let read = |second| read(&key, [sent(&set)].into_iter(), true, at(second));
        assert!(read(59).is_some());
        assert_eq!(read(60), None);
        let longer = Token::parse(&"a".repeat(MOST_SESSION_TOKEN_BYTES + 1)).unwrap();
        assert_eq!(begin(&key, &longer, None, true, at(0)), None);
        assert!(SessionKey::new(&[1; 31]).is_none());
        assert!(end(true).contains("Max-Age=0"), "{}", end(true));
    }

    #[test]
    fn a_form_word_is_one_sessions() {
        let key = SessionKey::drawn();
        let word = key.form_word("session one");
        assert!(key.is_form_word("session one", &word));
        for (whose, word) in [
            ("session two", word.as_str()),
            ("session one", ""),
            ("session one", &word[1..]),
        ] {
            assert!(!key.is_form_word(whose, word));
        }
        assert!(!SessionKey::drawn().is_form_word("session one", &word));
    }
}
