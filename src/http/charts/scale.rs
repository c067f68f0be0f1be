//! From numbers to places: a linear scale with round ticks.

/// A range of numbers, low < high, both finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    /// The smallest range with all of `values`; None where there are none. Widened where they are
    /// all one number.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            return None;
        }
        if high - low <= low.abs().max(high.abs()) * 1e-9 {
            let half = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            (low, high) = (low - half, high + half);
        }
        Some(Self { low, high })
    }

    #[must_use]
    pub fn including(self, value: f64) -> Self {
        Self {
            low: self.low.min(value),
            high: self.high.max(value),
        }
    }

    /// With room for marks at both ends.
    #[must_use]
    pub fn padded(self, share: f64) -> Self {
        let room = (self.high - self.low) * share;
        Self {
            low: self.low - room,
            high: self.high + room,
        }
    }

    /// Out to the next ticks.
    #[must_use]
    pub fn rounded(self, wanted: usize) -> Self {
        let step = self.step(wanted);
        Self {
            low: (self.low / step).floor() * step,
            high: (self.high / step).ceil() * step,
        }
    }

    /// 0 at `low`, 1 at `high`; beyond them beyond that.
    #[must_use]
    pub fn place(self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// Round numbers in the range, about `wanted` of them, and how many decimals they need.
    #[must_use]
    pub fn ticks(self, wanted: usize) -> (Vec<f64>, usize) {
        let step = self.step(wanted);
        // A step of 1e-300 to 1e300 has an exponent that fits.
        #[allow(clippy::cast_possible_truncation, reason = "a power of ten of an f64")]
        let exponent = step.log10().floor() as i32;
        let decimals = usize::try_from((-exponent).clamp(0, 12)).unwrap_or(0);
        let first = (self.low / step).ceil();
        let mut ticks = Vec::new();
        let mut at = first;
        while at * step <= self.high + step * 1e-9 && ticks.len() < 50 {
            // Never a negative zero.
            ticks.push(at * step + 0.0);
            at += 1.0;
        }
        (ticks, decimals)
    }

    /// 1, 2 or 5 times a power of ten.
    fn step(self, wanted: usize) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a handful of ticks")]
        let rough = (self.high - self.low) / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let factor = match rough / power {
            ..1.5 => 1.0,
            ..3.5 => 2.0,
            ..7.5 => 5.0,
            _ => 10.0,
        };
        factor * power
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_are_round() {
        let check = |low, high, expected: &[f64], decimals| {
            let (ticks, found) = Range { low, high }.ticks(5);
            assert_eq!(ticks.len(), expected.len(), "{ticks:?}");
            for (tick, expected) in ticks.iter().zip(expected) {
                assert!((tick - expected).abs() < 1e-12, "{ticks:?}");
            }
            assert_eq!(found, decimals);
        };
        check(0.0, 10.0, &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0], 0);
        check(-0.33, 0.8, &[-0.2, 0.0, 0.2, 0.4, 0.6, 0.8], 1);
        check(0.0, 0.004, &[0.0, 0.001, 0.002, 0.003, 0.004], 3);
        check(-2.0, 2.0, &[-2.0, -1.0, 0.0, 1.0, 2.0], 0);
    }

    #[test]
    fn one_number_still_has_a_range() {
        assert_eq!(Range::of([]), None);
        assert_eq!(Range::of([f64::NAN]), None);
        let zero = Range::of([0.0]).unwrap();
        assert_eq!((zero.low, zero.high), (-1.0, 1.0));
        let five = Range::of([5.0, 5.0]).unwrap();
        assert!(five.low < 5.0 && five.high > 5.0);
    }

    proptest! {
        #[test]
        fn any_range_has_a_few_ticks_within(low in -1e12..1e12f64, width in 1e-6..1e12f64) {
            let range = Range { low, high: low + width };
            prop_assume!(range.high - range.low > low.abs() * 1e-9);
            let (ticks, _) = range.ticks(5);
            prop_assert!((2..=11).contains(&ticks.len()), "{ticks:?}");
            let slack = width * 1e-6;
            prop_assert!(ticks.iter().all(|t| *t >= low - slack && *t <= range.high + slack));
        }
    }
}
