//! The numbers of a block on their way out: into room that is there before they come, in few branches.

use unsigned_varint::encode;

use super::{DECIMALS_BIAS, RAW_UNITS};
use crate::domain::agent_day::{DayColumns, Digits};

/// Bytes of a varint at most.
const LONGEST: usize = 19;
/// Bytes of one cell's numbers for one goal at most, and of its visitors.
const OF_CELL: usize = 2 * LONGEST + 1 + 2 * (1 + LONGEST);

/// What has been written, and room for more.
#[derive(Debug, Default)]
pub(super) struct Columns {
    bytes: Vec<u8>,
    length: usize,
}

impl Columns {
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn written(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) fn visitors(&mut self, day: &impl DayColumns) {
        let mut out = self.room_for(day.len());
        for cell in 0..day.len() {
            out.u64(day.visitors(cell));
        }
        self.length = out.at;
    }

    pub(super) fn goal(&mut self, day: &impl DayColumns, goal: usize) {
        let cells = 0..day.len();
        let mut out = self.room_for(day.len());
        for cell in cells.clone() {
            out.u64(day.counts(cell, goal).0);
        }
        // The difference is 0 where each visitor converts at most once: one byte.
        for cell in cells.clone() {
            let (count, squares) = day.counts(cell, goal);
            let squares = i128::try_from(squares).unwrap_or(i128::MAX);
            out.i128(squares - i128::from(count));
        }
        let values = || cells.clone().map(|cell| day.values(cell, goal));
        for values in values() {
            out.byte(u8::from(values.is_some()));
        }
        for [sum, sumsq] in values().flatten() {
            out.digits(sum);
            out.digits(sumsq);
        }
        self.length = out.at;
    }

    fn room_for(&mut self, cells: usize) -> Out<'_> {
        let end = self.length + cells * OF_CELL + LONGEST;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        Out {
            bytes: &mut self.bytes,
            at: self.length,
        }
    }
}

/// Behind what is written there is room.
struct Out<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Out<'_> {
    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.at] = byte;
        self.at += 1;
    }

    /// Eight bytes are written at once, of which those count that the number takes.
    #[inline]
    fn u64(&mut self, number: u64) {
        const MORE: u64 = 0x8080_8080_8080_8080;
        if number >> 56 != 0 {
            return self.long(number.into());
        }
        // Seven bits into each byte: halves, pairs, bytes.
        let halves = (number & 0x0fff_ffff) | ((number << 4) & 0x0fff_ffff_0000_0000);
        let pairs = (halves & 0x0000_3fff_0000_3fff) | ((halves << 2) & 0x3fff_0000_3fff_0000);
        let bytes = (pairs & 0x007f_007f_007f_007f) | ((pairs << 1) & 0x7f00_7f00_7f00_7f00);
        // The place of the last byte that says something, in bits.
        let last = (bytes | 1).ilog2() & !7;
        let bytes = bytes | (MORE & ((1 << last) - 1));
        self.bytes[self.at..self.at + 8].copy_from_slice(&bytes.to_le_bytes());
        self.at += last as usize / 8 + 1;
    }

    /// Zigzag: small numbers of either sign are short.
    #[inline]
    fn i128(&mut self, number: i128) {
        if let Ok(small) = i64::try_from(number) {
            self.u64(((small << 1) ^ (small >> 63)).cast_unsigned());
        } else {
            self.long((number.cast_unsigned() << 1) ^ (number >> 127).cast_unsigned());
        }
    }

    #[cold]
    fn long(&mut self, number: u128) {
        let mut buffer = encode::u128_buffer();
        let bytes = encode::u128(number, &mut buffer);
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    #[inline]
    fn digits(&mut self, digits: Digits) {
        let decimals = u8::try_from(i16::from(digits.decimals) + DECIMALS_BIAS).unwrap_or(0);
        let raw = if digits.is_raw { RAW_UNITS } else { 0 };
        self.byte(decimals | raw);
        self.i128(digits.number);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_written_as_the_crate_for_them_writes_them(
            number in any::<i128>(),
            shift in 0..128_u32,
        ) {
            // Of every length.
            let number = number >> shift;
            let small = u64::try_from(number.unsigned_abs() & u128::from(u64::MAX)).unwrap();
            let folded = (number.cast_unsigned() << 1) ^ (number >> 127).cast_unsigned();
            let mut columns = Columns::default();
            let mut out = columns.room_for(1);
            out.u64(small);
            out.i128(number);
            columns.length = out.at;
            let (mut short, mut long) = (encode::u64_buffer(), encode::u128_buffer());
            let expected = [encode::u64(small, &mut short), encode::u128(folded, &mut long)];
            prop_assert_eq!(columns.written(), expected.concat());
        }
    }
}
