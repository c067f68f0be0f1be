//! Two rates of which one has no variance to go by (all visitors of an arm converted, or none): the
//! score test and the intervals of all differences and ratios that it does not reject.
//!
//! O. Miettinen and M. Nurminen, "Comparative Analysis of Two Rates" (Statistics in Medicine 4,
//! 1985): z is the distance from the supposed difference over its standard error at the rates that
//! are most likely under it, with their factor N / (N - 1). For the ratio the same is P. Koopman's
//! ("Confidence Intervals for the Ratio of Two Binomial Proportions", Biometrics 40, 1984). At
//! difference 0 and ratio 1 both are the same pooled z, so that the two agree.

use super::distribution::{normal_two_sided_quantile, normal_upper};
use super::moments::{Moments, finite};

/// Visitors and converters of one arm.
#[derive(Debug, Clone, Copy)]
struct Rate {
    visitors: f64,
    converted: f64,
}

impl Rate {
    fn new(arm: &Moments) -> Self {
        Self {
            visitors: arm.n(),
            converted: arm.sum(),
        }
    }

    fn rate(self) -> f64 {
        self.converted / self.visitors
    }

    fn complement(self) -> Self {
        Self {
            visitors: self.visitors,
            converted: self.visitors - self.converted,
        }
    }
}

/// Both arms, one of them without variance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    baseline: Rate,
    variation: Rate,
}

impl Rates {
    /// For two binary arms of which one has no variance.
    pub fn new(baseline: &Moments, variation: &Moments) -> Self {
        Self {
            baseline: Rate::new(baseline),
            variation: Rate::new(variation),
        }
    }

    /// Two-sided. 1 where the arms have the same rate.
    pub fn p(&self) -> f64 {
        (2.0 * normal_upper(self.above_none().0.z(0.0))).min(1.0)
    }

    /// Of the difference of rates.
    pub fn interval(&self, error_rate: f64) -> Option<[f64; 2]> {
        let (above_none, turned) = self.above_none();
        let [low, high] = above_none.interval(normal_two_sided_quantile(error_rate));
        let [low, high] = if turned { [-high, -low] } else { [low, high] };
        Some([finite(low)?, finite(high)?])
    }

    /// Of the lift, ratio less 1; None where nobody converted in the baseline.
    pub fn relative_interval(&self, error_rate: f64) -> Option<[f64; 2]> {
        if self.baseline.converted <= 0.0 {
            return None;
        }
        let critical = normal_two_sided_quantile(error_rate);
        let rejected = self.above_none().0.z(0.0) > critical;
        let observed = (self.variation.rate() / self.baseline.rate()).ln();
        let z = |ln_ratio: f64| z_of_ratio(self.baseline, self.variation, ln_ratio.exp());
        // Which side of 1 a limit lies on is the test's to say.
        let low = if self.variation.converted <= 0.0 {
            f64::NEG_INFINITY
        } else if rejected && observed > 0.0 {
            crossing(0.0, observed, |at| z(at) - critical)
        } else {
            let nearest = observed.min(0.0);
            crossing(nearest - LN_WIDEST, nearest, |at| z(at) - critical)
        };
        let high = if rejected && observed < 0.0 {
            crossing(observed.max(-LN_WIDEST), 0.0, |at| z(at) + critical)
        } else {
            let nearest = observed.max(0.0);
            crossing(nearest, nearest + LN_WIDEST, |at| z(at) + critical)
        };
        Some([finite(low.exp_m1())?, finite(high.exp_m1())?])
    }

    /// The same question about an arm where none converted and another, and whether the sign of
    /// the difference was turned for it: arms exchanged, or those counted who did not convert.
    fn above_none(&self) -> (AboveNone, bool) {
        let (baseline, variation) = (self.baseline, self.variation);
        let zero = |arm: Rate| arm.converted <= 0.0;
        if zero(baseline) {
            (
                AboveNone {
                    none: baseline.visitors,
                    other: variation,
                },
                false,
            )
        } else if zero(variation) {
            (
                AboveNone {
                    none: variation.visitors,
                    other: baseline,
                },
                true,
            )
        } else if zero(baseline.complement()) {
            let other = variation.complement();
            (
                AboveNone {
                    none: baseline.visitors,
                    other,
                },
                true,
            )
        } else {
            let other = baseline.complement();
            (
                AboveNone {
                    none: variation.visitors,
                    other,
                },
                false,
            )
        }
    }
}

/// Ratios of counts of up to 1e15 lie within e to this and its reciprocal.
const LN_WIDEST: f64 = 40.0;

/// By how much the rate of `other` exceeds that of `none` visitors of whom none converted.
#[derive(Debug, Clone, Copy)]
struct AboveNone {
    none: f64,
    other: Rate,
}

impl AboveNone {
    fn interval(&self, critical: f64) -> [f64; 2] {
        let observed = self.other.rate();
        // Which side of 0 the limit lies on is the test's to say.
        let from = if self.z(0.0) > critical { 0.0 } else { -1.0 };
        let low = crossing(from, observed, |at| self.z(at) - critical);
        let high = crossing(observed, 1.0, |at| self.z(at) + critical);
        [low, high]
    }

    /// z of a supposed difference; falls as it grows.
    fn z(&self, supposed: f64) -> f64 {
        let distance = self.other.rate() - supposed;
        if distance == 0.0 {
            return 0.0;
        }
        let Rate {
            visitors,
            converted,
        } = self.other;
        let all = self.none + visitors;
        // The most likely rate of the other: with one count 0, Miettinen and Nurminen's cubic is a
        // quadratic, whose smaller root is taken in the form that does not cancel.
        let linear = 0.5 * (converted + visitors * (1.0 + supposed) + self.none);
        let constant = converted * (1.0 + supposed);
        let root = (linear * linear - all * constant).max(0.0).sqrt();
        let other =
            (constant / (linear + root)).clamp(supposed.max(0.0), (1.0 + supposed).min(1.0));
        let none = other - supposed;
        let variance = other * (1.0 - other) / visitors + none * (1.0 - none) / self.none;
        distance / (variance * (all / (all - 1.0))).sqrt()
    }
}

/// z of a supposed ratio; falls as it grows.
fn z_of_ratio(baseline: Rate, variation: Rate, supposed: f64) -> f64 {
    let distance = variation.rate() - supposed * baseline.rate();
    if distance == 0.0 {
        return 0.0;
    }
    let all = baseline.visitors + variation.visitors;
    let converted = baseline.converted + variation.converted;
    // The baseline's most likely rate, the smaller root of Koopman's quadratic.
    let linear = 0.5
        * ((variation.visitors + baseline.converted) * supposed
            + variation.converted
            + baseline.visitors);
    let root = (linear * linear - all * supposed * converted)
        .max(0.0)
        .sqrt();
    let likely = (converted / (linear + root)).clamp(0.0, (1.0 / supposed).min(1.0));
    let likely_variation = (supposed * likely).min(1.0);
    let variance = likely_variation * (1.0 - likely_variation) / variation.visitors
        + supposed * supposed * likely * (1.0 - likely) / baseline.visitors;
    distance / (variance * (all / (all - 1.0))).sqrt()
}

/// Where a falling function crosses 0 between `low` and `high`, or the end that is nearest to it.
/// Chandrupatla's method (Advances in Engineering Software 28, 1997): inverse quadratic steps where
/// they are safe, else halves.
fn crossing(low: f64, high: f64, function: impl Fn(f64) -> f64) -> f64 {
    let (mut a, mut b) = (low, high);
    let (mut at_a, mut at_b) = (function(a), function(b));
    if at_a.is_nan() || at_a <= 0.0 {
        return low;
    }
    if at_b.is_nan() || at_b >= 0.0 {
        return high;
    }
    let mut part = 0.5;
    for _ in 0..200 {
        let x = a + part * (b - a);
        let at_x = function(x);
        let (c, at_c) = if (at_x > 0.0) == (at_a > 0.0) {
            (a, at_a)
        } else {
            let old_b = (b, at_b);
            (b, at_b) = (a, at_a);
            old_b
        };
        (a, at_a) = (x, at_x);
        let (best, at_best) = if at_a.abs() < at_b.abs() {
            (a, at_a)
        } else {
            (b, at_b)
        };
        let least = 2.0 * f64::EPSILON * best.abs() / (b - a).abs();
        if at_best == 0.0 || least.is_nan() || least > 0.5 {
            return best;
        }
        let (xi, phi) = ((a - b) / (c - b), (at_a - at_b) / (at_c - at_b));
        part = if phi * phi < xi && (1.0 - phi) * (1.0 - phi) < 1.0 - xi {
            at_a / (at_b - at_a) * (at_c / (at_b - at_c))
                + (c - a) / (b - a) * (at_a / (at_c - at_a)) * (at_b / (at_c - at_b))
        } else {
            0.5
        };
        part = part.max(least).min(1.0 - least);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(converted: f64, visitors: f64) -> Rate {
        Rate {
            visitors,
            converted,
        }
    }

    /// (converted, visitors) of baseline and variation, p, and the limits of difference and lift.
    type Row = ((f64, f64), (f64, f64), f64, [f64; 2], Option<[f64; 2]>);

    /// p and lifts agree with statsmodels 0.14 (`test_proportions_2indep` and
    /// `confint_proportions_2indep` with method="score", correction=True); differences were found
    /// with 30 digits, the likelihood's maximum by bisection.
    #[test]
    fn what_others_find() {
        let rows: [Row; 4] = [
            (
                (5.0, 1000.0),
                (0.0, 1000.0),
                0.025_200_942_431_262_45,
                [-0.011_653_272_410_872_7, -0.001_161_768_414_383_39],
                Some([-1.0, -0.232_992_678_068_774]),
            ),
            (
                (0.0, 1000.0),
                (8.0, 1000.0),
                0.004_605_681_162_306_961,
                [0.004_058_531_499_339_98, 0.015_708_875_345_390_6],
                None,
            ),
            (
                (150.0, 180.0),
                (200.0, 200.0),
                1.879_054_652_833_374_3e-9,
                [0.119_258_521_199_351, 0.228_041_129_566_661],
                Some([0.135_406_954_333_241, 0.295_405_802_434_332]),
            ),
            (
                (3.0, 9.0),
                (10.0, 10.0),
                0.002_379_816_463_809_71,
                [0.295_595_658_364_295, 0.882_672_945_638_281],
                Some([0.531_689_817_577_343, 7.523_183_382_044_23]),
            ),
        ];
        for (a, b, p, interval, lift) in rows {
            let rates = Rates {
                baseline: rate(a.0, a.1),
                variation: rate(b.0, b.1),
            };
            let near = |ours: f64, theirs: f64| {
                let error = (ours / theirs - 1.0).abs();
                assert!(error <= 1e-12, "{a:?} {b:?}: {ours}, not {theirs}");
            };
            near(rates.p(), p);
            let found = rates.interval(0.05).unwrap();
            near(found[0], interval[0]);
            near(found[1], interval[1]);
            let found = rates.relative_interval(0.05);
            assert_eq!(found.is_some(), lift.is_some());
            for (ours, theirs) in found.iter().flatten().zip(lift.iter().flatten()) {
                near(*ours, *theirs);
            }
        }
    }

    #[test]
    fn limits_are_where_z_is_critical() {
        for (none, converted, visitors) in [
            (1000.0, 8.0, 1000.0),
            (7.0, 1.0, 3.0),
            (1e9, 5.0, 1e6),
            (50.0, 0.0, 70.0),
            (20.0, 30.0, 30.0),
        ] {
            let pair = AboveNone {
                none,
                other: rate(converted, visitors),
            };
            let [low, high] = pair.interval(1.96);
            assert!(low <= pair.other.rate() && pair.other.rate() <= high);
            if high < 1.0 {
                assert!((pair.z(high) + 1.96).abs() < 1e-7, "{pair:?} {high}");
            }
            assert!((pair.z(low) - 1.96).abs() < 1e-7, "{pair:?} {low}");
        }
    }
}
