//! One part of the file: its records one after the other, each field read, each problem told with
//! its place, good rows packed. Parts are read apart from each other; `sorting` puts them together.

use std::sync::Arc;

use super::super::agent_day::Day;
use super::super::finding::Finding;
use super::super::integrity::MAX_COUNT;
use super::Limits;
use super::chunks::Chunk;
use super::dates::{self, Midnights};
use super::header::Columns;
use super::keys::{AllCodes, KeyNumbers, Keys};
use super::number_hints::Needed;
use super::packed::RowWriter;
use super::quick::{self, QuickRow};
use super::records::{Record, Records, Rest, Step};
use super::rejected::{too_long, unclosed_quote};
use super::told::{Told, structure, wrong_length};

const COUNT: Needed = Needed::Whole {
    most: MAX_COUNT as u128,
};
const SUMSQ: Needed = Needed::Whole { most: MAX_SUMSQ };
/// Sums of squared counts in a file are at most this.
pub(super) const MAX_SUMSQ: u128 = MAX_COUNT as u128 * MAX_COUNT as u128;

/// What every part of a file is read by.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) columns: Columns,
    pub(super) quick: Option<quick::Plan>,
    pub(super) limits: Limits,
}

/// The rows of one part of the file.
#[derive(Debug)]
pub(super) struct Part {
    layout: Arc<Layout>,
    pub(super) first_line: u64,
    pub(super) count: u64,
    pub(super) codes: AllCodes,
    pub(super) keys: Keys,
    /// Rows, packed, by agent and day as long as these don't change.
    pub(super) bytes: Vec<u8>,
    pub(super) segments: Vec<Segment>,
    pub(super) midnights: Midnights,
    pub(super) days: Option<(Day, Day)>,
    pub(super) told: Told,
    /// Reading stopped here.
    pub(super) fatal: Option<Finding>,
    row: RowWriter,
}

/// Rows of one agent and day, up to the next segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// The agent's number among the part's codes.
    pub(super) agent: u32,
    pub(super) day: Day,
    /// Where its rows begin.
    pub(super) start: u32,
}

impl Part {
    /// Reads a chunk to its end, or to where it makes no sense.
    pub(super) fn read(layout: &Arc<Layout>, chunk: &Chunk) -> Self {
        let mut part = Self::new(layout, chunk);
        let mut records = Records::at_line(chunk.first_line, layout.limits.record_bytes);
        let mut quick = QuickRow::default();
        let (text, length) = (chunk.padded(), chunk.len());
        let mut at = 0;
        while at < length {
            if let Some(plan) = &layout.quick
                && let Some(end) = plan.read(text, at, &part.codes, &mut quick)
                && end - at <= layout.limits.record_bytes
                && part.take_quick(text, records.next_line(), &quick)
            {
                records.passed_line();
                at = end;
                continue;
            }
            let mut rest = &text[at..length];
            match records.next(&mut rest) {
                Step::Record(record) => part.take(record),
                Step::NeedMore => {}
                Step::TooLong { line, through_line } => {
                    part.stop(too_long(line, through_line, layout.limits.record_bytes));
                    return part;
                }
            }
            at = length - rest.len();
        }
        if chunk.is_last {
            part.finish(&mut records);
        }
        part
    }

    fn new(layout: &Arc<Layout>, chunk: &Chunk) -> Self {
        Self {
            layout: Arc::clone(layout),
            first_line: chunk.first_line,
            count: 0,
            codes: AllCodes::default(),
            keys: Keys::default(),
            bytes: Vec::with_capacity(chunk.len() / 2),
            segments: Vec::new(),
            midnights: Midnights::default(),
            days: None,
            told: Told::new(&layout.limits),
            fatal: None,
            row: RowWriter::default(),
        }
    }

    /// The last record, where no newline ends it.
    fn finish(&mut self, records: &mut Records) {
        match records.finish() {
            Rest::Nothing => {}
            Rest::Record(record) => self.take(record),
            Rest::TooLong { line, through_line } => {
                let limit = self.layout.limits.record_bytes;
                self.stop(too_long(line, through_line, limit));
            }
            Rest::UnclosedQuote { line, column } => {
                let name = self.layout.columns.names.get(column);
                let problem = unclosed_quote(line, name.map(String::as_str));
                self.stop(problem);
            }
        }
    }

    fn stop(&mut self, problem: Finding) {
        self.fatal = Some(problem);
        self.forget_rows();
    }

    fn forget_rows(&mut self) {
        self.bytes.clear();
        self.segments.clear();
    }

    /// Takes a row of plain numbers; false where it has to be looked at with care.
    #[inline]
    fn take_quick(&mut self, text: &[u8], line: u64, row: &QuickRow) -> bool {
        let Some((agent, key)) = row.codes.number(text, line, &mut self.codes) else {
            return false;
        };
        self.count += 1;
        self.see_moment(row.moment, line);
        row.pack(&mut self.row);
        self.push(agent, row.moment.day, line, key);
        true
    }

    /// Reads one row. Rows are kept only as long as the file may still be imported.
    fn take(&mut self, record: Record<'_>) {
        self.count += 1;
        let layout = Arc::clone(&self.layout);
        let columns = &layout.columns;
        if record.len() != columns.names.len() {
            let expected = columns.names.len();
            self.told.problems.add(|| wrong_length(record, expected));
        } else if record.fields().all(<[u8]>::is_empty) {
            self.told.problems.add(|| {
                structure("EmptyRow", "every field is empty")
                    .line(record.line)
                    .hint("remove the row; spreadsheets leave such rows at the end")
            });
        } else {
            self.take_fields(columns, record);
        }
        if !self.told.problems.is_empty() {
            self.forget_rows();
        }
    }

    fn take_fields(&mut self, columns: &Columns, record: Record<'_>) {
        let day = self.moment(columns, record);
        let agent = self
            .told
            .code(columns, record, columns.agent, &mut self.codes.agents);
        let key = self.key(columns, record);
        let (told, row) = (&mut self.told, &mut self.row);
        row.clear();
        row.push_whole(told.whole(columns, record, columns.visitors, COUNT));
        for goal in &columns.goals {
            row.push_whole(told.whole(columns, record, goal.count, COUNT));
            row.push_whole(told.whole(columns, record, goal.count_sumsq, SUMSQ));
            if let Some((sum, sumsq)) = goal.values {
                row.push_value(told.decimal(columns, record, sum));
                row.push_value(told.decimal(columns, record, sumsq));
            }
        }
        if let (Some(day), Some(agent), Some(key)) = (day, agent, key) {
            self.push(agent, day, record.line, key);
        }
    }

    /// Adds the row that is packed.
    #[inline]
    fn push(&mut self, agent: u32, day: Day, line: u64, key: KeyNumbers) {
        if !self.told.problems.is_empty() {
            return;
        }
        let goes_on = |last: &Segment| last.agent == agent && last.day == day;
        if !self.segments.last().is_some_and(goes_on) {
            let start = u32::try_from(self.bytes.len()).expect("a part has a few megabytes");
            self.segments.push(Segment { agent, day, start });
        }
        let key = self.keys.number(key);
        self.row.write(line - self.first_line, key, &mut self.bytes);
    }

    #[inline]
    fn see_moment(&mut self, moment: dates::Moment, line: u64) {
        let day = moment.day;
        self.midnights.see(moment.second_of_day, line);
        let (first, last) = self.days.unwrap_or((day, day));
        self.days = Some((first.min(day), last.max(day)));
    }

    fn moment(&mut self, columns: &Columns, record: Record<'_>) -> Option<Day> {
        let Some(moment) = dates::parse(record.field(columns.date)) else {
            self.told
                .problem(columns, record, columns.date, dates::explain);
            return None;
        };
        self.see_moment(moment, record.line);
        if moment.day < dates::EARLIEST_PLAUSIBLE {
            self.told.note_early(columns, record, moment.day);
        }
        Some(moment.day)
    }

    fn key(&mut self, columns: &Columns, record: Record<'_>) -> Option<KeyNumbers> {
        let (codes, told) = (&mut self.codes, &mut self.told);
        let variation = told.code(columns, record, columns.variation, &mut codes.variations);
        let policy = match columns.policy {
            Some(column) if !record.field(column).is_empty() => {
                told.code(columns, record, column, &mut codes.policies)
            }
            _ => codes.policies.number(b"r", record.line).ok(),
        };
        let visitor_trait = match columns.visitor_trait {
            None => None,
            Some((group, value)) => {
                match (
                    record.field(group).is_empty(),
                    record.field(value).is_empty(),
                ) {
                    (true, true) => None,
                    (false, false) => Some((
                        told.code(columns, record, group, &mut codes.trait_groups)?,
                        told.code(columns, record, value, &mut codes.trait_values)?,
                    )),
                    (group_is_empty, _) => {
                        told.half_trait(
                            columns,
                            record,
                            if group_is_empty { group } else { value },
                        );
                        return None;
                    }
                }
            }
        };
        Some((variation?, policy?, visitor_trait))
    }
}
