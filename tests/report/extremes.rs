//! Whatever a store holds, a report is made of it, and its JSON has numbers.

use std::sync::Arc;

use proptest::prelude::*;
use sumsq::domain::agent_day::{
    AgentDay, Cell, CellKey, Day, Decimal, GoalCounts, GoalValues, VisitorTrait,
};
use sumsq::domain::report::view::{ActivityReport, GoalsReport, TestingReport};
use sumsq::domain::report::{ActivityQuery, AgentData, activity, choices, csv, goals, testing};

use crate::fixture::{MONDAY, data, now, parsed, tally};

/// Small, ordinary and beyond all bounds.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        0..3_u64,
        0..1000_u64,
        Just(1_000_000_000_000_000),
        any::<u64>()
    ]
}

fn decimal() -> impl Strategy<Value = Decimal> {
    let units = prop_oneof![
        Just(0),
        (0..100_000_i128).prop_map(|cents| cents * 10_000_000_000),
        Just(i128::MAX),
        Just(i128::MIN),
        any::<i128>(),
    ];
    (units, -4..=12_i8).prop_map(|(units, decimals)| Decimal { units, decimals })
}

fn counts() -> impl Strategy<Value = GoalCounts> {
    let squares = prop_oneof![count().prop_map(u128::from), any::<u128>()];
    let values = proptest::option::of((decimal(), decimal()));
    (count(), squares, values, any::<bool>()).prop_map(|(count, squares, values, binary)| {
        GoalCounts {
            count,
            count_sumsq: if binary { count.into() } else { squares },
            values: values.map(|(sum, sumsq)| GoalValues { sum, sumsq }),
        }
    })
}

fn cell() -> impl Strategy<Value = Cell> {
    let visitor_trait = proptest::option::of((0..2_usize, 0..3_usize));
    let key = (0..4_usize, 0..2_usize, visitor_trait);
    (key, count(), [counts(), counts()]).prop_map(
        |((variation, policy, visitor_trait), visitors, goals)| Cell {
            key: CellKey {
                variation: ["A", "B", "C", "D"][variation].into(),
                policy: ["r", "f"][policy].into(),
                visitor_trait: visitor_trait.map(|(group, value)| VisitorTrait {
                    group: ["s", "t"][group].into(),
                    value: ["x", "y", "z"][value].into(),
                }),
            },
            visitors,
            goals: goals.into(),
        },
    )
}

fn agent_data() -> impl Strategy<Value = AgentData> {
    let day = (proptest::collection::vec(cell(), 0..12), any::<bool>());
    let days = proptest::collection::vec(day, 0..4);
    (days, any::<bool>()).prop_map(|(days, numeric)| {
        let mut data = data(&["sales", "visits"], &[]);
        data.source.description.goals[0].numeric = numeric;
        let days = days
            .into_iter()
            .enumerate()
            .map(|(index, (mut cells, both))| {
                cells.sort_by(|a: &Cell, b| a.key.cmp(&b.key));
                cells.dedup_by(|a, b| a.key == b.key);
                let goals: &[&str] = if both {
                    &["sales", "visits"]
                } else {
                    &["visits"]
                };
                for cell in &mut cells {
                    cell.goals.truncate(goals.len());
                }
                AgentDay {
                    agent: "checkout".into(),
                    day: Day(MONDAY + i32::try_from(index).unwrap()),
                    goals: goals.iter().map(|code| Arc::from(*code)).collect(),
                    cells: cells.into(),
                }
            });
        data.source.days = days.collect();
        data
    })
}

/// A NaN or infinity would be null in JSON without a word.
fn no_number_is_missing(shown: &str) -> Result<(), TestCaseError> {
    let words = shown.split(|c: char| !c.is_alphanumeric());
    for word in words {
        prop_assert!(word != "NaN" && word != "inf", "{shown}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_number_in_json_is_one(
        data in agent_data(),
        query in prop_oneof![
            Just(""), Just("metric=value"), Just("interval=alwaysValid&confidence=0.9999"),
            Just("policy=all&targetLift=0.01&adjust=none"), Just("goal=visits&from=2026-01-06"),
            Just("goal=visits&targetLift=100&confidence=0.5&from=2026-02-01"),
        ],
    ) {
        let offered = choices(&tally(&data));
        let mut query = parsed(query);
        query.trait_group = offered.traits.first().map(|(group, _)| group.clone());
        // Not every goal or policy is there each time.
        let Ok(report) = testing(&tally(&data), &query, now()) else {
            return Ok(());
        };
        no_number_is_missing(&format!("{report:?}"))?;
        let json = serde_json::to_string(&report).unwrap();
        let read: TestingReport = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read.sentence, &report.sentence);
        let rows = csv::testing_csv(&report);
        prop_assert!(rows.starts_with("namespace,"));
        no_number_is_missing(&sumsq::domain::report::terminal::testing_text(&report, false))?;

        let all = goals(&tally(&data), &query, now()).unwrap();
        no_number_is_missing(&format!("{all:?}"))?;
        serde_json::from_str::<GoalsReport>(&serde_json::to_string(&all).unwrap()).unwrap();

        let asked = ActivityQuery { cumulative: Some(true), ..ActivityQuery::default() };
        let activity = activity(&data, &[], &asked, now()).unwrap();
        no_number_is_missing(&format!("{activity:?}"))?;
        serde_json::from_str::<ActivityReport>(&serde_json::to_string(&activity).unwrap()).unwrap();
    }
}
