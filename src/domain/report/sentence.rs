//! The sentence that opens a Testing Report: what a person can act on, or why not to.

use super::view::{
    Comparison, Concern, ConcernCode, IntervalKind, Metric, PostStratified, Severity, Strata,
    TestingReport, Verdict,
};
use super::words;
use crate::domain::stats::Note;

/// A lift that is nearer to none is not told as a number.
const LEAST_LIFT: f64 = 5e-5;

/// With an alarm it starts with the problem and holds no verdict.
pub(super) fn sentence(report: &TestingReport) -> String {
    let alarm = report
        .concerns
        .iter()
        .find(|concern| concern.severity == Severity::Alarm);
    match (alarm, report.comparisons.as_slice()) {
        (Some(alarm), _) => alarmed(report, alarm),
        (None, []) => nothing_to_compare(report),
        (None, [one]) => pair(report, one),
        (None, several) => many(report, several),
    }
}

/// `Purchase per visitor`, `the value of Orders per visitor`.
fn subject(report: &TestingReport) -> String {
    about(report, "the value of")
}

/// At the start of a sentence. A goal keeps its own spelling.
fn opening_subject(report: &TestingReport) -> String {
    about(report, "The value of")
}

fn about(report: &TestingReport, value_of: &str) -> String {
    let goal = report.goal_display_name.as_ref().unwrap_or(&report.goal);
    match report.metric {
        Metric::Rate => format!("{goal} per visitor"),
        Metric::Value => format!("{value_of} {goal} per visitor"),
    }
}

/// `Green (B)`, or the code alone.
fn name(report: &TestingReport, code: &str) -> String {
    let arm = report.arms.iter().find(|arm| arm.variation == code);
    match arm.and_then(|arm| arm.display_name.as_deref()) {
        Some(name) if name != code => format!("{name} ({code})"),
        _ => code.to_owned(),
    }
}

/// `95% interval`, and what it accounts for.
fn label(report: &TestingReport) -> String {
    let kind = match report.interval {
        IntervalKind::Fixed => "interval",
        IntervalKind::AlwaysValid => "always-valid interval",
    };
    label_of(report, kind)
}

fn label_of(report: &TestingReport, kind: &str) -> String {
    let together = if report.family > 1 {
        format!(" for {} comparisons together", report.family)
    } else {
        String::new()
    };
    format!("{} {kind}{together}", words::confidence(report.confidence))
}

/// `9.1% higher`, `0.24 points lower`, `the same`: in the units of its interval.
fn change(report: &TestingReport, comparison: &Comparison) -> String {
    let difference = comparison.difference.unwrap_or_default();
    let is_least = |lift: f64| lift.abs() < LEAST_LIFT;
    // What was decided is not the same, however little it is.
    let is_same = difference == 0.0
        || !is_decided(comparison) && comparison.relative_difference.is_some_and(is_least);
    if is_same {
        return "the same".into();
    }
    let amount = match relative(comparison) {
        Some((lift, _)) => words::lift(lift),
        None => absolute(report.unit(), difference),
    };
    format!("{amount} {}", direction(difference))
}

fn is_decided(comparison: &Comparison) -> bool {
    matches!(comparison.verdict, Verdict::Better | Verdict::Worse)
}

/// The lift and its interval, where both say something: else the difference is told, with its own.
fn relative(comparison: &Comparison) -> Option<(f64, String)> {
    let lift = comparison.relative_difference?;
    let bounds = words::open_interval(comparison.relative_interval?, words::signed_percent)?;
    (!is_decided(comparison) || lift.abs() >= LEAST_LIFT).then_some((lift, bounds))
}

fn absolute(metric: Metric, difference: f64) -> String {
    let signed = words::difference(metric, difference.abs());
    signed.trim_start_matches('+').to_owned()
}

fn direction(difference: f64) -> &'static str {
    if difference < 0.0 { "lower" } else { "higher" }
}

/// `with B than with A`, `with B as with A` after "the same".
fn with_whom(change: &str, variation: &str, baseline: &str) -> String {
    let than = if change == "the same" { "as" } else { "than" };
    format!("{change} with {variation} {than} with {baseline}")
}

/// The relative interval where it says something, else that of the difference.
fn bounds(report: &TestingReport, comparison: &Comparison) -> Option<String> {
    let relative = relative(comparison).map(|(_, bounds)| bounds);
    relative.or_else(|| {
        let interval = comparison.interval?;
        Some(words::difference_interval(report.unit(), interval))
    })
}

/// "The same, which can't be told from chance" would say nothing.
fn alike(
    report: &TestingReport,
    comparison: &Comparison,
    variation: &str,
    baseline: &str,
) -> String {
    let bounds = bounds(report, comparison).map_or(String::new(), |bounds| {
        format!("; the data allow for {bounds} ({})", label(report))
    });
    format!(
        "{} shows no difference between {variation} and {baseline} so far{bounds}{}.",
        opening_subject(report),
        outlook(report, comparison)
    )
}

fn pair(report: &TestingReport, comparison: &Comparison) -> String {
    let variation = name(report, &comparison.variation);
    let baseline = name(report, &comparison.baseline);
    match comparison.verdict {
        Verdict::Better | Verdict::Worse => format!("{}.", decided(report, comparison)),
        Verdict::Undecided => {
            let change = change(report, comparison);
            if change == "the same" {
                return alike(report, comparison, &variation, &baseline);
            }
            let change = with_whom(&change, &variation, &baseline);
            let bounds = bounds(report, comparison).map_or(String::new(), |bounds| {
                format!(": {bounds} ({})", label(report))
            });
            format!(
                "{} is {change}; the data can't yet tell that from chance{bounds}{}.",
                opening_subject(report),
                outlook(report, comparison)
            )
        }
        Verdict::NotEnoughData => {
            let why = why(comparison);
            format!("{variation} can't be compared with {baseline} yet. {why}")
        }
    }
}

/// The first sentence of the note, which says why there is no test.
fn why(comparison: &Comparison) -> String {
    let note = comparison.note.as_deref();
    let first = note.and_then(|note| note.split(". ").next());
    match first {
        Some(first) => format!("{}.", first.trim_end_matches('.')),
        None => "There are too few data.".into(),
    }
}

/// `C is better than A: Purchase per visitor is 9.1% higher (95% interval +6.2% to +12.1%)`.
fn decided(report: &TestingReport, comparison: &Comparison) -> String {
    let verdict = match comparison.verdict {
        Verdict::Better => "better",
        _ => "worse",
    };
    format!(
        "{} is {verdict} than {}: {} is {}{}",
        name(report, &comparison.variation),
        name(report, &comparison.baseline),
        subject(report),
        change(report, comparison),
        in_brackets(report, comparison)
    )
}

fn in_brackets(report: &TestingReport, comparison: &Comparison) -> String {
    bounds(report, comparison).map_or(String::new(), |bounds| {
        format!(" ({} {bounds})", label(report))
    })
}

/// When a lift that is worth shipping would show.
fn outlook(report: &TestingReport, comparison: &Comparison) -> String {
    let Some((days, target)) = comparison.days_left.zip(report.target_lift) else {
        return String::new();
    };
    let lift = words::lift(target);
    match days {
        0 => format!("; a lift of {lift} would most likely have shown by now"),
        days => format!(
            "; {} at this rate would show a lift of {lift}",
            words::more_days(days)
        ),
    }
}

fn many(report: &TestingReport, comparisons: &[Comparison]) -> String {
    let baseline = name(report, &report.baseline);
    let of = |verdict: Verdict| {
        let mut found: Vec<&Comparison> = comparisons
            .iter()
            .filter(|comparison| comparison.verdict == verdict)
            .collect();
        // The clearest first; of equals in the order of the arms.
        let size = |comparison: &Comparison| comparison.difference.unwrap_or_default().abs();
        found.sort_by(|a, b| size(b).total_cmp(&size(a)));
        found
    };
    let (better, worse) = (of(Verdict::Better), of(Verdict::Worse));
    let (undecided, unknown) = (of(Verdict::Undecided), of(Verdict::NotEnoughData));
    let mut parts = Vec::new();
    match (better.split_first(), worse.split_first()) {
        (Some((best, others)), _) => {
            parts.push(decided(report, best));
            parts.extend(also(report, others, "better too"));
            parts.extend(also(report, &worse, "worse"));
        }
        (None, Some((lowest, others))) => {
            parts.push(decided(report, lowest));
            parts.extend(also(report, others, "worse too"));
        }
        (None, None) if !undecided.is_empty() => {
            return undecided_all(report, &undecided, &unknown, &baseline);
        }
        (None, None) => {
            let why = unknown.first().map_or(String::new(), |first| why(first));
            return format!("No variation can be compared with {baseline} yet. {why}");
        }
    }
    if !undecided.is_empty() {
        let names = names(report, &undecided);
        parts.push(format!("{names} can't be told from {baseline} yet"));
    }
    if !unknown.is_empty() {
        let names = names(report, &unknown);
        parts.push(format!("{names} can't be compared yet"));
    }
    format!("{}.", parts.join("; "))
}

/// `B (+2.1%) and D (+4.0%) are better too`.
fn also(report: &TestingReport, comparisons: &[&Comparison], verdict: &str) -> Option<String> {
    let named: Vec<String> = comparisons
        .iter()
        .map(|comparison| {
            let name = name(report, &comparison.variation);
            let amount = match (relative(comparison), comparison.difference) {
                (Some((lift, _)), _) => words::signed_percent(lift),
                (None, Some(difference)) => words::difference(report.unit(), difference),
                (None, None) => return name,
            };
            format!("{name} ({amount})")
        })
        .collect();
    let is = if named.len() == 1 { "is" } else { "are" };
    (!named.is_empty()).then(|| format!("{} {is} {verdict}", words::list(&named)))
}

fn names(report: &TestingReport, comparisons: &[&Comparison]) -> String {
    let named: Vec<String> = comparisons
        .iter()
        .map(|comparison| name(report, &comparison.variation))
        .collect();
    words::list(&named)
}

fn undecided_all(
    report: &TestingReport,
    undecided: &[&Comparison],
    unknown: &[&Comparison],
    baseline: &str,
) -> String {
    let largest = undecided[0];
    let change = change(report, largest);
    let unknown = match names(report, unknown) {
        names if names.is_empty() => String::new(),
        names => format!("; {names} can't be compared yet"),
    };
    if change == "the same" {
        return format!("No variation can be told from {baseline} yet{unknown}.");
    }
    let change = with_whom(&change, &name(report, &largest.variation), baseline);
    format!(
        "No variation can be told from {baseline} yet; the largest difference is that {} is \
         {change}{}{}{unknown}.",
        subject(report),
        in_brackets(report, largest),
        outlook(report, largest)
    )
}

fn nothing_to_compare(report: &TestingReport) -> String {
    let arm = report.arms.iter().find(|arm| arm.expected_share.is_some());
    match arm.and_then(|arm| Some((arm, arm.mean?))) {
        Some((arm, mean)) => format!(
            "There is only {}, and nothing to compare it with: {} is {}.",
            name(report, &arm.variation),
            subject(report),
            words::mean(report.unit(), mean)
        ),
        None => "There are no data to compare.".into(),
    }
}

fn alarmed(report: &TestingReport, alarm: &Concern) -> String {
    let drift = report
        .concerns
        .iter()
        .find(|concern| concern.code == ConcernCode::AllocationDrift);
    let mut text = alarm.message.clone();
    if let Some(drift) = drift {
        if drift.code != alarm.code {
            text = format!("{text} {}", drift.message);
        }
        let by_day = stratified(report);
        if !by_day.is_empty() {
            text = format!("{text} Day by day, {by_day}.");
        }
    }
    let others = report
        .concerns
        .iter()
        .filter(|concern| concern.severity == Severity::Alarm)
        .filter(|concern| {
            concern.code != alarm.code && concern.code != ConcernCode::AllocationDrift
        })
        .count();
    match others {
        0 => text,
        1 => format!("{text} There is another problem below."),
        more => format!("{text} There are {more} other problems below."),
    }
}

/// The differences that compare each day with itself: `Purchase per visitor is 0.24 points lower
/// with B than with A (95% interval ...)`.
fn stratified(report: &TestingReport) -> String {
    let baseline = name(report, &report.baseline);
    let by_day = report.post_stratified.iter().flatten();
    let parts: Vec<String> = by_day
        .filter(|stratified| stratified.over == Strata::Day)
        .map(|stratified| {
            let variation = name(report, &stratified.variation);
            match stratified_change(report, stratified) {
                Some((change, bounds)) => format!(
                    "{} is {} ({} {bounds})",
                    subject(report),
                    with_whom(&change, &variation, &baseline),
                    // Normal, however the pooled one is made.
                    label_of(report, "interval"),
                ),
                None if is_dropped(stratified) => format!(
                    "too many visitors stand on days when {variation} or {baseline} had next to \
                     none: choose days that have both"
                ),
                None => {
                    format!("there are too few visitors to compare {variation} with {baseline}")
                }
            }
        })
        .collect();
    parts.join("; ")
}

fn is_dropped(stratified: &PostStratified) -> bool {
    stratified.note.as_deref() == Some(&*Note::TooMuchDropped.to_string())
}

fn stratified_change(
    report: &TestingReport,
    stratified: &PostStratified,
) -> Option<(String, String)> {
    let (difference, interval) = stratified.difference.zip(stratified.interval)?;
    let change = if difference == 0.0 {
        "the same".to_owned()
    } else {
        let amount = absolute(report.unit(), difference);
        format!("{amount} {}", direction(difference))
    };
    Some((change, words::difference_interval(report.unit(), interval)))
}
