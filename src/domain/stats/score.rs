//! Two rates of which one has no variance to go by (all visitors of an arm converted, or none): the
//! score test and the intervals of all differences and ratios that it does not reject.
//!
//! O. Miettinen and M. Nurminen, "Comparative Analysis of Two Rates" (Statistics in Medicine 4,
//! 1985): z is the difference from the supposed one over its standard error at the rates that are
//! most likely under it, with their factor N / (N - 1). For the ratio the same is P. Koopman's
//! ("Confidence Intervals for the Ratio of Two Binomial Proportions", Biometrics 40, 1984). At
//! difference 0 and ratio 1 both are the same pooled z, so that the two agree.

use super::distribution::{normal_two_sided_quantile, normal_upper};
use super::moments::{Moments, finite};

/// Visitors and converters of both arms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    baseline_n: f64,
    variation_n: f64,
    baseline_converted: f64,
    variation_converted: f64,
}

impl Rates {
    /// For two binary arms.
    pub fn new(baseline: &Moments, variation: &Moments) -> Self {
        Self {
            baseline_n: baseline.n(),
            variation_n: variation.n(),
            baseline_converted: baseline.sum(),
            variation_converted: variation.sum(),
        }
    }

    fn baseline_rate(&self) -> f64 {
        self.baseline_converted / self.baseline_n
    }

    fn variation_rate(&self) -> f64 {
        self.variation_converted / self.variation_n
    }

    /// Two-sided. 1 where the arms have the same rate.
    pub fn p(&self) -> f64 {
        (2.0 * normal_upper(self.z_of_difference(0.0).abs())).min(1.0)
    }

    /// Of the difference of rates.
    pub fn interval(&self, error_rate: f64) -> Option<[f64; 2]> {
        let critical = normal_two_sided_quantile(error_rate);
        let observed = self.variation_rate() - self.baseline_rate();
        let rejected = self.z_of_difference(0.0).abs() > critical;
        let below = |limit: f64| self.z_of_difference(limit) - critical;
        let above = |limit: f64| self.z_of_difference(limit) + critical;
        // Which side of 0 a limit lies on is the test's to say.
        let low = if rejected && observed > 0.0 {
            crossing(0.0, observed, below)
        } else {
            crossing(-1.0, observed.min(0.0), below)
        };
        let high = if rejected && observed < 0.0 {
            crossing(observed, 0.0, above)
        } else {
            crossing(observed.max(0.0), 1.0, above)
        };
        Some([finite(low)?, finite(high)?])
    }

    /// Of the lift, ratio less 1; None where nobody converted in the baseline.
    pub fn relative_interval(&self, error_rate: f64) -> Option<[f64; 2]> {
        if self.baseline_converted <= 0.0 {
            return None;
        }
        let critical = normal_two_sided_quantile(error_rate);
        let observed = self.variation_rate() / self.baseline_rate();
        let rejected = self.z_of_difference(0.0).abs() > critical;
        // By the logarithm, which runs from far below the smallest ratio of two counts to far above.
        let below = |ln: f64| self.z_of_ratio(ln.exp()) - critical;
        let above = |ln: f64| self.z_of_ratio(ln.exp()) + critical;
        let low = if observed <= 0.0 {
            -1.0
        } else if rejected && observed > 1.0 {
            crossing(0.0, observed.ln(), below).exp_m1()
        } else {
            crossing(-LN_WIDEST, observed.ln().min(0.0), below).exp_m1()
        };
        let from = if observed > 0.0 {
            observed.ln()
        } else {
            -LN_WIDEST
        };
        let high = if rejected && observed < 1.0 {
            crossing(from, 0.0, above).exp_m1()
        } else {
            crossing(from.max(0.0), LN_WIDEST, above).exp_m1()
        };
        Some([finite(low)?, finite(high)?])
    }

    /// z of a supposed difference; falls as it grows.
    fn z_of_difference(&self, supposed: f64) -> f64 {
        let distance = self.variation_rate() - self.baseline_rate() - supposed;
        let baseline = self.rate_given_difference(supposed);
        let variation = (baseline + supposed).clamp(0.0, 1.0);
        self.z(distance, baseline, variation, 1.0)
    }

    /// z of a supposed ratio; falls as it grows.
    fn z_of_ratio(&self, supposed: f64) -> f64 {
        let distance = self.variation_rate() - supposed * self.baseline_rate();
        let baseline = self.rate_given_ratio(supposed);
        let variation = (supposed * baseline).clamp(0.0, 1.0);
        self.z(distance, baseline, variation, supposed)
    }

    fn z(&self, distance: f64, baseline: f64, variation: f64, ratio: f64) -> f64 {
        if distance == 0.0 {
            return 0.0;
        }
        let visitors = self.baseline_n + self.variation_n;
        let variance = variation * (1.0 - variation) / self.variation_n
            + ratio * ratio * baseline * (1.0 - baseline) / self.baseline_n;
        distance / (variance * visitors / (visitors - 1.0)).sqrt()
    }

    /// The baseline's most likely rate if the variation's is higher by `supposed`: the root of a
    /// cubic, by Miettinen and Nurminen's trigonometric form.
    fn rate_given_difference(&self, supposed: f64) -> f64 {
        let (n, n_a, x_a) = (
            self.baseline_n + self.variation_n,
            self.baseline_n,
            self.baseline_converted,
        );
        let converted = x_a + self.variation_converted;
        if supposed == 0.0 {
            return converted / n;
        }
        let l2 = ((n_a + n) * supposed - n - converted) / n;
        let l1 = ((n_a * supposed - n - 2.0 * x_a) * supposed + converted) / n;
        let l0 = x_a * supposed * (1.0 - supposed) / n;
        let third = l2 / 3.0;
        let q = third.powi(3) - third * l1 / 2.0 + l0 / 2.0;
        let p = (third * third - l1 / 3.0).max(0.0).sqrt().copysign(q);
        let angle = if p == 0.0 {
            0.0
        } else {
            (q / p.powi(3)).clamp(-1.0, 1.0).acos()
        };
        let root = 2.0 * p * ((std::f64::consts::PI + angle) / 3.0).cos() - third;
        root.clamp((-supposed).max(0.0), (1.0 - supposed).min(1.0))
    }

    /// The baseline's most likely rate if the variation's is `supposed` times as high: the smaller
    /// root of a quadratic, in the form that does not cancel.
    fn rate_given_ratio(&self, supposed: f64) -> f64 {
        let converted = self.baseline_converted + self.variation_converted;
        let n = self.baseline_n + self.variation_n;
        let half = 0.5
            * ((self.variation_n + self.baseline_converted) * supposed
                + self.variation_converted
                + self.baseline_n);
        let root = (half * half - n * supposed * converted).max(0.0).sqrt();
        (converted / (half + root)).clamp(0.0, (1.0 / supposed).min(1.0))
    }
}

/// Counts of 1e15 have ratios of at most 1e15.
const LN_WIDEST: f64 = 80.0;

/// Where a falling function crosses 0 between `low` and `high`, or the end that is nearest to it.
/// Bisection with steps of false position (Illinois), to the last digits that the function has.
fn crossing(mut low: f64, mut high: f64, function: impl Fn(f64) -> f64) -> f64 {
    let (mut at_low, mut at_high) = (function(low), function(high));
    if at_low.is_nan() || at_low <= 0.0 {
        return low;
    }
    if at_high.is_nan() || at_high >= 0.0 {
        return high;
    }
    let mut bisect = !(at_low.is_finite() && at_high.is_finite());
    for _ in 0..200 {
        let width = high - low;
        let middle = 0.5 * (low + high);
        if width <= 4.0 * f64::EPSILON * middle.abs() || middle <= low || middle >= high {
            break;
        }
        let mut at = if bisect {
            middle
        } else {
            low + width * (at_low / (at_low - at_high))
        };
        if !(at > low && at < high) {
            at = middle;
        }
        let value = function(at);
        if value == 0.0 {
            return at;
        }
        if value > 0.0 {
            (low, at_low, at_high) = (at, value, 0.5 * at_high);
        } else {
            (high, at_high, at_low) = (at, value, 0.5 * at_low);
        }
        bisect = high - low > 0.5 * width || !(at_low.is_finite() && at_high.is_finite());
    }
    0.5 * (low + high)
}
