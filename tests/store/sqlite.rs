//! What is SQLite's own: files, versions, a disk that is full.

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::path::Path;

use sumsq::domain::agent_day::Day;
use sumsq::domain::fetch::Trigger;
use sumsq::store::sqlite::Sqlite;
use sumsq::store::{Store, StoreError};

use crate::{begin, boxed, chain, day, end, imported, plan, source};

#[tokio::test]
async fn a_full_disk_changes_nothing_and_the_store_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sumsq.db");
    let store = Sqlite::open_with_room_for(&path, 60).await.unwrap();
    let source = source("full");
    store.observe(&source, 1).await.unwrap();
    let fetch = store
        .begin_fetch(&begin(&source, plan(Trigger::Manual)))
        .await
        .unwrap();
    store
        .import(
            &end(&source, fetch, imported(1)),
            boxed(vec![day("a", 1, 1)]),
        )
        .await
        .unwrap();

    let fetch = store
        .begin_fetch(&begin(&source, plan(Trigger::Manual)))
        .await
        .unwrap();
    let too_many = (0..20_000).map(|number| day("a", number, 2));
    let full = store
        .import(&end(&source, fetch, imported(1)), Box::new(too_many))
        .await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    let days = store
        .agent_days(source.id, "a", Day::MIN, Day::MAX)
        .await
        .unwrap();
    assert_eq!(
        days,
        [day("a", 1, 1)],
        "the old data, all of them and nothing else"
    );

    // The same fetch may still end with what fits.
    store
        .import(
            &end(&source, fetch, imported(1)),
            boxed(vec![day("a", 1, 3)]),
        )
        .await
        .unwrap();
    let days = store
        .agent_days(source.id, "a", Day::MIN, Day::MAX)
        .await
        .unwrap();
    assert_eq!(days, [day("a", 1, 3)]);
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sumsq.db");
    Sqlite::open(&path).await.unwrap().close().await;
    let options = SqliteConnectOptions::new().filename(&path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (999, 'from the future', 1, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    assert_eq!(
        failure(&path).await,
        "the store was written by a newer version of sumsq (schema 999, this one knows 3)"
    );
}

#[tokio::test]
async fn what_is_no_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sumsq.db");
    std::fs::write(&path, "Date,Agent,Variation,Sels\n".repeat(100)).unwrap();
    let shown = failure(&path).await;
    assert!(
        shown.starts_with(&format!("cannot open the store {}", path.display())),
        "{shown}"
    );
    assert!(shown.contains("file is not a database"), "{shown}");
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .starts_with("Date,Agent")
    );
    let shown = failure(folder.path()).await;
    assert!(shown.starts_with("cannot open the store"), "{shown}");
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sumsq.db");
    let source = source("kept");
    let store = Sqlite::open(&path).await.unwrap();
    store.observe(&source, 1).await.unwrap();
    let fetch = store
        .begin_fetch(&begin(&source, plan(Trigger::Manual)))
        .await
        .unwrap();
    store
        .import(
            &end(&source, fetch, imported(1)),
            boxed(vec![day("a", 1, 1)]),
        )
        .await
        .unwrap();
    let before = store.observe(&source, 10).await.unwrap().history;
    store.close().await;
    let store = Sqlite::open(&path).await.unwrap();
    assert_eq!(store.observe(&source, 10).await.unwrap().history, before);
}

async fn failure(path: &Path) -> String {
    chain(&Sqlite::open(path).await.expect_err("it was opened"))
}

#[tokio::test]
async fn a_reader_waits_for_the_writer_and_never_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sumsq.db");
    let missing = Sqlite::open_read_only(&path).await;
    assert!(matches!(missing, Err(StoreError::Missing { .. })));
    assert!(!path.exists(), "a reader makes no store");

    let store = Sqlite::open(&path).await.unwrap();
    let source = source("read");
    crate::story::import(&store, &source, vec![("a", 1, 1)]).await;
    let reader = Sqlite::open_read_only(&path).await.unwrap();
    let days = reader.agent_days(source.id, "a", Day::MIN, Day::MAX).await;
    assert_eq!(days.unwrap(), [day("a", 1, 1)]);
    let refused = reader.retire(source.id).await;
    assert!(
        matches!(refused, Err(StoreError::Database(_))),
        "{refused:?}"
    );

    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path))
            .await
            .unwrap();
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version > 1")
        .execute(&mut connection)
        .await
        .unwrap();
    let older = Sqlite::open_read_only(&path).await;
    // Only a missing table says that the writer has not been there yet.
    sqlx::query("ALTER TABLE _sqlx_migrations RENAME COLUMN version TO other")
        .execute(&mut connection)
        .await
        .unwrap();
    let unreadable = Sqlite::open_read_only(&path).await;
    assert!(
        matches!(unreadable, Err(StoreError::Open { .. })),
        "{unreadable:?}"
    );
    sqlx::query("DROP TABLE _sqlx_migrations")
        .execute(&mut connection)
        .await
        .unwrap();
    let unmade = Sqlite::open_read_only(&path).await;
    assert!(matches!(unmade, Err(StoreError::Older { found: 0, .. })));
    let older = older.unwrap_err();
    assert_eq!(
        older.to_string(),
        "the store is of an older version of sumsq (schema 1, this one reads 3); it is brought up \
         to date by the process that writes it"
    );
}

#[tokio::test]
async fn a_file_that_is_replaced_underneath_is_no_store_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sumsq.db");
    let store = Sqlite::open(&path).await.unwrap();
    let source = source("replaced");
    crate::story::import(&store, &source, vec![("a", 1, 1)]).await;
    std::fs::remove_dir_all(folder.path()).unwrap();
    for other_is_there in [false, true] {
        if other_is_there {
            Sqlite::open(&path).await.unwrap().close().await;
        }
        // Else a fetch would be logged where nobody finds it, and be wanted again and again.
        let read = store.ping().await.map(drop);
        let written = store.retire(source.id).await;
        for said in [read, written] {
            assert!(matches!(said, Err(StoreError::Replaced { .. })), "{said:?}");
        }
    }
}
