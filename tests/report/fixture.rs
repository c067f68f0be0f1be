//! Agent data written as lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sumsq::domain::agent::{Agent, DeclaredVariation};
use sumsq::domain::agent_day::{
    AgentDay, Cell, CellKey, Day, Decimal, GoalCounts, GoalValues, VisitorTrait,
};
use sumsq::domain::data_source::{Dating, Goal, GoodDirection, SourceKey};
use sumsq::domain::description::Description;
use sumsq::domain::report::view::{Concern, ConcernCode, TestingReport};
use sumsq::domain::report::{AgentData, SourceData, Tally, TestingQuery, testing};

/// 2026-01-05, a Monday.
pub const MONDAY: i32 = 20_458;

/// When every report of the tests is read: long after the last day, and before the next fetch.
pub fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// One row: `day variation policy trait visitors goal...`. The day counts from [`MONDAY`]; a trait
/// is `-` or `group=value`; a goal is `count/sumsq` or `count/sumsq/value/valuesq`, and `x` where
/// the day's file lacks it. Goals are those given, in order.
pub fn data(goals: &[&str], rows: &[String]) -> AgentData {
    let mut days = BTreeMap::<i32, Vec<&String>>::new();
    for row in rows {
        let day = row.split(' ').next().unwrap().parse().unwrap();
        days.entry(day).or_default().push(row);
    }
    let days = days
        .into_iter()
        .map(|(day, rows)| agent_day(MONDAY + day, goals, &rows))
        .collect();
    AgentData {
        code: "checkout".into(),
        resource: None,
        source: SourceData {
            key: SourceKey {
                namespace: "growth".into(),
                name: "sales".into(),
            },
            description: Description {
                display_name: "Sales".into(),
                goals: goals.iter().map(|code| goal(code)).collect(),
                dating: Dating::Exposure,
                schedule: "0 9 * * *".into(),
                time_zone: "UTC".into(),
                ..Description::default()
            },
            data_as_of: Some("2026-06-01T09:00:00Z".parse().unwrap()),
            imported_at: Some("2026-06-01T09:00:00Z".parse().unwrap()),
            last_error: None,
            days,
        },
    }
}

pub fn goal(code: &str) -> Goal {
    Goal {
        code: code.into(),
        display_name: None,
        numeric: false,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    }
}

fn agent_day(day: i32, goals: &[&str], rows: &[&String]) -> AgentDay {
    let fields: Vec<Vec<&str>> = rows.iter().map(|row| row.split(' ').collect()).collect();
    let present: Vec<usize> = (0..goals.len())
        .filter(|goal| fields[0][5 + goal] != "x")
        .collect();
    let mut cells: Vec<Cell> = fields
        .iter()
        .map(|fields| Cell {
            key: CellKey {
                variation: fields[1].into(),
                policy: fields[2].into(),
                visitor_trait: fields[3]
                    .split_once('=')
                    .map(|(group, value)| VisitorTrait {
                        group: group.into(),
                        value: value.into(),
                    }),
            },
            visitors: fields[4].parse().unwrap(),
            goals: present
                .iter()
                .map(|goal| counts(fields[5 + goal]))
                .collect(),
        })
        .collect();
    cells.sort_by(|a, b| a.key.cmp(&b.key));
    AgentDay {
        agent: "checkout".into(),
        day: Day(day),
        goals: present.iter().map(|goal| Arc::from(goals[*goal])).collect(),
        cells: cells.into(),
    }
}

fn counts(text: &str) -> GoalCounts {
    let numbers: Vec<&str> = text.split('/').collect();
    GoalCounts {
        count: numbers[0].parse().unwrap(),
        count_sumsq: numbers[1].parse().unwrap(),
        values: (numbers.len() == 4).then(|| GoalValues {
            sum: decimal(numbers[2]),
            sumsq: decimal(numbers[3]),
        }),
    }
}

fn decimal(text: &str) -> Decimal {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let padded = format!("{whole}{fraction:0<12}");
    Decimal {
        units: padded.parse().unwrap(),
        decimals: i8::try_from(fraction.len()).unwrap(),
    }
}

/// An Agent that declares variations by weight.
pub fn agent(variations: &[(&str, f64)]) -> Agent {
    Agent {
        code: "checkout".into(),
        display_name: None,
        goals: Vec::new(),
        baseline: None,
        target_lift: None,
        variations: variations
            .iter()
            .map(|(code, weight)| DeclaredVariation {
                code: (*code).into(),
                display_name: None,
                weight: *weight,
            })
            .collect(),
    }
}

pub fn rows(rows: &[&str]) -> Vec<String> {
    rows.iter().map(ToString::to_string).collect()
}

/// The report of `query`, written as in an address.
pub fn tally(data: &AgentData) -> Tally {
    Tally::new(data.clone())
}

pub fn report(data: &AgentData, query: &str) -> TestingReport {
    testing(&tally(data), &parsed(query), now()).unwrap()
}

pub fn parsed(query: &str) -> TestingQuery {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    TestingQuery::parse(pairs.map(|pair| pair.split_once('=').unwrap())).unwrap()
}

pub fn concern(report: &TestingReport, code: ConcernCode) -> Option<&Concern> {
    report.concerns.iter().find(|concern| concern.code == code)
}
