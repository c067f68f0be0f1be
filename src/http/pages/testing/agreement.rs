//! A p and the interval beside it say the same, in every table: below 1 - confidence exactly where
//! the interval leaves zero out.

use std::fmt::Write as _;

use super::{View, goals, tables, traits};
use crate::domain::counts_csv::{CsvSpec, Limits, Reader};
use crate::domain::data_source::{Dating, Goal, GoodDirection, OnIntegrityProblem, SourceKey};
use crate::domain::description::Description;
use crate::domain::report::{self, AgentData, SourceData, Tally, TestingQuery};
use crate::http::pages::format::Unit;

/// Three arms over four days, with a trait of two values: B has `more` conversions a day than A and
/// C `more` fewer. Where the split drifts, A has ever fewer of the visitors.
fn data(more: u64, drifts: bool) -> AgentData {
    let mut csv = "Date,Agent,Variation,Sels,Trait_Group,Trait_Value,g,g_sumsq\n".to_owned();
    for day in 0..4_u64 {
        for (variation, conversions) in [("A", 300), ("B", 300 + more), ("C", 300 - more)] {
            let visitors = if drifts && variation == "A" {
                3_000 - 400 * day
            } else {
                3_000
            };
            for (group, value, part) in [("", "", 1), ("t", "x", 2), ("t", "y", 2)] {
                let (visitors, conversions) = (visitors / part, conversions / part);
                writeln!(
                    csv,
                    "{},a,{variation},{visitors},{group},{value},{conversions},{conversions}",
                    1_767_571_200 + day * 86_400
                )
                .unwrap();
            }
        }
    }
    let goals = vec![Goal {
        code: "g".into(),
        display_name: None,
        numeric: false,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    }];
    let spec = CsvSpec {
        goals: goals.clone(),
        dating: Dating::Exposure,
        on_integrity_problem: OnIntegrityProblem::Warn,
    };
    let mut reader = Reader::new(spec, Limits::default());
    reader.feed(csv.as_bytes()).unwrap();
    let days = reader.finish().unwrap().agent_days.collect();
    AgentData {
        code: "a".into(),
        resource: None,
        source: SourceData {
            key: SourceKey {
                namespace: "growth".into(),
                name: "sales".into(),
            },
            description: Description {
                goals,
                schedule: "0 9 * * *".into(),
                time_zone: "UTC".into(),
                ..Description::default()
            },
            data_as_of: None,
            imported_at: None,
            last_error: None,
            days,
        },
    }
}

/// Interval and p as the tables show them, each with its table's name.
fn shown(data: &AgentData, pairs: &[(&str, &str)]) -> Vec<(&'static str, String, String)> {
    let query = TestingQuery::parse(pairs.iter().copied()).unwrap();
    let now = "2026-06-01T12:00:00Z".parse().unwrap();
    let tally = Tally::new(data.clone());
    let report = report::testing(&tally, &query, now).unwrap();
    let all_goals = report::goals(&tally, &query, now).unwrap();
    let view = View {
        report: &report,
        unit: Unit::Rate,
        pairs: report.query_pairs(),
        address: String::new(),
        good_direction: GoodDirection::Increase,
    };
    let mut shown = Vec::new();
    for row in tables::comparisons(&view) {
        shown.push(("comparison", row.interval, row.p));
        let p = row.always_valid_p.trim_start_matches("p ").to_owned();
        shown.push(("always valid", row.always_valid, p));
    }
    for row in goals::rows(&view, Some(&all_goals), None) {
        shown.push(("goal", row.interval, row.p));
    }
    for row in tables::strata(&view) {
        shown.push(("stratified", row.interval, row.p));
    }
    for row in traits::comparisons(&view)
        .into_iter()
        .flat_map(|by| by.rows)
    {
        shown.push(("trait", row.interval, row.p));
    }
    shown
}

/// None where there is no interval. No bound of these data is zero, and so none may be shown as it.
fn excludes_zero(interval: &str) -> Option<bool> {
    let (low, high) = interval.split_once(" to ")?;
    let number = |text: &str| -> f64 { text.replace('−', "-").parse().unwrap() };
    let (low, high) = (number(low), number(high));
    assert!(low.abs() > 0.0 && high.abs() > 0.0, "{interval}");
    Some(low > 0.0 || high < 0.0)
}

#[test]
fn a_p_never_contradicts_the_interval_beside_it() {
    let mut seen = std::collections::BTreeMap::new();
    for drifts in [false, true] {
        for more in (0..160).step_by(4) {
            let data = data(more, drifts);
            for interval in ["fixed", "alwaysValid"] {
                for by_trait in [vec![], vec![("traitGroup", "t")]] {
                    let mut pairs = vec![("interval", interval)];
                    pairs.extend(by_trait);
                    for (table, interval, p) in shown(&data, &pairs) {
                        let Some(excludes) = excludes_zero(&interval) else {
                            continue;
                        };
                        let small = p.trim_start_matches("< ").parse::<f64>().unwrap() < 0.05;
                        assert_eq!(
                            small, excludes,
                            "{table}: {interval}, p {p}; {more} {pairs:?}"
                        );
                        seen.entry(table).or_insert([0, 0])[usize::from(small)] += 1;
                    }
                }
            }
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    for (table, [large, small]) in seen {
        assert!(large > 0 && small > 0, "{table}: {large}, {small}");
    }
}
