//! Each query parses in its own dialect, and all have one shape: a reader who knows one of them can
//! lay another beside it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::ask;
use super::engines::{DuckDb, example};
use super::support::process::testbed_path;
use super::visitors::{self, END_DAY};

pub const DIALECTS: [&str; 6] = [
    "postgres",
    "duckdb",
    "snowflake",
    "bigquery",
    "redshift",
    "databricks",
];

#[derive(Debug, PartialEq, Deserialize)]
struct Shape {
    /// Their names and columns.
    ctes: Vec<(String, Vec<String>)>,
    columns: Vec<String>,
    /// The first words of statements without a query.
    other: Vec<String>,
    /// The query as DuckDB's.
    translated: String,
}

fn shapes() -> BTreeMap<String, Shape> {
    let mut question = json!({"": example("")});
    for dialect in DIALECTS {
        question[format!("{dialect}.sql")] = dialect.into();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exports/dialects.py");
    let output = ask(
        &testbed_path("SUMSQ_TEST_EXPORTS"),
        script,
        &question.to_string(),
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn queries_of_all_dialects_parse_and_have_one_shape() {
    let shapes = shapes();
    assert_eq!(shapes.len(), DIALECTS.len());
    let postgres = &shapes["postgres.sql"];
    for (file, shape) in &shapes {
        assert_eq!(shape.ctes, postgres.ctes, "{file}");
        assert_eq!(shape.columns, postgres.columns, "{file}");
    }
    let steps: Vec<&str> = postgres
        .ctes
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    insta::assert_snapshot!(
        steps.join(" "),
        @"settings bounds numbered_exposure first_exposure clean_event per_visitor"
    );
    let header = "Date,Agent,Variation,Policy,Trait_Group,Trait_Value,Sels,purchase,purchase_sumsq,\
                  add_to_cart,add_to_cart_sumsq,orders,orders_sumsq,orders_val,orders_val_sumsq,\
                  net_revenue,net_revenue_sumsq,net_revenue_val,net_revenue_val_sumsq";
    assert_eq!(postgres.columns.join(","), header);
    let other = |dialect: &str| shapes[&format!("{dialect}.sql")].other.join("; ");
    for (dialect, expected) in [
        ("postgres", ""),
        ("duckdb", ""),
        ("snowflake", "ALTER SESSION SET"),
        ("bigquery", ""),
        ("redshift", "DROP TABLE IF; UNLOAD ('SELECT *"),
        ("databricks", "SET TIME ZONE; INSERT OVERWRITE DIRECTORY"),
    ] {
        assert_eq!(other(dialect), expected, "{dialect}");
    }
}

/// No test can reach those warehouses. DuckDB takes their place: it runs their queries, translated by
/// a program that knows these dialects' functions. That finds a wrong argument or a wrong zone, and
/// not what a warehouse does otherwise than its manual says.
#[test]
fn translated_into_one_dialect_all_give_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let duckdb = DuckDb::new(&visitors::write(folder.path()), folder.path());
    let to = folder.path().join("rows.csv");
    duckdb.export(END_DAY, &to);
    let expected = rows(&to);
    assert!(expected.len() > 1_000);
    for (file, shape) in shapes() {
        let without_zone = file == "redshift.sql";
        duckdb.export_translated(&shape.translated, without_zone, END_DAY, &to);
        for (row, expected) in rows(&to).iter().zip(&expected) {
            assert_eq!(row, expected, "{file}");
        }
        assert_eq!(rows(&to).len(), expected.len(), "{file}");
    }
}

/// In order, with numbers spelt alike: BigQuery's decimals have more zeros at their end.
pub fn rows(file: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let spelt = |field: &str| match field.split_once('.') {
        Some(_) => field.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => field.to_owned(),
    };
    let mut rows: Vec<Vec<String>> = reader
        .records()
        .map(|record| record.unwrap().iter().map(spelt).collect())
        .collect();
    rows.sort_unstable();
    rows
}

/// A file says of itself how far it was verified; only two are run by these tests.
#[test]
fn each_file_says_how_it_was_verified() {
    for dialect in DIALECTS {
        let text = std::fs::read_to_string(example(&format!("{dialect}.sql"))).unwrap();
        let run = text.contains("-- Verified by running: tests/exports, ");
        let read = text.contains("-- Verified: not run in this warehouse.");
        assert_eq!(run, matches!(dialect, "postgres" | "duckdb"), "{dialect}");
        assert_eq!(read, !run, "{dialect}");
    }
}
