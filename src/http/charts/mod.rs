//! Charts as SVG, drawn on the server: plain geometry here, markup in `templates/charts`.
//!
//! A chart is as wide as its place and never scaled as a picture: what has a size of its own (text,
//! marks) stands at a percentage, and lines stretch in an inner viewport of 1000 units whose
//! strokes keep their width. Colours and dashes are classes, so that the reader's scheme and the
//! strict content security policy both hold.

pub mod intervals;
pub mod lines;
pub mod scale;
pub mod time;
pub mod trend;

use std::fmt::Write as _;

/// Width of the inner viewport in which lines are drawn.
pub const INNER_WIDTH: f64 = 1000.0;

/// A label of an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Percent of the width, or pixels from the top.
    pub at: String,
    pub label: String,
    pub class: &'static str,
    /// `start`, `middle` or `end`.
    pub anchor: &'static str,
}

/// Two decimals, none where they are zero. A page holds thousands of coordinates: they are written
/// as whole numbers of hundredths, which takes a fraction of the time.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    reason = "coordinates lie on a screen; others would be drawn at its edge"
)]
pub fn coordinate(x: f64) -> String {
    let hundredths = (x * 100.0).round() as i64;
    let sign = if hundredths < 0 { "-" } else { "" };
    let magnitude = hundredths.unsigned_abs();
    let (whole, rest) = (magnitude / 100, magnitude % 100);
    match (rest / 10, rest % 10) {
        (0, 0) => format!("{sign}{whole}"),
        (tenths, 0) => format!("{sign}{whole}.{tenths}"),
        _ => format!("{sign}{whole}.{rest:02}"),
    }
}

/// A path through the points that there are, with a gap for each that is missing. A point between
/// two gaps is a dot, as a line of no length with round ends.
#[must_use]
pub fn path(points: &[Option<(f64, f64)>]) -> String {
    let mut drawn = String::new();
    let mut pen_down = false;
    for (at, point) in points.iter().enumerate() {
        let Some((x, y)) = point else {
            pen_down = false;
            continue;
        };
        let command = if pen_down { 'L' } else { 'M' };
        let (x, y) = (coordinate(*x), coordinate(*y));
        // Writing to a String does not fail.
        let _ = write!(drawn, "{command}{x} {y}");
        if !pen_down && points.get(at + 1).is_none_or(Option::is_none) {
            drawn.push_str("h0");
        }
        pen_down = true;
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinate_has_two_decimals_at_most() {
        for (x, text) in [
            (0.0, "0"),
            (-0.004, "0"),
            (-0.25, "-0.25"),
            (-12.5, "-12.5"),
            (7.0, "7"),
            (7.049, "7.05"),
            (99.999, "100"),
            (640.1, "640.1"),
        ] {
            assert_eq!(coordinate(x), text);
        }
    }

    #[test]
    fn a_path_has_gaps_and_dots() {
        let check = |points: &[Option<(f64, f64)>], expected: &str| {
            assert_eq!(path(points), expected);
        };
        check(&[], "");
        check(&[Some((0.0, 1.0))], "M0 1h0");
        check(&[Some((0.0, 1.0)), Some((2.5, 3.25))], "M0 1L2.5 3.25");
        check(
            &[Some((0.0, 1.0)), None, Some((2.0, 3.0)), Some((3.0, 3.0))],
            "M0 1h0M2 3L3 3",
        );
    }
}
