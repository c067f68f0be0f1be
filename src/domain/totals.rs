//! Right totals of an agent over its days: traits, policies and absent goals accounted for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::agent_day::{AgentDay, Cell, Decimal};

/// Visitors assigned at random, as in an A/B test.
pub const RANDOM_POLICY: &str = "r";

/// One arm (variation) over all the days given.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    pub variation: Arc<str>,
    pub visitors: u64,
    /// By goal code, in the order of the codes.
    pub goals: BTreeMap<Arc<str>, ArmGoal>,
}

/// One goal of one arm, over the days on which the file had the goal.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ArmGoal {
    /// Visitors of those days: the denominator of its rate.
    pub visitors: u64,
    pub conversions: u64,
    pub conversions_sumsq: u128,
    /// Where the goal has no values, each event is worth 1.
    pub value: Decimal,
    pub value_sumsq: Decimal,
    /// Whether any day had values of its own.
    pub numeric: bool,
}

impl ArmGoal {
    /// Conversions per visitor; None without visitors.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        per_visitor(Decimal::from(self.conversions).to_f64(), self.visitors)
    }

    /// Value per visitor; None without visitors.
    #[must_use]
    pub fn mean_value(&self) -> Option<f64> {
        per_visitor(self.value.to_f64(), self.visitors)
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a ratio for people; counts are at most 1e15"
)]
fn per_visitor(sum: f64, visitors: u64) -> Option<f64> {
    (visitors > 0).then(|| sum / visitors as f64)
}

/// One arm's rows on one day that share policy and trait group.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub variation: &'a Arc<str>,
    pub policy: &'a Arc<str>,
    /// None: the rows without a trait.
    pub group: Option<&'a Arc<str>>,
    pub cells: &'a [Cell],
    pub visitors: u64,
    /// Whether these are the rows that count each visitor of the day and policy once.
    pub whole: bool,
}

/// A day's rows. One choice for all arms of a policy says which
/// count each visitor once: the rows without a trait where there are any, else the trait group with
/// the most visitors (of several, the first by code).
#[must_use]
pub fn rows(day: &AgentDay) -> Vec<Rows<'_>> {
    let mut rows: Vec<Rows> = day
        .cells
        .chunk_by(|a, b| {
            a.key.variation == b.key.variation
                && a.key.policy == b.key.policy
                && group(a) == group(b)
        })
        .map(|cells| Rows {
            variation: &cells[0].key.variation,
            policy: &cells[0].key.policy,
            group: group(&cells[0]),
            cells,
            visitors: cells
                .iter()
                .fold(0, |sum, cell| sum.saturating_add(cell.visitors)),
            whole: false,
        })
        .collect();
    let mut chosen: Vec<(&Arc<str>, Option<&Arc<str>>)> = Vec::with_capacity(1);
    for of_policy in &rows {
        if !chosen.iter().any(|(policy, _)| *policy == of_policy.policy) {
            chosen.push((of_policy.policy, choose(&rows, of_policy.policy)));
        }
    }
    for row in &mut rows {
        row.whole = chosen
            .iter()
            .any(|(policy, group)| *policy == row.policy && *group == row.group);
    }
    rows
}

fn group(cell: &Cell) -> Option<&Arc<str>> {
    cell.key.visitor_trait.as_ref().map(|of| &of.group)
}

/// The trait group whose rows are the totals; None: the rows without a trait.
fn choose<'a>(rows: &[Rows<'a>], policy: &str) -> Option<&'a Arc<str>> {
    let mut visitors: Vec<(&Arc<str>, u64)> = Vec::new();
    for row in rows.iter().filter(|row| **row.policy == *policy) {
        let group = row.group?;
        match visitors.iter_mut().find(|(known, _)| *known == group) {
            Some((_, sum)) => *sum = sum.saturating_add(row.visitors),
            None => visitors.push((group, row.visitors)),
        }
    }
    visitors
        .into_iter()
        .max_by(|(a, of_a), (b, of_b)| of_a.cmp(of_b).then_with(|| b.cmp(a)))
        .map(|(group, _)| group)
}

/// The visitors under each policy, by code, of rows under all policies.
#[must_use]
pub fn policies<'a>(rows: impl IntoIterator<Item = &'a Rows<'a>>) -> BTreeMap<&'a Arc<str>, u64> {
    let mut visitors = BTreeMap::<&Arc<str>, u64>::new();
    for row in rows {
        if row.whole {
            let sum = visitors.entry(row.policy).or_default();
            *sum = sum.saturating_add(row.visitors);
        }
    }
    visitors
}

/// The policy that a Testing Report is about: `r`, or where there is none the one with the most
/// visitors (of several, the first by code). None without days.
#[must_use]
pub fn reported_policy<'a>(policies: &BTreeMap<&'a Arc<str>, u64>) -> Option<&'a Arc<str>> {
    let random = policies.keys().find(|policy| ****policy == *RANDOM_POLICY);
    let most = policies.values().max()?;
    let largest = policies.iter().find(|(_, sum)| *sum == most);
    random
        .or(largest.map(|(policy, _)| policy))
        .map(|policy| *policy)
}

/// Every arm under one policy, in the order of the variation codes. Sums stop at the
/// bounds of their types, far beyond what a file may say.
#[must_use]
pub fn arms(days: &[AgentDay], policy: &str) -> Vec<Arm> {
    let mut arms: BTreeMap<&Arc<str>, Arm> = BTreeMap::new();
    for day in days {
        let rows = rows(day);
        for cell in rows
            .iter()
            .filter(|row| row.whole && **row.policy == *policy)
            .flat_map(|row| row.cells)
        {
            let arm = arms.entry(&cell.key.variation).or_insert_with(|| Arm {
                variation: Arc::clone(&cell.key.variation),
                visitors: 0,
                goals: BTreeMap::new(),
            });
            add(arm, day, cell);
        }
    }
    arms.into_values().collect()
}

fn add(arm: &mut Arm, day: &AgentDay, cell: &Cell) {
    arm.visitors = arm.visitors.saturating_add(cell.visitors);
    for (code, counts) in day.goals.iter().zip(&cell.goals) {
        let goal = arm.goals.entry(Arc::clone(code)).or_default();
        goal.visitors = goal.visitors.saturating_add(cell.visitors);
        goal.conversions = goal.conversions.saturating_add(counts.count);
        goal.conversions_sumsq = goal.conversions_sumsq.saturating_add(counts.count_sumsq);
        goal.numeric |= counts.values.is_some();
        let (sum, sumsq) = match counts.values {
            Some(values) => (values.sum, values.sumsq),
            None => (
                Decimal::from(counts.count),
                Decimal::saturating_from(counts.count_sumsq),
            ),
        };
        goal.value = goal.value.checked_add(sum).unwrap_or(goal.value);
        goal.value_sumsq = goal
            .value_sumsq
            .checked_add(sumsq)
            .unwrap_or(goal.value_sumsq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent_day::{CellKey, Day, GoalCounts, VisitorTrait};

    /// `variation policy group=value visitors conversions`; `-` for no trait.
    fn day(number: i32, goals: &[&str], cells: &[&str]) -> AgentDay {
        let cells = cells.iter().map(|text| {
            let fields: Vec<_> = text.split(' ').collect();
            let visitor_trait = fields[2]
                .split_once('=')
                .map(|(group, value)| VisitorTrait {
                    group: group.into(),
                    value: value.into(),
                });
            let count = fields[4].parse().unwrap();
            Cell {
                key: CellKey {
                    variation: fields[0].into(),
                    policy: fields[1].into(),
                    visitor_trait,
                },
                visitors: fields[3].parse().unwrap(),
                goals: goals
                    .iter()
                    .map(|_| GoalCounts {
                        count,
                        count_sumsq: count.into(),
                        values: None,
                    })
                    .collect(),
            }
        });
        AgentDay {
            agent: "agent-1".into(),
            day: Day(number),
            goals: goals.iter().map(|&goal| Arc::from(goal)).collect(),
            cells: cells.collect(),
        }
    }

    fn summary(days: &[AgentDay], policy: &str) -> Vec<String> {
        arms(days, policy)
            .iter()
            .map(|arm| {
                let goals: Vec<_> = arm
                    .goals
                    .iter()
                    .map(|(code, goal)| format!("{code} {}/{}", goal.conversions, goal.visitors))
                    .collect();
                format!("{} {}: {}", arm.variation, arm.visitors, goals.join(", "))
            })
            .collect()
    }

    #[test]
    fn rows_without_a_trait_are_the_total() {
        let days = [day(
            1,
            &["sales"],
            &["A r - 10 1", "A r s=g 4 1", "A r s=p 7 2", "B r - 9 3"],
        )];
        assert_eq!(summary(&days, "r"), ["A 10: sales 1/10", "B 9: sales 3/9"]);
    }

    #[test]
    fn without_them_the_largest_trait_group_is_for_all_arms() {
        let days = [day(
            1,
            &["sales"],
            &["A r s=g 4 1", "A r s=p 5 2", "A r t=x 8 1", "B r s=g 9 3"],
        )];
        assert_eq!(summary(&days, "r"), ["A 9: sales 3/9", "B 9: sales 3/9"]);
    }

    #[test]
    fn days_without_a_goal_are_left_out_of_its_rate() {
        let days = [
            day(1, &["sales"], &["A r - 10 1"]),
            day(2, &["calls"], &["A r - 5 2"]),
        ];
        assert_eq!(summary(&days, "r"), ["A 15: calls 2/5, sales 1/10"]);
    }

    #[test]
    fn the_policy_is_r_or_else_the_largest() {
        let random = [day(1, &["g"], &["A f - 100 1", "A r - 1 0"])];
        let fixed = [day(1, &["g"], &["A f - 10 1", "A p - 11 0"])];
        let reported = |days: &[AgentDay]| {
            let rows: Vec<_> = days.iter().flat_map(rows).collect();
            reported_policy(&policies(&rows)).cloned()
        };
        assert_eq!(reported(&random).as_deref(), Some("r"));
        assert_eq!(reported(&fixed).as_deref(), Some("p"));
        assert_eq!(reported(&[]), None);
    }
}
