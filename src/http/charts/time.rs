//! Time along the horizontal axis: days and weeks stand where they lie, also where some between
//! them have no data.

use super::{Tick, coordinate, path};
use crate::domain::agent_day::Day;

/// How far apart neighbours are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Day,
    /// From Monday; a week that is cut stands where the whole one would.
    Week,
}

/// The days, or the first days of the weeks, that have data, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub step: Step,
    pub days: Vec<Day>,
}

impl Axis {
    /// Neighbours differ by 1.
    fn number(&self, day: Day) -> i32 {
        match self.step {
            Step::Day => day.0,
            // 1970-01-01 was a Thursday.
            Step::Week => (day.0 + 3).div_euclid(7),
        }
    }

    fn day(&self, number: i32) -> Day {
        match self.step {
            Step::Day => Day(number),
            Step::Week => Day(number * 7 - 3),
        }
    }

    /// From the first to the last; None where there are none.
    fn ends(&self) -> Option<(i32, i32)> {
        let (first, last) = (self.days.first()?, self.days.last()?);
        Some((self.number(*first), self.number(*last)))
    }

    fn place_of(&self, number: i32) -> f64 {
        match self.ends() {
            Some((first, last)) if last > first => {
                f64::from(number - first) / f64::from(last - first)
            }
            _ => 0.5,
        }
    }

    /// Where the one at `at` stands, 0 to 1; in the middle where it is alone.
    #[must_use]
    pub fn place(&self, at: usize) -> f64 {
        self.days
            .get(at)
            .map_or(0.5, |day| self.place_of(self.number(*day)))
    }

    /// From one to the next, in percent of the width.
    #[must_use]
    pub fn width(&self) -> f64 {
        let (first, last) = self.ends().unwrap_or_default();
        100.0 / f64::from((last - first).max(1))
    }

    /// Whether nothing lies between the one at `at` and the one after it; false for the last.
    #[must_use]
    pub fn goes_on(&self, at: usize) -> bool {
        match (self.days.get(at), self.days.get(at + 1)) {
            (Some(one), Some(next)) => self.number(*next) - self.number(*one) <= 1,
            _ => false,
        }
    }

    /// Two paths through the points that there are, with a gap wherever days or weeks are missing:
    /// one through those that are whole, and one of what leads to or from those that are not.
    #[must_use]
    pub fn paths(
        &self,
        points: &[Option<(f64, f64)>],
        complete: impl Fn(usize) -> bool,
    ) -> (String, String) {
        let part = |at: usize| !complete(at) && points[at].is_some();
        let leads = |at: usize| {
            self.goes_on(at)
                && points[at].is_some()
                && points.get(at + 1).is_some_and(Option::is_some)
                && (part(at) || part(at + 1))
        };
        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        for (at, point) in points.iter().enumerate() {
            whole.push(point.filter(|_| complete(at)));
            if !self.goes_on(at) {
                whole.push(None);
            }
            if part(at) || leads(at) || (at > 0 && leads(at - 1)) {
                parts.push(*point);
            }
            if !leads(at) {
                parts.push(None);
            }
        }
        (path(&whole), path(&parts))
    }

    /// Labels below a chart: at most seven, as far from each other as time is, of which every other
    /// one is left out where there is little room.
    #[must_use]
    pub fn ticks(&self) -> Vec<Tick> {
        let Some((first, last)) = self.ends() else {
            return Vec::new();
        };
        let between = last - first;
        let steps = match between {
            ..=5 => 1,
            6..=23 => 2,
            _ => 4,
        };
        let mut numbers: Vec<i32> = (0..=steps)
            .map(|step| {
                let along = i64::from(between) * step / steps;
                first + i32::try_from(along).unwrap_or(between)
            })
            .collect();
        numbers.dedup();
        let end = numbers.len() - 1;
        numbers
            .into_iter()
            .enumerate()
            .map(|(place, number)| Tick {
                at: coordinate(self.place_of(number) * 100.0),
                label: self.label(number).to_string(),
                class: if place % 2 == 1 && place != end {
                    "wide"
                } else {
                    ""
                },
                anchor: match (place, end) {
                    (_, 0) => "middle",
                    (0, _) => "start",
                    _ if place == end => "end",
                    _ => "middle",
                },
            })
            .collect()
    }

    /// The first day of a week as the table has it, where it has data.
    fn label(&self, number: i32) -> Day {
        let found = self
            .days
            .binary_search_by_key(&number, |day| self.number(*day));
        found.map_or_else(|_| self.day(number), |at| self.days[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(step: Step, days: impl IntoIterator<Item = i32>) -> Axis {
        Axis {
            step,
            days: days.into_iter().map(Day).collect(),
        }
    }

    #[test]
    fn days_stand_where_they_lie_in_time() {
        // 2026-10-06, 10-07, 11-02, 11-03.
        let days = axis(Step::Day, [20_732, 20_733, 20_759, 20_760]);
        let places: Vec<String> = (0..4)
            .map(|at| coordinate(days.place(at) * 100.0))
            .collect();
        assert_eq!(places, ["0", "3.57", "96.43", "100"]);
        assert_eq!(
            [0, 1, 2, 3].map(|at| days.goes_on(at)),
            [true, false, true, false]
        );
        let points: Vec<_> = (0..4).map(|at| Some((f64::from(at), 1.0))).collect();
        let (whole, parts) = days.paths(&points, |_| true);
        assert_eq!((whole.as_str(), parts.as_str()), ("M0 1L1 1M2 1L3 1", ""));
        // Labels are as far apart as time is: two neighbours do not stand on each other.
        let labels: Vec<_> = days
            .ticks()
            .into_iter()
            .map(|tick| (tick.at, tick.label))
            .collect();
        let label = |at: &str, label: &str| (at.to_owned(), label.to_owned());
        assert_eq!(
            labels,
            [
                label("0", "2026-10-06"),
                label("25", "2026-10-13"),
                label("50", "2026-10-20"),
                label("75", "2026-10-27"),
                label("100", "2026-11-03"),
            ]
        );
        assert_eq!(axis(Step::Day, [5]).place(0).to_bits(), 0.5_f64.to_bits());
    }

    #[test]
    fn a_week_that_is_cut_stands_beside_the_next_one() {
        // Sunday 2026-01-11, then the Mondays 01-12, 01-19 and, after a gap, 02-02.
        let weeks = axis(Step::Week, [20_464, 20_465, 20_472, 20_486]);
        let places: Vec<String> = (0..4)
            .map(|at| coordinate(weeks.place(at) * 100.0))
            .collect();
        assert_eq!(places, ["0", "25", "50", "100"]);
        assert_eq!([0, 1, 2].map(|at| weeks.goes_on(at)), [true, true, false]);
        let labels: Vec<_> = weeks.ticks().into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["2026-01-11", "2026-02-02"]);
        assert_eq!(weeks.label(weeks.number(Day(20_480))), Day(20_479));
    }

    #[test]
    fn what_is_not_over_is_drawn_apart_at_either_end() {
        let days = axis(Step::Day, 0..4);
        let points: Vec<_> = (0..4).map(|at| Some((f64::from(at), 1.0))).collect();
        let (whole, parts) = days.paths(&points, |at| at == 1 || at == 2);
        assert_eq!(
            (whole.as_str(), parts.as_str()),
            ("M1 1L2 1", "M0 1L1 1M2 1L3 1")
        );
        // Across a gap nothing leads to it.
        let days = axis(Step::Day, [0, 1, 3]);
        let (whole, parts) = days.paths(&points[..3], |at| at < 2);
        assert_eq!((whole.as_str(), parts.as_str()), ("M0 1L1 1", "M2 1h0"));
        // A day without a number is none, be it over or not.
        let points = [Some((0.0, 1.0)), None];
        let (whole, parts) = axis(Step::Day, 0..2).paths(&points, |at| at < 1);
        assert_eq!((whole.as_str(), parts.as_str()), ("M0 1h0", ""));
    }

    #[test]
    fn few_days_are_labelled_and_the_ends_always_are() {
        let shown = |n: i32| -> Vec<usize> {
            let ticks = axis(Step::Day, 0..n).ticks().into_iter();
            ticks
                .map(|tick| {
                    let day = (0..n).position(|day| Day(day).to_string() == tick.label);
                    day.unwrap()
                })
                .collect()
        };
        assert_eq!(shown(0), [0; 0]);
        assert_eq!(shown(1), [0]);
        assert_eq!(shown(2), [0, 1]);
        assert_eq!(shown(10), [0, 4, 9]);
        assert_eq!(shown(90), [0, 22, 44, 66, 89]);
    }
}
