//! A Testing Report's question with every default filled in: which goal, days, policy and trait,
//! which arms, and how they are compared.

use jiff::Timestamp;

use super::AgentData;
use super::choices::Codes;
use super::query::{ALL_POLICIES, DEFAULT_CONFIDENCE, QueryError, TestingQuery};
use super::scope;
use super::tally::{DayTally, Tally};
use super::view::{Adjust, Metric};
use crate::domain::agent_day::{AgentDay, Day};
use crate::domain::data_source::Goal;
use crate::domain::stats::{IntervalKind, Settings};
use crate::domain::totals::{self, Rows};

#[derive(Debug)]
pub(super) struct Question<'a> {
    pub data: &'a AgentData,
    pub tally: &'a Tally,
    /// In view.
    pub days: &'a [AgentDay],
    /// Parallel to `days`.
    pub tallies: &'a [DayTally],
    pub goal: Goal,
    pub metric: Metric,
    pub from: Day,
    pub to: Day,
    pub policy: String,
    pub trait_group: Option<String>,
    pub trait_value: Option<String>,
    /// The baseline first, then the others in natural order.
    pub arms: Vec<ArmOfQuestion>,
    pub adjust: Adjust,
    pub target_lift: Option<f64>,
    pub settings: Settings,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct ArmOfQuestion {
    pub code: String,
    pub display_name: Option<String>,
    /// 0 to 1; None: not in the test.
    pub share: Option<f64>,
}

impl<'a> Question<'a> {
    pub(super) fn resolve(
        tally: &'a Tally,
        query: &TestingQuery,
        now: Timestamp,
    ) -> Result<Self, QueryError> {
        let data = tally.data();
        let days = &data.source.days;
        let goal = scope::chosen_goal(data, &tally.goals, query.goal.as_deref())?;
        let metric = query.metric.unwrap_or(if goal.numeric {
            Metric::Value
        } else {
            Metric::Rate
        });
        let policy = scope::chosen_policy(&tally.policies, query.policy.as_deref())?;
        if let Some(group) = query.trait_group.as_deref() {
            scope::chosen_trait(&tally.traits, group, query.trait_value.as_deref())?;
        }
        let (from, to) = scope::range(days, (query.from, query.to), now);
        let start = days.partition_point(|day| day.day < from);
        let in_view = scope::in_view(days, from, to);
        let tallies = tally
            .days
            .get(start..start + in_view.len())
            .unwrap_or_default();
        let arms = arms(tally, tallies, &policy, query.baseline.as_deref())?;
        let in_test = arms.iter().filter(|arm| arm.share.is_some()).count();
        let comparisons = u32::try_from(in_test.saturating_sub(1)).unwrap_or(u32::MAX);
        let adjust = query.adjust.unwrap_or(if comparisons > 1 {
            Adjust::Bonferroni
        } else {
            Adjust::None
        });
        let settings = Settings {
            confidence: query.confidence.unwrap_or(DEFAULT_CONFIDENCE),
            family: match adjust {
                Adjust::Bonferroni => comparisons.max(1),
                Adjust::None => 1,
            },
            interval: query.interval.unwrap_or(IntervalKind::Fixed),
            allow_negative: metric == Metric::Value && goal.allow_negative,
            good_direction: goal.good_direction,
        };
        let named = data.resource.as_ref().and_then(|agent| agent.target_lift);
        Ok(Self {
            data,
            tally,
            days: in_view,
            tallies,
            goal,
            metric,
            from,
            to,
            policy,
            trait_group: query.trait_group.clone(),
            trait_value: query.trait_value.clone(),
            arms,
            adjust,
            target_lift: query.target_lift.or(named),
            settings,
        })
    }

    /// The rows of the days in view, under every policy.
    pub(super) fn rows(&self) -> impl Iterator<Item = &'a Rows> {
        self.tallies.iter().flat_map(|day| &day.rows)
    }

    /// Whether rows of this policy are in view.
    pub(super) fn takes(&self, rows: &Rows) -> bool {
        self.policy == ALL_POLICIES || *self.policy == *rows.policy
    }

    pub(super) fn visitors_under_other_policies(&self) -> u64 {
        self.rows()
            .filter(|row| row.whole && !self.takes(row))
            .fold(0, |sum, row| sum.saturating_add(row.visitors))
    }

    /// Whose visitors must keep to the expected shares: under all policies those of `r` alone,
    /// since the others are no lots drawn.
    pub(super) fn is_drawn(&self, rows: &Rows) -> bool {
        self.policy != ALL_POLICIES || *rows.policy == *totals::RANDOM_POLICY
    }

    /// Whether visitors are expected to keep to the arms' shares: a policy that does not draw lots
    /// promises none, unless an Agent does.
    pub(super) fn has_expected_shares(&self) -> bool {
        let agent = self.data.resource.iter();
        let mut declared = agent.flat_map(|agent| &agent.variations);
        self.policy == ALL_POLICIES
            || self.policy == totals::RANDOM_POLICY
            || declared.any(|variation| variation.weight > 0.0)
    }

    /// The arms in the test: index, and share.
    pub(super) fn in_test(&self) -> impl Iterator<Item = (usize, f64)> {
        let shares = self.arms.iter().map(|arm| arm.share).enumerate();
        shares.filter_map(|(index, share)| Some((index, share?)))
    }

    /// The first arm, where there is one and it is in the test.
    pub(super) fn baseline(&self) -> Option<&ArmOfQuestion> {
        self.arms.first().filter(|arm| arm.share.is_some())
    }

    /// Each other arm of the test, by its index.
    pub(super) fn compared(&self) -> impl Iterator<Item = usize> {
        let others = self.in_test().map(|(index, _)| index).skip(1);
        others.filter(|_| self.baseline().is_some())
    }
}

/// Those with rows in view and those that an Agent declares, the baseline first.
fn arms(
    tally: &Tally,
    tallies: &[DayTally],
    policy: &str,
    asked: Option<&str>,
) -> Result<Vec<ArmOfQuestion>, QueryError> {
    let (data, known) = (tally.data(), &tally.variations);
    let mut codes = Codes::default();
    let policy = scope::policy_filter(policy);
    for row in tallies.iter().flat_map(|day| &day.rows) {
        // Also one whose rows are all by trait where others have totals: it must not vanish.
        if policy.is_none_or(|policy| *policy == *row.policy) {
            codes.index(&row.variation);
        }
    }
    let declared: Vec<_> = data
        .resource
        .iter()
        .flat_map(|agent| &agent.variations)
        .filter(|variation| variation.weight > 0.0)
        .collect();
    for variation in &declared {
        codes.index(&variation.code);
    }
    let testable =
        |code: &str| declared.is_empty() || declared.iter().any(|variation| variation.code == code);
    if let Some(asked) = asked {
        let takes = known
            .iter()
            .map(String::as_str)
            .filter(|code| testable(code));
        let asked = scope::one_of("baseline", asked, takes)?;
        // It may have no rows in this view, and is compared with all the same.
        let found = known.iter().find(|code| *code == asked);
        if let Some(code) = found {
            codes.index(code);
        }
    }
    let named = data
        .resource
        .as_ref()
        .and_then(|agent| agent.baseline.as_deref());
    let codes = codes.sorted();
    let baseline = asked
        .or(named.filter(|code| codes.contains(code) && testable(code)))
        .or(codes.iter().copied().find(|code| testable(code)));
    let weights: f64 = declared.iter().map(|variation| variation.weight).sum();
    #[allow(clippy::cast_precision_loss, reason = "a number of variations")]
    let equal = 1.0 / codes.len().max(1) as f64;
    let share = |code: &str| {
        if declared.is_empty() {
            return Some(equal);
        }
        let variation = declared.iter().find(|variation| variation.code == code)?;
        Some(variation.weight / weights)
    };
    let first = codes.iter().filter(|code| Some(**code) == baseline);
    let others = codes.iter().filter(|code| Some(**code) != baseline);
    let arms = first.chain(others).map(|code| ArmOfQuestion {
        code: (*code).to_owned(),
        display_name: scope::variation_name(data, code),
        share: share(code),
    });
    Ok(arms.collect())
}
