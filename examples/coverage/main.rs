//! How often the intervals hold: `cargo run --release --example coverage` prints the tables of
//! docs/statistics.md. It draws experiments whose truth is known, from fixed seeds, and asks for
//! what a report would show. What must hold is asserted; the rest is printed as it is.
//! `tests/stats_coverage.rs` runs the same with fewer draws.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "draws are small numbers, and simulated"
)]

mod draws;
mod fixed;
mod goal;
mod looks;
mod shares;

use sumsq::domain::stats::ALARM_P;

pub use fixed::{FixedLine, fixed};
pub use looks::{AlwaysValidLine, always_valid};
pub use shares::{SharesLine, shares};

/// How many experiments are drawn for one line of a table.
#[derive(Debug, Clone, Copy)]
pub struct Runs {
    pub fixed: u32,
    pub always_valid: u32,
    pub shares: u32,
}

impl Runs {
    pub const PUBLISHED: Self = Self {
        fixed: 10_000,
        always_valid: 10_000,
        shares: 1_000_000,
    };
}

const NOMINAL: f64 = 0.05;

fn main() {
    let runs = Runs::PUBLISHED;
    let (fixed, always_valid, shares) = (fixed(runs), always_valid(runs), shares(runs));
    print!(
        "{}\n{}\n{}",
        fixed::fixed_table(&fixed),
        looks::always_valid_table(&always_valid),
        shares::shares_table(&shares)
    );
    let broken = broken(runs, &fixed, &always_valid, &shares);
    assert!(broken.is_empty(), "does not hold: {broken:#?}");
}

/// What must hold and does not, in words.
#[must_use]
pub fn broken(
    runs: Runs,
    fixed: &[FixedLine],
    always_valid: &[AlwaysValidLine],
    shares: &[SharesLine],
) -> Vec<String> {
    let three_errors = |rate: f64, runs: u32| 3.0 * (rate * (1.0 - rate) / f64::from(runs)).sqrt();
    let mut broken = Vec::new();
    for line in fixed.iter().filter(|line| line.case.must_hold) {
        let off = line.difference - (1.0 - NOMINAL);
        if off.abs() > three_errors(NOMINAL, runs.fixed) {
            broken.push(format!("{line:?}"));
        }
    }
    // Fieller's interval never contradicts the test, whatever the case.
    broken.extend(
        fixed
            .iter()
            .filter(|line| line.fieller_contradicts > 0.0)
            .map(|line| format!("{line:?}")),
    );
    for line in always_valid {
        if line.gated > NOMINAL + three_errors(NOMINAL, runs.always_valid) {
            broken.push(format!("{line:?}"));
        }
    }
    for line in shares {
        for (rate, nominal) in [(line.at_nominal, NOMINAL), (line.at_alarm, ALARM_P)] {
            if (rate - nominal).abs() > three_errors(nominal, runs.shares) {
                broken.push(format!("{line:?}"));
            }
        }
    }
    broken
}
