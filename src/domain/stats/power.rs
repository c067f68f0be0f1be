//! How small a difference could be seen, and how long until one that matters could.

use super::always_valid::{self, EFFECTIVE_CONVERSIONS_FOR_ALWAYS_VALID};
use super::moments::Moments;
use super::welch::Pair;
use super::{IntervalKind, Settings};

/// z of 80% power: a difference of (c + this) standard errors is found four times in five.
pub const POWER_QUANTILE: f64 = 0.8416;

/// No answer beyond a hundred years.
const MOST_DAYS: u32 = 36_525;

/// Days until a relative difference of `target_lift` > 0 would be detectable with 80% power, with
/// `visitors_per_day` of baseline and variation, whose variances stay what they are. It is never
/// the observed lift that is asked about. Some(0) where it is detectable already; None where it
/// cannot be said, or not within a hundred years.
#[must_use]
pub fn days_left(
    baseline: &Moments,
    variation: &Moments,
    settings: &Settings,
    target_lift: f64,
    visitors_per_day: [f64; 2],
) -> Option<u32> {
    let pair = Pair::new(baseline, variation).ok()?;
    let target = target_lift * pair.baseline_mean.abs();
    let usable = pair.has_variance()
        && target > 0.0
        && target.is_finite()
        && visitors_per_day
            .iter()
            .all(|rate| rate.is_finite() && *rate >= 0.0);
    if !usable {
        return None;
    }
    let effective = [
        baseline.effective_conversions()?,
        variation.effective_conversions()?,
    ];
    let detectable = |days: u32| {
        let later = later(&pair, f64::from(days), visitors_per_day);
        let grown = [
            effective[0] * (later.baseline_n / pair.baseline_n),
            effective[1] * (later.variation_n / pair.variation_n),
        ];
        critical_value(&later, settings, grown)
            .is_some_and(|critical| (critical + POWER_QUANTILE) * later.standard_error <= target)
    };
    if !detectable(MOST_DAYS) {
        return None;
    }
    // The first day from which on it is.
    let (mut too_early, mut enough) = (None, MOST_DAYS);
    while too_early.map_or(0, |day: u32| day + 1) < enough {
        let from = too_early.map_or(0, |day| day + 1);
        let middle = from + (enough - from) / 2;
        if detectable(middle) {
            enough = middle;
        } else {
            too_early = Some(middle);
        }
    }
    Some(enough)
}

/// The two arms after so many more days.
fn later(pair: &Pair, days: f64, visitors_per_day: [f64; 2]) -> Pair {
    let baseline_n = pair.baseline_n + days * visitors_per_day[0];
    let variation_n = pair.variation_n + days * visitors_per_day[1];
    let baseline_v = pair.baseline_v * (pair.baseline_n / baseline_n);
    let variation_v = pair.variation_v * (pair.variation_n / variation_n);
    Pair {
        baseline_n,
        variation_n,
        baseline_v,
        variation_v,
        standard_error: (baseline_v + variation_v).sqrt(),
        ..*pair
    }
}

fn critical_value(pair: &Pair, settings: &Settings, effective: [f64; 2]) -> Option<f64> {
    match settings.interval {
        IntervalKind::Fixed => Some(pair.critical_value(settings.error_rate())),
        IntervalKind::AlwaysValid => effective
            .iter()
            .all(|arm| *arm >= EFFECTIVE_CONVERSIONS_FOR_ALWAYS_VALID)
            .then(|| always_valid::critical_value(pair, settings.error_rate())),
    }
}
