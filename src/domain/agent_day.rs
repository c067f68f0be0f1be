//! [`AgentDay`] and [`Cells`]: the unit that a fetch replaces, and so the unit that is stored.

mod cells;

use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use self::cells::{Cell, CellView, Cells};

/// A UTC day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub i32);

impl Day {
    /// The first day that a calendar here can name, 0001-01-01.
    pub const MIN: Self = Self(-719_162);
    /// The last one, 9999-12-31.
    pub const MAX: Self = Self(2_932_896);

    /// The UTC day in which `seconds` since 1970 lie.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        let day = i32::try_from(seconds.div_euclid(86_400)).ok()?;
        (Self::MIN.0..=Self::MAX.0)
            .contains(&day)
            .then_some(Self(day))
    }

    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        i64::from(self.0) * 86_400
    }

    /// None outside of [`Day::MIN`] to [`Day::MAX`].
    #[must_use]
    pub fn date(self) -> Option<Date> {
        let epoch = Date::constant(1970, 1, 1);
        epoch
            .checked_add(jiff::Span::new().try_days(self.0).ok()?)
            .ok()
    }

    #[must_use]
    pub fn from_date(date: Date) -> Option<Self> {
        let days = date.since(Date::constant(1970, 1, 1)).ok()?.get_days();
        Some(Self(days))
    }
}

/// ISO 8601: `2024-03-18`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.date() {
            Some(date) => date.fmt(f),
            None => write!(f, "day {}", self.0),
        }
    }
}

impl Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let date = Date::deserialize(deserializer)?;
        Self::from_date(date).ok_or_else(|| serde::de::Error::custom("day out of range"))
    }
}

/// All that a file says about one agent on one day. Codes are shared: a file repeats few of them
/// many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentDay {
    pub agent: Arc<str>,
    pub day: Day,
    /// Goal codes in the order of each cell's `goals`; a goal that the file lacked is not in it
    /// (absent, not zero).
    pub goals: Arc<[Arc<str>]>,
    /// Sorted by [`CellKey`], each key once.
    pub cells: Cells,
}

impl AgentDay {
    /// # Panics
    /// Beyond the last.
    #[must_use]
    #[inline]
    pub fn cell(&self, index: usize) -> CellView<'_> {
        self.cells.cell(index)
    }
}

/// An agent's day column by column, as it is written: of all that holds one.
pub trait DayColumns {
    /// Goal codes; the `goal` of the other methods is an index of these.
    fn goals(&self) -> &Arc<[Arc<str>]>;

    /// How many cells there are, in order of key.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn key(&self, cell: usize) -> &CellKey;

    fn visitors(&self, cell: usize) -> u64;

    /// Events, and the sum of their squares.
    fn counts(&self, cell: usize, goal: usize) -> (u64, u128);

    /// Value and its sum of squares; None where the goal has none.
    fn values(&self, cell: usize, goal: usize) -> Option<[Digits; 2]>;
}

impl DayColumns for AgentDay {
    fn goals(&self) -> &Arc<[Arc<str>]> {
        &self.goals
    }

    fn len(&self) -> usize {
        self.cells.len()
    }

    fn key(&self, cell: usize) -> &CellKey {
        self.cell(cell).key
    }

    fn visitors(&self, cell: usize) -> u64 {
        self.cell(cell).visitors
    }

    fn counts(&self, cell: usize, goal: usize) -> (u64, u128) {
        let counts = &self.cell(cell).goals[goal];
        (counts.count, counts.count_sumsq)
    }

    fn values(&self, cell: usize, goal: usize) -> Option<[Digits; 2]> {
        let values = self.cell(cell).goals[goal].values?;
        Some([values.sum.digits(), values.sumsq.digits()])
    }
}

/// A decimal in the fewest digits that keep its precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits {
    /// In units of 10^-`decimals`; where it is raw, in units of 1e-12.
    pub number: i128,
    pub decimals: i8,
    /// It is no multiple of its last written digit.
    pub is_raw: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellKey {
    pub variation: Arc<str>,
    /// `r` where the file says nothing.
    pub policy: Arc<str>,
    /// None: the row is about all visitors.
    pub visitor_trait: Option<VisitorTrait>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VisitorTrait {
    pub group: Arc<str>,
    pub value: Arc<str>,
}

/// One goal's sums over the visitors of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GoalCounts {
    /// Events, at most 1e15.
    pub count: u64,
    /// Sum over visitors of the squared number of events, at most 1e30.
    pub count_sumsq: u128,
    /// None where the goal has no value columns: each event is worth 1.
    pub values: Option<GoalValues>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GoalValues {
    pub sum: Decimal,
    /// Sum over visitors of the squared value.
    pub sumsq: Decimal,
}

/// All powers of ten that 128 bits hold.
const UNITS: [i128; 39] = {
    let mut units = [1; 39];
    let mut power = 1;
    while power < units.len() {
        units[power] = units[power - 1] * 10;
        power += 1;
    }
    units
};

/// An exact decimal, |value| < 1e24, in units of 1e-12, with the precision it was written in.
///
/// Packed: a report holds tens of thousands of them, a quarter of which would be padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, packed(8))]
pub struct Decimal {
    /// Units of 1e-12.
    pub units: i128,
    /// Digits after the point as written, up to 12; negative where the last written digit stands
    /// left of the point (`15e4`: -4). One unit of the last written digit is 10^-decimals.
    pub decimals: i8,
}

impl Decimal {
    /// Units of 1e-12 in 1.
    pub const ONE: i128 = 1_000_000_000_000;

    /// Exact sum, as precise as the coarser of the two; None beyond 128 bits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            units: self.units.checked_add(other.units)?,
            decimals: self.decimals.min(other.decimals),
        })
    }

    /// One unit of the last written digit, in units of 1e-12. None beyond 128 bits.
    #[must_use]
    pub fn last_digit(decimals: i8) -> Option<i128> {
        let power = usize::try_from(12 - i16::from(decimals)).ok()?;
        UNITS.get(power).copied()
    }

    #[must_use]
    pub fn digits(self) -> Digits {
        let unit = Self::last_digit(self.decimals).filter(|unit| self.units % unit == 0);
        Digits {
            number: unit.map_or(self.units, |unit| self.units / unit),
            decimals: self.decimals,
            is_raw: unit.is_none(),
        }
    }

    /// The nearest double.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a double is what is asked for")]
    pub fn to_f64(self) -> f64 {
        // Whole and fraction apart, so that 0.1 is the double nearest to 0.1.
        let whole = self.units / Self::ONE;
        let fraction = self.units % Self::ONE;
        whole as f64 + fraction as f64 / Self::ONE as f64
    }
}

impl From<u64> for Decimal {
    fn from(whole: u64) -> Self {
        Self {
            units: i128::from(whole) * Self::ONE,
            decimals: 0,
        }
    }
}
