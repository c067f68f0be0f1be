//! The sum-of-squares rules: what no set of visitors can have produced.
//!
//! Pure functions of one cell: N visitors, C events, Q = the sum over visitors of the squared
//! number of events, V = the sum of values, W = the sum over visitors of the squared value. Whole
//! numbers are compared exactly. Values are compared within what printing loses: one unit of the
//! last written digit of V and of W, and 1e-9 of the greater side (warehouses sum doubles).

mod quick;
mod words;

pub use quick::Quick;
pub use words::GoalColumn;

use ethnum::I256;

use super::agent_day::{Decimal, GoalCounts, GoalValues};
use super::data_source::Dating;
use super::finding::FindingKind;

/// No count in a file is greater.
pub const MAX_COUNT: u64 = 1_000_000_000_000_000;

/// A rule that a cell broke. [`Rule::kind`] says whether it holds whatever the dating.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// C > 0 needs Q > 0.
    CountWithoutSquares,
    /// Q > 0 needs C > 0.
    SquaresWithoutCount,
    /// C <= Q, since x <= x^2 for whole x.
    SumOfSquaresTooSmall,
    /// Q <= C^2, which is one visitor with all events.
    SumOfSquaresTooLarge,
    /// Q and C are both even or both odd, since x^2 and x are.
    SumOfSquaresParity,
    /// The bounds of the number of converters cross.
    NoConverters,
    /// V >= 0 where the goal allows no negative values.
    NegativeValue,
    /// W >= 0: squares are not negative.
    NegativeSumOfSquares,
    /// W = 0 needs V = 0.
    ValueWithoutSquares,
    /// C = 0 needs V = W = 0.
    ValueWithoutEvents,
    /// W <= V^2, which is one visitor with the whole value.
    ValueSquaresTooLarge,
    /// C = 1 needs W = V^2.
    SingleEventSquare,
    /// V^2 <= K W for the most converters K that the counts allow.
    ValueSquaresTooSmall,
    /// N = 0 needs C = Q = V = W = 0.
    EventsWithoutVisitors,
    /// Q = C says one event each, so C <= N.
    MoreConvertersThanVisitors,
    /// Q is at least that of C events spread evenly over N visitors.
    SumOfSquaresBelowEven,
    /// N = 1 needs Q = C^2.
    SingleVisitorSquare,
    /// N = 1 needs W = V^2.
    SingleVisitorValueSquare,
    /// V^2 <= N W.
    ValueSquaresBelowEven,
}

impl Rule {
    /// Which data the rule speaks about: every dating ([`FindingKind::Always`]), or only those
    /// where each visitor stands on one day ([`FindingKind::Dating`]).
    #[must_use]
    pub fn kind(self) -> FindingKind {
        match self {
            Self::EventsWithoutVisitors
            | Self::MoreConvertersThanVisitors
            | Self::SumOfSquaresBelowEven
            | Self::SingleVisitorSquare
            | Self::SingleVisitorValueSquare
            | Self::ValueSquaresBelowEven => FindingKind::Dating,
            _ => FindingKind::Always,
        }
    }
}

/// The first rule that the counts break and the first that the values break; an "always" rule
/// before one of dating, which is not asked where `dating` is [`Dating::Event`].
#[must_use]
pub fn check_cell(
    visitors: u64,
    goal: &GoalCounts,
    allow_negative: bool,
    dating: Dating,
) -> [Option<Rule>; 2] {
    let one_day = dating == Dating::Exposure;
    let counts = counts_always(goal).or_else(|| {
        if one_day {
            counts_on_one_day(visitors, goal)
        } else {
            None
        }
    });
    let values = goal.values.and_then(|values| {
        values_always(goal, values, allow_negative).or_else(|| {
            if one_day {
                values_on_one_day(visitors, values)
            } else {
                None
            }
        })
    });
    // One sentence is enough for events without visitors.
    let values = values.filter(|rule| {
        !(*rule == Rule::EventsWithoutVisitors && counts == Some(Rule::EventsWithoutVisitors))
    });
    [counts, values]
}

/// How many visitors had at least one event, from the counts alone: the fewest and the most.
/// None where no number of visitors can have produced them.
///
/// With D = Q - C: max(ceil(C^2/Q), C - D/2) <= K <= C - ceil((sqrt(1 + 4 D) - 1) / 2). The first
/// is Cauchy's; the others hold since D = sum of x(x - 1) over converters lies between 2 E and
/// E (E + 1), where E = C - K is the number of events beyond each one's first.
#[must_use]
pub fn converters(count: u64, count_sumsq: u128) -> Option<(u64, u64)> {
    if count == 0 {
        return (count_sumsq == 0).then_some((0, 0));
    }
    let most = most_converters(count, count_sumsq)?;
    let (events, beyond) = (u128::from(count), count_sumsq - u128::from(count));
    let fewest = (events * events)
        .div_ceil(count_sumsq)
        .max(events.saturating_sub(beyond / 2));
    Some((u64::try_from(fewest).ok()?, most))
}

/// The upper bound of [`converters`] for `count` > 0; None where the bounds cross.
///
/// Without a division, which for 128 bits would take longer than all the rest.
fn most_converters(count: u64, count_sumsq: u128) -> Option<u64> {
    let events = u128::from(count);
    let beyond = count_sumsq.checked_sub(events)?;
    if !beyond.is_multiple_of(2) || count_sumsq > events * events {
        return None;
    }
    let most = events.checked_sub(smallest_with_product(beyond))?;
    let crossed = most.saturating_mul(count_sumsq) < events * events || most + beyond / 2 < events;
    if crossed {
        None
    } else {
        u64::try_from(most).ok()
    }
}

/// The smallest E with E (E + 1) >= `product`, which is at most 1e30.
fn smallest_with_product(product: u128) -> u128 {
    let discriminant = 4 * product + 1;
    // Nearly all fit into 64 bits, where the root is several times quicker.
    let root = match u64::try_from(discriminant) {
        Ok(small) => u128::from(small.isqrt()),
        Err(_) => discriminant.isqrt(),
    };
    let below = (root - 1) / 2;
    if below * (below + 1) >= product {
        below
    } else {
        below + 1
    }
}

fn counts_always(goal: &GoalCounts) -> Option<Rule> {
    let count = u128::from(goal.count);
    let squares = goal.count_sumsq;
    if count == squares {
        return None;
    }
    if squares == 0 {
        Some(Rule::CountWithoutSquares)
    } else if count == 0 {
        Some(Rule::SquaresWithoutCount)
    } else if squares < count {
        Some(Rule::SumOfSquaresTooSmall)
    } else if squares > count * count {
        Some(Rule::SumOfSquaresTooLarge)
    } else if !(squares - count).is_multiple_of(2) {
        Some(Rule::SumOfSquaresParity)
    } else if most_converters(goal.count, squares).is_none() {
        Some(Rule::NoConverters)
    } else {
        None
    }
}

fn counts_on_one_day(visitors: u64, goal: &GoalCounts) -> Option<Rule> {
    let (visitors, count, squares) = (
        u128::from(visitors),
        u128::from(goal.count),
        goal.count_sumsq,
    );
    if count == 0 {
        return None;
    }
    if visitors == 0 {
        return Some(Rule::EventsWithoutVisitors);
    }
    if squares == count {
        return (count > visitors).then_some(Rule::MoreConvertersThanVisitors);
    }
    if visitors == 1 {
        return (squares != count * count).then_some(Rule::SingleVisitorSquare);
    }
    if count <= visitors {
        // At most one event each, which Q >= C allows.
        return None;
    }
    let (each, rest) = (count / visitors, count % visitors);
    let even = visitors * each * each + rest * (2 * each + 1);
    (squares < even).then_some(Rule::SumOfSquaresBelowEven)
}

fn values_always(goal: &GoalCounts, values: GoalValues, allow_negative: bool) -> Option<Rule> {
    let (sum, squares) = (values.sum, values.sumsq);
    if below_zero(squares) {
        return Some(Rule::NegativeSumOfSquares);
    }
    if allow_negative {
        // Refunds need not be events, so the counts bound no number of visitors.
        let none = squares.units == 0 && above(sum, squares, MAX_COUNT);
        return none.then_some(Rule::ValueWithoutSquares);
    }
    if below_zero(sum) {
        return Some(Rule::NegativeValue);
    }
    if goal.count == 0 {
        let none = within_unit(sum) && within_unit(squares);
        return (!none).then_some(Rule::ValueWithoutEvents);
    }
    // Counts that are broken themselves still bound the converters.
    let most = most_converters(goal.count, goal.count_sumsq).unwrap_or(goal.count);
    let too_small = above(sum, squares, most);
    if squares.units == 0 {
        return too_small.then_some(Rule::ValueWithoutSquares);
    }
    if goal.count == 1 && (too_small || beneath(sum, squares)) {
        Some(Rule::SingleEventSquare)
    } else if beneath(sum, squares) {
        Some(Rule::ValueSquaresTooLarge)
    } else if too_small {
        Some(Rule::ValueSquaresTooSmall)
    } else {
        None
    }
}

fn values_on_one_day(visitors: u64, values: GoalValues) -> Option<Rule> {
    let (sum, squares) = (values.sum, values.sumsq);
    match visitors {
        0 if within_unit(sum) && within_unit(squares) => None,
        0 => Some(Rule::EventsWithoutVisitors),
        1 => (above(sum, squares, 1) || beneath(sum, squares))
            .then_some(Rule::SingleVisitorValueSquare),
        _ => above(sum, squares, visitors).then_some(Rule::ValueSquaresBelowEven),
    }
}

/// One unit of the last written digit, in units of 1e-12.
fn last_digit(value: Decimal) -> i128 {
    10_i128.pow(
        u32::try_from(12 - i32::from(value.decimals))
            .unwrap_or(0)
            .min(36),
    )
}

fn below_zero(value: Decimal) -> bool {
    value.units < 0 && value.units < -last_digit(value)
}

fn within_unit(value: Decimal) -> bool {
    value.units == 0 || value.units.abs() <= last_digit(value)
}

/// V^2 > `visitors` W, beyond the tolerance.
fn above(sum: Decimal, squares: Decimal, visitors: u64) -> bool {
    let (left, right) = roughly(sum, squares, visitors);
    if left * CLEARLY < right {
        return false;
    }
    let sides = Sides::new(sum, squares, visitors);
    sides.left - sides.right > sides.tolerance
}

/// V^2 < W, beyond the tolerance.
fn beneath(sum: Decimal, squares: Decimal) -> bool {
    let (left, right) = roughly(sum, squares, 1);
    if right * CLEARLY < left {
        return false;
    }
    let sides = Sides::new(sum, squares, 1);
    sides.right - sides.left > sides.tolerance
}

/// Beyond all that doubles lose.
const CLEARLY: f64 = 1.0 + 1e-6;

/// V^2 and k W as doubles, which settle nearly every cell: wide products would cost most of the
/// time.
#[allow(
    clippy::cast_precision_loss,
    reason = "the margin is a thousand million times the loss"
)]
fn roughly(sum: Decimal, squares: Decimal, visitors: u64) -> (f64, f64) {
    let sum = sum.units as f64;
    let squares = squares.units as f64 * Decimal::ONE as f64;
    (sum * sum, squares * visitors as f64)
}

/// Both sides of V^2 <= k W and what they may differ by, in units of 1e-24. At most 1e73, where
/// 256 bits hold 5e76.
struct Sides {
    left: I256,
    right: I256,
    tolerance: I256,
}

impl Sides {
    fn new(sum: Decimal, squares: Decimal, visitors: u64) -> Self {
        let one = I256::from(Decimal::ONE);
        let magnitude = I256::from(sum.units.abs());
        let digit = I256::from(last_digit(sum));
        let visitors = I256::from(visitors);
        let left = magnitude * magnitude;
        let right = visitors * I256::from(squares.units) * one;
        let written = I256::from(2) * magnitude * digit
            + digit * digit
            + visitors * I256::from(last_digit(squares)) * one;
        let relative = left.max(right) / I256::from(1_000_000_000);
        Self {
            left,
            right,
            tolerance: written + relative,
        }
    }
}

#[cfg(test)]
mod tests;
