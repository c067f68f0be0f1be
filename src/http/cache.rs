//! What was made last, within a bound of memory: decoded agents, and answers as they were written.
//!
//! Keys name a state (a version, an ETag), so that an entry is never wrong, only of no use any more;
//! then nobody asks for it and it is the next to go.

use std::sync::{Mutex, PoisonError};

use lru::LruCache;

#[derive(Debug)]
pub(super) struct Cache<V> {
    held: Mutex<Held<V>>,
    most_bytes: usize,
}

#[derive(Debug)]
struct Held<V> {
    entries: LruCache<String, (V, usize)>,
    bytes: usize,
}

impl<V: Clone> Cache<V> {
    pub(super) fn of_bytes(most_bytes: usize) -> Self {
        let held = Held {
            entries: LruCache::unbounded(),
            bytes: 0,
        };
        Self {
            held: Mutex::new(held),
            most_bytes,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<V> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.entries.get(key).map(|(value, _)| value.clone())
    }

    /// `bytes` is about what it takes; what takes more than a quarter of all is not kept.
    pub(super) fn put(&self, key: String, value: V, bytes: usize) {
        if bytes > self.most_bytes / 4 {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.bytes += bytes;
        if let Some((_, earlier)) = held.entries.put(key, (value, bytes)) {
            held.bytes -= earlier;
        }
        while held.bytes > self.most_bytes {
            let Some((_, (_, oldest))) = held.entries.pop_lru() else {
                return;
            };
            held.bytes -= oldest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_longest_ago_goes_first() {
        let cache = Cache::of_bytes(40);
        for key in ["a", "b", "c", "d"] {
            cache.put(key.to_owned(), key, 10);
        }
        assert_eq!(cache.get("a"), Some("a"));
        cache.put("e".to_owned(), "e", 10);
        let held: Vec<_> = ["a", "b", "c", "d", "e"].map(|key| cache.get(key)).into();
        assert_eq!(held, [Some("a"), None, Some("c"), Some("d"), Some("e")]);
        cache.put("large".to_owned(), "large", 11);
        assert_eq!(cache.get("large"), None);
        // The same key again takes its place once.
        for _ in 0..10 {
            cache.put("e".to_owned(), "e again", 10);
        }
        assert_eq!(
            (cache.get("a"), cache.get("e")),
            (Some("a"), Some("e again"))
        );
    }
}
