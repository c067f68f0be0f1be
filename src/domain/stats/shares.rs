//! Did the visitors go where they should: in all (sample ratio), and day by day (drift)?

use super::at_least_least;
use super::distribution::chi_square_upper;
use super::moments::finite;

/// Below this p a mismatch is an alarm (A. Fabijan et al., "Diagnosing Sample Ratio Mismatch in
/// Online Controlled Experiments", KDD 2019, name .0005 to .001).
pub const ALARM_P: f64 = 0.001;

/// Shares that move by less do no harm worth an alarm: one point.
pub const ALARM_SHIFT: f64 = 0.01;

/// A run of days with less of the visitors is too small to matter.
const LEAST_SHARE_OF_RUN: f64 = 0.01;

/// Unless its shares are this many standard errors from those of all days.
const BEYOND_NOISE: f64 = 4.0;

/// Visitors expected in each place, below which chi-square is not asked (W. Cochran, 1954).
pub const LEAST_EXPECTED: f64 = 5.0;

/// Pearson's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    pub statistic: f64,
    pub df: f64,
    pub p: f64,
}

impl ChiSquare {
    fn new(statistic: f64, df: f64) -> Option<Self> {
        let p = finite(at_least_least(chi_square_upper(finite(statistic)?, df)))?;
        Some(Self { statistic, df, p })
    }
}

/// Visitors against the shares that `weights` promise (any unit), in the same order; arms of weight
/// 0 are no part of it. None for fewer than two arms, or fewer than five visitors expected in one.
#[must_use]
pub fn sample_ratio(visitors: &[u64], weights: &[f64]) -> Option<ChiSquare> {
    let arms: Vec<(f64, f64)> = visitors
        .iter()
        .zip(weights)
        .filter(|(_, weight)| **weight > 0.0 && weight.is_finite())
        .map(|(visitors, weight)| (to_f64(*visitors), *weight))
        .collect();
    if arms.len() < 2 {
        return None;
    }
    let total: f64 = arms.iter().map(|(visitors, _)| visitors).sum();
    let heaviest = arms.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let weight: f64 = arms.iter().map(|(_, weight)| weight / heaviest).sum();
    let mut statistic = 0.0;
    for (observed, own) in &arms {
        let expected = total * (own / heaviest / weight);
        if expected < LEAST_EXPECTED {
            return None;
        }
        statistic += (observed - expected) * ((observed - expected) / expected);
    }
    ChiSquare::new(statistic, count(arms.len()) - 1.0)
}

/// Whether shares changed over the days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    pub chi_square: ChiSquare,
    /// The largest distance, 0 to 1, between an arm's share of a run of days and its share of all.
    /// Of runs that hold less than 1% of the visitors only distances that are more than four
    /// standard errors: any share of thirty people is points away from the truth by chance.
    pub largest_shift: f64,
}

impl Drift {
    /// Beyond chance, and large enough to matter: a pooled comparison is confounded with time.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        self.chi_square.p < ALARM_P && self.largest_shift >= ALARM_SHIFT
    }
}

/// Chi-square of the table of days (in order) and arms, whose consecutive days are merged until
/// each place expects five visitors. None where fewer than two runs of days or two arms remain.
#[must_use]
pub fn allocation_drift(days: &[Vec<u64>]) -> Option<Drift> {
    let width = days.iter().map(Vec::len).max()?;
    let mut of_arm = vec![0.0; width];
    for day in days {
        for (sum, visitors) in of_arm.iter_mut().zip(day) {
            *sum += to_f64(*visitors);
        }
    }
    let total: f64 = of_arm.iter().sum();
    let arms: Vec<usize> = (0..width).filter(|arm| of_arm[*arm] > 0.0).collect();
    if arms.len() < 2 {
        return None;
    }
    let smallest = arms.iter().map(|arm| of_arm[*arm]).fold(total, f64::min);
    let runs = merge(days, width, LEAST_EXPECTED * total / smallest);
    if runs.len() < 2 {
        return None;
    }
    let (mut statistic, mut largest_shift) = (0.0, 0.0_f64);
    for run in &runs {
        let of_run: f64 = run.iter().sum();
        for arm in &arms {
            let share = of_arm[*arm] / total;
            let shift = run[*arm] / of_run - share;
            statistic += of_run * shift * (shift / share);
            let noise = (share * (1.0 - share) / of_run).sqrt();
            if of_run >= LEAST_SHARE_OF_RUN * total || shift.abs() > BEYOND_NOISE * noise {
                largest_shift = largest_shift.max(shift.abs());
            }
        }
    }
    let df = (count(runs.len()) - 1.0) * (count(arms.len()) - 1.0);
    Some(Drift {
        chi_square: ChiSquare::new(statistic, df)?,
        largest_shift: finite(largest_shift)?,
    })
}

/// Runs of consecutive days with at least `least` visitors each; what is left at the end joins the
/// last of them.
fn merge(days: &[Vec<u64>], width: usize, least: f64) -> Vec<Vec<f64>> {
    let mut runs: Vec<Vec<f64>> = Vec::new();
    let mut open = vec![0.0; width];
    for day in days {
        for (sum, visitors) in open.iter_mut().zip(day) {
            *sum += to_f64(*visitors);
        }
        if open.iter().sum::<f64>() >= least {
            runs.push(std::mem::replace(&mut open, vec![0.0; width]));
        }
    }
    if let Some(last) = runs.last_mut() {
        for (sum, rest) in last.iter_mut().zip(&open) {
            *sum += rest;
        }
    }
    runs
}

#[allow(
    clippy::cast_precision_loss,
    reason = "exact up to 9e15, which no file exceeds"
)]
fn to_f64(visitors: u64) -> f64 {
    visitors as f64
}

fn count(length: usize) -> f64 {
    f64::from(u32::try_from(length).unwrap_or(u32::MAX))
}
