//! The queries of examples/exports: PostgreSQL and DuckDB run them over visitors, and what the
//! reports make of the CSV is what one computes from those visitors. The other dialects are parsed,
//! and must have the same shape.

mod dialects;
mod documented;
mod engines;
mod publish;
mod reports;
mod sketches;
#[path = "../support/mod.rs"]
mod support;
mod visitors;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use engines::{DuckDb, PostgreSql, example, succeeded};
use support::process::testbed_path;
use visitors::{END_DAY, FIRST_DAY, TIME_ZONE, Tables};

const SUMSQ: &str = env!("CARGO_BIN_EXE_sumsq");
/// Of the first run. Some windows are open then; the second run brings those days again.
const EARLIER_END_DAY: &str = "2026-03-11";
/// 30 days before each run, as the queries say.
const WINDOWS: [[&str; 2]; 2] = [["2026-02-09", EARLIER_END_DAY], ["2026-02-25", END_DAY]];

/// Writes the CSV of a run on a day to a path.
type Export<'a> = dyn Fn(&str, &Path) + 'a;

/// What the reference says of a window of days.
#[derive(Debug, Deserialize)]
struct Expected {
    cells: Vec<Vec<String>>,
    reports: Vec<Value>,
}

fn reference(tables: &Tables) -> Vec<Expected> {
    let question = json!({
        "exposures": tables.exposures,
        "events": tables.events,
        "zone": TIME_ZONE,
        "windows": [WINDOWS[0], WINDOWS[1], [FIRST_DAY, END_DAY]],
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exports/reference.py");
    let output = ask(
        &testbed_path("SUMSQ_TEST_SCIPY"),
        script,
        &question.to_string(),
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a Python script, and gives it a text.
fn ask(python: &Path, script: &str, text: &str) -> Output {
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It reads all before it writes.
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    succeeded(&output);
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_from_the_csv_are_those_from_the_visitors() {
    let folder = tempfile::tempdir().unwrap();
    let tables = visitors::write(folder.path());
    let expected = reference(&tables);
    let postgres = PostgreSql::new(&tables).await;
    let duckdb = DuckDb::new(&tables, folder.path());
    let engines: [(&str, &Export<'_>); 2] = [
        ("postgres", &|day, to| postgres.export(day, to)),
        ("duckdb", &|day, to| duckdb.export(day, to)),
    ];
    for (engine, export) in engines {
        let home = folder.path().join(engine);
        let object = home.join("buckets/com.my-company.counts/exports/counts.csv");
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        fs::copy(example("shop-conversions.yaml"), home.join("shop.yaml")).unwrap();
        for (window, expected) in WINDOWS.iter().zip(&expected) {
            export(window[1], &object);
            assert_rows(&object, &expected.cells);
            assert_clean(&object);
            let again = home.join("again.csv");
            export(window[1], &again);
            assert_eq!(fs::read(&object).unwrap(), fs::read(&again).unwrap());
            fs::copy(
                &object,
                folder.path().join(format!("{engine}-{}.csv", window[1])),
            )
            .unwrap();
            succeeded(&sumsq(&["local", home.to_str().unwrap(), "--once"]));
        }
        // The first days are of the first run, the last ones of the second, and those that both
        // brought of the second, when their late events were there.
        reports::compare(&home.join(".sumsq/sumsq.db"), &expected[2].reports);
    }
    for [_, day] in WINDOWS {
        let [one, other] = ["postgres", "duckdb"]
            .map(|engine| fs::read(folder.path().join(format!("{engine}-{day}.csv"))).unwrap());
        assert!(
            one == other,
            "PostgreSQL and DuckDB write the same bytes of {day}"
        );
    }
}

fn sumsq(args: &[&str]) -> Output {
    Command::new(SUMSQ)
        .args(args)
        .env_remove("AWS_PROFILE")
        .output()
        .unwrap()
}

/// Every row and every digit of it.
fn assert_rows(file: &Path, expected: &[Vec<String>]) {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let mut rows: Vec<Vec<String>> = reader
        .records()
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect();
    rows.sort_unstable();
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(row, expected);
    }
    assert_eq!(rows.len(), expected.len());
    assert!(rows.len() > 1_000, "{} rows", rows.len());
}

/// `sumsq check` has nothing to say.
fn assert_clean(file: &Path) {
    let manifest = example("shop-conversions.yaml");
    let output = sumsq(&[
        "check",
        file.to_str().unwrap(),
        "--data-source",
        manifest.to_str().unwrap(),
        "--output",
        "json",
    ]);
    succeeded(&output);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["accepted"], true);
    assert_eq!(said["warnings"], json!([]));
}
