//! Files that are larger than the memory they may have: put aside on disk, and imported as any other.

use std::fmt::Write;
use std::fs::{self, Metadata};
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

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

/// Says the disk's used bytes and the process that it starts; once that has ended, what is left in
/// the disk's folder, and its used bytes again. The disk is one that nobody else writes.
const ON_A_DISK_OF_ITS_OWN: &str = r#"
    disk=$1 && shift && mount -t tmpfs -o size=64m spill "$disk" || exit 1
    used() { df -B1 --output=used "$disk" | tail -n 1; }
    used; "$@" >/dev/null & echo $!; wait $!; echo "ended with $?"
    ls -A "$disk" | wc -l; used
"#;

/// A process whose temporary files go to a disk of its own.
struct OnItsDisk {
    shell: Child,
    says: Lines<BufReader<ChildStdout>>,
}

impl OnItsDisk {
    fn start(disk: &Path, words: &[&str]) -> Self {
        let who: &[&str] = if fs::metadata("/proc/self").unwrap().uid() == 0 {
            &[]
        } else {
            &["--user", "--map-root-user"]
        };
        let mut shell = Command::new("unshare")
            .arg("--mount")
            .args(who)
            .args(["sh", "-c", ON_A_DISK_OF_ITS_OWN, "sh"])
            .arg(disk)
            .args(words)
            .env_remove("AWS_PROFILE")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(shell.stdout.take().unwrap()).lines();
        Self { shell, says }
    }

    fn says(&mut self) -> String {
        let line = self.says.next().expect("it says something").unwrap();
        line.trim().to_owned()
    }
}

/// What the process has open under `folder` without a name.
fn nameless_files(process: &str, folder: &Path) -> Vec<Metadata> {
    let open = fs::read_dir(format!("/proc/{process}/fd"));
    let paths = open.into_iter().flatten().flatten().map(|one| one.path());
    let within = |path: &PathBuf| fs::read_link(path).is_ok_and(|link| link.starts_with(folder));
    paths
        .filter(within)
        .filter_map(|path| fs::metadata(path).ok())
        .filter(|file| file.nlink() == 0)
        .collect()
}

#[test]
fn what_a_killed_process_has_put_aside_is_gone_with_it() {
    let (folder, disk) = (folder(8), tempfile::tempdir().unwrap());
    let [path, spill] = [folder.path(), disk.path()].map(|path| path.to_str().unwrap());
    let sumsq = env!("CARGO_BIN_EXE_sumsq");
    let once = [sumsq, "local", path, "--once", "--ingest-memory-mib", "1"];
    let mut process = OnItsDisk::start(disk.path(), &[&once[..], &["--spill-dir", spill]].concat());
    let (before, id) = (process.says(), process.says());

    // It dies when a megabyte of rows is on the disk.
    let deadline = Instant::now() + Duration::from_mins(1);
    let is_large = |file: &Metadata| file.len() >= 1 << 20;
    while !nameless_files(&id, disk.path()).iter().any(is_large) {
        assert!(Instant::now() < deadline, "nothing is put aside");
        std::thread::yield_now();
    }
    let killed = Command::new("kill").args(["-KILL", &id]).status().unwrap();
    assert!(killed.success());
    assert_eq!(process.says(), "ended with 137");
    assert_eq!(process.says(), "0", "files are left");
    assert_eq!(process.says(), before, "bytes are left");
    assert!(process.shell.wait().unwrap().success());

    // What it had begun, the next start finishes.
    assert_eq!(self::once(folder.path(), &[], "1")["agentCount"], 8);
}

/// The most memory that a process holds until it has imported a large file for each of `count`
/// data sources, which are all due at its start, in KiB.
fn peak_of(count: usize, folder: &Path) -> u64 {
    let manifest = |number| MANIFEST.replace("name: counts,", &format!("name: counts-{number},"));
    let manifests: Vec<String> = (0..count).map(manifest).collect();
    fs::write(folder.join("counts.yaml"), manifests.join("---")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sumsq"))
        .args(["local", folder.to_str().unwrap(), "--once"])
        .args(["--ingest-memory-mib", "1"])
        // As the chart has it: of several heaps each keeps what another one could use.
        .env("MALLOC_ARENA_MAX", "1")
        .env_remove("AWS_PROFILE")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let imported = lines
        .map(Result::unwrap)
        .filter(|line| line.contains(" imported in "));
    assert_eq!(imported.take(count).count(), count, "it ends before");
    // What it prints then takes memory of its own.
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    peak.parse().unwrap()
}

#[test]
fn files_that_are_due_at_once_take_turns_and_share_the_memory() {
    // 1.6 MB of rows each.
    let (few, many) = (folder(4), folder(4));
    let (of_few, of_many) = (peak_of(8, few.path()), peak_of(64, many.path()));
    println!("{of_few} KiB for 8 files, {of_many} KiB for 64");
    // 56 files more at the same time, or rows that are kept, would be 90 MiB.
    assert!(of_many < of_few + (32 << 10), "{of_few} KiB, {of_many} KiB");
}

#[test]
fn a_file_of_many_parts_takes_no_more_memory_than_its_parts() {
    // 2 MB and 53 MB, which come in seven parts.
    let (small, large) = (folder(4), folder(100));
    let (of_small, of_large) = (peak_of(1, small.path()), peak_of(1, large.path()));
    println!("{of_small} KiB for a small file, {of_large} KiB for a large one");
    assert!(
        of_large < of_small + (48 << 10),
        "{of_small} KiB, {of_large} KiB"
    );
}
