//! How many instructions a row costs from its bytes to its place in a block, counted by valgrind: a
//! regression shows on a machine where times mean nothing.
//!
//! Tests are built without optimisation, so the counts tell what is done and not how long it takes;
//! docs/performance.md has times. Where a change is meant, or the compiler is another one:
//! `cargo test --test instructions -- --nocapture` prints what is counted now, to be written into
//! [`EXPECTED`].

#[path = "../examples/make_counts.rs"]
mod make_counts;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use clap::Parser;
use sumsq::domain::counts_csv::{CsvSpec, FileReader, Limits, Means, Reviewed};
use sumsq::domain::data_source::{Dating, Goal, GoodDirection, OnIntegrityProblem};
use sumsq::store::{EncodedDay, block};

/// Rows in order, rows in no order, and rows that take the careful way, in instructions a row.
const EXPECTED: [(&str, u64); 3] = [("day", 62_848), ("random", 69_966), ("careful", 99_606)];
/// How far a count may lie from what is expected, in percent: hashes have another seed each time.
const MARGIN: u64 = 10;

const ROWS: u64 = 2 * 4 * 2 * 20;
/// Set where this program runs under valgrind: which file to read.
const COUNTED: &str = "SUMSQ_TEST_INSTRUCTIONS_OF";

#[test]
fn a_row_costs_as_many_instructions_as_it_did() {
    if let Ok(kind) = std::env::var(COUNTED) {
        assert_eq!(counted_instructions(&file(&kind)), 2 * 4);
        return;
    }
    let found = EXPECTED.map(|(kind, _)| (kind, count(kind) / ROWS));
    println!("const EXPECTED: [(&str, u64); 3] = {found:?};");
    for ((kind, expected), (_, found)) in EXPECTED.into_iter().zip(found) {
        let percent = found * 100 / expected;
        assert!(
            (100 - MARGIN..=100 + MARGIN).contains(&percent),
            "{kind}: {found} instructions a row, which is {percent}% of {expected}; see the top of {}",
            file!()
        );
    }
}

fn file(kind: &str) -> Vec<u8> {
    let order = if kind == "random" { "random" } else { "day" };
    let generated = make_counts::Args::parse_from([
        "make_counts",
        "--agents=2",
        "--days=4",
        "--variations=2",
        "--traits=20",
        "--goals=5",
        "--order",
        order,
    ]);
    let mut file = Vec::new();
    make_counts::generate(&mut file, &generated).unwrap();
    if kind == "careful" {
        // `123.4567e0`, which is no plain number.
        let text = String::from_utf8(file).unwrap();
        let rows = text.lines().map(|line| match line.rsplit_once(',') {
            Some((before, last)) if !last.ends_with("sumsq") => format!("{before},{last}e0\n"),
            _ => format!("{line}\n"),
        });
        return rows.collect::<String>().into_bytes();
    }
    file
}

/// From bytes to blocks; how many.
#[inline(never)]
fn counted_instructions(file: &[u8]) -> usize {
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
    let mut means = Means::default();
    means.workers = 1;
    let mut reader = FileReader::new(spec, Limits::default(), means);
    reader.feed(file).unwrap();
    let Reviewed { days, .. } = reader.finish().unwrap();
    let encoded = days.map(block::Writer::default, |writer, day| {
        let block = writer.write(&day);
        EncodedDay::of(Arc::clone(day.agent()), day.day(), block)
    });
    encoded.map(Result::unwrap).count()
}

/// Instructions of [`counted_instructions`], by callgrind.
fn count(kind: &str) -> u64 {
    let valgrind = std::env::var_os("SUMSQ_TEST_VALGRIND")
        .map(PathBuf::from)
        .expect("SUMSQ_TEST_VALGRIND says where valgrind is; see tests/testbed/install");
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(valgrind)
        .arg("--tool=callgrind")
        .arg("--toggle-collect=*counted_instructions*")
        .arg(format!(
            "--callgrind-out-file={}",
            folder.path().join("out").display()
        ))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_row_costs_as_many_instructions_as_it_did"])
        .env(COUNTED, kind)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // `==123== Collected : 456`
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = collected.unwrap_or_else(|| panic!("no count in {said}"));
    count.trim().parse().unwrap()
}
