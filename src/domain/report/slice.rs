//! Everything that a Testing Report adds up, in one pass over the rows in view: the arms by day,
//! the arms by trait value, and what the cells themselves give away.

use super::choices::Codes;
use super::question::Question;
use super::scope;
use super::tally::{BrokenCell, Converters, DayTally, GoalSums};
use super::view::Metric;
use crate::domain::agent_day::{AgentDay, CellView, Day, GoalCounts};
use crate::domain::finding::FindingKind;
use crate::domain::integrity::Rule;
use crate::domain::stats::Moments;
use crate::domain::totals::Rows;

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
    /// Whether it had ended when it was fetched.
    pub complete: bool,
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
        let arms = question.arms.len();
        let values = question.tally.traits.iter().map(|(_, values)| values.len());
        let values = if with_traits { values.sum() } else { 0 };
        let mut pass = Pass {
            question,
            codes: Codes::of(question.arms.iter().map(|arm| arm.code.as_str())),
            one_day: !scope::is_visitor_days(question.data, question.days),
            values: vec![None; values],
            drawn: vec![0; arms],
            integrity: Integrity::default(),
            disagreements: Disagreements::default(),
        };
        let days: Vec<DayOfSlice> = question
            .days
            .iter()
            .zip(question.tallies)
            .map(|(day, tally)| pass.day(day, tally, with_traits))
            .collect();
        let mut arms = vec![Sums::default(); arms];
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
    /// Whether each visitor in view stands on one day.
    one_day: bool,
    /// By the number of a trait value, those in view: parallel to the arms.
    values: Vec<Option<Vec<Sums>>>,
    drawn: Vec<u64>,
    integrity: Integrity,
    disagreements: Disagreements,
}

impl<'a> Pass<'_, 'a> {
    fn day(&mut self, day: &'a AgentDay, tally: &'a DayTally, with_traits: bool) -> DayOfSlice {
        let question = self.question;
        let goal = day
            .goals
            .iter()
            .position(|code| **code == *question.goal.code);
        let mut arms = vec![Sums::default(); question.arms.len()];
        let mut everybody = vec![0_u64; question.arms.len()];
        for (row, goals) in tally.rows.iter().zip(&tally.sums) {
            if !question.takes(row) {
                continue;
            }
            let Some(arm) = self.codes.locate(&row.variation) else {
                continue;
            };
            let drawn = question.is_drawn(row);
            if row.whole {
                everybody[arm] = everybody[arm].saturating_add(row.visitors);
                if drawn {
                    self.drawn[arm] = self.drawn[arm].saturating_add(row.visitors);
                }
            }
            let sums = goal.and_then(|goal| goals.get(goal));
            let chosen = self.is_of_chosen_group(row);
            if let Some(value) = &question.trait_value {
                for index in row.cells.clone().filter(|_| chosen) {
                    let cell = day.cell(index);
                    if has_value(cell, value) {
                        let counts = goal.and_then(|goal| cell.goals.get(goal));
                        arms[arm].add(&self.entry(cell, counts, drawn), self.one_day);
                    }
                }
            } else if row.whole {
                arms[arm].merge(&self.of_rows(row, sums, drawn));
            }
            if row.whole || chosen {
                let broken = sums.iter().flat_map(|sums| &sums.broken);
                broken.for_each(|broken| self.note(day, goal, broken));
            }
            if with_traits && row.group.is_some() {
                self.add_traits(day, tally, (row, arm), goal);
            }
        }
        if with_traits {
            self.compare_groups(day.day, tally, goal);
        }
        DayOfSlice {
            day: day.day,
            complete: tally.complete,
            has_goal: goal.is_some(),
            arms,
            everybody,
        }
    }

    fn is_of_chosen_group(&self, row: &Rows) -> bool {
        let chosen = self.question.trait_group.as_deref();
        chosen.is_some() && row.group.as_deref() == chosen
    }

    fn entry<'c>(
        &self,
        cell: CellView<'c>,
        counts: Option<&'c GoalCounts>,
        drawn: bool,
    ) -> Entry<'c> {
        Entry {
            cell,
            counts,
            drawn,
            metric: self.question.metric,
        }
    }

    /// What `row` adds to its arm. `sums`: None where its day lacks the goal.
    fn of_rows(&self, row: &Rows, sums: Option<&GoalSums>, drawn: bool) -> Sums {
        let metric = self.question.metric;
        let converters = match sums {
            None => Converters::default(),
            Some(sums) if self.one_day => sums.converters,
            Some(_) => Converters(None),
        };
        Sums {
            visitors: row.visitors,
            drawn: if drawn { row.visitors } else { 0 },
            moments: sums.map_or_else(Moments::default, |sums| sums.moments(metric).clone()),
            conversions: sums.map_or(0, |sums| sums.conversions),
            converters,
            numeric: sums.is_some_and(|sums| sums.numeric),
        }
    }

    /// Each cell of a row by trait to the sums of its value.
    fn add_traits(
        &mut self,
        day: &AgentDay,
        tally: &DayTally,
        (row, arm): (&Rows, usize),
        goal: Option<usize>,
    ) {
        let question = self.question;
        let drawn = question.is_drawn(row);
        let with_bounds = self.one_day && self.is_of_chosen_group(row);
        for index in row.cells.clone() {
            let value = tally.traits[index].and_then(|value| usize::try_from(value).ok());
            let Some(value) = value else { continue };
            let cell = day.cell(index);
            let counts = goal.and_then(|goal| cell.goals.get(goal));
            let entry = self.entry(cell, counts, drawn);
            let sums = self.values[value]
                .get_or_insert_with(|| vec![Sums::default(); question.arms.len()]);
            sums[arm].add(&entry, with_bounds);
        }
    }

    fn traits(&mut self) -> Vec<Group<'a>> {
        let mut sums = std::mem::take(&mut self.values).into_iter();
        let groups = self.question.tally.traits.iter().map(|(group, values)| {
            let values = values.iter().zip(&mut sums);
            let in_view =
                values.filter_map(|(code, arms)| Some(ValueOfGroup { code, arms: arms? }));
            Group {
                code: group,
                values: in_view.collect(),
            }
        });
        groups.filter(|group| !group.values.is_empty()).collect()
    }

    /// What enters the view's numbers must be possible.
    fn note(&mut self, day: &AgentDay, goal: Option<usize>, broken: &BrokenCell) {
        let question = self.question;
        let cell = day.cell(broken.cell);
        let in_view = question
            .trait_value
            .as_ref()
            .is_none_or(|value| has_value(cell, value));
        let Some(rule) = broken.rule(question.metric).filter(|_| in_view) else {
            return;
        };
        let Some(counts) = goal.and_then(|goal| cell.goals.get(goal)) else {
            return;
        };
        let cells = match rule.kind() {
            FindingKind::Dating => &mut self.integrity.dating,
            _ => &mut self.integrity.always,
        };
        cells.cells += 1;
        cells.first.get_or_insert_with(|| FirstBroken {
            rule,
            day: day.day,
            variation: cell.key.variation.to_string(),
            visitors: cell.visitors,
            counts: *counts,
        });
    }

    /// Each trait group of an arm must add up to the rows that are its totals.
    fn compare_groups(&mut self, day: Day, tally: &DayTally, goal: Option<usize>) {
        let rows = tally.rows.iter().zip(&tally.sums);
        let rows: Vec<_> = rows.filter(|(row, _)| self.question.takes(row)).collect();
        let of_arms =
            rows.chunk_by(|(a, _), (b, _)| a.variation == b.variation && a.policy == b.policy);
        for of_arm in of_arms {
            // Without such rows the arm's totals are 0, whatever its rows by trait say.
            let whole = of_arm.iter().find(|(row, _)| row.whole);
            let total = whole.map_or([0; 3], |whole| sizes(*whole, goal));
            for other in of_arm.iter().filter(|(row, _)| !row.whole) {
                let of_group = sizes(*other, goal);
                let pairs = total.into_iter().zip(of_group).zip(SIZES);
                let differs = pairs.into_iter().find(|((a, b), _)| a != b);
                let Some(((total, of_group), what)) = differs else {
                    continue;
                };
                let (row, _) = other;
                self.disagreements.count += 1;
                self.disagreements
                    .first
                    .get_or_insert_with(|| Disagreement {
                        day,
                        variation: row.variation.to_string(),
                        group: row.group.as_deref().unwrap_or_default().to_owned(),
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
fn sizes((row, goals): (&Rows, &Vec<GoalSums>), goal: Option<usize>) -> [u128; 3] {
    let sums = goal.and_then(|goal| goals.get(goal));
    let (events, squares) = sums.map_or((0, 0), |sums| (sums.conversions, sums.squares));
    [row.visitors.into(), events.into(), squares]
}

fn has_value(cell: CellView<'_>, value: &str) -> bool {
    let of = cell.key.visitor_trait.as_ref();
    of.is_some_and(|of| *of.value == *value)
}

/// One cell as it is added.
struct Entry<'c> {
    cell: CellView<'c>,
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
            self.converters.plus(Converters::of(visitors, counts))
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
