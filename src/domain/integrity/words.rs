//! Each rule in the words of the person who writes the export: what the numbers say, why no
//! visitors can produce them, and what usually causes it.

use super::super::agent_day::{Decimal, GoalCounts};
use super::super::finding::grouped;
use super::Rule;

/// The pair of columns that a rule compares, and the one to look at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoalColumn {
    Count,
    CountSumsq,
    Value,
    ValueSumsq,
}

impl GoalColumn {
    /// What follows the goal's code in the column's name.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::CountSumsq => "_sumsq",
            Self::Value => "_val",
            Self::ValueSumsq => "_val_sumsq",
        }
    }
}

const PER_VISITOR: &str = "add up each visitor's events first, square that number, then sum the \
                           squares over visitors";
const VALUE_PER_VISITOR: &str = "add up each visitor's values first, square that sum, then sum \
                                 the squares over visitors";
const CHECK_DATING: &str = "check the dating: each visitor belongs on the day of the first \
                            exposure, with all events; where the export dates events otherwise, \
                            say so with dating: Event in the data source";

impl Rule {
    /// A stable word for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::CountWithoutSquares => "CountWithoutSquares",
            Self::SquaresWithoutCount => "SquaresWithoutCount",
            Self::SumOfSquaresTooSmall => "SumOfSquaresTooSmall",
            Self::SumOfSquaresTooLarge => "SumOfSquaresTooLarge",
            Self::SumOfSquaresParity => "SumOfSquaresParity",
            Self::NoConverters => "NoConverters",
            Self::NegativeValue => "NegativeValue",
            Self::NegativeSumOfSquares => "NegativeSumOfSquares",
            Self::ValueWithoutSquares => "ValueWithoutSquares",
            Self::ValueWithoutEvents => "ValueWithoutEvents",
            Self::ValueSquaresTooLarge => "ValueSquaresTooLarge",
            Self::SingleEventSquare => "SingleEventSquare",
            Self::ValueSquaresTooSmall => "ValueSquaresTooSmall",
            Self::EventsWithoutVisitors => "EventsWithoutVisitors",
            Self::MoreConvertersThanVisitors => "MoreConvertersThanVisitors",
            Self::SumOfSquaresBelowEven => "SumOfSquaresBelowEven",
            Self::SingleVisitorSquare => "SingleVisitorSquare",
            Self::SingleVisitorValueSquare => "SingleVisitorValueSquare",
            Self::ValueSquaresBelowEven => "ValueSquaresBelowEven",
        }
    }

    /// The column to look at first.
    #[must_use]
    pub fn column(self) -> GoalColumn {
        match self {
            Self::EventsWithoutVisitors | Self::MoreConvertersThanVisitors => GoalColumn::Count,
            Self::CountWithoutSquares
            | Self::SquaresWithoutCount
            | Self::SumOfSquaresTooSmall
            | Self::SumOfSquaresTooLarge
            | Self::SumOfSquaresParity
            | Self::NoConverters
            | Self::SumOfSquaresBelowEven
            | Self::SingleVisitorSquare => GoalColumn::CountSumsq,
            Self::NegativeValue | Self::ValueWithoutEvents => GoalColumn::Value,
            Self::NegativeSumOfSquares
            | Self::ValueWithoutSquares
            | Self::ValueSquaresTooLarge
            | Self::SingleEventSquare
            | Self::ValueSquaresTooSmall
            | Self::SingleVisitorValueSquare
            | Self::ValueSquaresBelowEven => GoalColumn::ValueSumsq,
        }
    }

    /// What the numbers of this cell say, and why no visitors can produce them: lower case, no
    /// full stop.
    #[must_use]
    #[allow(
        clippy::many_single_char_names,
        reason = "the letters are the module's own"
    )]
    pub fn message(self, visitors: u64, goal: &GoalCounts) -> String {
        let n = quantity(visitors, "visitor");
        let c = quantity(goal.count, "event");
        let q = grouped(goal.count_sumsq);
        let values = goal.values.unwrap_or_default();
        let (v, w) = (decimal(values.sum), decimal(values.sumsq));
        match self {
            Self::CountWithoutSquares => format!("{c}, but the sum of squares is 0"),
            Self::SquaresWithoutCount => format!("no events, but the sum of squares is {q}"),
            Self::SumOfSquaresTooSmall => format!(
                "a sum of squares of {q} is less than the {c}: a visitor with x events adds x² to \
                 it, which is never less than x"
            ),
            Self::SumOfSquaresTooLarge => format!(
                "a sum of squares of {q} is more than {}²: even one visitor with all {c} gives no \
                 more",
                grouped(goal.count)
            ),
            Self::SumOfSquaresParity => format!(
                "{c} and a sum of squares of {q}: both must be even or both odd, as x and x² are \
                 for each visitor"
            ),
            Self::NoConverters => format!(
                "no number of visitors can have {c} in all and {q} as the sum of their squares"
            ),
            Self::NegativeValue => format!("a value of {v} is negative"),
            Self::NegativeSumOfSquares => format!("a sum of squares of {w} is negative"),
            Self::ValueWithoutSquares => format!("a value of {v}, but its sum of squares is 0"),
            Self::ValueWithoutEvents => {
                format!("no events, but a value of {v} with a sum of squares of {w}")
            }
            Self::ValueSquaresTooLarge => format!(
                "a sum of squares of {w} is more than {v}²: even one visitor with the whole value \
                 gives no more"
            ),
            Self::SingleEventSquare => {
                format!("1 event with a value of {v} has {v}² as its sum of squares, not {w}")
            }
            Self::ValueSquaresTooSmall => format!(
                "a sum of squares of {w} is too small for a value of {v} from {c}: spread evenly \
                 over as many visitors as can be, the squares would still add up to more"
            ),
            Self::EventsWithoutVisitors if goal.count == 0 => {
                format!("a value of {v}, but no visitors")
            }
            Self::EventsWithoutVisitors => format!("{c}, but no visitors"),
            Self::MoreConvertersThanVisitors => format!(
                "the sum of squares equals the {c}, so each is another visitor's, but the cell has \
                 only {n}"
            ),
            Self::SumOfSquaresBelowEven => format!(
                "a sum of squares of {q} is too small for {c} of {n}: spread evenly they would \
                 still give more"
            ),
            Self::SingleVisitorSquare => format!(
                "the 1 visitor's {c} have {}² as the sum of squares, not {q}",
                grouped(goal.count)
            ),
            Self::SingleVisitorValueSquare => {
                format!("the 1 visitor's value of {v} has {v}² as its sum of squares, not {w}")
            }
            Self::ValueSquaresBelowEven => format!(
                "a sum of squares of {w} is too small for a value of {v} of {n}: spread evenly \
                 the squares would still add up to more"
            ),
        }
    }

    /// What usually causes it and what to write instead.
    #[must_use]
    pub fn hint(self) -> String {
        match self {
            Self::CountWithoutSquares => format!(
                "a missing join or a default of 0 often leaves the squares out: {PER_VISITOR}"
            ),
            Self::SquaresWithoutCount | Self::SumOfSquaresTooSmall => format!(
                "count and squares often come from different filters, or a rate was squared: \
                 {PER_VISITOR}, over the same rows as the count"
            ),
            Self::SumOfSquaresTooLarge => format!(
                "a join that repeats rows often swells the squares, and so does squaring a total \
                 of several rows or days: {PER_VISITOR}"
            ),
            Self::SumOfSquaresParity | Self::NoConverters => format!(
                "sampled, scaled, rounded or noised counts look like this, and squares over other \
                 rows than the count's: {PER_VISITOR}"
            ),
            Self::NegativeValue => "where refunds are meant, set allowNegative: true for the goal \
                                    in the data source; else leave them out of the export"
                .into(),
            Self::NegativeSumOfSquares => format!("a square has no sign: {VALUE_PER_VISITOR}"),
            Self::ValueWithoutSquares => format!(
                "a missing join or a default of 0 often leaves the squares out: {VALUE_PER_VISITOR}"
            ),
            Self::ValueWithoutEvents => {
                "each value belongs to an event: count the same rows whose \
                                         values are summed, or set allowNegative: true for the \
                                         goal where these are refunds"
                    .into()
            }
            Self::ValueSquaresTooLarge => format!(
                "a join that repeats rows often swells the squares, and so does another unit than \
                 the value's (cents, dollars): {VALUE_PER_VISITOR}"
            ),
            Self::SingleEventSquare | Self::ValueSquaresTooSmall => format!(
                "squares summed per event rather than per visitor come out too small, and so does \
                 a sum that takes in a value without squaring it: {VALUE_PER_VISITOR}"
            ),
            Self::SumOfSquaresBelowEven | Self::SingleVisitorSquare => format!(
                "squares summed per event rather than per visitor come out too small: \
                 {PER_VISITOR}; else {CHECK_DATING}"
            ),
            Self::SingleVisitorValueSquare | Self::ValueSquaresBelowEven => format!(
                "squares summed per event rather than per visitor come out too small: \
                 {VALUE_PER_VISITOR}; else {CHECK_DATING}"
            ),
            Self::MoreConvertersThanVisitors => format!(
                "squares summed per event rather than per visitor equal the count: {PER_VISITOR}; \
                 else {CHECK_DATING}"
            ),
            Self::EventsWithoutVisitors => CHECK_DATING.into(),
        }
    }
}

fn quantity(number: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        grouped(number),
        if number == 1 { "" } else { "s" }
    )
}

/// A decimal as it was written, `450.1504`.
fn decimal(value: Decimal) -> String {
    let digits = usize::try_from(value.decimals.clamp(0, 12)).unwrap_or(0);
    let units = value.units.unsigned_abs();
    let one = Decimal::ONE.unsigned_abs();
    let fraction = format!("{:012}", units % one);
    let sign = if value.units < 0 { "-" } else { "" };
    let point = if digits == 0 { "" } else { "." };
    format!(
        "{sign}{}{point}{}",
        grouped(units / one),
        &fraction[..digits]
    )
}
