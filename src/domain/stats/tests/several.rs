//! More than one comparison: shares, strata, and several arms.

use super::*;

/// Day 1 A 9000/450, B 1000/48; day 2 A 1000/100, B 9000/882: shares are right in all and wrong on
/// each day, and B looks 69% better while it is no better on either.
#[test]
fn drift_makes_a_lift_that_is_not_there() {
    let days = [
        (counts(9000, 450, 450), counts(1000, 48, 48)),
        (counts(1000, 100, 100), counts(9000, 882, 882)),
    ];
    let ratio = sample_ratio(&[10_000, 10_000], &[0.5, 0.5]).unwrap();
    close(ratio.p, 1.0, 1e-15);
    let drift = allocation_drift(&[vec![9000, 1000], vec![1000, 9000]]).unwrap();
    assert!(drift.is_alarm());
    close(drift.largest_shift, 0.4, 1e-12);
    close(drift.chi_square.statistic, 12_800.0, 1e-12);

    let (mut a, mut b) = (Moments::default(), Moments::default());
    let mut strata = Vec::new();
    for (baseline, variation) in days {
        a.add(&baseline);
        b.add(&variation);
        strata.push(Stratum {
            visitors: 10_000,
            baseline,
            variation,
        });
    }
    let pooled = compare(&a, &b, &settings());
    close(pooled.relative_difference, 0.690_909_090_9, 1e-9);
    close(pooled.t, 10.3, 1e-2);
    assert_eq!(pooled.verdict, Verdict::Better);
    let stratified = post_stratify(&strata, 0.95, 1).unwrap();
    close(stratified.difference, -0.002, 1e-12);
    close(
        stratified.difference / stratified.standard_error,
        -0.33,
        2e-2,
    );
    assert!(stratified.p > 0.7 && stratified.share_dropped == 0.0);
    let [low, high] = stratified.interval;
    assert!(low < -0.002 && high > 0.0);
}

#[test]
fn strata_that_are_dropped_are_said() {
    let stratum = |visitors, in_baseline| Stratum {
        visitors,
        baseline: counts(in_baseline, 1, 1),
        variation: counts(visitors - in_baseline, 20, 20),
    };
    let found = post_stratify(&[stratum(950, 500), stratum(50, 1)], 0.95, 1).unwrap();
    close(found.share_dropped, 0.05, 1e-12);
    let found = post_stratify(&[stratum(890, 500), stratum(110, 1)], 0.95, 1);
    assert_eq!(found, Err(Note::TooMuchDropped));
    assert_eq!(
        post_stratify(&[stratum(50, 1)], 0.95, 1),
        Err(Note::NoStrata)
    );
    assert_eq!(post_stratify(&[], 0.95, 1), Err(Note::NoStrata));
}

#[test]
fn consecutive_days_are_merged_until_each_place_expects_five() {
    let quiet = vec![3, 3];
    let none: Vec<Vec<u64>> = vec![quiet.clone(); 3];
    assert_eq!(allocation_drift(&none), None, "one run of days");
    let found = allocation_drift(&vec![quiet; 8]).unwrap();
    // Pairs of days expect 6; nothing moves.
    close(found.chi_square.df, 3.0, 1e-15);
    close(found.chi_square.p, 1.0, 1e-15);
    assert!(!found.is_alarm());
    assert_eq!(allocation_drift(&[vec![100, 0], vec![100, 0]]), None);
    assert_eq!(allocation_drift(&[]), None);
    // Beyond chance, yet less than a point.
    let small = allocation_drift(&[vec![505_000, 495_000], vec![495_000, 505_000]]).unwrap();
    assert!(small.chi_square.p < ALARM_P && !small.is_alarm());
}

#[test]
fn sample_ratio_asks_arms_that_have_a_weight() {
    let alone = sample_ratio(&[600, 400], &[1.0, 1.0]);
    assert_eq!(sample_ratio(&[600, 77, 400], &[1.0, 0.0, 1.0]), alone);
    assert_eq!(sample_ratio(&[600, 400], &[5.0, 5.0]), alone);
    let three = sample_ratio(&[0, 500, 500], &[1.0, 1.0, 1.0]).unwrap();
    close(three.df, 2.0, 1e-15);
    assert!(three.p < ALARM_P, "a declared arm without visitors");
    for (visitors, weights) in [
        (vec![5, 4], vec![1.0, 1.0]),
        (vec![1000, 1], vec![1000.0, 1.0]),
        (vec![1000, 1000], vec![1.0, 0.0]),
        (vec![1000], vec![1.0]),
        (vec![], vec![]),
    ] {
        assert_eq!(sample_ratio(&visitors, &weights), None, "{visitors:?}");
    }
}

/// d = 1 +- .5 of three values against 2 of the first: by hand.
#[test]
fn cochrans_q() {
    let alike = (counts(1000, 100, 100), counts(1000, 120, 120));
    let other = (counts(1000, 100, 100), counts(1000, 200, 200));
    let rare = (counts(1000, 19, 19), counts(1000, 200, 200));
    let found = interaction(&[alike.clone(), rare, alike.clone(), other.clone()]).unwrap();
    assert_eq!(found.values, [0, 2, 3]);
    assert_eq!(found.left_out, [1]);
    // V = .09/999 + .1056/999 twice, .09/999 + .16/999; d = .02, .02, .1.
    let (alike_weight, other_weight) = (999.0 / 0.1956, 999.0 / 0.25);
    let mean = (0.04 * alike_weight + 0.1 * other_weight) / (2.0 * alike_weight + other_weight);
    let by_hand =
        2.0 * alike_weight * (0.02_f64 - mean).powi(2) + other_weight * (0.1_f64 - mean).powi(2);
    close(found.q, by_hand, 1e-12);
    // Two degrees of freedom: P = exp(-q / 2).
    close(found.p, (-0.5 * by_hand).exp(), 1e-12);
    assert_eq!(interaction(&[other]), Err(Note::FewerThanTwoValues));
}

#[test]
fn welchs_anova_of_two_arms_is_welchs_test() {
    let (a, b) = (counts(2023, 1073, 2073), counts(1977, 1133, 2121));
    let compared = compare(&a, &b, &settings());
    let omnibus = welch_anova(&[a.clone(), counts(50, 0, 0), b]).unwrap();
    close(omnibus.f, compared.t.unwrap().powi(2), 1e-11);
    close(omnibus.df2, compared.degrees_of_freedom.unwrap(), 1e-11);
    close(omnibus.p, compared.p.unwrap(), 1e-11);
    assert_eq!(welch_anova(&[a]), Err(Note::FewerThanTwoArms));
}

/// Reference: R's `oneway.test(len ~ dose, ToothGrowth)`, F = 68.401, df 2 and 37.743.
#[test]
fn welchs_anova_of_three_arms() {
    let doses = [
        values(20, "212.1", "2634.03"),
        values(20, "394.7", "8159.83"),
        values(20, "522.0", "13894.84"),
    ];
    let omnibus = welch_anova(&doses).unwrap();
    close(omnibus.f, 68.401, 1e-4);
    close(omnibus.df1, 2.0, 1e-15);
    close(omnibus.df2, 37.743, 1e-4);
}

#[test]
fn chances_leave_out_arms_without_variance() {
    let (a, b) = (counts(2023, 1073, 2073), counts(1977, 1133, 2121));
    let compared = compare(&a, &b, &settings());
    let arms = [a.clone(), counts(50, 0, 0), b];
    let chances = chance_to_be_best(&arms, GoodDirection::Increase).unwrap();
    assert_eq!(chances[1], None);
    close(chances[2], compared.bayes.unwrap().chance_to_win, 1e-11);
    let fewest = chance_to_be_best(&arms, GoodDirection::Decrease).unwrap();
    close(fewest[0], chances[2].unwrap(), 1e-11);
    assert_eq!(
        chance_to_be_best(&[a], GoodDirection::Increase),
        Err(Note::FewerThanTwoArms)
    );
}

#[test]
fn a_few_people_are_no_drift() {
    // A harmless third of a point, beyond chance since the agent is large; and at last 31 people.
    let mut days = vec![vec![100_350, 99_650]; 15];
    days.extend(vec![vec![99_650, 100_350]; 14]);
    days.push(vec![18, 13]);
    let drift = allocation_drift(&days).unwrap();
    assert!(drift.chi_square.p < ALARM_P, "{drift:?}");
    assert!(drift.largest_shift < ALARM_SHIFT, "{drift:?}");
    assert!(!drift.is_alarm());
    // A small day that is broken is told all the same.
    days.push(vec![900, 100]);
    assert!(allocation_drift(&days).unwrap().is_alarm());
}
