//! `sumsq local` and `sumsq check` as a person runs them: the folder, the words, the exit status.

mod check;
mod live;
mod quickstart;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sumsq::domain::report::view::TestingReport;
use tempfile::TempDir;

const SUMSQ: &str = env!("CARGO_BIN_EXE_sumsq");
const MANIFEST: &str = include_str!("../../examples/document/counts.yaml");
const COUNTS: &str =
    include_str!("../../examples/document/buckets/com.my-company.counts/counts.csv");

/// A folder with the document's example.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bucket = folder.path().join("buckets/com.my-company.counts");
    fs::create_dir_all(&bucket).unwrap();
    fs::write(bucket.join("counts.csv"), COUNTS).unwrap();
    fs::write(folder.path().join("counts.yaml"), MANIFEST).unwrap();
    folder
}

fn sumsq(args: &[&str]) -> Output {
    // Nothing of the machine's own AWS settings may bear on a folder.
    Command::new(SUMSQ)
        .args(args)
        .env_remove("AWS_PROFILE")
        .output()
        .unwrap()
}

fn once(folder: &Path, more: &[&str]) -> Output {
    sumsq(&[&["local", folder.to_str().unwrap(), "--once"], more].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn once_prints_what_was_imported() {
    let folder = folder();
    let output = once(folder.path(), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for expected in [
        "default/internal-conversions  imported in ",
        "1 agent, 2 rows, 2024-03-18 to 2024-03-18, 1 warning",
        "warning: line 3, column sales_val_sumsq: a sum of squares of 450.1504 is too small",
        "The numbers of a row can't be right: on 2024-03-18, for B, a sum of squares of 450.1504",
        "Sales  A                10            1       0.9990",
        "       B                 9            3        3.441",
    ] {
        assert!(shown.contains(expected), "no {expected:?} in\n{shown}");
    }
    let again = once(folder.path(), &[]);
    assert!(
        text(&again.stdout).contains("not modified"),
        "{}",
        text(&again.stdout)
    );
}

#[test]
fn programs_get_one_object() {
    let folder = folder();
    let output = once(folder.path(), &["--output", "json"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let source = &summary["dataSources"][0];
    assert_eq!(source["result"], "Imported");
    assert_eq!(source["error"], Value::Null);
    assert_eq!(
        (&source["agentCount"], &source["rows"]),
        (&1.into(), &2.into())
    );
    assert_eq!(
        (&source["firstDay"], &source["lastDay"]),
        (&"2024-03-18".into(), &"2024-03-18".into())
    );
    assert_eq!(source["warnings"].as_array().unwrap().len(), 1);
    assert!(source["durationSeconds"].is_f64());
    // A whole Testing Report, as the API gives it.
    let report = &summary["reports"][0];
    let arm = &report["arms"][1];
    assert_eq!(
        (&arm["variation"], &arm["visitors"]),
        (&"B".into(), &9.into())
    );
    assert_eq!(
        (&arm["conversions"], &arm["sum"]),
        (&3.into(), &30.97.into())
    );
    assert_eq!(
        (&report["goal"], &report["trustworthy"]),
        (&"sales".into(), &false.into())
    );
    assert_eq!(report["concerns"][0]["code"], "IntegrityProblem");
    serde_json::from_value::<TestingReport>(report.clone()).unwrap();
}

#[test]
fn what_is_wrong_is_told_and_the_exit_status_is_1() {
    type Edit = fn(&Path);
    let cases: [(Edit, &str); 6] = [
        (
            |folder| {
                let wrong = MANIFEST.replace("com.my-company.counts", "com.my-company.count");
                fs::write(folder.join("counts.yaml"), wrong).unwrap();
            },
            "/buckets/com.my-company.count\n",
        ),
        (
            |folder| {
                let wrong = MANIFEST.replace("key: counts.csv", "key: count.csv");
                fs::write(folder.join("counts.yaml"), wrong).unwrap();
            },
            "There is no \"count.csv\" in bucket com.my-company.counts: compare `key`",
        ),
        (
            |folder| {
                let wrong = MANIFEST.replace("bucket: ", "bucket: arn:aws:s3:::");
                fs::write(folder.join("counts.yaml"), wrong).unwrap();
            },
            "bucket takes a name, not an ARN: write com.my-company.counts",
        ),
        (
            |folder| {
                let wrong = COUNTS.replace("1710720000", "2024-03-18");
                let path = folder.join("buckets/com.my-company.counts/counts.csv");
                fs::write(path, wrong).unwrap();
            },
            "line 2, column Date: \"2024-03-18\" is not a date in Unix seconds",
        ),
        (
            |folder| fs::write(folder.join("counts.yaml"), "kind: DataSource\nspec: [").unwrap(),
            "counts.yaml",
        ),
        (
            |folder| fs::remove_file(folder.join("counts.yaml")).unwrap(),
            "no DataSource manifest",
        ),
    ];
    for (edit, expected) in cases {
        let folder = folder();
        edit(folder.path());
        let output = once(folder.path(), &[]);
        assert_eq!(output.status.code(), Some(1), "{expected}");
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert!(shown.contains(expected), "no {expected:?} in\n{shown}");
    }
}
