//! The same totals recomputed the slow way: row by row, with maps, for random small data.

#![allow(clippy::cast_precision_loss, reason = "the numbers are small")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use sumsq::domain::report::view::{Arm, TestingReport};
use sumsq::domain::report::{ActivityQuery, AgentData, activity, testing};

use crate::fixture::{MONDAY, data, now, parsed, tally};

/// A row as it would stand in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    day: i32,
    variation: &'static str,
    policy: &'static str,
    visitor_trait: Option<(&'static str, &'static str)>,
    visitors: u64,
    /// Orders of each visitor who had some, of the first goal.
    orders: Vec<u64>,
    visits: u64,
}

impl Row {
    fn sum(&self) -> u64 {
        self.orders.iter().sum()
    }

    fn squares(&self) -> u64 {
        self.orders.iter().map(|orders| orders * orders).sum()
    }

    fn line(&self, absent: bool) -> String {
        let visitor_trait = match self.visitor_trait {
            Some((group, value)) => format!("{group}={value}"),
            None => "-".into(),
        };
        let orders = if absent {
            "x".into()
        } else {
            // Each order is worth 2.50.
            let (sum, squares) = (self.sum(), self.squares());
            format!(
                "{sum}/{squares}/{:.2}/{:.2}",
                sum as f64 * 2.5,
                squares as f64 * 6.25
            )
        };
        format!(
            "{} {} {} {visitor_trait} {} {orders} {}/{}",
            self.day, self.variation, self.policy, self.visitors, self.visits, self.visits
        )
    }
}

fn row() -> impl Strategy<Value = Row> {
    let variation = prop::sample::select(vec!["A2", "A10", "B"]);
    let policy = prop::sample::select(vec!["r", "r", "f"]);
    let visitor_trait = prop::sample::select(vec![
        None,
        None,
        Some(("s", "g")),
        Some(("s", "p")),
        Some(("t", "x")),
    ]);
    let people = (0..40_u64, prop::collection::vec(1..4_u64, 0..6), 0..9_u64);
    (0..4_i32, variation, policy, visitor_trait, people).prop_map(
        |(day, variation, policy, visitor_trait, (more, orders, visits))| Row {
            day,
            variation,
            policy,
            visitor_trait,
            visitors: more + orders.len() as u64,
            orders,
            visits: visits.min(more),
        },
    )
}

/// Days 0 to 3, some of which lack the first goal.
#[derive(Debug, Clone)]
struct File {
    rows: Vec<Row>,
    absent: Vec<bool>,
}

fn file() -> impl Strategy<Value = File> {
    let rows = prop::collection::vec(row(), 1..30);
    (rows, prop::collection::vec(prop::bool::weighted(0.2), 4)).prop_map(|(rows, absent)| {
        let mut unique = BTreeMap::new();
        for row in rows {
            let key = (row.day, row.variation, row.policy, row.visitor_trait);
            unique.insert(key, row);
        }
        File {
            rows: unique.into_values().collect(),
            absent,
        }
    })
}

impl File {
    fn data(&self) -> AgentData {
        let lines: Vec<String> = self
            .rows
            .iter()
            .map(|row| row.line(self.lacks(row.day)))
            .collect();
        let mut data = data(&["orders", "visits"], &lines);
        data.source.description.goals[0].numeric = true;
        data
    }

    fn lacks(&self, day: i32) -> bool {
        self.absent[usize::try_from(day).unwrap()]
    }

    /// Rows that count each visitor once under a policy.
    fn whole(&self, policy: Option<&str>, days: (i32, i32)) -> Vec<&Row> {
        let mut found = Vec::new();
        for day in days.0..=days.1 {
            for of_policy in ["f", "r"] {
                if policy.is_some_and(|policy| policy != of_policy) {
                    continue;
                }
                let rows: Vec<&Row> = self
                    .rows
                    .iter()
                    .filter(|row| row.day == day && row.policy == of_policy)
                    .collect();
                if rows.iter().any(|row| row.visitor_trait.is_none()) {
                    found.extend(rows.iter().filter(|row| row.visitor_trait.is_none()));
                    continue;
                }
                let mut groups = BTreeMap::<&str, u64>::new();
                for row in &rows {
                    *groups.entry(row.visitor_trait.unwrap().0).or_default() += row.visitors;
                }
                let most = groups.values().max().copied();
                let group = groups.iter().find(|(_, sum)| Some(**sum) == most);
                if let Some((group, _)) = group {
                    let of_group = |row: &&&Row| row.visitor_trait.unwrap().0 == *group;
                    found.extend(rows.iter().filter(of_group));
                }
            }
        }
        found
    }
}

/// Visitors, events, sum and squares by variation, of the days that have the goal.
fn slow_arms(file: &File, rows: &[&Row]) -> BTreeMap<&'static str, (u64, u64, f64, f64)> {
    let mut arms = BTreeMap::new();
    for row in rows {
        let arm: &mut (u64, u64, f64, f64) = arms.entry(row.variation).or_default();
        if !file.lacks(row.day) {
            arm.0 += row.visitors;
            arm.1 += row.sum();
            arm.2 += row.sum() as f64 * 2.5;
            arm.3 += row.squares() as f64 * 6.25;
        }
    }
    arms
}

fn arms(arms: &[Arm]) -> BTreeMap<&str, (u64, u64, f64, f64)> {
    arms.iter()
        .map(|arm| {
            let numbers = (arm.visitors, arm.conversions, arm.sum, arm.sum_of_squares);
            (arm.variation.as_str(), numbers)
        })
        .collect()
}

fn ask(file: &File, query: &str) -> Option<TestingReport> {
    testing(&tally(&file.data()), &parsed(query), now()).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn totals_are_those_of_the_slow_way(file in file(), first in 0..4_i32, last in 0..4_i32) {
        let (first, last) = (first.min(last), first.max(last));
        let day = |number: i32| sumsq::domain::agent_day::Day(MONDAY + number);
        let range = format!("from={}&to={}", day(first), day(last));
        for policy in ["r", "f", "all"] {
            let query = format!("goal=orders&metric=value&{range}&policy={policy}");
            // The goal may be on no day, or the policy on none.
            let Some(report) = ask(&file, &query) else { continue };
            let filter = (policy != "all").then_some(policy);
            let whole = file.whole(filter, (first, last));
            let mut slow = slow_arms(&file, &whole);
            // An arm without totals stands there with none.
            let in_view = |row: &&Row| {
                (first..=last).contains(&row.day) && filter.is_none_or(|of| of == row.policy)
            };
            for row in file.rows.iter().filter(in_view) {
                slow.entry(row.variation).or_default();
            }
            prop_assert_eq!(arms(&report.arms), slow.clone());
            let everybody: u64 = file.whole(None, (first, last)).iter().map(|r| r.visitors).sum();
            let here: u64 = whole.iter().map(|row| row.visitors).sum();
            prop_assert_eq!(report.visitors_under_other_policies, everybody - here);
            let mut codes: Vec<&str> = slow.into_keys().collect();
            codes.sort_by_key(|code| ["A2", "A10", "B"].iter().position(|known| known == code));
            let shown: Vec<&str> = report.arms.iter().map(|arm| arm.variation.as_str()).collect();
            prop_assert_eq!(shown, codes);
            for (index, of_day) in report.by_day.iter().enumerate() {
                let until = of_day.day.0 - MONDAY;
                let sums = slow_arms(&file, &file.whole(filter, (first, until)));
                for difference in &of_day.cumulative {
                    let mean = |code: &str| sums.get(code).filter(|s| s.0 > 0).map(|s| s.2 / s.0 as f64);
                    let expected = mean(&difference.variation).zip(mean(&report.baseline));
                    let expected = expected.map(|(b, a)| b - a);
                    let close = match (expected, difference.difference) {
                        (Some(a), Some(b)) => (a - b).abs() < 1e-12,
                        (a, b) => a.is_none() && b.is_none(),
                    };
                    prop_assert!(close, "day {index}: {expected:?} {difference:?}");
                }
            }
        }
    }

    #[test]
    fn a_trait_value_has_its_own_rows(file in file()) {
        let Some(report) = ask(&file, "goal=orders&metric=value&policy=all&traitGroup=s&traitValue=g")
        else { return Ok(()) };
        let rows: Vec<&Row> = file
            .rows
            .iter()
            .filter(|row| row.visitor_trait == Some(("s", "g")))
            .collect();
        let mut slow = slow_arms(&file, &rows);
        let shown = arms(&report.arms);
        // An arm without such rows stands there with none.
        for code in shown.keys() {
            if !slow.contains_key(code) {
                prop_assert_eq!(shown[code], (0, 0, 0.0, 0.0));
            }
        }
        slow.retain(|code, _| shown.contains_key(code));
        for (code, sums) in slow {
            prop_assert_eq!(shown[code], sums);
        }
        let Some(group) = ask(&file, "goal=orders&metric=value&policy=all&traitGroup=s")
        else { return Ok(()) };
        for of in group.by_trait.iter().flatten().filter(|of| of.value == "g") {
            prop_assert_eq!(arms(&of.arms), shown.clone());
        }
    }

    #[test]
    fn order_never_shows(file in file(), seed in any::<prop::sample::Index>()) {
        let mut turned = file.clone();
        let by = seed.index(file.rows.len());
        turned.rows.rotate_left(by);
        turned.rows.reverse();
        let query = "goal=visits&policy=all";
        prop_assert_eq!(ask(&file, query), ask(&turned, query));
    }

    #[test]
    fn activity_counts_what_testing_counts(file in file()) {
        let data = file.data();
        let query = ActivityQuery::parse([("goal", "visits"), ("per", "week"), ("cumulative", "true")]);
        let report = activity(&data, &[], &query.unwrap(), now()).unwrap();
        let mut slow = BTreeMap::<&str, (u64, u64)>::new();
        for row in file.whole(None, (0, 3)) {
            let sums = slow.entry(row.variation).or_default();
            sums.0 += row.visitors;
            sums.1 += row.visits;
        }
        for (total, last) in report.totals.iter().zip(&report.rows.last().unwrap().cells) {
            let (visitors, visits) = slow.get(total.group.as_str()).copied().unwrap_or_default();
            prop_assert_eq!((total.visitors, total.conversions), (visitors, Some(visits)));
            prop_assert_eq!(total.rate, (visitors > 0).then(|| visits as f64 / visitors as f64));
            // Cumulative to the last week, which is all.
            prop_assert_eq!((last.visitors, last.rate), (total.visitors, total.rate));
        }
    }
}
