//! A large file through the whole path, and the memory that it takes.
//!
//! By default a small one is generated. docs/performance.md tells of a file of 1.44 million rows:
//! `SUMSQ_TEST_LARGE_FILE` names it, `SUMSQ_TEST_BINARY` an optimised build.

use clap::Parser;
use serde_json::json;

use crate::buckets::Bucket;
use crate::cluster_with_crds;
use crate::operator::Operator;

#[path = "../../examples/make_counts.rs"]
mod make_counts;

const GENERATED: [&str; 11] = [
    "make_counts",
    "--agents",
    "4",
    "--days",
    "90",
    "--variations",
    "4",
    "--traits",
    "20",
    "--goals",
    "5",
];

#[tokio::test]
async fn a_large_file_is_imported_in_bounded_memory() {
    let file = if let Ok(path) = std::env::var("SUMSQ_TEST_LARGE_FILE") {
        std::fs::read(path).unwrap()
    } else {
        let mut file = Vec::new();
        make_counts::generate(&mut file, &make_counts::Args::parse_from(GENERATED)).unwrap();
        file
    };
    let bytes = file.len();
    let rows = memchr::memchr_iter(b'\n', &file).count() - 1;

    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("large").await;
    let bucket = Bucket::create("large").await;
    bucket.put("counts.csv", file).await;
    let operator = Operator::start(cluster, &namespace).await;
    let mut resource = bucket.data_source("counts").await;
    resource["spec"]["goals"] = (1..=5)
        .map(|goal| json!({"code": format!("goal-{goal}"), "numeric": true}))
        .collect();
    operator.apply(&resource).await;
    let status = operator.ready_when("counts", "True", "Imported").await;
    let newest = &status["history"][0];
    assert_eq!(newest["rows"], rows);
    assert_eq!(newest["changedAgentDays"], rows / (4 * 20));
    assert_eq!(newest["bytes"], bytes);
    assert_eq!(newest["warningCount"], 0, "{newest:#}");
    let peak = operator.peak_resident_kib();
    println!(
        "{rows} rows, {bytes} bytes: {} to {}, peak resident memory {} MiB",
        newest["startedAt"],
        newest["completedAt"],
        peak / 1024
    );
    assert!(peak < 256 * 1024, "{peak} KiB");
}
