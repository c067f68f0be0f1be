//! The sketches for Airflow and dbt: they parse, and dbt's models give the query's rows.

use serde_json::{Map, Value, json};

use super::ask;
use super::dialects::{DIALECTS, rows};
use super::engines::{DuckDb, example};
use super::support::process::testbed_path;
use super::visitors::{self, END_DAY};

#[test]
fn dbt_models_give_the_rows_of_the_query() {
    let question = json!({"": example(""), "end_day": END_DAY, "dialects": DIALECTS});
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exports/sketches.py");
    let output = ask(
        &testbed_path("SUMSQ_TEST_EXPORTS"),
        script,
        &question.to_string(),
    );
    let models: Map<String, Value> = serde_json::from_slice(&output.stdout).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let duckdb = DuckDb::new(&visitors::write(folder.path()), folder.path());
    let to = folder.path().join("rows.csv");
    duckdb.export(END_DAY, &to);
    let expected = rows(&to);
    for name in [
        "first_exposure",
        "clean_event",
        "per_visitor",
        "sumsq_counts",
    ] {
        let query = models[name].as_str().unwrap();
        duckdb.say(&format!("CREATE VIEW {name} AS {query}"));
    }
    duckdb.export_translated("FROM sumsq_counts", false, END_DAY, &to);
    for (row, expected) in rows(&to).iter().zip(&expected) {
        assert_eq!(row, expected);
    }
    assert_eq!(rows(&to).len(), expected.len());
}
