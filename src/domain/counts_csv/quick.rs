//! The quick way through a row of plain numbers and codes, which nearly all rows of a file are:
//! fields are found and read in one go, eight digits at a time. Whatever is not plain (other
//! spellings of numbers, quotes within quotes, blank lines, every kind of mistake) is left to the
//! careful way in `records` and `rows`; both give the same.

use super::super::integrity::MAX_COUNT;
use super::codes::Codes;
use super::dates::{self, EARLIEST_PLAUSIBLE, Moment};
use super::header::Columns;
use super::keys::{AllCodes, KeyNumbers};
use super::numbers::{TENS, leading_digits};
use super::packed::RowWriter;

/// What each field of a row is.
#[derive(Debug)]
pub(super) struct Plan {
    fields: Vec<Field>,
    numbers: usize,
    has_policy: bool,
    has_trait: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Ignored,
    Date,
    Code(Code),
    /// A count: its place among the row's numbers.
    Count(usize),
    /// A sum of squared counts, which may be larger.
    Squares(usize),
    Decimal(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Code {
    Agent,
    Variation,
    Policy,
    TraitGroup,
    TraitValue,
}

impl Plan {
    /// None where a field means two things at a time.
    pub(super) fn of(columns: &Columns) -> Option<Self> {
        let mut fields = vec![Field::Ignored; columns.names.len()];
        let mut set = |column: usize, field: Field| {
            let is_free = fields[column] == Field::Ignored;
            fields[column] = field;
            is_free.then_some(())
        };
        set(columns.date, Field::Date)?;
        set(columns.agent, Field::Code(Code::Agent))?;
        set(columns.variation, Field::Code(Code::Variation))?;
        if let Some(policy) = columns.policy {
            set(policy, Field::Code(Code::Policy))?;
        }
        if let Some((group, value)) = columns.visitor_trait {
            set(group, Field::Code(Code::TraitGroup))?;
            set(value, Field::Code(Code::TraitValue))?;
        }
        set(columns.visitors, Field::Count(0))?;
        let mut numbers = 1;
        for goal in &columns.goals {
            set(goal.count, Field::Count(numbers))?;
            set(goal.count_sumsq, Field::Squares(numbers + 1))?;
            numbers += 2;
            if let Some((sum, sumsq)) = goal.values {
                set(sum, Field::Decimal(numbers))?;
                set(sumsq, Field::Decimal(numbers + 1))?;
                numbers += 2;
            }
        }
        Some(Self {
            fields,
            numbers,
            has_policy: columns.policy.is_some(),
            has_trait: columns.visitor_trait.is_some(),
        })
    }

    /// Reads the row at `at`; gives the place after its newline.
    #[inline]
    pub(super) fn read(
        &self,
        text: &[u8],
        mut at: usize,
        codes: &AllCodes,
        row: &mut QuickRow,
    ) -> Option<usize> {
        row.numbers.resize(self.numbers, Number::Whole(0));
        row.codes.has_policy = self.has_policy;
        row.codes.has_trait = self.has_trait;
        let (last, others) = self.fields.split_last()?;
        for field in others {
            at = field.read(text, at, codes, row)?;
            if text[at] != b',' {
                return None;
            }
            at += 1;
        }
        at = last.read(text, at, codes, row)?;
        if text[at] == b'\r' {
            at += 1;
        }
        (text[at] == b'\n').then_some(at + 1)
    }
}

/// One row as it was read.
#[derive(Debug, Default)]
pub(super) struct QuickRow {
    pub(super) moment: Moment,
    pub(super) codes: RowCodes,
    numbers: Vec<Number>,
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Whole(u64),
    Decimal { mantissa: i64, decimals: u8 },
}

impl QuickRow {
    #[inline]
    pub(super) fn pack(&self, row: &mut RowWriter) {
        row.clear();
        for number in &self.numbers {
            match *number {
                Number::Whole(number) => row.push(number),
                Number::Decimal { mantissa, decimals } => row.push_decimal(mantissa, decimals),
            }
        }
    }
}

impl Field {
    /// Reads the field that begins at `at`; gives its end. None where it is not plain.
    #[inline]
    fn read(self, text: &[u8], at: usize, codes: &AllCodes, row: &mut QuickRow) -> Option<usize> {
        let quote = usize::from(text[at] == b'"');
        let at = at + quote;
        let end = match self {
            Self::Count(place) => {
                let (number, end) = whole(text, at)?;
                row.numbers[place] = Number::Whole(number);
                if number > MAX_COUNT {
                    return None;
                }
                end
            }
            Self::Squares(place) => {
                let (number, end) = whole(text, at)?;
                row.numbers[place] = Number::Whole(number);
                end
            }
            Self::Decimal(place) => {
                let (number, end) = decimal(text, at)?;
                row.numbers[place] = number;
                end
            }
            Self::Date => {
                let (seconds, end) = whole(text, at)?;
                row.moment = dates::of_seconds(seconds)?;
                if row.moment.day < EARLIEST_PLAUSIBLE {
                    return None;
                }
                end
            }
            Self::Code(code) => row.codes.read(code, text, at, codes),
            Self::Ignored => plain_end(text, at),
        };
        if quote == 1 && text[end] != b'"' {
            return None;
        }
        Some(end + quote)
    }
}

/// Digits, perhaps with zeros after a point as columns of doubles are printed.
#[inline]
fn whole(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let (number, digits) = leading_digits(&text[at..])?;
    let mut end = at + digits;
    if digits == 0 || digits > 15 {
        return None;
    }
    if text[end] == b'.' {
        let (fraction, digits) = leading_digits(&text[end + 1..])?;
        if fraction != 0 || digits == 0 {
            return None;
        }
        end += 1 + digits;
    }
    Some((number, end))
}

/// At most 18 digits, at most 12 of them after the point.
#[inline]
fn decimal(text: &[u8], at: usize) -> Option<(Number, usize)> {
    let minus = usize::from(text[at] == b'-');
    let at = at + minus;
    let (whole, digits) = leading_digits(&text[at..])?;
    let mut end = at + digits;
    if digits == 0 || digits > 15 {
        return None;
    }
    let (mut mantissa, mut decimals) = (whole, 0);
    if text[end] == b'.' {
        let (fraction, more) = leading_digits(&text[end + 1..])?;
        if more == 0 || more > 12 || digits + more > 18 {
            return None;
        }
        mantissa = whole * TENS[more] + fraction;
        decimals = more;
        end += 1 + more;
    }
    let mantissa = i64::try_from(mantissa).ok()?;
    let number = Number::Decimal {
        mantissa: if minus == 1 { -mantissa } else { mantissa },
        decimals: u8::try_from(decimals).ok()?,
    };
    Some((number, end))
}

/// Where the text of a field without quotes ends.
#[inline]
fn plain_end(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let ends = |byte: &u8| matches!(byte, b',' | b'\n' | b'\r' | b'"' | 0);
    at + rest.iter().position(ends).unwrap_or(rest.len() - 1)
}

/// The codes of a row: known ones by their numbers, others by where they stand.
#[derive(Debug, Default)]
pub(super) struct RowCodes {
    has_policy: bool,
    has_trait: bool,
    agent: Found,
    variation: Found,
    policy: Found,
    trait_group: Found,
    trait_value: Found,
}

#[derive(Debug, Clone, Copy)]
enum Found {
    Known(u32),
    Text { start: usize, end: usize },
}

impl Default for Found {
    fn default() -> Self {
        Self::Text { start: 0, end: 0 }
    }
}

impl Found {
    fn is_empty(self) -> bool {
        matches!(self, Self::Text { start, end } if start == end)
    }

    #[inline]
    fn number(self, text: &[u8], line: u64, codes: &mut Codes) -> Option<u32> {
        match self {
            Self::Known(number) => {
                codes.seen(number);
                Some(number)
            }
            Self::Text { start, end } => codes.number(&text[start..end], line).ok(),
        }
    }
}

impl RowCodes {
    #[inline]
    fn read(&mut self, code: Code, text: &[u8], at: usize, codes: &AllCodes) -> usize {
        let (known, found) = match code {
            Code::Agent => (&codes.agents, &mut self.agent),
            Code::Variation => (&codes.variations, &mut self.variation),
            Code::Policy => (&codes.policies, &mut self.policy),
            Code::TraitGroup => (&codes.trait_groups, &mut self.trait_group),
            Code::TraitValue => (&codes.trait_values, &mut self.trait_value),
        };
        if let Some((number, length)) = known.expected(&text[at..]) {
            *found = Found::Known(number);
            return at + length;
        }
        let end = plain_end(text, at);
        *found = Found::Text { start: at, end };
        end
    }

    /// Numbers of the agent and of the key; None where some code is missing or is none.
    #[inline]
    pub(super) fn number(
        &self,
        text: &[u8],
        line: u64,
        codes: &mut AllCodes,
    ) -> Option<(u32, KeyNumbers)> {
        let of_trait = self.has_trait && !self.trait_group.is_empty();
        if of_trait != (self.has_trait && !self.trait_value.is_empty()) {
            return None;
        }
        let agent = self.agent.number(text, line, &mut codes.agents)?;
        let variation = self.variation.number(text, line, &mut codes.variations)?;
        let policy = if self.has_policy && !self.policy.is_empty() {
            self.policy.number(text, line, &mut codes.policies)?
        } else {
            codes.policies.number(b"r", line).ok()?
        };
        let of_trait = if of_trait {
            let group = self.trait_group;
            let value = self.trait_value;
            Some((
                group.number(text, line, &mut codes.trait_groups)?,
                value.number(text, line, &mut codes.trait_values)?,
            ))
        } else {
            None
        };
        Some((agent, (variation, policy, of_trait)))
    }
}
