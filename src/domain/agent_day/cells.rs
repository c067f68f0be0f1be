//! [`Cells`]: a day's cells column by column, since a report looks at tens of thousands of them.

use std::ops::Range;
use std::sync::Arc;

use super::{CellKey, GoalCounts};

/// One combination of variation, policy and trait, on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub key: CellKey,
    /// Visitors exposed, at most 1e15.
    pub visitors: u64,
    /// Parallel to [`AgentDay::goals`](super::AgentDay::goals).
    pub goals: Vec<GoalCounts>,
}

/// The same, where it lies among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellView<'a> {
    pub key: &'a CellKey,
    /// Visitors exposed, at most 1e15.
    pub visitors: u64,
    /// Parallel to [`AgentDay::goals`](super::AgentDay::goals).
    pub goals: &'a [GoalCounts],
}

impl CellView<'_> {
    #[must_use]
    pub fn to_cell(self) -> Cell {
        Cell {
            key: self.key.clone(),
            visitors: self.visitors,
            goals: self.goals.to_vec(),
        }
    }
}

/// All cells of a day. Days of one agent mostly have the same keys, and then share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    keys: Arc<[CellKey]>,
    visitors: Vec<u64>,
    /// How many goals each cell has.
    width: usize,
    /// Cell by cell.
    counts: Vec<GoalCounts>,
}

impl Cells {
    /// Visitors are parallel to the keys; `counts` holds, cell by cell, those of `goals` goals.
    ///
    /// # Panics
    /// Where the lengths do not fit together.
    #[must_use]
    pub fn of_columns(
        keys: Arc<[CellKey]>,
        visitors: Vec<u64>,
        goals: usize,
        counts: Vec<GoalCounts>,
    ) -> Self {
        assert_eq!(keys.len(), visitors.len(), "a number of visitors each");
        assert_eq!(keys.len() * goals, counts.len(), "counts of each goal");
        Self {
            width: if keys.is_empty() { 0 } else { goals },
            keys,
            visitors,
            counts,
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.visitors.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.visitors.is_empty()
    }

    #[must_use]
    pub fn keys(&self) -> &Arc<[CellKey]> {
        &self.keys
    }

    #[must_use]
    pub fn visitors(&self) -> &[u64] {
        &self.visitors
    }

    /// # Panics
    /// Beyond the last.
    #[must_use]
    #[inline]
    pub fn cell(&self, index: usize) -> CellView<'_> {
        CellView {
            key: &self.keys[index],
            visitors: self.visitors[index],
            goals: &self.counts[index * self.width..(index + 1) * self.width],
        }
    }

    /// # Panics
    /// Beyond the last.
    pub fn range(&self, places: Range<usize>) -> impl Iterator<Item = CellView<'_>> {
        places.map(|place| self.cell(place))
    }

    pub fn iter(&self) -> impl Iterator<Item = CellView<'_>> {
        self.range(0..self.len())
    }

    /// Each on its own.
    #[must_use]
    pub fn to_cells(&self) -> Vec<Cell> {
        self.iter().map(CellView::to_cell).collect()
    }
}

/// # Panics
/// Where they have different numbers of goals.
impl FromIterator<Cell> for Cells {
    fn from_iter<I: IntoIterator<Item = Cell>>(cells: I) -> Self {
        let (mut keys, mut visitors, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let mut width = 0;
        for cell in cells {
            width = cell.goals.len();
            keys.push(cell.key);
            visitors.push(cell.visitors);
            counts.extend(cell.goals);
        }
        Self::of_columns(keys.into(), visitors, width, counts)
    }
}

impl From<Vec<Cell>> for Cells {
    fn from(cells: Vec<Cell>) -> Self {
        cells.into_iter().collect()
    }
}
