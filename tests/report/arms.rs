//! Which arms there are, what a report is about by default, and its single numbers.

use sumsq::domain::data_source::Dating;
use sumsq::domain::report::view::{Adjust, Metric, Strata, TestingReport};
use sumsq::domain::report::{choices, goals, testing};

use crate::fixture::{agent, data, goal, now, parsed, report, rows, tally};

fn arms(report: &TestingReport) -> Vec<String> {
    let shown = |arm: &sumsq::domain::report::view::Arm| match arm.expected_share {
        Some(share) => format!("{} {share:.2}", arm.variation),
        None => format!("{} -", arm.variation),
    };
    report.arms.iter().map(shown).collect()
}

#[test]
fn the_baseline_stands_first_and_the_others_in_natural_order() {
    let lines = rows(&[
        "0 A10 r - 100 10/10",
        "0 A2 r - 100 10/10",
        "0 B r - 100 10/10",
    ]);
    let mut data = data(&["sales"], &lines);
    let asked = |data: &_, query| arms(&report(data, query));
    assert_eq!(asked(&data, ""), ["A2 0.33", "A10 0.33", "B 0.33"]);
    assert_eq!(
        asked(&data, "baseline=B"),
        ["B 0.33", "A2 0.33", "A10 0.33"]
    );

    let mut declared = agent(&[("A10", 3.0), ("A2", 1.0), ("C", 1.0), ("B", 0.0)]);
    declared.baseline = Some("A10".into());
    data.resource = Some(declared);
    // B is not in the test, C has no rows.
    assert_eq!(asked(&data, ""), ["A10 0.60", "A2 0.20", "B -", "C 0.20"]);
    let report = report(&data, "");
    let compared: Vec<_> = report
        .comparisons
        .iter()
        .map(|c| c.variation.as_str())
        .collect();
    assert_eq!(
        (report.baseline.as_str(), compared),
        ("A10", vec!["A2", "C"])
    );
    let error = testing(&tally(&data), &parsed("baseline=B"), now()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "baseline: \"B\" is not there; takes one of A2, A10, C"
    );
}

#[test]
fn only_who_converts_once_at_most_is_a_share() {
    // Three visitors of ten bought, one of them three times; or three bought once each.
    for (row, unit) in [("5/11", Metric::Value), ("3/3", Metric::Rate)] {
        let lines = [format!("0 A r - 10 {row}"), "0 B r - 10 2/2".to_owned()];
        let data = data(&["sales"], &lines);
        assert_eq!(report(&data, "").unit(), unit, "{row}");
        let all = goals(&tally(&data), &parsed(""), now()).unwrap();
        assert_eq!(all.rows[0].unit(), unit, "{row}");
    }
}

#[test]
fn who_has_no_spread_is_left_out_of_what_is_said_of_all_and_named() {
    let lines = |third: &str| {
        let lines = ["0 A r - 500 50/50", "0 B r - 500 60/60"].map(str::to_owned);
        [lines.to_vec(), vec![format!("0 C r - 500 {third}")]].concat()
    };
    let note = |third| report(&data(&["sales"], &lines(third)), "").omnibus_note;
    assert_eq!(note("55/55"), None);
    assert_eq!(
        note("0/0").as_deref(),
        Some(
            "What is said of all variations together leaves out C: there is no spread to measure \
             chance by where all visitors did the same."
        )
    );
}

#[test]
fn codes_that_are_not_there_are_told_with_those_that_are() {
    let lines = rows(&["0 A r s=g 100 10/10", "0 B f s=g 100 10/10"]);
    let data = data(&["sales"], &lines);
    let errors = [
        "goal=x",
        "policy=x",
        "traitGroup=x",
        "traitGroup=s&traitValue=x",
        "baseline=x",
    ]
    .map(|query| {
        testing(&tally(&data), &parsed(query), now())
            .unwrap_err()
            .to_string()
    });
    assert_eq!(
        errors,
        [
            "goal: \"x\" is not there; takes one of sales",
            "policy: \"x\" is not there; takes one of f, r, all",
            "traitGroup: \"x\" is not there; takes one of s",
            "traitValue: \"x\" is not there; takes one of g",
            "baseline: \"x\" is not there; takes one of A, B",
        ]
    );
}

#[test]
fn a_link_to_share_writes_everything_out_and_shows_the_same() {
    let lines = rows(&[
        "0 A r s=g 100 10/10",
        "0 B r s=g 100 12/12",
        "0 C r s=g 100 12/12",
        "1 A r s=g 100 10/10",
    ]);
    let mut data = data(&["sales"], &lines);
    for query in [
        "",
        "targetLift=0.05&traitGroup=s",
        "confidence=0.9&adjust=none&interval=alwaysValid",
    ] {
        let first = report(&data, query);
        let pairs = first.query_pairs();
        let parsed = sumsq::domain::report::TestingQuery::parse(
            pairs.iter().map(|(name, value)| (*name, value.as_str())),
        )
        .unwrap();
        assert_eq!(testing(&tally(&data), &parsed, now()).unwrap(), first);
        let written = pairs.iter().map(|(name, value)| format!("{name}={value}"));
        if query.is_empty() {
            let written: Vec<String> = written.collect();
            assert_eq!(
                written.join("&"),
                "dataSource=sales&goal=sales&metric=rate&from=2026-01-05&to=2026-01-06&policy=r&\
                 baseline=A&confidence=0.95&interval=fixed&adjust=bonferroni"
            );
        }
        // A month later there are more days, and the link still shows the same.
        let mut later = data.clone();
        let mut day = later.source.days[0].clone();
        day.day.0 += 30;
        later.source.days.push(day);
        let again = testing(&tally(&later), &parsed, now()).unwrap();
        assert_eq!(again.comparisons, first.comparisons);
    }
    data.source.days.clear();
    assert_eq!(report(&data, "").days, 0);
}

#[test]
fn several_comparisons_are_accounted_for_together() {
    let lines = rows(&[
        "0 A r - 5000 500/500",
        "0 B r - 5000 570/570",
        "0 C r - 5000 560/560",
    ]);
    let data = data(&["sales"], &lines);
    let adjusted = report(&data, "");
    assert_eq!((adjusted.adjust, adjusted.family), (Adjust::Bonferroni, 2));
    let comparison = &adjusted.comparisons[0];
    let twice = 2.0 * comparison.p.unwrap();
    assert!((comparison.adjusted_p.unwrap() - twice).abs() < 1e-15);
    let single = report(&data, "adjust=none");
    assert_eq!((single.adjust, single.family), (Adjust::None, 1));
    let width = |report: &TestingReport| {
        let [low, high] = report.comparisons[0].interval.unwrap();
        high - low
    };
    assert!(width(&adjusted) > width(&single));
    let two = report(&crate::fixture::data(&["sales"], &lines[..2]), "");
    assert_eq!((two.adjust, two.family), (Adjust::None, 1));
    assert!(adjusted.omnibus.is_some() && two.omnibus.is_none());
    let chances = adjusted.chance_to_be_best.unwrap();
    let sum: f64 = chances.values().flatten().sum();
    assert!((sum - 1.0).abs() < 1e-9, "{chances:?}");
}

#[test]
fn converters_are_bounded_where_each_visitor_stands_on_one_day() {
    let lines = rows(&[
        "0 A r - 10 3/5",
        "0 B r - 10 4/4",
        "1 A r - 10 2/4",
        "1 B r - 10 1/1",
    ]);
    let mut data = data(&["sales"], &lines);
    let bounds = |report: &TestingReport| {
        let arms = report.arms.iter();
        arms.map(|arm| (arm.converters_at_least, arm.converters_at_most))
            .collect::<Vec<_>>()
    };
    // 3 events with squares of 5 are two visitors, 2 with 4 are one.
    assert_eq!(
        bounds(&report(&data, "")),
        [(Some(3), Some(3)), (Some(5), Some(5))]
    );
    data.source.description.dating = Dating::Event;
    assert_eq!(bounds(&report(&data, "")), [(None, None), (None, None)]);
    let one_day = report(&data, "to=2026-01-05");
    assert_eq!(bounds(&one_day), [(Some(2), Some(2)), (Some(4), Some(4))]);
}

#[test]
fn days_left_rest_on_the_newest_complete_days() {
    // Ten days of 1,000 in each arm, and a newest one that was fetched early.
    let mut lines: Vec<String> = (0..10)
        .flat_map(|day| ["A", "B"].map(|arm| format!("{day} {arm} r - 1000 100/100")))
        .collect();
    lines.extend(["10 A r - 10 1/1", "10 B r - 10 1/1"].map(String::from));
    let mut data = data(&["sales"], &lines);
    data.source.imported_at = Some("2026-01-15T06:00:00Z".parse().unwrap());
    let days = |data: &_, query| report(data, query).comparisons[0].days_left;
    assert_eq!(days(&data, ""), None);
    let left = days(&data, "targetLift=0.05").unwrap();
    // Some 57,000 visitors in each arm see a lift of 5% of 10%; 10,000 are there.
    assert!((40..60).contains(&left), "{left}");
    assert_eq!(days(&data, "targetLift=0.5"), Some(0));
    data.resource = Some(agent(&[("A", 1.0), ("B", 1.0)]));
    data.resource.as_mut().unwrap().target_lift = Some(0.05);
    assert_eq!(days(&data, ""), Some(left));
    let shown = report(&data, "");
    let newest = shown.by_day.last().unwrap();
    assert!(!newest.complete && shown.by_day[9].complete);
}

#[test]
fn a_trait_group_is_compared_value_by_value() {
    let lines = rows(&[
        "0 A r s=g 2000 200/200",
        "0 A r s=p 2000 200/200",
        "0 B r s=g 2000 300/300",
        "0 B r s=p 2000 120/120",
        "0 A r t=x 10 1/1",
    ]);
    let data = data(&["sales"], &lines);
    let report = report(&data, "traitGroup=s");
    let values: Vec<_> = report
        .by_trait
        .iter()
        .flatten()
        .map(|of| of.value.as_str())
        .collect();
    assert_eq!(values, ["g", "p"]);
    let gold = &report.by_trait.as_ref().unwrap()[0];
    assert_eq!(
        (gold.arms[1].visitors, gold.arms[1].conversions),
        (2000, 300)
    );
    assert!((gold.comparisons[0].difference.unwrap() - 0.05).abs() < 1e-12);
    let interaction = &report.trait_interaction.as_ref().unwrap()[0];
    assert_eq!((interaction.df, interaction.values.len()), (Some(1.0), 2));
    assert!(interaction.p.unwrap() < 1e-6);
    let stratified = &report.post_stratified.as_ref().unwrap()[0];
    assert_eq!(stratified.over, Strata::Trait);
    assert!((stratified.difference.unwrap() - 0.005).abs() < 1e-12);
    // The totals of the arms are as without a trait.
    assert_eq!(report.arms[0].visitors, 4000);

    let gold = crate::fixture::report(&data, "traitGroup=s&traitValue=g");
    assert_eq!(
        (gold.arms[0].visitors, gold.arms[1].conversions),
        (2000, 300)
    );
    assert_eq!((gold.by_trait, gold.trait_interaction), (None, None));
}

#[test]
fn all_goals_stand_side_by_side() {
    let lines = rows(&[
        "0 A r - 1000 100/100/900.00/9000.00 5/5",
        "0 B r - 1000 130/130/1300.00/15000.00 6/6",
    ]);
    let mut data = data(&["sales", "visits"], &lines);
    data.source.description.goals[0].numeric = true;
    data.source.description.goals.push(goal("never-there"));
    let report = goals(&tally(&data), &parsed(""), now()).unwrap();
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| format!("{} {} {:?}", row.goal, row.metric.name(), row.verdict))
        .collect();
    assert_eq!(
        rows,
        [
            "sales rate Better",
            "sales value Better",
            "visits rate Undecided"
        ]
    );
    assert!(report.trustworthy);
    let offered: Vec<_> = choices(&tally(&data))
        .goals
        .into_iter()
        .map(|goal| goal.code)
        .collect();
    assert_eq!(offered, ["sales", "visits"]);

    let mut restricted = agent(&[]);
    restricted.goals = vec!["visits".into(), "sales".into()];
    data.resource = Some(restricted);
    let offered: Vec<_> = choices(&tally(&data))
        .goals
        .into_iter()
        .map(|goal| goal.code)
        .collect();
    assert_eq!(offered, ["visits", "sales"]);
    assert_eq!(crate::fixture::report(&data, "").goal, "visits");
}

#[test]
fn the_last_day_s_running_difference_is_that_of_the_whole() {
    let lines = rows(&[
        "0 A r - 1000003 333333/333333",
        "0 B r - 1000003 333334/333334",
        "1 A r - 999979 333331/333331",
        "1 B r - 999983 333337/333337",
    ]);
    let report = report(&data(&["sales"], &lines), "");
    let running = &report.by_day.last().unwrap().cumulative[0];
    assert_eq!(running.difference, report.comparisons[0].difference);
}
