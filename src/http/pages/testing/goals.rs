//! All goals side by side, each with its relative interval on one small axis.

use super::View;
use crate::domain::report::view::{GoalRow, GoalsReport, Metric, Severity};
use crate::domain::report::words;
use crate::http::charts::coordinate;
use crate::http::charts::intervals::Judgement;
use crate::http::pages::format::{self, NONE, Unit};
use crate::http::pages::links;
use crate::http::pages::parts::{Mark, judgement, sentence, title};

#[derive(Debug)]
pub struct Row {
    /// How many rows the goal's name spans; 0 where it stands above already.
    pub rows: usize,
    pub goal: String,
    pub metric: &'static str,
    pub link: String,
    pub chosen: bool,
    pub variation: String,
    pub baseline_mean: String,
    pub mean: String,
    pub difference: String,
    pub interval: String,
    pub relative: String,
    pub relative_interval: String,
    /// Why there is no relative interval.
    pub note: Option<String>,
    pub p: String,
    /// None where an alarm keeps it back.
    pub verdict: Option<Mark>,
    /// What keeps it back.
    pub alarms: String,
    pub spark: Option<Spark>,
}

/// A small interval around zero in the middle, in percent of the width.
#[derive(Debug)]
pub struct Spark {
    pub low: String,
    pub high: String,
    pub at: String,
    pub over_low: bool,
    pub over_high: bool,
    pub judgement: Judgement,
}

/// The half of the small axis: the widest relative interval, but one goal with hardly any data
/// must not flatten all others.
pub fn range(goals: Option<&GoalsReport>) -> Option<f64> {
    let mut reach: Vec<f64> = goals?
        .rows
        .iter()
        .filter_map(|row| match row.relative_interval? {
            [Some(low), Some(high)] => Some(low.abs().max(high.abs())),
            _ => None,
        })
        .filter(|reach| *reach > 0.0)
        .collect();
    reach.sort_by(f64::total_cmp);
    let most = reach.last()?;
    let median = reach[reach.len() / 2];
    Some(most.min(median * 4.0) * 1.05)
}

pub fn scale_words(range: Option<f64>) -> String {
    range.map_or_else(String::new, |range| {
        let end = format::fixed(range * 100.0, format::decimals(range * 1000.0));
        format!("−{end}% to +{end}%")
    })
}

pub(super) fn rows(view: &View<'_>, goals: Option<&GoalsReport>, range: Option<f64>) -> Vec<Row> {
    let Some(goals) = goals else {
        return Vec::new();
    };
    let by_day = are_by_day(view, Some(goals));
    let same = |a: &GoalRow, b: &GoalRow| a.goal == b.goal && a.metric == b.metric;
    let mut rows = Vec::with_capacity(goals.rows.len());
    for group in goals.rows.chunk_by(same) {
        for (at, goal) in group.iter().enumerate() {
            let spans = if at == 0 { group.len() } else { 0 };
            rows.push(row(view, goal, spans, range.filter(|_| !by_day), by_day));
        }
    }
    rows
}

/// Whether the table compares each day with itself: where the shares moved, by the report in view
/// or by any of its rows.
pub(super) fn are_by_day(view: &View<'_>, goals: Option<&GoalsReport>) -> bool {
    let mut rows = goals.into_iter().flat_map(|goals| &goals.rows);
    super::drifting(view.report) || rows.any(|row| row.post_stratified.is_some())
}

fn row(view: &View<'_>, row: &GoalRow, rows: usize, range: Option<f64>, by_day: bool) -> Row {
    let unit = Unit::from(row.unit());
    // Where the shares moved, only the difference that compares each day with itself is told: a
    // row without one has none, never the pooled one in its place.
    let (difference, interval, p) = match &row.post_stratified {
        Some(by_day) => (
            by_day.difference,
            by_day.interval,
            by_day.adjusted_p.or(by_day.p),
        ),
        None if by_day => (None, None, None),
        None => (row.difference, row.interval, row.adjusted_p.or(row.p)),
    };
    let precision = precision_of(difference, interval, None);
    // The baseline's mean has the same digits beside a small difference as beside a large one.
    let known = half_width(interval).unwrap_or(precision);
    let mean = |mean: Option<f64>| mean.map_or(NONE.to_owned(), |mean| unit.mean(mean, known));
    let metric = match row.metric {
        Metric::Rate => "rate",
        Metric::Value => "value",
    };
    let pairs = links::replaced(&view.pairs, "goal", Some(&row.goal));
    let pairs = links::replaced(&pairs, "metric", Some(metric));
    Row {
        rows,
        goal: row.display_name.clone().unwrap_or_else(|| row.goal.clone()),
        metric: match row.metric {
            Metric::Rate => "rate",
            Metric::Value => "value per visitor",
        },
        link: links::with_query(&view.address, &pairs),
        chosen: row.goal == view.report.goal && row.metric == view.report.metric,
        variation: row.variation.clone(),
        baseline_mean: mean(row.baseline_mean),
        mean: mean(row.mean),
        difference: difference.map_or(NONE.to_owned(), |difference| {
            unit.difference_with_unit(difference, precision)
        }),
        interval: interval.map_or(String::new(), |[low, high]| {
            unit.bounds([low, high], precision)
        }),
        relative: row
            .relative_difference
            .map_or(NONE.to_owned(), words::signed_percent),
        relative_interval: row
            .relative_interval
            .and_then(|bounds| words::open_interval(bounds, words::signed_percent))
            .unwrap_or_default(),
        note: row
            .note
            .as_deref()
            .filter(|_| {
                row.relative_interval
                    .is_none_or(|bounds| bounds == [None, None])
            })
            .map(sentence),
        p: p.map_or(NONE.to_owned(), words::p_value),
        verdict: row.trustworthy.then(|| Mark::verdict(row.verdict)),
        alarms: alarms(row),
        spark: range.and_then(|range| spark(row, range)),
    }
}

/// How well a difference is known, for the digits that it and its bounds are shown with wherever
/// they stand: half its interval, or its standard error, or a tenth of itself. A difference far
/// smaller than that gets one digit more, so that it is not rounded to another number than the
/// sentence has.
pub(super) fn precision_of(
    difference: Option<f64>,
    interval: Option<[f64; 2]>,
    standard_error: Option<f64>,
) -> f64 {
    let size = difference.unwrap_or_default().abs();
    let known = half_width(interval).or(standard_error.filter(|error| *error > 0.0));
    match known {
        None => size / 10.0,
        Some(known) if size > 0.0 => size.clamp(known / 10.0, known),
        Some(known) => known,
    }
}

pub(super) fn half_width(interval: Option<[f64; 2]>) -> Option<f64> {
    interval
        .map(|[low, high]| (high - low) / 2.0)
        .filter(|half| *half > 0.0)
}

/// `Impossible sums`.
fn alarms(row: &GoalRow) -> String {
    let titles = row.alarms.iter().map(|code| title(*code, Severity::Alarm));
    titles.collect::<Vec<_>>().join("; ")
}

fn spark(row: &GoalRow, range: f64) -> Option<Spark> {
    let [low, high] = row.relative_interval?;
    if low.is_none() && high.is_none() {
        return None;
    }
    let estimate = row.relative_difference?;
    let place = |x: f64| coordinate((50.0 + 50.0 * x / range).clamp(0.0, 100.0));
    Some(Spark {
        low: place(low.unwrap_or(-range)),
        high: place(high.unwrap_or(range)),
        at: place(estimate),
        over_low: low.is_none_or(|low| low < -range),
        over_high: high.is_none_or(|high| high > range),
        judgement: judgement(row.verdict, row.trustworthy),
    })
}
