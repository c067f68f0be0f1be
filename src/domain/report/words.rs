//! Numbers as people read them, the same on pages and in a terminal: three to four digits that
//! matter, thousands separators, and a minus sign that is as wide as a plus.

use super::view::Metric;
use crate::domain::finding::grouped;

/// U+2212.
const MINUS: char = '\u{2212}';
/// From here on a number is written with an exponent.
const HUGE: f64 = 1e15;
const TINY: f64 = 1e-6;
const DAYS_OF_YEAR: f64 = 365.25;
/// Beyond these years are not counted either.
const MOST_YEARS: f64 = 100.0;

/// `12.3%`: a share or a rate, given as a fraction.
#[must_use]
pub fn percent(fraction: f64) -> String {
    format!("{}%", digits(fraction * 100.0, 3))
}

/// `+12.3%`, `+2.1%`: a lift, with the sign also where it is plus; none for zero.
#[must_use]
pub fn signed_percent(fraction: f64) -> String {
    // A lift is known less well than a rate: below ten percent two digits say it.
    let percent = fraction * 100.0;
    let significant = if percent.abs() < 9.95 { 2 } else { 3 };
    signed(format!("{}%", digits(percent, significant)))
}

/// `1,234`, `28.32`, `0.01234`: four digits that matter, whole digits never cut.
#[must_use]
pub fn number(number: f64) -> String {
    digits(number, 4)
}

/// `+0.1234`.
#[must_use]
pub fn signed_number(value: f64) -> String {
    signed(number(value))
}

/// An arm's mean: a rate as `40.7%`, a value as `28.32`.
#[must_use]
pub fn mean(metric: Metric, mean: f64) -> String {
    match metric {
        Metric::Rate => percent(mean),
        Metric::Value => number(mean),
    }
}

/// A difference of two means, with its sign: rates in points (`+0.72 points`), values as they are.
#[must_use]
pub fn difference(metric: Metric, difference: f64) -> String {
    match metric {
        Metric::Rate => format!("{} points", points(difference)),
        Metric::Value => signed_number(difference),
    }
}

fn points(difference: f64) -> String {
    signed_percent(difference).replace('%', "")
}

/// The bounds of a difference, the unit said once.
#[must_use]
pub fn difference_interval(metric: Metric, [low, high]: [f64; 2]) -> String {
    match metric {
        Metric::Rate => format!("{} to {} points", points(low), points(high)),
        Metric::Value => interval([low, high], signed_number),
    }
}

/// `95%`, `99.99%`.
#[must_use]
pub fn confidence(confidence: f64) -> String {
    // Whole millionths: 0.9999 * 100 is 99.99000000000001.
    format!("{}%", (confidence * 1e8).round() / 1e6)
}

/// A lift without its sign: `12.3%`, `2.1%`.
#[must_use]
pub fn lift(fraction: f64) -> String {
    signed_percent(fraction.abs())
        .trim_start_matches('+')
        .to_owned()
}

/// With a first letter that is a capital.
#[must_use]
pub fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    match rest.next() {
        Some(first) => first.to_uppercase().chain(rest).collect(),
        None => String::new(),
    }
}

/// `20,596`.
#[must_use]
pub fn count(count: u64) -> String {
    grouped(count)
}

/// `0.382`, `0.0012`, `< 0.001` below it.
#[must_use]
pub fn p_value(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".to_owned()
    } else if p < 0.1 {
        format!("{p:.4}")
    } else {
        format!("{p:.3}")
    }
}

/// `−0.3% to +2.1%`, each bound in the words of `shown`.
#[must_use]
pub fn interval([low, high]: [f64; 2], shown: fn(f64) -> String) -> String {
    format!("{} to {}", shown(low), shown(high))
}

/// As [`interval`]; a side without a bound is named: `at least +249%`.
#[must_use]
pub fn open_interval(bounds: [Option<f64>; 2], shown: fn(f64) -> String) -> Option<String> {
    match bounds {
        [Some(low), Some(high)] => Some(interval([low, high], shown)),
        [Some(low), None] => Some(format!("at least {}", shown(low))),
        [None, Some(high)] => Some(format!("at most {}", shown(high))),
        [None, None] => None,
    }
}

/// `about 9 more days`; days beyond a year are more than anybody counts: `more than a year`,
/// `about 13 years`.
#[must_use]
pub fn more_days(days: u32) -> String {
    match years(days) {
        Some(years) => years,
        None if days == 1 => "about 1 more day".to_owned(),
        None => format!("about {days} more days"),
    }
}

/// As [`more_days`] for a table whose heading says what it counts: `9`, `about 13 years`.
#[must_use]
pub fn days_left(days: u32) -> String {
    years(days).unwrap_or_else(|| days.to_string())
}

/// None within a year.
fn years(days: u32) -> Option<String> {
    match (f64::from(days) / DAYS_OF_YEAR).round() {
        _ if days <= 365 => None,
        years if years < 2.0 => Some("more than a year".to_owned()),
        years if years > MOST_YEARS => Some(format!("more than {MOST_YEARS} years")),
        years => Some(format!("about {years} years")),
    }
}

/// `A`, `A and B`, `A, B and C`.
#[must_use]
pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

fn signed(unsigned: String) -> String {
    let is_zero = !unsigned.chars().any(|c| ('1'..='9').contains(&c));
    if is_zero || unsigned.starts_with(MINUS) {
        unsigned
    } else {
        format!("+{unsigned}")
    }
}

/// So many significant digits, but whole digits always.
fn digits(number: f64, significant: i32) -> String {
    if !number.is_finite() {
        return "not a number".to_owned();
    }
    let size = number.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    let text = if (TINY..HUGE).contains(&size) {
        let whole = magnitude(size);
        let decimals = usize::try_from(significant - 1 - whole).unwrap_or(0);
        let text = format!("{size:.decimals$}");
        // 9.996 is 10.00 by now, which has a digit too many.
        let text = match text.parse::<f64>() {
            Ok(rounded) if decimals > 0 && magnitude(rounded) > whole => {
                format!("{size:.*}", decimals - 1)
            }
            _ => text,
        };
        separated(&text)
    } else {
        let decimals = usize::try_from(significant - 1).unwrap_or(0);
        format!("{size:.decimals$e}").replace("e-", "e\u{2212}")
    };
    if number < 0.0 {
        format!("{MINUS}{text}")
    } else {
        text
    }
}

/// The power of ten of the first digit.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a power of ten of a double is within 400"
)]
fn magnitude(size: f64) -> i32 {
    size.log10().floor() as i32
}

fn separated(text: &str) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.parse::<u128>().map_or(whole.to_owned(), grouped);
    if fraction.is_empty() {
        whole
    } else {
        format!("{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_the_digits_that_matter() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1.000"),
            (28.318_2, "28.32"),
            (1234.5, "1,234"),
            (123_456.7, "123,457"),
            (9.999_6, "10.00"),
            (0.012_346, "0.01235"),
            (-0.5, "\u{2212}0.5000"),
            (1e-9, "1.000e\u{2212}9"),
            (-2.5e20, "\u{2212}2.500e20"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn percentages_and_signs() {
        for (value, unsigned, with_sign) in [
            (0.0, "0%", "0%"),
            (0.407_42, "40.7%", "+40.7%"),
            (-0.003, "\u{2212}0.300%", "\u{2212}0.30%"),
            (2.333, "233%", "+233%"),
            (0.099_99, "10.0%", "+10.0%"),
            (0.020_94, "2.09%", "+2.1%"),
            (12.345_6, "1,235%", "+1,235%"),
        ] {
            assert_eq!(
                (&*percent(value), &*signed_percent(value)),
                (unsigned, with_sign)
            );
        }
        assert_eq!(signed_number(28.5), "+28.50");
    }

    #[test]
    fn phrases() {
        assert_eq!(
            interval([-0.003, 0.021], signed_percent),
            "\u{2212}0.30% to +2.1%"
        );
        let open = |bounds| open_interval(bounds, signed_percent);
        assert_eq!(open([Some(2.49), None]).as_deref(), Some("at least +249%"));
        assert_eq!(open([None, Some(0.5)]).as_deref(), Some("at most +50.0%"));
        assert_eq!(open([None, None]), None);
        assert_eq!(
            [0.38, 0.0124, 0.0004].map(p_value),
            ["0.380", "0.0124", "< 0.001"]
        );
        let items = ["A", "B", "C"];
        assert_eq!(
            [0, 1, 2, 3].map(|n| list(&items[..n])),
            ["", "A", "A and B", "A, B and C"]
        );
    }

    #[test]
    fn days_beyond_a_year_are_said_in_years() {
        for (days, sentence, cell) in [
            (1, "about 1 more day", "1"),
            (365, "about 365 more days", "365"),
            (366, "more than a year", "more than a year"),
            (547, "more than a year", "more than a year"),
            (548, "about 2 years", "about 2 years"),
            (4814, "about 13 years", "about 13 years"),
            (36_525, "about 100 years", "about 100 years"),
            (u32::MAX, "more than 100 years", "more than 100 years"),
        ] {
            assert_eq!((&*more_days(days), &*days_left(days)), (sentence, cell));
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_the_number(value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            let shown = number(value).replace('\u{2212}', "-").replace(',', "");
            let read: f64 = shown.parse().unwrap();
            prop_assert!((read - value).abs() <= value.abs() * 0.0006, "{value} as {shown}");
        }
    }
}
