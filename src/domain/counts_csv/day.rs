//! One agent's day, its rows unpacked, sorted and added up where they are about the same visitors.

use std::sync::Arc;

use super::super::agent_day::{
    AgentDay, Cell, CellKey, Day, Decimal, Digits, GoalCounts, GoalValues,
};
use super::super::integrity::{MAX_COUNT, Quick};
use super::keys::SortedKeys;
use super::packed::{RowReader, Value, read_varint};
use super::rows::MAX_SUMSQ;
use super::sorting::PartKeys;

/// |value| < 10^24, in units of 10^-12.
const VALUE_LIMIT: i128 = 1_000_000_000_000 * Decimal::ONE * Decimal::ONE;

/// What all rows of a file need to be unpacked.
#[derive(Debug)]
pub(super) struct Unpacking {
    pub(super) parts: Vec<PartKeys>,
    pub(super) keys: SortedKeys,
    /// The place of each key (by number) in their order.
    pub(super) places: Vec<u32>,
    pub(super) goals: Arc<[Arc<str>]>,
    /// Whether each goal has values.
    pub(super) valued: Vec<bool>,
}

/// One row, or several of one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) line: u64,
    /// Index into [`SortedKeys::keys`].
    pub(super) key: u32,
    pub(super) visitors: u64,
    /// Index of its first goal in `DayCells::goals`.
    first_goal: usize,
}

/// One goal's numbers in one row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) count: u64,
    pub(super) count_sumsq: u128,
    /// Both 0 where the goal has no values.
    pub(super) sum: Value,
    pub(super) sumsq: Value,
}

impl Counts {
    /// As the rules take them.
    pub(super) fn exact(&self, valued: bool) -> GoalCounts {
        GoalCounts {
            count: self.count,
            count_sumsq: self.count_sumsq,
            values: valued.then(|| GoalValues {
                sum: self.sum.into(),
                sumsq: self.sumsq.into(),
            }),
        }
    }

    /// As the rules take them in a hurry; None where the numbers are large.
    #[inline]
    pub(super) fn quick(&self, valued: bool) -> Option<Quick> {
        Some(Quick {
            count: self.count,
            count_sumsq: u64::try_from(self.count_sumsq).ok()?,
            values: if valued {
                Some((self.sum.quick()?, self.sumsq.quick()?))
            } else {
                None
            },
        })
    }
}

/// Two rows of one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Duplicate {
    pub(super) first_line: u64,
    pub(super) line: u64,
    /// Their sum exceeds what a single row may say.
    pub(super) exceeds: bool,
}

/// One agent's day, taken apart; used again for the next one.
#[derive(Debug, Default)]
pub(super) struct DayCells {
    /// In order of key, each once.
    pub(super) cells: Vec<Row>,
    pub(super) duplicates: Vec<Duplicate>,
    goals: Vec<Counts>,
    goals_per_row: usize,
}

impl DayCells {
    pub(super) fn goals(&self, row: &Row) -> &[Counts] {
        &self.goals[row.first_goal..row.first_goal + self.goals_per_row]
    }

    /// Takes rows apart: sorted by key, those of one key added up. Beyond `end` some bytes follow.
    pub(super) fn unpack(&mut self, of: &Unpacking, bytes: &[u8], start: usize, end: usize) {
        self.cells.clear();
        self.goals.clear();
        self.duplicates.clear();
        self.goals_per_row = of.valued.len();
        let valued = of.valued.iter().filter(|valued| **valued).count();
        let numbers = 1 + 2 * of.valued.len() + 2 * valued;
        let mut at = start;
        while at < end {
            let part = read_varint(bytes, &mut at);
            let length = read_varint(bytes, &mut at);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let part = &of.parts[usize::try_from(part).unwrap_or(usize::MAX)];
            let mut rows = RowReader::new(bytes, at, at + length);
            while !rows.is_at_end() {
                self.unpack_row(of, part, &mut rows, numbers);
            }
            at += length;
        }
        if !self.cells.is_sorted_by_key(|row| row.key) {
            // Stable: rows of one key stay in order of line.
            self.cells.sort_by_key(|row| row.key);
        }
        self.add_up();
    }

    #[inline]
    fn unpack_row(
        &mut self,
        of: &Unpacking,
        part: &PartKeys,
        row: &mut RowReader<'_>,
        numbers: usize,
    ) {
        let (line, key) = row.begin(numbers);
        let cell = Row {
            line: part.first_line + line,
            key: of.places[part.keys[key] as usize],
            visitors: row.number(),
            first_goal: self.goals.len(),
        };
        for valued in &of.valued {
            let (count, count_sumsq) = (row.number(), row.whole());
            let (sum, sumsq) = if *valued {
                (row.value(), row.value())
            } else {
                (Value::default(), Value::default())
            };
            self.goals.push(Counts {
                count,
                count_sumsq,
                sum,
                sumsq,
            });
        }
        self.cells.push(cell);
    }

    /// Adds rows of one key, which stand together, to the first of them.
    fn add_up(&mut self) {
        let (goals, width, duplicates) =
            (&mut self.goals, self.goals_per_row, &mut self.duplicates);
        self.cells.dedup_by(|row, first| {
            if row.key != first.key {
                return false;
            }
            let mut exceeds = false;
            first.visitors = first.visitors.saturating_add(row.visitors);
            exceeds |= first.visitors > MAX_COUNT;
            for goal in 0..width {
                let more = goals[row.first_goal + goal];
                exceeds |= !add(&mut goals[first.first_goal + goal], more);
            }
            duplicates.push(Duplicate {
                first_line: first.line,
                line: row.line,
                exceeds,
            });
            true
        });
    }
}

/// False where the sum exceeds the limits; a number that has left them may be cut short.
fn add(sum: &mut Counts, more: Counts) -> bool {
    sum.count = sum.count.saturating_add(more.count);
    sum.count_sumsq = sum.count_sumsq.saturating_add(more.count_sumsq);
    let mut within = sum.count <= MAX_COUNT && sum.count_sumsq <= MAX_SUMSQ;
    within &= add_value(&mut sum.sum, more.sum);
    within &= add_value(&mut sum.sumsq, more.sumsq);
    within
}

fn add_value(sum: &mut Value, more: Value) -> bool {
    let Some(added) = Decimal::from(*sum).checked_add(more.into()) else {
        return false;
    };
    *sum = added.into();
    added.units.abs() < VALUE_LIMIT
}

/// What a file says about one agent on one day.
#[derive(Debug, Clone, Copy)]
pub struct FileDay<'a> {
    pub(super) agent: &'a Arc<str>,
    pub(super) day: Day,
    pub(super) of: &'a Unpacking,
    pub(super) cells: &'a DayCells,
}

impl<'a> FileDay<'a> {
    #[must_use]
    pub fn agent(&self) -> &'a Arc<str> {
        self.agent
    }

    #[must_use]
    pub fn day(&self) -> Day {
        self.day
    }

    /// As it is kept in memory.
    #[must_use]
    pub fn to_agent_day(&self) -> AgentDay {
        let goals = |row: &Row| {
            let counts = self.cells.goals(row).iter().zip(&self.of.valued);
            counts
                .map(|(counts, valued)| counts.exact(*valued))
                .collect()
        };
        let cell = |row: &Row| Cell {
            key: self.of.keys.keys[row.key as usize].clone(),
            visitors: row.visitors,
            goals: goals(row),
        };
        AgentDay {
            agent: Arc::clone(self.agent),
            day: self.day,
            goals: Arc::clone(&self.of.goals),
            cells: self.cells.cells.iter().map(cell).collect(),
        }
    }
}

impl Value {
    /// Whether it is exactly this number.
    pub(super) fn is_whole(self, number: u64) -> bool {
        Decimal::from(self).units == i128::from(number) * Decimal::ONE
    }

    /// As a double; None where the number is large.
    #[inline]
    fn quick(self) -> Option<f64> {
        let mantissa = i64::try_from(self.mantissa).ok()?;
        let scale = usize::try_from(self.scale).ok()?;
        #[allow(clippy::cast_precision_loss, reason = "a double is what is asked for")]
        Some(mantissa as f64 * *TENTHS.get(scale)?)
    }

    /// As a block has it.
    #[inline]
    fn digits(self) -> Digits {
        if self.scale == self.decimals {
            Digits {
                number: self.mantissa,
                decimals: self.decimals,
                is_raw: false,
            }
        } else {
            Decimal::from(self).digits()
        }
    }
}

/// Negative powers of ten, down to 10^-12.
const TENTHS: [f64; 13] = [
    1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12,
];

impl super::super::agent_day::DayColumns for FileDay<'_> {
    fn goals(&self) -> &Arc<[Arc<str>]> {
        &self.of.goals
    }

    fn len(&self) -> usize {
        self.cells.cells.len()
    }

    fn key(&self, cell: usize) -> &CellKey {
        &self.of.keys.keys[self.cells.cells[cell].key as usize]
    }

    fn visitors(&self, cell: usize) -> u64 {
        self.cells.cells[cell].visitors
    }

    fn counts(&self, cell: usize, goal: usize) -> (u64, u128) {
        let counts = &self.cells.goals(&self.cells.cells[cell])[goal];
        (counts.count, counts.count_sumsq)
    }

    fn values(&self, cell: usize, goal: usize) -> Option<[Digits; 2]> {
        let counts = &self.cells.goals(&self.cells.cells[cell])[goal];
        self.of.valued[goal].then(|| [counts.sum.digits(), counts.sumsq.digits()])
    }
}
