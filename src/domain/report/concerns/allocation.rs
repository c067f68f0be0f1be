//! Concerns about who went where: shares that are not as meant, that move over time or differ by
//! trait, and an effect that does.

use serde_json::Value;

use super::{concern, counted};
use crate::domain::report::slice::Sums;
use crate::domain::report::testing::Test;
use crate::domain::report::view::{Concern, ConcernCode};
use crate::domain::report::words;
use crate::domain::stats::{self, ALARM_P, ChiSquare};

/// The shares of the first and of the last fifth of the days are named.
const PART_OF_DAYS: usize = 5;
/// A share that moved by less from first to last went up and down between them.
const LEAST_MOVEMENT: f64 = 0.01;
/// Of the whole way: a step back that is no turn.
const MOST_BACK: f64 = 0.2;

/// Of everybody in these days, and where that is as it should be of those in view: a trait that is
/// chosen must not hide a test that is broken.
pub(super) fn sample_ratio_mismatch(test: &Test) -> Option<Concern> {
    let everybody = &test.slice.drawn;
    let in_view = drawn(&test.slice.arms);
    let alarm = |visitors: &[u64]| sample_ratio(test, visitors).filter(|found| found.p < ALARM_P);
    let (visitors, found) = alarm(everybody)
        .map(|found| (everybody, found))
        .or_else(|| Some((&in_view, alarm(&in_view)?)))?;
    Some(concern(
        ConcernCode::SampleRatioMismatch,
        format!(
            "The variations did not get the visitors they should have: {}; chance does this less \
             than once in a thousand tests.",
            observed_and_expected(test, visitors)
        ),
        "Don't read the result: whoever is missing may be just those whom a variation drove away. \
         Look for visitors that are lost or counted twice in one variation (redirects, bots, \
         caching, a filter on what comes after the exposure); where other shares were meant, \
         declare them as weights in an Agent.",
        [
            ("chiSquare", found.statistic.into()),
            ("df", found.df.into()),
            ("p", found.p.into()),
            ("visitors", by_arm(test, |arm| visitors[arm].into())),
            (
                "expectedShares",
                by_arm(test, |arm| test.question.arms[arm].share.into()),
            ),
        ],
    ))
}

fn drawn(sums: &[Sums]) -> Vec<u64> {
    sums.iter().map(|sums| sums.drawn).collect()
}

/// `drawn`: by arm, the visitors who were assigned by lot.
fn sample_ratio(test: &Test, drawn: &[u64]) -> Option<ChiSquare> {
    if !test.question.has_expected_shares() {
        return None;
    }
    let in_test = test.question.in_test();
    let (visitors, shares): (Vec<u64>, Vec<f64>) =
        in_test.map(|(arm, share)| (drawn[arm], share)).unzip();
    stats::sample_ratio(&visitors, &shares)
}

/// `A has 1,000 instead of 900 and B has ...`.
fn observed_and_expected(test: &Test, drawn: &[u64]) -> String {
    let total: u64 = test
        .question
        .in_test()
        .fold(0, |sum, (arm, _)| sum.saturating_add(drawn[arm]));
    let arms = test.question.in_test().map(|(arm, share)| {
        format!(
            "{} has {} instead of {}",
            test.question.arms[arm].code,
            words::count(drawn[arm]),
            words::count(rounded(share, total))
        )
    });
    words::list(&arms.collect::<Vec<_>>())
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of visitors, rounded to be shown"
)]
fn rounded(share: f64, total: u64) -> u64 {
    (share * total as f64).round() as u64
}

fn by_arm(test: &Test, value: impl Fn(usize) -> Value) -> Value {
    let arms = test.question.in_test();
    arms.map(|(arm, _)| (test.question.arms[arm].code.clone(), value(arm)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

pub(super) fn allocation_drift(test: &Test) -> Option<Concern> {
    let drift = test.drift.as_ref().filter(|drift| drift.is_alarm())?;
    let arms = test.question.in_test();
    let codes: Vec<&str> = arms
        .map(|(arm, _)| test.question.arms[arm].code.as_str())
        .collect();
    let mut compared = test.question.compared();
    let has_difference = |arm| {
        test.day_by_day(arm)
            .is_some_and(|by_day| by_day.p.is_some())
    };
    let hint = if compared.all(has_difference) {
        "Go by the difference day by day, which compares each day with itself, or choose days \
         between which the shares stood still; in the next test, keep them as they are from the \
         first day to the last."
    } else {
        "Choose days on which every variation had visitors and the shares stood still; in the next \
         test, keep them as they are from the first day to the last."
    };
    Some(drifting(drift, &test.drifting, &codes, hint))
}

/// Of the groups of an Activity Report that are variations in the test: their visitors by day.
pub(super) fn drift_of_activity(days: &[Vec<u64>], codes: &[&str]) -> Option<Concern> {
    let drift = stats::allocation_drift(days).filter(stats::Drift::is_alarm)?;
    Some(drifting(
        &drift,
        days,
        codes,
        "Compare the variations day by day, not by their totals: those differ already where days \
         do.",
    ))
}

fn drifting(drift: &stats::Drift, days: &[Vec<u64>], codes: &[&str], hint: &str) -> Concern {
    concern(
        ConcernCode::AllocationDrift,
        format!(
            "The shares of the variations moved over time ({}), so the difference over all days \
             mixes the variations with the calendar.",
            movement(days, codes)
        ),
        hint,
        [
            ("chiSquare", drift.chi_square.statistic.into()),
            ("df", drift.chi_square.df.into()),
            ("p", drift.chi_square.p.into()),
            ("largestShift", drift.largest_shift.into()),
        ],
    )
}

/// `B from 15.0% to 85.0%`: of the arm whose share moved most between the first and the last days,
/// where it went that way in between.
fn movement(days: &[Vec<u64>], codes: &[&str]) -> String {
    let part = (days.len() / PART_OF_DAYS).max(1);
    let (first, last) = (&days[..part], &days[days.len() - part..]);
    let moved = (0..codes.len()).filter_map(|arm| {
        let (before, after) = (share(first, arm)?, share(last, arm)?);
        Some((arm, before, after))
    });
    let most = moved.max_by(|a, b| (a.2 - a.1).abs().total_cmp(&(b.2 - b.1).abs()));
    match most {
        Some((arm, before, after))
            if (after - before).abs() >= LEAST_MOVEMENT && is_one_way(days, part, arm) =>
        {
            format!(
                "{} from {} of the visitors in the first days to {} in the last",
                codes[arm],
                words::percent(before),
                words::percent(after)
            )
        }
        _ => "up and down from day to day".into(),
    }
}

/// Whether an arm's share, a part of the days after the other, rose or fell all the way, but for
/// a fifth of the whole way.
fn is_one_way(days: &[Vec<u64>], part: usize, arm: usize) -> bool {
    let shares: Vec<f64> = days
        .chunks(part)
        .filter_map(|days| share(days, arm))
        .collect();
    let (Some(before), Some(after)) = (shares.first(), shares.last()) else {
        return false;
    };
    let way = after - before;
    let steps = shares.windows(2).map(|pair| (pair[1] - pair[0]) / way);
    way.abs() >= LEAST_MOVEMENT && steps.into_iter().all(|step| step > -MOST_BACK)
}

#[allow(clippy::cast_precision_loss, reason = "a share to be shown")]
fn share(days: &[Vec<u64>], arm: usize) -> Option<f64> {
    let own: f64 = days.iter().map(|day| day[arm] as f64).sum();
    let all: f64 = days.iter().flatten().map(|visitors| *visitors as f64).sum();
    (all > 0.0).then(|| own / all)
}

/// The shares within each trait value, with as many questions as there are values accounted for.
pub(super) fn trait_imbalance(test: &Test) -> Option<Concern> {
    let values = test
        .slice
        .traits
        .iter()
        .flat_map(|group| group.values.iter().map(move |value| (group, value)));
    let asked: Vec<_> = values
        .filter_map(|(group, value)| Some((group, value, sample_ratio(test, &drawn(&value.arms))?)))
        .collect();
    #[allow(clippy::cast_precision_loss, reason = "a number of trait values")]
    let least = ALARM_P / asked.len().max(1) as f64;
    let broken: Vec<_> = asked
        .iter()
        .filter(|(_, _, found)| found.p < least)
        .collect();
    let (group, value, found) = broken
        .iter()
        .min_by(|a, b| a.2.p.total_cmp(&b.2.p))
        .copied()?;
    let others = match broken.len() as u64 - 1 {
        0 => String::new(),
        more => format!(
            " The same holds for {}.",
            counted(more, "other trait value")
        ),
    };
    Some(concern(
        ConcernCode::TraitImbalance,
        format!(
            "Among visitors with {} = {} the variations did not get the shares they should have: \
             {}.{others}",
            group.code,
            value.code,
            observed_and_expected(test, &drawn(&value.arms))
        ),
        "Look for what loses such visitors in one variation, and be careful with the result of \
         this trait.",
        [
            ("traitGroup", group.code.into()),
            ("traitValue", value.code.into()),
            ("p", found.p.into()),
            ("values", broken.len().into()),
            ("valuesAsked", asked.len().into()),
        ],
    ))
}

/// Cochran's Q of every trait group and comparison. Where shares moved over time the differences
/// are not those of the variations, and nothing is asked of them.
pub(super) fn effect_differs_by_trait(test: &Test) -> Option<Concern> {
    if test.is_drifting() {
        return None;
    }
    let arms = test.question.compared();
    let asked = arms.flat_map(|arm| test.slice.traits.iter().map(move |group| (group, arm)));
    let found = asked.filter_map(|(group, arm)| {
        let interaction = Test::interaction(group, arm).ok()?;
        (interaction.p < ALARM_P).then_some((group, arm, interaction))
    });
    let (group, arm, interaction) = found.min_by(|a, b| a.2.p.total_cmp(&b.2.p))?;
    let variation = &test.question.arms[arm].code;
    Some(concern(
        ConcernCode::EffectDiffersByTrait,
        format!(
            "The effect of {variation} is not the same for all: it differs between the {} of {}, \
             so the one number over all visitors hides two stories or more.",
            counted(interaction.values.len() as u64, "value"),
            group.code,
        ),
        format!(
            "Look at the report by trait {} before deciding for everybody.",
            group.code
        ),
        [
            ("traitGroup", group.code.into()),
            ("variation", variation.clone().into()),
            ("q", interaction.q.into()),
            ("df", interaction.df.into()),
            ("p", interaction.p.into()),
        ],
    ))
}
