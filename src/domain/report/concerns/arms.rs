//! Concerns about single arms: too few visitors, days without any, and arms nobody declared.

use super::source::{EXPORT_ALL_DAYS, days_between, listed, no_data};
use super::{concern, counted};
use crate::domain::agent_day::Day;
use crate::domain::report::slice::DayOfSlice;
use crate::domain::report::testing::Test;
use crate::domain::report::view::{Concern, ConcernCode};
use crate::domain::report::words;

/// Below it no interval of an arm means anything.
const FEWEST_VISITORS: u64 = 8;
/// Below it intervals rest on few people.
const FEWEST_EFFECTIVE_CONVERSIONS: f64 = 40.0;
/// A day without an arm is told where this many of its visitors or more were to be expected: an
/// export's GROUP BY leaves out empty rows, and chance alone empties smaller ones.
const EXPECTED_VISITORS: f64 = 14.0;

pub(super) fn few_visitors(test: &Test) -> Option<Concern> {
    let few: Vec<(&str, u64)> = test
        .question
        .in_test()
        .map(|(arm, _)| {
            let visitors = test.slice.arms[arm].moments.visitors();
            (test.question.arms[arm].code.as_str(), visitors)
        })
        .collect();
    let least = few.iter().map(|(_, visitors)| *visitors).min();
    if least.is_some_and(|least| least >= FEWEST_VISITORS) {
        return None;
    }
    if let Some(absent) = goal_absent(test) {
        return Some(absent);
    }
    let named: Vec<String> = few
        .iter()
        .filter(|(_, visitors)| *visitors < FEWEST_VISITORS)
        .map(|(code, visitors)| format!("{code} has {}", words::count(*visitors)))
        .collect();
    let message = if named.is_empty() {
        "There are no visitors in view, so there is nothing to say.".to_owned()
    } else {
        format!(
            "There are too few visitors to say anything: {}, and {FEWEST_VISITORS} in each \
             variation is the least.",
            words::list(&named)
        )
    };
    Some(concern(
        ConcernCode::FewVisitors,
        message,
        "Wait for more visitors, or choose more days, another policy or no trait.",
        [
            ("fewest", least.unwrap_or(0).into()),
            ("needed", FEWEST_VISITORS.into()),
        ],
    ))
}

/// Not that visitors lack: that nobody asked them.
fn goal_absent(test: &Test) -> Option<Concern> {
    let days = &test.slice.days;
    let goal = &test.question.goal.code;
    (!days.is_empty() && days.iter().all(|day| !day.has_goal)).then(|| {
        concern(
            ConcernCode::FewVisitors,
            format!("None of these days has {goal}, so there is nothing to say."),
            format!("Choose days that have {goal}, or export its columns for these days too."),
            [("fewest", 0.into()), ("needed", FEWEST_VISITORS.into())],
        )
    })
}

pub(super) fn few_conversions(test: &Test) -> Option<Concern> {
    let effective = test.question.in_test().map(|(arm, _)| {
        let moments = &test.slice.arms[arm].moments;
        let effective = moments.effective_conversions().unwrap_or(0.0);
        (&test.question.arms[arm].code, effective)
    });
    let (code, fewest) = effective.min_by(|a, b| a.1.total_cmp(&b.1))?;
    (fewest < FEWEST_EFFECTIVE_CONVERSIONS).then(|| {
        concern(
            ConcernCode::FewConversions,
            format!(
                "The numbers of {code} rest on the weight of {}, and {FEWEST_EFFECTIVE_CONVERSIONS} \
                 is the least to rely on: a few people more or less would change the picture.",
                conversions(fewest)
            ),
            "Wait for more, or look at a goal that happens more often; where a few visitors have \
             most of the value, look at the rate instead.",
            [
                ("variation", code.clone().into()),
                ("effectiveConversions", fewest.into()),
            ],
        )
    })
}

fn conversions(effective: f64) -> String {
    // Cut, not rounded: 39.7 is less than 40.
    match effective.floor() {
        1.0 => "1 conversion".to_owned(),
        whole => format!("{whole:.0} conversions"),
    }
}

/// An arm's days without visitors, of those on which many were to be expected.
struct Gaps {
    /// Before the arm's first visitors.
    before: Vec<Day>,
    /// After them.
    after: Vec<Day>,
    first: Option<Day>,
}

fn gaps(test: &Test, arm: usize) -> Gaps {
    let days = &test.slice.days;
    let has = |day: &DayOfSlice| day.arms[arm].visitors > 0;
    let first = days.iter().position(has);
    let empty = |days: &[DayOfSlice]| -> Vec<Day> {
        days.iter()
            .filter(|day| !has(day) && expected(test, day, arm) >= EXPECTED_VISITORS)
            .map(|day| day.day)
            .collect()
    };
    let (before, after) = days.split_at(first.unwrap_or(0));
    Gaps {
        before: empty(before),
        // An arm without any visitors is a matter of the expected shares.
        after: if first.is_some() {
            empty(after)
        } else {
            Vec::new()
        },
        first: first.map(|index| days[index].day),
    }
}

/// An arm's visitors of a day, from those of the arms that have some.
#[allow(clippy::cast_precision_loss, reason = "an expected number")]
fn expected(test: &Test, day: &DayOfSlice, arm: usize) -> f64 {
    let (mut visitors, mut shares, mut own) = (0.0, 0.0, 0.0);
    for (other, share) in test.question.in_test() {
        if other == arm {
            own = share;
        } else if day.arms[other].visitors > 0 {
            visitors += day.arms[other].visitors as f64;
            shares += share;
        }
    }
    if shares > 0.0 {
        visitors * own / shares
    } else {
        0.0
    }
}

pub(super) fn late_arms(test: &Test) -> Vec<Concern> {
    let in_test = test.question.in_test();
    in_test
        .filter_map(|(arm, _)| {
            let gaps = gaps(test, arm);
            let first = gaps.first.filter(|_| !gaps.before.is_empty())?;
            let code = &test.question.arms[arm].code;
            let before = gaps.before.len() as u64;
            Some(concern(
                ConcernCode::LateArm,
                format!(
                    "{code} has its first visitors on {first}; on {} before, the others had some.",
                    counted(before, "day")
                ),
                format!(
                    "Choose days from {first} on, so that all variations saw the same days; or \
                     check whether the export lost the earlier ones."
                ),
                [
                    ("variation", code.clone().into()),
                    ("firstDay", first.to_string().into()),
                    ("daysBefore", before.into()),
                ],
            ))
        })
        .collect()
}

pub(super) fn days_missing(test: &Test) -> Option<Concern> {
    let mut sentences = Vec::new();
    let whole = days_without_data(test);
    let mut all = whole.len();
    if !whole.is_empty() {
        sentences.push(no_data(&whole));
    }
    for (arm, _) in test.question.in_test() {
        let after = gaps(test, arm).after;
        if !after.is_empty() {
            all += after.len();
            sentences.push(format!(
                "{} has no visitors on {} on which the others have ({}).",
                test.question.arms[arm].code,
                counted(after.len() as u64, "day"),
                listed(&after)
            ));
        }
    }
    (!sentences.is_empty()).then(|| {
        concern(
            ConcernCode::DaysMissing,
            sentences.join(" "),
            EXPORT_ALL_DAYS,
            [("days", all.into())],
        )
    })
}

/// Days between the first and the last that have none, where days have many visitors.
#[allow(clippy::cast_precision_loss, reason = "an expected number")]
fn days_without_data(test: &Test) -> Vec<Day> {
    let days = &test.slice.days;
    let visitors: f64 = test.slice.arms.iter().map(|arm| arm.visitors as f64).sum();
    if visitors / (days.len().max(1) as f64) < EXPECTED_VISITORS {
        return Vec::new();
    }
    let days: Vec<Day> = days.iter().map(|day| day.day).collect();
    days_between(&days)
}

pub(super) fn unexpected_variations(test: &Test) -> Option<Concern> {
    let unexpected: Vec<_> = test
        .question
        .arms
        .iter()
        .zip(&test.slice.arms)
        .filter(|(arm, _)| arm.share.is_none())
        .collect();
    let visitors = unexpected
        .iter()
        .fold(0_u64, |sum, (_, sums)| sum.saturating_add(sums.visitors));
    let codes: Vec<&str> = unexpected
        .iter()
        .map(|(arm, _)| arm.code.as_str())
        .collect();
    (!codes.is_empty()).then(|| {
        let them = if codes.len() == 1 {
            "it is"
        } else {
            "they are"
        };
        concern(
            ConcernCode::UnexpectedVariation,
            format!(
                "The data hold {} with {}, which the Agent does not declare as in the test: \
                 {them} listed, not compared.",
                words::list(&codes),
                counted(visitors, "visitor"),
            ),
            "Declare it in the Agent with the weight it should have, or find out why it is shown.",
            [
                ("variations", codes.clone().into()),
                ("visitors", visitors.into()),
            ],
        )
    })
}
