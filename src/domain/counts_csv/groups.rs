//! Rows by agent and day, packed: a file of millions of rows is held in a fraction of its size,
//! whatever their order, and taken apart one agent's day at a time.
//!
//! A packed row is a run of variable-length integers: lines since the group's last row, key,
//! visitors; then per goal count and sum of squares and, where the goal has values, for each of
//! both the decimals and the mantissa.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use unsigned_varint::{decode, encode};

use super::super::agent_day::{
    AgentDay, Cell, CellKey, Day, Decimal, GoalCounts, GoalValues, VisitorTrait,
};
use super::super::integrity::MAX_COUNT;
use super::codes::Codes;
use super::numbers::Written;

/// Sums of squared counts in a file are at most this.
pub(super) const MAX_SUMSQ: u128 = MAX_COUNT as u128 * MAX_COUNT as u128;
/// |value| < 10^24, in units of 10^-12.
const VALUE_LIMIT: i128 = 1_000_000_000_000 * Decimal::ONE * Decimal::ONE;

/// The codes of a file, by column.
#[derive(Debug, Default)]
pub(super) struct AllCodes {
    pub(super) agents: Codes,
    pub(super) variations: Codes,
    pub(super) policies: Codes,
    pub(super) trait_groups: Codes,
    pub(super) trait_values: Codes,
}

/// Numbers of variation, policy and trait (group and value).
pub(super) type KeyNumbers = (u32, u32, Option<(u32, u32)>);

/// One row's numbers, packed.
#[derive(Debug, Default)]
pub(super) struct PackedRow(Vec<u8>);

impl PackedRow {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn push(&mut self, number: u64) {
        self.0
            .extend_from_slice(encode::u64(number, &mut encode::u64_buffer()));
    }

    pub(super) fn push_wide(&mut self, number: u128) {
        match u64::try_from(number) {
            Ok(small) => self.push(small),
            Err(_) => self
                .0
                .extend_from_slice(encode::u128(number, &mut encode::u128_buffer())),
        }
    }

    pub(super) fn push_value(&mut self, value: Written) {
        self.0.push(value.decimals.cast_unsigned());
        // The sign goes last, so that small numbers of either sign are short.
        self.push_wide(((value.mantissa << 1) ^ (value.mantissa >> 127)).cast_unsigned());
    }
}

/// The rows of one agent's day.
#[derive(Debug, Default)]
struct PackedDay {
    bytes: Vec<u8>,
    last_line: u64,
}

#[derive(Debug, Default)]
pub(super) struct Groups {
    days: IndexMap<(u32, Day), PackedDay>,
    keys: IndexSet<KeyNumbers>,
    last_day: usize,
    last_key: usize,
}

impl Groups {
    pub(super) fn push(
        &mut self,
        agent: u32,
        day: Day,
        line: u64,
        key: KeyNumbers,
        row: &PackedRow,
    ) {
        if self
            .days
            .get_index(self.last_day)
            .is_none_or(|(last, _)| *last != (agent, day))
        {
            let entry = self.days.entry((agent, day));
            self.last_day = entry.index();
            entry.or_default();
        }
        if self
            .keys
            .get_index(self.last_key)
            .is_none_or(|last| *last != key)
        {
            self.last_key = self.keys.insert_full(key).0;
        }
        let packed = &mut self.days[self.last_day];
        let room = row.0.len() + 2 * 10;
        if packed.bytes.capacity() - packed.bytes.len() < room {
            // Doubling would leave a quarter of all memory unused.
            packed.bytes.reserve_exact(room.max(packed.bytes.len() / 4));
        }
        let lines = line - packed.last_line;
        packed.last_line = line;
        packed
            .bytes
            .extend_from_slice(encode::u64(lines, &mut encode::u64_buffer()));
        let key = self.last_key as u64;
        packed
            .bytes
            .extend_from_slice(encode::u64(key, &mut encode::u64_buffer()));
        packed.bytes.extend_from_slice(&row.0);
    }

    /// Gives the memory back.
    pub(super) fn clear(&mut self) {
        if !self.days.is_empty() {
            *self = Self::default();
        }
    }

    /// Nothing more comes: agent days in order.
    pub(super) fn sort(self, codes: &AllCodes, goals: Goals) -> SortedGroups {
        let keys: Vec<CellKey> = self.keys.iter().map(|key| cell_key(*key, codes)).collect();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_unstable_by(|one, other| keys[*one].cmp(&keys[*other]));
        let mut ranks = vec![0; keys.len()];
        for (rank, key) in order.into_iter().enumerate() {
            ranks[key] = rank;
        }
        let mut days: Vec<(Arc<str>, Day, Vec<u8>)> = self
            .days
            .into_iter()
            .map(|((agent, day), packed)| (codes.agents.get(agent).clone(), day, packed.bytes))
            .collect();
        days.sort_unstable_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
        SortedGroups {
            days,
            keys,
            ranks,
            goals,
        }
    }
}

fn cell_key((variation, policy, visitor_trait): KeyNumbers, codes: &AllCodes) -> CellKey {
    CellKey {
        variation: codes.variations.get(variation).clone(),
        policy: codes.policies.get(policy).clone(),
        visitor_trait: visitor_trait.map(|(group, value)| VisitorTrait {
            group: codes.trait_groups.get(group).clone(),
            value: codes.trait_values.get(value).clone(),
        }),
    }
}

/// The goals that the file holds.
#[derive(Debug, Clone)]
pub(super) struct Goals {
    pub(super) codes: Arc<[Arc<str>]>,
    /// Whether each has values.
    pub(super) valued: Vec<bool>,
}

/// All rows of a file, in order of agent and day.
#[derive(Debug)]
pub(super) struct SortedGroups {
    pub(super) days: Vec<(Arc<str>, Day, Vec<u8>)>,
    pub(super) keys: Vec<CellKey>,
    /// The place of each key in their order.
    ranks: Vec<usize>,
    goals: Goals,
}

/// One row, or several of one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) line: u64,
    /// Index into [`SortedGroups::keys`].
    pub(super) key: usize,
    pub(super) visitors: u64,
    /// Index of its first goal in `DayCells::goals`.
    first_goal: usize,
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
    goals: Vec<GoalCounts>,
    goals_per_row: usize,
}

impl DayCells {
    pub(super) fn goals(&self, row: &Row) -> &[GoalCounts] {
        &self.goals[row.first_goal..row.first_goal + self.goals_per_row]
    }
}

impl SortedGroups {
    /// Takes the agent day at `index` apart: rows sorted by key, those of one key added up.
    pub(super) fn unpack(&self, index: usize, into: &mut DayCells) {
        self.unpack_bytes(&self.days[index].2, into);
    }

    fn unpack_bytes(&self, bytes: &[u8], into: &mut DayCells) {
        into.cells.clear();
        into.goals.clear();
        into.duplicates.clear();
        into.goals_per_row = self.goals.valued.len();
        let mut packed = Packed(bytes);
        let mut line = 0;
        while !packed.0.is_empty() {
            line += packed.number();
            let key = usize::try_from(packed.number()).unwrap_or(usize::MAX);
            let visitors = packed.number();
            let first_goal = into.goals.len();
            for valued in &self.goals.valued {
                into.goals.push(GoalCounts {
                    count: packed.number(),
                    count_sumsq: packed.wide(),
                    values: valued.then(|| GoalValues {
                        sum: packed.value(),
                        sumsq: packed.value(),
                    }),
                });
            }
            into.cells.push(Row {
                line,
                key,
                visitors,
                first_goal,
            });
        }
        // Stable: rows of one key stay in order of line.
        into.cells.sort_by_key(|row| self.ranks[row.key]);
        add_up(into);
    }

    fn agent_day(&self, agent: Arc<str>, day: Day, bytes: &[u8], cells: &mut DayCells) -> AgentDay {
        self.unpack_bytes(bytes, cells);
        let cells = cells
            .cells
            .iter()
            .map(|row| Cell {
                key: self.keys[row.key].clone(),
                visitors: row.visitors,
                goals: cells.goals(row).to_vec(),
            })
            .collect();
        AgentDay {
            agent,
            day,
            goals: self.goals.codes.clone(),
            cells,
        }
    }

    /// Each agent day in turn; its packed rows are freed with it.
    pub(super) fn into_agent_days(mut self) -> impl Iterator<Item = AgentDay> + Send {
        let mut cells = DayCells::default();
        std::mem::take(&mut self.days)
            .into_iter()
            .map(move |(agent, day, bytes)| self.agent_day(agent, day, &bytes, &mut cells))
    }
}

/// Adds rows of one key, which stand together, to the first of them.
fn add_up(day: &mut DayCells) {
    let (goals, width, duplicates) = (&mut day.goals, day.goals_per_row, &mut day.duplicates);
    day.cells.dedup_by(|row, first| {
        if row.key != first.key {
            return false;
        }
        let mut exceeds = false;
        first.visitors += row.visitors;
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

/// False where the sum exceeds the limits; a number that has left them may be cut short.
fn add(sum: &mut GoalCounts, more: GoalCounts) -> bool {
    sum.count = sum.count.saturating_add(more.count);
    sum.count_sumsq = sum.count_sumsq.saturating_add(more.count_sumsq);
    let mut within = sum.count <= MAX_COUNT && sum.count_sumsq <= MAX_SUMSQ;
    if let (Some(values), Some(more)) = (&mut sum.values, more.values) {
        within &= add_decimal(&mut values.sum, more.sum);
        within &= add_decimal(&mut values.sumsq, more.sumsq);
    }
    within
}

fn add_decimal(sum: &mut Decimal, more: Decimal) -> bool {
    let Some(added) = sum.checked_add(more) else {
        return false;
    };
    *sum = added;
    added.units.abs() < VALUE_LIMIT
}

/// Reads what [`PackedRow`] and [`Groups::push`] wrote.
struct Packed<'a>(&'a [u8]);

impl Packed<'_> {
    fn number(&mut self) -> u64 {
        let (number, rest) = decode::u64(self.0).expect("rows are packed by this module alone");
        self.0 = rest;
        number
    }

    fn wide(&mut self) -> u128 {
        let (number, rest) = decode::u128(self.0).expect("rows are packed by this module alone");
        self.0 = rest;
        number
    }

    fn value(&mut self) -> Decimal {
        let (decimals, rest) = self
            .0
            .split_first()
            .expect("rows are packed by this module alone");
        self.0 = rest;
        let folded = self.wide();
        let mantissa = (folded >> 1).cast_signed() ^ -((folded & 1).cast_signed());
        Written::decimal(mantissa, decimals.cast_signed())
    }
}
