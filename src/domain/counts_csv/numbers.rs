//! Numbers as files write them, exactly. Plain digits take the short way, since a file holds
//! millions of them; all else is taken apart with care.

use super::super::agent_day::Decimal;

/// |value| < 10^24.
const MAX_WHOLE_DIGITS: i64 = 24;
/// Digits after the point that are kept.
const MAX_DECIMALS: i64 = 12;

/// Why a field is not the number that its column needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberError {
    NotANumber,
    Negative,
    Fraction,
    TooLarge,
}

/// A whole number, and whether it was written as `1e3`, which may have cost it digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) number: u128,
    pub(super) scientific: bool,
}

/// A decimal as written: `mantissa` in units of 10^-`decimals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) mantissa: i128,
    /// From -23 to 12.
    pub(super) decimals: i8,
    /// Rounding to 12 decimals changed it by more than 1e-9 of itself.
    pub(super) changed: bool,
}

impl Written {
    pub(super) fn decimal(mantissa: i128, decimals: i8) -> Decimal {
        Decimal {
            units: mantissa * Decimal::last_digit(decimals).unwrap_or(1),
            decimals,
        }
    }
}

/// A whole number of at least 0 and at most `most`; `10.0` and `1e1` are 10.
#[inline]
pub(super) fn whole(text: &[u8], most: u128) -> Result<Whole, NumberError> {
    let (number, scientific) = if let Some(number) = short_digits(text) {
        (u128::from(number), false)
    } else {
        let parts = Parts::parse(text).ok_or(NumberError::NotANumber)?;
        (parts.whole()?, parts.scientific)
    };
    if number <= most {
        Ok(Whole { number, scientific })
    } else {
        Err(NumberError::TooLarge)
    }
}

/// A decimal with |value| < 1e24; digits after the twelfth are rounded, half away from 0.
#[inline]
pub(super) fn decimal(text: &[u8]) -> Result<Written, NumberError> {
    if let Some(written) = short_decimal(text) {
        return Ok(written);
    }
    Parts::parse(text).ok_or(NumberError::NotANumber)?.written()
}

/// 1 to 19 digits and nothing else.
#[inline]
pub(super) fn short_digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let mut number = 0_u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// The digits that `text` begins with, eight at a time: their number and how many they are, at
/// most 16. None where eight bytes cannot be looked at beyond them.
#[inline]
pub(super) fn leading_digits(text: &[u8]) -> Option<(u64, usize)> {
    let (number, digits) = up_to_eight_digits(text)?;
    if digits < 8 {
        return Some((number, digits));
    }
    let (more, further) = up_to_eight_digits(text.get(8..)?)?;
    Some((number * TENS[further] + more, 8 + further))
}

/// Powers of ten up to 10^16.
pub(super) const TENS: [u64; 17] = {
    let mut tens = [1; 17];
    let mut power = 1;
    while power < tens.len() {
        tens[power] = tens[power - 1] * 10;
        power += 1;
    }
    tens
};

/// Lemire, "Quickly parsing eight digits" (2018), for as many of the eight as are digits.
#[inline]
fn up_to_eight_digits(text: &[u8]) -> Option<(u64, usize)> {
    let bytes = u64::from_le_bytes(*text.first_chunk()?);
    let values = bytes ^ 0x3030_3030_3030_3030;
    // The highest bit of each byte that is more than 9; only bytes beyond the first such one can
    // be set by a carry.
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    let digits = others.trailing_zeros() / 8;
    if digits == 0 {
        return Some((0, 0));
    }
    // What is no digit is shifted out, and zeros stand before the number.
    let values = values << (64 - 8 * digits);
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let high = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let low = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    Some((high.wrapping_add(low) >> 32, digits as usize))
}

/// `12`, `-12.34`: at most 18 digits, at most 12 of them after the point.
#[inline]
fn short_decimal(text: &[u8]) -> Option<Written> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut mantissa = 0_i64;
    let mut point = None;
    for (index, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa.checked_mul(10)?.checked_add(i64::from(digit))?;
        } else if *byte == b'.' && point.is_none() && index > 0 {
            point = Some(index);
        } else {
            return None;
        }
    }
    let decimals = point.map_or(0, |point| digits.len() - 1 - point);
    if decimals > 12 || point.is_some_and(|point| point + 1 == digits.len()) {
        return None;
    }
    let mantissa = i128::from(if negative { -mantissa } else { mantissa });
    Some(Written {
        mantissa,
        decimals: i8::try_from(decimals).ok()?,
        changed: false,
    })
}

/// A number in any spelling, taken apart: (-1)^negative x digits x 10^exponent.
struct Parts {
    negative: bool,
    scientific: bool,
    /// ASCII digits without leading zeros; none for 0.
    digits: Vec<u8>,
    exponent: i64,
}

impl Parts {
    /// `[+-] digits [. digits] [e [+-] digits]`, where one of the two runs of digits may be empty.
    fn parse(text: &[u8]) -> Option<Self> {
        let (negative, text) = signed(text);
        let (number, exponent, scientific) =
            match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
                Some(at) => (&text[..at], exponent(&text[at + 1..])?, true),
                None => (text, 0, false),
            };
        let (whole, fraction) = match number.iter().position(|byte| *byte == b'.') {
            Some(at) => (&number[..at], &number[at + 1..]),
            None => (number, &b""[..]),
        };
        let mut digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        let exponent = exponent - i64::try_from(fraction.len()).ok()?;
        Some(Self {
            negative,
            scientific,
            digits,
            exponent,
        })
    }

    fn whole(&self) -> Result<u128, NumberError> {
        let zeros = self
            .digits
            .iter()
            .rev()
            .take_while(|digit| **digit == b'0')
            .count();
        let significant = &self.digits[..self.digits.len() - zeros];
        if significant.is_empty() {
            return Ok(0);
        }
        if self.negative {
            return Err(NumberError::Negative);
        }
        let exponent = self.exponent.saturating_add_unsigned(zeros as u64);
        if exponent < 0 {
            return Err(NumberError::Fraction);
        }
        let power = u32::try_from(exponent).map_err(|_| NumberError::TooLarge)?;
        let scale = 10_u128.checked_pow(power).ok_or(NumberError::TooLarge)?;
        number(significant)
            .and_then(|number| number.checked_mul(scale))
            .ok_or(NumberError::TooLarge)
    }

    fn written(&self) -> Result<Written, NumberError> {
        let decimals = -self.exponent;
        if self.digits.is_empty() {
            let decimals = i8::try_from(decimals.clamp(-23, MAX_DECIMALS)).unwrap_or(0);
            return Ok(Written {
                mantissa: 0,
                decimals,
                changed: false,
            });
        }
        let length = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        if length.saturating_sub(decimals) > MAX_WHOLE_DIGITS {
            return Err(NumberError::TooLarge);
        }
        let dropped = usize::try_from((decimals - MAX_DECIMALS).max(0)).unwrap_or(usize::MAX);
        let kept = &self.digits[..self.digits.len().saturating_sub(dropped)];
        // At most 24 + 12 digits.
        let mut mantissa = if kept.is_empty() {
            0
        } else {
            number(kept).ok_or(NumberError::TooLarge)?
        };
        let lost = lost_fraction(&self.digits, dropped);
        let changed = is_changed(mantissa, lost);
        if lost >= 0.5 {
            mantissa += 1;
        }
        let mantissa = i128::try_from(mantissa).map_err(|_| NumberError::TooLarge)?;
        Ok(Written {
            mantissa: if self.negative { -mantissa } else { mantissa },
            decimals: i8::try_from(decimals.min(MAX_DECIMALS)).unwrap_or(0),
            changed,
        })
    }
}

fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    }
}

/// Exponents beyond any limit are as good as a million.
fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = signed(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = number(digits).map_or(1_000_000, |size| {
        i64::try_from(size.min(1_000_000)).unwrap_or(0)
    });
    Some(if negative { -size } else { size })
}

/// None where 128 bits do not hold it.
fn number(digits: &[u8]) -> Option<u128> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What the last `dropped` digits are worth, in units of the last kept one: 0 <= x < 1.
fn lost_fraction(digits: &[u8], dropped: usize) -> f64 {
    // Where more digits are dropped than there are, zeros stand before them.
    let zeros = dropped.saturating_sub(digits.len());
    let tail = &digits[digits.len().saturating_sub(dropped)..];
    if tail.is_empty() {
        return 0.0;
    }
    if zeros > 20 {
        return f64::MIN_POSITIVE;
    }
    let shown = String::from_utf8_lossy(&tail[..tail.len().min(20)]);
    format!("0.{}{shown}", "0".repeat(zeros))
        .parse()
        .unwrap_or(0.0)
}

/// Whether rounding `mantissa` + `lost` changes it by more than 1e-9 of itself.
#[allow(
    clippy::cast_precision_loss,
    reason = "a ratio near 1e-9 needs few digits"
)]
fn is_changed(mantissa: u128, lost: f64) -> bool {
    let change = lost.min(1.0 - lost);
    change > 1e-9 * (mantissa as f64 + lost)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers() {
        let most = 1_000_000_000_000_000;
        for (text, expected) in [
            ("0", Ok((0, false))),
            ("007", Ok((7, false))),
            ("10.0", Ok((10, false))),
            ("10.", Ok((10, false))),
            ("+3", Ok((3, false))),
            ("-0", Ok((0, false))),
            ("1e3", Ok((1000, true))),
            ("1.5E+02", Ok((150, true))),
            ("1000e-3", Ok((1, true))),
            ("0e999999999999999999999", Ok((0, true))),
            ("1000000000000000", Ok((most, false))),
            ("1000000000000001", Err(NumberError::TooLarge)),
            (
                "99999999999999999999999999999999999999999",
                Err(NumberError::TooLarge),
            ),
            ("1e400", Err(NumberError::TooLarge)),
            ("10.5", Err(NumberError::Fraction)),
            ("1e-3", Err(NumberError::Fraction)),
            ("-5", Err(NumberError::Negative)),
            ("-0.5", Err(NumberError::Negative)),
            ("", Err(NumberError::NotANumber)),
            (".", Err(NumberError::NotANumber)),
            ("1e", Err(NumberError::NotANumber)),
            ("1,000", Err(NumberError::NotANumber)),
            ("1.2.3", Err(NumberError::NotANumber)),
            ("0x10", Err(NumberError::NotANumber)),
            (" 1", Err(NumberError::NotANumber)),
        ] {
            let found = whole(text.as_bytes(), most);
            assert_eq!(
                found.map(|whole| (whole.number, whole.scientific)),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn decimals() {
        for (text, expected) in [
            ("0", Ok((0, 0, false))),
            ("9.99", Ok((999, 2, false))),
            ("-9.90", Ok((-990, 2, false))),
            (".5", Ok((5, 1, false))),
            ("5.", Ok((5, 0, false))),
            ("15e4", Ok((15, -4, false))),
            ("1.23457e+06", Ok((123_457, -1, false))),
            ("99.80010000000001", Ok((99_800_100_000_000, 12, false))),
            ("0.1234567890125", Ok((123_456_789_013, 12, false))),
            ("1.42e-14", Ok((0, 12, true))),
            ("1e-999999", Ok((0, 12, true))),
            ("0.0000012345678901", Ok((1_234_568, 12, true))),
            (
                "999999999999999999999999",
                Ok((999_999_999_999_999_999_999_999, 0, false)),
            ),
            ("1e23", Ok((1, -23, false))),
            ("1e24", Err(NumberError::TooLarge)),
            ("1e400", Err(NumberError::TooLarge)),
            ("-1e400", Err(NumberError::TooLarge)),
            ("0e400", Ok((0, -23, false))),
            ("12,5", Err(NumberError::NotANumber)),
            ("NaN", Err(NumberError::NotANumber)),
            ("-", Err(NumberError::NotANumber)),
            ("--5", Err(NumberError::NotANumber)),
        ] {
            let found = decimal(text.as_bytes())
                .map(|written| (written.mantissa, written.decimals, written.changed));
            assert_eq!(found, expected, "{text}");
        }
    }

    proptest! {
        /// Both ways of reading agree wherever the short one applies.
        #[test]
        fn the_short_way_is_the_long_way(text in "-?[0-9]{0,10}\\.?[0-9]{0,14}") {
            if let Some(short) = short_decimal(text.as_bytes()) {
                let long = Parts::parse(text.as_bytes()).map(|parts| parts.written());
                prop_assert_eq!(Some(Ok(short)), long);
            }
        }

        #[test]
        fn eight_digits_at_a_time_are_read_as_one_by_one(text in "[0-9]{0,20}[^0-9]?[0-9]{0,3}") {
            let mut padded = text.clone().into_bytes();
            padded.extend([0; 16]);
            let digits = text.bytes().take_while(u8::is_ascii_digit).count().min(16);
            let number = text[..digits].parse().unwrap_or(0);
            prop_assert_eq!(leading_digits(&padded), Some((number, digits)));
        }

        #[test]
        fn printed_integers_are_read_back(number in 0..=1_000_000_000_000_000_u128) {
            let read = whole(number.to_string().as_bytes(), 1_000_000_000_000_000);
            prop_assert_eq!(read, Ok(Whole { number, scientific: false }));
        }
    }
}
