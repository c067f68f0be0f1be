//! The block of one agent day: versioned, compact, canonical (equal days are equal bytes).
//!
//! The format is documented in docs/store.md; a change of it is another version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use unsigned_varint::{decode, encode};

use crate::domain::agent_day::{
    AgentDay, Cell, CellKey, Day, Decimal, GoalCounts, GoalValues, VisitorTrait,
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
pub fn write(day: &AgentDay) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + day.cells.len() * 32);
    out.push(VERSION);
    write_strings(&mut out, day.goals.iter().map(|goal| &**goal));
    let codes: BTreeSet<&str> = day.cells.iter().flat_map(|cell| codes(&cell.key)).collect();
    let index: BTreeMap<&str, u64> = codes.iter().copied().zip(0..).collect();
    write_strings(&mut out, codes.iter().copied());
    write_u64(&mut out, day.cells.len() as u64);
    for cell in &day.cells {
        write_u64(&mut out, index[&*cell.key.variation]);
        write_u64(&mut out, index[&*cell.key.policy]);
        match &cell.key.visitor_trait {
            None => write_u64(&mut out, 0),
            Some(VisitorTrait { group, value }) => {
                write_u64(&mut out, index[&**group] + 1);
                write_u64(&mut out, index[&**value]);
            }
        }
    }
    for cell in &day.cells {
        write_u64(&mut out, cell.visitors);
    }
    for goal in 0..day.goals.len() {
        write_goal(&mut out, day, goal);
    }
    out
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

fn write_goal(out: &mut Vec<u8>, day: &AgentDay, goal: usize) {
    let counts = || day.cells.iter().map(|cell| &cell.goals[goal]);
    for counts in counts() {
        write_u64(out, counts.count);
    }
    // The difference is 0 where each visitor converts at most once: one byte.
    for counts in counts() {
        let squares = i128::try_from(counts.count_sumsq).unwrap_or(i128::MAX);
        write_i128(out, squares - i128::from(counts.count));
    }
    for counts in counts() {
        out.push(u8::from(counts.values.is_some()));
    }
    for values in counts().filter_map(|counts| counts.values.as_ref()) {
        write_decimal(out, values.sum);
        write_decimal(out, values.sumsq);
    }
}

fn write_decimal(out: &mut Vec<u8>, decimal: Decimal) {
    let decimals = u8::try_from(i16::from(decimal.decimals) + DECIMALS_BIAS).unwrap_or(0);
    if let Some(unit) = unit(decimal.decimals).filter(|unit| decimal.units % unit == 0) {
        out.push(decimals);
        write_i128(out, decimal.units / unit);
    } else {
        out.push(decimals | RAW_UNITS);
        write_i128(out, decimal.units);
    }
}

/// One unit of the last written digit, in units of 1e-12.
fn unit(decimals: i8) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(12 - i16::from(decimals)).ok()?)
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

/// Zigzag: small numbers of either sign are short.
fn write_i128(out: &mut Vec<u8>, number: i128) {
    let zigzag = (number.cast_unsigned() << 1) ^ (number >> 127).cast_unsigned();
    out.extend_from_slice(encode::u128(zigzag, &mut encode::u128_buffer()));
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, BlockError> {
        let (byte, rest) = self.0.split_first().ok_or(BlockError::Malformed)?;
        self.0 = rest;
        Ok(*byte)
    }

    fn u64(&mut self) -> Result<u64, BlockError> {
        let (number, rest) = decode::u64(self.0).map_err(|_| BlockError::Malformed)?;
        self.0 = rest;
        Ok(number)
    }

    fn i128(&mut self) -> Result<i128, BlockError> {
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
            unit(decimals).and_then(|unit| number.checked_mul(unit))
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
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn decimals() -> impl Strategy<Value = Decimal> {
        prop_oneof![
            // As written: units are whole last digits.
            (-1_000_000_000_i128..1_000_000_000, -10_i8..=12).prop_map(|(mantissa, decimals)| {
                Decimal {
                    units: mantissa * unit(decimals).unwrap_or(1),
                    decimals,
                }
            }),
            // Sums of different precisions.
            (any::<i64>(), 0_i8..=12).prop_map(|(units, decimals)| Decimal {
                units: units.into(),
                decimals
            }),
        ]
    }

    fn counts() -> impl Strategy<Value = GoalCounts> {
        let values = (decimals(), decimals()).prop_map(|(sum, sumsq)| GoalValues { sum, sumsq });
        (
            0..=1_000_000_000_000_000_u64,
            0..=10_u128.pow(30),
            prop::option::of(values),
        )
            .prop_map(|(count, count_sumsq, values)| GoalCounts {
                count,
                count_sumsq,
                values,
            })
    }

    fn keys() -> impl Strategy<Value = CellKey> {
        let code = || prop::sample::select(vec!["A", "B", "r", "loyalty", "gold", "é‑x", "\"q\""]);
        (code(), code(), prop::option::of((code(), code()))).prop_map(
            |(variation, policy, of_trait)| CellKey {
                variation: variation.into(),
                policy: policy.into(),
                visitor_trait: of_trait.map(|(group, value)| VisitorTrait {
                    group: group.into(),
                    value: value.into(),
                }),
            },
        )
    }

    fn days() -> impl Strategy<Value = AgentDay> {
        (0..4_usize).prop_flat_map(|goals| {
            let cell = (0..=1_000_000_000_000_000_u64, vec(counts(), goals));
            btree_map(keys(), cell, 0..12).prop_map(move |cells| AgentDay {
                agent: "agent".into(),
                day: Day(19_800),
                goals: (0..goals)
                    .map(|goal| Arc::from(format!("g-{goal}")))
                    .collect(),
                cells: cells
                    .into_iter()
                    .map(|(key, (visitors, goals))| Cell {
                        key,
                        visitors,
                        goals,
                    })
                    .collect(),
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(day in days()) {
            let block = write(&day);
            prop_assert_eq!(read("agent".into(), day.day, &block), Ok(day));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
            let mut block = vec![VERSION];
            block.extend(bytes);
            drop(read("agent".into(), Day(0), &block));
        }

        #[test]
        fn damage_is_found_or_harmless(day in days(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut block = write(&day);
            let at = at.index(block.len());
            block[at] = byte;
            // What can still be read is canonical: it is written the same way again.
            if let Ok(read) = read("agent".into(), day.day, &block) {
                let again = write(&read);
                prop_assert!(again.len() <= block.len());
            }
        }

        #[test]
        fn a_block_cut_short_is_refused(day in days(), at in any::<prop::sample::Index>()) {
            let block = write(&day);
            let cut = &block[..at.index(block.len())];
            prop_assert!(read("agent".into(), day.day, cut).is_err());
        }
    }

    #[test]
    fn a_binary_goal_takes_few_bytes() {
        let cell = |variation: &str, count: u64| Cell {
            key: CellKey {
                variation: variation.into(),
                policy: "r".into(),
                visitor_trait: None,
            },
            visitors: 1000,
            goals: vec![GoalCounts {
                count,
                count_sumsq: count.into(),
                values: None,
            }],
        };
        let day = AgentDay {
            agent: "agent".into(),
            day: Day(0),
            goals: vec![Arc::from("g")].into(),
            cells: vec![cell("A", 100), cell("B", 120)],
        };
        assert_eq!(write(&day).len(), 28);
    }

    #[test]
    fn other_versions_are_named() {
        assert_eq!(
            read("a".into(), Day(0), &[9, 0]),
            Err(BlockError::UnknownVersion(9))
        );
        assert_eq!(read("a".into(), Day(0), &[]), Err(BlockError::Malformed));
    }
}
