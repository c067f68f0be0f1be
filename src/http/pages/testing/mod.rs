//! The Testing Report as a page: what it says first, then what it says it from.

mod days;
pub(super) mod form;
mod goals;
mod tables;
mod traits;

use askama::Template;

use super::format::Unit;
use super::links;
use super::methods;
use super::parts::{ConcernView, DataSet, Frame, Head, Links, Note, Prose, concerns};
use crate::domain::data_source::GoodDirection;
use crate::domain::report::Choices;
use crate::domain::report::view::{
    GoalRow, GoalsReport, IntervalKind, Metric, PostStratified, Strata, TestingReport,
};
use crate::http::charts::intervals::IntervalChart;
use crate::http::charts::trend::TrendChart;

/// All that the page is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    pub report: &'a TestingReport,
    /// None where they are not asked for.
    pub goals: Option<&'a GoalsReport>,
    pub choices: &'a Choices,
    pub good_direction: GoodDirection,
    /// Other data sources that hold the agent, and this one; by name.
    pub data_sources: Vec<String>,
}

#[derive(Debug, Template)]
#[template(path = "testing.html")]
#[allow(
    clippy::struct_excessive_bools,
    reason = "what the template shows or leaves out"
)]
pub struct TestingPage<'a> {
    pub(in crate::http::pages) frame: Frame,
    head: Head,
    report: &'a TestingReport,
    sentence: Prose,
    /// Whether a verdict may be shown at all.
    judged: bool,
    /// Whether any goal has a verdict, and whether any has none for an alarm.
    goals_judged: bool,
    goals_alarmed: bool,
    concerns: Vec<ConcernView>,
    form: form::Form,
    links: Links,
    goals: Vec<goals::Row>,
    /// Then all goals are compared day by day.
    goals_by_day: bool,
    spark_scale: String,
    goal_name: String,
    metric_name: &'static str,
    mean_heading: &'static str,
    mean_heading_short: &'static str,
    arm_interval_heading: String,
    interval_heading: String,
    unit_heading: &'static str,
    /// What the p of the interval in force, and that of any other, accounts for.
    p_heading: String,
    adjusted_heading: String,
    shows_value: bool,
    shows_best: bool,
    shows_days_left: bool,
    family: u32,
    arms: Vec<tables::Arm>,
    comparisons: Vec<tables::Row>,
    comparison_notes: Vec<String>,
    methods: Vec<Note>,
    intervals: Option<IntervalChart>,
    intervals_note: String,
    strata: Vec<tables::Stratum>,
    /// Then pooled differences are told apart from what may be gone by.
    drifting: bool,
    strata_by_trait: bool,
    strata_over: &'static str,
    strata_why: &'static str,
    strata_methods: &'static [Note],
    trends: Vec<TrendChart>,
    trend_note: String,
    trend_methods: &'static [Note],
    day_arms: Vec<String>,
    day_variations: Vec<String>,
    days: Vec<days::Row>,
    trait_group: String,
    traits: Vec<traits::Comparison>,
    trait_methods: &'static [Note],
}

/// What the page's parts need to know of the view.
#[derive(Debug)]
struct View<'a> {
    report: &'a TestingReport,
    unit: Unit,
    pairs: Vec<(&'static str, String)>,
    address: String,
    good_direction: GoodDirection,
}

impl<'a> TestingPage<'a> {
    #[must_use]
    pub fn new(facts: &Facts<'a>) -> Self {
        let report = facts.report;
        let view = View {
            report,
            unit: Unit::from(report.unit()),
            pairs: report.query_pairs(),
            address: links::agent(&report.namespace, &report.agent),
            good_direction: facts.good_direction,
        };
        let title = report.display_name.as_deref().unwrap_or(&report.agent);
        let range = goals::range(facts.goals);
        let (strata_over, strata_why) = strata_words(report);
        Self {
            frame: Frame::new(format!("{title}: Testing Report")),
            head: head(&view, &facts.data_sources),
            sentence: Prose(report.sentence.clone()),
            judged: report.trustworthy,
            goals_judged: any_goal(facts.goals, |row| row.trustworthy),
            goals_alarmed: any_goal(facts.goals, |row| !row.trustworthy),
            concerns: concerns_of(report),
            form: form::Form::new(&view, facts.choices, facts.data_sources.len()),
            links: Links::new(&view.address, "testing", &view.pairs),
            goals: goals::rows(&view, facts.goals, range),
            goals_by_day: goals::are_by_day(&view, facts.goals),
            spark_scale: goals::scale_words(range),
            goal_name: goal_name(report),
            metric_name: metric_name(report.metric),
            mean_heading: mean_heading(report.metric),
            mean_heading_short: match report.metric {
                Metric::Rate => "rate",
                Metric::Value => "value",
            },
            arm_interval_heading: format!("{} interval", confidence(report)),
            interval_heading: interval_words(report),
            unit_heading: view.unit.of_differences(),
            p_heading: p_words(report),
            adjusted_heading: adjusted_words(report),
            shows_value: report.metric == Metric::Value,
            shows_best: report.chance_to_be_best.is_some() && report.trustworthy,
            shows_days_left: report.target_lift.is_some(),
            family: report.family,
            arms: tables::arms(&view),
            comparisons: tables::comparisons(&view),
            comparison_notes: tables::notes(&view),
            methods: methods::of_report(report),
            intervals: tables::interval_chart(&view),
            intervals_note: tables::interval_note(&view),
            strata: tables::strata(&view),
            drifting: drifting(report),
            strata_by_trait: strata_over == "trait",
            strata_over,
            strata_why,
            strata_methods: methods::STRATA,
            trends: days::charts(&view),
            trend_note: days::note(&view),
            trend_methods: methods::TREND,
            day_arms: days::arms(&view),
            day_variations: days::variations(&view),
            days: days::rows(&view),
            trait_group: report.trait_group.clone().unwrap_or_default(),
            traits: traits::comparisons(&view),
            trait_methods: methods::TRAITS,
            report,
        }
    }
}

fn head(view: &View<'_>, data_sources: &[String]) -> Head {
    let report = view.report;
    let mut facts = vec![format!("{} to {}", report.from, report.to)];
    facts.push(super::format::plural(u64::from(report.days), "day", "days"));
    facts.push(format!("policy {}", report.policy));
    if let Some(group) = &report.trait_group {
        facts.push(match &report.trait_value {
            Some(value) => format!("{group}: {value}"),
            None => format!("by {group}"),
        });
    }
    Head {
        namespace: report.namespace.clone(),
        namespace_query: links::encode(&report.namespace),
        source: report.data_source.clone(),
        source_link: links::source(&report.namespace, &report.data_source),
        title: report
            .display_name
            .clone()
            .unwrap_or_else(|| report.agent.clone()),
        code: report.display_name.as_ref().map(|_| report.agent.clone()),
        testing: true,
        testing_link: with_source(&view.address, &report.data_source, data_sources),
        activity_link: with_source(
            &links::activity(&report.namespace, &report.agent),
            &report.data_source,
            data_sources,
        ),
        facts,
        as_of: report.data_as_of.map(Into::into),
        switch: switch(&view.address, &report.data_source, data_sources),
    }
}

/// The report at `address`, of the same data source where there are several.
pub(super) fn with_source(address: &str, source: &str, all: &[String]) -> String {
    if all.len() > 1 {
        links::with_query(address, &[("dataSource", source)])
    } else {
        address.to_owned()
    }
}

/// The data-set switch: other sources know other goals, days and traits, so their reports begin
/// anew.
pub(super) fn switch(address: &str, chosen: &str, all: &[String]) -> Vec<DataSet> {
    if all.len() < 2 {
        return Vec::new();
    }
    all.iter()
        .map(|name| DataSet {
            link: links::with_query(address, &[("dataSource", name)]),
            chosen: name == chosen,
            name: name.clone(),
        })
        .collect()
}

/// What the sentence above says already is not said again below it.
fn concerns_of(report: &TestingReport) -> Vec<ConcernView> {
    let mut concerns = concerns(&report.concerns);
    for concern in &mut concerns {
        let message = concern.message.0.trim_end_matches('.').to_lowercase();
        if report.sentence.to_lowercase().starts_with(&message) {
            concern.message.0.clear();
        }
    }
    concerns
}

fn goal_name(report: &TestingReport) -> String {
    report
        .goal_display_name
        .clone()
        .unwrap_or_else(|| report.goal.clone())
}

pub(super) fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::Rate => "conversions per visitor",
        Metric::Value => "value per visitor",
    }
}

fn mean_heading(metric: Metric) -> &'static str {
    match metric {
        Metric::Rate => "Rate",
        Metric::Value => "Value per visitor",
    }
}

/// `95% interval`, `95% always-valid interval, adjusted for 3 comparisons`.
fn interval_words(report: &TestingReport) -> String {
    let kind = match report.interval {
        IntervalKind::Fixed => "interval",
        IntervalKind::AlwaysValid => "always-valid interval",
    };
    with_adjustment(format!("{} {kind}", confidence(report)), report)
}

/// `always valid, adjusted for 3 comparisons`; nothing for the p of one fixed interval.
fn p_words(report: &TestingReport) -> String {
    match report.interval {
        IntervalKind::Fixed => adjusted_words(report),
        IntervalKind::AlwaysValid => with_adjustment("always valid".to_owned(), report),
    }
}

fn any_goal(goals: Option<&GoalsReport>, is_so: impl Fn(&GoalRow) -> bool) -> bool {
    goals.is_some_and(|goals| goals.rows.iter().any(is_so))
}

fn with_adjustment(said: String, report: &TestingReport) -> String {
    let adjusted = adjusted_words(report);
    if adjusted.is_empty() {
        said
    } else {
        format!("{said}, {adjusted}")
    }
}

/// `adjusted for 3 comparisons`; nothing where there is one.
fn adjusted_words(report: &TestingReport) -> String {
    if report.family > 1 {
        format!("adjusted for {} comparisons", report.family)
    } else {
        String::new()
    }
}

/// `95%`, `99.99%`.
fn confidence(report: &TestingReport) -> String {
    let text = super::format::fixed(report.confidence * 100.0, 2);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Whether the shares of the arms moved over time.
fn drifting(report: &TestingReport) -> bool {
    let stratified = report.post_stratified.iter().flatten();
    stratified.into_iter().any(|by| by.over == Strata::Day)
}

/// The stratified differences that are shown: where the shares moved over time, by day alone.
fn shown_strata(report: &TestingReport) -> impl Iterator<Item = &PostStratified> {
    let by_day_alone = drifting(report);
    let stratified = report.post_stratified.iter().flatten();
    stratified.filter(move |by| !by_day_alone || by.over == Strata::Day)
}

fn strata_words(report: &TestingReport) -> (&'static str, &'static str) {
    match shown_strata(report).next().map(|first| first.over) {
        Some(Strata::Trait) => (
            "trait",
            "The same difference with every trait value given its weight among all visitors: it does not move when the variations happen to hold a different mix.",
        ),
        _ if shown_strata(report).all(|by_day| by_day.difference.is_none()) => (
            "day",
            "The split between variations changed over time, so the difference over all days mixes the variations with the calendar. Within days they cannot be compared either: there is no day, or there are too few, on which both have visitors. There is no difference to read.",
        ),
        _ => (
            "day",
            "The split between variations changed over time, so the difference over all days mixes the variations with the calendar. This one compares within each day: read this one.",
        ),
    }
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
