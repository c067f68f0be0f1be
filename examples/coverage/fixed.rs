//! The interval for one look, beside the delta method's and the log ratio's on the same draws.

use std::fmt::Write as _;

use sumsq::domain::data_source::GoodDirection;
use sumsq::domain::stats::distribution::t_two_sided_quantile;
use sumsq::domain::stats::{IntervalKind, Moments, Settings, compare};

use super::draws::{SplitMix, in_parallel};
use super::goal::Goal;
use super::{NOMINAL, Runs};

#[derive(Debug, Clone, Copy)]
pub struct FixedCase {
    pub name: &'static str,
    pub visitors: [u64; 2],
    pub goal: Goal,
    pub lift: f64,
    /// 1:1, no difference, binary or counted, from 2,000 visitors each on.
    pub must_hold: bool,
}

/// Shares of all runs, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub struct FixedLine {
    pub case: FixedCase,
    /// The interval of the difference has the true one in it; and so on for the lift's.
    pub difference: f64,
    pub fieller: f64,
    pub delta: f64,
    pub log_ratio: f64,
    /// The interval of the lift excludes 0 and that of the difference does not, or the other way
    /// round.
    pub fieller_contradicts: f64,
    pub delta_contradicts: f64,
    pub log_ratio_contradicts: f64,
}

fn fixed_cases() -> Vec<FixedCase> {
    let case = |name, visitors, goal, lift| FixedCase {
        name,
        visitors,
        goal,
        lift,
        must_hold: false,
    };
    let holds = |name, each, goal| FixedCase {
        must_hold: true,
        ..case(name, [each, each], goal, 0.0)
    };
    let rate = |rate| Goal::Binary { rate };
    let counted = |rate, again| Goal::Counted { rate, again };
    let amount = |sigma| Goal::LogNormal { rate: 0.05, sigma };
    vec![
        holds("rate 5%", 2000, rate(0.05)),
        holds("rate 20%", 2000, rate(0.2)),
        holds("rate 2%", 10_000, rate(0.02)),
        holds("rate 10%, each again with 30%", 2000, counted(0.1, 0.3)),
        holds("rate 5%, each again with 60%", 10_000, counted(0.05, 0.6)),
        case("rate 1%", [1000, 1000], rate(0.01), 0.0),
        case("rate 1%", [1000, 1000], rate(0.01), 0.3),
        case("rate 10%", [50, 50], rate(0.1), 0.0),
        case("rate 5%", [10_000, 10_000], rate(0.05), 0.1),
        case("rate 1%", [9000, 1000], rate(0.01), 0.0),
        case("rate 1%", [1000, 9000], rate(0.01), 0.0),
        case(
            "rate 5%, each again with 60%",
            [9000, 1000],
            counted(0.05, 0.6),
            0.0,
        ),
        case(
            "rate 5%, amounts with sigma 0.5",
            [2000, 2000],
            amount(0.5),
            0.0,
        ),
        case(
            "rate 5%, amounts with sigma 1",
            [2000, 2000],
            amount(1.0),
            0.0,
        ),
        case(
            "rate 5%, amounts with sigma 2",
            [2000, 2000],
            amount(2.0),
            0.0,
        ),
        case(
            "rate 5%, amounts with sigma 1",
            [9000, 1000],
            amount(1.0),
            0.0,
        ),
        case(
            "rate 5%, amounts with sigma 2",
            [9000, 1000],
            amount(2.0),
            0.0,
        ),
    ]
}

/// Draws every case of the fixed interval.
#[must_use]
pub fn fixed(runs: Runs) -> Vec<FixedLine> {
    let lines = fixed_cases().into_iter().zip(1_u64..);
    lines
        .map(|(case, seed)| fixed_line(case, runs.fixed, seed))
        .collect()
}

fn fixed_line(case: FixedCase, runs: u32, seed: u64) -> FixedLine {
    let counted = in_parallel(runs, |run| {
        let mut random = SplitMix::new(seed, run);
        fixed_run(case, &mut random)
    });
    // The first four are asked only where such an interval exists; the last are counted over all.
    let share = |index: usize| counted[2 * index] as f64 / counted[2 * index + 1] as f64;
    FixedLine {
        case,
        difference: share(0),
        fieller: share(1),
        delta: share(2),
        log_ratio: share(3),
        fieller_contradicts: share(4),
        delta_contradicts: share(5),
        log_ratio_contradicts: share(6),
    }
}

/// Pairs of (yes, asked), in the order of [`FixedLine`].
fn fixed_run(case: FixedCase, random: &mut SplitMix) -> [u64; 14] {
    let varied = case.goal.with_lift(case.lift);
    let a = case.goal.draw(case.visitors[0], random);
    let b = varied.draw(case.visitors[1], random);
    let compared = compare(&a, &b, &settings());
    let truth = varied.mean() - case.goal.mean();
    let holds = |interval: [Option<f64>; 2], truth: f64| {
        interval[0].is_none_or(|low| low <= truth) && interval[1].is_none_or(|high| truth <= high)
    };
    let mut counted = [0; 14];
    let mut count = |index: usize, yes: bool| {
        counted[2 * index] += u64::from(yes);
        counted[2 * index + 1] += 1;
    };
    let Some(interval) = compared.interval else {
        return counted;
    };
    let interval = interval.map(Some);
    count(0, holds(interval, truth));
    let rejected = !holds(interval, 0.0);
    let others = other_intervals(&a, &b, compared.degrees_of_freedom);
    let relative = [compared.relative_interval, others[0], others[1]];
    for (index, relative) in relative.into_iter().enumerate() {
        if let Some(relative) = relative {
            count(1 + index, holds(relative, case.lift));
            count(4 + index, rejected == holds(relative, 0.0));
        }
    }
    counted
}

type Interval = Option<[Option<f64>; 2]>;

/// The lift's interval by the delta method, and by that of the ratio's logarithm, both with the
/// quantile of the same degrees of freedom. None where a mean is 0.
fn other_intervals(a: &Moments, b: &Moments, df: Option<f64>) -> [Interval; 2] {
    let quantile = df.map(|df| t_two_sided_quantile(NOMINAL, df));
    let part = |arm: &Moments| Some((arm.mean()?, arm.standard_error()?.powi(2)));
    let (Some(c), Some((mean_a, v_a)), Some((mean_b, v_b))) = (quantile, part(a), part(b)) else {
        return [None, None];
    };
    let ratio = mean_b / mean_a;
    let error = (v_b + ratio * ratio * v_a).sqrt() / mean_a;
    let delta = [ratio - 1.0 - c * error, ratio - 1.0 + c * error];
    let ln_error = (v_a / (mean_a * mean_a) + v_b / (mean_b * mean_b)).sqrt();
    let log_ratio = [
        ratio * (-c * ln_error).exp() - 1.0,
        ratio * (c * ln_error).exp() - 1.0,
    ];
    [delta, log_ratio].map(|interval| Some(interval.map(Some)))
}

fn settings() -> Settings {
    Settings {
        confidence: 1.0 - NOMINAL,
        family: 1,
        interval: IntervalKind::Fixed,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    }
}

pub fn fixed_table(lines: &[FixedLine]) -> String {
    let mut table = String::from(
        "| goal | visitors | true lift | difference | lift: Fieller | delta | log-ratio | \
         delta contradicts the test | log-ratio does |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for line in lines {
        let FixedCase {
            name,
            visitors: [a, b],
            lift,
            must_hold,
            ..
        } = line.case;
        let mark = if must_hold { " *" } else { "" };
        let shares = [line.difference, line.fieller, line.delta, line.log_ratio]
            .map(|share| format!("{:.1}%", 100.0 * share))
            .join(" | ");
        let contradictions = [line.delta_contradicts, line.log_ratio_contradicts]
            .map(|share| format!("{:.1}%", 100.0 * share))
            .join(" | ");
        let lift = format!("{:.0}%", 100.0 * lift);
        _ = writeln!(
            table,
            "| {name}{mark} | {a} : {b} | {lift} | {shares} | {contradictions} |"
        );
    }
    table
}
