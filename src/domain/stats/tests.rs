//! Published values, edges, and what a comparison must say of small cases.

mod several;

use super::*;
use crate::domain::agent_day::{Decimal, GoalCounts};
use crate::domain::data_source::GoodDirection;

/// A number as a file writes it.
pub(super) fn decimal(text: &str) -> Decimal {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().unwrap();
    Decimal {
        units: digits * 10_i128.pow(12 - u32::try_from(fraction.len()).unwrap()),
        decimals: i8::try_from(fraction.len()).unwrap(),
    }
}

fn values(visitors: u64, sum: &str, sum_of_squares: &str) -> Moments {
    Moments::new(visitors, decimal(sum), decimal(sum_of_squares))
}

fn counts(visitors: u64, count: u64, count_sumsq: u128) -> Moments {
    let goal = GoalCounts {
        count,
        count_sumsq,
        values: None,
    };
    Moments::of_counts(visitors, &goal)
}

fn settings() -> Settings {
    Settings {
        confidence: 0.95,
        family: 1,
        interval: IntervalKind::Fixed,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    }
}

#[track_caller]
fn close(actual: impl Into<Option<f64>>, expected: f64, relative: f64) {
    let actual = actual.into().unwrap();
    let error = ((actual - expected) / expected).abs();
    assert!(
        error <= relative,
        "{actual} is {error:e} from {expected}, of which {relative:e} is allowed"
    );
}

#[test]
fn tea_tastings_user_guide() {
    let compared = compare(
        &counts(2023, 1073, 2073),
        &counts(1977, 1133, 2121),
        &settings(),
    );
    close(compared.p, 0.117_731_779_987_16, 1e-9);
    close(compared.difference, 0.042_690_145_771_8, 1e-9);
    close(compared.degrees_of_freedom, 3995.7567, 1e-8);
    let [low, high] = compared.interval.unwrap();
    close(low, -0.010_800_201_6, 1e-8);
    close(high, 0.096_180_493_1, 1e-8);
    assert_eq!(compared.verdict, Verdict::Undecided);
}

#[test]
fn growth_books_unit_test() {
    let compared = compare(
        &values(3407, "1396.87", "52377.9767"),
        &values(3461, "2422.7", "134698.29"),
        &settings(),
    );
    close(compared.difference, 0.29, 1e-9);
    close(compared.standard_error, 0.124_783_631_6, 1e-9);
    close(compared.p, 0.020_158_402_6, 1e-8);
    let [low, high] = compared.interval.unwrap();
    close(low, 0.045_377_892_6, 1e-8);
    close(high, 0.534_622_107_4, 1e-8);
    assert_eq!(compared.verdict, Verdict::Better);
}

#[test]
fn the_documents_own_example() {
    let compared = compare(&counts(10, 1, 1), &counts(9, 3, 5), &settings());
    close(compared.difference, 0.233_333_333_3, 1e-9);
    close(compared.degrees_of_freedom, 10.827_371_695_2, 1e-11);
    close(compared.p, 0.381_967_181_7, 1e-9);
    close(compared.standard_error, 0.256_038_3, 1e-6);
    close(compared.t, 0.911_321_9, 1e-6);
    close(compared.relative_difference, 2.333_333_333_3, 1e-9);
    // One conversion cannot be told from none: no bound for the lift.
    assert_eq!(compared.relative_interval, Some([None, None]));
    assert_eq!(compared.notes, [Note::NoBounds]);
    assert_eq!(
        compared.always_valid.note,
        Some(Note::FewConversionsForAlwaysValid)
    );
    assert_eq!(compared.verdict, Verdict::Undecided);
}

#[test]
fn sample_ratios_that_were_published() {
    let two = |a, b| sample_ratio(&[a, b], &[1.0, 1.0]).unwrap().p;
    close(two(600, 400), 2.539_628_589_5e-10, 1e-9);
    close(two(821_588, 815_482), 1.821_79e-6, 1e-5);
}

#[test]
fn sums_are_exact() {
    // A million visitors around ten million, with variance 1.
    let (n, mean) = (1_000_000_i128, 10_000_000_i128);
    let decimal = |whole: i128| Decimal {
        units: whole * Decimal::ONE,
        decimals: 0,
    };
    // Half of them at mean - 1, half at mean + 1.
    let arm = Moments::new(1_000_000, decimal(n * mean), decimal(n * (mean * mean + 1)));
    close(arm.variance(), 1_000_000.0 / 999_999.0, 1e-15);
    // Their difference from others a millionth away.
    let other = Moments::new(
        1_000_000,
        Decimal {
            units: n * mean * Decimal::ONE + Decimal::ONE,
            decimals: 12,
        },
        decimal(n * (mean * mean + 1)),
    );
    close(compare(&arm, &other, &settings()).difference, 1e-6, 1e-15);
}

#[test]
fn sums_that_no_visitors_have() {
    // One unit of the last written digit is forgiven.
    for (sum, squares, impossible) in [
        ("10.00", "10.0000", false),
        ("10.00", "9.9999", false),
        ("10.01", "10.0000", false),
        ("10.00", "9.9", false),
        ("10.00", "9.70", true),
        ("20.00", "10.00", true),
    ] {
        let arm = values(10, sum, squares);
        assert_eq!(arm.is_impossible(), impossible, "{sum} {squares}");
        assert_eq!(arm.variance(), (!impossible).then_some(0.0));
    }
    // Counts are exact.
    assert!(counts(10, 11, 11).is_impossible());
    let compared = compare(&counts(10, 11, 11), &counts(10, 3, 3), &settings());
    assert_eq!(compared.notes, [Note::ImpossibleSums]);
    assert_eq!(compared.verdict, Verdict::NotEnoughData);
    close(compared.difference, -0.8, 1e-15);
}

#[test]
fn edges() {
    let settings = settings();
    let verdict = |a: &Moments, b: &Moments| {
        let compared = compare(a, b, &settings);
        (compared.verdict, compared.notes)
    };
    let one = counts(1, 1, 1);
    let some = counts(1000, 30, 30);
    assert_eq!(
        verdict(&one, &some),
        (Verdict::NotEnoughData, vec![Note::FewerThanTwoVisitors])
    );
    let nobody = verdict(&Moments::default(), &some);
    assert_eq!(nobody.1, [Note::FewerThanTwoVisitors]);
    // No conversions in the baseline: the score test, and no lift.
    assert_eq!(
        verdict(&counts(1000, 0, 0), &some),
        (Verdict::Better, vec![Note::BaselineIsZero, Note::ScoreTest])
    );
    assert_eq!(
        verdict(&some, &counts(1000, 0, 0)),
        (Verdict::Worse, vec![Note::ScoreTest])
    );
    let none = compare(&counts(1000, 0, 0), &counts(500, 0, 0), &settings);
    assert_eq!((none.p, none.verdict), (Some(1.0), Verdict::Undecided));
    // Values without variance are no rates.
    assert_eq!(
        verdict(&values(1000, "0", "0"), &values(1000, "90.5", "1000")),
        (
            Verdict::NotEnoughData,
            vec![Note::BaselineIsZero, Note::NoVariance]
        )
    );
    // Far beyond chance.
    let (_, notes) = verdict(
        &counts(1_000_000, 10, 10),
        &counts(1_000_000, 500_000, 500_000),
    );
    assert!(notes.contains(&Note::LeastP), "{notes:?}");
    // A baseline below zero: the lift is relative to its magnitude.
    let refunds = Settings {
        allow_negative: true,
        ..settings
    };
    let better = compare(
        &values(1000, "-500", "2000"),
        &values(1000, "-250", "2000"),
        &refunds,
    );
    close(better.relative_difference, 0.5, 1e-12);
    assert_eq!(better.notes, [Note::BaselineIsNegative]);
    assert_eq!(better.verdict, Verdict::Better);
    let [low, high] = better.relative_interval.unwrap().map(Option::unwrap);
    assert!(0.0 < low && low < 0.5 && 0.5 < high);
}

#[test]
fn a_family_moves_p_interval_and_verdict_together() {
    let (a, b) = (counts(3407, 300, 340), counts(3461, 360, 400));
    let alone = compare(&a, &b, &settings());
    let of_three = Settings {
        family: 3,
        ..settings()
    };
    let together = compare(&a, &b, &of_three);
    assert_eq!(together.p, alone.p);
    close(together.adjusted_p, 3.0 * alone.p.unwrap(), 1e-15);
    assert!(alone.p.unwrap() < 0.05 && together.adjusted_p.unwrap() > 0.05);
    assert_eq!(
        (alone.verdict, together.verdict),
        (Verdict::Better, Verdict::Undecided)
    );
    assert!(alone.interval.unwrap()[0] > 0.0 && together.interval.unwrap()[0] < 0.0);
    let fewer_is_good = Settings {
        good_direction: GoodDirection::Decrease,
        ..settings()
    };
    let compared = compare(&a, &b, &fewer_is_good);
    assert_eq!(compared.verdict, Verdict::Worse);
    close(
        compared.bayes.unwrap().chance_to_win,
        1.0 - alone.bayes.unwrap().chance_to_win,
        1e-12,
    );
}

/// A baseline that can't be told from none: what can be said of the lift is "at least".
#[test]
fn lifts_over_next_to_nothing() {
    let compared = compare(&counts(1000, 2, 2), &counts(1000, 40, 40), &settings());
    let [low, high] = compared.relative_interval.unwrap();
    assert!(low.unwrap() > 2.0);
    assert_eq!(high, None);
    assert_eq!(compared.notes, [Note::NoUpperBound]);
    let refunds = Settings {
        allow_negative: true,
        ..settings()
    };
    let compared = compare(&counts(1000, 2, 2), &counts(1000, 40, 40), &refunds);
    assert_eq!(compared.relative_interval, None);
    assert_eq!(compared.notes, [Note::NoBounds]);
}

#[test]
fn always_valid_waits_for_forty_conversions() {
    let always = |a: &Moments, b: &Moments| {
        let settings = Settings {
            interval: IntervalKind::AlwaysValid,
            ..settings()
        };
        compare(a, b, &settings)
    };
    let enough = counts(1000, 40, 40);
    let compared = always(&enough, &counts(1000, 39, 39));
    assert_eq!(compared.verdict, Verdict::NotEnoughData);
    assert_eq!(compared.notes, [Note::FewConversionsForAlwaysValid]);
    let compared = always(&enough, &counts(1000, 400, 400));
    assert_eq!(compared.verdict, Verdict::Better);
    assert_eq!(compared.interval, compared.always_valid.interval);
    // The paper's formula, written once more.
    let (n, error) = (2000.0_f64, compared.standard_error.unwrap());
    let log = -2.0 * 0.05_f64.ln();
    let rho_square = (log + (1.0 + log).ln()) / 5000.0;
    let scaled = n * rho_square;
    let half = error
        * n.sqrt()
        * (2.0 * (scaled + 1.0) / (n * n * rho_square) * ((scaled + 1.0).sqrt() / 0.05).ln())
            .sqrt();
    let [low, high] = compared.interval.unwrap();
    close((high - low) / 2.0, half, 1e-12);
    let t = compared.t.unwrap();
    let p =
        (scaled + 1.0).sqrt() * (-rho_square * n * t * t / (2.0 * (n * rho_square + 1.0))).exp();
    close(compared.p, p, 1e-10);
    // All visitors of an arm converted: no variance.
    let all = always(&counts(1000, 1000, 1000), &enough);
    assert_eq!(all.notes, [Note::NoVarianceForAlwaysValid]);
}

#[test]
fn arms_alone() {
    // Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for (converted, visitors, low, high) in [
        (81_u64, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
    ] {
        let found = arm_interval(&counts(visitors, converted, converted.into()), 0.95).unwrap();
        assert!((found[0] - low).abs() < 5e-5, "{found:?}");
        assert!((found[1] - high).abs() < 5e-5, "{found:?}");
    }
    // t with one degree of freedom: 12.706.
    let [low, high] = arm_interval(&values(2, "3", "5"), 0.95).unwrap();
    close(high - low, 2.0 * 12.706_204_736 * 0.5, 1e-9);
    assert_eq!(arm_interval(&values(5, "10", "20"), 0.95), None);
    assert_eq!(arm_interval(&Moments::default(), 0.95), None);
}

#[test]
fn days_until_a_lift_could_be_seen() {
    let day = [counts(1000, 50, 50), counts(1000, 60, 60)];
    let days =
        |settings: &Settings, target, rates| days_left(&day[0], &day[1], settings, target, rates);
    let needed = days(&settings(), 0.1, [1000.0, 1000.0]).unwrap();
    // What the report would say on that day, and on the one before it.
    let detectable_after = |days: u32, settings: &Settings| {
        let times = u64::from(days + 1);
        let grown = |count| counts(1000 * times, count * times, u128::from(count * times));
        compare(&grown(50), &grown(60), settings).minimum_detectable_difference
    };
    for interval in [IntervalKind::Fixed, IntervalKind::AlwaysValid] {
        let settings = Settings {
            interval,
            ..settings()
        };
        let needed = days(&settings, 0.1, [1000.0, 1000.0]).unwrap();
        assert!(needed > 10);
        assert!(detectable_after(needed, &settings).unwrap() <= 0.005);
        assert!(detectable_after(needed - 1, &settings).unwrap() > 0.005);
    }
    let twice = days(&settings(), 0.1, [2000.0, 2000.0]).unwrap();
    assert!(twice.abs_diff(needed / 2) <= 1);
    assert_eq!(days(&settings(), 2.0, [0.0, 0.0]), Some(0), "already");
    for (target, rates) in [
        (0.1, [0.0, 0.0]),
        (1e-9, [1.0, 1.0]),
        (0.0, [1000.0, 1000.0]),
        (-0.1, [1000.0, 1000.0]),
        (f64::NAN, [1000.0, 1000.0]),
        (0.1, [f64::INFINITY, 1000.0]),
    ] {
        assert_eq!(days(&settings(), target, rates), None, "{target} {rates:?}");
    }
}

#[test]
fn notes_are_sentences() {
    for note in [
        Note::FewerThanTwoVisitors,
        Note::ImpossibleSums,
        Note::NoVariance,
        Note::ScoreTest,
        Note::LeastP,
        Note::BaselineIsZero,
        Note::BaselineIsNegative,
        Note::NoUpperBound,
        Note::NoBounds,
        Note::FewConversionsForAlwaysValid,
        Note::NoVarianceForAlwaysValid,
        Note::FewerThanTwoArms,
        Note::FewerThanTwoValues,
        Note::NoStrata,
        Note::TooMuchDropped,
    ] {
        let sentence = note.to_string();
        assert!(
            sentence.ends_with('.') && !sentence.contains("  "),
            "{sentence}"
        );
    }
    insta::assert_snapshot!(Note::TooMuchDropped, @"More than 10% of the visitors stand in strata with fewer than two visitors in an arm.");
    insta::assert_snapshot!(Note::FewConversionsForAlwaysValid, @"Fewer than 40 effective conversions in an arm: the always-valid interval would be too short.");
}

#[test]
fn amounts_are_no_counts() {
    // Values that are whole and equal to their squares, as counts would be.
    for (a, b) in [(("0", "0"), ("60", "60")), (("0", "0"), ("0", "0"))] {
        let arm = |(sum, squares)| values(2000, sum, squares);
        let compared = compare(&arm(a), &arm(b), &settings());
        assert_eq!(
            (compared.verdict, compared.p),
            (Verdict::NotEnoughData, None)
        );
        assert!(compared.notes.contains(&Note::NoVariance), "{compared:?}");
        assert_eq!(arm_interval(&arm(a), 0.95), None);
    }
    let compared = compare(&counts(2000, 0, 0), &counts(2000, 60, 60), &settings());
    assert_eq!(compared.verdict, Verdict::Better);
}

#[test]
fn nothing_falls_by_more_than_all_of_it() {
    let (a, b) = (counts(100, 40, 40), counts(100, 1, 1));
    let low = |allow_negative| {
        let settings = Settings {
            allow_negative,
            confidence: 0.9999,
            ..settings()
        };
        compare(&a, &b, &settings).relative_interval.unwrap()[0].unwrap()
    };
    assert!(low(true) < -1.0, "{}", low(true));
    assert!((low(false) + 1.0).abs() < 1e-15, "{}", low(false));
}
