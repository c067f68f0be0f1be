//! Reads a CSV that `make_counts` wrote and says how long each step took and how much memory the
//! process has held at most: `cargo run --release --example time_counts -- counts.csv`.

use std::fs::{self, File};
use std::io::Read;
use std::time::Instant;

use anyhow::Context;
use sumsq::domain::counts_csv::{CsvSpec, Limits, Reader};
use sumsq::domain::data_source::{Dating, Goal, GoodDirection, OnIntegrityProblem};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("usage: time_counts FILE")?;
    let mut file = File::open(&path).with_context(|| format!("cannot open {path}"))?;
    let goals = (1..=5).map(|number| Goal {
        code: format!("goal-{number}"),
        display_name: None,
        numeric: true,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    });
    let spec = CsvSpec {
        goals: goals.collect(),
        dating: Dating::Exposure,
        on_integrity_problem: OnIntegrityProblem::Warn,
    };
    let mut reader = Reader::new(spec, Limits::default());
    let mut chunk = vec![0; 1 << 16];
    let begun = Instant::now();
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        reader.feed(&chunk[..read])?;
    }
    let fed = Instant::now();
    let parsed = reader.finish()?;
    let finished = Instant::now();
    let (mut days, mut cells) = (0, 0);
    for day in parsed.agent_days {
        days += 1;
        cells += day.cells.len();
    }
    println!(
        "{} rows, {days} agent days, {cells} cells",
        parsed.summary.rows
    );
    for finding in parsed.summary.findings {
        println!("{finding}");
    }
    println!(
        "feed {:.2?}, finish {:.2?}, agent days {:.2?}",
        fed - begun,
        finished - fed,
        finished.elapsed()
    );
    // Linux alone tells.
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        status
            .lines()
            .filter(|line| line.starts_with("VmHWM"))
            .for_each(|line| println!("{line}"));
    }
    Ok(())
}
