//! Agent days -> a CSV that reads back as the same agent days, to the last digit.
//!
//! A file says of a goal that it is absent by having no columns for it, and it says so of all its
//! days: an empty field is an error, and zeros would be another statement. So days that hold
//! different goals belong into different files, and [`Columns`] is what the days of one file share.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::agent_day::{AgentDay, CellView, Decimal, GoalValues};

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

    #[must_use]
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
        for cell in day.cells.iter() {
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

fn row(day: &AgentDay, cell: CellView<'_>, order: &[usize], part: Part) -> Vec<u8> {
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
    record(fields.iter().map(String::as_bytes))
}

fn has_finer_digits(cell: CellView<'_>) -> bool {
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

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::super::super::agent_day::{Cell, CellKey, Day, GoalCounts, VisitorTrait};
    use super::super::super::data_source::{Dating, Goal, GoodDirection, OnIntegrityProblem};
    use super::super::{CsvSpec, Limits, Reader};
    use super::*;

    /// As a file may write them, or sums of such of different precision.
    fn decimals() -> impl Strategy<Value = Decimal> {
        let written = (-499_999_999_999_i128..=499_999_999_999, -12_i8..=12).prop_map(
            |(mantissa, decimals)| Decimal {
                units: mantissa * unit(decimals),
                decimals,
            },
        );
        prop_oneof![
            written.clone(),
            (written.clone(), written).prop_map(|(one, other)| one.checked_add(other).unwrap()),
        ]
    }

    fn codes() -> impl Strategy<Value = Arc<str>> {
        prop_oneof![
            prop::sample::select(vec![
                "A", "r", " a ", "a,b", "\"q\"", "-1", "=1+1", "0", "é‑x"
            ])
            .prop_map(Arc::from),
            "\\P{Cc}{1,30}".prop_map(Arc::from),
        ]
    }

    fn keys() -> impl Strategy<Value = CellKey> {
        let of_trait = prop::option::of((codes(), codes()));
        (codes(), codes(), of_trait).prop_map(|(variation, policy, of_trait)| CellKey {
            variation,
            policy,
            visitor_trait: of_trait.map(|(group, value)| VisitorTrait { group, value }),
        })
    }

    const MOST: u64 = 1_000_000_000_000_000;

    fn counts(valued: Vec<bool>) -> impl Strategy<Value = Vec<GoalCounts>> {
        let one = move |valued: bool| {
            (
                0..=MOST,
                0..=u128::from(MOST) * u128::from(MOST),
                decimals(),
                decimals(),
            )
                .prop_map(move |(count, count_sumsq, sum, sumsq)| GoalCounts {
                    count,
                    count_sumsq,
                    values: valued.then_some(GoalValues { sum, sumsq }),
                })
        };
        valued.into_iter().map(one).collect::<Vec<_>>()
    }

    fn days() -> impl Strategy<Value = AgentDay> {
        let day = prop_oneof![10_957..50_000_i32, Just(0), -10_000..0_i32];
        let goals = vec(any::<bool>(), 1..4);
        (codes(), day, goals).prop_flat_map(|(agent, day, valued)| {
            let goals: Vec<Arc<str>> = (0..valued.len())
                .map(|goal| Arc::from(format!("g-{goal}")))
                .collect();
            let cell = (0..=MOST, counts(valued));
            btree_map(keys(), cell, 1..6).prop_map(move |cells| AgentDay {
                agent: Arc::clone(&agent),
                day: Day(day),
                goals: goals.clone().into(),
                cells: cells
                    .into_iter()
                    .map(|(key, (visitors, goals))| Cell {
                        key,
                        visitors,
                        goals,
                    })
                    .collect(),
            })
        })
    }

    fn read(file: &[u8]) -> Vec<AgentDay> {
        let goal = |number: usize| Goal {
            code: format!("g-{number}"),
            display_name: None,
            numeric: false,
            allow_negative: false,
            good_direction: GoodDirection::Increase,
        };
        let spec = CsvSpec {
            goals: (0..5).map(goal).collect(),
            dating: Dating::Exposure,
            on_integrity_problem: OnIntegrityProblem::Warn,
        };
        let mut reader = Reader::new(spec, Limits::default());
        reader.feed(file).unwrap();
        reader.finish().unwrap().agent_days.collect()
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(day in days()) {
            let columns = Columns::of(&day).unwrap();
            let file = [columns.header(), columns.rows(&day)].concat();
            let shown = String::from_utf8_lossy(&file).into_owned();
            prop_assert_eq!(read(&file), [day], "{}", shown);
        }
    }

    #[test]
    fn numbers_keep_their_last_written_digit() {
        let decimal = |units, decimals| Decimal { units, decimals };
        for (number, expected) in [
            (decimal(0, 0), ["0", "0.000000000000"]),
            (decimal(0, 2), ["0.00", "0.000000000000"]),
            (decimal(0, -4), ["0e4", "0.000000000000"]),
            (decimal(9_990_000_000_000, 2), ["9.99", "0.000000000000"]),
            (decimal(-50_000_000_000, 2), ["-0.05", "0.000000000000"]),
            (
                decimal(150_000 * Decimal::ONE, -4),
                ["15e4", "0.000000000000"],
            ),
            // 1.5 + 2.25 is known to a tenth only.
            (decimal(3_750_000_000_000, 1), ["3.7", "0.050000000000"]),
            (decimal(-3_750_000_000_000, 1), ["-3.7", "-0.050000000000"]),
        ] {
            let parts = [Part::Written, Part::Finer];
            assert_eq!(parts.map(|part| super::decimal(number, part)), expected);
        }
    }

    #[test]
    fn absence_is_a_matter_of_columns() {
        let day = |goals: &[(&str, bool)]| AgentDay {
            agent: "a".into(),
            day: Day(19_800),
            goals: goals.iter().map(|(code, _)| Arc::from(*code)).collect(),
            cells: ["A", "B"]
                .map(|variation| Cell {
                    key: CellKey {
                        variation: variation.into(),
                        policy: "r".into(),
                        visitor_trait: None,
                    },
                    visitors: 10,
                    goals: goals
                        .iter()
                        .map(|(_, valued)| GoalCounts {
                            values: valued.then(GoalValues::default),
                            ..GoalCounts::default()
                        })
                        .collect(),
                })
                .into_iter()
                .collect(),
        };
        let columns = |goals: &[(&str, bool)]| Columns::of(&day(goals)).unwrap();
        assert_ne!(columns(&[("g", false)]), columns(&[("g", true)]));
        assert_ne!(
            columns(&[("g", false)]),
            columns(&[("g", false), ("h", false)])
        );
        assert_eq!(
            columns(&[("h", true), ("g", false)]),
            columns(&[("g", false), ("h", true)])
        );
        let mut mixed = day(&[("g", true)]);
        let mut cells = mixed.cells.to_cells();
        cells[1].goals[0].values = None;
        mixed.cells = cells.into();
        assert_eq!(Columns::of(&mixed), None);
        let header = columns(&[("h", true), ("g", false)]).header();
        assert_eq!(
            String::from_utf8(header).unwrap(),
            "Date,Agent,Variation,Policy,Trait_Group,Trait_Value,Sels,g,g_sumsq,h,h_sumsq,h_val,\
             h_val_sumsq\n"
        );
    }
}
