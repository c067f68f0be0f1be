//! `sumsq store backup`: the whole store in one file, while its operator goes on writing.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sumsq::domain::agent_day::Day;
use sumsq::store::Store;
use sumsq::store::sqlite::Sqlite;

use crate::story::import;
use crate::support::postgres::Postgres as Server;
use crate::support::process::testbed_path;
use crate::{open, source};

fn backup(store: &Path, to: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sumsq"))
        .args(["store", "backup", "--to", to, "--store"])
        .arg(format!("sqlite:{}", store.display()))
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What all days of the agent say, which every import has set to one value.
async fn value_in(store: &Path) -> u64 {
    let store = Sqlite::open(store).await.unwrap();
    let days = store
        .agent_days(source("full").id, "a", Day::MIN, Day::MAX)
        .await
        .unwrap();
    assert_eq!(days.len(), 400);
    let values = days
        .iter()
        .flat_map(|day| day.cells.iter())
        .map(|cell| cell.visitors);
    let values: std::collections::BTreeSet<_> = values.collect();
    assert_eq!(values.len(), 1, "a mixture of two imports: {values:?}");
    store.close().await;
    values.into_iter().next().unwrap()
}

fn days(value: u64) -> Vec<(&'static str, i32, u64)> {
    (0..400).map(|day| ("a", day, value)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_holds_one_commit_whole_whoever_writes_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sumsq.db");
    let store = Arc::new(Sqlite::open(&path).await.unwrap());
    import(store.as_ref(), &source("full"), days(1)).await;

    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        async move {
            let mut value = 1;
            while !done.load(Ordering::Relaxed) {
                value += 1;
                import(store.as_ref(), &source("full"), days(value)).await;
            }
            value
        }
    });
    let mut earlier = 0;
    for round in 0..5 {
        let copy = folder.path().join(format!("backup-{round}.db"));
        let output = tokio::task::spawn_blocking({
            let (path, copy) = (path.clone(), copy.clone());
            move || backup(&path, copy.to_str().unwrap())
        });
        let output = output.await.unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let value = value_in(&copy).await;
        assert!(value >= earlier, "{value} after {earlier}");
        earlier = value;
    }
    done.store(true, Ordering::Relaxed);
    let newest = writer.await.unwrap();
    assert!(newest > earlier, "nothing was written meanwhile");

    // The last one is what is there: restored, the operator goes on with it.
    let output = backup(&path, "-");
    assert!(output.status.success(), "{}", said(&output));
    let restored = folder.path().join("restored.db");
    fs::write(&restored, output.stdout).unwrap();
    assert_eq!(value_in(&restored).await, newest);
    let restored = Sqlite::open(&restored).await.unwrap();
    import(&restored, &source("full"), days(7)).await;
}

#[tokio::test]
async fn what_cannot_be_backed_up_is_told_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sumsq.db");
    let missing = backup(&path, "-");
    assert!(
        said(&missing).contains("there is no store at"),
        "{}",
        said(&missing)
    );

    Sqlite::open(&path).await.unwrap().close().await;
    let taken = folder.path().join("taken.db");
    fs::write(&taken, "mine").unwrap();
    let refused = backup(&path, taken.to_str().unwrap());
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("a backup never overwrites"),
        "{}",
        said(&refused)
    );
    assert_eq!(fs::read(&taken).unwrap(), b"mine");

    let nowhere = backup(&path, folder.path().join("none/b.db").to_str().unwrap());
    assert!(
        said(&nowhere).contains("cannot write into"),
        "{}",
        said(&nowhere)
    );

    let postgres = Command::new(env!("CARGO_BIN_EXE_sumsq"))
        .args([
            "store",
            "backup",
            "--to",
            "-",
            "--store",
            "postgres://u:secret@db/x",
        ])
        .output()
        .unwrap();
    assert!(said(&postgres).contains("pg_dump"), "{}", said(&postgres));
    assert!(!said(&postgres).contains("secret"), "{}", said(&postgres));

    let left = fs::read_dir(folder.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().contains("backup")),
        "{left:?}"
    );
}

/// The commands of docs/backup.md that begin so, as they stand there.
fn documented(program: &str) -> Vec<String> {
    let page = include_str!("../../docs/backup.md");
    let commands = page.lines().filter_map(|line| line.strip_prefix("    "));
    let commands = commands.filter(|command| command.split(' ').next() == Some(program));
    commands.map(str::to_owned).collect()
}

/// Runs it in bash, as somebody who has written the store's address.
fn run(command: &str, folder: &Path, database: &str) {
    let tools = testbed_path("SUMSQ_TEST_POSTGRES_BIN");
    let path = [&tools, Path::new("/usr/bin"), Path::new("/bin")];
    let output = Command::new("bash")
        .args(["-euc", command])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("DATABASE", database)
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}\n{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_restored_as_the_page_says() {
    let server = Server::shared().await;
    let (lost, new) = (server.database(), server.database());
    let folder = tempfile::tempdir().unwrap();
    let store = open(&server.url(&lost)).await;
    import(store.as_ref(), &source("full"), days(1)).await;

    let [dump] = &documented("pg_dump")[..] else {
        panic!("another backup");
    };
    run(dump, folder.path(), &server.url(&lost));
    // What came later is not in it.
    import(store.as_ref(), &source("full"), days(2)).await;
    store.close().await;

    let made = fs::read_dir(folder.path()).unwrap().next().unwrap();
    let made = made.unwrap().file_name().into_string().unwrap();
    let [restore] = &documented("pg_restore")[..] else {
        panic!("another restore");
    };
    // The page has a date of its own.
    let restore = restore.replace("sumsq-2026-11-24.dump", &made);
    run(&restore, folder.path(), &server.url(&new));

    // It is there as it was, and goes on.
    let store = open(&server.url(&new)).await;
    let held = async || {
        let id = source("full").id;
        let days = store.agent_days(id, "a", Day::MIN, Day::MAX).await;
        let days = days.unwrap();
        let values: std::collections::BTreeSet<_> = days
            .iter()
            .flat_map(|day| day.cells.iter().map(|cell| cell.visitors))
            .collect();
        (days.len(), values)
    };
    assert_eq!(held().await, (400, [1].into()));
    import(store.as_ref(), &source("full"), days(3)).await;
    assert_eq!(held().await, (400, [3].into()));
    store.close().await;
}
