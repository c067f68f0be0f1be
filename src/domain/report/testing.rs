//! The Testing Report: one goal and metric of an agent, every arm against a baseline.

mod parts;

use std::cell::OnceCell;

use indexmap::IndexMap;
use jiff::Timestamp;

use super::concerns;
use super::query::{QueryError, TestingQuery};
use super::question::Question;
use super::scope;
use super::sentence::sentence;
use super::slice::{DayOfSlice, Slice, Sums};
use super::tally::Tally;
use super::view::{
    AlwaysValid, Arm, ArmOfDay, Bayes, Comparison, ConcernCode, CumulativeDifference, DayOfTest,
    GoalRow, GoalsReport, Metric, Omnibus, PostStratified, Severity, TestingReport,
};
use super::words;
use crate::domain::stats::{self, Drift, Moments, Note};

/// Days left are told at the mean visitors per day of so many complete days, the newest.
const DAYS_OF_RATE: usize = 7;

/// The whole Testing Report of one goal and metric.
///
/// # Errors
/// A code that the data do not hold.
pub fn testing(
    tally: &Tally,
    query: &TestingQuery,
    now: Timestamp,
) -> Result<TestingReport, QueryError> {
    let question = Question::resolve(tally, query, now)?;
    let slice = Slice::of(&question, true);
    let test = Test::new(&question, &slice);
    let mut report = test.report();
    report.concerns = concerns::of_test(&test, now);
    report.trustworthy = is_trustworthy(&report.concerns);
    report.post_stratified = test.post_stratified();
    report.sentence = sentence(&report);
    Ok(report)
}

/// Every goal of the agent, with both metrics where a goal has values: a row per comparison.
///
/// # Errors
/// A code that the data do not hold.
pub fn goals(
    tally: &Tally,
    query: &TestingQuery,
    now: Timestamp,
) -> Result<GoalsReport, QueryError> {
    let data = tally.data();
    let mut report = GoalsReport {
        namespace: data.source.key.namespace.clone(),
        data_source: data.source.key.name.clone(),
        agent: data.code.clone(),
        trustworthy: true,
        rows: Vec::new(),
    };
    // Says what is wrong with the goal or metric that is asked for, though all are shown.
    Question::resolve(tally, query, now)?;
    for code in &tally.goals {
        let numeric = scope::goal(data, code).numeric;
        let metrics: &[Metric] = if numeric {
            &[Metric::Rate, Metric::Value]
        } else {
            &[Metric::Rate]
        };
        for metric in metrics {
            let query = TestingQuery {
                goal: Some(code.clone()),
                metric: Some(*metric),
                ..query.clone()
            };
            let question = Question::resolve(tally, &query, now)?;
            let slice = Slice::of(&question, false);
            let test = Test::new(&question, &slice);
            let mut alarms: Vec<_> = concerns::alarms(&test)
                .iter()
                .map(|alarm| alarm.code)
                .collect();
            alarms.dedup();
            report.trustworthy &= alarms.is_empty();
            report.rows.extend(test.goal_rows(&alarms));
        }
    }
    Ok(report)
}

fn is_trustworthy(concerns: &[super::view::Concern]) -> bool {
    concerns
        .iter()
        .all(|concern| concern.severity != Severity::Alarm)
}

/// A question, its sums, and what several parts of the report ask of both.
pub(super) struct Test<'s, 'a> {
    pub question: &'s Question<'a>,
    pub slice: &'s Slice<'a>,
    /// Where the shares of the arms moved over time: those of everybody, and where they stood
    /// still those of the visitors in view.
    pub drift: Option<Drift>,
    /// The visitors that the drift is of, by day and arm in the test.
    pub drifting: Vec<Vec<u64>>,
    /// Parallel to the arms, once it has been asked for.
    day_by_day: OnceCell<Vec<Option<PostStratified>>>,
}

impl<'s, 'a> Test<'s, 'a> {
    fn new(question: &'s Question<'a>, slice: &'s Slice<'a>) -> Self {
        let by_day = |visitors: &dyn Fn(&DayOfSlice, usize) -> u64| -> Vec<Vec<u64>> {
            let days = slice.days.iter();
            let of_day = |day| {
                let in_test = question.in_test();
                in_test.map(|(arm, _)| visitors(day, arm)).collect()
            };
            days.map(of_day).collect()
        };
        let everybody = by_day(&|day, arm| day.everybody[arm]);
        let drift = stats::allocation_drift(&everybody).filter(Drift::is_alarm);
        // A trait that is chosen must not hide it.
        let (drift, drifting) = if drift.is_some() {
            (drift, everybody)
        } else {
            let in_view = by_day(&|day, arm| day.arms[arm].visitors);
            (stats::allocation_drift(&in_view), in_view)
        };
        Self {
            question,
            slice,
            drift,
            drifting,
            day_by_day: OnceCell::new(),
        }
    }

    pub(super) fn is_drifting(&self) -> bool {
        self.drift.as_ref().is_some_and(Drift::is_alarm)
    }

    fn report(&self) -> TestingReport {
        let question = self.question;
        let source = &question.data.source;
        let agent = question.data.resource.as_ref();
        let without_goal = self.slice.days.iter().filter(|day| !day.has_goal).count();
        TestingReport {
            namespace: source.key.namespace.clone(),
            data_source: source.key.name.clone(),
            agent: question.data.code.clone(),
            display_name: agent.and_then(|agent| agent.display_name.clone()),
            goal: question.goal.code.clone(),
            goal_display_name: question.goal.display_name.clone(),
            metric: question.metric,
            from: question.from,
            to: question.to,
            policy: question.policy.clone(),
            visitors_under_other_policies: question.visitors_under_other_policies(),
            trait_group: question.trait_group.clone(),
            trait_value: question.trait_value.clone(),
            confidence: question.settings.confidence,
            interval: question.settings.interval,
            adjust: question.adjust,
            family: question.settings.family,
            target_lift: question.target_lift,
            data_as_of: source.data_as_of,
            days: count(self.slice.days.len()),
            days_without_goal: count(without_goal),
            trustworthy: true,
            sentence: String::new(),
            baseline: question
                .baseline()
                .map(|arm| arm.code.clone())
                .unwrap_or_default(),
            arms: self.arms(&self.slice.arms),
            comparisons: self.comparisons(&self.slice.arms),
            omnibus: self.omnibus(),
            omnibus_note: self.omnibus_note(),
            chance_to_be_best: self.chance_to_be_best(),
            by_day: self.by_day(),
            by_trait: self.by_trait(),
            trait_interaction: self.trait_interaction(),
            post_stratified: None,
            concerns: Vec::new(),
        }
    }

    fn arms(&self, sums: &[Sums]) -> Vec<Arm> {
        let question = self.question;
        let bounded = !scope::is_visitor_days(question.data, question.days);
        let arms = question.arms.iter().zip(sums);
        arms.map(|(arm, sums)| {
            let moments = &sums.moments;
            let bounds = sums.converters.0.filter(|_| bounded);
            Arm {
                variation: arm.code.clone(),
                display_name: arm.display_name.clone(),
                visitors: moments.visitors(),
                conversions: sums.conversions,
                sum: moments.sum(),
                sum_of_squares: moments.sum_of_squares(),
                mean: moments.mean(),
                variance: moments.variance(),
                standard_error: moments.standard_error(),
                interval: stats::arm_interval(moments, question.settings.confidence),
                expected_share: arm.share,
                effective_conversions: moments.effective_conversions(),
                converters_at_least: bounds.map(|(fewest, _)| fewest),
                converters_at_most: bounds.map(|(_, most)| most),
                value_per_conversion: self.value_per_conversion(sums),
            }
        })
        .collect()
    }

    #[allow(clippy::cast_precision_loss, reason = "counts are at most 1e15")]
    fn value_per_conversion(&self, sums: &Sums) -> Option<f64> {
        let is_value = self.question.metric == Metric::Value && sums.numeric;
        (is_value && sums.conversions > 0)
            .then(|| sums.moments.sum() / sums.conversions as f64)
            .filter(|value| value.is_finite())
    }

    fn comparisons(&self, sums: &[Sums]) -> Vec<Comparison> {
        let question = self.question;
        let Some(baseline) = question.baseline() else {
            return Vec::new();
        };
        let (settings, control) = (&question.settings, &sums[0].moments);
        question
            .compared()
            .map(|arm| {
                let moments = &sums[arm].moments;
                let compared = stats::compare(control, moments, settings);
                let mut comparison = to_view(compared);
                comparison.variation.clone_from(&question.arms[arm].code);
                comparison.baseline.clone_from(&baseline.code);
                comparison.days_left = question.target_lift.and_then(|target| {
                    let per_day = [self.visitors_per_day(0), self.visitors_per_day(arm)];
                    stats::days_left(control, moments, settings, target, per_day)
                });
                comparison
            })
            .collect()
    }

    /// The mean over the newest complete days that have the goal.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a rate; counts are at most 1e15"
    )]
    fn visitors_per_day(&self, arm: usize) -> f64 {
        let days = self.slice.days.iter().rev();
        let newest: Vec<u64> = days
            .filter(|day| day.has_goal && day.complete)
            .take(DAYS_OF_RATE)
            .map(|day| day.arms[arm].visitors)
            .collect();
        let sum = newest.iter().map(|visitors| *visitors as f64).sum::<f64>();
        sum / newest.len().max(1) as f64
    }

    fn in_test(&self, sums: &'s [Sums]) -> Vec<Moments> {
        let in_test = self.question.in_test();
        in_test.map(|(arm, _)| sums[arm].moments.clone()).collect()
    }

    fn omnibus(&self) -> Option<Omnibus> {
        let arms = self.in_test(&self.slice.arms);
        if arms.len() < 3 {
            return None;
        }
        let test = stats::welch_anova(&arms).ok()?;
        Some(Omnibus {
            f: test.f,
            df1: test.df1,
            df2: test.df2,
            p: test.p,
        })
    }

    fn omnibus_note(&self) -> Option<String> {
        let in_test: Vec<(usize, f64)> = self.question.in_test().collect();
        let has_variance = |arm: usize| {
            let error = self.slice.arms[arm].moments.standard_error();
            error.is_some_and(|error| error > 0.0)
        };
        let without = in_test.iter().filter(|(arm, _)| !has_variance(*arm));
        let without: Vec<String> = without
            .map(|(arm, _)| self.question.arms[*arm].code.clone())
            .collect();
        let others = in_test.len() - without.len();
        if in_test.len() < 3 || without.is_empty() {
            return None;
        }
        if others < 2 {
            return Some(Note::FewerThanTwoArms.to_string());
        }
        Some(format!(
            "What is said of all variations together leaves out {}: there is no spread to measure \
             chance by where all visitors did the same.",
            words::list(&without)
        ))
    }

    fn chance_to_be_best(&self) -> Option<IndexMap<String, Option<f64>>> {
        let question = self.question;
        let arms = self.in_test(&self.slice.arms);
        if arms.iter().filter(|arm| arm.visitors() > 0).count() < 2 {
            return None;
        }
        let chances = stats::chance_to_be_best(&arms, question.settings.good_direction).ok()?;
        let codes = question.in_test().map(|(arm, _)| &question.arms[arm].code);
        Some(codes.cloned().zip(chances).collect())
    }

    fn by_day(&self) -> Vec<DayOfTest> {
        let question = self.question;
        let mut running = vec![Moments::default(); question.arms.len()];
        let days = self.slice.days.iter();
        days.map(|day| {
            for (sum, of_day) in running.iter_mut().zip(&day.arms) {
                sum.add(&of_day.moments);
            }
            let arms = question.arms.iter().zip(&day.arms);
            DayOfTest {
                day: day.day,
                complete: day.complete,
                has_goal: day.has_goal,
                arms: arms
                    .map(|(arm, sums)| ArmOfDay {
                        variation: arm.code.clone(),
                        visitors: sums.visitors,
                        mean: sums.moments.mean(),
                    })
                    .collect(),
                cumulative: self.cumulative(&running),
            }
        })
        .collect()
    }

    fn cumulative(&self, running: &[Moments]) -> Vec<CumulativeDifference> {
        let settings = &self.question.settings;
        let compared = self.question.compared().map(|arm| {
            let (baseline, variation) = (&running[0], &running[arm]);
            CumulativeDifference {
                variation: self.question.arms[arm].code.clone(),
                difference: variation.mean_less(baseline),
                always_valid_interval: stats::always_valid_interval(
                    baseline,
                    variation,
                    settings.confidence,
                    settings.family,
                ),
            }
        });
        compared.collect()
    }

    fn goal_rows(&self, alarms: &[ConcernCode]) -> Vec<GoalRow> {
        let question = self.question;
        let mut arms = self.slice.arms.iter();
        let is_share = question.metric == Metric::Rate
            && arms.all(|sums| sums.moments.visitors() == 0 || sums.moments.is_binary());
        let means = |code: &str| {
            let arms = question.arms.iter().zip(&self.slice.arms);
            let mut of_code = arms.filter(|(arm, _)| arm.code == code);
            of_code.next().and_then(|(_, sums)| sums.moments.mean())
        };
        let comparisons = self.comparisons(&self.slice.arms).into_iter();
        comparisons
            .zip(question.compared())
            .map(|(comparison, arm)| GoalRow {
                goal: question.goal.code.clone(),
                display_name: question.goal.display_name.clone(),
                metric: question.metric,
                baseline_mean: means(&comparison.baseline),
                mean: means(&comparison.variation),
                variation: comparison.variation,
                baseline: comparison.baseline,
                difference: comparison.difference,
                interval: comparison.interval,
                relative_difference: comparison.relative_difference,
                relative_interval: comparison.relative_interval,
                p: comparison.p,
                adjusted_p: comparison.adjusted_p,
                verdict: comparison.verdict,
                post_stratified: self.day_by_day(arm),
                note: comparison.note,
                is_share,
                trustworthy: alarms.is_empty(),
                alarms: alarms.to_vec(),
            })
            .collect()
    }
}

/// Without the names of its arms.
fn to_view(compared: stats::Comparison) -> Comparison {
    let mut notes = compared.notes;
    // Why there is no test comes before what is said of the lift.
    notes.sort_by_key(|note| {
        matches!(
            note,
            Note::BaselineIsZero | Note::BaselineIsNegative | Note::NoUpperBound | Note::NoBounds
        )
    });
    let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
    let always_valid = compared.always_valid;
    Comparison {
        variation: String::new(),
        baseline: String::new(),
        difference: compared.difference,
        standard_error: compared.standard_error,
        degrees_of_freedom: compared.degrees_of_freedom,
        t: compared.t,
        p: compared.p,
        adjusted_p: compared.adjusted_p,
        interval: compared.interval,
        relative_difference: compared.relative_difference,
        relative_interval: compared.relative_interval,
        note: (!notes.is_empty()).then(|| notes.join(" ")),
        always_valid: AlwaysValid {
            interval: always_valid.interval,
            p: always_valid.p,
            note: always_valid.note.map(|note| note.to_string()),
        },
        bayes: compared.bayes.map(|bayes| Bayes {
            chance_to_win: bayes.chance_to_win,
            expected_loss: bayes.expected_loss,
        }),
        minimum_detectable_difference: compared.minimum_detectable_difference,
        days_left: None,
        verdict: compared.verdict,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
