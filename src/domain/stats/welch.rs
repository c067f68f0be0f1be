//! Two means whose variances differ: what every comparison begins with.

use super::distribution::t_two_sided_quantile;
use super::moments::{Moments, finite};
use super::note::Note;

/// Two arms with at least two visitors each: means and their squared standard errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub baseline_n: f64,
    pub variation_n: f64,
    pub baseline_mean: f64,
    pub variation_mean: f64,
    /// V = s² / n of each.
    pub baseline_v: f64,
    pub variation_v: f64,
    /// Mean of the variation less that of the baseline.
    pub difference: f64,
    /// sqrt(V_A + V_B).
    pub standard_error: f64,
}

impl Pair {
    pub fn new(baseline: &Moments, variation: &Moments) -> Result<Self, Note> {
        let (baseline_n, variation_n) = (baseline.n(), variation.n());
        if baseline_n < 2.0 || variation_n < 2.0 {
            return Err(Note::FewerThanTwoVisitors);
        }
        let part = |arm: &Moments| Some((arm.mean()?, arm.variance()? / arm.n()));
        let (Some((baseline_mean, baseline_v)), Some((variation_mean, variation_v))) =
            (part(baseline), part(variation))
        else {
            return Err(Note::ImpossibleSums);
        };
        Ok(Self {
            baseline_n,
            variation_n,
            baseline_mean,
            variation_mean,
            baseline_v,
            variation_v,
            difference: variation.mean_less(baseline).ok_or(Note::ImpossibleSums)?,
            standard_error: (baseline_v + variation_v).sqrt(),
        })
    }

    pub fn has_variance(&self) -> bool {
        self.baseline_v > 0.0 && self.variation_v > 0.0
    }

    pub fn t(&self) -> f64 {
        self.difference / self.standard_error
    }

    /// Welch (Biometrika 34, 1947) and Satterthwaite: SE^4 / (V_A²/(n_A - 1) + V_B²/(n_B - 1)), in
    /// shares of SE² so that no square overflows.
    pub fn degrees_of_freedom(&self) -> f64 {
        let share = self.baseline_v / (self.baseline_v + self.variation_v);
        let rest = self.variation_v / (self.baseline_v + self.variation_v);
        1.0 / (share * share / (self.baseline_n - 1.0) + rest * rest / (self.variation_n - 1.0))
    }

    pub fn critical_value(&self, error_rate: f64) -> f64 {
        t_two_sided_quantile(error_rate, self.degrees_of_freedom())
    }

    /// difference -+ c SE.
    pub fn interval(&self, critical: f64) -> Option<[f64; 2]> {
        let half = critical * self.standard_error;
        Some([
            finite(self.difference - half)?,
            finite(self.difference + half)?,
        ])
    }
}
