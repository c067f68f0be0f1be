//! One comparison by the values of a trait, with the test of whether they differ.

use super::View;
use super::goals::half_width;
use super::tables::{good_is_right, interval, or_none, p_words, precision};
use crate::domain::report::view::{TraitInteraction, TraitOfTest};
use crate::domain::report::words;
use crate::http::charts::intervals::{IntervalChart, Words};
use crate::http::pages::format::{self, NONE};
use crate::http::pages::links;
use crate::http::pages::parts::sentence;

#[derive(Debug)]
pub struct Comparison {
    pub variation: String,
    pub chart: Option<IntervalChart>,
    pub interaction: String,
    pub rows: Vec<Row>,
}

#[derive(Debug)]
pub struct Row {
    pub value: String,
    pub link: String,
    pub baseline_visitors: String,
    pub visitors: String,
    pub baseline_mean: String,
    pub mean: String,
    pub difference: String,
    pub interval: String,
    pub relative: String,
    pub p: String,
}

/// Per comparison of the report; nothing unless a trait group without a value is chosen.
pub(super) fn comparisons(view: &View<'_>) -> Vec<Comparison> {
    let report = view.report;
    let Some(by_trait) = &report.by_trait else {
        return Vec::new();
    };
    report
        .comparisons
        .iter()
        .enumerate()
        .map(|(at, comparison)| {
            let variation = &comparison.variation;
            let interaction = report
                .trait_interaction
                .iter()
                .flatten()
                .find(|interaction| interaction.variation == *variation);
            Comparison {
                chart: chart(view, by_trait, variation, at),
                interaction: interaction.map_or_else(String::new, interaction_words),
                rows: by_trait
                    .iter()
                    .map(|value| row(view, value, variation))
                    .collect(),
                variation: variation.clone(),
            }
        })
        .collect()
}

fn chart(
    view: &View<'_>,
    by_trait: &[TraitOfTest],
    variation: &str,
    at: usize,
) -> Option<IntervalChart> {
    let report = view.report;
    let rows: Vec<_> = by_trait
        .iter()
        .filter_map(|value| {
            let comparison = value
                .comparisons
                .iter()
                .find(|comparison| comparison.variation == variation)?;
            interval(view, comparison, value.value.clone(), String::new())
        })
        .collect();
    let said: Vec<String> = rows
        .iter()
        .map(|row| format!("{}: {}", row.label, row.text))
        .collect();
    IntervalChart::new(
        Words {
            id: format!("by-trait-{at}"),
            title: format!(
                "Difference of {variation} from {} by {}",
                report.baseline,
                report.trait_group.as_deref().unwrap_or_default()
            ),
            description: said.join("; "),
            unit: view.unit.of_differences().to_owned(),
            good_is_right: good_is_right(view),
        },
        rows,
    )
}

fn interaction_words(interaction: &TraitInteraction) -> String {
    let mut said = match (interaction.q, interaction.df, interaction.p) {
        (Some(q), Some(df), Some(p)) => format!(
            "{} Q = {} with {} of freedom, p {}, over {}.",
            if p < 0.001 {
                "The effect differs between these values more than chance would make it:"
            } else {
                "The data don’t show that the effect differs between these values:"
            },
            format::number(q),
            super::tables::degrees(df),
            p_words(p),
            words::list(&interaction.values),
        ),
        _ => interaction.note.as_deref().map_or_else(
            || "There is no test of whether the effect differs between these values.".to_owned(),
            sentence,
        ),
    };
    if !interaction.left_out.is_empty() {
        said.push_str(" Left out for too few conversions: ");
        said.push_str(&words::list(&interaction.left_out));
        said.push('.');
    }
    said
}

fn row(view: &View<'_>, value: &TraitOfTest, variation: &str) -> Row {
    let arm = |code: &str| value.arms.iter().find(|arm| arm.variation == code);
    let (baseline, own) = (arm(&view.report.baseline), arm(variation));
    let comparison = value
        .comparisons
        .iter()
        .find(|comparison| comparison.variation == variation);
    let precision = comparison.map(precision).unwrap_or_default();
    let unit = view.unit;
    let known = half_width(comparison.and_then(|found| found.interval)).unwrap_or(precision);
    let mean = |arm: Option<&crate::domain::report::view::Arm>| {
        or_none(arm.and_then(|arm| arm.mean), |mean| unit.mean(mean, known))
    };
    let pairs = links::replaced(&view.pairs, "traitValue", Some(&value.value));
    Row {
        value: value.value.clone(),
        link: links::with_query(&view.address, &pairs),
        baseline_visitors: or_none(baseline, |arm| words::count(arm.visitors)),
        visitors: or_none(own, |arm| words::count(arm.visitors)),
        baseline_mean: mean(baseline),
        mean: mean(own),
        difference: or_none(comparison.and_then(|found| found.difference), |x| {
            unit.difference(x, precision)
        }),
        interval: comparison
            .and_then(|found| found.interval)
            .map_or(String::new(), |bounds| unit.bounds(bounds, precision)),
        relative: comparison
            .and_then(|found| found.relative_difference)
            .map_or(NONE.to_owned(), words::signed_percent),
        p: or_none(
            comparison.and_then(|found| found.adjusted_p.or(found.p)),
            words::p_value,
        ),
    }
}
