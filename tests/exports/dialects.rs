//! Each query parses in its own dialect, and all have one shape: a reader who knows one of them can
//! lay another beside it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::{ask, engines::example, support::process::testbed_path};

const DIALECTS: [&str; 6] = [
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
        @"settings bounds numbered_exposure first_exposure numbered_event per_visitor"
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

/// A file says of itself how far it was verified; only two are run by these tests.
#[test]
fn each_file_says_how_it_was_verified() {
    for dialect in DIALECTS {
        let text = std::fs::read_to_string(example(&format!("{dialect}.sql"))).unwrap();
        let run = text.contains("-- Verified by running: tests/exports, ");
        let read =
            text.contains("-- Verified by the documentation and by a parser of this dialect");
        assert_eq!(run, matches!(dialect, "postgres" | "duckdb"), "{dialect}");
        assert_eq!(read, !run, "{dialect}");
    }
}
