//! [`Tally`]: what all reports of an agent ask of its days, worked out once: which rows count each
//! visitor once, what they add up to for every goal, and which cells no visitors can have produced.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::AgentData;
use super::choices::{Codes, trait_groups, variations};
use super::scope;
use super::view::Metric;
use crate::domain::agent_day::{AgentDay, CellKey, Decimal, GoalCounts};
use crate::domain::data_source::{Dating, Goal};
use crate::domain::integrity::{self, Rule};
use crate::domain::stats::Moments;
use crate::domain::totals::{self, Rows};

/// No sum of squared counts in a file is greater.
const MOST_SQUARES: u128 = 1_000_000_000_000_000_000_000_000_000_000;
/// Nor any value, in units of 1e-12.
const MOST_VALUE: u128 = 1_000_000_000_000_000_000_000_000_000_000_000_000;

/// An agent's data, ready for any number of reports. Whatever the question, a report adds up sums
/// of rows; it looks at single cells for trait values alone.
#[derive(Debug)]
pub struct Tally {
    data: AgentData,
    /// Parallel to the data's days.
    pub(super) days: Vec<DayTally>,
    /// That reports can be about.
    pub(super) goals: Vec<String>,
    /// That the data hold or an Agent declares, in natural order.
    pub(super) variations: Vec<String>,
    /// The visitors under each policy.
    pub(super) policies: BTreeMap<Arc<str>, u64>,
    /// Each group with its values, in natural order.
    pub(super) traits: Vec<(String, Vec<String>)>,
}

#[derive(Debug)]
pub(super) struct DayTally {
    /// Whether it had ended when it was fetched.
    pub complete: bool,
    /// Under every policy.
    pub rows: Vec<Rows>,
    /// Parallel to `rows`, and in each to the day's goals.
    pub sums: Vec<Vec<GoalSums>>,
    /// Parallel to the day's cells: the number of its trait value, counted through all groups of
    /// [`Tally::traits`].
    pub traits: Vec<Option<u32>>,
}

/// One goal's sums over the cells of some rows.
#[derive(Debug, Clone, Default)]
pub(super) struct GoalSums {
    pub rate: Moments,
    pub value: Moments,
    pub conversions: u64,
    /// Q.
    pub squares: u128,
    pub converters: Converters,
    /// Whether the goal had values of its own.
    pub numeric: bool,
    pub broken: Vec<BrokenCell>,
}

/// The fewest and the most converters, summed over cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Converters(pub Option<(u64, u64)>);

/// A cell that no visitors can have produced.
#[derive(Debug, Clone, Copy)]
pub(super) struct BrokenCell {
    /// Its place among the day's cells.
    pub cell: usize,
    pub of_counts: Option<Rule>,
    pub of_values: Option<Rule>,
}

impl Tally {
    #[must_use]
    pub fn new(data: AgentData) -> Self {
        let traits = trait_groups(&data.source.days);
        let dating = data.source.description.dating;
        let mut numbers = TraitNumbers::new(&traits);
        let days: Vec<DayTally> = data
            .source
            .days
            .iter()
            .map(|day| {
                let goals = day.goals.iter().map(|code| scope::goal(&data, code));
                let complete = scope::is_complete(&data, day.day);
                DayTally {
                    complete,
                    ..DayTally::of(day, &goals.collect::<Vec<_>>(), dating, &mut numbers)
                }
            })
            .collect();
        let rows = || days.iter().flat_map(|day| &day.rows);
        Self {
            goals: scope::goals(&data),
            variations: variations(&data, rows().map(|row| &*row.variation)),
            policies: totals::policies(rows()),
            days,
            traits,
            data,
        }
    }

    #[must_use]
    pub fn data(&self) -> &AgentData {
        &self.data
    }

    /// About what it takes in memory, its data included; codes, which are shared, are not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let days = self.data.source.days.iter().zip(&self.days);
        days.map(|(day, tally)| {
            let goals = day.goals.len();
            let numbers = size_of::<u64>() + goals * size_of::<GoalCounts>();
            let cell = size_of::<CellKey>() + numbers + size_of::<u32>() * 2;
            let row = size_of::<Rows>() + goals * size_of::<GoalSums>();
            size_of::<AgentDay>()
                + size_of::<DayTally>()
                + day.cells.len() * cell
                + tally.rows.len() * row
        })
        .sum()
    }
}

impl DayTally {
    /// `goals`: those of the day.
    fn of(day: &AgentDay, goals: &[Goal], dating: Dating, numbers: &mut TraitNumbers) -> Self {
        let rows = totals::rows(day);
        let sums = rows.iter().map(|row| {
            let mut sums = vec![GoalSums::default(); goals.len()];
            for index in row.cells.clone() {
                let cell = day.cell(index);
                for ((sum, goal), counts) in sums.iter_mut().zip(goals).zip(cell.goals) {
                    sum.add(cell.visitors, counts);
                    sum.broken.extend(
                        check(cell.visitors, counts, goal, dating)
                            .map(|rules| BrokenCell::new(index, rules)),
                    );
                }
            }
            sums
        });
        Self {
            complete: true,
            sums: sums.collect(),
            traits: day.cells.keys().iter().map(|key| numbers.of(key)).collect(),
            rows,
        }
    }
}

impl GoalSums {
    fn add(&mut self, visitors: u64, counts: &GoalCounts) {
        self.rate.add(&Moments::of_counts(visitors, counts));
        self.value.add(&Moments::of_values(visitors, counts));
        self.conversions = self.conversions.saturating_add(counts.count);
        self.squares = self.squares.saturating_add(counts.count_sumsq);
        self.converters = self.converters.plus(Converters::of(visitors, counts));
        self.numeric |= counts.values.is_some();
    }

    pub(super) fn moments(&self, metric: Metric) -> &Moments {
        match metric {
            Metric::Rate => &self.rate,
            Metric::Value => &self.value,
        }
    }
}

impl Default for Converters {
    fn default() -> Self {
        Self(Some((0, 0)))
    }
}

impl Converters {
    pub(super) fn of(visitors: u64, counts: &GoalCounts) -> Self {
        let bounds = within_limits(visitors, counts)
            .then(|| integrity::converters(counts.count, counts.count_sumsq))
            .flatten()
            .map(|(fewest, most)| (fewest, most.min(visitors)))
            .filter(|(fewest, most)| fewest <= most);
        Self(bounds)
    }

    /// Unknown where either is.
    pub(super) fn plus(self, other: Self) -> Self {
        let both = self.0.zip(other.0);
        Self(both.map(|((fewest, most), (more, most_more))| {
            (fewest.saturating_add(more), most.saturating_add(most_more))
        }))
    }
}

impl BrokenCell {
    fn new(cell: usize, [of_counts, of_values]: [Option<Rule>; 2]) -> Self {
        Self {
            cell,
            of_counts,
            of_values,
        }
    }

    /// One sentence is enough for a cell: the graver. A rate has nothing to do with values.
    pub(super) fn rule(&self, metric: Metric) -> Option<Rule> {
        let of_values = self.of_values.filter(|_| metric == Metric::Value);
        let rules = [self.of_counts, of_values].into_iter().flatten();
        rules.min_by_key(|rule| rule.kind())
    }
}

/// The rules that a cell breaks; None where it breaks none.
fn check(
    visitors: u64,
    counts: &GoalCounts,
    goal: &Goal,
    dating: Dating,
) -> Option<[Option<Rule>; 2]> {
    if !within_limits(visitors, counts) {
        return None;
    }
    let rules = integrity::check_cell(visitors, counts, goal.allow_negative, dating);
    (rules != [None, None]).then_some(rules)
}

/// The rules reckon with what a file may hold; a store could hold more.
fn within_limits(visitors: u64, counts: &GoalCounts) -> bool {
    let value = |value: Decimal| value.units.unsigned_abs() <= MOST_VALUE;
    visitors.max(counts.count) <= integrity::MAX_COUNT
        && counts.count_sumsq <= MOST_SQUARES
        && counts
            .values
            .is_none_or(|values| value(values.sum) && value(values.sumsq))
}

/// From a cell to the number of its trait value.
struct TraitNumbers<'t> {
    groups: Codes<'t>,
    /// Parallel to the groups: the number of the first value, and the values.
    values: Vec<(usize, Codes<'t>)>,
}

impl<'t> TraitNumbers<'t> {
    fn new(traits: &'t [(String, Vec<String>)]) -> Self {
        let mut first = 0;
        let values = traits.iter().map(|(_, values)| {
            let start = first;
            first += values.len();
            (start, Codes::of(values.iter().map(String::as_str)))
        });
        Self {
            values: values.collect(),
            groups: Codes::of(traits.iter().map(|(group, _)| group.as_str())),
        }
    }

    fn of(&mut self, key: &CellKey) -> Option<u32> {
        let of = key.visitor_trait.as_ref()?;
        let (first, values) = &mut self.values[self.groups.locate(&of.group)?];
        u32::try_from(*first + values.locate(&of.value)?).ok()
    }
}
