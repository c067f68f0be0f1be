//! What can be said of some agent days when all their rows are in. Batches of days are looked at apart
//! from each other; `review` puts together what they say.

use std::sync::Arc;

use super::super::agent_day::{Day, Decimal, GoalCounts};
use super::super::data_source::Dating;
use super::super::finding::{Finding, FindingKind, excerpt, grouped};
use super::super::integrity;
use super::day::{Counts, DayCells, Row, Unpacking};
use super::header::{Columns, GoalColumns};
use super::keys::trait_group;
use super::review::to_f64;
use super::rows::Layout;
use super::told::Told;

/// Of one goal: cells with two events or more, and those whose sum of squares is the squared total.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Squares {
    pub(super) cells: u64,
    pub(super) of_totals: u64,
    pub(super) line: u64,
}

impl Squares {
    pub(super) fn append(&mut self, more: Self) {
        if more.of_totals > 0 {
            self.line = if self.of_totals == 0 {
                more.line
            } else {
                self.line.min(more.line)
            };
        }
        self.cells += more.cells;
        self.of_totals += more.of_totals;
    }
}

/// Looks at some days.
#[derive(Debug)]
pub(super) struct BatchReview<'a> {
    of: &'a Unpacking,
    columns: &'a Columns,
    dating: Dating,
    found: Found,
}

/// Of an agent's day, the visitors of each variation.
pub(super) type Arms = Vec<(Arc<str>, u64)>;

/// What there is to say about some days; an agent by its number.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) told: Told,
    pub(super) squares: Vec<Squares>,
    pub(super) arms: Vec<(u32, Day, Arms)>,
}

impl<'a> BatchReview<'a> {
    pub(super) fn new(of: &'a Unpacking, layout: &'a Layout, dating: Dating) -> Self {
        Self {
            of,
            columns: &layout.columns,
            dating,
            found: Found {
                told: Told::new(&layout.limits),
                squares: vec![Squares::default(); of.valued.len()],
                arms: Vec::new(),
            },
        }
    }

    pub(super) fn finish(self) -> Found {
        self.found
    }

    /// Looks at one agent's day.
    pub(super) fn day(&mut self, agent: u32, code: &str, day: Day, cells: &DayCells) {
        self.duplicates(cells);
        for row in &cells.cells {
            self.cell(row, cells.goals(row));
        }
        self.arms(agent, code, day, cells);
    }

    fn duplicates(&mut self, cells: &DayCells) {
        for duplicate in &cells.duplicates {
            let (first, line) = (duplicate.first_line, duplicate.line);
            if duplicate.exceeds {
                self.found.told.problems.add(|| {
                    Finding::new(
                        FindingKind::Structure,
                        "SumTooLarge",
                        format!("added to line {first}, which is about the same visitors, its numbers exceed what is read"),
                    )
                    .line(line)
                    .hint("write one row for each day, agent, variation, policy and trait")
                });
            }
            self.found
                .told
                .notes
                .add("DuplicateRows", 0, Some(line), || {
                    Finding::new(
                        FindingKind::Warning,
                        "DuplicateRows",
                        format!(
                            "same day, agent, variation, policy and trait as line {first}: their \
                         counts are added up"
                        ),
                    )
                    .line(line)
                    .hint(
                        "write one row for each of them; a file that was appended to itself counts \
                     everyone twice",
                    )
                });
        }
    }

    fn cell(&mut self, row: &Row, goals: &[Counts]) {
        let columns = self.columns;
        for (index, (counts, goal)) in goals.iter().zip(&columns.goals).enumerate() {
            let is_sound = counts
                .quick(goal.values.is_some())
                .is_some_and(|quick| quick.is_sound(row.visitors, self.dating));
            if !is_sound {
                self.check(row, counts, index);
            }
            if counts.count > 1 && row.visitors > 1 {
                let squares = &mut self.found.squares[index];
                let of_total = u128::from(counts.count) * u128::from(counts.count);
                squares.cells += 1;
                if counts.count_sumsq == of_total {
                    squares.of_totals += 1;
                    squares.line = if squares.of_totals == 1 {
                        row.line
                    } else {
                        squares.line.min(row.line)
                    };
                }
            }
            self.values(row, counts, goal);
        }
    }

    /// Asks every rule.
    fn check(&mut self, row: &Row, counts: &Counts, goal: usize) {
        let columns = &self.columns.goals[goal];
        let exact = counts.exact(columns.values.is_some());
        let broken =
            integrity::check_cell(row.visitors, &exact, columns.allow_negative, self.dating);
        for rule in broken.into_iter().flatten() {
            self.broken(rule, row, &exact, goal);
        }
    }

    #[cold]
    fn broken(&mut self, rule: integrity::Rule, row: &Row, counts: &GoalCounts, goal: usize) {
        let column = column_of(&self.columns.goals[goal], rule.column());
        self.found
            .told
            .notes
            .add(rule.code(), column, Some(row.line), || {
                Finding::new(rule.kind(), rule.code(), rule.message(row.visitors, counts))
                    .line(row.line)
                    .column(&self.columns.names[column])
                    .hint(rule.hint())
            });
    }

    fn values(&mut self, row: &Row, counts: &Counts, goal: &GoalColumns) {
        let Some((column, _)) = goal.values else {
            return;
        };
        if row.visitors == 1 && counts.sum.mantissa != 0 {
            self.found
                .told
                .notes
                .add("SingleVisitorValue", column, Some(row.line), || {
                    Finding::new(
                        FindingKind::Warning,
                        "SingleVisitorValue",
                        "the row is about a single visitor, whose value can be read from it",
                    )
                    .line(row.line)
                    .column(&self.columns.names[column])
                    .hint(
                        "for privacy, leave out trait values that few visitors have, or put them \
                     together",
                    )
                });
        }
        // Only a whole number may be the count.
        let is_count = counts.count > 1
            && counts.sum.is_whole(counts.count)
            && (Decimal::from(counts.sumsq).to_f64() - to_f64(counts.count_sumsq)).abs() > 0.5;
        if is_count {
            self.found.told.notes.add("ValueEqualsCount", column, Some(row.line), || {
                let message = format!(
                    "the value equals the {} events, as if each were worth 1, but their sums of \
                     squares differ",
                    grouped(counts.count)
                );
                Finding::new(FindingKind::Warning, "ValueEqualsCount", message)
                    .line(row.line)
                    .column(&self.columns.names[column])
                    .hint("check which of the goal's columns the export has filled with which sum")
            });
        }
    }

    /// Compares the trait groups of each arm and keeps the arm's visitors for later.
    fn arms(&mut self, number: u32, agent: &str, day: Day, cells: &DayCells) {
        let keys = &self.of.keys;
        let key = |row: &Row| &keys.keys[row.key as usize];
        let same = |places: &[u32], one: &Row, other: &Row| {
            places[one.key as usize] == places[other.key as usize]
        };
        let mut disagreements = Vec::new();
        let mut arms = Arms::new();
        for arm in cells
            .cells
            .chunk_by(|one, other| same(&keys.arms, one, other))
        {
            let mut groups = arm.chunk_by(|one, other| same(&keys.groups, one, other));
            let Some(first_rows) = groups.next() else {
                continue;
            };
            // Rows without a trait stand first; without them the largest group speaks for the arm.
            let mut visitors = visitors_of(first_rows);
            let mut first = None;
            for rows in groups {
                let first = first.get_or_insert_with(|| Totals::of(first_rows, cells));
                let other = Totals::of(rows, cells);
                if key(&first.row).visitor_trait.is_some() {
                    visitors = visitors.max(other.visitors);
                }
                if let Some(difference) = first.difference(&other, &self.columns.goals) {
                    disagreements.push((first.row, other.row, difference));
                }
            }
            arms.push((Arc::clone(&key(&arm[0]).variation), visitors));
        }
        self.found.arms.push((number, day, arms));
        for (first, other, difference) in disagreements {
            self.note_disagreement(agent, day, &first, &other, &difference);
        }
    }

    #[cold]
    fn note_disagreement(
        &mut self,
        agent: &str,
        day: Day,
        first: &Row,
        other: &Row,
        difference: &Difference,
    ) {
        let (keys, line) = (&self.of.keys.keys, other.line);
        self.found
            .told
            .notes
            .add("TraitTotalsDisagree", 0, Some(line), || {
                let group = |row: &Row| match trait_group(&keys[row.key as usize]) {
                    None => "the rows without a trait".into(),
                    Some(group) => format!("trait group {:?}", excerpt(group.as_bytes())),
                };
                let message = format!(
                    "agent {:?}, variation {:?} on {day}: {} adds up to {} {}, {} to {}",
                    excerpt(agent.as_bytes()),
                    excerpt(keys[first.key as usize].variation.as_bytes()),
                    group(other),
                    grouped(difference.other),
                    difference.what,
                    group(first),
                    grouped(difference.first),
                );
                Finding::new(FindingKind::Warning, "TraitTotalsDisagree", message).line(line).hint(
                "each group should count every visitor once: give those without a value one of \
                 their own, such as unknown",
            )
            });
    }
}

fn column_of(goal: &GoalColumns, column: integrity::GoalColumn) -> usize {
    let (sum, sumsq) = goal.values.unwrap_or((goal.count, goal.count_sumsq));
    match column {
        integrity::GoalColumn::Count => goal.count,
        integrity::GoalColumn::CountSumsq => goal.count_sumsq,
        integrity::GoalColumn::Value => sum,
        integrity::GoalColumn::ValueSumsq => sumsq,
    }
}

/// What one trait group's rows of an arm add up to.
struct Totals {
    /// The first of them.
    row: Row,
    visitors: u64,
    /// Events and their squares, by goal.
    goals: Vec<(u64, u128)>,
}

/// The first number in which two groups differ.
struct Difference {
    what: String,
    first: u128,
    other: u128,
}

fn visitors_of(rows: &[Row]) -> u64 {
    rows.iter()
        .fold(0, |sum, row| sum.saturating_add(row.visitors))
}

impl Totals {
    fn of(rows: &[Row], cells: &DayCells) -> Self {
        let mut totals = Self {
            row: rows[0],
            visitors: visitors_of(rows),
            goals: Vec::new(),
        };
        for row in rows {
            totals.row.line = totals.row.line.min(row.line);
            let goals = cells.goals(row);
            totals.goals.resize(goals.len(), (0, 0));
            for (total, goal) in totals.goals.iter_mut().zip(goals) {
                total.0 = total.0.saturating_add(goal.count);
                total.1 = total.1.saturating_add(goal.count_sumsq);
            }
        }
        totals
    }

    fn difference(&self, other: &Self, goals: &[GoalColumns]) -> Option<Difference> {
        if self.visitors != other.visitors {
            let (first, other) = (self.visitors.into(), other.visitors.into());
            return Some(Difference {
                what: "visitors".into(),
                first,
                other,
            });
        }
        let pairs = self.goals.iter().zip(&other.goals).zip(goals);
        pairs.into_iter().find_map(|((one, other), goal)| {
            if one.0 != other.0 {
                let what = format!("events of {}", goal.code);
                return Some(Difference {
                    what,
                    first: one.0.into(),
                    other: other.0.into(),
                });
            }
            (one.1 != other.1).then(|| Difference {
                what: format!("as {}_sumsq", goal.code),
                first: one.1,
                other: other.1,
            })
        })
    }
}
