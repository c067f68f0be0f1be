//! Reads a CSV that `make_counts` wrote and says how long each step took and how much memory the
//! process has held at most: `cargo run --release --example time_counts -- counts.csv`. A second
//! argument is the number of threads, a third the memory for rows in MiB.

use std::fs::{self, File};
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use sumsq::domain::counts_csv::{CsvSpec, FileReader, Limits, Means, Reviewed};
use sumsq::domain::data_source::{Dating, Goal, GoodDirection, OnIntegrityProblem};
use sumsq::store::{EncodedDay, block};

fn main() -> anyhow::Result<()> {
    let path = std::env::args()
        .nth(1)
        .context("usage: time_counts FILE [THREADS] [MIB]")?;
    let number = |place| {
        std::env::args()
            .nth(place)
            .map(|text| text.parse::<usize>())
    };
    let memory = number(3)
        .transpose()?
        .map_or(Means::DEFAULT_MEMORY, |mib| mib << 20);
    let mut means = Means::new(memory, std::env::temp_dir());
    means.workers = number(2).transpose()?.unwrap_or(means.workers);
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
    let mut reader = FileReader::new(spec, Limits::default(), means);
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
    let Reviewed { summary, days } = reader.finish()?;
    let finished = Instant::now();
    let blocks = days.map(block::Writer::default, |writer, day| {
        let block = writer.write(&day);
        EncodedDay::of(Arc::clone(day.agent()), day.day(), block)
    });
    let (mut days, mut bytes) = (0, 0);
    for day in blocks {
        days += 1;
        bytes += day?.block.len();
    }
    println!(
        "{} rows, {days} agent days, {bytes} bytes of blocks",
        summary.rows
    );
    for finding in summary.findings {
        println!("{finding}");
    }
    println!(
        "feed {:.2?}, finish {:.2?}, blocks {:.2?}",
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
