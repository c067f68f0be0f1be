//! The rules in a hurry: nearly every cell of a file breaks none, and few instructions show it.

use super::super::data_source::Dating;
use super::CLEARLY;

/// One goal's numbers in a cell, none of them large.
#[derive(Debug, Clone, Copy)]
pub struct Quick {
    pub count: u64,
    pub count_sumsq: u64,
    /// Value and its sum of squares, as doubles.
    pub values: Option<(f64, f64)>,
}

/// With counts below, all products fit into 64 bits, and doubles hold every whole number exactly.
const MOST_COUNT: u64 = 1 << 24;
const MOST_SQUARES: u64 = 1 << 36;

impl Quick {
    /// Whether the cell clearly breaks no rule. Where this says no, [`super::check_cell`] knows.
    #[inline]
    #[must_use]
    pub fn is_sound(&self, visitors: u64, dating: Dating) -> bool {
        let (count, squares) = (self.count, self.count_sumsq);
        if count == 0 {
            return squares == 0 && self.values.is_none_or(|values| values == (0.0, 0.0));
        }
        if count > MOST_COUNT || squares > MOST_SQUARES || squares < count {
            return false;
        }
        let beyond = squares - count;
        if beyond % 2 == 1 || squares > count * count {
            return false;
        }
        let Some(most) = count.checked_sub(smallest_with_product(beyond)) else {
            return false;
        };
        if most * squares < count * count || most + beyond / 2 < count {
            return false;
        }
        let one_day = dating == Dating::Exposure;
        if one_day && !on_one_day(visitors, count, squares) {
            return false;
        }
        let Some((sum, sumsq)) = self.values else {
            return true;
        };
        // V^2 between W and K W, and not beyond N W.
        let fewest = if one_day { most.min(visitors) } else { most };
        #[allow(clippy::cast_precision_loss, reason = "below 2^24")]
        let most_square = sumsq * fewest as f64;
        let square = sum * sum;
        count > 1 && sum > 0.0 && square * CLEARLY < most_square && sumsq * CLEARLY < square
    }
}

/// Whether so many visitors can have had the events on one day.
#[inline]
fn on_one_day(visitors: u64, count: u64, squares: u64) -> bool {
    if visitors < 2 || squares == count {
        return visitors >= 2 && count <= visitors;
    }
    if count <= visitors {
        return true;
    }
    let (each, rest) = (count / visitors, count % visitors);
    squares >= visitors * each * each + rest * (2 * each + 1)
}

/// The smallest E with E (E + 1) >= `product`, which is at most 2^36.
#[inline]
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole numbers below 2^39 are exact as doubles"
)]
fn smallest_with_product(product: u64) -> u64 {
    if product == 0 {
        return 0;
    }
    let root = ((4 * product + 1) as f64).sqrt() as u64;
    let below = (root - 1) / 2;
    below + u64::from(below * (below + 1) < product)
}
