//! Random visitors, with traits and policies, summed as an export sums them: no cell and no total
//! is flagged, and whatever is broken in them is found.

use super::*;

/// A visitor's policy and trait, and the events.
type Seen = (usize, usize, Vec<i64>);

fn seen() -> impl Strategy<Value = Vec<Seen>> {
    prop::collection::vec((0..2_usize, 0..3_usize, visitor()), 0..60)
}

/// Sums of the visitors that are of one policy and trait, or of all.
fn sums(all: &[Seen], of: impl Fn(usize, usize) -> bool) -> (u64, GoalCounts) {
    let chosen: Vec<Vec<i64>> = all
        .iter()
        .filter(|(policy, value, _)| of(*policy, *value))
        .map(|(_, _, events)| events.clone())
        .collect();
    let (goal, sum, sumsq) = cell(&chosen);
    let values = GoalValues {
        sum: printed(sum, 2, Printed::Rounded),
        sumsq: printed(sumsq, 4, Printed::Rounded),
    };
    let goal = GoalCounts {
        values: Some(values),
        ..goal
    };
    (chosen.len() as u64, goal)
}

/// Adds a cell to another as totals are made.
fn add(total: &mut (u64, GoalCounts), (visitors, goal): (u64, GoalCounts)) {
    total.0 += visitors;
    total.1.count += goal.count;
    total.1.count_sumsq += goal.count_sumsq;
    let (sum, more) = (total.1.values.unwrap(), goal.values.unwrap());
    total.1.values = Some(GoalValues {
        sum: sum.sum.checked_add(more.sum).unwrap(),
        sumsq: sum.sumsq.checked_add(more.sumsq).unwrap(),
    });
}

/// A way to break sums, and whether it applies to them. Each is impossible whatever the dating.
fn always_broken(visitors: u64, goal: GoalCounts, by: u128) -> Vec<(&'static str, GoalCounts)> {
    let values = goal.values.unwrap();
    let with = |count, count_sumsq| GoalCounts {
        count,
        count_sumsq,
        ..goal
    };
    let worth = |sum: i128, sumsq: i128| GoalCounts {
        values: Some(GoalValues {
            sum: Decimal {
                units: sum,
                ..values.sum
            },
            sumsq: Decimal {
                units: sumsq,
                ..values.sumsq
            },
        }),
        ..goal
    };
    let (sum, sumsq) = (values.sum.units, values.sumsq.units);
    let one = Decimal::ONE;
    let count = u128::from(goal.count);
    let mut broken = vec![
        ("parity", with(goal.count, goal.count_sumsq + 2 * by - 1)),
        (
            "one visitor gives no more",
            with(goal.count, count * count + 2 * by),
        ),
        ("negative value", worth(-one - sum, sumsq)),
        ("negative squares", worth(sum, -one - sumsq)),
    ];
    if goal.count > 0 {
        broken.push(("no squares", with(goal.count, 0)));
        broken.push(("fewer squares than events", with(goal.count, count - 1)));
        // One visitor with the whole value, and half again.
        let most = i128::pow(sum / 10_i128.pow(10) + 2, 2) * 10_i128.pow(8);
        broken.push((
            "squares of more than the value",
            worth(sum, most * 3 / 2 + one),
        ));
    } else {
        broken.push(("squares of no events", with(0, 2 * by)));
        broken.push(("a value of no events", worth(one, one)));
    }
    if sum > 10 * one {
        broken.push(("a value without squares", worth(sum, 0)));
        // Fewer squares than if all events were of visitors of their own.
        let even = (sum / one) * sum / i128::from(goal.count);
        broken.push((
            "a value too large for its squares",
            worth(sum, even / 2 - one),
        ));
    }
    assert!(visitors > 0 || goal.count == 0);
    broken
}

proptest! {
    #[test]
    fn no_cell_and_no_total_of_real_visitors_is_flagged(all in seen()) {
        let mut total = sums(&all, |_, _| false);
        for policy in 0..2 {
            for value in 0..3 {
                let cell = sums(&all, |p, v| p == policy && v == value);
                prop_assert_eq!(check_cell(cell.0, &cell.1, false, Dating::Exposure), [None, None]);
                add(&mut total, cell);
                prop_assert_eq!(check_cell(total.0, &total.1, false, Dating::Exposure), [None, None]);
            }
        }
        prop_assert_eq!(total.1, sums(&all, |_, _| true).1);
    }

    #[test]
    fn whatever_is_broken_is_found(all in seen(), by in 1..50_u128) {
        let (visitors, goal) = sums(&all, |_, _| true);
        for (what, broken) in always_broken(visitors, goal, by) {
            for dating in [Dating::Exposure, Dating::Event] {
                let found = check_cell(visitors, &broken, false, dating);
                let always = found.into_iter().flatten().any(|rule| rule.kind() == FindingKind::Always);
                prop_assert!(always, "{what}: {broken:?} of {goal:?} gives {found:?}");
            }
        }
        // What only a visitor on several days explains: a warning, and nothing under Dating::Event.
        let of_dating = [
            (0, goal, goal.count > 0),
            (goal.count.saturating_sub(1).max(1), counts(goal.count, u128::from(goal.count)), goal.count > 1),
            (1, goal, goal.count_sumsq < u128::from(goal.count).pow(2)),
        ];
        for (visitors, goal, applies) in of_dating {
            if applies {
                let found = check_cell(visitors, &goal, false, Dating::Exposure);
                let dating = found.into_iter().flatten().any(|rule| rule.kind() == FindingKind::Dating);
                prop_assert!(dating, "{visitors} {goal:?} gives {found:?}");
                prop_assert_eq!(check_cell(visitors, &goal, false, Dating::Event), [None, None]);
            }
        }
    }
}
