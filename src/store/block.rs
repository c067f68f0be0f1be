//! The block of one agent day: versioned, compact, canonical (equal days are equal bytes).
//!
//! The format is documented in docs/store.md; a change of it is another version.

mod columns;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use unsigned_varint::encode;

use self::columns::Columns;
pub use self::reading::Reader;

use crate::domain::agent_day::{AgentDay, CellKey, Day, DayColumns, VisitorTrait};

const VERSION: u8 = 1;
/// Added to a decimal's `decimals`, so that the byte is never negative.
const DECIMALS_BIAS: i16 = 32;
/// Marks a decimal whose units are not a multiple of its last written digit.
const RAW_UNITS: u8 = 0x80;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    #[error("block version {0} is not known")]
    UnknownVersion(u8),
    #[error("block is cut short or malformed")]
    Malformed,
}

/// The first 16 bytes of BLAKE3.
#[must_use]
pub fn hash(block: &[u8]) -> [u8; 16] {
    let mut hash = [0; 16];
    hash.copy_from_slice(&blake3::hash(block).as_bytes()[..16]);
    hash
}

/// The cells of a day; agent and day themselves are the key under which it is kept.
#[must_use]
pub fn write(day: &impl DayColumns) -> Vec<u8> {
    Writer::default().write(day)
}

/// Writes the blocks of many days, which often have the same goals and keys.
#[derive(Debug, Default)]
pub struct Writer {
    keys: Vec<CellKey>,
    goals: Option<Arc<[Arc<str>]>>,
    /// What blocks of these goals and keys begin with.
    prefix: Vec<u8>,
    columns: Columns,
}

impl Writer {
    /// As [`write`].
    pub fn write(&mut self, day: &impl DayColumns) -> Vec<u8> {
        if !self.knows_keys_of(day) {
            self.write_prefix(day);
        }
        let columns = &mut self.columns;
        columns.clear();
        columns.visitors(day);
        for goal in 0..day.goals().len() {
            columns.goal(day, goal);
        }
        [&self.prefix, columns.written()].concat()
    }

    fn knows_keys_of(&self, day: &impl DayColumns) -> bool {
        self.keys.len() == day.len()
            && self.goals.as_ref() == Some(day.goals())
            && self.keys.iter().zip(0..).all(|(known, cell)| {
                let key = day.key(cell);
                // Keys of one file share their codes.
                is_same(&known.variation, &key.variation)
                    && is_same(&known.policy, &key.policy)
                    && match (&known.visitor_trait, &key.visitor_trait) {
                        (Some(known), Some(of_trait)) => {
                            is_same(&known.group, &of_trait.group)
                                && is_same(&known.value, &of_trait.value)
                        }
                        (None, None) => true,
                        _ => false,
                    }
            })
    }

    fn write_prefix(&mut self, day: &impl DayColumns) {
        self.goals = Some(Arc::clone(day.goals()));
        self.keys.clear();
        self.keys
            .extend((0..day.len()).map(|cell| day.key(cell).clone()));
        let out = &mut self.prefix;
        out.clear();
        out.push(VERSION);
        write_strings(out, day.goals().iter().map(|goal| &**goal));
        let codes: BTreeSet<&str> = self.keys.iter().flat_map(codes).collect();
        let index: BTreeMap<&str, u64> = codes.iter().copied().zip(0..).collect();
        write_strings(out, codes.iter().copied());
        write_u64(out, self.keys.len() as u64);
        for key in &self.keys {
            write_u64(out, index[&*key.variation]);
            write_u64(out, index[&*key.policy]);
            match &key.visitor_trait {
                None => write_u64(out, 0),
                Some(VisitorTrait { group, value }) => {
                    write_u64(out, index[&**group] + 1);
                    write_u64(out, index[&**value]);
                }
            }
        }
    }
}

fn is_same(one: &Arc<str>, other: &Arc<str>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// As [`Reader::read`], of a block on its own.
///
/// # Errors
/// As there.
pub fn read(agent: Arc<str>, day: Day, block: &[u8]) -> Result<AgentDay, BlockError> {
    Reader::new(agent).read(day, block)
}

fn codes(key: &CellKey) -> impl Iterator<Item = &str> {
    let of_trait = key
        .visitor_trait
        .iter()
        .flat_map(|t| [&*t.group, &*t.value]);
    [&*key.variation, &*key.policy].into_iter().chain(of_trait)
}

fn write_strings<'a>(out: &mut Vec<u8>, strings: impl ExactSizeIterator<Item = &'a str>) {
    write_u64(out, strings.len() as u64);
    for string in strings {
        write_u64(out, string.len() as u64);
        out.extend_from_slice(string.as_bytes());
    }
}

fn write_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(encode::u64(number, &mut encode::u64_buffer()));
}

#[cfg(test)]
mod tests;
