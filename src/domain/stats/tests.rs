//! Published values, edges, and what each method must say of small cases.

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
