//! Agent days -> a CSV that reads back as the same agent days, to the last digit.
//!
//! A file says of a goal that it is absent by having no columns for it, and it says so of all its
//! days: an empty field is an error, and zeros would be another statement. So days that hold
//! different goals belong into different files, and [`Columns`] is what the days of one file share.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::agent_day::{AgentDay, Cell, Decimal, GoalValues};

/// Digits after the point that are kept.
const MOST_DECIMALS: i8 = 12;

/// The goals of a file, by code, and whether each has value columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Columns(Vec<(Arc<str>, bool)>);

impl Columns {
    /// Those that say what `day` says. None for a day that no file can have said: a goal with
    /// values in some of its cells only.
    #[must_use]
    pub fn of(day: &AgentDay) -> Option<Self> {
        let mut columns = Vec::with_capacity(day.goals.len());
        for (index, code) in day.goals.iter().enumerate() {
            let mut valued = day
                .cells
                .iter()
                .map(|cell| cell.goals[index].values.is_some());
            let first = valued.next().unwrap_or(false);
            if valued.any(|other| other != first) {
                return None;
            }
            columns.push((Arc::clone(code), first));
        }
        // The order of columns says nothing: a reader takes the order of its own spec.
        columns.sort();
        Some(Self(columns))
    }

    pub fn goals(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|(code, _)| &**code)
    }

    /// The header line.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let mut names: Vec<Cow<str>> = [
            "Date",
            "Agent",
            "Variation",
            "Policy",
            "Trait_Group",
            "Trait_Value",
            "Sels",
        ]
        .map(Cow::Borrowed)
        .into();
        for (code, valued) in &self.0 {
            names.push(Cow::Borrowed(code));
            names.push(format!("{code}_sumsq").into());
            if *valued {
                names.push(format!("{code}_val").into());
                names.push(format!("{code}_val_sumsq").into());
            }
        }
        record(names.iter().map(|name| name.as_bytes()))
    }

    /// The lines of a day whose columns these are.
    #[must_use]
    pub fn rows(&self, day: &AgentDay) -> Vec<u8> {
        let order: Vec<usize> = self
            .0
            .iter()
            .filter_map(|(code, _)| day.goals.iter().position(|goal| goal == code))
            .collect();
        let mut lines = Vec::new();
        for cell in &day.cells {
            lines.extend(row(day, cell, &order, Part::Written));
            if has_finer_digits(cell) {
                lines.extend(row(day, cell, &order, Part::Finer));
            }
        }
        lines
    }
}

/// A sum of numbers of different precision has digits beyond the precision that it is known to,
/// which one number cannot say. Two rows of one key, which are added up, can.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Everything, values down to their last written digit.
    Written,
    /// The rest of the values, and zeros.
    Finer,
}

fn row(day: &AgentDay, cell: &Cell, order: &[usize], part: Part) -> Vec<u8> {
    let (group, value) = match &cell.key.visitor_trait {
        Some(of_trait) => (&*of_trait.group, &*of_trait.value),
        None => ("", ""),
    };
    let whole = |number: u128| match part {
        Part::Written => number.to_string(),
        Part::Finer => "0".to_owned(),
    };
    let mut fields = vec![
        day.day.unix_seconds().to_string(),
        day.agent.to_string(),
        cell.key.variation.to_string(),
        cell.key.policy.to_string(),
        group.to_owned(),
        value.to_owned(),
        whole(cell.visitors.into()),
    ];
    for goal in order {
        let counts = &cell.goals[*goal];
        fields.push(whole(counts.count.into()));
        fields.push(whole(counts.count_sumsq));
        if let Some(GoalValues { sum, sumsq }) = counts.values {
            fields.push(decimal(sum, part));
            fields.push(decimal(sumsq, part));
        }
    }
    record(fields.iter().map(|field| field.as_bytes()))
}

fn has_finer_digits(cell: &Cell) -> bool {
    let values = cell.goals.iter().filter_map(|counts| counts.values);
    values
        .flat_map(|values| [values.sum, values.sumsq])
        .any(|decimal| decimal.units % unit(decimal.decimals) != 0)
}

fn decimal(number: Decimal, part: Part) -> String {
    let unit = unit(number.decimals);
    match part {
        Part::Written => written(number.units / unit, number.decimals),
        Part::Finer => written(number.units % unit, MOST_DECIMALS),
    }
}

/// `mantissa` times 10^-`decimals`, with that very precision.
fn written(mantissa: i128, decimals: i8) -> String {
    let Ok(decimals) = usize::try_from(decimals) else {
        return format!("{mantissa}e{}", -i16::from(decimals));
    };
    if decimals == 0 {
        return mantissa.to_string();
    }
    let sign = if mantissa < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    format!("{sign}{whole}.{fraction}")
}

/// One unit of the last written digit, in units of 1e-12.
fn unit(decimals: i8) -> i128 {
    let power = u32::try_from(i16::from(MOST_DECIMALS) - i16::from(decimals)).unwrap_or(0);
    10_i128.saturating_pow(power)
}

fn record<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    // Into memory: it cannot fail.
    writer.write_record(fields).ok();
    writer.into_inner().unwrap_or_default()
}
