//! The always-valid interval, looked at again and again.

use std::fmt::Write as _;

use sumsq::domain::stats::{Moments, always_valid_interval};

use super::draws::{SplitMix, in_parallel};
use super::goal::Goal;
use super::{NOMINAL, Runs};

const LOOKS: u32 = 200;

#[derive(Debug, Clone, Copy)]
pub struct AlwaysValidLine {
    pub name: &'static str,
    /// Visitors who come to each arm between two looks.
    pub visitors: [u64; 2],
    /// Share of runs that exclude the truth at any of the looks; and without the gate; and that of
    /// the fixed interval.
    pub gated: f64,
    pub ungated: f64,
    pub fixed: f64,
}

/// Draws every case of the always-valid interval: 200 looks at arms that do not differ.
#[must_use]
pub fn always_valid(runs: Runs) -> Vec<AlwaysValidLine> {
    let (one, ten) = (Goal::Binary { rate: 0.01 }, Goal::Binary { rate: 0.1 });
    let counted = Goal::Counted {
        rate: 0.05,
        again: 0.6,
    };
    [
        ("rate 1%", [250, 250], one),
        ("rate 1%", [450, 50], one),
        ("rate 1%", [50, 450], one),
        ("rate 10%", [250, 250], ten),
        ("rate 10%", [450, 50], ten),
        ("rate 5%, each again with 60%", [250, 250], counted),
        ("rate 5%, each again with 60%", [450, 50], counted),
    ]
    .into_iter()
    .zip(101_u64..)
    .map(|((name, visitors, goal), seed)| {
        let missed = in_parallel(runs.always_valid, |run| {
            always_valid_run(goal, visitors, &mut SplitMix::new(seed, run))
        });
        let share = |index: usize| missed[index] as f64 / f64::from(runs.always_valid);
        AlwaysValidLine {
            name,
            visitors,
            gated: share(0),
            ungated: share(1),
            fixed: share(2),
        }
    })
    .collect()
}

fn always_valid_run(goal: Goal, visitors: [u64; 2], random: &mut SplitMix) -> [u64; 3] {
    let (mut a, mut b) = (Moments::default(), Moments::default());
    let mut missed = [false; 3];
    for _ in 0..LOOKS {
        a.add(&goal.draw(visitors[0], random));
        b.add(&goal.draw(visitors[1], random));
        let excludes = |interval: [f64; 2]| interval[0] > 0.0 || interval[1] < 0.0;
        missed[0] |= always_valid_interval(&a, &b, 1.0 - NOMINAL, 1).is_some_and(excludes);
        let error = (squared_error(&a) + squared_error(&b)).sqrt();
        if error > 0.0 {
            let standardized = (b.mean().unwrap_or(0.0) - a.mean().unwrap_or(0.0)).abs() / error;
            missed[1] |= standardized > half_width((a.visitors() + b.visitors()) as f64);
            missed[2] |= standardized > FIXED_HALF_WIDTH;
        }
    }
    missed.map(u64::from)
}

/// The normal quantile, which the fixed interval's is from some hundred visitors on.
const FIXED_HALF_WIDTH: f64 = 1.959_963_985;

fn squared_error(arm: &Moments) -> f64 {
    arm.standard_error().map_or(0.0, |error| error * error)
}

/// The formula of the always-valid interval once more, in standard errors.
fn half_width(visitors: f64) -> f64 {
    let log = -2.0 * NOMINAL.ln();
    let scaled = visitors * (log + log.ln_1p()) / 5000.0;
    (2.0 * (scaled + 1.0) / scaled * ((scaled + 1.0).sqrt() / NOMINAL).ln()).sqrt()
}

pub fn always_valid_table(lines: &[AlwaysValidLine]) -> String {
    let mut table = String::from(
        "| goal | visitors between looks | always valid | without its gate | fixed |\n\
         |---|---|---|---|---|\n",
    );
    for line in lines {
        let [a, b] = line.visitors;
        let shares = [line.gated, line.ungated, line.fixed]
            .map(|share| format!("{:.1}%", 100.0 * share))
            .join(" | ");
        _ = writeln!(table, "| {} | {a} : {b} | {shares} |", line.name);
    }
    table
}
