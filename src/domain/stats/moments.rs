//! [`Moments`]: the sums over the visitors of one arm, exact, and what follows from one arm alone.

use bnum::cast::As;
use bnum::types::{I256, I512};

use crate::domain::agent_day::{Decimal, GoalCounts, GoalValues};

/// Sums over the visitors of one arm, exact whatever the order of adding.
///
/// Values are whole numbers of 1e-12. 512 bits hold n Q and S² for any sums that 256 bits hold, so
/// n Q - S² is formed without rounding, before anything is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moments {
    visitors: u128,
    /// S, in units of 1e-12.
    sum: I256,
    /// Q, in units of 1e-12.
    squares: I256,
    /// How far from the truth printing may have moved S and Q, in units of 1e-12; None where they
    /// are counts, which are exact.
    written: Option<Written>,
}

/// One unit of the last written digit, summed over the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    sum: u128,
    squares: u128,
}

impl Default for Moments {
    /// No visitors.
    fn default() -> Self {
        Self {
            visitors: 0,
            sum: whole(0),
            squares: whole(0),
            written: None,
        }
    }
}

impl Moments {
    /// Sums of values, as written in a file.
    #[must_use]
    pub fn new(visitors: u64, sum: Decimal, sum_of_squares: Decimal) -> Self {
        Self {
            visitors: u128::from(visitors),
            sum: whole(sum.units),
            squares: whole(sum_of_squares.units),
            written: Some(Written {
                sum: last_digit(sum),
                squares: last_digit(sum_of_squares),
            }),
        }
    }

    /// For the metric "rate": conversions per visitor.
    #[must_use]
    pub fn of_counts(visitors: u64, goal: &GoalCounts) -> Self {
        let one = whole(Decimal::ONE);
        let squares: I256 = goal.count_sumsq.as_();
        Self {
            visitors: u128::from(visitors),
            sum: whole(i128::from(goal.count)) * one,
            squares: squares * one,
            written: None,
        }
    }

    /// For the metric "value": value per visitor. Without values each event is worth 1.
    #[must_use]
    pub fn of_values(visitors: u64, goal: &GoalCounts) -> Self {
        match goal.values {
            Some(GoalValues { sum, sumsq }) => Self::new(visitors, sum, sumsq),
            None => Self::of_counts(visitors, goal),
        }
    }

    /// Adds other visitors of the same arm.
    pub fn add(&mut self, other: &Self) {
        self.visitors = self.visitors.saturating_add(other.visitors);
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
        self.written = match (self.written, other.written) {
            (Some(own), Some(others)) => Some(Written {
                sum: own.sum.saturating_add(others.sum),
                squares: own.squares.saturating_add(others.squares),
            }),
            (own, others) => own.or(others),
        };
    }

    /// n; at most what 64 bits hold.
    #[must_use]
    pub fn visitors(&self) -> u64 {
        u64::try_from(self.visitors).unwrap_or(u64::MAX)
    }

    /// S.
    #[must_use]
    pub fn sum(&self) -> f64 {
        wide_to_f64(self.sum) / ONE
    }

    /// Q.
    #[must_use]
    pub fn sum_of_squares(&self) -> f64 {
        wide_to_f64(self.squares) / ONE
    }

    /// m = S / n; None without visitors.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        finite(self.sum() / self.n())
    }

    /// s² = (Q - S²/n) / (n - 1) per visitor. Below 0 within the tolerance it is 0; beyond it, or
    /// for fewer than two visitors, None.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        if self.visitors < 2 {
            return None;
        }
        let (is_negative, spread) = if let Some(spread) = self.narrow_spread() {
            (spread < 0, narrow_to_f64(spread))
        } else {
            let spread = self.spread();
            (spread < whole(0).as_(), to_f64(spread))
        };
        if is_negative {
            return (!self.is_impossible()).then_some(0.0);
        }
        finite(spread / ONE / ONE / (self.n() * (self.n() - 1.0)))
    }

    /// sqrt(V), the standard error of the mean, where V = s²/n.
    #[must_use]
    pub fn standard_error(&self) -> Option<f64> {
        Some((self.variance()? / self.n()).sqrt())
    }

    /// S²/Q: as many visitors who convert once each would say as much about the mean. None where
    /// Q is not positive.
    #[must_use]
    pub fn effective_conversions(&self) -> Option<f64> {
        if self.squares <= whole(0) {
            return None;
        }
        let sum = self.sum();
        finite(sum * (sum / self.sum_of_squares()))
    }

    /// Whether no visitors can have these sums: s² is below 0 by more than printing explains (one
    /// unit of the last written digit of each sum, and 1e-9 of the greater side).
    #[must_use]
    pub fn is_impossible(&self) -> bool {
        if self.narrow_spread().is_some_and(|spread| spread >= 0) {
            return false;
        }
        let missing = -self.spread();
        if missing <= whole(0).as_() {
            return false;
        }
        let Some(written) = self.written else {
            return true;
        };
        let (sum, squares): (I512, I512) = (self.sum.as_(), self.squares.as_());
        let n: I512 = self.visitors.as_();
        let one: I512 = Decimal::ONE.as_();
        let (digit, digit_of_squares): (I512, I512) = (written.sum.as_(), written.squares.as_());
        let two: I512 = 2_i128.as_();
        let billion: I512 = 1_000_000_000_i128.as_();
        let tolerance = two * sum.abs() * digit + digit * digit + n * digit_of_squares * one;
        let relative = (sum * sum).max(n * squares * one) / billion;
        missing > tolerance + relative
    }

    /// Whether these are counts, of visitors who converted once or not at all: Q = S <= n. Values
    /// that look alike are no counts: visitors worth 0 say nothing of what the next one is worth.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        let n: I256 = self.visitors.as_();
        self.written.is_none()
            && self.sum == self.squares
            && self.sum <= n.saturating_mul(whole(Decimal::ONE))
    }

    /// n as a double, which is exact up to 2^53 visitors.
    #[allow(clippy::cast_precision_loss, reason = "a double is what is asked for")]
    pub(super) fn n(&self) -> f64 {
        self.visitors as f64
    }

    /// Mean of `self` less that of `baseline`, with its leading digits right however close the two
    /// are: (S n' - S' n) / (n n'), the numerator exact.
    #[must_use]
    pub fn mean_less(&self, baseline: &Self) -> Option<f64> {
        if let Some((numerator, denominator)) = self.narrow_difference(baseline) {
            return finite(narrow_to_f64(numerator) / narrow_to_f64(denominator));
        }
        let (own, others): (I512, I512) = (self.sum.as_(), baseline.sum.as_());
        let (n, m): (I512, I512) = (self.visitors.as_(), baseline.visitors.as_());
        let one: I512 = Decimal::ONE.as_();
        finite(to_f64(own * m - others * n) / to_f64(n * m * one))
    }

    /// The numerator and the denominator of [`Moments::mean_less`] where 128 bits hold them, as they
    /// do for most arms of one day.
    fn narrow_difference(&self, baseline: &Self) -> Option<(i128, i128)> {
        let (own, others) = (narrow(self.sum)?, narrow(baseline.sum)?);
        let n = i128::try_from(self.visitors).ok()?;
        let m = i128::try_from(baseline.visitors).ok()?;
        let numerator = own.checked_mul(m)?.checked_sub(others.checked_mul(n)?)?;
        Some((numerator, n.checked_mul(m)?.checked_mul(Decimal::ONE)?))
    }

    /// [`Moments::spread`] where 128 bits hold it.
    fn narrow_spread(&self) -> Option<i128> {
        let (sum, squares) = (narrow(self.sum)?, narrow(self.squares)?);
        let n = i128::try_from(self.visitors).ok()?;
        let squares = n.checked_mul(squares)?.checked_mul(Decimal::ONE)?;
        squares.checked_sub(sum.checked_mul(sum)?)
    }

    /// n Q - S², in units of 1e-24.
    fn spread(&self) -> I512 {
        let (sum, squares): (I512, I512) = (self.sum.as_(), self.squares.as_());
        let n: I512 = self.visitors.as_();
        let one: I512 = Decimal::ONE.as_();
        n * squares * one - sum * sum
    }
}

/// 1 in units of 1e-12.
const ONE: f64 = 1e12;

fn whole(value: i128) -> I256 {
    value.as_()
}

/// Where 128 bits hold it.
fn narrow(value: I256) -> Option<i128> {
    let low: i128 = value.as_();
    (whole(low) == value).then_some(low)
}

fn wide_to_f64(value: I256) -> f64 {
    narrow(value).map_or_else(|| to_f64(value.as_()), narrow_to_f64)
}

#[allow(clippy::cast_precision_loss, reason = "a double is what is asked for")]
fn narrow_to_f64(value: i128) -> f64 {
    value as f64
}

/// The nearest double, by the leading 128 bits: the general conversion takes longer than a
/// comparison.
fn to_f64(value: I512) -> f64 {
    let magnitude = value.unsigned_abs();
    let shift = (512 - magnitude.leading_zeros()).saturating_sub(128);
    let leading: u128 = (magnitude >> shift).as_();
    // A bit that is lost must still break a tie between two doubles.
    let lost = shift > 0 && magnitude.trailing_zeros() < shift;
    let leading = leading | u128::from(lost);
    #[allow(clippy::cast_precision_loss, reason = "a double is what is asked for")]
    let nearest = leading as f64;
    let power = f64::from_bits(u64::from(1023 + shift) << 52);
    if value.is_negative() {
        -nearest * power
    } else {
        nearest * power
    }
}

pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// One unit of the last written digit, in units of 1e-12.
fn last_digit(value: Decimal) -> u128 {
    let power = u32::try_from(12 - i32::from(value.decimals)).unwrap_or(0);
    10_u128.pow(power.min(36))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any number of bits, so that each way is taken.
    fn wide() -> impl Strategy<Value = I512> {
        (any::<[i128; 3]>(), 0_u32..384, any::<bool>()).prop_map(|(parts, bits, negative)| {
            let mut value: I512 = whole(0).as_();
            for part in parts {
                let part: I512 = part.unsigned_abs().as_();
                value = (value << 127) | part;
            }
            let value = value >> bits;
            if negative { -value } else { value }
        })
    }

    proptest! {
        #[test]
        fn a_wide_number_becomes_the_nearest_double(value in wide()) {
            let general: f64 = value.as_();
            prop_assert_eq!(to_f64(value).to_bits(), general.to_bits());
        }

        #[test]
        fn the_narrow_way_leads_where_the_wide_one_does(
            [n, m] in any::<[u32; 2]>(), sums in any::<[i64; 2]>(), squares in any::<[u64; 2]>()
        ) {
            let moments = |n: u32, sum: i64, squares: u64| Moments::new(
                n.into(),
                Decimal { units: sum.into(), decimals: 12 },
                Decimal { units: squares.into(), decimals: 12 },
            );
            let [own, other] =
                [moments(n, sums[0], squares[0]), moments(m, sums[1], squares[1])];
            if let Some(spread) = own.narrow_spread() {
                prop_assert_eq!(own.spread(), spread.as_::<I512>());
            }
            let less: Option<f64> = {
                let (a, b): (I512, I512) = (own.sum.as_(), other.sum.as_());
                let (n, m): (I512, I512) = (n.as_(), m.as_());
                let one: I512 = Decimal::ONE.as_();
                finite(to_f64(a * m - b * n) / to_f64(n * m * one))
            };
            prop_assert_eq!(own.mean_less(&other), less);
        }
    }

    #[test]
    fn ties_between_doubles_are_broken_by_the_last_bit() {
        let check = |value: I512, expected: f64| {
            assert_eq!(to_f64(value).to_bits(), expected.to_bits(), "{value}");
        };
        // 2^53 + 1 lies between two doubles, and goes to the even one; anything beneath it decides.
        let tie: I512 = (9_007_199_254_740_993_i128).as_();
        check(tie, 9_007_199_254_740_992.0);
        for shift in [60_u32, 75, 76, 200, 400] {
            let power = 2_f64.powi(i32::try_from(shift).unwrap());
            let one: I512 = 1_i128.as_();
            check(tie << shift, 9_007_199_254_740_992.0 * power);
            check((tie << shift) + one, 9_007_199_254_740_994.0 * power);
        }
        check(I512::MIN, -(2_f64.powi(511)));
        check(whole(0).as_(), 0.0);
    }
}
