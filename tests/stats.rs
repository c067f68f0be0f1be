//! Laws of the statistics, for random data: what a report says never contradicts itself, no order
//! ever shows, and nothing that can be asked panics or gives what JSON can't hold.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "drawn numbers may be rounded"
)]

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use sumsq::domain::agent_day::{Decimal, GoalCounts};
use sumsq::domain::data_source::GoodDirection;
use sumsq::domain::stats::{
    Comparison, IntervalKind, Moments, Note, Settings, Stratum, Verdict, allocation_drift,
    always_valid_interval, arm_interval, chance_to_be_best, compare, days_left, interaction,
    post_stratify, sample_ratio, welch_anova,
};

/// A p nearer than this to the error rate may be rounded to either side of it.
const AT_THE_EDGE: f64 = 1e-12;

fn settings() -> impl Strategy<Value = Settings> {
    (
        prop_oneof![
            Just(0.5),
            Just(0.8),
            Just(0.9),
            Just(0.95),
            Just(0.99),
            0.5..0.9999
        ],
        prop_oneof![Just(1_u32), 2..20_u32],
        prop_oneof![Just(IntervalKind::Fixed), Just(IntervalKind::AlwaysValid)],
        any::<bool>(),
        prop_oneof![Just(GoodDirection::Increase), Just(GoodDirection::Decrease)],
    )
        .prop_map(
            |(confidence, family, interval, allow_negative, good_direction)| Settings {
                confidence,
                family,
                interval,
                allow_negative,
                good_direction,
            },
        )
}

/// An arm of a goal whose visitors convert once or not at all, often none or all of them.
fn binary_arm() -> impl Strategy<Value = Moments> {
    (
        2..200_000_u64,
        prop_oneof![2 => Just(0.0), 1 => Just(1.0), 4 => 0.0..0.02_f64, 2 => 0.0..1.0_f64],
    )
        .prop_map(|(visitors, rate)| {
            let converted = (visitors as f64 * rate).round() as u64;
            counts(visitors, converted, u128::from(converted))
        })
}

/// An arm of a goal that visitors reach several times, with any sum of squares they can have.
fn counted_arm() -> impl Strategy<Value = Moments> {
    (2..200_000_u64, 1..400_000_u64, 0.0..1.0_f64).prop_map(|(visitors, count, spread)| {
        let (each, rest) = (count / visitors, count % visitors);
        let even = u128::from(visitors * each * each + rest * (2 * each + 1));
        // Mostly near the least, where rates of real goals lie.
        let most = u128::from(count).pow(2).min(even * 50);
        let beyond = ((most - even) as f64 * spread.powi(3)) as u128;
        counts(visitors, count, even + beyond / 2 * 2)
    })
}

/// An arm of values that may be negative, in cents, of any size.
fn valued_arm() -> impl Strategy<Value = Moments> {
    (
        2..200_000_u64,
        -1_000_000_000_i64..1_000_000_000,
        0.0..6.0_f64,
        prop_oneof![Just(1_i128), Just(1000)],
    )
        .prop_map(|(visitors, cents, log_spread, unit)| {
            let sum = i128::from(cents) * unit;
            let least = sum * sum / i128::from(visitors) + 1;
            let squares = least + (least as f64 * (10_f64.powf(log_spread) - 1.0) * 1e-2) as i128;
            // Cents have hundredths, their squares ten-thousandths.
            Moments::new(
                visitors,
                Decimal {
                    units: sum * 10_i128.pow(10),
                    decimals: 2,
                },
                Decimal {
                    units: squares * 10_i128.pow(8),
                    decimals: 4,
                },
            )
        })
}

fn counts(visitors: u64, count: u64, count_sumsq: u128) -> Moments {
    let goal = GoalCounts {
        count,
        count_sumsq,
        values: None,
    };
    Moments::of_counts(visitors, &goal)
}

/// Two arms of one goal; often nearly alike, so that p is anywhere.
fn two_arms() -> impl Strategy<Value = (Moments, Moments)> {
    prop_oneof![
        (binary_arm(), binary_arm()),
        (counted_arm(), counted_arm()),
        (valued_arm(), valued_arm()),
        (valued_arm(), 0.5..2.0_f64).prop_map(|(arm, ratio)| {
            // The same visitors' values, scaled a little: both means have one sign.
            let visitors = arm.visitors();
            let sum = (arm.sum() * ratio * 100.0) as i128;
            let squares = (arm.sum_of_squares() * ratio * ratio * 1e4 * 1.001) as i128 + 1;
            let other = Moments::new(
                visitors,
                Decimal {
                    units: sum * 10_i128.pow(10),
                    decimals: 2,
                },
                Decimal {
                    units: squares * 10_i128.pow(8),
                    decimals: 4,
                },
            );
            (arm, other)
        }),
        (binary_arm(), -40..40_i64).prop_map(|(arm, step)| {
            let converted = (arm.sum() as u64)
                .saturating_add_signed(step)
                .min(arm.visitors());
            let other = counts(arm.visitors(), converted, u128::from(converted));
            (arm, other)
        }),
    ]
}

/// Whether an interval lies on one side of 0, and on which.
fn side(low: Option<f64>, high: Option<f64>) -> i8 {
    match (low, high) {
        (Some(low), _) if low > 0.0 => 1,
        (_, Some(high)) if high < 0.0 => -1,
        _ => 0,
    }
}

/// The verdict, both intervals and p of one comparison say the same.
fn agrees(compared: &Comparison, settings: &Settings) -> Result<(), TestCaseError> {
    let none = compared.verdict == Verdict::NotEnoughData;
    prop_assert_eq!(none, compared.p.is_none());
    prop_assert_eq!(none, compared.adjusted_p.is_none());
    prop_assert_eq!(none, compared.interval.is_none());
    let (Some(p), Some([low, high])) = (compared.p, compared.interval) else {
        prop_assert!(!compared.notes.is_empty(), "a reason is given");
        prop_assert_eq!(compared.relative_interval, None);
        return Ok(());
    };
    let difference = compared.difference.unwrap();
    prop_assert!(low <= difference && difference <= high);
    let error_rate = (1.0 - settings.confidence) / f64::from(settings.family);
    if (p - error_rate).abs() < AT_THE_EDGE {
        return Ok(());
    }
    let up = if p < error_rate {
        difference.signum() as i8
    } else {
        0
    };
    let good = if settings.good_direction == GoodDirection::Increase {
        up
    } else {
        -up
    };
    let expected = match good {
        1 => Verdict::Better,
        -1 => Verdict::Worse,
        _ => Verdict::Undecided,
    };
    prop_assert_eq!(compared.verdict, expected);
    prop_assert_eq!(side(Some(low), Some(high)), up, "the interval");
    if let Some([low, high]) = compared.relative_interval {
        prop_assert_eq!(side(low, high), up, "the relative interval");
        let lift = compared.relative_difference.unwrap();
        let rounding = 1e-9 * (1.0 + lift.abs());
        prop_assert!(low.is_none_or(|low| low <= lift + rounding));
        prop_assert!(high.is_none_or(|high| lift <= high + rounding));
        if low.is_none() || high.is_none() {
            prop_assert!(
                compared.notes.contains(&Note::NoUpperBound)
                    || compared.notes.contains(&Note::NoBounds)
            );
        }
    } else {
        prop_assert!(
            compared.notes.contains(&Note::BaselineIsZero)
                || compared.notes.contains(&Note::NoBounds)
        );
    }
    Ok(())
}

fn finite(numbers: impl IntoIterator<Item = f64>) -> Result<(), TestCaseError> {
    for number in numbers {
        prop_assert!(number.is_finite(), "{number}");
    }
    Ok(())
}

fn all_finite(compared: &Comparison) -> Result<(), TestCaseError> {
    finite(
        [
            compared.difference,
            compared.standard_error,
            compared.degrees_of_freedom,
            compared.t,
            compared.p,
            compared.adjusted_p,
            compared.relative_difference,
            compared.always_valid.p,
            compared.bayes.map(|bayes| bayes.chance_to_win),
            compared.bayes.map(|bayes| bayes.expected_loss),
            compared.minimum_detectable_difference,
        ]
        .into_iter()
        .flatten(),
    )?;
    finite(compared.interval.into_iter().flatten())?;
    finite(compared.relative_interval.into_iter().flatten().flatten())?;
    finite(compared.always_valid.interval.into_iter().flatten())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000,
        failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn verdict_intervals_and_p_agree((baseline, variation) in two_arms(), settings in settings()) {
        let compared = compare(&baseline, &variation, &settings);
        agrees(&compared, &settings)?;
        all_finite(&compared)?;
        // What stands there in both modes agrees with itself, and with the one for charts.
        let always_valid = compared.always_valid;
        prop_assert_eq!(
            always_valid.interval,
            always_valid_interval(&baseline, &variation, settings.confidence, settings.family)
        );
        prop_assert_eq!(always_valid.interval.is_none(), always_valid.note.is_some());
        prop_assert_eq!(always_valid.interval.is_none(), always_valid.p.is_none());
        // It is never shorter than the one for a single look.
        if let (Some([low, high]), Some(always), IntervalKind::Fixed) =
            (compared.interval, always_valid.interval, settings.interval)
        {
            prop_assert!(always[0] <= low && high <= always[1]);
        }
    }

    /// Exchanging the arms turns every sign round and changes nothing else.
    #[test]
    fn the_arms_may_change_places((baseline, variation) in two_arms(), settings in settings()) {
        let there = compare(&baseline, &variation, &settings);
        let back = compare(&variation, &baseline, &settings);
        prop_assert_eq!(there.p, back.p);
        prop_assert_eq!(there.difference.map(|d| -d + 0.0), back.difference.map(|d| d + 0.0));
        prop_assert_eq!(there.verdict == Verdict::Better, back.verdict == Verdict::Worse);
        if let (Some([low, high]), Some([back_low, back_high])) = (there.interval, back.interval) {
            let width = 1e-9 * (high - low);
            prop_assert!((low + back_high).abs() <= width && (high + back_low).abs() <= width);
        }
    }

    #[test]
    fn relative_limits_are_the_ratios_that_the_test_does_not_reject(
        (baseline, variation) in two_arms(),
        settings in settings(),
    ) {
        let compared = compare(&baseline, &variation, &settings);
        let (Some(error), Some([low, high])) = (compared.standard_error, compared.interval) else {
            return Ok(());
        };
        let critical = (high - low) / (2.0 * error);
        let mean = baseline.mean().unwrap();
        let (v_a, v_b) = (baseline.standard_error().unwrap().powi(2), variation.standard_error().unwrap().powi(2));
        let bounded = compared.relative_interval.into_iter().flatten().flatten();
        for lift in bounded {
            // m_B - r m_A is c of its own standard errors from 0, with r of the sign of m_A.
            let ratio = 1.0 + lift * mean.signum();
            let distance = variation.mean().unwrap() - ratio * mean;
            let expected = critical * (v_b + ratio * ratio * v_a).sqrt();
            if !settings.allow_negative && ratio.abs() < f64::EPSILON {
                // Nothing falls by more than all of it: a limit beyond is cut to that.
                prop_assert!(distance.abs() <= expected * (1.0 + 1e-6), "{distance} {expected}");
                continue;
            }
            // As sharp as doubles allow where the denominator nearly vanishes.
            let scale = expected + mean.abs() * ratio.abs();
            prop_assert!((distance.abs() - expected).abs() <= 1e-6 * scale, "{distance} {expected}");
        }
    }
}

/// Cells of one arm, as rows of a file.
fn cells() -> impl Strategy<Value = Vec<Moments>> {
    let decimal = || (-10_i128.pow(30)..10_i128.pow(30), 0..=12_i8);
    let valued = (any::<u32>(), decimal(), decimal()).prop_map(|(visitors, sum, squares)| {
        let decimal = |(units, decimals): (i128, i8)| Decimal { units, decimals };
        Moments::new(
            u64::from(visitors),
            decimal(sum),
            decimal((squares.0.abs(), squares.1)),
        )
    });
    prop::collection::vec(valued, 2..12)
}

fn pooled<'a>(cells: impl Iterator<Item = &'a Moments>) -> Moments {
    let mut sum = Moments::default();
    for cell in cells {
        sum.add(cell);
    }
    sum
}

proptest! {
    #[test]
    fn no_order_of_adding_shows(
        (cells, shuffled) in cells().prop_flat_map(|cells| (Just(cells.clone()), Just(cells).prop_shuffle())),
        split in 0..12_usize,
        settings in settings(),
    ) {
        let forward = pooled(cells.iter());
        prop_assert_eq!(&forward, &pooled(shuffled.iter()));
        // Days first, then their sums.
        let (first, rest) = shuffled.split_at(split.min(shuffled.len()));
        let mut by_days = pooled(rest.iter());
        by_days.add(&pooled(first.iter()));
        prop_assert_eq!(&forward, &by_days);
        let other = pooled(cells.iter().take(1));
        prop_assert_eq!(compare(&other, &forward, &settings), compare(&other, &by_days, &settings));
    }
}

/// Anything that the types can hold.
fn any_moments() -> impl Strategy<Value = Moments> {
    let number = || {
        prop_oneof![
            Just(0_u64),
            Just(1),
            Just(2),
            Just(u64::MAX),
            any::<u64>(),
            0..50_u64
        ]
    };
    let wide = || {
        prop_oneof![
            Just(0_i128),
            Just(i128::MAX),
            Just(i128::MIN),
            any::<i128>(),
            -50..50_i128
        ]
    };
    let decimal =
        move || (wide(), any::<i8>()).prop_map(|(units, decimals)| Decimal { units, decimals });
    let counted = (
        number(),
        number(),
        prop_oneof![Just(u128::MAX), any::<u128>(), 0..50_u128],
    )
        .prop_map(|(visitors, count, squares)| counts(visitors, count, squares));
    let valued = (number(), decimal(), decimal())
        .prop_map(|(visitors, sum, squares)| Moments::new(visitors, sum, squares));
    let doubled = (valued.clone().boxed(), 0..300_u32).prop_map(|(mut arm, times)| {
        for _ in 0..times {
            let same = arm.clone();
            arm.add(&same);
        }
        arm
    });
    prop_oneof![
        counted,
        valued,
        doubled,
        two_arms().prop_map(|(arm, _)| arm)
    ]
}

fn any_double() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(0.0),
        Just(1.0),
        Just(5e-324),
        0.0..1.0_f64,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500,
        failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_nothing_is_infinite(
        arms in prop::collection::vec(any_moments(), 0..6),
        doubles in prop::collection::vec(any_double(), 6),
        family in prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()],
        visitors in prop::collection::vec(prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), 0..9_u64], 0..6),
        plain in settings(),
    ) {
        let strange = Settings { confidence: doubles[0], family, ..plain };
        for arm in &arms {
            finite([arm.sum(), arm.sum_of_squares()])?;
            let of_one = [arm.mean(), arm.variance(), arm.standard_error(), arm.effective_conversions()];
            finite(of_one.into_iter().flatten())?;
            finite(arm_interval(arm, doubles[0]).into_iter().flatten())?;
            let _: bool = arm.is_impossible();
            for other in &arms {
                let compared = compare(arm, other, &plain);
                agrees(&compared, &plain)?;
                all_finite(&compared)?;
                all_finite(&compare(arm, other, &strange))?;
                let always = always_valid_interval(arm, other, doubles[0], family);
                finite(always.into_iter().flatten())?;
                for settings in [&plain, &strange] {
                    let _: Option<u32> = days_left(arm, other, settings, doubles[1], [doubles[2], doubles[3]]);
                }
            }
        }
        if let Ok(omnibus) = welch_anova(&arms) {
            finite([omnibus.f, omnibus.df1, omnibus.df2, omnibus.p])?;
        }
        if let Ok(chances) = chance_to_be_best(&arms, plain.good_direction) {
            finite(chances.iter().copied().flatten())?;
            let total: f64 = chances.iter().flatten().sum();
            prop_assert!((total - 1.0).abs() < 1e-9, "{chances:?}");
        }
        if let Some(ratio) = sample_ratio(&visitors, &doubles) {
            finite([ratio.statistic, ratio.df, ratio.p])?;
        }
        let days: Vec<Vec<u64>> = (0..visitors.len()).map(|day| visitors[day..].to_vec()).collect();
        if let Some(drift) = allocation_drift(&days) {
            finite([drift.chi_square.statistic, drift.chi_square.p, drift.largest_shift])?;
            let _: bool = drift.is_alarm();
        }
        let pairs: Vec<(Moments, Moments)> = arms
            .windows(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect();
        if let Ok(found) = interaction(&pairs) {
            finite([found.q, found.df, found.p])?;
            prop_assert_eq!(found.values.len() + found.left_out.len(), pairs.len());
        }
        let strata: Vec<Stratum> = pairs
            .into_iter()
            .zip(&visitors)
            .map(|((baseline, variation), visitors)| Stratum { visitors: *visitors, baseline, variation })
            .collect();
        if let Ok(found) = post_stratify(&strata, doubles[0], family) {
            finite([found.difference, found.standard_error, found.p, found.share_dropped])?;
            finite(found.interval)?;
        }
    }

    /// Sums that visitors made are never called impossible, however they were printed.
    #[test]
    fn sums_of_real_visitors_have_a_variance(
        cents in prop::collection::vec(-100_000..100_000_i64, 2..40),
        cuts in prop::collection::vec(0..40_usize, 0..4),
        (sum_decimals, square_decimals) in (0..=2_u32, 0..=4_u32),
    ) {
        let mut whole = Moments::default();
        let mut bounds: Vec<usize> = cuts.into_iter().map(|cut| cut % cents.len()).collect();
        bounds.extend([0, cents.len()]);
        bounds.sort_unstable();
        for bound in bounds.windows(2) {
            let cell = &cents[bound[0]..bound[1]];
            let cut = |units: i128, decimals: u32| Decimal {
                units: units - units % 10_i128.pow(12 - decimals),
                decimals: i8::try_from(decimals).unwrap(),
            };
            let sum: i128 = cell.iter().map(|cents| i128::from(*cents) * 10_i128.pow(10)).sum();
            let squares: i128 = cell.iter().map(|cents| i128::from(*cents).pow(2) * 10_i128.pow(8)).sum();
            whole.add(&Moments::new(
                cell.len() as u64,
                cut(sum, sum_decimals),
                cut(squares, square_decimals),
            ));
        }
        prop_assert!(!whole.is_impossible());
        prop_assert!(whole.variance().is_some());
    }
}
