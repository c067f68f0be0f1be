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

use std::f64::consts::{PI, SQRT_2};
use std::num::NonZero;
use std::thread;

use sumsq::domain::agent_day::{Decimal, GoalCounts};
use sumsq::domain::data_source::GoodDirection;
use sumsq::domain::stats::{
    ALARM_P, IntervalKind, Moments, Settings, allocation_drift, always_valid_interval, compare,
    sample_ratio,
};

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
const LOOKS: u32 = 200;

fn main() {
    let runs = Runs::PUBLISHED;
    let (fixed, always_valid, shares) = (fixed(runs), always_valid(runs), shares(runs));
    print!(
        "{}\n{}\n{}",
        fixed_table(&fixed),
        always_valid_table(&always_valid),
        shares_table(&shares)
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

// --- fixed intervals ------------------------------------------------------------------------------

/// What one visitor does.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// Converts once or not at all.
    Binary { rate: f64 },
    /// Converts with this chance, and then each time again with the other.
    Counted { rate: f64, again: f64 },
    /// Buys with this chance, for a log-normal amount.
    LogNormal { rate: f64, sigma: f64 },
}

impl Goal {
    fn rate(self) -> f64 {
        match self {
            Self::Binary { rate } | Self::Counted { rate, .. } | Self::LogNormal { rate, .. } => {
                rate
            }
        }
    }

    fn mean(self) -> f64 {
        match self {
            Self::Binary { rate } => rate,
            Self::Counted { rate, again } => rate / (1.0 - again),
            Self::LogNormal { rate, sigma } => rate * (LN_AMOUNT + 0.5 * sigma * sigma).exp(),
        }
    }

    fn with_lift(self, lift: f64) -> Self {
        let grown = self.rate() * (1.0 + lift);
        match self {
            Self::Binary { .. } => Self::Binary { rate: grown },
            Self::Counted { again, .. } => Self::Counted { rate: grown, again },
            Self::LogNormal { sigma, .. } => Self::LogNormal { rate: grown, sigma },
        }
    }

    /// An arm of so many visitors.
    fn draw(self, visitors: u64, random: &mut SplitMix) -> Moments {
        let converters = random.binomial(visitors, self.rate());
        let mut goal = GoalCounts {
            count: converters,
            count_sumsq: u128::from(converters),
            values: None,
        };
        match self {
            Self::Binary { .. } => {}
            Self::Counted { again, .. } => {
                (goal.count, goal.count_sumsq) = (0, 0);
                for _ in 0..converters {
                    let events = 1 + (random.open().ln() / again.ln()) as u64;
                    goal.count += events;
                    goal.count_sumsq += u128::from(events * events);
                }
            }
            Self::LogNormal { sigma, .. } => {
                let (mut sum, mut squares) = (0, 0);
                for _ in 0..converters {
                    let cents =
                        (100.0 * (LN_AMOUNT + sigma * random.normal()).exp()).round() as i128;
                    sum += cents;
                    squares += cents * cents;
                }
                let decimal = |whole: i128, decimals: u32| Decimal {
                    units: whole * 10_i128.pow(12 - decimals),
                    decimals: decimals as i8,
                };
                return Moments::new(visitors, decimal(sum, 2), decimal(squares, 4));
            }
        }
        Moments::of_counts(visitors, &goal)
    }
}

/// The median amount is 33 and some.
const LN_AMOUNT: f64 = 3.5;

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
    let quantile =
        df.map(|df| sumsq::domain::stats::distribution::t_two_sided_quantile(NOMINAL, df));
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

fn fixed_table(lines: &[FixedLine]) -> String {
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
        table += &format!("| {name}{mark} | {a} : {b} | {lift} | {shares} | {contradictions} |\n");
    }
    table
}

// --- the always-valid interval ---------------------------------------------------------------------

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

fn always_valid_table(lines: &[AlwaysValidLine]) -> String {
    let mut table = String::from(
        "| goal | visitors between looks | always valid | without its gate | fixed |\n\
         |---|---|---|---|---|\n",
    );
    for line in lines {
        let [a, b] = line.visitors;
        let shares = [line.gated, line.ungated, line.fixed]
            .map(|share| format!("{:.1}%", 100.0 * share))
            .join(" | ");
        table += &format!("| {} | {a} : {b} | {shares} |\n", line.name);
    }
    table
}

// --- shares -----------------------------------------------------------------------------------------

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

fn shares_table(lines: &[SharesLine]) -> String {
    let mut table = String::from("| test | p < .05 | p < .001 |\n|---|---|---|\n");
    for line in lines {
        table += &format!(
            "| {} | {:.2}% | {:.3}% |\n",
            line.name,
            100.0 * line.at_nominal,
            100.0 * line.at_alarm
        );
    }
    table
}

// --- draws ------------------------------------------------------------------------------------------

/// Sums what each run counts. Every run has a seed of its own, so that threads change nothing.
fn in_parallel<const N: usize>(runs: u32, run: impl Fn(u32) -> [u64; N] + Sync) -> [u64; N] {
    let threads = thread::available_parallelism().map_or(1, NonZero::get) as u32;
    let run = &run;
    let sums = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                scope.spawn(move || {
                    let mut sums = [0; N];
                    for index in (worker..runs).step_by(threads as usize) {
                        for (sum, one) in sums.iter_mut().zip(run(index)) {
                            *sum += one;
                        }
                    }
                    sums
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a run does not panic"))
            .collect::<Vec<[u64; N]>>()
    });
    sums.into_iter().fold([0; N], |mut total, sums| {
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
        total
    })
}

/// SplitMix64 (G. Steele, D. Lea and C. Flood, OOPSLA 2014): quick, and the same everywhere.
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    fn new(seed: u64, run: u32) -> Self {
        // Runs begin far apart in a period of 2^64.
        let mut random = Self(seed << 32 | u64::from(run));
        Self(random.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Between 0 and 1, neither of them.
    fn open(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Box and Muller's.
    fn normal(&mut self) -> f64 {
        SQRT_2 * (-self.open().ln()).sqrt() * (2.0 * PI * self.open()).cos()
    }

    /// How many of `trials` succeed: by the gaps between them, which are geometric.
    fn binomial(&mut self, trials: u64, rate: f64) -> u64 {
        let ln_fail = (-rate).ln_1p();
        let (mut at, mut successes) = (0.0, 0);
        loop {
            at += (self.open().ln() / ln_fail).floor() + 1.0;
            if at > trials as f64 {
                return successes;
            }
            successes += 1;
        }
    }
}
