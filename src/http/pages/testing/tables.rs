//! The chosen goal: its variations, their comparisons with the baseline, and the intervals drawn.

use super::View;
use super::goals::precision_of;
use crate::domain::data_source::GoodDirection;
use crate::domain::report::view;
use crate::domain::report::words;
use crate::http::charts::intervals::{Interval, IntervalChart, Words};
use crate::http::pages::format::{self, NONE, Unit};
use crate::http::pages::parts::{Mark, judgement, sentence};

#[derive(Debug)]
pub struct Arm {
    pub variation: String,
    pub name: Option<String>,
    pub is_baseline: bool,
    pub unexpected: bool,
    pub visitors: String,
    pub share: String,
    pub expected: String,
    pub conversions: String,
    pub mean: String,
    pub interval: String,
    pub value_per_conversion: String,
    pub converters: String,
    pub effective: String,
    pub best: String,
}

#[derive(Debug)]
pub struct Row {
    pub variation: String,
    pub difference: String,
    pub interval: String,
    pub relative: String,
    pub relative_interval: String,
    /// Adjusted, as the interval is.
    pub p: String,
    pub unadjusted_p: String,
    pub always_valid: String,
    pub always_valid_p: String,
    pub chance: String,
    pub loss: String,
    pub detectable: String,
    pub days_left: String,
    pub verdict: Mark,
}

#[derive(Debug)]
pub struct Stratum {
    pub variation: String,
    pub difference: String,
    pub interval: String,
    pub standard_error: String,
    pub p: String,
    pub dropped: String,
    pub note: String,
}

/// A number, or the mark that there is none.
pub(super) fn or_none<T>(value: Option<T>, shown: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), shown)
}

pub(super) fn arms(view: &View<'_>) -> Vec<Arm> {
    let report = view.report;
    let all: u64 = report
        .arms
        .iter()
        .filter(|arm| arm.expected_share.is_some())
        .map(|arm| arm.visitors)
        .sum();
    report
        .arms
        .iter()
        .map(|arm| one_arm(view, arm, all))
        .collect()
}

fn one_arm(view: &View<'_>, arm: &view::Arm, all: u64) -> Arm {
    let report = view.report;
    let precision = arm.standard_error.unwrap_or_default();
    let mean = |mean: f64| view.unit.mean(mean, precision);
    #[allow(clippy::cast_precision_loss, reason = "a share in percent")]
    let share = |visitors: u64| format::percent(visitors as f64 / all as f64, 1);
    let best = report.chance_to_be_best.as_ref();
    Arm {
        variation: arm.variation.clone(),
        name: arm.display_name.clone(),
        is_baseline: arm.variation == report.baseline,
        unexpected: arm.expected_share.is_none(),
        visitors: words::count(arm.visitors),
        share: if all > 0 && arm.expected_share.is_some() {
            share(arm.visitors)
        } else {
            NONE.to_owned()
        },
        expected: or_none(arm.expected_share, |share| format::percent(share, 1)),
        conversions: words::count(arm.conversions),
        mean: or_none(arm.mean, mean),
        interval: arm.interval.map_or(String::new(), |[low, high]| {
            // Student's interval knows nothing of what a rate can be.
            let low = match view.unit {
                Unit::Rate => low.max(0.0),
                Unit::Value => low,
            };
            view.unit.mean_bounds([low, high], precision)
        }),
        value_per_conversion: or_none(arm.value_per_conversion, format::number),
        converters: match (arm.converters_at_least, arm.converters_at_most) {
            (Some(least), Some(most)) if least == most => words::count(least),
            (Some(least), Some(most)) => {
                format!("{} to {}", words::count(least), words::count(most))
            }
            _ => NONE.to_owned(),
        },
        effective: or_none(arm.effective_conversions, |effective| {
            format::fixed(effective, usize::from(effective < 100.0))
        }),
        best: or_none(
            best.and_then(|best| best.get(&arm.variation).copied().flatten()),
            format::chance,
        ),
    }
}

pub(super) fn comparisons(view: &View<'_>) -> Vec<Row> {
    view.report
        .comparisons
        .iter()
        .map(|comparison| comparison_row(view, comparison))
        .collect()
}

fn comparison_row(view: &View<'_>, comparison: &view::Comparison) -> Row {
    let (unit, family) = (view.unit, view.report.family);
    let precision = precision(comparison);
    let range = |bounds| unit.bounds(bounds, precision);
    // A chance to win is as good as a verdict: not where nothing may be concluded.
    let bayes = comparison.bayes.filter(|_| view.report.trustworthy);
    Row {
        variation: comparison.variation.clone(),
        difference: or_none(comparison.difference, |x| unit.difference(x, precision)),
        interval: comparison.interval.map(range).unwrap_or_default(),
        relative: or_none(comparison.relative_difference, words::signed_percent),
        relative_interval: relative_interval(comparison),
        p: or_none(comparison.adjusted_p.or(comparison.p), words::p_value),
        unadjusted_p: comparison
            .p
            .filter(|_| family > 1)
            .map(|p| format!("{} alone", words::p_value(p)))
            .unwrap_or_default(),
        always_valid: or_none(comparison.always_valid.interval, range),
        always_valid_p: match (comparison.always_valid.p, &comparison.always_valid.note) {
            (Some(p), _) => format!("p {}", words::p_value(adjusted(p, family))),
            (None, Some(_)) => "not yet".to_owned(),
            (None, None) => String::new(),
        },
        chance: or_none(bayes, |bayes| format::chance(bayes.chance_to_win)),
        loss: or_none(bayes, |bayes| loss(unit, bayes.expected_loss, precision)),
        detectable: or_none(comparison.minimum_detectable_difference, |x| {
            unit.difference(x, precision)
                .trim_start_matches('+')
                .to_owned()
        }),
        days_left: or_none(comparison.days_left, words::days_left),
        verdict: Mark::verdict(comparison.verdict),
    }
}

/// By Bonferroni, as the interval beside it accounts for the family.
fn adjusted(p: f64, family: u32) -> f64 {
    (p * f64::from(family)).min(1.0)
}

/// Far smaller than the difference as a rule, and so with digits of its own.
fn loss(unit: Unit, loss: f64, precision: f64) -> String {
    if loss < precision * 1e-4 {
        return "about 0".to_owned();
    }
    let shown = unit.difference(loss, loss);
    shown.trim_start_matches('+').to_owned()
}

pub(super) fn relative_interval(comparison: &view::Comparison) -> String {
    comparison
        .relative_interval
        .and_then(|bounds| words::open_interval(bounds, words::signed_percent))
        .unwrap_or_default()
}

/// How well the difference is known.
pub(super) fn precision(comparison: &view::Comparison) -> f64 {
    precision_of(
        comparison.difference,
        comparison.interval,
        comparison.standard_error,
    )
}

/// What the numbers themselves don't say.
pub(super) fn notes(view: &View<'_>) -> Vec<String> {
    let report = view.report;
    let mut notes = Vec::new();
    if let Some(omnibus) = report.omnibus {
        notes.push(format!(
            "All variations together: F = {} with {} and {} degrees of freedom, p {}.",
            format::number(omnibus.f),
            format::number(omnibus.df1),
            format::number(omnibus.df2),
            p_words(omnibus.p),
        ));
    }
    notes.extend(report.omnibus_note.as_deref().map(sentence));
    let several = report.comparisons.len() > 1;
    for comparison in &report.comparisons {
        for note in [&comparison.note, &comparison.always_valid.note]
            .into_iter()
            .flatten()
        {
            let note = if several {
                format!("{}: {}", comparison.variation, sentence(note))
            } else {
                sentence(note)
            };
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    // A concern says it better where there is one.
    let said = |code| report.concerns.iter().any(|concern| concern.code == code);
    if report.visitors_under_other_policies > 0 && !said(view::ConcernCode::PolicyMixed) {
        notes.push(format!(
            "{} visitors stand under other policies and are not in these numbers.",
            words::count(report.visitors_under_other_policies)
        ));
    }
    if report.days_without_goal > 0 && !said(view::ConcernCode::GoalAbsentOnDays) {
        notes.push(format!(
            "{} in view without this goal: their visitors are left out.",
            format::plural(u64::from(report.days_without_goal), "day", "days")
        ));
    }
    notes
}

/// `1 degree`, `3 degrees`.
pub(super) fn degrees(df: f64) -> String {
    let plural = if df.to_bits() == 1f64.to_bits() {
        ""
    } else {
        "s"
    };
    format!("{} degree{plural}", format::number(df))
}

pub(super) fn p_words(p: f64) -> String {
    let p = words::p_value(p);
    if p.starts_with('<') {
        p
    } else {
        format!("= {p}")
    }
}

pub(super) fn interval_chart(view: &View<'_>) -> Option<IntervalChart> {
    let report = view.report;
    let rows: Vec<Interval> = report
        .comparisons
        .iter()
        .filter_map(|comparison| {
            let arm = report
                .arms
                .iter()
                .find(|arm| arm.variation == comparison.variation);
            let name = arm.and_then(|arm| arm.display_name.clone());
            interval(
                view,
                comparison,
                comparison.variation.clone(),
                name.unwrap_or_default(),
            )
        })
        .collect();
    let said: Vec<String> = rows
        .iter()
        .map(|row| format!("{}: {}", row.label, row.text))
        .collect();
    IntervalChart::new(
        Words {
            id: "intervals".to_owned(),
            title: format!(
                "Differences from {} with their {}",
                report.baseline,
                super::interval_words(report)
            ),
            description: said.join("; "),
            unit: view.unit.of_differences().to_owned(),
            good_is_right: good_is_right(view),
        },
        rows,
    )
}

/// Which side of zero is the good one; not said where nothing may be concluded.
pub(super) fn good_is_right(view: &View<'_>) -> Option<bool> {
    let right = view.good_direction == GoodDirection::Increase;
    view.report.trustworthy.then_some(right)
}

/// None without an interval.
pub(super) fn interval(
    view: &View<'_>,
    comparison: &view::Comparison,
    label: String,
    detail: String,
) -> Option<Interval> {
    let (difference, [low, high]) = (comparison.difference?, comparison.interval?);
    let precision = precision(comparison);
    let unit = view.unit;
    Some(Interval {
        label,
        detail,
        text: format!(
            "{} ({})",
            unit.difference(difference, precision),
            unit.bounds([low, high], precision)
        ),
        estimate: unit.shown(difference),
        low: Some(unit.shown(low)),
        high: Some(unit.shown(high)),
        judgement: judgement(comparison.verdict, view.report.trustworthy),
    })
}

pub(super) fn interval_note(view: &View<'_>) -> String {
    let said = super::interval_words(view.report);
    if view.report.trustworthy {
        format!(
            "{said}. A triangle up is better, a triangle down worse; a diamond’s interval holds \
             zero, so the data can’t tell the two apart yet."
        )
    } else {
        format!("{said}. Nothing is concluded from it while there is an alarm.")
    }
}

pub(super) fn strata(view: &View<'_>) -> Vec<Stratum> {
    let unit = view.unit;
    super::shown_strata(view.report)
        .map(|stratum| {
            let precision =
                precision_of(stratum.difference, stratum.interval, stratum.standard_error);
            Stratum {
                variation: stratum.variation.clone(),
                difference: or_none(stratum.difference, |x| {
                    unit.difference_with_unit(x, precision)
                }),
                interval: stratum.interval.map_or(String::new(), |[low, high]| {
                    unit.bounds([low, high], precision)
                }),
                standard_error: or_none(stratum.standard_error, |x| {
                    unit.difference(x, precision)
                        .trim_start_matches('+')
                        .to_owned()
                }),
                p: or_none(stratum.adjusted_p.or(stratum.p), words::p_value),
                dropped: or_none(stratum.share_dropped, |share| format::percent(share, 1)),
                note: stratum.note.as_deref().map(sentence).unwrap_or_default(),
            }
        })
        .collect()
}
