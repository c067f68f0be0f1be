//! Alarms where visitors go where they should.

use std::fmt::Write as _;

use sumsq::domain::stats::{ALARM_P, allocation_drift, sample_ratio};

use super::draws::{SplitMix, in_parallel};
use super::{NOMINAL, Runs};

#[derive(Debug, Clone, Copy)]
pub struct SharesLine {
    pub name: &'static str,
    /// Share of runs with p below .05, and below the alarm's .001.
    pub at_nominal: f64,
    pub at_alarm: f64,
}

/// Draws tests whose visitors go where they should.
#[must_use]
pub fn shares(runs: Runs) -> Vec<SharesLine> {
    let halves = |random: &mut SplitMix| {
        let first = (0..2048)
            .map(|_| u64::from(random.next().count_ones()))
            .sum();
        let p = sample_ratio(&[first, 2048 * 64 - first], &[1.0, 1.0]).map(|found| found.p);
        p.unwrap_or(1.0)
    };
    let three = |random: &mut SplitMix| {
        let arms = quarters(1024, random);
        sample_ratio(&arms, &[0.25, 0.25, 0.5]).map_or(1.0, |found| found.p)
    };
    let drift = |random: &mut SplitMix| {
        // A week whose days differ in size.
        let days: Vec<Vec<u64>> = [200, 180, 170, 190, 210, 90, 60]
            .iter()
            .map(|words| quarters(*words, random).to_vec())
            .collect();
        allocation_drift(&days).map_or(1.0, |found| found.chi_square.p)
    };
    vec![
        shares_line("sample ratio, 1 : 1", runs.shares, 201, halves),
        shares_line("sample ratio, 1 : 1 : 2", runs.shares, 202, three),
        shares_line("drift, 7 days, 1 : 1 : 2", runs.shares, 203, drift),
    ]
}

fn shares_line(
    name: &'static str,
    runs: u32,
    seed: u64,
    p: impl Fn(&mut SplitMix) -> f64 + Sync,
) -> SharesLine {
    let below = in_parallel(runs, |run| {
        let p = p(&mut SplitMix::new(seed, run));
        [u64::from(p < NOMINAL), u64::from(p < ALARM_P)]
    });
    SharesLine {
        name,
        at_nominal: below[0] as f64 / f64::from(runs),
        at_alarm: below[1] as f64 / f64::from(runs),
    }
}

/// 64 visitors per word, each by two fair bits: a quarter, a quarter and a half.
fn quarters(words: u32, random: &mut SplitMix) -> [u64; 3] {
    let mut arms = [0; 3];
    for _ in 0..words {
        let (first, second) = (random.next(), random.next());
        arms[0] += u64::from((first & second).count_ones());
        arms[1] += u64::from((first & !second).count_ones());
    }
    arms[2] = u64::from(words) * 64 - arms[0] - arms[1];
    arms
}

pub fn shares_table(lines: &[SharesLine]) -> String {
    let mut table = String::from("| test | p < .05 | p < .001 |\n|---|---|---|\n");
    for line in lines {
        _ = writeln!(
            table,
            "| {} | {:.2}% | {:.3}% |",
            line.name,
            100.0 * line.at_nominal,
            100.0 * line.at_alarm
        );
    }
    table
}
