//! Report servers keep nothing that matters: any number of them answers alike.

use std::time::Duration;

use crate::story::import;
use crate::support::postgres::Postgres as Server;
use crate::support::process::{self, ServerCommand, free_port, temporary_folder};
use crate::{open, source};

const PATIENCE: Duration = Duration::from_secs(30);

/// Status, ETag and body.
type Answer = (u16, Option<String>, Vec<u8>);

const PATHS: [&str; 8] = [
    "/",
    "/namespaces/growth/data-sources/shown",
    "/namespaces/growth/agents/an-agent",
    "/namespaces/growth/agents/an-agent/activity",
    "/api/v1/agents",
    "/api/v1/data-sources",
    "/api/v1/namespaces/growth/agents/an-agent/testing",
    "/api/v1/namespaces/growth/agents/an-agent/testing.csv",
];

fn start(address: &str) -> (process::Server, String) {
    let folder = temporary_folder("report");
    let listen = format!("127.0.0.1:{}", free_port());
    let server = ServerCommand::new("report", env!("CARGO_BIN_EXE_sumsq"))
        .args(["report", "--listen", &listen])
        .args(["--probe-listen", "127.0.0.1:0"])
        .env("SUMSQ_STORE", address)
        .removes(&folder)
        .start(&folder);
    (server, listen)
}

async fn get(listen: &str, path: &str, known: Option<String>) -> Option<Answer> {
    let url = format!("http://{listen}{path}");
    let asked = tokio::task::spawn_blocking(move || {
        let mut request = ureq::get(&url);
        if let Some(known) = known {
            request = request.header("if-none-match", known);
        }
        let mut answer = request.call().ok()?;
        let etag = answer.headers().get("etag");
        let etag = etag.map(|etag| etag.to_str().unwrap().to_owned());
        let body = answer.body_mut().read_to_vec().ok()?;
        Some((answer.status().as_u16(), etag, body))
    });
    asked.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_report_servers_on_one_database_answer_alike() {
    let server = Server::shared().await;
    let address = server.url(&server.database());
    let store = open(&address).await;
    let shown = source("shown");
    let describe = async |name: &str| {
        let description = crate::catalogue::description(name);
        store.describe(shown.id, &description).await.unwrap();
    };
    import(store.as_ref(), &shown, vec![("an-agent", 20_000, 90)]).await;
    describe("Shown").await;
    let (first, second) = (start(&address), start(&address));
    for (process, listen) in [&first, &second] {
        process
            .ready(PATIENCE, async || {
                get(listen, "/readyz", None).await.is_some()
            })
            .await;
    }
    let (first, second) = (&*first.1, &*second.1);
    let before = alike(first, second).await;
    // One has answered already, and learns of what is new as the other does.
    import(store.as_ref(), &shown, vec![("an-agent", 20_001, 95)]).await;
    describe("Shown anew").await;
    let after = alike(first, second).await;
    for ((path, before), after) in PATHS.iter().zip(before).zip(after) {
        assert_ne!(before, after, "{path}");
    }
    store.close().await;
}

/// What both answer. What the one has given out, the other knows again.
async fn alike(first: &str, second: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    for path in PATHS {
        let of_first = get(first, path, None).await.expect(path);
        let of_second = get(second, path, None).await.expect(path);
        assert_eq!(of_first.0, 200, "{path}");
        assert!(of_first.2.len() > 50, "{path}");
        assert!(
            of_first == of_second,
            "{path}: {:?} {:?}",
            of_first.1,
            of_second.1
        );
        if let Some(known) = of_first.1.clone() {
            let again = get(second, path, Some(known)).await.expect(path);
            assert_eq!((again.0, again.2.len()), (304, 0), "{path}");
        }
        answers.push(of_first);
    }
    let with_etag = answers.iter().filter(|(_, etag, _)| etag.is_some());
    assert!(with_etag.count() >= 4, "{answers:?}");
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_server_whose_password_is_refused_ends() {
    let server = Server::shared().await;
    let database = server.database();
    open(&server.url(&database)).await.close().await;
    let grants = "CREATE ROLE reads LOGIN PASSWORD 'first'; \
                  GRANT SELECT ON ALL TABLES IN SCHEMA public TO reads";
    server.say(&database, grants);
    let address = |password: &str| {
        let port = server.port;
        format!("postgres://reads:{password}@127.0.0.1:{port}/{database}")
    };
    let (wrong, _) = start(&address("wr0ng"));
    assert_eq!(wrong.ended(PATIENCE).await.code(), Some(1));
    let told = wrong.log_tail();
    assert!(
        told.contains("error: cannot go on: the database at "),
        "{told}"
    );
    assert!(
        told.contains("password authentication failed for user"),
        "{told}"
    );
    assert!(!told.contains("wr0ng"), "{told}");

    let (reports, listen) = start(&address("first"));
    let is_there = async || {
        let answer = get(&listen, "/api/v1/agents", None).await;
        answer.map(|answer| answer.0) == Some(200)
    };
    reports.ready(PATIENCE, is_there).await;
    let change = "ALTER ROLE reads PASSWORD 'second'; SELECT count(pg_terminate_backend(pid)) \
                  FROM pg_stat_activity WHERE usename = 'reads'";
    server.say(&database, change);
    process::wait_for("the end", PATIENCE, async || {
        let gone = !is_there().await;
        (gone && reports.log_tail().contains("no longer takes the user")).then_some(())
    })
    .await;
    assert_eq!(reports.ended(PATIENCE).await.code(), Some(1));
    let (reports, listen) = start(&address("second"));
    let is_there = async || get(&listen, "/api/v1/agents", None).await.is_some();
    reports.ready(PATIENCE, is_there).await;
}
