//! A store whose disk is full: what is said of it, and that nothing is lost when there is room
//! again.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::buckets::{Bucket, DOCUMENT};
use crate::cluster_with_crds;
use crate::operator::{Operator, condition};
use crate::support::kubernetes::{Cluster, Namespace};

const MIB: u64 = 1 << 20;

/// Mounts a disk of 8 MiB on `$0` that only the command after it sees, and that ends with it.
const ON_A_DISK_OF_ITS_OWN: &str = r#"mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@""#;
/// Where nothing may be mounted: a file that would grow too large is an error, not a signal.
const WITH_A_LIMIT: &str = r#"trap "" XFSZ && exec "$@""#;

/// What a test can fill.
enum Disk {
    /// The folder of the store, as the operator's process sees it.
    Mounted(PathBuf),
    /// How large a file may become, as a quota would have it; of this process.
    Limited(String),
}

impl Disk {
    /// An operator whose store has one. A disk of its own wherever the machine lets anybody mount
    /// one: root, or a user namespace.
    async fn start(cluster: &'static Cluster, namespace: &Namespace) -> (Operator, Self) {
        let ways: [&[&str]; 2] = [&["unshare", "-m"], &["unshare", "-Urm"]];
        for way in ways {
            let shell = [way, &["sh", "-c", ON_A_DISK_OF_ITS_OWN]].concat();
            if works(&shell) {
                let operator = Operator::start_through(cluster, namespace, &shell).await;
                let root = PathBuf::from(format!("/proc/{}/root", operator.process()));
                let folder = operator.store_folder();
                let seen = root.join(folder.strip_prefix("/").unwrap());
                return (operator, Self::Mounted(seen));
            }
        }
        let shell = ["sh", "-c", WITH_A_LIMIT];
        let operator = Operator::start_through(cluster, namespace, &shell).await;
        let process = operator.process();
        (operator, Self::Limited(process))
    }

    /// Leaves so many bytes.
    fn fill(&self, operator: &Operator, left: u64) {
        match self {
            Self::Mounted(folder) => {
                let filler = folder.join("filler");
                let most = vec![0; usize::try_from(8 * MIB).unwrap()];
                let full = std::fs::write(&filler, most).unwrap_err();
                assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
                let file = std::fs::File::options().write(true).open(&filler).unwrap();
                let bytes = file.metadata().unwrap().len();
                file.set_len(bytes - left).unwrap();
            }
            Self::Limited(process) => {
                let log = operator.store().with_extension("db-wal");
                limit(process, &(log.metadata().unwrap().len() + left).to_string());
            }
        }
    }

    fn make_room(&self) {
        match self {
            Self::Mounted(folder) => std::fs::remove_file(folder.join("filler")).unwrap(),
            Self::Limited(process) => limit(process, "unlimited"),
        }
    }

    /// SQLite tells a full disk; a quota is any error to it.
    fn reason(&self) -> &'static str {
        match self {
            Self::Mounted(_) => "StoreFull",
            Self::Limited(_) => "StoreError",
        }
    }
}

fn works(shell: &[&str]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let command = Command::new(shell[0])
        .args(&shell[1..])
        .arg(Path::new(folder.path()))
        .arg("true")
        .output();
    command.is_ok_and(|output| output.status.success())
}

fn limit(process: &str, bytes: &str) {
    let soft = format!("--fsize={bytes}:");
    let status = Command::new("prlimit")
        .args(["--pid", process, &soft])
        .status();
    assert!(status.unwrap().success(), "prlimit");
}

/// So many agents on 30 days, each day a block of its own in the store.
fn counts(agents: usize) -> String {
    let mut csv =
        String::from("Date,Agent,Variation,Sels,sales,sales_sumsq,sales_val,sales_val_sumsq\n");
    for agent in 0..agents {
        for day in 0..30 {
            let date = 1_767_225_600 + day * 86_400;
            writeln!(csv, "{date},agent-{agent},A,100,7,7,7.5,9.25").unwrap();
        }
    }
    csv
}

fn says_what_to_do(status: &Value, disk: &Disk) {
    let ready = condition(status, "Ready").unwrap();
    assert_eq!(ready["reason"], disk.reason());
    let message = ready["message"].as_str().unwrap();
    assert!(message.contains("nothing was changed"), "{message}");
    if let Disk::Mounted(_) = disk {
        assert!(
            message.starts_with("the store has no room left; "),
            "{message}"
        );
        assert!(
            message.contains("give the store's volume more room"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_lost() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("full-disk").await;
    let bucket = Bucket::create("full-disk").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let (operator, disk) = Disk::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("before").await).await;
    operator.ready_when("before", "True", "Imported").await;

    // Not a byte is left: neither a new object nor a fetch can even be noted.
    disk.fill(&operator, 0);
    operator.apply(&bucket.data_source("new").await).await;
    let request = "sumsq.dev/fetch-requested-at";
    operator.annotate("before", &format!("{request}=one")).await;
    let status = operator.ready_when("new", "False", disk.reason()).await;
    says_what_to_do(&status, &disk);
    let status = operator.ready_when("before", "False", disk.reason()).await;
    says_what_to_do(&status, &disk);
    assert_eq!(status["history"][0]["error"]["code"], disk.reason());
    assert_eq!(status["history"][1]["result"], "Imported");
    assert_eq!(status["agentCount"], 1, "the data stay");
    assert_eq!(status["lastHandledFetchRequest"], Value::Null);

    // There is room again: the new one is noted with nobody asking, the other tries at once where
    // somebody does.
    disk.make_room();
    operator.ready_when("new", "True", "Imported").await;
    operator.annotate("before", &format!("{request}=two")).await;
    let status = operator.ready_when("before", "True", "NotModified").await;
    assert_eq!(status["lastHandledFetchRequest"], "two");
    assert_eq!(status["history"].as_array().unwrap().len(), 2);

    // Room for the log, and none for the data: the fetch ends in it, and changes nothing.
    bucket.put("counts.csv", counts(500)).await;
    disk.fill(&operator, MIB / 4);
    operator
        .annotate("before", &format!("{request}=three"))
        .await;
    let status = operator
        .status_when("before", "the failure", |status| {
            status["lastHandledFetchRequest"] == "three"
        })
        .await;
    says_what_to_do(&status, &disk);
    assert_eq!(status["history"][0]["error"]["code"], disk.reason());
    assert_eq!(
        (&status["agentCount"], &status["rows"]),
        (&json!(1), &json!(2))
    );

    disk.make_room();
    operator
        .annotate("before", &format!("{request}=four"))
        .await;
    let status = operator.ready_when("before", "True", "Imported").await;
    assert_eq!(status["history"][0]["changedAgentDays"], 15_000);
    assert_eq!(status["agentCount"], 501);
}
