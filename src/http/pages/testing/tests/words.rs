//! Headings, notes and digits.

use super::*;

/// A piece of the page around what is searched for, where a test fails.
fn around<'a>(html: &'a str, begin: &str) -> &'a str {
    let at = html.find(begin).unwrap_or_else(|| panic!("no {begin}"));
    let end = html[at..].find("</section>").unwrap_or(html.len() - at);
    &html[at..at + end]
}

#[test]
fn headings_say_the_unit_and_what_a_p_accounts_for() {
    let mut report = report();
    let check = |report: &TestingReport, headings: &[&str]| {
        let html = render(report);
        let table = around(&html, "Comparisons with the baseline");
        for heading in headings {
            assert!(table.contains(heading), "{heading} in {table}");
        }
    };
    check(
        &report,
        &[
            ">p<span class=\"range\">adjusted for 2 comparisons</span>",
            "95% interval, adjusted for 2 comparisons",
            "percentage points, p adjusted",
            "Expected loss<span class=\"range\">percentage points</span>",
            "Smallest detectable<span class=\"range\">percentage points</span>",
            "0.274<span class=\"range\">0.137 alone</span>",
            "p 1.000",
        ],
    );
    report.metric = Metric::Value;
    report.interval = IntervalKind::AlwaysValid;
    check(
        &report,
        &[
            ">p<span class=\"range\">always valid, adjusted for 2 comparisons</span>",
            "Expected loss<span class=\"range\">value per visitor</span>",
        ],
    );
    report.family = 1;
    check(
        &report,
        &[
            ">p<span class=\"range\">always valid</span>",
            "p 0.620",
            "95% always-valid interval<",
        ],
    );
    report.interval = IntervalKind::Fixed;
    check(&report, &[">p<span class=\"range\"></span>"]);
}

#[test]
fn without_relative_intervals_there_is_no_scale_and_the_note_says_why() {
    let report = report();
    let mut goals = goals(&report);
    assert!(render_with(&report, &goals).contains("Relative interval <span class=\"quiet\">(−"));
    for row in &mut goals.rows {
        row.relative_interval = None;
        row.note = Some("the baseline has no conversions".to_owned());
    }
    let html = render_with(&report, &goals);
    assert!(html.contains(">Relative interval</th>") && !html.contains("()"));
    let note =
        "<td class=\"spark-cell\"><span class=\"sub\">The baseline has no conversions.</span>";
    assert_eq!(html.matches(note).count(), goals.rows.len());
}

#[test]
fn a_rate_is_never_shown_below_nothing_and_a_value_may_be() {
    let mut report = report();
    report.arms[1].interval = Some([-0.21, 0.88]);
    assert!(render(&report).contains("0.00% to 88.00%"));
    report.metric = Metric::Value;
    assert!(render(&report).contains("−0.2100 to 0.8800"));
}

#[test]
fn a_number_has_the_same_digits_wherever_it_stands() {
    let mut report = report();
    let b = report.comparisons[0].clone();
    let last = report.by_day.last_mut().unwrap();
    last.cumulative[0].difference = b.difference;
    last.cumulative[0].always_valid_interval = b.always_valid.interval;
    let html = render(&report);
    assert!(
        html.contains("dy=\"-11\" text-anchor=\"end\">+1.68</text>"),
        "the chart"
    );
    assert!(html.contains("<td class=\"n strong\">+1.68<"), "the table");
    assert!(html.contains("<td class=\"n\">+1.68 points<"), "all goals");
    // A's mean beside B's and beside C's.
    report.comparisons[0].difference = Some(0.000_12);
    let html = render(&report);
    assert!(html.contains("+0.012 points<"));
    assert_eq!(
        html.matches("<td class=\"n means\">40.74%</td>").count(),
        4,
        "two rates"
    );
    // Far smaller than its interval, it has the sentence's two digits.
    let mut report = drifted();
    for by_day in report.post_stratified.iter_mut().flatten() {
        by_day.difference = Some(0.000_12);
        by_day.interval = Some([-0.003_4, 0.003_6]);
    }
    let html = render(&report);
    assert_eq!(
        html.matches("+0.012 points<").count(),
        6,
        "four rates of goals, two strata"
    );
}

#[test]
fn an_alarm_is_not_said_twice() {
    let mut report = drifted();
    let message = report.concerns[0].message.clone();
    report.sentence = format!("{message}, so nothing is concluded.");
    let html = render(&report);
    assert_eq!(html.matches("moved from 50.0% to 86.2%").count(), 1);
    assert!(
        html.contains("The split changed over time")
            && html.contains("Look at the difference by day")
    );
    report.sentence = "Something else is wrong.".to_owned();
    assert!(render(&report).contains("moved from 50.0% to 86.2%"));
}

#[test]
fn where_no_day_compares_nothing_is_said_to_be_read() {
    let mut report = drifted();
    let read_this = "read this one.";
    assert!(render(&report).contains(read_this));
    for by_day in report.post_stratified.as_mut().unwrap() {
        (by_day.difference, by_day.interval) = (None, None);
        (by_day.p, by_day.adjusted_p) = (None, None);
    }
    let html = render(&report);
    assert!(!html.contains(read_this));
    assert!(html.contains("Within days they cannot be compared either"));
}

#[test]
fn an_undeclared_arm_has_no_share_of_the_test() {
    let mut report = report();
    let planned = |report: &TestingReport| {
        let html = render(report);
        assert!(!html.contains("(–)"), "{html}");
        html.matches("% <span class=\"quiet\">(").count()
    };
    assert_eq!(planned(&report), 3);
    report.arms[2].expected_share = None;
    assert_eq!(planned(&report), 2);
}
