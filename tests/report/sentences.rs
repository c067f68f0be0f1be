//! The opening sentence, in all its forms; read them aloud.

use std::fmt::Write;

use sumsq::domain::data_source::GoodDirection;
use sumsq::domain::report::view::TestingReport;

use crate::fixture::{agent, data, report, rows};

#[derive(Clone, Copy, Default)]
struct Case {
    what: &'static str,
    rows: &'static [&'static str],
    query: &'static str,
    decrease: bool,
    named: bool,
}

const TWO: Case = Case {
    what: "",
    rows: &[],
    query: "",
    decrease: false,
    named: false,
};

fn read(case: &Case) -> TestingReport {
    let mut data = data(&["sales"], &rows(case.rows));
    let goal = &mut data.source.description.goals[0];
    if case.decrease {
        goal.good_direction = GoodDirection::Decrease;
    }
    if case.named {
        goal.display_name = Some("Sales".into());
        let mut agent = agent(&[("A", 1.0), ("B", 1.0)]);
        agent.variations[0].display_name = Some("Today".into());
        agent.variations[1].display_name = Some("Green button".into());
        agent.target_lift = Some(0.02);
        data.resource = Some(agent);
    }
    report(&data, case.query)
}

fn two_arms() -> Vec<Case> {
    let document: &[&str] = &[
        "0 A r - 10 1/1/9.99/99.8001",
        "0 B r - 9 3/5/30.97/539.9605",
    ];
    let misprint: &[&str] = &[
        "0 A r - 10 1/1/9.99/99.8001",
        "0 B r - 9 3/5/30.97/450.1504",
    ];
    let up: &[&str] = &["0 A r - 10000 1000/1000", "0 B r - 10000 1150/1150"];
    let down: &[&str] = &["0 A r - 10000 1000/1000", "0 B r - 10000 860/860"];
    let close: &[&str] = &["0 A r - 10000 1000/1000", "0 B r - 10000 1009/1009"];
    let same: &[&str] = &["0 A r - 10000 1000/1000", "0 B r - 10000 1000/1000"];
    let zero: &[&str] = &["0 A r - 2000 0/0", "0 B r - 2000 3/3"];
    let zero_clear: &[&str] = &["0 A r - 2000 0/0", "0 B r - 2000 60/60"];
    let nothing: &[&str] = &["0 A r - 2000 0/0", "0 B r - 2000 0/0"];
    let counted_zero: &[&str] = &["0 A r - 2000 0/0", "0 B r - 2000 60/120"];
    let value: &[&str] = &[
        "0 A r - 10000 1000/1000/25000.00/650000.00",
        "0 B r - 10000 1040/1040/26500.00/700000.00",
    ];
    let unbounded: &[&str] = &["0 A r - 30 2/2", "0 B r - 30 9/9"];
    let large: &[&str] = &[
        "0 A r - 1000000 100000/100000",
        "0 B r - 1000000 100100/100100",
    ];
    let amounts_of_nobody: &[&str] = &["0 A r - 2000 0/0/0/0", "0 B r - 2000 60/60/60/60"];
    let often: &[&str] = &["0 A r - 1000 1490/4490", "0 B r - 1000 1500/4500"];
    let hardly: &[&str] = &[
        "0 A r - 9000000000 8999500000/8999500000",
        "0 B r - 9000000000 8999700000/8999700000",
    ];
    let case = |what, rows, query| Case {
        what,
        rows,
        query,
        ..TWO
    };
    vec![
        case("the document's example, rate", document, "metric=rate"),
        case("the document's example, value", document, "metric=value"),
        case(
            "the document's example as printed, value",
            misprint,
            "metric=value",
        ),
        case("better", up, ""),
        case("worse", down, ""),
        Case {
            decrease: true,
            ..case("better since lower", down, "")
        },
        Case {
            decrease: true,
            ..case("worse since higher", up, "")
        },
        case("undecided", close, ""),
        case("the very same", same, ""),
        case("B is the baseline", up, "baseline=B"),
        case("undecided, with a target", close, "targetLift=0.02"),
        case(
            "undecided, the target would have shown",
            large,
            "targetLift=0.02",
        ),
        Case {
            named: true,
            ..case("with names", close, "")
        },
        Case {
            named: true,
            ..case("with names, better", up, "")
        },
        case("at 90%", up, "confidence=0.9"),
        case("always valid", up, "interval=alwaysValid"),
        case(
            "always valid, too few",
            document,
            "metric=rate&interval=alwaysValid",
        ),
        case("value", value, "metric=value"),
        case("value for a counted goal", up, "metric=value"),
        case("zero baseline", zero, ""),
        case("zero baseline, clear", zero_clear, ""),
        case("zero baseline, counted", counted_zero, ""),
        case("nobody converts", nothing, ""),
        case("lift bounded on one side", unbounded, ""),
        case("more than once a visitor", often, ""),
        case("amounts of nobody", amounts_of_nobody, "metric=value"),
        case("better by next to nothing", hardly, ""),
    ]
}

fn other_numbers_of_arms() -> Vec<Case> {
    let one: &[&str] = &["0 A r - 10000 1000/1000"];
    let one_better: &[&str] = &[
        "0 A r - 9000 900/900",
        "0 B r - 9000 910/910",
        "0 C r - 9000 1100/1100",
        "0 D r - 9000 890/890",
    ];
    let mixed: &[&str] = &[
        "0 A r - 9000 900/900",
        "0 B r - 9000 1090/1090",
        "0 C r - 9000 1100/1100",
        "0 D r - 9000 700/700",
    ];
    let worse: &[&str] = &[
        "0 A2 r - 9000 900/900",
        "0 A10 r - 9000 700/700",
        "0 A3 r - 9000 910/910",
    ];
    let undecided: &[&str] = &[
        "0 A r - 9000 900/900",
        "0 B r - 9000 910/910",
        "0 C r - 9000 930/930",
    ];
    let none: &[&str] = &[
        "0 A r - 90 0/0/0/0",
        "0 B r - 90 0/0/0/0",
        "0 C r - 90 0/0/0/0",
    ];
    let alike: &[&str] = &[
        "0 A r - 9000 900/900",
        "0 B r - 9000 900/900",
        "0 C r - 9000 900/900",
    ];
    let without_totals: &[&str] = &["0 A r - 1000 100/100", "0 B r s=g 1000 120/120"];
    let case = |what, rows, query| Case {
        what,
        rows,
        query,
        ..TWO
    };
    vec![
        case("one arm", one, ""),
        case("no data on these days", one, "from=2026-03-01"),
        case("no data at all", &[], ""),
        case("three comparisons, one better", one_better, ""),
        case("the same, not adjusted", one_better, "adjust=none"),
        case("two better, one worse", mixed, ""),
        case("one worse", worse, ""),
        case("all undecided", undecided, "targetLift=0.05"),
        case("nothing to compare with", none, "metric=value"),
        case("all the same", alike, ""),
        case("an arm with rows by trait alone", without_totals, ""),
    ]
}

fn alarms() -> Vec<Case> {
    let mismatch: &[&str] = &["0 A r - 10000 1000/1000", "0 B r - 9000 1150/1150"];
    let drift: &[&str] = &[
        "0 A r - 9000 450/450",
        "0 B r - 1000 48/48",
        "1 A r - 1000 100/100",
        "1 B r - 9000 882/882",
    ];
    let drift_of_three: &[&str] = &[
        "0 A r - 9000 450/450",
        "0 B r - 1000 48/48",
        "0 C r - 5000 250/250",
        "1 A r - 1000 100/100",
        "1 B r - 9000 882/882",
        "1 C r - 5000 500/500",
    ];
    let drift_and_mismatch: &[&str] = &[
        "0 A r - 9000 450/450",
        "0 B r - 1000 48/48",
        "1 A r - 1000 100/100",
        "1 B r - 6000 582/582",
    ];
    let drift_without_pairs: &[&str] = &["0 A r - 9000 450/450", "1 B r - 9000 882/882"];
    let drift_without_many_pairs: &[&str] = &[
        "0 A r - 9000 450/450",
        "1 A r - 1000 100/100",
        "1 B r - 1000 100/100",
        "2 B r - 9000 882/882",
    ];
    let drift_to_and_fro: &[&str] = &[
        "0 A r - 9000 450/450",
        "0 B r - 1000 48/48",
        "1 A r - 1000 100/100",
        "1 B r - 9000 882/882",
        "2 A r - 9000 450/450",
        "2 B r - 1000 48/48",
        "3 A r - 1000 100/100",
        "3 B r - 9000 882/882",
    ];
    let broken: &[&str] = &["0 A r - 10000 1000/1001", "0 B r - 10000 1150/1150"];
    let few: &[&str] = &["0 A r - 5 1/1", "0 B r - 9 3/5"];
    let several: &[&str] = &["0 A r - 7 2/3", "0 B r - 9000 1/1"];
    let case = |what, rows, query| Case {
        what,
        rows,
        query,
        ..TWO
    };
    vec![
        case("sample ratio mismatch", mismatch, ""),
        case("drift", drift, ""),
        case("drift, value", drift, "metric=value"),
        case("drift of three", drift_of_three, ""),
        case("drift and mismatch", drift_and_mismatch, ""),
        case("drift without a day that has both", drift_without_pairs, ""),
        case(
            "drift, few days that have both",
            drift_without_many_pairs,
            "",
        ),
        case("drift to and fro", drift_to_and_fro, ""),
        case("a row that can't be", broken, ""),
        case("few visitors", few, ""),
        case("several alarms", several, ""),
    ]
}

fn aloud(cases: &[Case]) -> String {
    let mut shown = String::new();
    for case in cases {
        _ = writeln!(shown, "{}:\n  {}", case.what, read(case).sentence);
    }
    shown
}

#[test]
fn two_arms_read_like_this() {
    insta::assert_snapshot!(aloud(&two_arms()));
}

#[test]
fn other_numbers_of_arms_read_like_this() {
    insta::assert_snapshot!(aloud(&other_numbers_of_arms()));
}

#[test]
fn alarms_read_like_this() {
    insta::assert_snapshot!(aloud(&alarms()));
}

#[test]
fn an_alarm_keeps_every_verdict_back() {
    for case in alarms() {
        let report = read(&case);
        assert!(!report.trustworthy, "{}", case.what);
        let alarm = &report.concerns[0].message;
        assert!(report.sentence.starts_with(alarm.as_str()), "{}", case.what);
        let shown = sumsq::domain::report::terminal::testing_text(&report, true);
        for text in [&report.sentence, &shown] {
            let text = text.to_lowercase();
            for word in ["better", "worse", "undecided"] {
                assert!(!text.contains(word), "{} says {word:?}: {text}", case.what);
            }
        }
        // The pooled lift of B is nowhere: +69%.
        assert!(!shown.contains("+69"), "{shown}");
    }
}

#[test]
fn a_terminal_shows_it_like_this() {
    let cases = [
        two_arms()[3],
        two_arms()[0],
        other_numbers_of_arms()[5],
        alarms()[1],
        *two_arms()
            .iter()
            .find(|case| case.what == "more than once a visitor")
            .unwrap(),
    ];
    let shown =
        cases.map(|case| sumsq::domain::report::terminal::testing_text(&read(&case), false));
    insta::assert_snapshot!(shown.join("\n"));
    let coloured = sumsq::domain::report::terminal::testing_text(&read(&two_arms()[3]), true);
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    assert!(!shown.concat().contains('\u{1b}'));
}

#[test]
fn a_lift_without_an_interval_is_no_headline() {
    let lines = rows(&[
        "0 A r - 2000 20/20/40.00/800.00",
        "0 B r - 2000 900/900/6000.00/400000.00",
    ]);
    let mut data = data(&["sales"], &lines);
    data.source.description.goals[0].numeric = true;
    data.source.description.goals[0].allow_negative = true;
    let report = report(&data, "confidence=0.9999");
    assert!(report.comparisons[0].relative_difference.is_some());
    insta::assert_snapshot!(report.sentence);
}
