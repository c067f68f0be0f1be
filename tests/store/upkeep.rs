//! `sumsq store` on both stores: list, copy, adopt, purge; the command itself, as a person runs it.

use std::fmt::Write;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use sumsq::domain::agent::{Agent, AgentResource};
use sumsq::domain::agent_day::Day;
use sumsq::domain::fetch::Trigger;
use sumsq::domain::plan::{CursorUpdate, FetchPlan, SlotCursor};
use sumsq::store::postgres::Postgres;
use sumsq::store::relational::{Copied, CopyError, Relational, copy_source, digest};
use sumsq::store::sqlite::Sqlite;
use sumsq::store::{SourceRef, Store, StoreError};

use crate::story::import;
use crate::support::postgres::Postgres as Server;
use crate::{begin, chain, denied, end, now, open, plan, source};

/// Addresses of two new stores, of either kind.
pub struct Addresses {
    folder: tempfile::TempDir,
    pub sqlite: String,
    pub postgres: String,
}

impl Addresses {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::shared().await;
        Self {
            sqlite: format!("sqlite:{}", folder.path().join("sumsq.db").display()),
            postgres: server.url(&server.database()),
            folder,
        }
    }

    pub fn another_sqlite(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("other.db").display())
    }
}

fn sumsq(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sumsq"))
        .arg("store")
        .args(arguments)
        .env_remove("SUMSQ_STORE")
        .output()
        .unwrap()
}

#[track_caller]
pub fn succeeds(arguments: &[&str]) -> String {
    let output = sumsq(arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it says on standard error.
#[track_caller]
pub fn fails(arguments: &[&str]) -> String {
    let output = sumsq(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let text = succeeds(&[arguments, &["--output", "json"]].concat());
    serde_json::from_str(&text).unwrap()
}

/// Everything that a store can hold: a source with a past, one that is gone, one in the middle of
/// its first fetch, and an Agent.
pub async fn fill(store: &dyn Store) -> [SourceRef; 3] {
    let (full, gone, begun) = (source("full"), source("gone"), source("begun"));
    let days = (0..1500).map(|number| ("a", number, 3));
    let others = [("b/ü", 7, 1), ("Z", -3, 1)];
    import(store, &full, days.chain(others).collect()).await;
    import(store, &full, vec![("a", 7, 4)]).await;
    let mut for_slot = begin(
        &full,
        FetchPlan {
            slot: Some(now()),
            request: Some("token".into()),
            ..plan(Trigger::Schedule)
        },
    );
    for_slot.cursor = Some(CursorUpdate {
        cursor: SlotCursor {
            schedule: "0 9 * * * UTC".into(),
            until: now(),
        },
        missed: 2,
    });
    let fetch = store.begin_fetch(&for_slot).await.unwrap();
    let failed = end(&full, fetch, denied("no \u{fc}"));
    store.complete_fetch(&failed).await.unwrap();
    store
        .set_reader(full.id, "arn:aws:iam::1:user/r")
        .await
        .unwrap();

    import(store, &gone, vec![("a", 1, 9), ("a", 2, 9)]).await;
    store.retire(gone.id).await.unwrap();
    store.observe(&begun, 1).await.unwrap();
    let first = begin(&begun, plan(Trigger::Created));
    store.begin_fetch(&first).await.unwrap();
    store
        .put_agent(&AgentResource {
            namespace: "growth".into(),
            name: "agent".into(),
            uid: "1".into(),
            created_at: now(),
            agent: Agent {
                code: "a".into(),
                display_name: None,
                goals: Vec::new(),
                baseline: None,
                target_lift: Some(0.1),
                variations: Vec::new(),
            },
        })
        .await
        .unwrap();
    [full, gone, begun]
}

/// What can be asked of a store, for comparing two of them.
async fn told(store: &dyn Store, sources: &[SourceRef]) -> String {
    let mut told = format!(
        "{:#?}\n{:#?}\n{:#?}\n",
        store.sources().await.unwrap(),
        store.agent_list().await.unwrap(),
        store.agent_resources(None).await.unwrap()
    );
    for source in sources {
        let fetches = store.fetches(source.id, 100, None).await.unwrap();
        let agents = store.agents(source.id).await.unwrap();
        let days = store.agent_days(source.id, "a", Day::MIN, Day::MAX).await;
        writeln!(told, "{fetches:?}\n{agents:?}\n{:?}", days.unwrap()).unwrap();
    }
    // What the log says of one who is present; a look at one who is gone would bring it back.
    let stored = store.observe(&sources[0], 100).await.unwrap();
    write!(told, "{stored:?}").unwrap();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_copied_there_and_back() {
    let addresses = Addresses::new().await;
    let (first, second) = (addresses.sqlite.clone(), addresses.postgres.clone());
    let third = addresses.another_sqlite();
    let store = open(&first).await;
    let sources = fill(store.as_ref()).await;
    let held = told(store.as_ref(), &sources).await;

    for (from, to) in [(&first, &second), (&second, &third)] {
        let copied = json(&["copy", "--from", from, "--to", to]);
        let results: Vec<_> = copied["sources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|copy| {
                (
                    copy["name"].as_str().unwrap(),
                    copy["result"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            results,
            [("begun", "Copied"), ("full", "Copied"), ("gone", "Copied")]
        );
        assert_eq!(copied["agents"], 1);
        assert_eq!(copied["sources"][1]["agentDays"], 1502);
        assert_eq!(told(open(to).await.as_ref(), &sources).await, held);
        // Asked again, nothing is left to do.
        let again = succeeds(&["copy", "--from", from, "--to", to]);
        assert_eq!(
            again.trim(),
            "0 sources copied and verified, 3 were there already, 0 not copied; 0 new Agents"
        );
    }
    let listed = json(&["list", "--store", &first]);
    assert_eq!(json(&["list", "--store", &second]), listed);
    assert_eq!(json(&["list", "--store", &third]), listed);
    let gone = &listed[2];
    assert_eq!(gone["present"], false);
    assert_eq!(
        (&gone["agentDays"], &gone["firstDay"]),
        (&2.into(), &"1970-01-02".into())
    );
    let shown = succeeds(&["list", "--store", &second]);
    assert!(shown.contains("growth/gone"), "{shown}");

    // The copy goes on where the original stood: an old slot is taken, the next fetch is begun.
    let copy = open(&second).await;
    let mut for_slot = plan(Trigger::Schedule);
    for_slot.slot = Some(now());
    let taken = copy.begin_fetch(&begin(&sources[0], for_slot)).await;
    assert!(matches!(taken, Err(StoreError::SlotTaken { .. })));
    let resumed = copy.observe(&sources[2], 1).await.unwrap().unfinished;
    assert!(resumed.is_some());
}

pub async fn relational(address: &str) -> Arc<dyn Relational> {
    match address.strip_prefix("sqlite:") {
        Some(path) => Arc::new(Sqlite::open(path.as_ref()).await.unwrap()),
        None => Arc::new(Postgres::open(address).await.unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_interrupted_goes_on_where_it_was() {
    let addresses = Addresses::new().await;
    for (from, to) in [
        (addresses.sqlite.clone(), addresses.postgres.clone()),
        (addresses.postgres.clone(), addresses.another_sqlite()),
    ] {
        let source = source("interrupted");
        let days = (0..3000).map(|number| ("a", number, 3)).collect();
        import(open(&from).await.as_ref(), &source, days).await;
        let (from, to) = (relational(&from).await, relational(&to).await);
        let whole = digest(from.as_ref(), source.id, &|_| {}).await.unwrap();
        // Cut off after it has looked at all days once and sent a part of them.
        let looked_at = Arc::new(AtomicU64::new(0));
        let (cut, has_come) = tokio::sync::oneshot::channel();
        let cut = std::sync::Mutex::new(Some(cut));
        let progress = |days: u64| {
            if looked_at.fetch_add(days, Ordering::Relaxed) > 4000
                && let Some(cut) = cut.lock().unwrap().take()
            {
                cut.send(()).unwrap();
            }
        };
        tokio::select! {
            biased;
            _ = has_come => {}
            done = copy_source(from.as_ref(), to.as_ref(), source.id, false, &progress) => {
                panic!("it was not cut off: {done:?}")
            }
        }
        let half = to.sources().await.unwrap();
        assert_eq!(half.len(), 1);
        assert!(!half[0].present, "nobody takes a half for the whole");
        let copied = copy_source(from.as_ref(), to.as_ref(), source.id, false, &|_| {}).await;
        let Copied {
            digest, agent_days, ..
        } = copied.unwrap();
        assert_eq!(digest, whole);
        assert!((1..2600).contains(&agent_days), "{agent_days} sent again");
        assert!(to.sources().await.unwrap()[0].present);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_knows_more_is_left_alone_unless_told() {
    let addresses = Addresses::new().await;
    let (from, to) = (&addresses.sqlite, &addresses.postgres);
    let old = open(from).await;
    fill(old.as_ref()).await;
    succeeds(&["copy", "--from", from, "--to", to]);
    // The new store goes on, and so does the old one.
    let (new, full) = (open(to).await, source("full"));
    import(new.as_ref(), &full, vec![("a", 7, 100)]).await;
    import(old.as_ref(), &full, vec![("c", 7, 1)]).await;
    let refused = fails(&["copy", "--from", from, "--to", to]);
    assert!(
        refused.contains("growth/full  NOT COPIED: the store to copy to knows more of this source")
            && refused.contains("1 fetches that the other has not")
            && refused.contains("--replace"),
        "{refused}"
    );
    assert_eq!(new.agents(full.id).await.unwrap().len(), 3);
    succeeds(&["copy", "--from", from, "--to", to, "--replace"]);
    assert_eq!(new.agents(full.id).await.unwrap().len(), 4);
    let day = new.agent_days(full.id, "a", Day(7), Day(7)).await.unwrap();
    assert_eq!(day[0].cell(0).visitors, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_was_damaged_is_not_copied() {
    let addresses = Addresses::new().await;
    let (from, to) = (&addresses.postgres, &addresses.sqlite);
    let store = open(from).await;
    let [full, ..] = fill(store.as_ref()).await;
    let database = from.rsplit('/').next().unwrap();
    let damage = format!(
        "UPDATE agent_day SET block = set_byte(block, 20, 1 + get_byte(block, 20)) \
         WHERE source = '{}' AND agent = 'a' AND day = 3",
        full.id
    );
    Server::shared().await.say(database, &damage);
    let told = fails(&["copy", "--from", from, "--to", to]);
    assert!(
        told.contains("the block of agent \"a\" on 1970-01-04 is not the one that was stored"),
        "{told}"
    );
    let others = open(to).await.sources().await.unwrap();
    let names: Vec<_> = others
        .iter()
        .map(|source| source.key.name.as_str())
        .collect();
    assert_eq!(names, ["begun", "gone"], "the others had their turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_adopted_or_purged_on_sqlite() {
    let addresses = Addresses::new().await;
    adopt_and_purge(&addresses.sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_adopted_or_purged_on_postgres() {
    let addresses = Addresses::new().await;
    adopt_and_purge(&addresses.postgres).await;
}

async fn adopt_and_purge(address: &str) {
    let store = open(address).await;
    let heir = source("heir");
    let visitors = async || -> Vec<(i32, u64)> {
        let days = store.agent_days(heir.id, "a", Day::MIN, Day::MAX).await;
        let days = days.unwrap().into_iter();
        days.map(|day| (day.day.0, day.cell(0).visitors)).collect()
    };
    // Three of one name, each of a namespace made anew.
    let leave = async |uid: &str, days: Vec<(&str, i32, u64)>| {
        let mut gone = source("old");
        gone.id = sumsq::domain::data_source::SourceId::derive(uid, "old");
        import(store.as_ref(), &gone, days).await;
        store.retire(gone.id).await.unwrap();
        gone.id.to_string()
    };
    import(store.as_ref(), &heir, vec![("a", 5, 50), ("a", 6, 60)]).await;
    let version = store.source(&heir.key).await.unwrap().unwrap().version;
    let first = leave("1", vec![("a", 1, 1), ("a", 6, 60), ("b", 1, 1)]).await;
    let run = |arguments: &[&str]| succeeds(&[arguments, &["--store", address]].concat());
    let refused = |arguments: &[&str]| fails(&[arguments, &["--store", address]].concat());

    for (arguments, said) in [
        (
            ["adopt", "growth/none", "--by", "growth/heir"],
            "holds no source growth/none",
        ),
        (
            ["adopt", "growth/heir", "--by", "growth/heir"],
            "growth/heir is not gone",
        ),
        (
            ["adopt", "growth/old", "--by", "growth/old"],
            "growth/old is gone",
        ),
    ] {
        let told = refused(&arguments);
        assert!(told.contains(said), "{told}");
    }
    let told = run(&["adopt", "growth/old", "--by", "growth/heir"]);
    assert!(
        told.starts_with("growth/heir has 2 agent days more"),
        "{told}"
    );
    assert_eq!(visitors().await, [(1, 1), (5, 50), (6, 60)]);
    let row = store.source(&heir.key).await.unwrap().unwrap();
    assert_eq!((row.agent_count, row.first_day), (2, Some(Day(1))));
    assert!(row.version > version, "reports are made anew");
    assert!(!run(&["list"]).contains(&first));

    // Days that both hold, in different ways.
    let second = leave("2", vec![("a", 2, 2), ("a", 5, 55)]).await;
    let told = refused(&["adopt", &second, "--by", "growth/heir"]);
    assert!(
        told.contains(
            "nothing was changed: both hold 1 agent days with different content, the first \
                       of them agent \"a\" on 1970-01-06"
        ),
        "{told}"
    );
    assert_eq!(visitors().await, [(1, 1), (5, 50), (6, 60)]);
    assert!(run(&["list"]).contains(&second));
    run(&[
        "adopt",
        &second,
        "--by",
        "growth/heir",
        "--on-conflict",
        "keep",
    ]);
    assert_eq!(visitors().await, [(1, 1), (2, 2), (5, 50), (6, 60)]);
    let third = leave("3", vec![("a", 6, 66)]).await;
    let fourth = leave("4", vec![("a", 6, 66)]).await;
    let told = refused(&["adopt", "growth/old", "--by", "growth/heir"]);
    assert!(told.contains(&third) && told.contains(&fourth), "{told}");
    run(&[
        "adopt",
        &third,
        "--by",
        "growth/heir",
        "--on-conflict",
        "take",
    ]);
    assert_eq!(visitors().await, [(1, 1), (2, 2), (5, 50), (6, 66)]);

    let told = refused(&["purge", "growth/heir", "--yes"]);
    assert!(told.contains("growth/heir is not gone"), "{told}");
    let told = refused(&["purge", "growth/old"]);
    assert!(
        told.contains("nothing was removed; --yes removes growth/old"),
        "{told}"
    );
    assert!(run(&["list"]).contains(&fourth));
    let told = run(&["purge", "growth/old", "--yes"]);
    assert!(told.contains("1 agents, 1 agent days"), "{told}");
    let left = store.sources().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key, heir.key);
}

#[tokio::test]
async fn what_is_not_there_is_not_made() {
    let addresses = Addresses::new().await;
    for address in [&addresses.sqlite, &addresses.postgres] {
        for command in [&["list"][..], &["purge", "growth/x", "--yes"]] {
            let told = fails(&[command, &["--store", address]].concat());
            assert!(told.contains("there is no store at"), "{told}");
        }
        let other = addresses.another_sqlite();
        let told = fails(&["copy", "--from", address, "--to", &other]);
        assert!(told.contains("--from: there is no store at"), "{told}");
    }
    let same = &addresses.sqlite;
    let told = fails(&["copy", "--from", same, "--to", same]);
    assert!(told.contains("the same store"), "{told}");
    // A store that fails half way ends it all, and is named.
    let failing = CopyError::To(StoreError::Missing { path: "x".into() });
    assert_eq!(
        chain(&failing),
        "the store to copy to failed: there is no store at x yet"
    );
}
