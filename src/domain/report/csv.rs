//! Downloads: exactly the view as CSV, header first, numbers unrounded. People open them in a
//! spreadsheet, so a text that one would run as a formula has a quote before it.

use super::view::{
    ActivityReport, Arm, Comparison, GoalsReport, PostStratified, Strata, TestingReport, Verdict,
};

const TESTING: [&str; 59] = [
    "namespace",
    "dataSource",
    "agent",
    "goal",
    "metric",
    "from",
    "to",
    "policy",
    "visitorsUnderOtherPolicies",
    "traitGroup",
    "traitValue",
    "confidence",
    "interval",
    "adjust",
    "family",
    "targetLift",
    "dataAsOf",
    "days",
    "daysWithoutGoal",
    "trustworthy",
    "variation",
    "baseline",
    "visitors",
    "conversions",
    "sum",
    "sumOfSquares",
    "mean",
    "variance",
    "baselineVisitors",
    "baselineConversions",
    "baselineSum",
    "baselineSumOfSquares",
    "baselineMean",
    "baselineVariance",
    "difference",
    "standardError",
    "degreesOfFreedom",
    "t",
    "p",
    "adjustedP",
    "intervalLow",
    "intervalHigh",
    "relativeDifference",
    "relativeIntervalLow",
    "relativeIntervalHigh",
    "note",
    "alwaysValidLow",
    "alwaysValidHigh",
    "alwaysValidP",
    "chanceToWin",
    "expectedLoss",
    "minimumDetectableDifference",
    "daysLeft",
    "verdict",
    "postStratifiedOver",
    "postStratifiedDifference",
    "postStratifiedLow",
    "postStratifiedHigh",
    "postStratifiedP",
];

/// One row per comparison; where a trait group is chosen also one per value and comparison, which
/// has the value in `traitValue`. `verdict` is empty where the report is not to be trusted: a sheet
/// that is filtered by it must not find what no page shows.
#[must_use]
pub fn testing_csv(report: &TestingReport) -> String {
    let whole = (
        report.trait_value.as_deref(),
        &report.arms,
        &report.comparisons,
    );
    let values = report.by_trait.iter().flatten();
    let by_value = values.map(|of| (Some(of.value.as_str()), &of.arms, &of.comparisons));
    let rows = std::iter::once(whole)
        .chain(by_value)
        .flat_map(|(value, arms, comparisons)| {
            comparisons.iter().map(move |comparison| {
                let arm = |code: &str| arms.iter().find(|arm| arm.variation == code);
                testing_row(
                    report,
                    value,
                    comparison,
                    [arm(&comparison.variation), arm(&comparison.baseline)],
                )
            })
        });
    table(&TESTING, rows)
}

fn testing_row(
    report: &TestingReport,
    trait_value: Option<&str>,
    comparison: &Comparison,
    [arm, baseline]: [Option<&Arm>; 2],
) -> [String; TESTING.len()] {
    let parameters = Parameters(report.query_pairs());
    let [low, high] = bounds(comparison.interval);
    let [relative_low, relative_high] = comparison.relative_interval.unwrap_or_default();
    let always_valid = &comparison.always_valid;
    let [valid_low, valid_high] = bounds(always_valid.interval);
    let is_whole = trait_value == report.trait_value.as_deref();
    let stratified = stratified(report, &comparison.variation).filter(|_| is_whole);
    let [stratified_low, stratified_high] = bounds(stratified.and_then(|found| found.interval));
    let [visitors, conversions, sum, squares, mean, variance] = sums(arm);
    let [
        of_visitors,
        of_conversions,
        of_sum,
        of_squares,
        of_mean,
        of_variance,
    ] = sums(baseline);
    [
        report.namespace.clone(),
        report.data_source.clone(),
        report.agent.clone(),
        report.goal.clone(),
        parameters.value("metric"),
        report.from.to_string(),
        report.to.to_string(),
        report.policy.clone(),
        report.visitors_under_other_policies.to_string(),
        text(report.trait_group.as_ref()),
        text(trait_value),
        report.confidence.to_string(),
        parameters.value("interval"),
        parameters.value("adjust"),
        report.family.to_string(),
        text(report.target_lift),
        text(report.data_as_of),
        report.days.to_string(),
        report.days_without_goal.to_string(),
        report.trustworthy.to_string(),
        comparison.variation.clone(),
        comparison.baseline.clone(),
        visitors,
        conversions,
        sum,
        squares,
        mean,
        variance,
        of_visitors,
        of_conversions,
        of_sum,
        of_squares,
        of_mean,
        of_variance,
        text(comparison.difference),
        text(comparison.standard_error),
        text(comparison.degrees_of_freedom),
        text(comparison.t),
        text(comparison.p),
        text(comparison.adjusted_p),
        low,
        high,
        text(comparison.relative_difference),
        text(relative_low),
        text(relative_high),
        text(comparison.note.as_ref()),
        valid_low,
        valid_high,
        text(always_valid.p),
        text(comparison.bayes.map(|bayes| bayes.chance_to_win)),
        text(comparison.bayes.map(|bayes| bayes.expected_loss)),
        text(comparison.minimum_detectable_difference),
        text(comparison.days_left),
        verdict(comparison.verdict, report.trustworthy),
        text(stratified.map(|found| over(found.over))),
        text(stratified.and_then(|found| found.difference)),
        stratified_low,
        stratified_high,
        text(stratified.and_then(|found| found.p)),
    ]
}

/// Of the whole: by day under drift, else by trait.
fn stratified<'r>(report: &'r TestingReport, variation: &str) -> Option<&'r PostStratified> {
    let of = |over: Strata| {
        let mut found = report.post_stratified.iter().flatten();
        found.find(|found| found.over == over && found.variation == variation)
    };
    of(Strata::Day).or_else(|| of(Strata::Trait))
}

fn over(strata: Strata) -> &'static str {
    match strata {
        Strata::Day => "day",
        Strata::Trait => "trait",
    }
}

fn verdict(verdict: Verdict, trustworthy: bool) -> String {
    if trustworthy {
        format!("{verdict:?}")
    } else {
        String::new()
    }
}

fn sums(arm: Option<&Arm>) -> [String; 6] {
    [
        text(arm.map(|arm| arm.visitors)),
        text(arm.map(|arm| arm.conversions)),
        text(arm.map(|arm| arm.sum)),
        text(arm.map(|arm| arm.sum_of_squares)),
        text(arm.and_then(|arm| arm.mean)),
        text(arm.and_then(|arm| arm.variance)),
    ]
}

fn bounds(interval: Option<[f64; 2]>) -> [String; 2] {
    [
        text(interval.map(|[low, _]| low)),
        text(interval.map(|[_, high]| high)),
    ]
}

/// One row per goal, metric and comparison.
#[must_use]
pub fn goals_csv(report: &GoalsReport) -> String {
    let header = [
        "namespace",
        "dataSource",
        "agent",
        "trustworthy",
        "goal",
        "metric",
        "variation",
        "baseline",
        "baselineMean",
        "mean",
        "difference",
        "intervalLow",
        "intervalHigh",
        "relativeDifference",
        "relativeIntervalLow",
        "relativeIntervalHigh",
        "p",
        "adjustedP",
        "verdict",
        "postStratifiedDifference",
        "postStratifiedLow",
        "postStratifiedHigh",
        "postStratifiedP",
        "note",
    ];
    let rows = report.rows.iter().map(|row| {
        let [low, high] = bounds(row.interval);
        let [relative_low, relative_high] = row.relative_interval.unwrap_or_default();
        let by_day = row.post_stratified.as_ref();
        let [by_day_low, by_day_high] = bounds(by_day.and_then(|by_day| by_day.interval));
        [
            report.namespace.clone(),
            report.data_source.clone(),
            report.agent.clone(),
            row.trustworthy.to_string(),
            row.goal.clone(),
            row.metric.name().to_owned(),
            row.variation.clone(),
            row.baseline.clone(),
            text(row.baseline_mean),
            text(row.mean),
            text(row.difference),
            low,
            high,
            text(row.relative_difference),
            text(relative_low),
            text(relative_high),
            text(row.p),
            text(row.adjusted_p),
            verdict(row.verdict, row.trustworthy),
            text(by_day.and_then(|by_day| by_day.difference)),
            by_day_low,
            by_day_high,
            text(by_day.and_then(|by_day| by_day.p)),
            text(row.note.as_ref()),
        ]
    });
    table(&header, rows)
}

/// A view's parameters as an address writes them.
struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    fn value(&self, name: &str) -> String {
        let pair = self.0.iter().find(|(known, _)| *known == name);
        pair.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

/// One row per row and group of the report.
#[must_use]
pub fn activity_csv(report: &ActivityReport) -> String {
    let header = [
        "namespace",
        "dataSource",
        "agent",
        "goal",
        "policy",
        "traitGroup",
        "traitValue",
        "groupBy",
        "per",
        "cumulative",
        "from",
        "to",
        "complete",
        "group",
        "visitors",
        "conversions",
        "value",
        "rate",
        "valuePerVisitor",
    ];
    let parameters = Parameters(report.query_pairs());
    let rows = report.rows.iter().flat_map(|row| {
        let parameters = &parameters;
        row.cells.iter().map(move |cell| {
            [
                report.namespace.clone(),
                report.data_source.clone(),
                report.agent.clone(),
                report.goal.clone(),
                report.policy.clone(),
                text(report.trait_group.as_ref()),
                text(report.trait_value.as_ref()),
                parameters.value("groupBy"),
                parameters.value("per"),
                report.cumulative.to_string(),
                row.from.to_string(),
                row.to.to_string(),
                row.complete.to_string(),
                cell.group.clone(),
                cell.visitors.to_string(),
                text(cell.conversions),
                text(cell.value),
                text(cell.rate),
                text(cell.value_per_visitor),
            ]
        })
    });
    table(&header, rows)
}

/// Empty for what is null.
fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn table<const N: usize>(header: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let mut written = writer.write_record(header);
    for row in rows {
        let cells = row.map(|cell| {
            if is_formula(&cell) {
                format!("'{cell}")
            } else {
                cell
            }
        });
        written = written.and_then(|()| writer.write_record(&cells));
    }
    // A vector takes every byte, and each row has the header's length.
    debug_assert!(written.is_ok());
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Whether a spreadsheet would take the text for a formula, as OWASP's "CSV Injection" lists them.
/// A number is none, whatever its sign.
fn is_formula(cell: &str) -> bool {
    const BEGINNINGS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    cell.starts_with(BEGINNINGS) && cell.parse::<f64>().is_err()
}
