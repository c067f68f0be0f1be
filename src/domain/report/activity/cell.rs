//! What is summed over in an Activity Report.

use ethnum::I256;

use crate::domain::agent_day::{Decimal, GoalCounts};
use crate::domain::report::view::ActivityCell;

/// Sums over some cells of the data.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cell {
    visitors: u64,
    /// Over the days that have the goal; None where there is no such day.
    goal: Option<OfGoal>,
}

#[derive(Debug, Clone, Copy, Default)]
struct OfGoal {
    visitors: u64,
    conversions: u64,
    /// In units of 1e-12.
    value: I256,
}

impl Cell {
    /// A day that has the goal, with whoever is in it.
    pub(super) fn have_goal(&mut self) {
        self.goal.get_or_insert_default();
    }

    /// Adds visitors, and what they did where their day has the goal.
    pub(super) fn count(&mut self, visitors: u64, counts: Option<&GoalCounts>) {
        let goal = counts.map(|counts| OfGoal {
            visitors,
            conversions: counts.count,
            value: match counts.values {
                Some(values) => I256::from(values.sum.units),
                // Each event is worth 1.
                None => I256::from(counts.count) * I256::from(Decimal::ONE),
            },
        });
        self.merge(&Self { visitors, goal });
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.visitors = self.visitors.saturating_add(other.visitors);
        if let Some(other) = other.goal {
            let goal = self.goal.get_or_insert_default();
            goal.visitors = goal.visitors.saturating_add(other.visitors);
            goal.conversions = goal.conversions.saturating_add(other.conversions);
            goal.value = goal.value.saturating_add(other.value);
        }
    }

    pub(super) fn shown(cells: &[Self], groups: &[String]) -> Vec<ActivityCell> {
        cells
            .iter()
            .zip(groups)
            .map(|(cell, group)| cell.to_view(group))
            .collect()
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "a double is what JSON takes; counts are at most 1e15"
    )]
    fn to_view(self, group: &str) -> ActivityCell {
        let value = self.goal.map(|goal| {
            let one = I256::from(Decimal::ONE);
            // Whole and fraction apart, so that 0.1 is the double nearest to 0.1.
            (goal.value / one).as_f64() + (goal.value % one).as_f64() / Decimal::ONE as f64
        });
        let visitors = self.goal.map(|goal| goal.visitors).filter(|n| *n > 0);
        let conversions = self.goal.map(|goal| goal.conversions);
        let per_visitor = |sum: Option<f64>| Some(sum? / visitors? as f64);
        ActivityCell {
            group: group.to_owned(),
            visitors: self.visitors,
            conversions,
            value,
            rate: per_visitor(conversions.map(|count| count as f64)),
            value_per_visitor: per_visitor(value),
        }
    }
}
