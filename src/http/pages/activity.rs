//! The Activity Report as a page: a line per group, and the same numbers in tables.

use askama::Template;

use super::format::{self, NONE};
use super::links;
use super::methods;
use super::parts::{ConcernView, Frame, Head, Links, Note, Select, concerns};
use super::testing::{form, switch, with_source};
use crate::domain::report::Choices;
use crate::domain::report::view::{ActivityCell, ActivityReport, GroupBy, Measure, Per};
use crate::domain::report::words;
use crate::http::charts::lines::{Input, LineCharts, Series};
use crate::http::charts::time::{Axis, Step};
use crate::http::data::SOURCES_SIDE_BY_SIDE;

#[derive(Debug, Template)]
#[template(path = "activity.html")]
pub struct ActivityPage {
    pub(super) frame: Frame,
    head: Head,
    concerns: Vec<ConcernView>,
    form: Form,
    links: Links,
    heading: String,
    chart: Option<LineCharts>,
    no_chart: &'static str,
    note: Option<&'static str>,
    group_heading: &'static str,
    columns: Vec<&'static str>,
    numeric: bool,
    totals: Vec<Total>,
    methods: &'static [Note],
    rows_heading: String,
    period_heading: &'static str,
    group_names: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Form {
    action: String,
    data_source: Option<String>,
    first: Vec<Select>,
    from: String,
    to: String,
    first_day: String,
    last_day: String,
    second: Vec<Select>,
}

#[derive(Debug)]
struct Total {
    name: String,
    cells: Vec<String>,
}

#[derive(Debug)]
struct Row {
    period: String,
    unfinished: bool,
    cells: Vec<Cell>,
}

#[derive(Debug)]
struct Cell {
    shown: String,
    detail: String,
}

impl ActivityPage {
    /// `data_sources`: all that hold the agent, by name.
    #[must_use]
    pub fn new(report: &ActivityReport, choices: &Choices, data_sources: &[String]) -> Self {
        let pairs = report.query_pairs();
        let address = links::activity(&report.namespace, &report.agent);
        let title = report.display_name.as_deref().unwrap_or(&report.agent);
        let numeric = choices
            .goals
            .iter()
            .any(|goal| goal.code == report.goal && goal.numeric);
        let names = names(report);
        let unfinished = report.rows.iter().any(|row| !row.complete);
        let mut columns = vec!["Visitors", "Conversions", "Rate"];
        if numeric {
            columns.extend(["Value", "Value per visitor"]);
        }
        Self {
            frame: Frame::new(format!("{title}: Activity Report")),
            head: head(report, data_sources),
            concerns: concerns(&report.concerns),
            form: Form::new(report, &pairs, choices, data_sources.len()),
            links: Links::new(&address, "activity", &pairs),
            heading: heading(report),
            chart: chart(report, &names),
            no_chart: if report.per == Per::Total {
                "Totals are in the table; choose days or weeks for a chart."
            } else {
                "There are not two days to draw a line between."
            },
            note: (unfinished && report.per != Per::Total).then_some(match report.per {
                Per::Week => "A week that is cut or not over is dotted, and marked in the table.",
                _ => "A day that is not over is dotted, and marked in the table.",
            }),
            group_heading: group_heading(report.group_by),
            columns,
            numeric,
            totals: totals(report, &names, numeric),
            methods: methods::ACTIVITY,
            rows_heading: rows_heading(report),
            period_heading: match report.per {
                Per::Day => "Day",
                Per::Week => "Week",
                Per::Total => "Days",
            },
            rows: rows(report),
            group_names: names,
        }
    }
}

impl Form {
    fn new(
        report: &ActivityReport,
        pairs: &[(&'static str, String)],
        choices: &Choices,
        data_sources: usize,
    ) -> Self {
        let value = |name: &str| form::value(pairs, name);
        let mut second = form::traits(
            choices,
            report.trait_group.as_deref(),
            report.trait_value.as_deref(),
        );
        second.push(form::policy(choices, &report.policy));
        Self {
            action: links::activity(&report.namespace, &report.agent),
            data_source: (data_sources > 1).then(|| report.data_source.clone()),
            first: vec![
                form::goal(choices, &report.goal),
                Select::new(
                    "measure",
                    "Measure",
                    &value("measure"),
                    [
                        ("visitors", "Visitors"),
                        ("conversions", "Conversions"),
                        ("rate", "Conversions per visitor"),
                        ("value", "Value"),
                    ],
                ),
                Select::new(
                    "groupBy",
                    "A line for each",
                    &value("groupBy"),
                    groups(choices, data_sources),
                ),
                Select::new(
                    "per",
                    "Per",
                    &value("per"),
                    [("day", "Day"), ("week", "Week"), ("total", "Total")],
                ),
                Select::new(
                    "cumulative",
                    "Cumulative",
                    &value("cumulative"),
                    [
                        ("false", "No: each day or week"),
                        ("true", "Yes: up to each day"),
                    ],
                ),
            ],
            from: value("from"),
            to: value("to"),
            first_day: choices.first_day.to_string(),
            last_day: choices.last_day.to_string(),
            second,
        }
    }
}

/// What there is to group by.
fn groups(choices: &Choices, data_sources: usize) -> Vec<(&'static str, &'static str)> {
    let mut groups = vec![("none", "All together"), ("variation", "Variation")];
    if !choices.traits.is_empty() {
        groups.push(("trait", "Trait value"));
    }
    if choices.policies.len() > 1 {
        groups.push(("policy", "Policy"));
    }
    if (2..=SOURCES_SIDE_BY_SIDE).contains(&data_sources) {
        groups.push(("dataSource", "Data source"));
    }
    groups
}

fn head(report: &ActivityReport, data_sources: &[String]) -> Head {
    let address = links::activity(&report.namespace, &report.agent);
    let testing = links::agent(&report.namespace, &report.agent);
    let mut facts = vec![format!("{} to {}", report.from, report.to)];
    facts.push(if report.policy == "all" {
        "all policies".to_owned()
    } else {
        format!("policy {}", report.policy)
    });
    if let Some(group) = &report.trait_group {
        facts.push(match &report.trait_value {
            Some(value) => format!("{group}: {value}"),
            None => format!("trait {group}"),
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
        testing: false,
        testing_link: with_source(&testing, &report.data_source, data_sources),
        activity_link: with_source(&address, &report.data_source, data_sources),
        facts,
        as_of: report.data_as_of.map(Into::into),
        switch: switch(&address, &report.data_source, data_sources),
    }
}

fn names(report: &ActivityReport) -> Vec<String> {
    let display = report.group_display_names.iter();
    report
        .groups
        .iter()
        .zip(display.chain(std::iter::repeat(&None)))
        .map(|(code, name)| match name {
            Some(name) if name != code => format!("{code} · {name}"),
            _ if report.group_by == GroupBy::None => "All".to_owned(),
            _ => code.clone(),
        })
        .collect()
}

fn measure_name(report: &ActivityReport) -> String {
    let goal = report.goal_display_name.as_deref().unwrap_or(&report.goal);
    match report.measure {
        Measure::Visitors => "Visitors".to_owned(),
        Measure::Conversions => format!("{goal}: conversions"),
        Measure::Rate => format!("{goal}: conversions per visitor"),
        Measure::Value => format!("{goal}: value"),
    }
}

fn heading(report: &ActivityReport) -> String {
    let per = match (report.per, report.cumulative) {
        (Per::Total, _) => "in total",
        (Per::Day, false) => "per day",
        (Per::Week, false) => "per week",
        (Per::Day, true) => "up to each day",
        (Per::Week, true) => "up to each week",
    };
    format!("{} {per}", measure_name(report))
}

fn rows_heading(report: &ActivityReport) -> String {
    match report.per {
        Per::Day => format!("{} by day", measure_name(report)),
        Per::Week => format!("{} by week", measure_name(report)),
        Per::Total => measure_name(report),
    }
}

fn group_heading(group_by: GroupBy) -> &'static str {
    match group_by {
        GroupBy::None => "Group",
        GroupBy::Variation => "Variation",
        GroupBy::Trait => "Trait value",
        GroupBy::Policy => "Policy",
        GroupBy::DataSource => "Data source",
    }
}

/// The number that the view is about, as it is drawn.
fn measured(measure: Measure, cell: &ActivityCell) -> Option<f64> {
    // Counts are exact up to 2^53, far more than a chart shows.
    #[allow(clippy::cast_precision_loss, reason = "drawn, not computed with")]
    match measure {
        Measure::Visitors => Some(cell.visitors as f64),
        Measure::Conversions => cell.conversions.map(|n| n as f64),
        Measure::Rate => cell.rate.map(|rate| rate * 100.0),
        Measure::Value => cell.value,
    }
}

fn chart(report: &ActivityReport, names: &[String]) -> Option<LineCharts> {
    if report.per == Per::Total || report.rows.len() < 2 {
        return None;
    }
    let series = names.iter().enumerate().map(|(at, name)| Series {
        name: name.clone(),
        values: report
            .rows
            .iter()
            .map(|row| measured(report.measure, row.cells.get(at)?))
            .collect(),
    });
    let (first, last) = (report.rows.first()?, report.rows.last()?);
    LineCharts::new(&Input {
        id: "activity".to_owned(),
        title: heading(report),
        description: format!(
            "A line for each of {}, from {} to {}; the table below has the same numbers.",
            words::list(names),
            first.from,
            last.to
        ),
        axis: Axis {
            step: if report.per == Per::Week {
                Step::Week
            } else {
                Step::Day
            },
            days: report.rows.iter().map(|row| row.from).collect(),
        },
        complete: report.rows.iter().map(|row| row.complete).collect(),
        series: series.collect(),
        from_zero: report.measure != Measure::Rate,
        suffix: if report.measure == Measure::Rate {
            "%"
        } else {
            ""
        },
    })
}

fn rows(report: &ActivityReport) -> Vec<Row> {
    // All cells of a column of rates with the same digits.
    let rate = |rate: f64| format::percent(rate, 2);
    let rows = report.rows.iter().rev();
    rows.map(|row| Row {
        period: if row.from == row.to {
            row.from.to_string()
        } else {
            format!("{} to {}", row.from, row.to)
        },
        unfinished: !row.complete,
        cells: row
            .cells
            .iter()
            .map(|cell| Cell {
                shown: match report.measure {
                    Measure::Visitors => words::count(cell.visitors),
                    Measure::Conversions => or_none(cell.conversions, words::count),
                    Measure::Rate => or_none(cell.rate, rate),
                    Measure::Value => or_none(cell.value, format::number),
                },
                detail: format!(
                    "{} visitors, {} conversions",
                    words::count(cell.visitors),
                    or_none(cell.conversions, words::count)
                ),
            })
            .collect(),
    })
    .collect()
}

fn or_none<T>(value: Option<T>, shown: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), shown)
}

fn totals(report: &ActivityReport, names: &[String], numeric: bool) -> Vec<Total> {
    names
        .iter()
        .zip(report.totals.iter().zip(&report.daily_averages))
        .map(|(name, (total, average))| {
            let mut cells = vec![
                words::count(total.visitors),
                or_none(total.conversions, words::count),
                or_none(total.rate, |rate| format::percent(rate, 2)),
            ];
            if numeric {
                cells.push(or_none(total.value, format::number));
                cells.push(or_none(total.value_per_visitor, format::number));
            }
            cells.push(format::number(average.visitors));
            cells.push(or_none(average.conversions, format::number));
            if numeric {
                cells.push(or_none(average.value, format::number));
            }
            Total {
                name: name.clone(),
                cells,
            }
        })
        .collect()
}
