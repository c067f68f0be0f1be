//! The cumulative difference by day with its always-valid band, a panel per comparison on one
//! scale.

use askama::Template;

use super::scale::Range;
use super::time::{Axis, Step};
use super::{INNER_WIDTH, Tick, coordinate, path};
use crate::domain::agent_day::Day;
use crate::http::pages::format;

const HEIGHT: f64 = 190.0;

/// One day of one comparison, in the unit that is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct DayPoint {
    pub day: Day,
    pub complete: bool,
    pub difference: Option<f64>,
    pub band: Option<[f64; 2]>,
    /// The numbers in words.
    pub text: String,
    /// The difference alone.
    pub shown: String,
}

#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "charts/trend.html")]
pub struct TrendChart {
    pub id: String,
    pub title: String,
    pub description: String,
    /// Named in the picture's own heading.
    pub heading: String,
    band: String,
    line: String,
    /// Of an incomplete last day.
    unfinished: String,
    last: Option<Dot>,
    y_ticks: Vec<Tick>,
    zero: String,
    x_ticks: Vec<Tick>,
    hits: Vec<Hit>,
    /// Whether early days run out of the frame.
    pub clipped: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Dot {
    x: String,
    y: String,
    class: &'static str,
    text: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Hit {
    x: String,
    width: String,
    text: String,
}

/// One scale for all panels. The first days' bands are many times wider than the last ones' and
/// would flatten the rest: the frame holds every band of the second half, and every difference of
/// the last three quarters; what lies beyond is cut.
#[must_use]
pub fn common_range(comparisons: &[Vec<DayPoint>]) -> Option<Range> {
    let numbers = comparisons.iter().flat_map(|days| {
        let with_band = days.iter().filter(|day| day.band.is_some()).count();
        let first_with_band = days.len() - with_band;
        let bands = days[first_with_band + with_band / 2..]
            .iter()
            .filter_map(|day| day.band)
            .flatten();
        let differences = days[days.len() / 4..]
            .iter()
            .filter_map(|day| day.difference);
        bands.chain(differences).collect::<Vec<_>>()
    });
    Some(Range::of(numbers)?.including(0.0).padded(0.06))
}

impl TrendChart {
    /// `days` in order; `range` from [`common_range`].
    #[must_use]
    pub fn new(
        id: String,
        heading: String,
        description: String,
        days: &[DayPoint],
        range: Range,
    ) -> Self {
        let axis = Axis {
            step: Step::Day,
            days: days.iter().map(|day| day.day).collect(),
        };
        let x = |at: usize| axis.place(at);
        let y = |value: f64| HEIGHT * (1.0 - range.place(value));
        // SVG numbers have an end; what is far out of the frame is as good just out of it.
        let inner = |at: usize, value: f64| {
            (
                x(at) * INNER_WIDTH,
                y(value).clamp(-HEIGHT * 9.0, HEIGHT * 9.0),
            )
        };
        let points: Vec<_> = days
            .iter()
            .enumerate()
            .map(|(at, day)| day.difference.map(|value| inner(at, value)))
            .collect();
        let unfinished = days.last().is_some_and(|day| !day.complete);
        let (line, dotted) = axis.paths(&points, |at| !unfinished || at + 1 < days.len());
        let last = days
            .last()
            .and_then(|day| Some((day, day.difference?)))
            .map(|(day, value)| Dot {
                text: day.shown.clone(),
                x: coordinate(x(days.len() - 1) * 100.0),
                y: coordinate(y(value).clamp(0.0, HEIGHT)),
                class: if unfinished { "open" } else { "" },
            });
        let (ticks, decimals) = range.ticks(4);
        Self {
            title: format!("Cumulative difference by day: {heading}"),
            band: band(days, &axis, inner),
            line,
            unfinished: dotted,
            last,
            y_ticks: ticks
                .iter()
                .map(|tick| Tick {
                    at: coordinate(y(*tick)),
                    label: format::signed(*tick, decimals),
                    class: "",
                    anchor: "start",
                })
                .collect(),
            zero: coordinate(y(0.0)),
            x_ticks: axis.ticks(),
            hits: hits(days, &axis),
            clipped: days.iter().any(|day| {
                day.band
                    .is_some_and(|[low, high]| low < range.low || high > range.high)
            }),
            id,
            heading,
            description,
        }
    }
}

/// The area between the bounds, in as many pieces as there are runs of days with bounds.
fn band(days: &[DayPoint], axis: &Axis, inner: impl Fn(usize, f64) -> (f64, f64)) -> String {
    let mut drawn = String::new();
    let bounded: Vec<_> = days.iter().enumerate().collect();
    for run in bounded
        .chunk_by(|(at, a), (_, b)| a.band.is_some() == b.band.is_some() && axis.goes_on(*at))
    {
        let upper = run
            .iter()
            .filter_map(|(at, day)| day.band.map(|[_, high]| inner(*at, high)));
        let lower = run
            .iter()
            .rev()
            .filter_map(|(at, day)| day.band.map(|[low, _]| inner(*at, low)));
        let outline: Vec<_> = upper.chain(lower).map(Some).collect();
        if !outline.is_empty() {
            drawn.push_str(&path(&outline));
            drawn.push('Z');
        }
    }
    drawn
}

/// A column per day that shows its numbers under the pointer.
fn hits(days: &[DayPoint], axis: &Axis) -> Vec<Hit> {
    let width = axis.width();
    days.iter()
        .enumerate()
        .map(|(at, day)| Hit {
            x: coordinate(axis.place(at) * 100.0 - width / 2.0),
            width: coordinate(width),
            text: day.text.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i32, difference: f64, half: Option<f64>) -> DayPoint {
        DayPoint {
            day: Day(day),
            complete: true,
            difference: Some(difference),
            band: half.map(|half| [difference - half, difference + half]),
            text: String::new(),
            shown: String::new(),
        }
    }

    #[test]
    fn the_first_days_do_not_flatten_the_rest() {
        let days = vec![
            day(0, 90.0, None),
            day(1, 1.0, Some(500.0)),
            day(2, 1.0, Some(4.0)),
            day(3, 1.0, Some(3.0)),
            day(4, 1.0, Some(2.0)),
        ];
        let range = common_range(std::slice::from_ref(&days)).unwrap();
        assert!(range.low < -2.0 && range.low > -4.0, "{range:?}");
        assert!(range.high > 4.0 && range.high < 6.0, "{range:?}");
        let chart = TrendChart::new(String::new(), String::new(), String::new(), &days, range);
        assert!(chart.clipped);
        assert_eq!(common_range(&[]), None);
    }

    #[test]
    fn a_band_that_is_not_there_yet_is_not_drawn() {
        let days = [
            day(0, 1.0, None),
            day(1, 1.0, Some(1.0)),
            day(2, 1.0, Some(1.0)),
        ];
        let range = Range {
            low: 0.0,
            high: 2.0,
        };
        let chart = TrendChart::new(String::new(), String::new(), String::new(), &days, range);
        assert_eq!(chart.band, "M500 0L1000 0L1000 190L500 190Z");
        assert_eq!(chart.line, "M0 95L500 95L1000 95");
    }
    #[test]
    fn days_without_data_are_a_gap_in_the_line_and_in_the_band() {
        let days: Vec<DayPoint> = [0, 1, 9, 10]
            .map(|number| day(number, 1.0, Some(1.0)))
            .into();
        let range = Range {
            low: 0.0,
            high: 2.0,
        };
        let chart = TrendChart::new(String::new(), String::new(), String::new(), &days, range);
        assert_eq!(chart.line, "M0 95L100 95M900 95L1000 95");
        assert_eq!(
            chart.band,
            "M0 0L100 0L100 190L0 190ZM900 0L1000 0L1000 190L900 190Z"
        );
        let hits: Vec<_> = chart
            .hits
            .iter()
            .map(|hit| (&*hit.x, &*hit.width))
            .collect();
        assert_eq!(
            hits,
            [("-5", "10"), ("5", "10"), ("85", "10"), ("95", "10")]
        );
    }
}
