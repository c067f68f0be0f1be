//! Intervals on one axis with zero marked: the comparisons of a view, or one comparison by trait.

use askama::Template;

use super::scale::Range;
use super::{Tick, coordinate};
use crate::http::pages::format;

/// Pixels from one interval to the next; the style sheet's labels are as high.
const ROW: u32 = 44;
const AXIS: u32 = 44;

/// What a mark's colour and shape say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    Better,
    Worse,
    Undecided,
    /// The report can't be trusted, or no verdict is asked for.
    Unjudged,
}

impl Judgement {
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Undecided => "undecided",
            Self::Unjudged => "unjudged",
        }
    }

    /// Around the origin: a triangle up, a triangle down, a diamond, a square.
    #[must_use]
    pub fn shape(self) -> &'static str {
        match self {
            Self::Better => "M0-6.5 6 5H-6Z",
            Self::Worse => "M0 6.5 6-5H-6Z",
            Self::Undecided => "M0-6 6 0 0 6-6 0Z",
            Self::Unjudged => "M-5-5H5V5H-5Z",
        }
    }
}

/// One interval, in the unit that is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    pub label: String,
    pub detail: String,
    /// The numbers in words.
    pub text: String,
    pub estimate: f64,
    /// None: no bound on that side.
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub judgement: Judgement,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Words {
    /// Unique in the page.
    pub id: String,
    pub title: String,
    pub description: String,
    /// Below the axis.
    pub unit: String,
    /// Which side of zero is the good one; None where it is not to be said.
    pub good_is_right: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "charts/intervals.html")]
pub struct IntervalChart {
    pub words: Words,
    pub rows: Vec<Interval>,
    marks: Vec<Mark>,
    ticks: Vec<Tick>,
    zero: String,
    height: u32,
    plot_height: u32,
}

/// In percent of the width, and pixels.
#[derive(Debug, Clone, PartialEq)]
struct Mark {
    y: u32,
    low: String,
    high: String,
    at: String,
    judgement: Judgement,
    bounded_below: bool,
    bounded_above: bool,
    text: String,
}

impl IntervalChart {
    /// None where there is nothing to draw.
    #[must_use]
    pub fn new(words: Words, rows: Vec<Interval>) -> Option<Self> {
        let numbers = rows
            .iter()
            .flat_map(|row| [Some(row.estimate), row.low, row.high])
            .flatten();
        let range = Range::of(numbers)?.including(0.0).padded(0.04);
        let percent = |x: f64| coordinate((range.place(x) * 100.0).clamp(0.0, 100.0));
        let mut marks = Vec::with_capacity(rows.len());
        let mut y = ROW / 2;
        for row in &rows {
            marks.push(Mark {
                y,
                low: percent(row.low.unwrap_or(range.low)),
                high: percent(row.high.unwrap_or(range.high)),
                at: percent(row.estimate),
                judgement: row.judgement,
                bounded_below: row.low.is_some(),
                bounded_above: row.high.is_some(),
                text: format!("{}: {}", row.label, row.text),
            });
            y += ROW;
        }
        let plot_height = y - ROW / 2;
        Some(Self {
            words,
            marks,
            ticks: ticks(range),
            zero: percent(0.0),
            height: plot_height + AXIS,
            plot_height,
            rows,
        })
    }
}

fn ticks(range: Range) -> Vec<Tick> {
    let (ticks, decimals) = range.ticks(6);
    let zero_at = ticks
        .iter()
        .position(|tick| tick.abs() < f64::EPSILON)
        .unwrap_or(0);
    ticks
        .iter()
        .enumerate()
        .map(|(at, tick)| Tick {
            at: coordinate(range.place(*tick) * 100.0),
            label: format::signed(*tick, decimals),
            // Every other one, counted from zero, is left out where there is little room.
            class: if at.abs_diff(zero_at) % 2 == 1 {
                "wide"
            } else {
                ""
            },
            anchor: "middle",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_in_the_chart_and_an_open_side_reaches_its_end() {
        let words = Words {
            id: "x".to_owned(),
            title: String::new(),
            description: String::new(),
            unit: String::new(),
            good_is_right: Some(true),
        };
        assert_eq!(IntervalChart::new(words.clone(), Vec::new()), None);
        let row = Interval {
            label: "<B>".to_owned(),
            detail: String::new(),
            text: String::new(),
            estimate: 3.0,
            low: Some(2.0),
            high: None,
            judgement: Judgement::Better,
        };
        let chart = IntervalChart::new(words, vec![row]).unwrap();
        let (zero, mark) = (&chart.zero, &chart.marks[0]);
        assert_eq!(
            (zero.as_str(), mark.low.as_str(), mark.high.as_str()),
            ("3.7", "65.43", "100")
        );
        assert!(mark.bounded_below && !mark.bounded_above);
        let html = chart.render().unwrap();
        assert!(
            html.contains("&#60;B&#62;") && html.contains("better →"),
            "{html}"
        );
    }
}
