//! The relative interval that never contradicts the test: Fieller's, with the test's own critical
//! value.
//!
//! The lifts l = m_B / m_A - 1 that the data do not exclude are those with
//! D l² - 2 P l + C <= 0, where D = m_A² - c² V_A, P = m_A diff + c² V_A and
//! C = diff² - c² SE² (E. C. Fieller, "Some Problems in Interval Estimation", JRSS B 16, 1954, with
//! both sides moved by one). C is the very quantity that decides the test: the limit next to zero
//! is C divided by something of a known sign, so that no rounding can part the two.

use super::moments::finite;
use super::note::Note;
use super::welch::Pair;

/// A relative interval, null on a side without a bound, and what to say of it.
pub(super) type Relative = (Option<[Option<f64>; 2]>, Option<Note>);

/// The limits of the lift relative to |m_A|, for a baseline whose mean is not 0.
pub(super) fn relative_interval(pair: &Pair, critical: f64, allow_negative: bool) -> Relative {
    let (a, b) = (pair.baseline_mean, pair.variation_mean);
    let square = critical * critical;
    let (v_a, v_b) = (square * pair.baseline_v, square * pair.variation_v);
    let half = critical * pair.standard_error;
    let constant = (pair.difference.abs() - half) * (pair.difference.abs() + half);
    let leading = a * a - v_a;
    let middle = a * pair.difference + v_a;
    // c² (m_A² V_B + m_B² V_A - c² V_A V_B): not negative where D > 0.
    let root = (a * a * v_b + b * b * v_a - v_a * v_b).max(0.0).sqrt();
    if leading > 0.0 {
        let [low, high] = if middle >= 0.0 {
            let far = middle + root;
            [constant / far, far / leading]
        } else {
            let far = middle - root;
            [far / leading, constant / far]
        };
        let limits = if a < 0.0 {
            [-high, -low]
        } else if allow_negative || b < 0.0 {
            [low, high]
        } else {
            // Nothing falls by more than all of it where there is nothing below 0.
            [low.max(-1.0), high]
        };
        let finite = finite(limits[0]).zip(finite(limits[1]));
        return (finite.map(|(low, high)| [Some(low), Some(high)]), None);
    }
    if allow_negative || a < 0.0 || b < 0.0 {
        return (None, Some(Note::NoBounds));
    }
    // The ratio itself: D r² - 2 m_A m_B r + (m_B² - c² V_B) <= 0 holds at r = 0 unless m_B is
    // beyond its own noise; then it holds from the positive root on.
    if b * b <= v_b {
        return (Some([None, None]), Some(Note::NoBounds));
    }
    match finite(constant / (middle + root)) {
        Some(low) => (Some([Some(low), None]), Some(Note::NoUpperBound)),
        None => (Some([None, None]), Some(Note::NoBounds)),
    }
}
