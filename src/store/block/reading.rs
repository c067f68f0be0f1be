//! From a block back to its day. A report reads some tens of thousands of numbers before it can show
//! anything, so they are read column by column, in few branches, into memory that is taken once.

use std::sync::Arc;

use unsigned_varint::decode;

use super::{BlockError, DECIMALS_BIAS, RAW_UNITS, VERSION};
use crate::domain::agent_day::{
    AgentDay, CellKey, Cells, Day, Decimal, GoalCounts, GoalValues, VisitorTrait,
};

/// Reads the days of an agent, which mostly have the same goals and keys: those are read once.
#[derive(Debug)]
pub struct Reader {
    agent: Arc<str>,
    /// What the last block began with, up to its cells' keys.
    prefix: Vec<u8>,
    goals: Arc<[Arc<str>]>,
    keys: Arc<[CellKey]>,
}

impl Reader {
    #[must_use]
    pub fn new(agent: Arc<str>) -> Self {
        Self {
            agent,
            prefix: Vec::new(),
            goals: Arc::from([]),
            keys: Arc::from([]),
        }
    }

    /// # Errors
    /// Bytes that no version of [`write`](super::write) has made; never a panic.
    pub fn read(&mut self, day: Day, block: &[u8]) -> Result<AgentDay, BlockError> {
        let rest = match block.strip_prefix(self.prefix.as_slice()) {
            Some(rest) if !self.prefix.is_empty() => rest,
            _ => self.read_prefix(block)?,
        };
        let mut input = Input(rest);
        let (cells, width) = (self.keys.len(), self.goals.len());
        // Each number takes a byte at least: no block makes it take more memory than that.
        let fewest = cells.checked_mul(1 + 3 * width);
        if fewest.is_none_or(|fewest| fewest > rest.len()) {
            return Err(BlockError::Malformed);
        }
        let visitors = (0..cells).map(|_| input.u64());
        let visitors = visitors.collect::<Result<_, _>>()?;
        let mut counts = vec![GoalCounts::default(); cells * width];
        for goal in 0..width {
            // Without cells there is no column.
            input.goal(counts.get_mut(goal..).unwrap_or_default(), width)?;
        }
        if !input.0.is_empty() {
            return Err(BlockError::Malformed);
        }
        Ok(AgentDay {
            agent: Arc::clone(&self.agent),
            day,
            goals: Arc::clone(&self.goals),
            cells: Cells::of_columns(Arc::clone(&self.keys), visitors, width, counts),
        })
    }

    /// Reads goals and keys; what follows them.
    fn read_prefix<'b>(&mut self, block: &'b [u8]) -> Result<&'b [u8], BlockError> {
        self.prefix.clear();
        let (version, rest) = block.split_first().ok_or(BlockError::Malformed)?;
        if *version != VERSION {
            return Err(BlockError::UnknownVersion(*version));
        }
        let mut input = Input(rest);
        let goals = input.strings()?;
        let codes = input.strings()?;
        let count = input.length()?;
        let keys = (0..count).map(|_| input.key(&codes));
        let keys: Vec<CellKey> = keys.collect::<Result<_, _>>()?;
        if !keys.is_sorted_by(|one, next| one < next) {
            return Err(BlockError::Malformed);
        }
        let length = block.len() - input.0.len();
        self.prefix.extend_from_slice(&block[..length]);
        self.goals = goals.into();
        self.keys = keys.into();
        Ok(input.0)
    }
}

pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, BlockError> {
        let (byte, rest) = self.0.split_first().ok_or(BlockError::Malformed)?;
        self.0 = rest;
        Ok(*byte)
    }

    #[inline]
    pub(super) fn u64(&mut self) -> Result<u64, BlockError> {
        let (number, rest) = match short(self.0) {
            Some(read) => read,
            None => long(self.0)?,
        };
        self.0 = rest;
        Ok(number)
    }

    #[inline]
    pub(super) fn i128(&mut self) -> Result<i128, BlockError> {
        let (number, rest) = match short(self.0) {
            Some((zigzag, rest)) => (unfolded(zigzag).into(), rest),
            None => longest(self.0)?,
        };
        self.0 = rest;
        Ok(number)
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

    /// A goal's columns, into every `width`th of `counts`.
    fn goal(&mut self, counts: &mut [GoalCounts], width: usize) -> Result<(), BlockError> {
        let column = || counts.len().div_ceil(width);
        let mut numbers = Vec::with_capacity(column());
        for _ in 0..column() {
            numbers.push((self.u64()?, 0));
        }
        for (count, squares) in &mut numbers {
            let sum = self.i128()?.checked_add(i128::from(*count));
            let sum = sum.and_then(|squares| u128::try_from(squares).ok());
            *squares = sum.ok_or(BlockError::Malformed)?;
        }
        let (valued, rest) = self
            .0
            .split_at_checked(numbers.len())
            .ok_or(BlockError::Malformed)?;
        self.0 = rest;
        let places = counts.iter_mut().step_by(width);
        for (place, ((count, count_sumsq), valued)) in places.zip(numbers.into_iter().zip(valued)) {
            place.count = count;
            place.count_sumsq = count_sumsq;
            match valued {
                0 => {}
                1 => {
                    let (sum, sum_decimals) = self.decimal()?;
                    let (sumsq, sumsq_decimals) = self.decimal()?;
                    place.values = Some(GoalValues {
                        sum: Decimal {
                            units: sum,
                            decimals: sum_decimals,
                        },
                        sumsq: Decimal {
                            units: sumsq,
                            decimals: sumsq_decimals,
                        },
                    });
                }
                _ => return Err(BlockError::Malformed),
            }
        }
        Ok(())
    }

    /// Units and decimals of a [`Decimal`], apart: together they would go through memory once more.
    #[inline]
    fn decimal(&mut self) -> Result<(i128, i8), BlockError> {
        let byte = self.byte()?;
        // Products of 64 bits each fit into 128.
        if byte & RAW_UNITS == 0
            && let Some((decimals, unit)) = WRITTEN[usize::from(byte)]
            && let Some((zigzag, rest)) = short(self.0)
        {
            self.0 = rest;
            return Ok((i128::from(unfolded(zigzag)) * i128::from(unit), decimals));
        }
        let (decimal, rest) = rare_decimal(byte, self.0)?;
        self.0 = rest;
        Ok((decimal.units, decimal.decimals))
    }
}

/// By the byte that tells a decimal's digits: these, and the last of them in units of 1e-12.
const WRITTEN: [Option<(i8, i64)>; 128] = {
    let mut written = [None; 128];
    // Those whose unit fits into 64 bits.
    let (mut byte, mut decimals, mut unit) = (12 + DECIMALS_BIAS.unsigned_abs() as usize, 12_i8, 1);
    while decimals > -6 {
        written[byte] = Some((decimals, unit));
        (byte, decimals) = (byte - 1, decimals - 1);
        unit *= 10_i64;
    }
    written
};

#[cold]
fn rare_decimal(byte: u8, bytes: &[u8]) -> Result<(Decimal, &[u8]), BlockError> {
    let decimals = i16::from(byte & !RAW_UNITS) - DECIMALS_BIAS;
    let decimals = i8::try_from(decimals).map_err(|_| BlockError::Malformed)?;
    let mut input = Input(bytes);
    let number = input.i128()?;
    let units = if byte & RAW_UNITS == 0 {
        Decimal::last_digit(decimals).and_then(|unit| number.checked_mul(unit))
    } else {
        Some(number)
    };
    let units = units.ok_or(BlockError::Malformed)?;
    Ok((Decimal { units, decimals }, input.0))
}

/// A number of at most eight bytes, of which eight are there, in its shortest form; nearly all are
/// such. Their lengths follow no pattern that a processor could foresee, so there is no branch on
/// them.
#[inline]
fn short(bytes: &[u8]) -> Option<(u64, &[u8])> {
    const ENDS: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(*bytes.first_chunk::<8>()?);
    let ends = !word & ENDS;
    if ends == 0 {
        return None;
    }
    // The highest bit of the last byte, and everything below it.
    let last = ends & ends.wrapping_neg();
    let own = word & (last | (last - 1)) & !ENDS;
    let length = last.trailing_zeros() as usize / 8 + 1;
    // Where its last byte says nothing, it could be shorter.
    if own < last >> 7 && length > 1 {
        return None;
    }
    // Seven bits of each byte, moved together: pairs, fours, eight.
    let pairs = (own & 0x007f_007f_007f_007f) | ((own & 0x7f00_7f00_7f00_7f00) >> 1);
    let fours = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
    let eight = (fours & 0x0000_0000_0fff_ffff) | ((fours & 0x0fff_ffff_0000_0000) >> 4);
    Some((eight, &bytes[length..]))
}

#[cold]
fn long(bytes: &[u8]) -> Result<(u64, &[u8]), BlockError> {
    decode::u64(bytes).map_err(|_| BlockError::Malformed)
}

#[cold]
fn longest(bytes: &[u8]) -> Result<(i128, &[u8]), BlockError> {
    let (zigzag, rest) = decode::u128(bytes).map_err(|_| BlockError::Malformed)?;
    let number = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
    Ok((number, rest))
}

fn unfolded(zigzag: u64) -> i64 {
    (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()
}
