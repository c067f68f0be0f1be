//! The judgement that an Agent's status shows: the Testing Report's own, over all goals.

use sumsq::domain::agent::Agent;
use sumsq::domain::agent_status::{Standing, TrustReason, agent_status, judge};
use sumsq::domain::report::AgentData;

use crate::fixture::{agent, data, now, report, rows, tally};

/// A day of both arms with two goals.
fn day(day: u32, a: &str, b: &str) -> [String; 2] {
    [format!("{day} A r - {a}"), format!("{day} B r - {b}")]
}

#[test]
fn an_alarm_of_any_goal_is_told_the_gravest_first() {
    let even = day(0, "900 90/90 40/40", "900 95/95 45/45");
    // Three events cannot have squares that sum to seven.
    let impossible = day(0, "900 90/90 3/7", "900 95/95 45/45");
    let skewed = day(0, "1100 90/90 40/40", "900 95/95 45/45");
    let skewed_and_impossible = day(0, "1100 90/90 3/7", "900 95/95 45/45");
    let few = day(0, "9 3/3 1/1", "7 2/2 1/1");
    // The second goal came a day later: its report is about fewer visitors.
    let one_absent = [
        day(0, "900 90/90 x", "900 95/95 x"),
        day(1, "900 90/90 40/40", "900 95/95 45/45"),
    ]
    .concat();
    let drifting = [
        day(0, "9000 450/450 40/40", "1000 48/48 4/4"),
        day(1, "1000 100/100 4/4", "9000 882/882 40/40"),
    ]
    .concat();
    for (rows, reason, visitors) in [
        (even.to_vec(), TrustReason::NoAlarm, 1800),
        (impossible.to_vec(), TrustReason::IntegrityProblem, 1800),
        (skewed.to_vec(), TrustReason::SampleRatioMismatch, 2000),
        (
            skewed_and_impossible.to_vec(),
            TrustReason::SampleRatioMismatch,
            2000,
        ),
        (few.to_vec(), TrustReason::FewVisitors, 16),
        (one_absent, TrustReason::NoAlarm, 3600),
        (drifting, TrustReason::AllocationDrift, 20_000),
    ] {
        let (trust, seen) = judge(&tally(&data(&["sales", "calls"], &rows)), now());
        assert_eq!(trust.reason, reason, "{rows:?}: {}", trust.message);
        assert_eq!(seen, Some(visitors), "{rows:?}");
    }
}

#[test]
fn what_an_agent_says_bears_on_the_judgement() {
    let rows = day(0, "1100 90/90 3/7", "900 95/95 45/45");
    let mut data = data(&["sales", "calls", "visits"], &with_absent(&rows));
    let mut judged = |goals: &[&str], shares: &[(&str, f64)]| {
        let mut declared = agent(shares);
        declared.goals = goals.iter().map(ToString::to_string).collect();
        data.resource = Some(declared);
        judge(&tally(&data), now())
    };
    let fair = [("A", 1.0), ("B", 1.0)];
    let meant = [("A", 11.0), ("B", 9.0)];
    let third = [("A", 1.0), ("B", 1.0), ("C", 1.0)];
    for (goals, shares, reason) in [
        (vec![], fair.as_slice(), TrustReason::SampleRatioMismatch),
        (vec![], meant.as_slice(), TrustReason::IntegrityProblem),
        (vec!["sales"], meant.as_slice(), TrustReason::NoAlarm),
        (
            vec!["sales"],
            third.as_slice(),
            TrustReason::SampleRatioMismatch,
        ),
        (vec!["visits"], meant.as_slice(), TrustReason::NoGoal),
    ] {
        let (trust, _) = judged(&goals, shares);
        assert_eq!(trust.reason, reason, "{goals:?} {shares:?}");
    }
    let (trust, visitors) = judged(&["visits"], &fair);
    assert_eq!(visitors, None);
    insta::assert_snapshot!(trust.message, @"The data sources that hold data of checkout have none of the goals that it names: visits.");
}

/// A goal that no file has had.
fn with_absent(rows: &[String]) -> Vec<String> {
    rows.iter().map(|row| format!("{row} x")).collect()
}

#[test]
fn messages_are_the_reports_own() {
    let rows = day(0, "1100 90/90 40/40", "900 95/95 45/45");
    let (trust, _) = judge(&tally(&data(&["sales", "calls"], &rows)), now());
    insta::assert_snapshot!(trust.message, @"The variations did not get the visitors they should have: A has 1,100 instead of 1,000 and B has 900 instead of 1,000; chance does this less than once in a thousand tests. Don't read the result: whoever is missing may be just those whom a variation drove away. Look for visitors that are lost or counted twice in one variation (redirects, bots, caching, a filter on what comes after the exposure); where other shares were meant, declare them as weights in an Agent.");
    let rows = day(0, "900 90/90 40/40", "900 95/95 45/45");
    let (trust, _) = judge(&tally(&data(&["sales", "calls"], &rows)), now());
    insta::assert_snapshot!(trust.message, @"No alarm in the reports of 2 goals from data source sales.");
}

#[test]
fn only_another_spec_helps_an_agent_that_does_not_count() {
    let standing = Standing::Invalid {
        message: "spec.targetLift: no\nnumber".into(),
    };
    let status = agent_status(3, standing);
    insta::assert_debug_snapshot!(status, @r#"
    AgentStatus {
        observed_generation: 3,
        ready: Condition {
            status: False,
            reason: "InvalidSpec",
            message: "spec.targetLift: no number",
        },
        trustworthy: Condition {
            status: Unknown,
            reason: "InvalidSpec",
            message: "spec.targetLift: no number",
        },
        stalled: Some(
            Condition {
                status: True,
                reason: "InvalidSpec",
                message: "spec.targetLift: no number",
            },
        ),
        reason: InvalidSpec,
        data_sources: [],
        first_day: None,
        last_day: None,
        visitors: None,
    }
    "#);
}

#[test]
fn every_reason_is_of_the_closed_list() {
    use sumsq::domain::report::view::ConcernCode;
    let alarms = [
        ConcernCode::SampleRatioMismatch,
        ConcernCode::AllocationDrift,
        ConcernCode::IntegrityProblem,
        ConcernCode::FewVisitors,
    ];
    for alarm in alarms {
        let reason = TrustReason::from(alarm);
        assert_eq!(reason.as_str(), format!("{alarm:?}"));
        assert_eq!(reason.is_trustworthy(), Some(false));
    }
    let names: std::collections::BTreeSet<_> =
        TrustReason::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(names.len(), TrustReason::ALL.len());
}

#[test]
fn a_link_to_share_holds_the_agents_own_target() {
    let target = |data: &AgentData, query: &str| {
        let pairs = report(data, query).query_pairs();
        let found = pairs.into_iter().find(|(name, _)| *name == "targetLift");
        found.map(|(_, value)| value)
    };
    let lines = ["0 A r - 1000 100/100", "0 B r - 1000 110/110"];
    let mut data = data(&["sales"], &rows(&lines));
    assert_eq!(target(&data, ""), None);
    data.resource = Some(Agent {
        target_lift: Some(0.05),
        ..agent(&[("A", 1.0), ("B", 1.0)])
    });
    assert_eq!(target(&data, "").as_deref(), Some("0.05"));
    assert_eq!(target(&data, "targetLift=0.1").as_deref(), Some("0.1"));
}
