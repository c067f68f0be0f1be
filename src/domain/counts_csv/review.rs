//! What can be said only when all rows are in: agent day by agent day, in bounded memory. `batch`
//! looks at some days; [`Review`] puts together what it says of all.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::agent_day::Day;
use super::super::finding::{Finding, FindingKind, excerpt, grouped};
use super::batch::{Found, Squares};
use super::codes::Codes;
use super::header::Columns;
use super::keys::AllCodes;
use super::told::Told;

/// A day without an arm is told where this many of its visitors or more were to be expected.
const EXPECTED_VISITORS: f64 = 14.0;
/// Rows that must all have the square of the total before it is told.
const SQUARES_OF_TOTALS: u64 = 10;

/// How many visitors each variation has on each of an agent's days.
type VisitorsByDay = BTreeMap<Arc<str>, BTreeMap<Day, u64>>;

/// What batches have said, in order of agent and day.
#[derive(Debug)]
pub(super) struct Review {
    pub(super) told: Told,
    pub(super) agent_days: u64,
    squares: Vec<Squares>,
    /// The agent under review.
    agent: Option<u32>,
    visitors: VisitorsByDay,
}

impl Review {
    pub(super) fn new(told: Told, columns: &Columns) -> Self {
        Self {
            told,
            agent_days: 0,
            squares: vec![Squares::default(); columns.goals.len()],
            agent: None,
            visitors: VisitorsByDay::new(),
        }
    }

    /// Takes what the next batch says.
    pub(super) fn append(&mut self, batch: Found, agents: &Codes) {
        self.told.append(batch.told);
        for (squares, more) in self.squares.iter_mut().zip(batch.squares) {
            squares.append(more);
        }
        self.agent_days += batch.arms.len() as u64;
        for (agent, day, arms) in batch.arms {
            if self.agent != Some(agent) {
                self.end_agent(agents);
                self.agent = Some(agent);
            }
            for (variation, visitors) in arms {
                let days = match self.visitors.get_mut(&variation) {
                    Some(days) => days,
                    None => self.visitors.entry(variation).or_default(),
                };
                *days.entry(day).or_default() += visitors;
            }
        }
    }

    fn end_agent(&mut self, agents: &Codes) {
        if let Some(agent) = self.agent {
            self.missing_days(agents.get(agent));
        }
    }

    /// There are no more.
    pub(super) fn finish(&mut self, agents: &Codes, columns: &Columns) {
        self.end_agent(agents);
        self.squares_of_totals(columns);
    }

    /// Days of the agent on which an arm has no row though visitors were to be expected.
    fn missing_days(&mut self, agent: &str) {
        let visitors = std::mem::take(&mut self.visitors);
        let mut totals = BTreeMap::<Day, u64>::new();
        for (day, count) in visitors.values().flatten() {
            *totals.entry(*day).or_default() += count;
        }
        for (variation, days) in &visitors {
            let (arm, all) = days.iter().fold((0, 0), |(arm, all), (day, count)| {
                (arm + count, all + totals[day])
            });
            // To every other visitor on days that it has, so many of the arm.
            let ratio = to_f64(u128::from(arm)) / to_f64(u128::from(all - arm)).max(1.0);
            for (day, total) in totals.iter().filter(|(day, _)| !days.contains_key(day)) {
                let expected = ratio * to_f64(u128::from(*total));
                if all > arm && expected >= EXPECTED_VISITORS {
                    self.note_missing_day(agent, variation, *day, expected);
                }
            }
        }
    }

    #[cold]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of visitors, rounded to be shown"
    )]
    fn note_missing_day(&mut self, agent: &str, variation: &str, day: Day, expected: f64) {
        self.told.notes.add("DayMissing", 0, None, || {
            let message = format!(
                "agent {:?} has no row for variation {:?} on {day}, where some {} visitors were \
                 to be expected",
                excerpt(agent.as_bytes()),
                excerpt(variation.as_bytes()),
                grouped(expected.round() as u64),
            );
            Finding::new(FindingKind::Warning, "DayMissing", message)
                .hint("check that the export holds every variation's visitors, also without events")
        });
    }

    fn squares_of_totals(&mut self, columns: &Columns) {
        for (squares, goal) in self.squares.iter().zip(&columns.goals) {
            if squares.cells < SQUARES_OF_TOTALS || squares.of_totals < squares.cells {
                continue;
            }
            self.told.notes.add("SquareOfTotal", goal.count_sumsq, Some(squares.line), || {
                let message = format!(
                    "in all {} rows with two events or more the sum of squares is the square of \
                     the count, as if one visitor had them all",
                    grouped(squares.cells)
                );
                Finding::new(FindingKind::Warning, "SquareOfTotal", message)
                    .line(squares.line)
                    .column(&columns.names[goal.count_sumsq])
                    .hint(
                        "square each visitor's number of events before summing over visitors, \
                         not the total",
                    )
            });
        }
    }
}

/// Looks at the codes themselves.
pub(super) fn review_codes(agents: &Codes, codes: &AllCodes, columns: &Columns, told: &mut Told) {
    let mut of = |codes: &Codes, column: usize| {
        codes.review(&columns.names[column], column, &mut told.notes);
    };
    of(agents, columns.agent);
    of(&codes.variations, columns.variation);
    if let Some(policy) = columns.policy {
        of(&codes.policies, policy);
    }
    if let Some((group, value)) = columns.visitor_trait {
        of(&codes.trait_groups, group);
        of(&codes.trait_values, value);
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "for comparing and showing sizes"
)]
pub(super) fn to_f64(number: u128) -> f64 {
    number as f64
}
