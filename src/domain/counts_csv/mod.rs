//! CSV bytes -> agent days, with limits, and findings that say where.
//!
//! In reading order: `sniff` (is it a CSV at all), `header` and `near_miss`, `chunks` (cut at ends of
//! records), `rows` (one chunk read: `quick` for plain rows, else `records`, with `dates`, `numbers`,
//! `number_hints`, `codes` and `keys`; `told` has the words), `packed` (a row in few bytes), `sorting`
//! (chunks put together by agent and day, in `room`, else in `spill`), `merge`, `day` (rows
//! unpacked), `batch` and `review` (what all rows together say), `notes` (findings, counted).
//! `reader` and `sorted` take a file through all of it, on several threads by `in_order`; `write` is
//! the way back.

mod batch;
mod chunks;
mod codes;
mod dates;
mod day;
mod header;
mod in_order;
mod keys;
mod merge;
mod near_miss;
mod notes;
mod number_hints;
mod numbers;
mod packed;
mod quick;
mod reader;
mod records;
mod rejected;
mod review;
mod room;
mod rows;
mod sniff;
mod sorted;
mod sorting;
mod spill;
#[cfg(test)]
mod tests;
mod told;
pub mod write;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::agent_day::{AgentDay, Day};
use super::data_source::{Dating, Goal, OnIntegrityProblem};
use super::finding::{Finding, FindingKind};
pub use day::FileDay;
pub use reader::FileReader;
pub use room::Means;
pub use sorted::FileDays;

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
        Self {
            record_bytes: 1 << 20,
            columns: 10_000,
            findings: 100,
        }
    }
}

/// Takes a small file in chunks of any size, on the caller's thread and wholly in memory.
/// [`FileReader`] is for files of any size.
#[derive(Debug)]
pub struct Reader(FileReader);

impl Reader {
    #[must_use]
    pub fn new(spec: CsvSpec, limits: Limits) -> Self {
        let means = Means {
            workers: 1,
            ..Means::new(usize::MAX, PathBuf::new())
        };
        Self(FileReader::new(spec, limits, means))
    }

    /// Takes the next bytes of the file (decompressed).
    ///
    /// # Errors
    /// As [`FileReader::feed`].
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Rejected> {
        self.0.feed(chunk).map_err(refused)
    }

    /// # Errors
    /// As [`FileReader::finish`].
    pub fn finish(self) -> Result<Parsed, Rejected> {
        let Reviewed { summary, days } = self.0.finish().map_err(refused)?;
        let agent_days = days
            .map(|| (), |(), day| day.to_agent_day())
            .map(|day| day.expect("nothing of it is on disk"));
        Ok(Parsed {
            summary,
            agent_days: Box::new(agent_days),
        })
    }
}

fn refused(unread: Unread) -> Rejected {
    match unread {
        Unread::Rejected(rejected) => rejected,
        Unread::Spilled(error) => unreachable!("there is room for everything, but {error}"),
    }
}

/// A file that may be imported, read on several threads and in bounded memory.
#[derive(Debug)]
pub struct Reviewed {
    pub summary: Summary,
    pub days: FileDays,
}

/// Why a file could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unread {
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error(transparent)]
    Spilled(#[from] Spilled),
}

/// Rows that did not fit into memory could not be put on disk, or read back.
#[derive(Debug, Clone, thiserror::Error)]
#[error("rows cannot be kept in temporary files in {}", folder.display())]
pub struct Spilled {
    pub folder: PathBuf,
    #[source]
    pub error: Arc<std::io::Error>,
}

fn structure(code: &'static str, message: impl Into<String>) -> Finding {
    Finding::new(FindingKind::Structure, code, message)
}

/// A file that may be imported.
pub struct Parsed {
    pub summary: Summary,
    /// In order of agent and day, each once.
    pub agent_days: Box<dyn Iterator<Item = AgentDay> + Send>,
}

impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parsed")
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
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
    /// Findings that do not reject: one per kind and column with its first line, the gravest kind
    /// first and then by line.
    pub findings: Vec<Finding>,
    /// Every occurrence of every finding.
    pub total_findings: u64,
}

/// A file that changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    /// The first problems, by line.
    pub findings: Vec<Finding>,
    pub total: u64,
}
