//! One record after the other: each field read, each problem told with its place, good rows packed.

use super::super::agent_day::Day;
use super::super::finding::{Finding, FindingKind, excerpt, grouped};
use super::super::integrity::MAX_COUNT;
use super::codes::{self, Codes};
use super::dates::{self, Midnights};
use super::groups::{AllCodes, Groups, KeyNumbers, MAX_SUMSQ, PackedRow};
use super::header::Columns;
use super::notes::{Notes, Problems};
use super::number_hints::{self, Explained, Needed};
use super::numbers::{self, Written};
use super::records::Record;

const COUNT: Needed = Needed::Whole {
    most: MAX_COUNT as u128,
};
const SUMSQ: Needed = Needed::Whole { most: MAX_SUMSQ };

/// The rows read so far.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) columns: Columns,
    pub(super) count: u64,
    pub(super) codes: AllCodes,
    pub(super) groups: Groups,
    pub(super) midnights: Midnights,
    pub(super) days: Option<(Day, Day)>,
    pub(super) told: Told,
    row: PackedRow,
}

/// What there is to say about the file.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) problems: Problems,
    pub(super) notes: Notes,
}

impl Rows {
    pub(super) fn new(columns: Columns, problems: Problems, notes: Notes) -> Self {
        Self {
            columns,
            count: 0,
            codes: AllCodes::default(),
            groups: Groups::default(),
            midnights: Midnights::default(),
            days: None,
            told: Told { problems, notes },
            row: PackedRow::default(),
        }
    }

    /// Reads one row. Rows are kept only as long as the file may still be imported.
    pub(super) fn take(&mut self, record: Record<'_>) {
        self.count += 1;
        if record.len() != self.columns.names.len() {
            let expected = self.columns.names.len();
            self.told.problems.add(|| wrong_length(record, expected));
        } else if record.fields().all(<[u8]>::is_empty) {
            self.told.problems.add(|| {
                structure("EmptyRow", "every field is empty")
                    .line(record.line)
                    .hint("remove the row; spreadsheets leave such rows at the end")
            });
        } else {
            self.take_fields(record);
        }
        if !self.told.problems.is_empty() {
            self.groups.clear();
        }
    }

    #[inline]
    fn take_fields(&mut self, record: Record<'_>) {
        let moment = self.moment(record);
        let agent = self.told.code(
            &self.columns,
            record,
            self.columns.agent,
            &mut self.codes.agents,
        );
        let key = self.key(record);
        self.row.clear();
        let visitors = self
            .told
            .whole(&self.columns, record, self.columns.visitors, COUNT);
        self.row.push(u64::try_from(visitors).unwrap_or(u64::MAX));
        for goal in &self.columns.goals {
            let count = self.told.whole(&self.columns, record, goal.count, COUNT);
            self.row.push(u64::try_from(count).unwrap_or(u64::MAX));
            self.row.push_wide(
                self.told
                    .whole(&self.columns, record, goal.count_sumsq, SUMSQ),
            );
            if let Some((sum, sumsq)) = goal.values {
                self.row
                    .push_value(self.told.decimal(&self.columns, record, sum));
                self.row
                    .push_value(self.told.decimal(&self.columns, record, sumsq));
            }
        }
        if let (Some(day), Some(agent), Some(key)) = (moment, agent, key)
            && self.told.problems.is_empty()
        {
            self.groups.push(agent, day, record.line, key, &self.row);
        }
    }

    fn moment(&mut self, record: Record<'_>) -> Option<Day> {
        let field = record.field(self.columns.date);
        let Some(moment) = dates::parse(field) else {
            self.told
                .problem(&self.columns, record, self.columns.date, dates::explain);
            return None;
        };
        let day = moment.day;
        self.midnights.see(moment.second_of_day, record.line);
        let (first, last) = self.days.unwrap_or((day, day));
        self.days = Some((first.min(day), last.max(day)));
        if day < dates::EARLIEST_PLAUSIBLE {
            self.told.note_early(&self.columns, record, day);
        }
        Some(day)
    }

    fn key(&mut self, record: Record<'_>) -> Option<KeyNumbers> {
        let (columns, codes, told) = (&self.columns, &mut self.codes, &mut self.told);
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

impl Told {
    #[inline]
    fn code(
        &mut self,
        columns: &Columns,
        record: Record<'_>,
        column: usize,
        codes: &mut Codes,
    ) -> Option<u32> {
        match codes.number(record.field(column), record.line) {
            Ok(number) => Some(number),
            Err(error) => {
                self.problem(columns, record, column, |shown| {
                    codes::explain(shown, error)
                });
                None
            }
        }
    }

    /// 0 where there is a problem, which keeps the row from being used.
    #[inline]
    fn whole(
        &mut self,
        columns: &Columns,
        record: Record<'_>,
        column: usize,
        needed: Needed,
    ) -> u128 {
        let most = if let Needed::Whole { most } = needed {
            most
        } else {
            u128::MAX
        };
        match numbers::whole(record.field(column), most) {
            Ok(whole) => {
                if whole.scientific {
                    self.note_scientific(columns, record, column, whole.number);
                }
                whole.number
            }
            Err(error) => {
                self.problem(columns, record, column, |shown| {
                    number_hints::explain(shown, error, needed)
                });
                0
            }
        }
    }

    #[inline]
    fn decimal(&mut self, columns: &Columns, record: Record<'_>, column: usize) -> Written {
        match numbers::decimal(record.field(column)) {
            Ok(written) => {
                if written.changed {
                    self.note_rounded(columns, record, column);
                }
                written
            }
            Err(error) => {
                self.problem(columns, record, column, |shown| {
                    number_hints::explain(shown, error, Needed::Decimal)
                });
                Written {
                    mantissa: 0,
                    decimals: 0,
                    changed: false,
                }
            }
        }
    }

    #[cold]
    fn problem(
        &mut self,
        columns: &Columns,
        record: Record<'_>,
        column: usize,
        explain: impl FnOnce(&str) -> Explained,
    ) {
        let field = record.field(column);
        self.problems.add(|| {
            let Explained {
                code,
                message,
                hint,
            } = explain(&excerpt(field));
            structure(code, message)
                .line(record.line)
                .column(&columns.names[column])
                .value(field)
                .hint(hint)
        });
    }

    #[cold]
    fn half_trait(&mut self, columns: &Columns, record: Record<'_>, empty: usize) {
        self.problems.add(|| {
            structure(
                "HalfTrait",
                "the field is empty, but the other half of the trait is not",
            )
            .line(record.line)
            .column(&columns.names[empty])
            .value(b"")
            .hint(
                "fill in both Trait_Group and Trait_Value, or neither where the row is about \
                     all visitors",
            )
        });
    }

    #[cold]
    fn note_scientific(
        &mut self,
        columns: &Columns,
        record: Record<'_>,
        column: usize,
        number: u128,
    ) {
        let field = record.field(column);
        self.notes
            .add("ScientificCount", column, Some(record.line), || {
                let message = format!(
                    "{:?} is read as {}, but may have lost digits",
                    excerpt(field),
                    grouped(number)
                );
                warning("ScientificCount", message)
                    .line(record.line)
                    .column(&columns.names[column])
                    .value(field)
                    .hint("write all digits; in SQL, CAST(x AS BIGINT)")
            });
    }

    #[cold]
    fn note_rounded(&mut self, columns: &Columns, record: Record<'_>, column: usize) {
        let field = record.field(column);
        self.notes
            .add("RoundedValue", column, Some(record.line), || {
                let message = format!(
                    "{:?} has digits that matter after the twelfth decimal, which are rounded",
                    excerpt(field)
                );
                warning("RoundedValue", message)
                    .line(record.line)
                    .column(&columns.names[column])
                    .value(field)
                    .hint("give the value in a smaller unit, so that its numbers are larger")
            });
    }

    #[cold]
    fn note_early(&mut self, columns: &Columns, record: Record<'_>, day: Day) {
        let field = record.field(columns.date);
        self.notes
            .add("EarlyDate", columns.date, Some(record.line), || {
                let message = format!("{:?} is {day}", excerpt(field));
                warning("EarlyDate", message)
                    .line(record.line)
                    .column(&columns.names[columns.date])
                    .value(field)
                    .hint("is it Unix seconds? 1710720000 is 2024-03-18")
            });
    }
}

fn structure(code: &'static str, message: impl Into<String>) -> Finding {
    Finding::new(FindingKind::Structure, code, message)
}

fn warning(code: &'static str, message: impl Into<String>) -> Finding {
    Finding::new(FindingKind::Warning, code, message)
}

fn wrong_length(record: Record<'_>, expected: usize) -> Finding {
    let found = record.len();
    let fields = if found == 1 { "field" } else { "fields" };
    let message = format!("{found} {fields}, but the header has {expected}");
    let hint = if found > expected {
        "a comma within a field needs quotes around the field; numbers have neither thousands \
         separators nor decimal commas"
    } else {
        "write every field, empty or not; where this is the last line, the file may have been cut \
         short"
    };
    structure("FieldCount", message)
        .line(record.line)
        .hint(hint)
}
