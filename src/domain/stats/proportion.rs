//! The interval of one arm's mean.

use super::distribution::{normal_two_sided_quantile, t_two_sided_quantile};
use super::error_rate;
use super::moments::{Moments, finite};

/// Wilson's score interval (JASA 22, 1927) where each visitor converted once or not at all, else
/// Student's t. None where there is no variance to go by.
#[must_use]
pub fn arm_interval(arm: &Moments, confidence: f64) -> Option<[f64; 2]> {
    let mean = arm.mean()?;
    let error_rate = error_rate(confidence, 1);
    if arm.is_binary() {
        return wilson(mean, arm.n(), normal_two_sided_quantile(error_rate));
    }
    let standard_error = arm.standard_error().filter(|error| *error > 0.0)?;
    let half = t_two_sided_quantile(error_rate, arm.n() - 1.0) * standard_error;
    Some([finite(mean - half)?, finite(mean + half)?])
}

fn wilson(rate: f64, n: f64, z: f64) -> Option<[f64; 2]> {
    let square = z * z / n;
    let center = (rate + 0.5 * square) / (1.0 + square);
    let half = (square * (rate * (1.0 - rate) + 0.25 * square)).sqrt() / (1.0 + square);
    // At a rate of 0 or 1 the limit is that rate, which the difference misses by a rounding.
    let low = if rate <= 0.0 {
        0.0
    } else {
        (center - half).max(0.0)
    };
    let high = if rate >= 1.0 {
        1.0
    } else {
        (center + half).min(1.0)
    };
    Some([finite(low)?, finite(high)?])
}
