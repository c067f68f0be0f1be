//! docs/backup.md on SQLite: a backup, a loss, the restore, and the operator goes on. PostgreSQL's is
//! walked by tests/store.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::node::{NAMESPACE, Node, is_ready};
use super::person::Person;
use super::{blocks, commands, page};
use crate::buckets::Bucket;
use crate::helm::CHART;
use crate::running::ready;
use crate::support::kubernetes::Cluster;
use crate::support::postgres::is_root;
use crate::support::process::wait_for;
use crate::{PATIENCE, SETTINGS, start_cluster};

/// A week of one agent that begins on this day of January 2026.
fn week(first: i64) -> String {
    let mut text =
        "Date,Agent,Variation,Sels,sales,sales_sumsq,sales_val,sales_val_sumsq\n".to_owned();
    for day in first..first + 7 {
        let date = 1_767_225_600 + (day - 1) * 86_400;
        for variation in ["A", "B"] {
            writeln!(text, "{date},checkout,{variation},100,10,10,50,500").unwrap();
        }
    }
    text
}

/// The commands of the part that begins with this heading, up to the next of its level or above.
fn part(page: &str, heading: &str) -> Vec<String> {
    let (_, part) = page.split_once(&format!("{heading}\n")).unwrap();
    let level = heading.split(' ').next().unwrap();
    let is_next = |line: &&str| {
        let hashes = line.len() - line.trim_start_matches('#').len();
        (1..=level.len()).contains(&hashes)
    };
    let part: Vec<_> = part.lines().take_while(|line| !is_next(line)).collect();
    blocks(&part.join("\n"))
        .iter()
        .flat_map(|block| commands(block))
        .collect()
}

async fn status(cluster: &Cluster) -> Value {
    let args = ["-n", NAMESPACE, "get", "datasource", "counts", "-o", "json"];
    let source = cluster.kubectl(&args).await.expect_success();
    let source: Value = serde_json::from_str(&source).unwrap();
    source["status"].clone()
}

/// Has the file fetched as it is now; the days that are held then, and how often a file was imported.
async fn fetched(cluster: &Cluster, request: &str) -> Value {
    let token = format!("sumsq.dev/fetch-requested-at={request}");
    let args = ["-n", NAMESPACE, "annotate", "--overwrite"];
    let args = [&args[..], &["datasource/counts", &token]].concat();
    cluster.kubectl(&args).await.expect_success();
    wait_for("the fetch", PATIENCE, async || {
        let status = status(cluster).await;
        let history = status["history"].as_array()?;
        let imports = history.iter().filter(|fetch| fetch["result"] == "Imported");
        (status["lastHandledFetchRequest"] == request)
            .then(|| json!([status["firstDay"], status["lastDay"], imports.count()]))
    })
    .await
}

/// What the page has run in its restoring Pod: there is no image of it, so that this machine's shell
/// does it, in a root that has the volume where the Pod mounts it.
fn restoring(volume: &Path) -> String {
    let volume = volume.display();
    let (mounts, user) = if is_root() {
        (
            "--mount",
            "setpriv --reuid 65532 --regid 65532 --clear-groups",
        )
    } else {
        ("--mount --map-root-user", "")
    };
    format!(
        "#!/bin/sh\nexec unshare {mounts} sh -ec 'mount -t tmpfs none /var/lib; mkdir /var/lib/sumsq; \
         mount --bind {volume} /var/lib/sumsq; exec {user} \"$@\"' sh \"$@\"\n"
    )
}

#[tokio::test]
async fn a_lost_volume_comes_back() {
    let cluster = start_cluster().await;
    let mut person = Person::new(&cluster).with_programs();
    let bucket = Bucket::create("backup").await;
    bucket.put("counts.csv", week(1)).await;
    let args = [
        "install",
        "sumsq",
        CHART,
        "-n",
        NAMESPACE,
        "--create-namespace",
    ];
    let args = [&args[..], &["--set", SETTINGS]].concat();
    cluster.helm(&args).await.expect_success();
    let mut node = Some(Node::run(&cluster, &person).await);
    ready(&cluster, NAMESPACE, &bucket).await;
    let page = page("backup.md");

    let [backup, list] = &part(&page, "## SQLite")[..2] else {
        panic!("other commands");
    };
    person.runs(backup).await;
    let checkout = std::fs::read_dir(person.folder.join("checkout")).unwrap();
    let mut names = checkout.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let made = names.find(|name| name.starts_with("sumsq-")).unwrap();
    // The page has a date of its own.
    person.replaces("sumsq-2026-11-24.db", &made);
    let listed = person.runs(list).await;
    assert!(listed.contains("counts"), "{listed}");

    // The file moves on, and no longer names the first week; then the volume is lost.
    bucket.put("counts.csv", week(8)).await;
    let both = json!(["2026-01-01", "2026-01-14", 2]);
    assert_eq!(fetched(&cluster, "1").await, both);
    let store = node.as_ref().unwrap().pod.volume("store").to_owned();

    for command in part(&page, "### Restore") {
        if command.contains(" wait --for=condition=Ready pod/") {
            person.program("place/sumsq-restore.", &restoring(&store));
            is_ready(&cluster, "sumsq-restore").await;
        }
        person.runs(&command).await;
        if command.ends_with("--replicas 0") {
            node.take().unwrap().stops().await;
            // Of the old store there is nothing but what a damaged disk has left.
            for name in ["sumsq.db", "sumsq.db-wal", "sumsq.db-shm"] {
                std::fs::write(store.join(name), "damaged").unwrap();
            }
        }
        if command.ends_with("--replicas 1") {
            node = Some(Node::run(&cluster, &person).await);
        }
    }
    assert!(node.is_some(), "the page starts it again");

    // It goes on from the backup, which knew of one import, and has again what it had: the first week
    // from the backup, the second from the file.
    assert_eq!(fetched(&cluster, "2").await, both);
}
