//! What there is to say about a file or a part of it: fields read, each problem with its place, and
//! words for rows that cannot be.

use super::super::agent_day::Day;
use super::super::finding::{Finding, FindingKind, excerpt, grouped};
use super::Limits;
use super::codes::{self, Codes};
use super::header::Columns;
use super::notes::{Notes, Problems};
use super::number_hints::{self, Explained, Needed};
use super::numbers::{self, Written};
use super::records::Record;

/// What there is to say about the file.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) problems: Problems,
    pub(super) notes: Notes,
}

impl Told {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            problems: Problems::new(limits.findings),
            notes: Notes::default(),
        }
    }

    /// Adds what there is to say about what follows.
    pub(super) fn append(&mut self, later: Self) {
        self.problems.append(later.problems);
        self.notes.append(later.notes);
    }
}

impl Told {
    pub(super) fn code(
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
    pub(super) fn whole(
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

    pub(super) fn decimal(
        &mut self,
        columns: &Columns,
        record: Record<'_>,
        column: usize,
    ) -> Written {
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
    pub(super) fn problem(
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
    pub(super) fn half_trait(&mut self, columns: &Columns, record: Record<'_>, empty: usize) {
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
    pub(super) fn note_early(&mut self, columns: &Columns, record: Record<'_>, day: Day) {
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

pub(super) fn structure(code: &'static str, message: impl Into<String>) -> Finding {
    Finding::new(FindingKind::Structure, code, message)
}

fn warning(code: &'static str, message: impl Into<String>) -> Finding {
    Finding::new(FindingKind::Warning, code, message)
}

pub(super) fn wrong_length(record: Record<'_>, expected: usize) -> Finding {
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
