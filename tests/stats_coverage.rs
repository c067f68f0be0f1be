//! The simulation of `examples/coverage` with fewer draws: what must hold does. Seeds are fixed,
//! so it holds again.

#[path = "../examples/coverage/main.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the tables are printed by the example alone"
)]
mod coverage;

use coverage::{Runs, always_valid, broken, fixed, shares};

#[test]
fn intervals_and_alarms_hold_as_often_as_they_say() {
    let runs = Runs {
        fixed: 1000,
        always_valid: 100,
        shares: 10_000,
    };
    let (fixed, always_valid, shares) = (fixed(runs), always_valid(runs), shares(runs));
    assert_eq!(
        broken(runs, &fixed, &always_valid, &shares),
        Vec::<String>::new()
    );
}

/// The check itself can fail: an interval at 90% does not hold in 95% of runs.
#[test]
fn an_interval_that_is_too_short_would_be_found() {
    let runs = Runs {
        fixed: 1000,
        always_valid: 100,
        shares: 10_000,
    };
    let mut lines = fixed(Runs { fixed: 40, ..runs });
    for line in &mut lines {
        line.difference = 0.9;
    }
    let must_hold = lines.iter().filter(|line| line.case.must_hold).count();
    assert_eq!(broken(runs, &lines, &[], &[]).len(), must_hold);
}
