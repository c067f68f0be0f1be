//! A file of any size, from its bytes to what is said about it: chunks are read on several threads,
//! and what comes out is the same as on one.

use std::sync::Arc;

use super::chunks::{Chunk, Splitter};
use super::header;
use super::in_order::InOrder;
use super::notes::Notes;
use super::quick::Plan;
use super::records::{Record, Records, Rest, Step};
use super::rejected::{too_long, unclosed_quote};
use super::room::Room;
use super::rows::{Layout, Part};
use super::sorting::Sorting;
use super::told::Told;
use super::{CsvSpec, Limits, Means, Rejected, Reviewed, Unread, sniff, sorted, structure};

/// Takes a file in chunks of any size.
#[derive(Debug)]
pub struct FileReader {
    spec: CsvSpec,
    limits: Limits,
    means: Means,
    bytes: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The file's first bytes, until there are enough to tell what it is.
    Head(Vec<u8>),
    Header(Box<Records>),
    Rows(Box<Rows>),
    Failed(Unread),
}

/// What follows the header.
#[derive(Debug)]
struct Rows {
    /// The header ended with a return, and a newline after it belongs to it.
    after_return: bool,
    splitter: Splitter,
    /// Chunks that are being read, each with its buffer.
    parts: InOrder<(Part, Vec<u8>)>,
    sorting: Sorting,
}

impl FileReader {
    #[must_use]
    pub fn new(spec: CsvSpec, limits: Limits, means: Means) -> Self {
        Self {
            spec,
            limits,
            means,
            bytes: 0,
            stage: Stage::Head(Vec::new()),
        }
    }

    /// Takes the next bytes of the file (decompressed). Waits where more has come than is read.
    ///
    /// # Errors
    /// Where reading on makes no sense (not a CSV, a header that lacks columns, a record beyond the
    /// limit), perhaps some calls after the bytes that are to blame; other problems are collected
    /// until [`FileReader::finish`]. Once refused, a file stays refused.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Unread> {
        self.bytes += chunk.len() as u64;
        let fed = match &mut self.stage {
            Stage::Failed(unread) => return Err(unread.clone()),
            Stage::Head(head) => {
                head.extend_from_slice(chunk);
                if head.len() < sniff::HEAD_BYTES {
                    return Ok(());
                }
                let head = std::mem::take(head);
                self.begin(&head, false)
            }
            Stage::Header(_) | Stage::Rows(_) => self.read(chunk),
        };
        fed.inspect_err(|unread| self.stage = Stage::Failed(unread.clone()))
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// Structure problems, or broken "always" rules where the spec says Reject.
    pub fn finish(mut self) -> Result<Reviewed, Unread> {
        if let Stage::Head(head) = &mut self.stage {
            let head = std::mem::take(head);
            self.begin(&head, true)?;
        }
        if let Stage::Header(records) = &mut self.stage {
            let limit = self.limits.record_bytes;
            let begun = match records.finish() {
                Rest::Nothing => None,
                Rest::Record(header) => Some(begin_rows(header, &self.spec, &self.limits)?),
                Rest::TooLong { line, through_line } => {
                    return Err(Rejected::one(too_long(line, through_line, limit)).into());
                }
                Rest::UnclosedQuote { line, .. } => {
                    return Err(Rejected::one(unclosed_quote(line, None)).into());
                }
            };
            if let Some((layout, told)) = begun {
                let (line, after_return) = (records.next_line(), records.is_after_return());
                self.stage = self.rows(layout, told, line, after_return);
            }
        }
        match self.stage {
            Stage::Failed(unread) => Err(unread),
            Stage::Rows(rows) => {
                let sorting = rows.finish()?;
                sorted::review(sorting, &self.spec, &self.means, self.bytes)
            }
            Stage::Head(_) | Stage::Header(_) => Err(sniff::problem(b"", true)
                .map_or_else(Rejected::default, Rejected::one)
                .into()),
        }
    }

    fn begin(&mut self, head: &[u8], whole: bool) -> Result<(), Unread> {
        if let Some(problem) = sniff::problem(&head[..head.len().min(sniff::HEAD_BYTES)], whole) {
            return Err(Rejected::one(problem).into());
        }
        let records = Records::new(self.limits.record_bytes);
        self.stage = Stage::Header(Box::new(records));
        self.read(head)
    }

    fn read(&mut self, mut input: &[u8]) -> Result<(), Unread> {
        if let Stage::Header(records) = &mut self.stage {
            if input.is_empty() {
                return Ok(());
            }
            let (layout, told) = match records.next(&mut input) {
                Step::NeedMore => return Ok(()),
                Step::Record(header) => begin_rows(header, &self.spec, &self.limits)?,
                Step::TooLong { line, through_line } => {
                    let problem = too_long(line, through_line, self.limits.record_bytes);
                    return Err(Rejected::one(problem).into());
                }
            };
            let (line, after_return) = (records.next_line(), records.is_after_return());
            self.stage = self.rows(layout, told, line, after_return);
        }
        match &mut self.stage {
            Stage::Rows(rows) => rows.feed(input),
            _ => Ok(()),
        }
    }

    fn rows(&self, layout: Layout, told: Told, line: u64, after_return: bool) -> Stage {
        let room = Room::new(Arc::clone(&self.means.shared));
        Stage::Rows(Box::new(Rows {
            after_return,
            splitter: Splitter::new(line, self.means.chunk_bytes, self.limits.record_bytes),
            parts: InOrder::new(self.means.workers),
            sorting: Sorting::new(Arc::new(layout), told, room),
        }))
    }
}

impl Rows {
    fn feed(&mut self, mut input: &[u8]) -> Result<(), Unread> {
        if self.after_return && !input.is_empty() {
            self.after_return = false;
            input = input.strip_prefix(b"\n").unwrap_or(input);
        }
        while let Some(chunk) = self.splitter.next(&mut input) {
            let layout = Arc::clone(&self.sorting.layout);
            self.parts.give(move || Sorting::read(&layout, chunk));
            if self.parts.is_full() {
                self.take_part()?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Sorting, Unread> {
        while self.take_part()? {}
        let last: Chunk = self.splitter.finish();
        let (part, _) = Sorting::read(&self.sorting.layout, last);
        self.append(part)?;
        Ok(self.sorting)
    }

    /// False where no chunk is being read.
    fn take_part(&mut self) -> Result<bool, Unread> {
        let Some((part, buffer)) = self.parts.take() else {
            return Ok(false);
        };
        self.splitter.reuse(buffer);
        self.append(part)?;
        Ok(true)
    }

    fn append(&mut self, mut part: Part) -> Result<(), Unread> {
        let fatal = part.fatal.take();
        self.sorting.append(part)?;
        match fatal {
            Some(problem) => Err(Rejected::after(&mut self.sorting.told, problem).into()),
            None => Ok(()),
        }
    }
}

fn begin_rows(
    header: Record<'_>,
    spec: &CsvSpec,
    limits: &Limits,
) -> Result<(Layout, Told), Rejected> {
    let (columns, found) = header::read(header, spec, limits).map_err(|mut findings| {
        let total = findings.len() as u64;
        findings.truncate(limits.findings);
        Rejected { findings, total }
    })?;
    let mut notes = Notes::default();
    for (place, note) in found.into_iter().enumerate() {
        notes.add(note.code, place, note.line, || note);
    }
    let layout = Layout {
        quick: Plan::of(&columns),
        columns,
        limits: *limits,
    };
    let told = Told {
        notes,
        ..Told::new(limits)
    };
    Ok((layout, told))
}

/// The problem with a file that is a header alone.
pub(super) fn header_only() -> Rejected {
    let problem = structure("HeaderOnly", "the file has a header and no rows").hint(
        "write one row for each day, agent and variation; an export without rows has often failed \
         or has asked for the wrong days",
    );
    Rejected::one(problem)
}
