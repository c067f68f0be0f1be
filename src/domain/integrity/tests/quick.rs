//! The rules in a hurry against the rules.

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::super::*;

/// A goal's numbers, exactly and as they are looked at in a hurry: about as many as `visitors` can
/// have had, and some that they can't.
fn hurried() -> impl Strategy<Value = (u64, GoalCounts, Quick)> {
    let scales = (0..=12_i8, 0..=12_i8);
    (
        0..60_u64,
        0..70_u64,
        0..30_u64,
        0..400_i64,
        0..400_u32,
        scales,
    )
        .prop_map(
            |(visitors, count, more, cents, spread, (sum_scale, sumsq_scale))| {
                let count_sumsq = u128::from(count) + u128::from(more);
                // From W = V^2 / (the most converters + 1) up to W = V^2, and a little beyond.
                let square = f64::from(i32::try_from(cents * cents).unwrap());
                let squares =
                    square * f64::from(spread) / 360.0 / (1.0 + f64::from(spread % 7) * 4.0);
                let decimal = |cents: f64, scale: i8| {
                    let mantissa = (cents * 10_f64.powi(i32::from(scale) - 2)).round();
                    #[allow(clippy::cast_possible_truncation, reason = "below 2^53")]
                    let mantissa = i128::from(mantissa as i64);
                    let units = mantissa * 10_i128.pow(u32::try_from(12 - scale).unwrap());
                    Decimal {
                        units,
                        decimals: scale,
                    }
                };
                #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
                let sum = decimal(cents as f64, sum_scale);
                let sumsq = decimal(squares / 100.0, sumsq_scale);
                let quick = Quick {
                    count,
                    count_sumsq: u64::try_from(count_sumsq).unwrap(),
                    values: Some((sum.to_f64(), sumsq.to_f64())),
                };
                let values = Some(GoalValues { sum, sumsq });
                (
                    visitors,
                    GoalCounts {
                        count,
                        count_sumsq,
                        values,
                    },
                    quick,
                )
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn in_a_hurry_no_broken_rule_is_missed(
        (visitors, exact, quick) in hurried(),
        allow_negative in any::<bool>(),
        has_values in any::<bool>(),
    ) {
        let (exact, quick) = if has_values {
            (exact, quick)
        } else {
            (GoalCounts { values: None, ..exact }, Quick { values: None, ..quick })
        };
        for dating in [Dating::Exposure, Dating::Event] {
            if quick.is_sound(visitors, dating) {
                let broken = check_cell(visitors, &exact, allow_negative, dating);
                prop_assert_eq!(broken, [None, None], "{:?} {:?}", dating, exact);
            }
        }
    }
}

/// Of what can be, most is seen to be so in a hurry, though what is drawn lies near the bounds.
#[test]
fn in_a_hurry_most_cells_are_sound() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut possible, mut sound) = (0, 0);
    for _ in 0..4_000 {
        let (visitors, exact, quick) = hurried().new_tree(&mut runner).unwrap().current();
        if check_cell(visitors, &exact, false, Dating::Exposure) == [None, None] {
            possible += 1;
            sound += usize::from(quick.is_sound(visitors, Dating::Exposure));
        }
    }
    assert!(
        possible > 300 && sound * 3 > possible * 2,
        "{sound} of {possible}"
    );
}
