//! What one comparison costs: `cargo bench --bench compare`. Where `SUMSQ_TEST_SCIPY` names a Python
//! with scipy, its time for Welch's p alone, on the same machine, is printed beside it.

use std::hint::black_box;
use std::process::Command;

use criterion::{Criterion, criterion_group, criterion_main};

use sumsq::domain::agent_day::GoalCounts;
use sumsq::domain::data_source::GoodDirection;
use sumsq::domain::stats::{IntervalKind, Moments, Settings, chance_to_be_best, compare};

fn arm(visitors: u64, count: u64, count_sumsq: u128) -> Moments {
    let goal = GoalCounts {
        count,
        count_sumsq,
        values: None,
    };
    Moments::of_counts(visitors, &goal)
}

fn settings(interval: IntervalKind, family: u32) -> Settings {
    Settings {
        confidence: 0.95,
        family,
        interval,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    }
}

fn comparisons(criterion: &mut Criterion) {
    let small = [arm(10, 1, 1), arm(9, 3, 5)];
    let usual = [arm(2023, 1073, 2073), arm(1977, 1133, 2121)];
    let large = [
        arm(9_000_000, 450_123, 470_123),
        arm(9_100_000, 461_001, 490_001),
    ];
    for (name, arms) in [("small", &small), ("usual", &usual), ("large", &large)] {
        for interval in [IntervalKind::Fixed, IntervalKind::AlwaysValid] {
            let settings = settings(interval, 3);
            criterion.bench_function(&format!("compare/{name}/{interval:?}"), |bencher| {
                bencher.iter(|| {
                    compare(
                        black_box(&arms[0]),
                        black_box(&arms[1]),
                        black_box(&settings),
                    )
                });
            });
        }
    }
    let none = [arm(1000, 0, 0), arm(1000, 8, 8)];
    criterion.bench_function("compare/score test", |bencher| {
        let settings = settings(IntervalKind::Fixed, 1);
        bencher.iter(|| {
            compare(
                black_box(&none[0]),
                black_box(&none[1]),
                black_box(&settings),
            )
        });
    });
}

fn four_arms(criterion: &mut Criterion) {
    let arms = [
        arm(2023, 1073, 2073),
        arm(1977, 1133, 2121),
        arm(2001, 1100, 2100),
        arm(1999, 1090, 2088),
    ];
    criterion.bench_function("compare and chance to be best of 4", |bencher| {
        let settings = settings(IntervalKind::Fixed, 3);
        bencher.iter(|| {
            (
                compare(black_box(&arms[0]), black_box(&arms[1]), &settings),
                chance_to_be_best(black_box(&arms), settings.good_direction),
            )
        });
    });
    // One standard error a hundred times another: the integral is taken in parts.
    let uneven = [
        arm(2023, 1073, 2073),
        arm(20_000_000, 11_330_000, 21_210_000),
        arm(2001, 1100, 2100),
        arm(1999, 1090, 2088),
    ];
    criterion.bench_function("chance to be best of 4, uneven", |bencher| {
        bencher.iter(|| chance_to_be_best(black_box(&uneven), GoodDirection::Increase));
    });
}

fn beside_scipy(_: &mut Criterion) {
    const SCRIPT: &str = "
import timeit
from scipy.stats import ttest_ind_from_stats as welch
call = lambda: welch(0.5304, 0.8621, 2023, 0.5731, 0.8630, 1977, equal_var=False)
call()
print(min(timeit.repeat(call, number=500, repeat=7)) / 500 * 1e6)
";
    let Ok(python) = std::env::var("SUMSQ_TEST_SCIPY") else {
        println!("scipy: SUMSQ_TEST_SCIPY does not say where it is (tests/testbed/install)");
        return;
    };
    match Command::new(python).args(["-c", SCRIPT]).output() {
        Ok(output) if output.status.success() => println!(
            "scipy.stats.ttest_ind_from_stats, Welch's p alone: {} us",
            String::from_utf8_lossy(&output.stdout).trim()
        ),
        other => println!("scipy: {other:?}"),
    }
}

criterion_group!(benches, comparisons, four_arms, beside_scipy);
criterion_main!(benches);
