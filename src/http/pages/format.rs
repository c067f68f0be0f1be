//! Numbers as people read them: thousands separators, as many digits as the uncertainty allows, a
//! real minus sign, and a unit where one is needed.

use jiff::Timestamp;

use crate::domain::report::view::Metric;
use crate::domain::report::words;

/// U+2212, as wide as the plus sign.
const MINUS: char = '\u{2212}';
/// What stands where there is no number.
pub const NONE: &str = "–";

/// What a mean and a difference of means are measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Conversions per visitor: means in percent, differences in percentage points.
    Rate,
    /// Value per visitor, in the unit of the export.
    Value,
}

impl From<Metric> for Unit {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::Rate => Self::Rate,
            Metric::Value => Self::Value,
        }
    }
}

impl Unit {
    /// From the unit of the model to the one that is shown.
    #[must_use]
    pub fn shown(self, x: f64) -> f64 {
        match self {
            Self::Rate => x * 100.0,
            Self::Value => x,
        }
    }

    /// `precision` is the size of its uncertainty, in the unit of the model.
    #[must_use]
    pub fn mean(self, x: f64, precision: f64) -> String {
        let text = fixed(self.shown(x), decimals(self.shown(precision)));
        match self {
            Self::Rate => format!("{text}%"),
            Self::Value => text,
        }
    }

    #[must_use]
    pub fn difference(self, x: f64, precision: f64) -> String {
        signed(self.shown(x), decimals(self.shown(precision)))
    }

    #[must_use]
    pub fn difference_with_unit(self, x: f64, precision: f64) -> String {
        let text = self.difference(x, precision);
        match self {
            Self::Rate => format!("{text} points"),
            Self::Value => text,
        }
    }

    /// Both bounds of a mean's interval, with as many decimals as [`Self::bounds`].
    #[must_use]
    pub fn mean_bounds(self, [low, high]: [f64; 2], precision: f64) -> String {
        let bounds = [self.shown(low), self.shown(high)];
        let unit = match self {
            Self::Rate => "%",
            Self::Value => "",
        };
        range(bounds, decimals(self.shown(precision)), |x, decimals| {
            format!("{}{unit}", fixed(x, decimals))
        })
    }

    /// Both bounds of a difference's interval. Whether it holds zero is the verdict: a bound that
    /// is not zero has as many decimals as show on which side of it it lies.
    #[must_use]
    pub fn bounds(self, [low, high]: [f64; 2], precision: f64) -> String {
        let bounds = [self.shown(low), self.shown(high)];
        range(bounds, decimals(self.shown(precision)), signed)
    }

    /// What a column of differences is headed with.
    #[must_use]
    pub fn of_differences(self) -> &'static str {
        match self {
            Self::Rate => "percentage points",
            Self::Value => "value per visitor",
        }
    }
}

/// Decimals that show two digits of an uncertainty; four significant digits where there is none.
#[must_use]
pub fn decimals(precision: f64) -> usize {
    let precision = precision.abs();
    if !(precision.is_finite() && precision > 0.0) {
        return 2;
    }
    // Between -300 and 300.
    #[allow(clippy::cast_possible_truncation, reason = "a power of ten of an f64")]
    let exponent = precision.log10().floor() as i32;
    usize::try_from((1 - exponent).clamp(0, 9)).unwrap_or(0)
}

/// `low to high`, with the same decimals. A bound that even the most decimals would show as zero
/// has an exponent.
fn range(bounds: [f64; 2], decimals: usize, shown: impl Fn(f64, usize) -> String) -> String {
    const MOST: usize = 12;
    let tells = |x: f64, decimals: usize| x == 0.0 || !is_zero(&fixed(x, decimals));
    let needed = |x: f64| (decimals..=MOST).find(|decimals| tells(x, *decimals));
    let decimals = bounds.into_iter().filter_map(needed).max();
    let [low, high] = bounds.map(|x| match decimals {
        Some(decimals) if tells(x, decimals) => shown(x, decimals),
        _ => words::signed_number(x),
    });
    format!("{low} to {high}")
}

fn is_zero(shown: &str) -> bool {
    shown.chars().all(|c| matches!(c, '0' | '.' | MINUS))
}

/// With thousands separators.
#[must_use]
pub fn count(n: u64) -> String {
    group(&n.to_string())
}

#[must_use]
pub fn fixed(x: f64, decimals: usize) -> String {
    let text = rounded(x.abs(), decimals);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let zero = is_zero(&text);
    let mut shown = String::new();
    if x < 0.0 && !zero {
        shown.push(MINUS);
    }
    shown.push_str(&group(whole));
    if !fraction.is_empty() {
        shown.push('.');
        shown.push_str(fraction);
    }
    shown
}

/// `{:.decimals$}` of a number that is not negative. A page holds thousands: where doubles tell the
/// nearest number of such digits without doubt, it is written as a whole number, which takes a
/// fraction of the time.
fn rounded(x: f64, decimals: usize) -> String {
    /// Up to here a product is right to 1e-6.
    const MOST: f64 = 1e9;
    const DOUBT: f64 = 1e-5;
    let scale = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6].get(decimals);
    let scaled = scale.map_or(f64::INFINITY, |scale| x * scale);
    let beyond_tie = (scaled.fract() - 0.5).abs();
    if !(scaled < MOST && beyond_tie > DOUBT) {
        return format!("{x:.decimals$}");
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 1e9"
    )]
    let digits = scaled.round() as u64;
    if decimals == 0 {
        return digits.to_string();
    }
    let mut text = format!("{digits:0width$}", width = decimals + 1);
    text.insert(text.len() - decimals, '.');
    text
}

#[must_use]
pub fn signed(x: f64, decimals: usize) -> String {
    let text = fixed(x, decimals);
    if x > 0.0 && !is_zero(&text) {
        format!("+{text}")
    } else {
        text
    }
}

/// Four significant digits, or all that a whole number has.
#[must_use]
pub fn number(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e15 {
        return fixed(x, 0);
    }
    fixed(x, decimals(x.abs() / 100.0).min(9))
}

/// A share or probability of 0 to 1.
#[must_use]
pub fn percent(x: f64, decimals: usize) -> String {
    format!("{}%", fixed(x * 100.0, decimals))
}

/// A probability that data give, and so never a certainty: a double of 1 is one that is too close
/// to it to be told from it.
#[must_use]
pub fn chance(x: f64) -> String {
    if x > 0.999 {
        "> 99.9%".to_owned()
    } else if x < 0.001 {
        "< 0.1%".to_owned()
    } else {
        percent(x, 1)
    }
}

#[must_use]
pub fn bytes(n: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "shown with two digits")]
    let n = n as f64;
    if n < 1024.0 {
        return format!("{n} B");
    }
    for (unit, size) in [("KiB", 1024.0), ("MiB", 1_048_576.0)] {
        if n < size * 1024.0 {
            return format!("{} {unit}", fixed(n / size, 1));
        }
    }
    format!("{} GiB", fixed(n / 1_073_741_824.0, 1))
}

/// A moment as the page's markup needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// RFC 3339, for `<time datetime>`.
    pub machine: String,
    /// `2024-03-19 09:02 UTC`
    pub shown: String,
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self {
            machine: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            shown: at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        }
    }
}

/// `3 days ago`, in the largest unit that fits.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    if seconds < 0 {
        return until(at, now);
    }
    match span(seconds) {
        Some(span) => format!("{span} ago"),
        None => "just now".to_owned(),
    }
}

/// `in 3 hours`
#[must_use]
pub fn until(at: Timestamp, now: Timestamp) -> String {
    match span(at.as_second() - now.as_second()) {
        Some(span) => format!("in {span}"),
        None => "now".to_owned(),
    }
}

fn span(seconds: i64) -> Option<String> {
    let (n, unit) = match seconds {
        i64::MIN..60 => return None,
        60..3600 => (seconds / 60, "minute"),
        3600..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if n == 1 { "" } else { "s" };
    Some(format!("{n} {unit}{plural}"))
}

#[must_use]
pub fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

fn group(digits: &str) -> String {
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_rounded_as_it_is_exactly(
            digits in 0_u64..10_000_000_000, power in 0_i32..9, decimals in 0_usize..9
        ) {
            #[allow(clippy::cast_precision_loss, reason = "any double will do")]
            let x = digits as f64 / 10_f64.powi(power);
            for x in [x, x.next_up(), x.next_down().max(0.0), x / 8.0] {
                prop_assert_eq!(rounded(x, decimals), format!("{x:.decimals$}"));
            }
        }
    }

    #[test]
    fn numbers_read_like_this() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(fixed(-1234.567, 2), "−1,234.57");
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(signed(0.72, 2), "+0.72");
        assert_eq!(signed(0.0, 1), "0.0");
        assert_eq!(number(28.318_24), "28.32");
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(0.012_345_6), "0.01235");
        for (x, shown) in [
            (1.0, "> 99.9%"),
            (0.999_96, "> 99.9%"),
            (0.999, "99.9%"),
            (0.001, "0.1%"),
            (0.000_4, "< 0.1%"),
            (0.0, "< 0.1%"),
        ] {
            assert_eq!(chance(x), shown);
        }
        assert_eq!(chance(0.819), "81.9%");
        assert_eq!(bytes(1_536), "1.5 KiB");
    }

    #[test]
    fn digits_follow_the_uncertainty() {
        assert_eq!(Unit::Rate.mean(0.407_41, 0.003_4), "40.74%");
        assert_eq!(Unit::Rate.difference(0.007_2, 0.009_5), "+0.72");
        assert_eq!(Unit::Value.mean(28.318_24, 0.4), "28.32");
        assert_eq!(Unit::Value.mean(2_831_824.4, 1200.0), "2,831,824");
    }

    #[test]
    fn a_bound_shows_on_which_side_of_zero_it_lies() {
        let rate = |bounds| Unit::Rate.bounds(bounds, 0.027);
        assert_eq!(rate([0.001_39, 0.056]), "+0.1 to +5.6");
        assert_eq!(rate([0.000_139, 0.056]), "+0.01 to +5.60");
        assert_eq!(rate([-0.056, -0.000_039]), "−5.600 to −0.004");
        assert_eq!(rate([-0.000_039, 0.056]), "−0.004 to +5.600");
        assert_eq!(rate([0.0, 0.056]), "0.0 to +5.6");
        assert_eq!(rate([1e-17, 0.056]), "+1.000e−15 to +5.6");
        assert_eq!(
            Unit::Value.bounds([-0.4, 1200.0], 600.0),
            "−0.4 to +1,200.0"
        );
        assert_eq!(
            Unit::Rate.mean_bounds([0.000_3, 0.4], 0.1),
            "0.03% to 40.00%"
        );
        assert_eq!(Unit::Rate.mean_bounds([0.0, 0.4], 0.1), "0% to 40%");
    }

    #[test]
    fn times_are_in_utc_and_said_in_words() {
        let at: Timestamp = "2024-03-19T09:02:11Z".parse().unwrap();
        let now: Timestamp = "2024-03-19T12:02:11Z".parse().unwrap();
        assert_eq!(Moment::from(at).shown, "2024-03-19 09:02 UTC");
        assert_eq!(ago(at, now), "3 hours ago");
        assert_eq!(ago(at, at), "just now");
        assert_eq!(until(now, at), "in 3 hours");
    }
}
