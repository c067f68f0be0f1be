//! One row's numbers in few bytes, so that a file of millions of rows is held in a fraction of its
//! size, whatever their order.
//!
//! A row is two varints, the lines since its part of the file began and its key's number, and then
//! its numbers: visitors; per goal count and sum of squares and, where the goal has values, both of
//! these. First one control byte for each number, then their bytes. A control byte holds the number
//! of bytes less one in its lower three bits and, of a decimal, the digits after the point in the
//! others; numbers of any size have [`WIDE`].

use super::super::agent_day::Decimal;
use super::numbers::Written;

/// 16 bytes follow, and one for the decimals.
const WIDE: u8 = 0xf8;
/// So many bytes must follow a row that is unpacked.
pub(super) const SLACK: usize = 8;

/// Writes one row after the other.
#[derive(Debug, Default)]
pub(super) struct RowWriter {
    controls: Vec<u8>,
    data: Vec<u8>,
    length: usize,
}

impl RowWriter {
    pub(super) fn clear(&mut self) {
        self.controls.clear();
        self.length = 0;
    }

    #[inline]
    pub(super) fn push(&mut self, number: u64) {
        self.push_short(number, 0);
    }

    pub(super) fn push_whole(&mut self, number: u128) {
        match u64::try_from(number) {
            Ok(small) => self.push(small),
            Err(_) => self.push_wide(number, 0),
        }
    }

    /// `mantissa` in units of 10^-`decimals`, with at most 12 decimals.
    #[inline]
    pub(super) fn push_decimal(&mut self, mantissa: i64, decimals: u8) {
        let folded = ((mantissa << 1) ^ (mantissa >> 63)).cast_unsigned();
        self.push_short(folded, decimals << 3);
    }

    pub(super) fn push_value(&mut self, value: Written) {
        match (i64::try_from(value.mantissa), u8::try_from(value.decimals)) {
            (Ok(mantissa), Ok(decimals)) => self.push_decimal(mantissa, decimals),
            _ => self.push_wide(
                value.mantissa.cast_unsigned(),
                value.decimals.cast_unsigned(),
            ),
        }
    }

    #[inline]
    fn push_short(&mut self, number: u64, decimals: u8) {
        let bytes = 8 - number.leading_zeros() as usize / 8;
        let bytes = bytes.max(1);
        self.controls.push(decimals | (bytes - 1).to_le_bytes()[0]);
        self.room(8)
            .copy_from_slice(number.to_le_bytes().as_slice());
        self.length += bytes;
    }

    #[cold]
    fn push_wide(&mut self, number: u128, decimals: u8) {
        self.controls.push(WIDE);
        let room = self.room(17);
        room[..16].copy_from_slice(&number.to_le_bytes());
        room[16] = decimals;
        self.length += 17;
    }

    #[inline]
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.length + bytes;
        if self.data.len() < end {
            self.data.resize(2 * end, 0);
        }
        &mut self.data[self.length..end]
    }

    /// Adds the row to `out`.
    #[inline]
    pub(super) fn write(&self, line: u64, key: u32, out: &mut Vec<u8>) {
        push_varint(out, line);
        push_varint(out, key.into());
        out.extend_from_slice(&self.controls);
        out.extend_from_slice(&self.data[..self.length]);
    }
}

/// Reads rows. [`SLACK`] bytes follow the last one.
#[derive(Debug)]
pub(super) struct RowReader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    controls: usize,
}

/// A decimal number as a row has it: `mantissa` in units of 10^-`scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Value {
    pub(super) mantissa: i128,
    pub(super) scale: i8,
    /// Digits after the point as written: fewer than the scale's where rows were added up.
    pub(super) decimals: i8,
}

impl From<Value> for Decimal {
    fn from(value: Value) -> Self {
        Self {
            decimals: value.decimals,
            ..Written::decimal(value.mantissa, value.scale)
        }
    }
}

impl From<Decimal> for Value {
    fn from(decimal: Decimal) -> Self {
        Self {
            mantissa: decimal.units,
            scale: 12,
            decimals: decimal.decimals,
        }
    }
}

impl<'a> RowReader<'a> {
    pub(super) fn new(bytes: &'a [u8], from: usize, end: usize) -> Self {
        Self {
            bytes,
            at: from,
            end,
            controls: 0,
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.end
    }

    /// Begins the next row, which has so many numbers: its line and key.
    #[inline]
    pub(super) fn begin(&mut self, numbers: usize) -> (u64, usize) {
        let line = self.varint();
        let key = self.varint();
        self.controls = self.at;
        self.at += numbers;
        (line, usize::try_from(key).unwrap_or(usize::MAX))
    }

    #[inline]
    pub(super) fn number(&mut self) -> u64 {
        let control = self.control();
        self.short(control)
    }

    #[inline]
    pub(super) fn whole(&mut self) -> u128 {
        match self.control() {
            WIDE => self.wide().0,
            control => self.short(control).into(),
        }
    }

    #[inline]
    pub(super) fn value(&mut self) -> Value {
        let control = self.control();
        if control == WIDE {
            let (mantissa, decimals) = self.wide();
            let decimals = decimals.cast_signed();
            return Value {
                mantissa: mantissa.cast_signed(),
                scale: decimals,
                decimals,
            };
        }
        let folded = self.short(control);
        let mantissa = (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed();
        let decimals = (control >> 3).cast_signed();
        Value {
            mantissa: mantissa.into(),
            scale: decimals,
            decimals,
        }
    }

    #[inline]
    fn control(&mut self) -> u8 {
        let control = self.bytes[self.controls];
        self.controls += 1;
        control
    }

    #[inline]
    fn short(&mut self, control: u8) -> u64 {
        let bytes = usize::from(control & 7) + 1;
        let eight = self.bytes[self.at..].first_chunk().copied();
        self.at += bytes;
        u64::from_le_bytes(eight.unwrap_or_default()) & (u64::MAX >> (64 - 8 * bytes))
    }

    #[cold]
    fn wide(&mut self) -> (u128, u8) {
        let bytes = &self.bytes[self.at..self.at + 17];
        self.at += 17;
        let number = bytes.first_chunk().copied().unwrap_or_default();
        (u128::from_le_bytes(number), bytes[16])
    }

    #[inline]
    fn varint(&mut self) -> u64 {
        read_varint(self.bytes, &mut self.at)
    }
}

#[inline]
pub(super) fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Reads what [`push_varint`] wrote.
#[inline]
pub(super) fn read_varint(bytes: &[u8], at: &mut usize) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn decimals() -> impl Strategy<Value = Written> {
        let mantissa = prop_oneof![
            -100_000_i128..100_000,
            any::<i64>().prop_map(i128::from),
            -10_i128.pow(36)..10_i128.pow(36)
        ];
        (mantissa, -23_i8..=12).prop_map(|(mantissa, decimals)| Written {
            mantissa,
            decimals,
            changed: false,
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            rows in vec((any::<u32>(), any::<u32>(), any::<u64>(), any::<u128>(), decimals()), 0..9)
        ) {
            let (mut writer, mut bytes) = (RowWriter::default(), Vec::new());
            for (line, key, number, whole, value) in &rows {
                writer.clear();
                writer.push(*number);
                writer.push_whole(*whole);
                writer.push_value(*value);
                writer.write((*line).into(), *key, &mut bytes);
            }
            let end = bytes.len();
            bytes.extend([0xff; SLACK]);
            let mut reader = RowReader::new(&bytes, 0, end);
            for (line, key, number, whole, value) in rows {
                prop_assert_eq!(reader.begin(3), (line.into(), key as usize));
                prop_assert_eq!((reader.number(), reader.whole()), (number, whole));
                let expected = Value {
                    mantissa: value.mantissa,
                    scale: value.decimals,
                    decimals: value.decimals,
                };
                prop_assert_eq!(reader.value(), expected);
            }
            prop_assert!(reader.is_at_end());
        }
    }
}
