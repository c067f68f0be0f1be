//! CSV bytes -> agent days, with limits, and findings that say where.

use super::agent_day::{AgentDay, Day};
use super::data_source::{Dating, Goal, OnIntegrityProblem};
use super::finding::Finding;

/// What the file is read as.
#[derive(Debug, Clone)]
pub struct CsvSpec {
    pub goals: Vec<Goal>,
    pub dating: Dating,
    pub on_integrity_problem: OnIntegrityProblem,
}

/// Limits on what a file may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub record_bytes: usize,
    pub columns: usize,
    /// Findings kept in words; all are counted.
    pub findings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { record_bytes: 1 << 20, columns: 10_000, findings: 100 }
    }
}

/// Takes a file in chunks of any size.
pub struct Reader {}

impl Reader {
    #[must_use]
    pub fn new(spec: CsvSpec, limits: Limits) -> Self {
        todo!()
    }

    /// Takes the next bytes of the file (decompressed).
    ///
    /// # Errors
    /// Only where reading on makes no sense (not a CSV, a header that lacks columns, a record
    /// beyond the limit); other problems are collected until [`Reader::finish`].
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Rejected> {
        todo!()
    }

    /// # Errors
    /// Structure problems, or broken "always" rules where the spec says Reject.
    pub fn finish(self) -> Result<Parsed, Rejected> {
        todo!()
    }
}

/// A file that may be imported.
pub struct Parsed {
    pub summary: Summary,
    /// In order of agent and day, each once.
    pub agent_days: Box<dyn Iterator<Item = AgentDay> + Send>,
}

#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Data rows.
    pub rows: u64,
    pub bytes: u64,
    /// All agent codes, in order.
    pub agents: Vec<String>,
    pub agent_days: u64,
    pub first_day: Option<Day>,
    pub last_day: Option<Day>,
    /// Findings that do not reject: the first ones by line, and how many there are.
    pub findings: Vec<Finding>,
    pub total_findings: u64,
}

/// A file that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The first problems, by line.
    pub findings: Vec<Finding>,
    pub total: u64,
}
