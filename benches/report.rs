//! How long the reports of a large agent take: 90 days x 4 variations x 20 traits x 5 goals, which
//! a page must have in far less than the 15 ms it answers in: `cargo bench --bench report`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use sumsq::domain::agent_day::{
    AgentDay, Cell, CellKey, Day, Decimal, GoalCounts, GoalValues, VisitorTrait,
};
use sumsq::domain::data_source::{Goal, GoodDirection, SourceKey};
use sumsq::domain::description::Description;
use sumsq::domain::report::{
    ActivityQuery, AgentData, SourceData, Tally, TestingQuery, activity, choices, goals, testing,
};

const DAYS: i32 = 90;
const VARIATIONS: [&str; 4] = ["A", "B", "C", "D"];
const TRAITS: usize = 20;
const GOALS: usize = 5;

/// Each cell has other numbers, all of them possible.
fn cell(day: i32, variation: &str, visitor_trait: Option<usize>) -> Cell {
    let seed = u64::try_from(day).unwrap_or(0) * 31 + visitor_trait.unwrap_or(TRAITS) as u64 * 7;
    let people = if visitor_trait.is_some() {
        1
    } else {
        TRAITS as u64
    };
    let visitors = people * (500 + seed % 17);
    let counts = (0..GOALS as u64).map(|goal| {
        let twice = people * (3 + (seed + goal) % 5);
        let count = people * (40 + (seed * (goal + 1)) % 13) + 2 * twice;
        let amount = |units: u64| Decimal {
            units: i128::from(units) * Decimal::ONE / 100,
            decimals: 2,
        };
        GoalCounts {
            count,
            count_sumsq: u128::from(count + 2 * twice),
            values: Some(GoalValues {
                sum: amount(count * 2500),
                sumsq: amount((count + 2 * twice) * 80_000),
            }),
        }
    });
    Cell {
        key: CellKey {
            variation: variation.into(),
            policy: "r".into(),
            visitor_trait: visitor_trait.map(|value| VisitorTrait {
                group: "loyalty-status".into(),
                value: format!("level-{value}").into(),
            }),
        },
        visitors,
        goals: counts.collect(),
    }
}

/// After the last day.
fn fetched_at() -> Option<Timestamp> {
    Timestamp::from_second(i64::from(20_458 + DAYS) * 86_400).ok()
}

fn agent() -> AgentData {
    let codes: Vec<String> = (0..GOALS).map(|goal| format!("goal-{goal}")).collect();
    let days = (0..DAYS).map(|day| {
        let mut cells: Vec<Cell> = VARIATIONS
            .iter()
            .flat_map(|variation| {
                // None without a trait: the totals are added up from these, which takes longest.
                let traits = (0..TRAITS).map(Some);
                traits.map(move |visitor_trait| cell(day, variation, visitor_trait))
            })
            .collect();
        cells.sort_by(|a, b| a.key.cmp(&b.key));
        AgentDay {
            agent: "checkout".into(),
            day: Day(20_458 + day),
            goals: codes.iter().map(|code| code.as_str().into()).collect(),
            cells: cells.into(),
        }
    });
    let goal = |code: &String| Goal {
        code: code.clone(),
        display_name: None,
        numeric: true,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    };
    AgentData {
        code: "checkout".into(),
        resource: None,
        source: SourceData {
            key: SourceKey {
                namespace: "growth".into(),
                name: "sales".into(),
            },
            description: Description {
                goals: codes.iter().map(goal).collect(),
                schedule: "0 9 * * *".into(),
                time_zone: "UTC".into(),
                ..Description::default()
            },
            data_as_of: fetched_at(),
            imported_at: fetched_at(),
            last_error: None,
            days: days.collect(),
        },
    }
}

fn reports(criterion: &mut Criterion) {
    let data = agent();
    let tally = Tally::new(data.clone());
    let now = fetched_at().unwrap_or_default();
    let query = TestingQuery::default();
    let by_trait = TestingQuery {
        trait_group: Some("loyalty-status".into()),
        ..TestingQuery::default()
    };
    criterion.bench_function("tally", |bencher| {
        bencher.iter_batched(|| data.clone(), Tally::new, BatchSize::LargeInput);
    });
    criterion.bench_function("testing", |bencher| {
        bencher.iter(|| testing(black_box(&tally), &query, now));
    });
    criterion.bench_function("testing by trait", |bencher| {
        bencher.iter(|| testing(black_box(&tally), &by_trait, now));
    });
    criterion.bench_function("goals", |bencher| {
        bencher.iter(|| goals(black_box(&tally), &query, now));
    });
    criterion.bench_function("choices", |bencher| {
        bencher.iter(|| choices(black_box(&tally)));
    });
    let activity_query = ActivityQuery::default();
    criterion.bench_function("activity", |bencher| {
        bencher.iter(|| activity(black_box(&data), &[], &activity_query, now));
    });
}

criterion_group!(benches, reports);
criterion_main!(benches);
