//! Everything that a Testing Report adds up, in one pass over the cells in view: the arms by day,
//! the arms by trait value, and what the cells themselves give away.

use super::choices::Codes;
use super::question::Question;
use super::scope;
use super::view::Metric;
use crate::domain::agent_day::{AgentDay, Cell, Day, Decimal, GoalCounts};
use crate::domain::finding::FindingKind;
use crate::domain::integrity::{self, Rule};
use crate::domain::stats::Moments;
use crate::domain::totals::Rows;

/// No sum of squared counts in a file is greater.
const MOST_SQUARES: u128 = 1_000_000_000_000_000_000_000_000_000_000;
/// Nor any value, in units of 1e-12.
const MOST_VALUE: u128 = 1_000_000_000_000_000_000_000_000_000_000_000_000;

#[derive(Debug)]
pub(super) struct Slice<'a> {
    /// The days in view that hold data, in order.
    pub days: Vec<DayOfSlice>,
    /// Over all days, parallel to the question's arms.
    pub arms: Vec<Sums>,
    /// Those who must keep to the expected shares, whatever trait is in view; parallel to the
    /// question's arms.
    pub drawn: Vec<u64>,
    /// In natural order; empty where they were not asked for.
    pub traits: Vec<Group<'a>>,
    pub integrity: Integrity,
    pub disagreements: Disagreements,
}

#[derive(Debug)]
pub(super) struct DayOfSlice {
    pub day: Day,
    pub has_goal: bool,
    /// Parallel to the question's arms.
    pub arms: Vec<Sums>,
    /// Every visitor, whatever trait is in view; parallel to the question's arms.
    pub everybody: Vec<u64>,
}

/// Sums over some cells of one arm.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    /// With or without the goal.
    pub visitors: u64,
    /// Of them, those that must keep to the expected shares.
    pub drawn: u64,
    /// On days that have the goal.
    pub moments: Moments,
    pub conversions: u64,
    pub converters: Converters,
    /// Whether the goal had values of its own.
    pub numeric: bool,
}

/// The fewest and the most converters, summed over cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Converters(pub Option<(u64, u64)>);

impl Default for Converters {
    fn default() -> Self {
        Self(Some((0, 0)))
    }
}

#[derive(Debug)]
pub(super) struct Group<'a> {
    pub code: &'a str,
    pub values: Vec<ValueOfGroup<'a>>,
}

#[derive(Debug)]
pub(super) struct ValueOfGroup<'a> {
    pub code: &'a str,
    /// Parallel to the question's arms.
    pub arms: Vec<Sums>,
}

/// Cells that no visitors can have produced.
#[derive(Debug, Default)]
pub(super) struct Integrity {
    /// Whatever the dating.
    pub always: Broken,
    /// Where each visitor stands on one day.
    pub dating: Broken,
}

#[derive(Debug, Default)]
pub(super) struct Broken {
    pub cells: u64,
    pub first: Option<FirstBroken>,
}

#[derive(Debug)]
pub(super) struct FirstBroken {
    pub rule: Rule,
    pub day: Day,
    pub variation: String,
    pub visitors: u64,
    pub counts: GoalCounts,
}

/// Arms whose trait rows do not add up to their totals.
#[derive(Debug, Default)]
pub(super) struct Disagreements {
    pub count: u64,
    pub first: Option<Disagreement>,
}

#[derive(Debug)]
pub(super) struct Disagreement {
    pub day: Day,
    pub variation: String,
    pub group: String,
    /// Of visitors, or where they agree of the goal's events, or of their squares.
    pub what: &'static str,
    pub total: u128,
    pub of_group: u128,
}

impl<'a> Slice<'a> {
    /// `with_traits`: also the sums by trait value and what they disagree in, which take most of
    /// the time.
    pub(super) fn of(question: &Question<'a>, with_traits: bool) -> Self {
        let mut codes = Codes::default();
        for arm in &question.arms {
            codes.index(&arm.code);
        }
        let mut pass = Pass {
            question,
            codes,
            groups: Codes::default(),
            values: Vec::new(),
            drawn: vec![0; question.arms.len()],
            integrity: Integrity::default(),
            disagreements: Disagreements::default(),
        };
        let days: Vec<DayOfSlice> = question
            .days
            .iter()
            .zip(question.rows)
            .map(|(day, rows)| pass.day(day, rows, with_traits))
            .collect();
        let mut arms = vec![Sums::default(); question.arms.len()];
        for day in &days {
            for (sum, of_day) in arms.iter_mut().zip(&day.arms) {
                sum.merge(of_day);
            }
        }
        Self {
            arms,
            traits: pass.traits(),
            drawn: pass.drawn,
            integrity: pass.integrity,
            disagreements: pass.disagreements,
            days,
        }
    }
}

struct Pass<'q, 'a> {
    question: &'q Question<'a>,
    /// Of the question's arms.
    codes: Codes<'q>,
    groups: Codes<'a>,
    /// Parallel to `groups`: the values, and parallel to them the arms.
    values: Vec<(Codes<'a>, Vec<Vec<Sums>>)>,
    drawn: Vec<u64>,
    integrity: Integrity,
    disagreements: Disagreements,
}

impl<'a> Pass<'_, 'a> {
    fn day(&mut self, day: &'a AgentDay, rows: &[Rows<'a>], with_traits: bool) -> DayOfSlice {
        let question = self.question;
        let goal = day
            .goals
            .iter()
            .position(|code| **code == *question.goal.code);
        let mut arms = vec![Sums::default(); question.arms.len()];
        let mut everybody = vec![0_u64; question.arms.len()];
        let one_day = !scope::is_visitor_days(question.data, question.days);
        for row in rows.iter().filter(|row| question.takes(row)) {
            let Some(arm) = self.codes.locate(row.variation) else {
                continue;
            };
            let chosen = self.is_of_chosen_group(row);
            let is_total = match question.trait_value {
                Some(_) => chosen,
                None => row.whole,
            };
            if row.whole {
                everybody[arm] = everybody[arm].saturating_add(row.visitors);
            }
            let drawn = question.is_drawn(row);
            if drawn && row.whole {
                self.drawn[arm] = self.drawn[arm].saturating_add(row.visitors);
            }
            if !(is_total || chosen || with_traits) {
                continue;
            }
            for cell in row.cells {
                let counts = goal.and_then(|goal| cell.goals.get(goal));
                let entry = Entry {
                    cell,
                    counts,
                    drawn,
                    metric: question.metric,
                };
                let in_view = question.trait_value.is_none() || self.has_chosen_value(cell);
                if is_total && in_view {
                    arms[arm].add(&entry, one_day);
                }
                if (is_total || chosen) && in_view {
                    self.check(day.day, cell, counts);
                }
                if with_traits && cell.key.visitor_trait.is_some() {
                    let sums = self.value(cell, arm);
                    sums.add(&entry, one_day && chosen);
                }
            }
        }
        if with_traits {
            self.compare_groups(day.day, rows, goal);
        }
        DayOfSlice {
            day: day.day,
            has_goal: goal.is_some(),
            arms,
            everybody,
        }
    }

    fn is_of_chosen_group(&self, row: &Rows) -> bool {
        let chosen = self.question.trait_group.as_deref();
        chosen.is_some() && row.group.map(AsRef::as_ref) == chosen
    }

    fn has_chosen_value(&self, cell: &Cell) -> bool {
        let of = cell.key.visitor_trait.as_ref();
        of.map(|of| &*of.value) == self.question.trait_value.as_deref()
    }

    /// The sums of an arm for a cell's trait value.
    fn value(&mut self, cell: &'a Cell, arm: usize) -> &mut Sums {
        let of = cell.key.visitor_trait.as_ref();
        let (group, value) = of.map_or(("", ""), |of| (&*of.group, &*of.value));
        let group = self.groups.index(group);
        if self.values.len() <= group {
            self.values.push((Codes::default(), Vec::new()));
        }
        let (codes, sums) = &mut self.values[group];
        let value = codes.index(value);
        if sums.len() <= value {
            sums.push(vec![Sums::default(); self.question.arms.len()]);
        }
        &mut sums[value][arm]
    }

    fn traits(&mut self) -> Vec<Group<'a>> {
        let mut groups = Vec::new();
        for code in self.groups.sorted() {
            let Some(group) = self.groups.find(code) else {
                continue;
            };
            let (codes, sums) = &mut self.values[group];
            let values = codes.sorted().into_iter().filter_map(|code| {
                let arms = std::mem::take(&mut sums[codes.find(code)?]);
                Some(ValueOfGroup { code, arms })
            });
            let values = values.collect();
            groups.push(Group { code, values });
        }
        groups
    }

    /// What enters the view's numbers must be possible. A rate has nothing to do with values.
    fn check(&mut self, day: Day, cell: &Cell, counts: Option<&GoalCounts>) {
        let Some(counts) = counts.filter(|counts| within_limits(cell.visitors, counts)) else {
            return;
        };
        let question = self.question;
        let dating = question.data.source.description.dating;
        let [of_counts, of_values] =
            integrity::check_cell(cell.visitors, counts, question.goal.allow_negative, dating);
        let of_values = of_values.filter(|_| question.metric == Metric::Value);
        let rules = [of_counts, of_values].into_iter().flatten();
        // One sentence is enough for a cell: the graver.
        let Some(rule) = rules.min_by_key(|rule| rule.kind()) else {
            return;
        };
        let broken = match rule.kind() {
            FindingKind::Dating => &mut self.integrity.dating,
            _ => &mut self.integrity.always,
        };
        broken.cells += 1;
        broken.first.get_or_insert_with(|| FirstBroken {
            rule,
            day,
            variation: cell.key.variation.to_string(),
            visitors: cell.visitors,
            counts: *counts,
        });
    }

    /// Each trait group of an arm must add up to the rows that are its totals.
    fn compare_groups(&mut self, day: Day, rows: &[Rows], goal: Option<usize>) {
        let rows = rows.iter().filter(|row| self.question.takes(row));
        let rows: Vec<_> = rows.collect();
        for of_arm in rows.chunk_by(|a, b| a.variation == b.variation && a.policy == b.policy) {
            // Without such rows the arm's totals are 0, whatever its rows by trait say.
            let whole = of_arm.iter().find(|row| row.whole);
            let total = whole.map_or([0; 3], |whole| sizes(whole, goal));
            for other in of_arm.iter().filter(|row| !row.whole) {
                let of_group = sizes(other, goal);
                let pairs = total.into_iter().zip(of_group).zip(SIZES);
                let differs = pairs.into_iter().find(|((a, b), _)| a != b);
                let Some(((total, of_group), what)) = differs else {
                    continue;
                };
                self.disagreements.count += 1;
                self.disagreements
                    .first
                    .get_or_insert_with(|| Disagreement {
                        day,
                        variation: other.variation.to_string(),
                        group: other.group.map(ToString::to_string).unwrap_or_default(),
                        what,
                        total,
                        of_group,
                    });
            }
        }
    }
}

const SIZES: [&str; 3] = ["visitors", "events", "as sum of squares"];

/// N, C and Q.
fn sizes(rows: &Rows, goal: Option<usize>) -> [u128; 3] {
    let counts = rows.cells.iter().filter_map(|cell| cell.goals.get(goal?));
    let (events, squares) = counts.fold((0_u128, 0_u128), |(events, squares), counts| {
        (
            events.saturating_add(counts.count.into()),
            squares.saturating_add(counts.count_sumsq),
        )
    });
    [rows.visitors.into(), events, squares]
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

/// One cell as it is added.
struct Entry<'c> {
    cell: &'c Cell,
    /// None where its day lacks the goal.
    counts: Option<&'c GoalCounts>,
    drawn: bool,
    metric: Metric,
}

impl Sums {
    fn add(&mut self, entry: &Entry, with_bounds: bool) {
        let visitors = entry.cell.visitors;
        self.visitors = self.visitors.saturating_add(visitors);
        if entry.drawn {
            self.drawn = self.drawn.saturating_add(visitors);
        }
        let Some(counts) = entry.counts else { return };
        let moments = match entry.metric {
            Metric::Rate => Moments::of_counts(visitors, counts),
            Metric::Value => Moments::of_values(visitors, counts),
        };
        self.moments.add(&moments);
        self.conversions = self.conversions.saturating_add(counts.count);
        self.numeric |= counts.values.is_some();
        self.converters = if with_bounds {
            let bounds = within_limits(visitors, counts)
                .then(|| integrity::converters(counts.count, counts.count_sumsq))
                .flatten()
                .map(|(fewest, most)| (fewest, most.min(visitors)))
                .filter(|(fewest, most)| fewest <= most);
            self.converters.plus(Converters(bounds))
        } else {
            Converters(None)
        };
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.visitors = self.visitors.saturating_add(other.visitors);
        self.drawn = self.drawn.saturating_add(other.drawn);
        self.moments.add(&other.moments);
        self.conversions = self.conversions.saturating_add(other.conversions);
        self.numeric |= other.numeric;
        self.converters = self.converters.plus(other.converters);
    }
}

impl Converters {
    /// Unknown where either is.
    fn plus(self, other: Self) -> Self {
        let both = self.0.zip(other.0);
        Self(both.map(|((fewest, most), (more, most_more))| {
            (fewest.saturating_add(more), most.saturating_add(most_more))
        }))
    }
}
