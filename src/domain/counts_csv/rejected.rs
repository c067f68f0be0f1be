//! A refused file in the words of a status: which problems, how many, what to do.

use std::fmt;

use super::super::fetch::{ErrorCode, MAX_MESSAGE_CHARS, cases};
use super::super::finding::{Finding, FindingKind, grouped};
use super::Rejected;
use super::dates::{Midnights, offset_name};
use super::header::Columns;
use super::told::Told;

/// So many problems are named in a message, each of another kind where there are such.
const SHOWN: usize = 5;

impl Rejected {
    pub(super) fn one(problem: Finding) -> Self {
        Self {
            findings: vec![problem],
            total: 1,
        }
    }

    /// The problems found before, and the one that stops reading.
    pub(super) fn after(told: &mut Told, problem: Finding) -> Self {
        let (mut findings, total) = told.problems.take();
        findings.push(problem);
        Self {
            findings,
            total: total + 1,
        }
    }

    /// [`ErrorCode::InvalidCsv`], or [`ErrorCode::IntegrityProblem`] where the file is well formed
    /// and "always" rules are broken.
    #[must_use]
    pub fn class(&self) -> ErrorCode {
        if self
            .findings
            .iter()
            .any(|finding| finding.kind == FindingKind::Structure)
        {
            ErrorCode::InvalidCsv
        } else {
            ErrorCode::IntegrityProblem
        }
    }

    /// The first problem of each kind in one line, and how many there are: at most
    /// [`MAX_MESSAGE_CHARS`] characters, no line breaks.
    #[must_use]
    pub fn message(&self) -> String {
        let named = self.by_kind();
        let mut message = match (self.total, named.as_slice()) {
            (1, [only]) => only.headline(),
            _ => format!("{} problems", grouped(self.total)),
        };
        if self.total > 1 {
            for (index, finding) in named.into_iter().take(SHOWN).enumerate() {
                let next = format!(
                    "{}{}",
                    if index == 0 { ": " } else { "; " },
                    finding.headline()
                );
                if message.chars().count() + next.chars().count() > MAX_MESSAGE_CHARS {
                    break;
                }
                message.push_str(&next);
            }
        }
        super::super::fetch::presentable(&message)
    }

    /// What to do about the first problem, and that nothing was changed.
    #[must_use]
    pub fn hint(&self) -> String {
        let first = self
            .by_kind()
            .into_iter()
            .find_map(|finding| finding.hint.as_deref());
        let rest = match self.class() {
            ErrorCode::IntegrityProblem => cases::imported_with_warn(),
            _ => cases::nothing_imported(),
        };
        match first {
            Some(first) => format!("{first}. {rest}"),
            None => rest,
        }
    }

    /// The first finding of each kind and column.
    fn by_kind(&self) -> Vec<&Finding> {
        let mut named: Vec<&Finding> = Vec::new();
        for finding in &self.findings {
            let known =
                |other: &&Finding| other.code == finding.code && other.column == finding.column;
            if !named.iter().any(known) {
                named.push(finding);
            }
        }
        named
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for Rejected {}

impl Told {
    /// # Errors
    /// The structure problems, where there are any.
    pub(super) fn reject_problems(&mut self) -> Result<(), Rejected> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let (findings, total) = self.problems.take();
        Err(Rejected { findings, total })
    }

    /// Tells of Dates that are some zone's midnights.
    pub(super) fn note_midnights(&mut self, midnights: &Midnights, columns: &Columns) {
        let Some((offsets, line)) = midnights.offsets() else {
            return;
        };
        self.notes
            .add("LocalMidnight", columns.date, Some(line), || {
                let zone: Vec<String> = offsets.into_iter().map(offset_name).collect();
                Finding::new(
                FindingKind::Warning,
                "LocalMidnight",
                format!(
                    "every Date is midnight at {}, which in UTC lies in the day before, and so is \
                     counted there",
                    zone.join(" or ")
                ),
            )
            .line(line)
            .column(&columns.names[columns.date])
            .hint("write midnight UTC of the day that is meant")
            });
    }
}

/// The problem with a record of more than `limit` bytes.
pub(super) fn too_long(line: u64, through_line: u64, limit: usize) -> Finding {
    let message = format!("a row longer than {} bytes", grouped(limit as u64));
    let hint = if through_line > line {
        "a quote that is opened and never closed swallows the lines after it: close it, or double \
         each quote that belongs to the text (\"\")"
    } else {
        "a row is some hundred bytes: check that the file's lines end with newlines"
    };
    Finding::new(FindingKind::Structure, "RecordTooLong", message)
        .line(line)
        .hint(hint)
}

/// The problem with a file that ends within quotes, in the column of this name where it has one.
pub(super) fn unclosed_quote(line: u64, column: Option<&str>) -> Finding {
    let message = "a quote is opened and never closed";
    let problem = Finding::new(FindingKind::Structure, "UnclosedQuote", message)
        .line(line)
        .hint(
            "close it, or double each quote that belongs to the text (\"\"); where the quote \
             stands in the last line, the file may have been cut short",
        );
    match column {
        Some(name) => problem.column(name),
        None => problem,
    }
}
