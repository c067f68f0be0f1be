//! Files that are larger than the memory they may have: put aside on disk, and imported as any other.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const MANIFEST: &str = "
apiVersion: sumsq.dev/v1alpha1
kind: DataSource
metadata: {name: counts, namespace: growth}
spec:
  goals: [{code: goal-1, numeric: true}, {code: goal-2, numeric: true}]
  source:
    s3: {region: us-east-1, bucket: counts, key: counts.csv, accountId: '123456789012'}
";

/// A folder with that many agents; the 4,800 rows of each take some 400 KB of memory.
fn folder(agents: u32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("buckets/counts")).unwrap();
    fs::write(folder.path().join("counts.yaml"), MANIFEST).unwrap();
    put(folder.path(), agents);
    folder
}

/// Rows in no order, with values of so many digits that few of them take much room.
fn put(folder: &Path, agents: u32) {
    let mut csv =
        "Date,Agent,Variation,Sels,Trait_Group,Trait_Value,goal-1,goal-1_sumsq,goal-1_val,\
                   goal-1_val_sumsq,goal-2,goal-2_sumsq,goal-2_val,goal-2_val_sumsq\n"
            .to_owned();
    let values = "9,9,70000000000.0000000001,1000000000000000000000.0";
    for row in 0..agents * 300 * 2 * 8 {
        // A step that shares no factor with the number of rows goes through all of them.
        let row = row * 7_919 % (agents * 300 * 2 * 8);
        let (rest, of_trait) = (row / 8, row % 8);
        let (rest, variation) = (rest / 2, rest % 2);
        let (day, agent) = (rest / agents, rest % agents);
        let date = 1_704_067_200 + u64::from(day) * 86_400;
        writeln!(
            csv,
            "{date},agent-{agent},{variation},{},s,{of_trait},{values},{values}",
            100 + row % 7
        )
        .unwrap();
    }
    fs::write(folder.join("buckets/counts/counts.csv"), csv).unwrap();
}

/// What `sumsq local --once` says of the data source, through `shell`.
fn once(folder: &Path, shell: &[&str], memory_mib: &str) -> Value {
    let sumsq = env!("CARGO_BIN_EXE_sumsq");
    let path = folder.to_str().unwrap();
    let once = [sumsq, "local", path, "--once", "--output", "json"];
    let words = [shell, &once, &["--ingest-memory-mib", memory_mib]].concat();
    let output = Command::new(words[0])
        .args(&words[1..])
        .env_remove("AWS_PROFILE")
        .output()
        .unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let mut source = summary["dataSources"][0].clone();
    source["durationSeconds"] = Value::Null;
    source
}

#[test]
fn a_file_larger_than_its_memory_is_the_same_file() {
    let (little, plenty) = (folder(4), folder(4));
    let read = once(little.path(), &[], "1");
    assert_eq!(read["result"], "Imported", "{read}");
    assert_eq!(read, once(plenty.path(), &[], "64"));
    // What was put aside had no name and is gone.
    let left = |folder: &TempDir| {
        let entries = fs::read_dir(folder.path().join(".sumsq")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(left(&little), left(&plenty));
}

#[test]
fn where_the_disk_is_full_it_is_said_and_nothing_is_lost() {
    let folder = folder(1);
    assert_eq!(once(folder.path(), &[], "1")["agentCount"], 1);
    put(folder.path(), 4);
    // No file may become larger than a megabyte: not with a signal, with an error.
    let limited = [
        "sh",
        "-c",
        r#"trap "" XFSZ && ulimit -f 1024 && exec "$@""#,
        "sh",
    ];
    let failed = once(folder.path(), &limited, "1");
    let error = &failed["error"];
    assert_eq!(error["code"], "StoreFull", "{failed}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("rows cannot be kept in temporary files in /"),
        "{message}"
    );
    assert!(message.contains("File too large"), "{message}");
    assert!(
        error["hint"].as_str().unwrap().contains("--spill-dir"),
        "{error}"
    );
    assert_eq!(failed["agentCount"], 1);
    assert_eq!(once(folder.path(), &[], "1")["agentCount"], 4);
}
