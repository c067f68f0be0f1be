//! A line per group over days or weeks. Up to six groups share one chart, each with a dash of its
//! own and its name at its end; more of them get a small chart each, on one scale.

use askama::Template;

use super::scale::Range;
use super::time::Axis;
use super::{INNER_WIDTH, Tick, coordinate};
use crate::domain::agent_day::Day;
use crate::http::pages::format;

/// As many dashes and colours as the style sheet tells apart.
pub const MOST_IN_ONE: usize = 6;
/// Small charts beyond these are left out; the table has them all.
pub const MOST_SMALL: usize = 24;

/// Characters of a name that needs little room.
const BRIEF: usize = 4;

const TALL: f64 = 300.0;
const SMALL: f64 = 120.0;
/// Pixels from one name at a line's end to the next.
const NAME_HEIGHT: f64 = 17.0;

/// One group, with a number per column.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub name: String,
    pub values: Vec<Option<f64>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub id: String,
    pub title: String,
    pub description: String,
    pub axis: Axis,
    /// Of each column: false for a day or week that is not over, or is cut.
    pub complete: Vec<bool>,
    pub series: Vec<Series>,
    /// Numbers that count start at zero; rates need not.
    pub from_zero: bool,
    pub suffix: &'static str,
}

#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "charts/lines.html")]
pub struct LineCharts {
    pub panels: Vec<Panel>,
    /// Groups with no chart of their own.
    pub left_out: usize,
    pub small: bool,
    /// Whether the names at the lines' ends need little room.
    pub brief: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    id: String,
    title: String,
    description: String,
    /// Of a small chart.
    heading: String,
    lines: Vec<Line>,
    y_ticks: Vec<Tick>,
    x_ticks: Vec<Tick>,
    hits: Vec<(String, String, String)>,
    height: String,
    whole_height: String,
    labels_at: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Line {
    name: String,
    class: String,
    path: String,
    unfinished: String,
    end: Option<(String, String)>,
    name_at: String,
}

impl LineCharts {
    /// None where there is nothing to draw.
    #[must_use]
    pub fn new(input: &Input) -> Option<Self> {
        let numbers = input
            .series
            .iter()
            .flat_map(|series| series.values.iter().copied().flatten());
        let range = Range::of(numbers)?;
        let range = if input.from_zero {
            range.including(0.0)
        } else {
            range.padded(0.05)
        }
        .rounded(4);
        let small = input.series.len() > MOST_IN_ONE;
        let panels = if small {
            (0..input.series.len().min(MOST_SMALL))
                .map(|at| panel(input, range, Some(at)))
                .collect()
        } else {
            vec![panel(input, range, None)]
        };
        Some(Self {
            panels,
            left_out: if small {
                input.series.len().saturating_sub(MOST_SMALL)
            } else {
                0
            },
            small,
            brief: input
                .series
                .iter()
                .all(|series| series.name.chars().count() <= BRIEF),
        })
    }
}

/// All groups with their names, or the one at `only` before the others in the background.
fn panel(input: &Input, range: Range, only: Option<usize>) -> Panel {
    let height = if only.is_some() { SMALL } else { TALL };
    let mut lines: Vec<Line> = input
        .series
        .iter()
        .enumerate()
        .filter(|(at, _)| only.is_none_or(|only| only == *at))
        .map(|(at, series)| {
            let class = if only.is_some() { 0 } else { at };
            line(input, series, format!("series s{class}"), range, height)
        })
        .collect();
    spread_names(&mut lines, height);
    let name = only.map_or("", |at| input.series[at].name.as_str());
    let (ticks, decimals) = range.ticks(if only.is_some() { 2 } else { 5 });
    Panel {
        id: only.map_or_else(|| input.id.clone(), |at| format!("{}-{at}", input.id)),
        title: if only.is_some() {
            format!("{}: {name}", input.title)
        } else {
            input.title.clone()
        },
        description: input.description.clone(),
        heading: name.to_owned(),
        y_ticks: ticks
            .iter()
            .map(|tick| Tick {
                at: coordinate(height * (1.0 - range.place(*tick))),
                label: format!("{}{}", format::fixed(*tick, decimals), input.suffix),
                class: "",
                anchor: "start",
            })
            .collect(),
        x_ticks: if only.is_some() {
            ends(&input.axis)
        } else {
            input.axis.ticks()
        },
        hits: hits(input, only),
        height: coordinate(height),
        whole_height: coordinate(height + 24.0),
        labels_at: coordinate(height + 18.0),
        lines,
    }
}

fn line(input: &Input, series: &Series, class: String, range: Range, height: f64) -> Line {
    let axis = &input.axis;
    let y = |value: f64| height * (1.0 - range.place(value));
    let points: Vec<_> = series
        .values
        .iter()
        .enumerate()
        .map(|(at, value)| value.map(|value| (axis.place(at) * INNER_WIDTH, y(value))))
        .collect();
    let (whole, unfinished) = axis.paths(&points, |at| input.complete.get(at) != Some(&false));
    let last = series
        .values
        .iter()
        .enumerate()
        .rev()
        .find_map(|(at, value)| value.map(|value| (at, value)));
    Line {
        name: series.name.clone(),
        class,
        path: whole,
        unfinished,
        end: last.map(|(at, value)| (coordinate(axis.place(at) * 100.0), coordinate(y(value)))),
        name_at: coordinate(last.map_or(height, |(_, value)| y(value))),
    }
}

/// Names at the ends of lines that end close together are moved apart, in the lines' order.
fn spread_names(lines: &mut [Line], height: f64) {
    let mut places: Vec<(usize, f64)> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| (at, line.name_at.parse().unwrap_or(height)))
        .collect();
    places.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut lowest = f64::NEG_INFINITY;
    for (_, y) in &mut places {
        *y = y.max(lowest + NAME_HEIGHT);
        lowest = *y;
    }
    // And back up from the bottom, where they ran out of the chart.
    let mut highest = height + NAME_HEIGHT;
    for (_, y) in places.iter_mut().rev() {
        *y = y.min(highest - NAME_HEIGHT);
        highest = *y;
    }
    for (at, y) in places {
        lines[at].name_at = coordinate(y);
    }
}

fn ends(axis: &Axis) -> Vec<Tick> {
    let tick = |day: Day, at: &str, anchor| Tick {
        at: at.to_owned(),
        label: day.to_string(),
        class: "",
        anchor,
    };
    match axis.days[..] {
        [] => Vec::new(),
        [only] => vec![tick(only, "50", "middle")],
        [first, .., last] => vec![tick(first, "0", "start"), tick(last, "100", "end")],
    }
}

/// Place and width of a column, and its numbers in words.
fn hits(input: &Input, only: Option<usize>) -> Vec<(String, String, String)> {
    let width = input.axis.width();
    input
        .axis
        .days
        .iter()
        .enumerate()
        .map(|(at, day)| {
            let mut text = day.to_string();
            for (which, series) in input.series.iter().enumerate() {
                if only.is_some_and(|only| only != which) {
                    continue;
                }
                let value = series.values.get(at).copied().flatten();
                text.push('\n');
                text.push_str(&series.name);
                text.push_str(": ");
                match value {
                    Some(value) => {
                        text.push_str(&format::number(value));
                        text.push_str(input.suffix);
                    }
                    None => text.push_str(format::NONE),
                }
            }
            let left = input.axis.place(at) * 100.0 - width / 2.0;
            (coordinate(left), coordinate(width), text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::charts::time::Step;

    fn input(groups: usize) -> Input {
        let series = (0..groups).map(|at| Series {
            name: format!("g{at}"),
            values: vec![Some(1.0), None, Some(2.0), Some(3.0)],
        });
        Input {
            id: "x".to_owned(),
            title: String::new(),
            description: String::new(),
            axis: Axis {
                step: Step::Day,
                days: (19_783..19_787).map(Day).collect(),
            },
            complete: vec![true, true, true, false],
            series: series.collect(),
            from_zero: true,
            suffix: "",
        }
    }

    #[test]
    fn many_groups_get_a_chart_each() {
        assert_eq!(LineCharts::new(&input(0)), None);
        let few = LineCharts::new(&input(MOST_IN_ONE)).unwrap();
        assert_eq!(
            (few.panels.len(), few.panels[0].lines.len()),
            (1, MOST_IN_ONE)
        );
        let many = LineCharts::new(&input(MOST_SMALL + 3)).unwrap();
        assert_eq!((many.panels.len(), many.left_out), (MOST_SMALL, 3));
        assert!(many.panels.iter().all(|panel| panel.lines.len() == 1));
    }

    #[test]
    fn a_missing_day_is_a_gap_and_an_unfinished_one_apart() {
        let chart = LineCharts::new(&input(1)).unwrap();
        let line = &chart.panels[0].lines[0];
        assert_eq!(line.path, "M0 200h0M666.67 100h0");
        assert_eq!(line.unfinished, "M666.67 100L1000 0");
    }

    #[test]
    fn names_of_lines_that_end_together_do_not_overlap() {
        let chart = LineCharts::new(&input(MOST_IN_ONE)).unwrap();
        let mut places: Vec<f64> = chart.panels[0]
            .lines
            .iter()
            .map(|line| line.name_at.parse().unwrap())
            .collect();
        places.sort_by(f64::total_cmp);
        assert!(places.windows(2).all(|two| two[1] - two[0] >= NAME_HEIGHT));
        assert!(places.iter().all(|y| (0.0..=TALL).contains(y)));
    }
}
