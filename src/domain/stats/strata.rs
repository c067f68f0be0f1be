//! One comparison in each stratum (a day, a trait value): what they say together, and whether they
//! agree.

use super::distribution::{chi_square_upper, normal_two_sided_quantile, normal_upper};
use super::moments::{Moments, finite};
use super::note::Note;
use super::welch::Pair;
use super::{at_least_least, error_rate};

/// S²/Q that each arm must have where trait values are asked whether they agree.
pub const EFFECTIVE_CONVERSIONS_FOR_INTERACTION: f64 = 20.0;

/// A post-stratified difference leaves out no greater share of the visitors.
pub const MOST_SHARE_DROPPED: f64 = 0.1;

#[derive(Debug, Clone, PartialEq)]
pub struct Stratum {
    /// Of all arms in the test.
    pub visitors: u64,
    pub baseline: Moments,
    pub variation: Moments,
}

/// The difference that the arms would show if both had the strata's shares of all visitors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PostStratified {
    pub difference: f64,
    pub standard_error: f64,
    pub interval: [f64; 2],
    pub p: f64,
    /// Of the visitors, 0 to 1: those in strata with fewer than two visitors in an arm.
    pub share_dropped: f64,
}

/// With v_k the stratum's share of all visitors N: sum v_k d_k, whose variance is
/// sum v_k² (V_Ak + V_Bk), and (sum v_k d_k² - (sum v_k d_k)²) / N since the shares are themselves
/// counted (L. Miratrix, J. Sekhon and B. Yu, "Adjusting Treatment Effect Estimates by
/// Post-Stratification in Randomized Experiments", JRSS B 75, 2013). Normal quantile, at
/// 1 - (1 - `confidence`) / `family`.
pub fn post_stratify(
    strata: &[Stratum],
    confidence: f64,
    family: u32,
) -> Result<PostStratified, Note> {
    let total: u128 = strata.iter().map(|one| u128::from(one.visitors)).sum();
    let kept: Vec<(f64, Pair)> = strata
        .iter()
        .filter(|one| one.visitors > 0)
        .filter_map(|one| {
            let pair = Pair::new(&one.baseline, &one.variation).ok()?;
            Some((to_f64(u128::from(one.visitors)), pair))
        })
        .collect();
    let visitors: f64 = kept.iter().map(|(visitors, _)| visitors).sum();
    if kept.is_empty() {
        return Err(Note::NoStrata);
    }
    let share_dropped = (1.0 - visitors / to_f64(total)).max(0.0);
    if share_dropped > MOST_SHARE_DROPPED {
        return Err(Note::TooMuchDropped);
    }
    let shares = || kept.iter().map(|(own, pair)| (own / visitors, pair));
    let difference: f64 = shares().map(|(share, pair)| share * pair.difference).sum();
    let sampling: f64 = shares()
        .map(|(share, pair)| share * share * (pair.baseline_v + pair.variation_v))
        .sum();
    let of_shares: f64 = shares()
        .map(|(share, pair)| share * (pair.difference - difference).powi(2))
        .sum();
    let standard_error = (sampling + of_shares / visitors).sqrt();
    if !(standard_error > 0.0 && standard_error.is_finite() && difference.is_finite()) {
        return Err(Note::NoStrata);
    }
    let half = normal_two_sided_quantile(error_rate(confidence, family)) * standard_error;
    let z = difference / standard_error;
    Ok(PostStratified {
        difference,
        standard_error,
        interval: [difference - half, difference + half],
        p: at_least_least(2.0 * normal_upper(z.abs())),
        share_dropped,
    })
}

/// Cochran's Q: do the differences of several trait values differ by more than chance?
#[derive(Debug, Clone, PartialEq)]
pub struct Interaction {
    pub q: f64,
    pub df: f64,
    pub p: f64,
    /// Positions of the values that were compared.
    pub values: Vec<usize>,
    /// Those with too few conversions in an arm.
    pub left_out: Vec<usize>,
}

/// W. Cochran, "The Combination of Estimates from Different Experiments" (Biometrics 10, 1954):
/// sum (d_k - d)² / var_k around the mean weighted by 1 / var_k, over (baseline, variation) of each
/// value; chi-square with one degree of freedom fewer than values.
pub fn interaction(values: &[(Moments, Moments)]) -> Result<Interaction, Note> {
    let mut used = Vec::new();
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for (index, (baseline, variation)) in values.iter().enumerate() {
        let pair = Pair::new(baseline, variation)
            .ok()
            .filter(|pair| pair.has_variance() && has_enough(baseline) && has_enough(variation));
        match pair {
            Some(pair) => {
                kept.push(index);
                used.push((pair.difference, pair.standard_error));
            }
            None => left_out.push(index),
        }
    }
    if used.len() < 2 {
        return Err(Note::FewerThanTwoValues);
    }
    // In units of the smallest standard error, so that no weight overflows.
    let unit = used.iter().map(|(_, se)| *se).fold(f64::INFINITY, f64::min);
    let weighted = || used.iter().map(|(d, se)| ((unit / se).powi(2), d / unit));
    let total: f64 = weighted().map(|(weight, _)| weight).sum();
    let mean = weighted().map(|(weight, d)| weight * d).sum::<f64>() / total;
    let q: f64 = weighted()
        .map(|(weight, d)| weight * (d - mean).powi(2))
        .sum();
    let df = f64::from(u32::try_from(used.len()).unwrap_or(u32::MAX)) - 1.0;
    Ok(Interaction {
        q: finite(q).ok_or(Note::FewerThanTwoValues)?,
        df,
        p: at_least_least(chi_square_upper(q, df)),
        values: kept,
        left_out,
    })
}

fn has_enough(arm: &Moments) -> bool {
    arm.effective_conversions()
        .is_some_and(|effective| effective >= EFFECTIVE_CONVERSIONS_FOR_INTERACTION)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a share needs no more than 53 bits"
)]
fn to_f64(visitors: u128) -> f64 {
    visitors as f64
}
