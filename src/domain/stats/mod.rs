//! Statistics from moments: per arm the visitors n, the sum S and the sum of squares Q, and nothing
//! else. Numbers only, no I/O.
//!
//! `docs/statistics.md` says what each number means and where its formula comes from. Every
//! `Option<f64>` that is there is finite.

mod always_valid;
mod anova;
mod bayes;
mod best;
mod compare;
pub mod distribution;
mod fieller;
mod moments;
mod note;
mod power;
mod proportion;
mod score;
mod shares;
mod strata;
#[cfg(test)]
mod tests;
mod welch;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use always_valid::{
    AlwaysValid, EFFECTIVE_CONVERSIONS_FOR_ALWAYS_VALID, always_valid_interval,
};
pub use anova::{Omnibus, welch_anova};
pub use bayes::Bayes;
pub use best::chance_to_be_best;
pub use compare::{Comparison, Settings, compare};
pub use moments::Moments;
pub use note::Note;
pub use power::{POWER_QUANTILE, days_left};
pub use proportion::arm_interval;
pub use shares::{
    ALARM_P, ALARM_SHIFT, ChiSquare, Drift, LEAST_EXPECTED, allocation_drift, sample_ratio,
};
pub use strata::{
    EFFECTIVE_CONVERSIONS_FOR_INTERACTION, Interaction, MOST_SHARE_DROPPED, PostStratified,
    Stratum, interaction, post_stratify,
};

/// A smaller p is shown as this one.
pub const LEAST_P: f64 = 1e-300;

/// Which interval and p are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum IntervalKind {
    /// For one look at a day fixed in advance.
    Fixed,
    /// Holds however often one looks.
    AlwaysValid,
}

/// Exactly `NotEnoughData` where p is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Verdict {
    Better,
    Worse,
    Undecided,
    NotEnoughData,
}

/// Error rate of each of `family` comparisons, so that of all together it is 1 - `confidence`
/// (Bonferroni). Within (0, 1) whatever is asked for.
#[allow(
    clippy::manual_clamp,
    reason = "clamp would pass on a NaN, which max and min do not"
)]
fn error_rate(confidence: f64, family: u32) -> f64 {
    (1.0 - confidence).max(1e-12).min(1.0 - 1e-12) / f64::from(family.max(1))
}

fn at_least_least(p: f64) -> f64 {
    p.clamp(LEAST_P, 1.0)
}
