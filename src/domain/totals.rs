//! Which rows of a day count each visitor once, under traits and policies.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::agent_day::{AgentDay, CellKey};

/// Visitors assigned at random, as in an A/B test.
pub const RANDOM_POLICY: &str = "r";

/// One arm's rows on one day that share policy and trait group.
#[derive(Debug, Clone)]
pub struct Rows {
    pub variation: Arc<str>,
    pub policy: Arc<str>,
    /// None: the rows without a trait.
    pub group: Option<Arc<str>>,
    /// Their place among the day's cells.
    pub cells: Range<usize>,
    pub visitors: u64,
    /// Whether these are the rows that count each visitor of the day and policy once.
    pub whole: bool,
}

/// A day's rows. One choice for all arms of a policy says which count each visitor once: the rows
/// without a trait where there are any, else the trait group with the most visitors (of several,
/// the first by code).
#[must_use]
pub fn rows(day: &AgentDay) -> Vec<Rows> {
    let mut start = 0;
    let mut rows: Vec<Rows> = day
        .cells
        .keys()
        .chunk_by(|a, b| {
            is_same(&a.variation, &b.variation)
                && is_same(&a.policy, &b.policy)
                && match (group(a), group(b)) {
                    (Some(a), Some(b)) => is_same(a, b),
                    (a, b) => a == b,
                }
        })
        .map(|keys| {
            let place = start..start + keys.len();
            start = place.end;
            let visitors = day.cells.visitors()[place.clone()].iter();
            Rows {
                variation: Arc::clone(&keys[0].variation),
                policy: Arc::clone(&keys[0].policy),
                group: group(&keys[0]).cloned(),
                cells: place,
                visitors: visitors.fold(0, |sum, visitors| sum.saturating_add(*visitors)),
                whole: false,
            }
        })
        .collect();
    let mut chosen: Vec<(Arc<str>, Option<Arc<str>>)> = Vec::with_capacity(1);
    for of_policy in &rows {
        if !chosen.iter().any(|(policy, _)| *policy == of_policy.policy) {
            let policy = Arc::clone(&of_policy.policy);
            let group = choose(&rows, &policy).cloned();
            chosen.push((policy, group));
        }
    }
    for row in &mut rows {
        row.whole = chosen
            .iter()
            .any(|(policy, group)| *policy == row.policy && *group == row.group);
    }
    rows
}

/// Codes of one day are mostly shared.
fn is_same(one: &Arc<str>, other: &Arc<str>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

fn group(key: &CellKey) -> Option<&Arc<str>> {
    key.visitor_trait.as_ref().map(|of| &of.group)
}

/// The trait group whose rows are the totals; None: the rows without a trait.
fn choose<'a>(rows: &'a [Rows], policy: &str) -> Option<&'a Arc<str>> {
    let mut visitors: Vec<(&Arc<str>, u64)> = Vec::new();
    for row in rows.iter().filter(|row| *row.policy == *policy) {
        let group = row.group.as_ref()?;
        match visitors.iter_mut().find(|(known, _)| *known == group) {
            Some((_, sum)) => *sum = sum.saturating_add(row.visitors),
            None => visitors.push((group, row.visitors)),
        }
    }
    visitors
        .into_iter()
        .max_by(|(a, of_a), (b, of_b)| of_a.cmp(of_b).then_with(|| b.cmp(a)))
        .map(|(group, _)| group)
}

/// The visitors under each policy, by code, of rows under all policies.
#[must_use]
pub fn policies<'a>(rows: impl IntoIterator<Item = &'a Rows>) -> BTreeMap<Arc<str>, u64> {
    let mut visitors = BTreeMap::<&Arc<str>, u64>::new();
    for row in rows {
        if row.whole {
            let sum = visitors.entry(&row.policy).or_default();
            *sum = sum.saturating_add(row.visitors);
        }
    }
    let owned = visitors.into_iter();
    owned
        .map(|(policy, sum)| (Arc::clone(policy), sum))
        .collect()
}

/// The policy that a Testing Report is about: `r`, or where there is none the one with the most
/// visitors (of several, the first by code). None without days.
#[must_use]
pub fn reported_policy(policies: &BTreeMap<Arc<str>, u64>) -> Option<&Arc<str>> {
    let random = policies.keys().find(|policy| ***policy == *RANDOM_POLICY);
    let most = policies.values().max()?;
    let largest = policies.iter().find(|(_, sum)| *sum == most);
    random.or(largest.map(|(policy, _)| policy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent_day::{Cell, Day, VisitorTrait};

    /// `variation policy group=value visitors`; `-` for no trait.
    fn day(cells: &[&str]) -> AgentDay {
        let cells = cells.iter().map(|text| {
            let fields: Vec<_> = text.split(' ').collect();
            let visitor_trait = fields[2]
                .split_once('=')
                .map(|(group, value)| VisitorTrait {
                    group: group.into(),
                    value: value.into(),
                });
            Cell {
                key: CellKey {
                    variation: fields[0].into(),
                    policy: fields[1].into(),
                    visitor_trait,
                },
                visitors: fields[3].parse().unwrap(),
                goals: Vec::new(),
            }
        });
        AgentDay {
            agent: "agent-1".into(),
            day: Day(1),
            goals: Arc::from([]),
            cells: cells.collect(),
        }
    }

    /// The rows that count each visitor once.
    fn whole(cells: &[&str]) -> Vec<String> {
        rows(&day(cells))
            .iter()
            .filter(|row| row.whole)
            .map(|row| {
                let group = row.group.as_deref().unwrap_or("-");
                format!("{} {} {group} {}", row.variation, row.policy, row.visitors)
            })
            .collect()
    }

    #[test]
    fn one_choice_for_all_arms_of_a_policy() {
        let cases: [(&[&str], &[&str]); 5] = [
            // Rows without a trait are the total,
            (
                &["A r - 10", "A r s=g 4", "A r s=p 7", "B r - 9"],
                &["A r - 10", "B r - 9"],
            ),
            // also where another arm has none.
            (&["A r - 10", "B r s=g 9"], &["A r - 10"]),
            // Without them it is the largest group, of all arms together,
            (
                &["A r s=g 4", "A r s=p 5", "A r t=x 11", "B r s=g 9"],
                &["A r s 9", "B r s 9"],
            ),
            // and of equals the first.
            (&["A r s=g 5", "A r t=x 5"], &["A r s 5"]),
            // Each policy has its own.
            (
                &["A f s=g 5", "A r - 5", "A r s=g 5"],
                &["A f s 5", "A r - 5"],
            ),
        ];
        for (cells, expected) in cases {
            assert_eq!(whole(cells), expected, "{cells:?}");
        }
    }

    #[test]
    fn the_policy_is_r_or_else_the_largest() {
        let reported = |cells: &[&str]| {
            let day = day(cells);
            let rows = rows(&day);
            reported_policy(&policies(&rows)).map(ToString::to_string)
        };
        assert_eq!(reported(&["A f - 100", "A r - 1"]).as_deref(), Some("r"));
        assert_eq!(reported(&["A f - 10", "A p - 11"]).as_deref(), Some("p"));
        assert_eq!(reported(&["A f - 10", "A p - 10"]).as_deref(), Some("f"));
        assert_eq!(reported(&[]), None);
    }
}
