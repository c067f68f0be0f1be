//! The block of one agent day: versioned, compact, canonical (equal days are equal bytes).
//!
//! The format is documented in docs/store.md; a change of it is another version.

mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use unsigned_varint::encode;

pub use self::reading::Reader;

use crate::domain::agent_day::{AgentDay, CellKey, Day, DayColumns, Digits, VisitorTrait};

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
    out: Vec<u8>,
}

impl Writer {
    /// As [`write`].
    pub fn write(&mut self, day: &impl DayColumns) -> Vec<u8> {
        if !self.knows_keys_of(day) {
            self.write_prefix(day);
        }
        let out = &mut self.out;
        out.clear();
        out.extend_from_slice(&self.prefix);
        let cells = 0..day.len();
        for cell in cells.clone() {
            write_u64(out, day.visitors(cell));
        }
        for goal in 0..day.goals().len() {
            write_goal(out, day, goal, cells.clone());
        }
        out.as_slice().into()
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

fn write_goal(out: &mut Vec<u8>, day: &impl DayColumns, goal: usize, cells: Range<usize>) {
    let counts = || cells.clone().map(|cell| day.counts(cell, goal));
    for (count, _) in counts() {
        write_u64(out, count);
    }
    // The difference is 0 where each visitor converts at most once: one byte.
    for (count, squares) in counts() {
        let squares = i128::try_from(squares).unwrap_or(i128::MAX);
        write_i128(out, squares - i128::from(count));
    }
    let values = || cells.clone().map(|cell| day.values(cell, goal));
    for values in values() {
        out.push(u8::from(values.is_some()));
    }
    for [sum, sumsq] in values().flatten() {
        write_digits(out, sum);
        write_digits(out, sumsq);
    }
}

fn write_digits(out: &mut Vec<u8>, digits: Digits) {
    let decimals = u8::try_from(i16::from(digits.decimals) + DECIMALS_BIAS).unwrap_or(0);
    let raw = if digits.is_raw { RAW_UNITS } else { 0 };
    out.push(decimals | raw);
    write_i128(out, digits.number);
}

fn write_strings<'a>(out: &mut Vec<u8>, strings: impl ExactSizeIterator<Item = &'a str>) {
    write_u64(out, strings.len() as u64);
    for string in strings {
        write_u64(out, string.len() as u64);
        out.extend_from_slice(string.as_bytes());
    }
}

#[inline]
fn write_u64(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Zigzag: small numbers of either sign are short.
#[inline]
fn write_i128(out: &mut Vec<u8>, number: i128) {
    if let Ok(small) = i64::try_from(number) {
        write_u64(out, ((small << 1) ^ (small >> 63)).cast_unsigned());
    } else {
        let zigzag = (number.cast_unsigned() << 1) ^ (number >> 127).cast_unsigned();
        out.extend_from_slice(encode::u128(zigzag, &mut encode::u128_buffer()));
    }
}

#[cfg(test)]
mod tests;
