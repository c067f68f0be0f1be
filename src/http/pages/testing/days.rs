//! The cumulative difference by day, drawn and in a table.

use super::View;
use super::tables::{or_none, precision};
use crate::domain::report::view::{CumulativeDifference, DayOfTest};
use crate::domain::report::words;
use crate::http::charts::trend::{DayPoint, TrendChart, common_range};
use crate::http::pages::format::NONE;

#[derive(Debug)]
pub struct Row {
    pub day: String,
    pub mark: Option<&'static str>,
    /// Visitors and mean of each arm.
    pub arms: Vec<(String, String)>,
    /// Difference and band of each comparison.
    pub cumulative: Vec<(String, String)>,
}

pub(super) fn arms(view: &View<'_>) -> Vec<String> {
    let arms = view.report.arms.iter();
    arms.map(|arm| arm.variation.clone()).collect()
}

pub(super) fn variations(view: &View<'_>) -> Vec<String> {
    let comparisons = view.report.comparisons.iter();
    comparisons
        .map(|comparison| comparison.variation.clone())
        .collect()
}

/// A panel per comparison, on one scale; nothing with a single day.
pub(super) fn charts(view: &View<'_>) -> Vec<TrendChart> {
    let days = &view.report.by_day;
    if days.len() < 2 {
        return Vec::new();
    }
    let variations = variations(view);
    let points: Vec<Vec<DayPoint>> = variations
        .iter()
        .map(|variation| days.iter().map(|day| point(view, day, variation)).collect())
        .collect();
    let Some(range) = common_range(&points) else {
        return Vec::new();
    };
    variations
        .iter()
        .zip(&points)
        .enumerate()
        .map(|(at, (variation, points))| {
            let heading = format!(
                "{variation} less {}, {}",
                view.report.baseline,
                view.unit.of_differences()
            );
            let last = points.iter().rev().find(|point| point.difference.is_some());
            let description = last.map_or_else(
                || "There is no difference on any day.".to_owned(),
                |last| format!("On the last day, {}.", last.text),
            );
            TrendChart::new(format!("trend-{at}"), heading, description, points, range)
        })
        .collect()
}

fn point(view: &View<'_>, day: &DayOfTest, variation: &str) -> DayPoint {
    let cumulative = of(day, variation);
    let difference = cumulative.and_then(|found| found.difference);
    let band = cumulative.and_then(|found| found.always_valid_interval);
    let (shown, range) = cumulative.map_or((NONE.to_owned(), String::new()), |found| {
        numbers(view, found)
    });
    let range = if range.is_empty() {
        String::new()
    } else {
        format!(" ({range})")
    };
    let unfinished = if day.complete { "" } else { ", incomplete" };
    DayPoint {
        day: day.day,
        complete: day.complete,
        difference: difference.map(|x| view.unit.shown(x)),
        band: band.map(|[low, high]| [view.unit.shown(low), view.unit.shown(high)]),
        text: format!("{}{unfinished}: {shown}{range}", day.day),
        shown,
    }
}

fn of<'a>(day: &'a DayOfTest, variation: &str) -> Option<&'a CumulativeDifference> {
    day.cumulative
        .iter()
        .find(|found| found.variation == variation)
}

fn numbers(view: &View<'_>, found: &CumulativeDifference) -> (String, String) {
    let unit = view.unit;
    // The digits of the tables: on the last day the two are one number.
    let comparisons = &view.report.comparisons;
    let precision = comparisons
        .iter()
        .find(|comparison| comparison.variation == found.variation)
        .map(precision)
        .unwrap_or_default();
    let range = found
        .always_valid_interval
        .map_or(String::new(), |[low, high]| {
            unit.bounds([low, high], precision)
        });
    (
        or_none(found.difference, |x| unit.difference(x, precision)),
        range,
    )
}

pub(super) fn note(view: &View<'_>) -> String {
    let days = &view.report.by_day;
    let mut note = "The line is the difference over all days so far, the band where it may lie \
                    however often one looks."
        .to_owned();
    if days.last().is_some_and(|day| !day.complete) {
        note.push_str(" The last day is incomplete: dotted, with an open mark.");
    }
    if charts(view).iter().any(|chart| chart.clipped) {
        note.push_str(" The first days’ bands run out of the frame; the table has them.");
    }
    note
}

pub(super) fn rows(view: &View<'_>) -> Vec<Row> {
    let report = view.report;
    let days = report.by_day.iter();
    days.map(|day| Row {
        day: day.day.to_string(),
        mark: if !day.complete {
            Some("incomplete")
        } else if day.has_goal {
            None
        } else {
            Some("no goal")
        },
        arms: report
            .arms
            .iter()
            .map(|arm| {
                let of_day = day
                    .arms
                    .iter()
                    .find(|found| found.variation == arm.variation);
                let precision = arm.standard_error.unwrap_or_default();
                (
                    or_none(of_day, |found| words::count(found.visitors)),
                    or_none(of_day.and_then(|found| found.mean), |mean| {
                        view.unit.mean(mean, precision)
                    }),
                )
            })
            .collect(),
        cumulative: report
            .comparisons
            .iter()
            .map(|comparison| {
                of(day, &comparison.variation).map_or_else(
                    || (NONE.to_owned(), String::new()),
                    |found| numbers(view, found),
                )
            })
            .collect(),
    })
    .collect()
}
