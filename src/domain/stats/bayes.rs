//! What a reader who knew nothing before may believe: a flat prior on the difference, which the
//! data make normal around what was seen.

use crate::domain::data_source::GoodDirection;

use super::distribution::{normal_density, normal_upper};
use super::moments::finite;
use super::welch::Pair;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bayes {
    /// That the variation is better, 0 to 1.
    pub chance_to_win: f64,
    /// How much worse than the baseline the variation is on average, counting nothing where it is
    /// better: what choosing it costs, in units of the mean.
    pub expected_loss: f64,
}

/// With d the difference signed so that good is up, and z = d / SE: Phi(z), and
/// SE phi(z) - d Phi(-z).
pub(super) fn bayes(pair: &Pair, direction: GoodDirection) -> Option<Bayes> {
    let z = match direction {
        GoodDirection::Increase => pair.t(),
        GoodDirection::Decrease => -pair.t(),
    };
    let loss = if z > 40.0 {
        0.0
    } else {
        pair.standard_error * (normal_density(z) - z * normal_upper(z))
    };
    Some(Bayes {
        chance_to_win: finite(normal_upper(-z))?,
        expected_loss: finite(loss.max(0.0))?,
    })
}
