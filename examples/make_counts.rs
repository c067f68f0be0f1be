//! Writes a CSV of counts that visitors could have produced, of any size, the same every time:
//!
//! ```text
//! cargo run --release --example make_counts -- --agents 200 --days 90 --variations 4 \
//!     --traits 20 --goals 5 > counts.csv
//! ```
//!
//! gives 1.44 million rows. The goals are `goal-1`, `goal-2` and so on, all numeric.

use std::io::{self, BufWriter, Write};

use clap::{Parser, ValueEnum};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// 2024-01-01.
const FIRST_DAY_SECONDS: u64 = 1_704_067_200;

/// What is generated.
#[derive(Debug, Parser)]
pub struct Args {
    #[arg(long, default_value_t = 2)]
    agents: u64,
    #[arg(long, default_value_t = 7)]
    days: u64,
    #[arg(long, default_value_t = 2)]
    variations: u64,
    /// Values of one trait group; 0: rows about all visitors, without trait columns
    #[arg(long, default_value_t = 0)]
    traits: u64,
    #[arg(long, default_value_t = 1)]
    goals: u64,
    #[arg(long, value_enum, default_value_t = Order::Day)]
    order: Order,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Order {
    /// All of a day's rows before the next day's
    Day,
    Random,
}

#[allow(
    dead_code,
    reason = "a test generates its files by this, without the command line"
)]
fn main() -> io::Result<()> {
    generate(&mut BufWriter::new(io::stdout().lock()), &Args::parse())
}

/// Writes the whole file.
pub fn generate(out: &mut impl Write, args: &Args) -> io::Result<()> {
    let rows = args.days * args.agents * args.variations * args.traits.max(1);
    let mut order: Vec<u64> = (0..rows).collect();
    if matches!(args.order, Order::Random) {
        order.shuffle(&mut StdRng::seed_from_u64(args.seed));
    }
    header(out, args)?;
    for row in order {
        write_row(out, args, row)?;
    }
    out.flush()
}

fn header(out: &mut impl Write, args: &Args) -> io::Result<()> {
    write!(out, "Date,Agent,Variation,Sels")?;
    if args.traits > 0 {
        write!(out, ",Trait_Group,Trait_Value")?;
    }
    for goal in 1..=args.goals {
        for suffix in ["", "_sumsq", "_val", "_val_sumsq"] {
            write!(out, ",goal-{goal}{suffix}")?;
        }
    }
    writeln!(out)
}

/// Each row has random numbers of its own, so that the order of rows changes none of them.
fn write_row(out: &mut impl Write, args: &Args, row: u64) -> io::Result<()> {
    let mut random = StdRng::seed_from_u64(args.seed.wrapping_add(row << 8));
    let traits = args.traits.max(1);
    let (rest, one_trait) = (row / traits, row % traits);
    let (rest, variation) = (rest / args.variations, rest % args.variations);
    let (day, agent) = (rest / args.agents, rest % args.agents);
    let visitors: u64 = random.random_range(200..2_000);
    let date = FIRST_DAY_SECONDS + day * 86_400;
    write!(out, "{date},agent-{agent},variation-{variation},{visitors}")?;
    if args.traits > 0 {
        write!(out, ",segment,value-{one_trait}")?;
    }
    for _ in 0..args.goals {
        let converters = random.random_range(0..visitors / 10);
        let sums = Sums::of(converters, &mut random);
        let (cents, squares) = (sums.cents, sums.squared_cents);
        write!(out, ",{},{}", sums.events, sums.squared_events)?;
        write!(
            out,
            ",{}.{:02},{}.{:04}",
            cents / 100,
            cents % 100,
            squares / 10_000,
            squares % 10_000
        )?;
    }
    writeln!(out)
}

#[derive(Default)]
struct Sums {
    events: u64,
    squared_events: u64,
    cents: u64,
    squared_cents: u64,
}

impl Sums {
    /// Over visitors with one to three events of up to 100.00 each.
    fn of(converters: u64, random: &mut StdRng) -> Self {
        let mut sums = Self::default();
        for _ in 0..converters {
            let events: u64 = if random.random_ratio(4, 5) {
                1
            } else {
                random.random_range(2..=3)
            };
            let cents: u64 = (0..events).map(|_| random.random_range(100..10_000)).sum();
            sums.events += events;
            sums.squared_events += events * events;
            sums.cents += cents;
            sums.squared_cents += cents * cents;
        }
        sums
    }
}
