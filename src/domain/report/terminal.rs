//! A Testing Report for a terminal: the sentence, what to know about it, and the table. Colour
//! only where it is asked for, and never colour alone.

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table};

use super::view::{
    Arm, Comparison, Concern, IntervalKind, Metric, Severity, Strata, TestingReport, Verdict,
};
use super::{trust, words};

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const RESET: &str = "\u{1b}[0m";

/// One report: its sentence, concerns, table, and where a trait group is chosen the table by trait.
#[must_use]
pub fn testing_text(report: &TestingReport, colour: bool) -> String {
    agent_text(std::slice::from_ref(report), colour)
}

/// Several goals of one agent under one heading: the sentence is the first one's, the table has
/// them all.
#[must_use]
pub fn agent_text(reports: &[TestingReport], colour: bool) -> String {
    let Some(first) = reports.first() else {
        return String::new();
    };
    let mut text = heading(first);
    let sentence = styled(&first.sentence, if colour { BOLD } else { "" });
    _ = writeln!(text, "{sentence}");
    concerns(&mut text, reports, colour);
    let mut table = table(first, "goal", colour);
    for report in reports {
        let goal = report.goal_display_name.as_ref().unwrap_or(&report.goal);
        let verdicts = report.trustworthy;
        let shown = Rows {
            report,
            verdicts,
            colour,
        };
        shown.add(&mut table, goal, &report.arms, &report.comparisons);
    }
    write_table(&mut text, &table);
    for report in reports {
        by_trait(&mut text, report, colour);
    }
    text
}

/// `checkout  (growth/sales, 2026-01-05 to 2026-03-05, policy r)`.
fn heading(report: &TestingReport) -> String {
    let name = match &report.display_name {
        Some(name) => format!("{name} ({})", report.agent),
        None => report.agent.clone(),
    };
    let filter = match (&report.trait_group, &report.trait_value) {
        (Some(group), Some(value)) => format!(", {group} = {value}"),
        _ => String::new(),
    };
    format!(
        "{name}  ({}/{}, {} to {}, policy {}{filter})\n",
        report.namespace, report.data_source, report.from, report.to, report.policy
    )
}

/// Each once, though several goals have it. The one that the sentence begins with is not said
/// again.
fn concerns(text: &mut String, reports: &[TestingReport], colour: bool) {
    let mut told: Vec<(&Concern, &TestingReport)> = Vec::new();
    for report in reports {
        for concern in &report.concerns {
            if !told
                .iter()
                .any(|(known, _)| known.message == concern.message)
            {
                told.push((concern, report));
            }
        }
    }
    told.sort_by_key(|(concern, _)| concern.severity);
    let named = reports.first().and_then(trust::untrustworthy);
    for (concern, report) in told {
        let (word, style) = match concern.severity {
            Severity::Alarm => ("alarm", RED),
            Severity::Warning => ("warning", YELLOW),
            Severity::Info => ("note", ""),
        };
        let style = if colour { style } else { "" };
        if named != Some(concern) {
            let of_goal = if reports.len() > 1 && is_of_one_goal(concern, reports) {
                format!(" ({})", report.goal)
            } else {
                String::new()
            };
            _ = writeln!(
                text,
                "  {}{of_goal}: {}",
                styled(word, style),
                concern.message
            );
        }
        if concern.severity == Severity::Alarm {
            _ = writeln!(text, "  {} {}", styled("what to do:", style), concern.hint);
        }
    }
}

fn is_of_one_goal(concern: &Concern, reports: &[TestingReport]) -> bool {
    let has = |report: &&TestingReport| {
        let mut messages = report.concerns.iter().map(|other| &other.message);
        messages.any(|message| *message == concern.message)
    };
    reports.iter().filter(has).count() < reports.len()
}

fn styled(text: &str, style: &str) -> String {
    if style.is_empty() {
        text.to_owned()
    } else {
        format!("{style}{text}{RESET}")
    }
}

fn table(report: &TestingReport, first: &str, colour: bool) -> Table {
    let interval = match report.interval {
        IntervalKind::Fixed => "interval",
        IntervalKind::AlwaysValid => "always-valid interval",
    };
    let mut interval = format!("{} {interval}", words::confidence(report.confidence));
    if report.family > 1 {
        _ = write!(interval, ", adjusted for {}", report.family);
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            first.to_owned(),
            "variation".into(),
            "visitors".into(),
            "conversions".into(),
            "per visitor".into(),
            format!("against {}", report.baseline),
            interval,
            if report.family > 1 { "adjusted p" } else { "p" }.into(),
            "verdict".into(),
        ]);
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    for column in table.column_iter_mut().skip(2).take(6) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// How the rows of one report are written.
struct Rows<'a> {
    report: &'a TestingReport,
    /// With an alarm there are none.
    verdicts: bool,
    colour: bool,
}

impl Rows<'_> {
    fn add(&self, table: &mut Table, label: &str, arms: &[Arm], comparisons: &[Comparison]) {
        for (index, arm) in arms.iter().enumerate() {
            // Said once: the arms of a goal read as a group.
            let label = if index == 0 { label } else { "" };
            let comparison = comparisons
                .iter()
                .find(|comparison| comparison.variation == arm.variation);
            let [difference, interval, p] = self.numbers(comparison);
            let variation = match &arm.display_name {
                Some(name) if *name != arm.variation => format!("{} {name}", arm.variation),
                _ => arm.variation.clone(),
            };
            // Under drift the means mix the variations with the calendar, as their difference does.
            let mean = arm
                .mean
                .filter(|_| !self.is_drifting())
                .map(|mean| words::mean(self.report.unit(), mean));
            table.add_row([
                Cell::new(label),
                Cell::new(variation),
                Cell::new(words::count(arm.visitors)),
                Cell::new(words::count(arm.conversions)),
                Cell::new(mean.unwrap_or_default()),
                Cell::new(difference),
                Cell::new(interval),
                Cell::new(p),
                self.verdict(comparison),
            ]);
        }
    }

    fn is_drifting(&self) -> bool {
        let stratified = self.report.post_stratified.iter().flatten();
        stratified
            .into_iter()
            .any(|stratified| stratified.over == Strata::Day)
    }

    /// Difference, interval and p; under an alarm nothing that would be believed, but for a
    /// difference day by day.
    fn numbers(&self, comparison: Option<&Comparison>) -> [String; 3] {
        let Some(comparison) = comparison else {
            return Default::default();
        };
        let metric = self.report.unit();
        if !self.verdicts {
            return self.by_day(metric, &comparison.variation);
        }
        let relative = comparison
            .relative_interval
            .and_then(|bounds| words::open_interval(bounds, words::signed_percent));
        let absolute = comparison
            .interval
            .map(|interval| words::difference_interval(metric, interval));
        let lift = comparison.relative_difference.map(words::signed_percent);
        let difference = comparison
            .difference
            .map(|difference| words::difference(metric, difference));
        // Both of one kind: a lift with its interval, or a difference with its own.
        let (difference, interval) = match (lift, relative) {
            (Some(lift), Some(interval)) => (Some(lift), Some(interval)),
            _ => (difference, absolute),
        };
        [
            difference.unwrap_or_default(),
            interval.unwrap_or_default(),
            comparison
                .adjusted_p
                .map(words::p_value)
                .unwrap_or_default(),
        ]
    }

    fn by_day(&self, metric: Metric, variation: &str) -> [String; 3] {
        let stratified = self
            .report
            .post_stratified
            .iter()
            .flatten()
            .find(|found| found.over == Strata::Day && found.variation == variation);
        let Some((difference, interval)) =
            stratified.and_then(|found| found.difference.zip(found.interval))
        else {
            return Default::default();
        };
        [
            words::difference(metric, difference),
            format!(
                "{}, day by day",
                words::difference_interval(metric, interval)
            ),
            String::new(),
        ]
    }

    fn verdict(&self, comparison: Option<&Comparison>) -> Cell {
        let Some(comparison) = comparison.filter(|_| self.verdicts) else {
            return Cell::new("");
        };
        let (word, colour) = match comparison.verdict {
            Verdict::Better => ("Better", Some(Color::Green)),
            Verdict::Worse => ("Worse", Some(Color::Red)),
            Verdict::Undecided => ("Undecided", None),
            Verdict::NotEnoughData => ("Not enough data", None),
        };
        let cell = Cell::new(word);
        match colour.filter(|_| self.colour) {
            Some(colour) => cell.fg(colour).add_attribute(Attribute::Bold),
            None => cell,
        }
    }
}

fn by_trait(text: &mut String, report: &TestingReport, colour: bool) {
    let Some((group, values)) = report.trait_group.as_ref().zip(report.by_trait.as_ref()) else {
        return;
    };
    let mut table = table(report, group, colour);
    // Where the whole can't be trusted a day-by-day difference is not this value's.
    let shown = Rows {
        report,
        verdicts: report.trustworthy,
        colour,
    };
    for value in values {
        let comparisons: &[Comparison] = if report.trustworthy {
            &value.comparisons
        } else {
            &[]
        };
        shown.add(&mut table, &value.value, &value.arms, comparisons);
    }
    text.push('\n');
    write_table(text, &table);
    for test in report.trait_interaction.iter().flatten() {
        if let Some(p) = test.p {
            _ = writeln!(
                text,
                "  Whether the effect of {} differs between them: p {}.",
                test.variation,
                words::p_value(p)
            );
        }
    }
}

fn write_table(text: &mut String, table: &Table) {
    for line in table.to_string().lines() {
        _ = writeln!(text, " {}", line.trim_end());
    }
}
