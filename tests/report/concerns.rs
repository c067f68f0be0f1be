//! Every concern: when it is raised, when it is just not, and how it reads.

use std::fmt::Write;

use sumsq::domain::data_source::Dating;
use sumsq::domain::fetch::{ErrorCode, FetchError};
use sumsq::domain::report::csv::goals_csv;
use sumsq::domain::report::trust::untrustworthy;
use sumsq::domain::report::view::{ConcernCode, Severity};
use sumsq::domain::report::{AgentData, goals};

use crate::fixture::{agent, concern, data, now, parsed, report, rows, tally};

use ConcernCode::{
    AllocationDrift, DaysMissing, EffectDiffersByTrait, FewConversions, FewVisitors,
    GoalAbsentOnDays, IncompleteDay, IntegrityProblem, LastFetchFailed, LateArm, PolicyMixed,
    SampleRatioMismatch, StaleData, TraitImbalance, TraitTotalsDisagree, UnexpectedVariation,
    VisitorDays,
};

#[test]
fn where_the_shares_moved_every_goal_is_compared_day_by_day_on_the_days_that_have_it() {
    let lines = [
        "0 A r - 9000 450/450 x",
        "0 B r - 1000 48/48 x",
        "1 A r - 1000 100/100 30/30",
        "1 B r - 9000 882/882 90/90",
        "2 A r - 1000 100/100 30/30",
        "2 B r - 9000 882/882 90/90",
    ];
    // Those on which the second goal stands have the same shares.
    let data = data(&["sales", "returns"], &rows(&lines));
    let all_goals = goals(&tally(&data), &parsed(""), now()).unwrap();
    assert!(!all_goals.trustworthy);
    assert_eq!(all_goals.rows.len(), 2);
    for row in all_goals.rows {
        let report = report(&data, &format!("goal={}", row.goal));
        assert!(concern(&report, AllocationDrift).is_some(), "{}", row.goal);
        let [by_day] = report.post_stratified.unwrap().try_into().unwrap();
        assert!(by_day.difference.is_some());
        assert_eq!(row.post_stratified, Some(by_day), "{}", row.goal);
    }
}

#[test]
fn an_alarm_about_one_goal_keeps_back_its_verdict_and_no_other() {
    // Three returns of 7 in squares: no number of visitors has that.
    let lines = ["0 A r - 1000 100/100 3/7", "0 B r - 1000 200/200 90/90"];
    let data = data(&["sales", "returns"], &rows(&lines));
    let all = goals(&tally(&data), &parsed(""), now()).unwrap();
    assert!(!all.trustworthy);
    let told: Vec<_> = all
        .rows
        .iter()
        .map(|row| (row.goal.as_str(), row.trustworthy, row.alarms.as_slice()))
        .collect();
    assert_eq!(
        told,
        [
            ("sales", true, [].as_slice()),
            ("returns", false, [IntegrityProblem].as_slice()),
        ]
    );
    for row in &all.rows {
        let alone = report(&data, &format!("goal={}", row.goal));
        assert_eq!(alone.trustworthy, row.trustworthy, "{}", row.goal);
    }
    let csv = goals_csv(&all);
    let verdicts: Vec<_> = csv
        .lines()
        .map(|line| (line.contains("Better"), line.contains(",true,")))
        .collect();
    assert_eq!(
        verdicts,
        [(false, false), (true, true), (false, false)],
        "{csv}"
    );
}

#[test]
fn a_policy_is_advised_only_where_it_is() {
    let hint = |lines: &[&str]| {
        let report = report(&data(&["sales"], &rows(lines)), "policy=all");
        concern(&report, PolicyMixed).unwrap().hint.clone()
    };
    let random = ["0 A r - 10 1/1", "0 B f - 10 1/1"];
    assert_eq!(hint(&random), "Choose policy r for a fair comparison.");
    let none = ["0 A p - 10 1/1", "0 B f - 10 1/1"];
    assert_eq!(
        hint(&none),
        "No visitor was assigned at random: a fair comparison needs some who are."
    );
}

#[derive(Clone)]
struct Case {
    code: ConcernCode,
    raised: bool,
    data: AgentData,
    query: &'static str,
}

fn on(code: ConcernCode, lines: &[&str]) -> Case {
    Case {
        code,
        raised: true,
        data: data(&["sales"], &rows(lines)),
        query: "",
    }
}

fn off(code: ConcernCode, lines: &[&str]) -> Case {
    Case {
        raised: false,
        ..on(code, lines)
    }
}

impl Case {
    fn with(mut self, change: impl FnOnce(&mut AgentData)) -> Self {
        change(&mut self.data);
        self
    }

    fn asked(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    fn declaring(self, variations: &[(&str, f64)]) -> Self {
        self.with(|data| data.resource = Some(agent(variations)))
    }
}

fn at(time: &str) -> jiff::Timestamp {
    time.parse().unwrap()
}

const EVEN: [&str; 2] = ["0 A r - 1000 100/100", "0 B r - 1000 100/100"];
const TWO_DAYS: [&str; 4] = [
    "0 A r - 1000 100/100",
    "0 B r - 1000 100/100",
    "1 A r - 1000 100/100",
    "1 B r - 1000 100/100",
];
const DRIFT: [&str; 4] = [
    "0 A r - 9000 450/450",
    "0 B r - 1000 48/48",
    "1 A r - 1000 100/100",
    "1 B r - 9000 882/882",
];

fn about_shares() -> Vec<Case> {
    let uneven = ["0 A r - 1000 100/100", "0 B r - 800 100/100"];
    let nearly = ["0 A r - 1000 100/100", "0 B r - 900 100/100"];
    let nine_to_one = ["0 A r - 900 100/100", "0 B r - 100 50/50"];
    let by_policy = [
        "0 A r - 1000 100/100",
        "0 B r - 1000 100/100",
        "0 A f - 900 90/90",
        "0 B f - 100 10/10",
    ];
    let uneven_trait = [
        "0 A r - 1000 100/100",
        "0 A r s=g 500 50/50",
        "0 A r s=p 500 50/50",
        "0 B r - 1000 100/100",
        "0 B r s=g 640 64/64",
        "0 B r s=p 360 36/36",
    ];
    let opposed = [
        "0 A r s=g 2000 200/200",
        "0 A r s=p 2000 200/200",
        "0 B r s=g 2000 300/300",
        "0 B r s=p 2000 120/120",
    ];
    let moved = ["1 A r s=g 9000 900/900", "1 B r s=g 1000 100/100"];
    let same_each_day = [
        "0 A r s=g 20 9/9",
        "0 B r s=g 20 9/9",
        "1 A r s=g 20 9/9",
        "1 B r s=g 20 9/9",
    ];
    let drift_beside_a_trait = [&DRIFT[..], &same_each_day].concat();
    let alike = [
        "0 A r s=g 2000 200/200",
        "0 A r s=p 2000 200/200",
        "0 B r s=g 2000 300/300",
        "0 B r s=p 2000 280/280",
    ];
    vec![
        on(SampleRatioMismatch, &uneven),
        off(SampleRatioMismatch, &nearly),
        on(SampleRatioMismatch, &nine_to_one),
        off(SampleRatioMismatch, &nine_to_one).declaring(&[("A", 9.0), ("B", 1.0)]),
        // A declared arm with no rows counts as 0.
        on(SampleRatioMismatch, &EVEN).declaring(&[("A", 1.0), ("B", 1.0), ("C", 1.0)]),
        // Weight 0 is not in the test.
        off(SampleRatioMismatch, &EVEN).declaring(&[("A", 1.0), ("B", 1.0), ("C", 0.0)]),
        // A trait that is chosen hides nothing.
        on(
            SampleRatioMismatch,
            &[
                "0 A r - 1000 100/100",
                "0 A r s=g 20 9/9",
                "0 B r - 800 100/100",
                "0 B r s=g 20 9/9",
            ],
        )
        .asked("traitGroup=s&traitValue=g"),
        // Under all policies the visitors of r alone must keep to the shares.
        off(SampleRatioMismatch, &by_policy).asked("policy=all"),
        // A policy that draws no lots promises no shares, but an Agent may.
        off(SampleRatioMismatch, &by_policy).asked("policy=f"),
        on(SampleRatioMismatch, &by_policy)
            .asked("policy=f")
            .declaring(&[("A", 1.0), ("B", 1.0)]),
        on(AllocationDrift, &DRIFT),
        on(
            AllocationDrift,
            &["0 A r - 9000 450/450", "1 B r - 9000 882/882"],
        ),
        // Nor does a trait hide that shares moved.
        on(AllocationDrift, &drift_beside_a_trait).asked("traitGroup=s&traitValue=g"),
        off(AllocationDrift, &TWO_DAYS),
        on(TraitImbalance, &uneven_trait),
        off(TraitImbalance, &opposed),
        on(EffectDiffersByTrait, &opposed),
        off(EffectDiffersByTrait, &alike),
        // Pooled over days whose shares moved there is no effect to ask about.
        off(EffectDiffersByTrait, &[&opposed[..], &moved].concat()),
        on(AllocationDrift, &[&opposed[..], &moved].concat()),
    ]
}

fn about_rows() -> Vec<Case> {
    let odd = ["0 A r - 1000 100/101", "0 B r - 1000 100/100"];
    let crowded = [
        "0 A r - 2 4/6",
        "0 B r - 2 2/2",
        "1 A r - 1000 100/100",
        "1 B r - 1000 100/100",
    ];
    let values = [
        "0 A r - 1000 100/100/900.00/8000.00",
        "0 B r - 1000 100/100/900.00/9000.00",
    ];
    let policies = [EVEN[0], EVEN[1], "0 B f - 50 5/5"];
    let fixed = ["0 A f - 1000 100/100", "0 B f - 1000 100/100"];
    let apart = [
        "0 A r - 1000 100/100",
        "0 A r s=g 999 100/100",
        "0 B r - 1000 100/100",
        "0 B r s=g 1000 99/99",
    ];
    let agree = [
        "0 A r - 1000 100/100",
        "0 A r s=g 400 40/40",
        "0 A r s=p 600 60/60",
        "0 B r - 1000 100/100",
    ];
    let absent = [EVEN[0], EVEN[1], "1 A r - 1000 x", "1 B r - 1000 x"];
    vec![
        on(IntegrityProblem, &odd),
        on(IntegrityProblem, &crowded),
        off(IntegrityProblem, &EVEN),
        // A rate has nothing to do with values that can't be.
        on(IntegrityProblem, &values).asked("metric=value"),
        off(IntegrityProblem, &values).asked("metric=rate"),
        on(VisitorDays, &TWO_DAYS).with(|data| data.source.description.dating = Dating::Event),
        off(VisitorDays, &EVEN).with(|data| data.source.description.dating = Dating::Event),
        off(VisitorDays, &TWO_DAYS),
        on(PolicyMixed, &policies),
        on(PolicyMixed, &policies).asked("policy=all"),
        on(PolicyMixed, &fixed),
        off(PolicyMixed, &EVEN),
        on(TraitTotalsDisagree, &apart),
        off(TraitTotalsDisagree, &agree),
        // B has no totals where A has.
        on(TraitTotalsDisagree, &[EVEN[0], "0 B r s=g 1000 120/120"]),
        on(GoalAbsentOnDays, &absent),
        off(GoalAbsentOnDays, &TWO_DAYS),
    ]
}

fn about_arms() -> Vec<Case> {
    let seven = ["0 A r - 8 1/1", "0 B r - 7 1/1"];
    let eight = ["0 A r - 8 1/1", "0 B r - 8 1/1"];
    let thirty_nine = ["0 A r - 1000 39/39", "0 B r - 1000 100/100"];
    let forty = ["0 A r - 1000 40/40", "0 B r - 1000 100/100"];
    let gap = [EVEN[0], EVEN[1], "3 A r - 1000 99/99", "3 B r - 1000 99/99"];
    let no_b = [
        EVEN[0],
        EVEN[1],
        "1 A r - 14 9/9",
        "2 A r - 10 1/1",
        "2 B r - 10 1/1",
    ];
    let small_day = [
        EVEN[0],
        EVEN[1],
        "1 A r - 13 9/9",
        "2 A r - 10 1/1",
        "2 B r - 10 1/1",
    ];
    let late = [
        "0 A r - 14 9/9",
        "1 A r - 1000 100/100",
        "1 B r - 1000 100/100",
    ];
    let little_late = [
        "0 A r - 13 9/9",
        "1 A r - 1000 100/100",
        "1 B r - 1000 100/100",
    ];
    let three = [EVEN[0], EVEN[1], "0 C r - 20 2/2"];
    vec![
        on(FewVisitors, &seven),
        off(FewVisitors, &eight),
        on(FewVisitors, &[]),
        on(FewVisitors, &["0 A r - 1000 x", "0 B r - 1000 x"]),
        on(FewConversions, &thirty_nine),
        off(FewConversions, &forty),
        // 39.6 is not told as 40.
        on(FewConversions, &["0 A r - 1000 66/110", EVEN[1]]),
        on(DaysMissing, &gap),
        on(DaysMissing, &no_b),
        off(DaysMissing, &small_day),
        off(DaysMissing, &late),
        on(LateArm, &late),
        off(LateArm, &little_late),
        off(LateArm, &no_b),
        on(UnexpectedVariation, &three).declaring(&[("A", 1.0), ("B", 1.0)]),
        on(UnexpectedVariation, &three).declaring(&[("A", 1.0), ("B", 1.0), ("C", 0.0)]),
        off(UnexpectedVariation, &three),
    ]
}

fn about_the_source() -> Vec<Case> {
    let error = FetchError::new(
        ErrorCode::NoSuchKey,
        "The specified key does not exist.",
        "Compare `key` with the bucket's contents.",
    );
    vec![
        on(IncompleteDay, &TWO_DAYS).with(|data| {
            data.source.imported_at = Some(at("2026-01-06T09:00:00Z"));
        }),
        off(IncompleteDay, &TWO_DAYS).with(|data| {
            data.source.imported_at = Some(at("2026-01-07T00:00:00Z"));
        }),
        // A day ends where the source keeps its time: in Auckland 13 hours before it does in UTC,
        off(IncompleteDay, &TWO_DAYS).with(|data| {
            data.source.description.time_zone = "Pacific/Auckland".into();
            data.source.imported_at = Some(at("2026-01-06T11:00:00Z"));
        }),
        on(IncompleteDay, &TWO_DAYS).with(|data| {
            data.source.description.time_zone = "Pacific/Auckland".into();
            data.source.imported_at = Some(at("2026-01-06T10:59:59Z"));
        }),
        // and in Los Angeles 8 hours after.
        on(IncompleteDay, &TWO_DAYS).with(|data| {
            data.source.description.time_zone = "America/Los_Angeles".into();
            data.source.imported_at = Some(at("2026-01-07T07:59:59Z"));
        }),
        on(StaleData, &EVEN).with(|data| data.source.data_as_of = Some(at("2026-05-30T09:00:01Z"))),
        off(StaleData, &EVEN)
            .with(|data| data.source.data_as_of = Some(at("2026-05-31T09:00:01Z"))),
        on(StaleData, &EVEN).with(|data| {
            data.source.data_as_of = Some(at("2026-05-20T09:00:01Z"));
            data.source.description.suspend = true;
        }),
        on(LastFetchFailed, &EVEN).with(|data| data.source.last_error = Some(error)),
        off(LastFetchFailed, &EVEN),
    ]
}

#[test]
fn each_is_raised_where_it_should_be_and_not_beside_it() {
    let mut shown = String::new();
    let cases = [
        about_shares(),
        about_rows(),
        about_arms(),
        about_the_source(),
    ]
    .concat();
    for (index, case) in cases.into_iter().enumerate() {
        let report = report(&case.data, case.query);
        let found = concern(&report, case.code);
        let expected = (case.code, case.raised);
        assert_eq!(
            (case.code, found.is_some()),
            expected,
            "case {index} {report:#?}"
        );
        let alarms = report
            .concerns
            .iter()
            .any(|concern| concern.severity == Severity::Alarm);
        assert_eq!(report.trustworthy, !alarms, "case {index}");
        assert_eq!(untrustworthy(&report).is_some(), alarms, "case {index}");
        assert!(
            report.concerns.is_sorted_by_key(|concern| concern.severity),
            "case {index}"
        );
        if let Some(found) = found {
            let values = serde_json::to_string(&found.values).unwrap();
            _ = writeln!(
                shown,
                "{:?} {:?}: {}\n  {}\n  {values}",
                found.severity, found.code, found.message, found.hint
            );
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn every_code_has_its_case() {
    let cases = [
        about_shares(),
        about_rows(),
        about_arms(),
        about_the_source(),
    ]
    .concat();
    for code in [
        SampleRatioMismatch,
        AllocationDrift,
        TraitImbalance,
        IntegrityProblem,
        VisitorDays,
        FewVisitors,
        FewConversions,
        DaysMissing,
        LateArm,
        IncompleteDay,
        PolicyMixed,
        TraitTotalsDisagree,
        GoalAbsentOnDays,
        UnexpectedVariation,
        EffectDiffersByTrait,
        StaleData,
        LastFetchFailed,
    ] {
        for raised in [true, false] {
            let has = |case: &Case| case.code == code && case.raised == raised;
            assert!(cases.iter().any(has), "{code:?} {raised}");
        }
    }
}

#[test]
fn integrity_that_only_speaks_of_dating_is_no_alarm() {
    let cases = about_rows();
    let severity = |case: &Case| {
        let report = report(&case.data, case.query);
        concern(&report, IntegrityProblem).unwrap().severity
    };
    assert_eq!(severity(&cases[0]), Severity::Alarm);
    assert_eq!(severity(&cases[1]), Severity::Warning);
}

#[test]
fn drift_names_the_difference_of_each_day_with_itself() {
    let report = report(&data(&["sales"], &rows(&DRIFT)), "");
    assert_eq!(concern(&report, SampleRatioMismatch), None);
    let comparison = &report.comparisons[0];
    let z = comparison.difference.unwrap() / comparison.standard_error.unwrap();
    assert!((z - 10.3).abs() < 0.05, "{z}");
    assert!((comparison.relative_difference.unwrap() - 0.69).abs() < 0.005);
    let stratified = &report.post_stratified.as_ref().unwrap()[0];
    let difference = stratified.difference.unwrap();
    assert!((difference + 0.002).abs() < 1e-9, "{difference}");
    let z = difference / stratified.standard_error.unwrap();
    assert!((z + 0.33).abs() < 0.005, "{z}");
}
