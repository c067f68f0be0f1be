//! Do three arms or more differ at all?

use super::at_least_least;
use super::distribution::f_upper;
use super::moments::{Moments, finite};
use super::note::Note;

/// Welch's analysis of variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Omnibus {
    pub f: f64,
    pub df1: f64,
    pub df2: f64,
    pub p: f64,
}

/// B. L. Welch, "On the Comparison of Several Mean Values: An Alternative Approach" (Biometrika 38,
/// 1951). Arms without a variance are left out; fewer than two others are an error.
pub fn welch_anova(arms: &[Moments]) -> Result<Omnibus, Note> {
    let used: Vec<(&Moments, f64)> = arms
        .iter()
        .filter_map(|arm| {
            let v = arm.variance()? / arm.n();
            (v > 0.0).then_some((arm, v))
        })
        .collect();
    let [(first, _), _, ..] = used.as_slice() else {
        return Err(Note::FewerThanTwoArms);
    };
    // Weights in shares of the smallest V, and means from the first arm's on, lose the least.
    let least = used.iter().map(|(_, v)| *v).fold(f64::INFINITY, f64::min);
    let weighted: Vec<(f64, f64, f64)> = used
        .iter()
        .filter_map(|(arm, v)| Some((arm.n(), least / v, arm.mean_less(first)?)))
        .collect();
    let total: f64 = weighted.iter().map(|(_, weight, _)| weight).sum();
    let mean = weighted.iter().map(|(_, w, x)| w * x).sum::<f64>() / total;
    let between: f64 = weighted
        .iter()
        .map(|(_, weight, x)| weight * ((x - mean) * ((x - mean) / least)))
        .sum();
    let imbalance: f64 = weighted
        .iter()
        .map(|(n, weight, _)| (1.0 - weight / total).powi(2) / (n - 1.0))
        .sum();
    let groups = f64::from(u32::try_from(weighted.len()).unwrap_or(u32::MAX));
    let df1 = groups - 1.0;
    let squared_less_one = groups * groups - 1.0;
    let f = between / df1 / (1.0 + 2.0 * (groups - 2.0) / squared_less_one * imbalance);
    let df2 = squared_less_one / (3.0 * imbalance);
    let p = at_least_least(f_upper(f, df1, df2));
    match (finite(f), finite(df2), finite(p)) {
        (Some(f), Some(df2), Some(p)) => Ok(Omnibus { f, df1, df2, p }),
        _ => Err(Note::FewerThanTwoArms),
    }
}
