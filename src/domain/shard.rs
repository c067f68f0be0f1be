//! Which of several operators looks after a namespace.
//!
//! A namespace's shard depends on its name and on how many shards there are, and on nothing else:
//! every replica of every version finds the same one. It is the jump consistent hash (Lamping and
//! Veach 2014, arXiv:1406.2294) of the first 8 bytes (little endian) of the name's BLAKE3: of N + 1
//! shards instead of N, one namespace in N + 1 moves, and each of those to the new one.

use std::fmt;
use std::str::FromStr;

/// More shards than any cluster has use for.
pub const MAX_SHARDS: u32 = 1024;

/// One of several parts of all namespaces, written `2/5`: the second of five.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// 1 to `count`.
    number: u32,
    count: u32,
}

impl Shard {
    /// The only one there is.
    pub const WHOLE: Self = Self {
        number: 1,
        count: 1,
    };

    /// None where there is no such shard: `number` is 1 to `count`, which is 1 to [`MAX_SHARDS`].
    #[must_use]
    pub fn new(number: u32, count: u32) -> Option<Self> {
        let exists = (1..=count).contains(&number) && count <= MAX_SHARDS;
        exists.then_some(Self { number, count })
    }

    #[must_use]
    pub fn holds(self, namespace: &str) -> bool {
        self.count == 1 || shard_of(namespace, self.count) == self.number
    }

    /// For a name that tells it from all others, such as a Lease's: `2-of-5`.
    #[must_use]
    pub fn suffix(self) -> Option<String> {
        (self.count > 1).then(|| format!("{}-of-{}", self.number, self.count))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text
            .split_once('/')
            .and_then(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?)));
        numbers
            .and_then(|(number, count)| Self::new(number, count))
            .ok_or_else(|| {
                format!("write 2/5 for the second of five shards; there are at most {MAX_SHARDS}")
            })
    }
}

/// 1 to `count`.
fn shard_of(namespace: &str, count: u32) -> u32 {
    let digest = blake3::hash(namespace.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    jump(u64::from_le_bytes(first), count) + 1
}

/// 0 to `buckets` - 1, as the paper writes it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the paper's own arithmetic: 31 bits over at most 31 bits, rounded down"
)]
fn jump(mut key: u64, buckets: u32) -> u32 {
    let (mut bucket, mut next) = (0_u64, 0_u64);
    while next < u64::from(buckets) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let chance = (1_u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * chance) as u64;
    }
    bucket as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Changing one of these moves namespaces of running installations.
    #[test]
    fn namespaces_lie_where_they_always_have() {
        let names = [
            "default", "growth", "checkout", "a", "", "münchen", "team-42",
        ];
        let lines = names.map(|name| {
            let shards = [1, 2, 3, 5, 10, 1024].map(|count| shard_of(name, count));
            format!("{name}: {shards:?}")
        });
        let table = lines.join("\n");
        insta::assert_snapshot!(table, @r"
        default: [1, 2, 2, 4, 4, 495]
        growth: [1, 2, 2, 2, 9, 253]
        checkout: [1, 2, 2, 2, 9, 88]
        a: [1, 1, 3, 4, 7, 534]
        : [1, 1, 1, 1, 10, 722]
        münchen: [1, 2, 2, 2, 7, 869]
        team-42: [1, 1, 3, 5, 7, 605]
        ");
    }

    /// As other implementations of the paper have it in their tests.
    #[test]
    fn the_hash_is_the_paper_s() {
        for (key, buckets, bucket) in [
            (0, 1, 0),
            (42, 57, 43),
            (256, 1024, 520),
            (0xdead_10cc, 1, 0),
            (0xdead_10cc, 666, 361),
        ] {
            assert_eq!(jump(key, buckets), bucket, "{key} of {buckets}");
        }
    }

    #[test]
    fn shards_are_written_as_they_are_read() {
        for text in ["1/1", "2/5", "5/5", "1024/1024"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
        for text in [
            "", "2", "0/5", "6/5", "1/0", "1/1025", "-1/5", "2/5/7", "a/b",
        ] {
            assert!(text.parse::<Shard>().is_err(), "{text:?}");
        }
        assert_eq!(Shard::WHOLE.suffix(), None);
        assert_eq!(Shard::new(2, 5).unwrap().suffix().unwrap(), "2-of-5");
    }

    proptest! {
        #[test]
        fn one_shard_holds_it_and_one_more_takes_it_or_nothing(
            name in "[a-z0-9-]{1,63}", count in 1..50_u32,
        ) {
            let holders = |count| {
                let shards = (1..=count).filter_map(|number| Shard::new(number, count));
                shards.filter(|shard| shard.holds(&name)).map(|shard| shard.number).collect::<Vec<_>>()
            };
            let (before, after) = (holders(count), holders(count + 1));
            prop_assert_eq!(before.len(), 1);
            prop_assert_eq!(after.len(), 1);
            prop_assert!(after == before || after == [count + 1]);
        }
    }

    #[test]
    fn namespaces_are_spread_evenly() {
        let mut counts = [0_u32; 5];
        for number in 0..10_000 {
            counts[shard_of(&format!("team-{number}"), 5) as usize - 1] += 1;
        }
        // Within four standard deviations (40) of 2,000.
        for count in counts {
            assert!((1_840..=2_160).contains(&count), "{counts:?}");
        }
    }
}
