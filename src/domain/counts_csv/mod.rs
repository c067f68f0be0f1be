//! CSV bytes -> agent days, with limits, and findings that say where.
//!
//! In reading order: `sniff` (is it a CSV at all), `records` (csv-core, and lines), `header` and
//! `near_miss`, `rows` with `dates`, `numbers`, `number_hints` and `codes`, `groups` (rows packed by
//! agent and day), `review` (what all rows together say), `notes` (findings, counted); `write` is the
//! way back.

mod codes;
mod dates;
mod groups;
mod header;
mod near_miss;
mod notes;
mod number_hints;
mod numbers;
mod records;
mod rejected;
mod review;
mod rows;
mod sniff;
pub mod write;

use std::fmt;

use super::agent_day::{AgentDay, Day};
use super::data_source::{Dating, Goal, OnIntegrityProblem};
use super::finding::{Finding, FindingKind, grouped};
use groups::Goals;
use notes::{Notes, Problems};
use records::{Records, Rest, Step};
use rows::Rows;

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

/// Takes a file in chunks of any size.
pub struct Reader {
    spec: CsvSpec,
    limits: Limits,
    bytes: u64,
    /// The file's first bytes, until there are enough to tell what it is.
    head: Option<Vec<u8>>,
    records: Records,
    /// None until the header is read.
    rows: Option<Rows>,
    rejected: Option<Rejected>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("bytes", &self.bytes)
            .field("rejected", &self.rejected)
            .finish_non_exhaustive()
    }
}

impl Reader {
    #[must_use]
    pub fn new(spec: CsvSpec, limits: Limits) -> Self {
        Self {
            spec,
            limits,
            bytes: 0,
            head: Some(Vec::new()),
            records: Records::new(limits.record_bytes),
            rows: None,
            rejected: None,
        }
    }

    /// Takes the next bytes of the file (decompressed).
    ///
    /// # Errors
    /// Only where reading on makes no sense (not a CSV, a header that lacks columns, a record
    /// beyond the limit); other problems are collected until [`Reader::finish`]. Once refused, a
    /// file stays refused.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Rejected> {
        if let Some(rejected) = &self.rejected {
            return Err(rejected.clone());
        }
        self.bytes += chunk.len() as u64;
        let result = match self.head.take() {
            None => self.read(chunk),
            Some(mut head) => {
                head.extend_from_slice(chunk);
                if head.len() < sniff::HEAD_BYTES {
                    self.head = Some(head);
                    return Ok(());
                }
                self.begin(&head, false)
            }
        };
        result.inspect_err(|rejected| {
            self.rejected = Some(rejected.clone());
            self.rows = None;
        })
    }

    /// # Errors
    /// Structure problems, or broken "always" rules where the spec says Reject.
    pub fn finish(mut self) -> Result<Parsed, Rejected> {
        if let Some(rejected) = self.rejected {
            return Err(rejected);
        }
        if let Some(head) = self.head.take() {
            self.begin(&head, true)?;
        }
        self.read_rest()?;
        let Some(rows) = self.rows else {
            return Err(sniff::problem(b"", true).map_or_else(Rejected::default, Rejected::one));
        };
        finish(rows, &self.spec, &self.limits, self.bytes)
    }

    fn begin(&mut self, head: &[u8], whole: bool) -> Result<(), Rejected> {
        match sniff::problem(&head[..head.len().min(sniff::HEAD_BYTES)], whole) {
            Some(problem) => Err(Rejected::one(problem)),
            None => self.read(head),
        }
    }

    fn read(&mut self, mut input: &[u8]) -> Result<(), Rejected> {
        loop {
            match self.records.next(&mut input) {
                Step::NeedMore => return Ok(()),
                Step::Record(record) => match &mut self.rows {
                    Some(rows) => rows.take(record),
                    None => self.rows = Some(begin_rows(record, &self.spec, &self.limits)?),
                },
                Step::TooLong { line, through_line } => {
                    return Err(self.too_long(line, through_line));
                }
            }
        }
    }

    fn too_long(&mut self, line: u64, through_line: u64) -> Rejected {
        let problem = too_long(line, through_line, self.limits.record_bytes);
        Rejected::after(self.rows.take(), problem)
    }

    /// The last record, where no newline ends it.
    fn read_rest(&mut self) -> Result<(), Rejected> {
        match self.records.finish() {
            Rest::Nothing => Ok(()),
            Rest::TooLong { line, through_line } => Err(self.too_long(line, through_line)),
            Rest::Record(record) => {
                match &mut self.rows {
                    Some(rows) => rows.take(record),
                    None => self.rows = Some(begin_rows(record, &self.spec, &self.limits)?),
                }
                Ok(())
            }
            Rest::UnclosedQuote { line, column } => {
                let problem = structure("UnclosedQuote", "a quote is opened and never closed")
                    .line(line)
                    .hint(
                        "close it, or double each quote that belongs to the text (\"\"); where \
                         the quote stands in the last line, the file may have been cut short",
                    );
                let name = self
                    .rows
                    .as_ref()
                    .and_then(|rows| rows.columns.names.get(column));
                let problem = match name {
                    Some(name) => problem.column(name),
                    None => problem,
                };
                Err(Rejected::after(self.rows.take(), problem))
            }
        }
    }
}

fn structure(code: &'static str, message: impl Into<String>) -> Finding {
    Finding::new(FindingKind::Structure, code, message)
}

fn begin_rows(
    header: records::Record<'_>,
    spec: &CsvSpec,
    limits: &Limits,
) -> Result<Rows, Rejected> {
    let (columns, found) = header::read(header, spec, limits).map_err(|mut findings| {
        let total = findings.len() as u64;
        findings.truncate(limits.findings);
        Rejected { findings, total }
    })?;
    let mut notes = Notes::default();
    for (place, note) in found.into_iter().enumerate() {
        notes.add(note.code, place, note.line, || note);
    }
    Ok(Rows::new(columns, Problems::new(limits.findings), notes))
}

fn too_long(line: u64, through_line: u64, limit: usize) -> Finding {
    let message = format!("a row longer than {} bytes", grouped(limit as u64));
    let hint = if through_line > line {
        "a quote that is opened and never closed swallows the lines after it: close it, or double \
         each quote that belongs to the text (\"\")"
    } else {
        "a row is some hundred bytes: check that the file's lines end with newlines"
    };
    structure("RecordTooLong", message).line(line).hint(hint)
}

fn finish(mut rows: Rows, spec: &CsvSpec, limits: &Limits, bytes: u64) -> Result<Parsed, Rejected> {
    if rows.count == 0 {
        let problem = structure("HeaderOnly", "the file has a header and no rows").hint(
            "write one row for each day, agent and variation; an export without rows has often \
             failed or has asked for the wrong days",
        );
        return Err(Rejected::one(problem));
    }
    rows.told.reject_problems()?;
    let goals = Goals {
        codes: rows
            .columns
            .goals
            .iter()
            .map(|goal| goal.code.clone())
            .collect(),
        valued: rows
            .columns
            .goals
            .iter()
            .map(|goal| goal.values.is_some())
            .collect(),
    };
    let groups = rows.groups.sort(&rows.codes, goals);
    review::review(&groups, &rows.columns, spec.dating, &mut rows.told);
    rows.told.reject_problems()?;
    review::review_codes(&rows.codes, &rows.columns, &mut rows.told);
    rows.told.note_midnights(&rows.midnights, &rows.columns);
    if spec.on_integrity_problem == OnIntegrityProblem::Reject
        && rows.told.notes.times(FindingKind::Always) > 0
    {
        let always = |kind| kind == FindingKind::Always;
        let (findings, total) = rows.told.notes.into_findings(limits.findings, always);
        return Err(Rejected { findings, total });
    }
    let (findings, total_findings) = rows.told.notes.into_findings(limits.findings, |_| true);
    let summary = Summary {
        rows: rows.count,
        bytes,
        agents: rows.codes.agents.sorted(),
        agent_days: groups.days.len() as u64,
        first_day: rows.days.map(|days| days.0),
        last_day: rows.days.map(|days| days.1),
        findings,
        total_findings,
    };
    Ok(Parsed {
        summary,
        agent_days: Box::new(groups.into_agent_days()),
    })
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
