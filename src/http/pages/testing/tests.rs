use askama::Template;

use super::*;

mod words;

use crate::domain::agent_day::Day;
use crate::domain::report::Choice;
use crate::domain::report::view::{
    Adjust, AlwaysValid, Arm, ArmOfDay, Bayes, Comparison, Concern, ConcernCode,
    CumulativeDifference, DayOfTest, GoalRow, Omnibus, PostStratified, Severity, TraitInteraction,
    TraitOfTest, Verdict,
};

/// A code that breaks whatever does not encode and escape.
const HOSTILE: &str = "a/b \"c\" <é>";

fn arm(variation: &str, visitors: u64, conversions: u64) -> Arm {
    #[allow(clippy::cast_precision_loss)]
    let (n, s) = (visitors as f64, conversions as f64);
    let mean = s / n;
    let error = (mean * (1.0 - mean) / n).sqrt();
    Arm {
        variation: variation.to_owned(),
        display_name: Some(format!("The {variation} one")),
        visitors,
        conversions,
        sum: s,
        sum_of_squares: s,
        mean: Some(mean),
        variance: Some(mean * (1.0 - mean)),
        standard_error: Some(error),
        interval: Some([mean - 2.0 * error, mean + 2.0 * error]),
        expected_share: Some(1.0 / 3.0),
        effective_conversions: Some(s),
        converters_at_least: Some(conversions),
        converters_at_most: Some(conversions),
        value_per_conversion: None,
    }
}

fn comparison(arm: &Arm, baseline: &Arm, verdict: Verdict) -> Comparison {
    let difference = arm.mean.unwrap() - baseline.mean.unwrap();
    let error = arm
        .standard_error
        .unwrap()
        .hypot(baseline.standard_error.unwrap());
    let relative = difference / baseline.mean.unwrap();
    let half = 2.0 * error / baseline.mean.unwrap();
    Comparison {
        variation: arm.variation.clone(),
        baseline: baseline.variation.clone(),
        difference: Some(difference),
        standard_error: Some(error),
        degrees_of_freedom: Some(41_000.0),
        t: Some(difference / error),
        p: Some(0.137),
        adjusted_p: Some(0.274),
        interval: Some([difference - 2.0 * error, difference + 2.0 * error]),
        relative_difference: Some(relative),
        relative_interval: Some([Some(relative - half), Some(relative + half)]),
        note: None,
        always_valid: AlwaysValid {
            interval: Some([difference - 3.0 * error, difference + 3.0 * error]),
            p: Some(0.62),
            note: None,
        },
        bayes: Some(Bayes {
            chance_to_win: 0.931,
            expected_loss: 0.000_21,
        }),
        minimum_detectable_difference: Some(2.8 * error),
        days_left: Some(9),
        verdict,
    }
}

fn days(n: i32) -> Vec<DayOfTest> {
    (0..n)
        .map(|at| {
            let spread = 0.05 / f64::from(at + 1).sqrt();
            let wave = f64::from(at * 7 % 5 - 2) * spread * 0.15;
            let cumulative = ["B", "C"].map(|variation| CumulativeDifference {
                variation: variation.to_owned(),
                difference: Some(0.007 + wave),
                always_valid_interval: (at > 3)
                    .then_some([0.007 + wave - spread, 0.007 + wave + spread]),
            });
            DayOfTest {
                day: Day(20_458 + at),
                complete: at + 1 < n,
                has_goal: true,
                arms: ["A", "B", "C"]
                    .map(|variation| ArmOfDay {
                        variation: variation.to_owned(),
                        visitors: 340,
                        mean: Some(0.4),
                    })
                    .to_vec(),
                cumulative: cumulative.to_vec(),
            }
        })
        .collect()
}

fn report() -> TestingReport {
    let (a, b, c) = (
        arm("A", 20_596, 8_391),
        arm("B", 20_660, 8_765),
        arm("C", 20_611, 8_101),
    );
    TestingReport {
        namespace: "growth".to_owned(),
        data_source: "shop-conversions".to_owned(),
        agent: HOSTILE.to_owned(),
        display_name: None,
        goal: "purchase".to_owned(),
        goal_display_name: Some("Purchase".to_owned()),
        metric: Metric::Rate,
        from: Day(20_458),
        to: Day(20_517),
        policy: "r".to_owned(),
        visitors_under_other_policies: 1_204,
        trait_group: None,
        trait_value: None,
        confidence: 0.95,
        interval: IntervalKind::Fixed,
        adjust: Adjust::Bonferroni,
        family: 2,
        target_lift: Some(0.02),
        data_as_of: Some("2026-03-06T09:02:11Z".parse().unwrap()),
        days: 60,
        days_without_goal: 0,
        trustworthy: true,
        sentence:
            "B converts 1.8% more visitors than A; the data can’t yet tell that from chance: \
                   −0.6% to +4.1%; about 9 more days at this rate."
                .to_owned(),
        baseline: "A".to_owned(),
        comparisons: vec![
            comparison(&b, &a, Verdict::Better),
            comparison(&c, &a, Verdict::Worse),
        ],
        arms: vec![a, b, c],
        omnibus: Some(Omnibus {
            f: 2.31,
            df1: 2.0,
            df2: 41_202.3,
            p: 0.099,
        }),
        omnibus_note: None,
        chance_to_be_best: Some(
            [("A", 0.07), ("B", 0.92), ("C", 0.01)]
                .map(|(code, chance)| (code.to_owned(), Some(chance)))
                .into_iter()
                .collect(),
        ),
        by_day: days(60),
        by_trait: None,
        trait_interaction: None,
        post_stratified: None,
        concerns: vec![concern(ConcernCode::IncompleteDay, Severity::Info)],
    }
}

fn concern(code: ConcernCode, severity: Severity) -> Concern {
    Concern {
        code,
        severity,
        message: "B’s share of the visitors moved from 50.0% to 86.2% (p < 0.001)".to_owned(),
        hint: "look at the difference by day, and find out what changed on 2026-02-03".to_owned(),
        values: serde_json::Map::new(),
    }
}

fn goals(report: &TestingReport) -> GoalsReport {
    let row = |goal: &str, metric, at: usize| {
        let found = &report.comparisons[at];
        GoalRow {
            goal: goal.to_owned(),
            display_name: None,
            metric,
            variation: found.variation.clone(),
            baseline: found.baseline.clone(),
            baseline_mean: report.arms[0].mean,
            mean: report.arms[at + 1].mean,
            difference: found.difference,
            interval: found.interval,
            relative_difference: found.relative_difference,
            relative_interval: found.relative_interval,
            p: found.p,
            adjusted_p: found.adjusted_p,
            verdict: found.verdict,
            post_stratified: report
                .post_stratified
                .iter()
                .flatten()
                .find(|stratified| stratified.variation == found.variation)
                .cloned(),
            note: None,
            is_share: metric == Metric::Rate && report.unit() == Metric::Rate,
            trustworthy: report.trustworthy,
            alarms: Vec::new(),
        }
    };
    GoalsReport {
        namespace: report.namespace.clone(),
        data_source: report.data_source.clone(),
        agent: report.agent.clone(),
        trustworthy: report.trustworthy,
        rows: vec![
            row("purchase", Metric::Rate, 0),
            row("purchase", Metric::Rate, 1),
            row("orders", Metric::Rate, 0),
            row("orders", Metric::Rate, 1),
            row("orders", Metric::Value, 0),
            row("orders", Metric::Value, 1),
        ],
    }
}

fn choices() -> Choices {
    let choice = |code: &str, numeric| Choice {
        code: code.to_owned(),
        display_name: None,
        numeric,
    };
    Choices {
        goals: vec![choice("purchase", false), choice("orders", true)],
        variations: vec![choice("A", false), choice("B", false), choice("C", false)],
        policies: vec!["r".to_owned()],
        traits: vec![(
            "country".to_owned(),
            vec!["DE".to_owned(), "<script>".to_owned()],
        )],
        first_day: Day(20_458),
        last_day: Day(20_517),
    }
}

fn render(report: &TestingReport) -> String {
    render_with(report, &goals(report))
}

fn render_with(report: &TestingReport, goals: &GoalsReport) -> String {
    let choices = choices();
    let page = TestingPage::new(&Facts {
        report,
        goals: Some(goals),
        choices: &choices,
        good_direction: GoodDirection::Increase,
        data_sources: vec!["shop-conversions".to_owned(), "till".to_owned()],
    });
    let html = page.render().unwrap();
    for forbidden in [
        "style=\"", "<style", "<script>", "onclick", "http://", "https://",
    ] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    html
}

/// Words that only a verdict says.
const VERDICTS: [&str; 5] = ["Better", "Worse", "Undecided", "better →", "worse →"];

#[test]
fn a_code_is_escaped_in_text_and_encoded_in_links() {
    let html = render(&report());
    assert!(html.contains("<h1>a/b &#34;c&#34; &#60;é&#62;</h1>"));
    assert!(html.contains("/namespaces/growth/agents/a%2Fb%20%22c%22%20%3C%C3%A9%3E/activity?dataSource=shop-conversions"));
    assert!(!html.contains("<é>"));
}

#[test]
fn a_link_to_share_writes_every_parameter_out() {
    let html = render(&report());
    let all = "dataSource=shop-conversions&#38;goal=purchase&#38;metric=rate&#38;from=2026-01-05\
               &#38;to=2026-03-05&#38;policy=r&#38;baseline=A&#38;confidence=0.95&#38;\
               interval=fixed&#38;adjust=bonferroni&#38;targetLift=0.02";
    let agent = "/namespaces/growth/agents/a%2Fb%20%22c%22%20%3C%C3%A9%3E";
    for link in [
        format!("href=\"{agent}?{all}\" data-copy-link"),
        format!("href=\"/api/v1{agent}/testing.csv?{all}\""),
        format!("href=\"/api/v1{agent}/testing?{all}\""),
    ] {
        assert!(html.contains(&link), "{link}");
    }
}

#[test]
fn a_trusted_report_says_its_verdicts() {
    let html = render(&report());
    for word in ["Better", "Worse", "better →", "Chance to be best", "93.1%"] {
        assert!(html.contains(word), "{word}");
    }
}

/// As the domain tells it where the shares of the variations moved over time.
fn drifted() -> TestingReport {
    let mut report = report();
    report.trustworthy = false;
    report.sentence = "The shares of the variations moved over time.".to_owned();
    report.concerns = vec![concern(ConcernCode::AllocationDrift, Severity::Alarm)];
    let by_day = |variation: &str| PostStratified {
        over: Strata::Day,
        variation: variation.to_owned(),
        difference: Some(-0.002),
        standard_error: Some(0.006),
        interval: Some([-0.0138, 0.0098]),
        p: Some(0.74),
        adjusted_p: Some(1.0),
        share_dropped: Some(0.0),
        note: None,
    };
    report.post_stratified = Some(vec![by_day("B"), by_day("C")]);
    report
}

#[test]
fn a_goal_without_a_difference_day_by_day_shows_none_under_that_heading() {
    let report = drifted();
    // Whichever side says that the shares moved, the report in view or the rows.
    let mut steady = report.clone();
    steady.post_stratified = None;
    for report in [&report, &steady] {
        let mut goals = goals(&drifted());
        goals.rows[2].post_stratified = None;
        let html = render_with(report, &goals);
        let (_, table) = html.split_once("<table class=\"goals full\">").unwrap();
        let (table, _) = table.split_once("</table>").unwrap();
        assert!(table.contains("Difference<span class=\"range\">day by day</span>"));
        assert!(!table.contains("Relative"), "{table}");
        assert_eq!(table.matches("<td class=\"n\">−").count(), 5, "{table}");
        let none = "<td class=\"n\">–<span class=\"range\"></span></td>";
        assert_eq!(table.matches(none).count(), 1, "{table}");
    }
}

fn with_traits(mut report: TestingReport) -> TestingReport {
    report.trait_group = Some("country".to_owned());
    report.by_trait = Some(
        ["DE", "AT", "<script>"]
            .map(|value| TraitOfTest {
                value: value.to_owned(),
                arms: report.arms.clone(),
                comparisons: report.comparisons.clone(),
            })
            .to_vec(),
    );
    report.trait_interaction = Some(vec![TraitInteraction {
        variation: "B".to_owned(),
        q: Some(1.9),
        df: Some(1.0),
        p: Some(0.168),
        values: vec!["DE".to_owned(), "AT".to_owned()],
        left_out: vec!["CH".to_owned()],
        note: None,
    }]);
    report
}

#[test]
fn under_an_alarm_no_verdict_stands_anywhere() {
    let html = render(&drifted());
    // How a verdict is made is not one.
    let said = without_methods(&html);
    for word in VERDICTS {
        assert!(!said.contains(word), "{word}");
    }
    for class in [
        "class=\"verdict",
        "interval better",
        "interval worse",
        "93.1%",
    ] {
        assert!(!said.contains(class), "{class}");
    }
    assert!(said.contains(">Alarm<"));
}

#[test]
fn where_the_split_moved_what_is_pooled_over_the_days_has_to_be_asked_for() {
    let mut by_trait = with_traits(drifted());
    // Strata of traits are pooled over the days too.
    let strata = by_trait.post_stratified.as_mut().unwrap();
    strata.push(PostStratified {
        over: Strata::Trait,
        difference: Some(0.0321),
        interval: Some([0.03, 0.034]),
        ..strata[0].clone()
    });
    for report in [drifted(), by_trait] {
        let html = render(&report);
        let said = without_methods(&html);
        let (open, pooled) = said.split_once("<details class=\"pooled\">").unwrap();
        assert!(open.contains("−0.20 points"), "the stratified difference");
        let relative = report.comparisons[0].relative_difference.unwrap();
        let lift = crate::domain::report::words::signed_percent(relative);
        for number in [&lift, "40.74%", "42.42%", "F = 2.310", "+1.68", "+3.21"] {
            assert!(!open.contains(number), "{number}");
        }
        for number in [&lift, "40.74%", "42.42%", "F = 2.310", "+1.68"] {
            assert!(pooled.contains(number), "{number}");
        }
        assert!(!said.contains("+3.21"), "a stratum of a trait");
        assert!(!open.contains("Relative interval") && !open.contains(" above"));
        assert_eq!(pooled.contains("By country"), report.by_trait.is_some());
    }
}

fn without_methods(html: &str) -> String {
    let mut said = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once("<details class=\"method\">") {
        said.push_str(before);
        rest = after
            .split_once("</details>")
            .map_or("", |(_, after)| after);
    }
    said + rest
}

#[test]
fn traits_are_drawn_and_tested() {
    let html = render(&with_traits(report()));
    assert!(html.contains("Q = 1.900 with 1 degree of freedom, p = 0.168, over DE and AT."));
    assert!(html.contains("Left out for too few conversions: CH."));
    assert!(html.contains("traitValue=%3Cscript%3E"));
    assert!(html.contains("&#60;script&#62;"));
}

#[test]
fn an_incomplete_last_day_is_marked() {
    let html = render(&report());
    assert!(html.contains("class=\"line unfinished\""));
    assert!(html.contains("class=\"dot open\""));
    let mut report = report();
    for day in &mut report.by_day {
        day.complete = true;
    }
    let html = render(&report);
    assert!(!html.contains("unfinished") && !html.contains("dot open"));
}

#[test]
fn what_happens_more_than_once_a_visitor_is_no_percentage() {
    let mut report = report();
    for arm in &mut report.arms {
        arm.sum_of_squares = arm.sum + 2.0;
    }
    let html = render(&report);
    assert!(!html.contains(" points"), "{html}");
}
