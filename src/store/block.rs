//! The block of one agent day: versioned, compact, canonical (equal days are equal bytes).
//!
//! The format is documented in docs/store.md; a change of it is another version.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use unsigned_varint::{decode, encode};

use crate::domain::agent_day::{
    AgentDay, Cell, CellKey, Day, DayColumns, Decimal, Digits, GoalCounts, GoalValues, VisitorTrait,
};

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

/// # Errors
/// Bytes that no version of [`write`] has made; never a panic.
pub fn read(agent: Arc<str>, day: Day, block: &[u8]) -> Result<AgentDay, BlockError> {
    let (version, rest) = block.split_first().ok_or(BlockError::Malformed)?;
    if *version != VERSION {
        return Err(BlockError::UnknownVersion(*version));
    }
    let mut input = Input(rest);
    let goals: Arc<[Arc<str>]> = input.strings()?.into();
    let codes = input.strings()?;
    let count = input.length()?;
    let mut cells = Vec::with_capacity(count);
    for _ in 0..count {
        cells.push(Cell {
            key: input.key(&codes)?,
            visitors: 0,
            goals: Vec::with_capacity(goals.len()),
        });
    }
    for cell in &mut cells {
        cell.visitors = input.u64()?;
    }
    for _ in 0..goals.len() {
        input.goal(&mut cells)?;
    }
    let sorted = cells.windows(2).all(|pair| pair[0].key < pair[1].key);
    if !input.0.is_empty() || !sorted {
        return Err(BlockError::Malformed);
    }
    Ok(AgentDay {
        agent,
        day,
        goals,
        cells,
    })
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

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, BlockError> {
        let (byte, rest) = self.0.split_first().ok_or(BlockError::Malformed)?;
        self.0 = rest;
        Ok(*byte)
    }

    #[inline]
    fn u64(&mut self) -> Result<u64, BlockError> {
        if let Some(number) = self.short()? {
            return Ok(number);
        }
        let (number, rest) = decode::u64(self.0).map_err(|_| BlockError::Malformed)?;
        self.0 = rest;
        Ok(number)
    }

    /// A number of at most nine bytes, which nearly all are.
    #[inline]
    fn short(&mut self) -> Result<Option<u64>, BlockError> {
        let mut number = 0;
        for (index, byte) in self.0.iter().take(9).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                if *byte == 0 && index > 0 {
                    // Not its shortest form.
                    return Err(BlockError::Malformed);
                }
                self.0 = &self.0[index + 1..];
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    fn i128(&mut self) -> Result<i128, BlockError> {
        if let Some(zigzag) = self.short()? {
            return Ok(((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()).into());
        }
        let (zigzag, rest) = decode::u128(self.0).map_err(|_| BlockError::Malformed)?;
        self.0 = rest;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    /// A number of things that follow, each of at least one byte.
    fn length(&mut self) -> Result<usize, BlockError> {
        let length = usize::try_from(self.u64()?).map_err(|_| BlockError::Malformed)?;
        if length > self.0.len() {
            Err(BlockError::Malformed)
        } else {
            Ok(length)
        }
    }

    fn strings(&mut self) -> Result<Vec<Arc<str>>, BlockError> {
        (0..self.length()?).map(|_| self.string()).collect()
    }

    fn string(&mut self) -> Result<Arc<str>, BlockError> {
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        std::str::from_utf8(bytes)
            .map(Arc::from)
            .map_err(|_| BlockError::Malformed)
    }

    fn code(&mut self, codes: &[Arc<str>]) -> Result<Arc<str>, BlockError> {
        let index = usize::try_from(self.u64()?).map_err(|_| BlockError::Malformed)?;
        codes.get(index).cloned().ok_or(BlockError::Malformed)
    }

    fn key(&mut self, codes: &[Arc<str>]) -> Result<CellKey, BlockError> {
        let (variation, policy) = (self.code(codes)?, self.code(codes)?);
        let visitor_trait = match self.u64()?.checked_sub(1) {
            None => None,
            Some(group) => {
                let group = usize::try_from(group).map_err(|_| BlockError::Malformed)?;
                let group = codes.get(group).cloned().ok_or(BlockError::Malformed)?;
                Some(VisitorTrait {
                    group,
                    value: self.code(codes)?,
                })
            }
        };
        Ok(CellKey {
            variation,
            policy,
            visitor_trait,
        })
    }

    fn goal(&mut self, cells: &mut [Cell]) -> Result<(), BlockError> {
        let mut column = vec![GoalCounts::default(); cells.len()];
        for counts in &mut column {
            counts.count = self.u64()?;
        }
        for counts in &mut column {
            let squares = self.i128()?.checked_add(i128::from(counts.count));
            let squares = squares.and_then(|squares| u128::try_from(squares).ok());
            counts.count_sumsq = squares.ok_or(BlockError::Malformed)?;
        }
        for counts in &mut column {
            counts.values = match self.byte()? {
                0 => None,
                1 => Some(GoalValues::default()),
                _ => return Err(BlockError::Malformed),
            };
        }
        for values in column
            .iter_mut()
            .filter_map(|counts| counts.values.as_mut())
        {
            *values = GoalValues {
                sum: self.decimal()?,
                sumsq: self.decimal()?,
            };
        }
        for (cell, counts) in cells.iter_mut().zip(column) {
            cell.goals.push(counts);
        }
        Ok(())
    }

    fn decimal(&mut self) -> Result<Decimal, BlockError> {
        let byte = self.byte()?;
        let decimals = i16::from(byte & !RAW_UNITS) - DECIMALS_BIAS;
        let decimals = i8::try_from(decimals).map_err(|_| BlockError::Malformed)?;
        let number = self.i128()?;
        let units = if byte & RAW_UNITS == 0 {
            Decimal::last_digit(decimals).and_then(|unit| number.checked_mul(unit))
        } else {
            Some(number)
        };
        Ok(Decimal {
            units: units.ok_or(BlockError::Malformed)?,
            decimals,
        })
    }
}

#[cfg(test)]
mod tests;
