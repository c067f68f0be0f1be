//! What is PostgreSQL's own: servers that go away, refuse, hang, or are full.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;
use sumsq::domain::agent_day::{AgentDay, Day};
use sumsq::domain::fetch::Trigger;
use sumsq::store::postgres::{Limits, Postgres};
use sumsq::store::{SourceRef, Store, StoreError};
use uuid::Uuid;

use crate::story::import;
use crate::support::postgres::{self as servers, PASSWORD, Postgres as Server};
use crate::support::process::{ServerCommand, free_port, temporary_folder, wait_for};
use crate::support::s3::Microburst;
use crate::{begin, boxed, chain, day, end, imported, plan, source};

const PATIENCE: Duration = Duration::from_secs(30);

const QUICK: Limits = Limits {
    connections: 2,
    connect: Duration::from_secs(2),
    read: Duration::from_secs(1),
    write: Duration::from_secs(1),
    turn: Duration::from_secs(10),
};

async fn open(url: &str) -> Postgres {
    Postgres::open(url).await.unwrap()
}

/// The chain of causes of what has to fail, in which no password may stand.
async fn refusal(url: &str) -> (StoreError, String) {
    let error = Postgres::open(url).await.expect_err("it was opened");
    let shown = chain(&error);
    for secret in [PASSWORD, &PASSWORD.replace(' ', "%20"), "wr0ng"] {
        assert!(!shown.contains(secret), "{shown}");
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    (error, shown)
}

async fn start(store: &dyn Store, source: &SourceRef) -> Uuid {
    store
        .begin_fetch(&begin(source, plan(Trigger::Manual)))
        .await
        .unwrap()
}

async fn visitors(store: &dyn Store, source: &SourceRef) -> Vec<u64> {
    let days = store.agent_days(source.id, "a", Day::MIN, Day::MAX).await;
    let days = days.unwrap();
    days.iter().map(|day| day.cell(0).visitors).collect()
}

fn many(value: u64) -> Vec<AgentDay> {
    (0..2000).map(|number| day("a", number, value)).collect()
}

/// After a failure: the old data are all there, the fetch is left to be taken up, and taken up it
/// brings the new ones.
async fn nothing_is_lost(store: &dyn Store, source: &SourceRef, fetch: Uuid, old: u64, new: u64) {
    assert_eq!(visitors(store, source).await, vec![old; 2000]);
    let stored = store.observe(source, 1).await.unwrap();
    assert_eq!(stored.unfinished.map(|row| row.id), Some(fetch));
    let mut plan = plan(Trigger::Manual);
    plan.resume = Some(fetch);
    let again = store.begin_fetch(&begin(source, plan)).await.unwrap();
    store
        .import(&end(source, again, imported(new)), boxed(many(new)))
        .await
        .unwrap();
    assert_eq!(visitors(store, source).await, vec![new; 2000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_or_hangs_loses_nothing() {
    let server = Server::shared().await;
    let database = server.database();
    let proxy = Microburst::in_front_of_postgres(server.port).await;
    let url = servers::url(proxy.port(), &database);
    let store = Postgres::open_with(&url, QUICK).await.unwrap();
    let source = source("lost");
    let days = (0..2000).map(|number| ("a", number, 1)).collect();
    import(&store, &source, days).await;

    let insert = |effect: &str, value: serde_json::Value| json!([{"service": "postgres", "operation": "insert", effect: value}]);
    let mut version = 1;
    for (effect, value) in [("reset", json!(true)), ("timeout_ms", json!(-1))] {
        let fetch = start(&store, &source).await;
        proxy.rules(insert(effect, value)).await;
        let began = Instant::now();
        // More often than there are connections: none of them may be lost for good.
        for _ in 0..3 {
            let end = end(&source, fetch, imported(9));
            let failed = store.import(&end, boxed(many(9))).await.unwrap_err();
            match effect {
                "reset" => assert!(matches!(failed, StoreError::Unreachable { .. }), "{failed}"),
                _ => assert!(matches!(failed, StoreError::TooSlow { .. }), "{failed}"),
            }
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{effect}");
        proxy.clear().await;
        nothing_is_lost(&store, &source, fetch, version, version + 1).await;
        version += 1;
    }

    // A slow server is waited for.
    proxy
        .rules(json!([{"service": "postgres", "latency": 50}]))
        .await;
    assert_eq!(visitors(&store, &source).await, vec![version; 2000]);
    proxy.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_in_the_middle_of_an_import_loses_nothing() {
    let server = Server::start(&[]).await;
    let database = server.database();
    let store = open(&server.url(&database)).await;
    let source = source("restarted");
    let days = (0..2000).map(|number| ("a", number, 1)).collect();
    import(&store, &source, days).await;

    let fetch = start(&store, &source).await;
    let (half_way, go_on) = (mpsc::channel(), mpsc::channel::<()>());
    let days = many(2).into_iter().enumerate().map(move |(number, day)| {
        if number == 1500 {
            half_way.0.send(()).unwrap();
            go_on.1.recv().unwrap();
        }
        day
    });
    let importing = tokio::spawn({
        let (store, end) = (store.clone(), end(&source, fetch, imported(2)));
        async move { store.import(&end, Box::new(days)).await }
    });
    let half_way = tokio::task::spawn_blocking(move || half_way.1.recv());
    half_way.await.unwrap().unwrap();
    let stopped = server.stop().await;
    go_on.0.send(()).unwrap();
    let failed = importing.await.unwrap().unwrap_err();
    assert!(matches!(failed, StoreError::Unreachable { .. }), "{failed}");
    // While it is away, that is what is said.
    let url = servers::url(stopped.port(), &database);
    let away = Postgres::open_with(&url, QUICK).await;
    let shown = chain(&away.unwrap_err());
    assert!(shown.contains("Connection refused"), "{shown}");

    let server = Server::start_again(stopped).await;
    nothing_is_lost(&store, &source, fetch, 1, 2).await;
    drop(server);
}

#[tokio::test]
async fn a_server_that_takes_no_changes_is_named_and_still_read() {
    let server = Server::shared().await;
    let database = server.database();
    let store = open(&server.url(&database)).await;
    let source = source("read-only");
    import(&store, &source, vec![("a", 1, 1)]).await;
    let set = |how: &str| {
        server.say("postgres", &format!("ALTER DATABASE {database} {how}"));
        // Sessions of before keep what they began with.
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = ";
        server.say("postgres", &format!("{end}'{database}'"));
    };
    set("SET default_transaction_read_only = on");
    let failed = store.set_reader(source.id, "arn").await.unwrap_err();
    assert_eq!(
        failed.to_string(),
        format!(
            "the database at 127.0.0.1:{}/{database} takes no changes: it is a standby, or set to \
             read only",
            server.port
        )
    );
    assert_eq!(visitors(&store, &source).await, [1]);
    let (failed, shown) = refusal(&server.url(&database)).await;
    assert!(matches!(failed, StoreError::ReadOnly { .. }), "{shown}");
    let reports = Postgres::open_read_only(&server.url(&database)).await;
    assert_eq!(visitors(&reports.unwrap(), &source).await, [1]);
    set("RESET default_transaction_read_only");
    store.set_reader(source.id, "arn").await.unwrap();
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_the_store_goes_on() {
    let server = Server::start_with_small_disk(11).await;
    let database = server.database_on_small_disk();
    server.say(
        &database,
        "CREATE TABLE ballast AS SELECT repeat('-', 1000) FROM generate_series(1, 500)",
    );
    let store = open(&server.url(&database)).await;
    let source = source("full");
    import(&store, &source, vec![("a", 1, 1)]).await;
    let fetch = start(&store, &source).await;
    let too_many = (0..200_000).map(|number| day("a", number, 2));
    let full = store
        .import(&end(&source, fetch, imported(1)), Box::new(too_many))
        .await
        .unwrap_err();
    assert!(matches!(full, StoreError::Full(_)), "{}", chain(&full));
    assert!(chain(&full).contains("No space left"), "{}", chain(&full));
    assert_eq!(visitors(&store, &source).await, [1]);
    // What was written and is undone is for vacuum to free; somebody makes room at once.
    server.say(&database, "DROP TABLE ballast");
    let fits = boxed(vec![day("a", 1, 3)]);
    store
        .import(&end(&source, fetch, imported(1)), fits)
        .await
        .unwrap();
    assert_eq!(visitors(&store, &source).await, [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_source_wait_for_each_other_and_of_two_do_not() {
    let server = Server::shared().await;
    let database = server.database();
    let url = server.url(&database);
    let store = open(&url).await;
    let (held, other) = (source("held"), source("other"));
    import(&store, &held, vec![("a", 1, 1)]).await;
    let fetch = start(&store, &held).await;
    let (half_way, go_on) = (mpsc::channel(), mpsc::channel::<()>());
    let days = (0..1000).map(move |number| {
        if number == 900 {
            half_way.0.send(()).unwrap();
            go_on.1.recv().unwrap();
        }
        day("a", number, 2)
    });
    let importing = tokio::spawn({
        let (store, end) = (store.clone(), end(&held, fetch, imported(2)));
        async move { store.import(&end, Box::new(days)).await }
    });
    let half_way = tokio::task::spawn_blocking(move || half_way.1.recv());
    half_way.await.unwrap().unwrap();

    assert_eq!(import(&store, &other, vec![("a", 1, 5)]).await, (1, 1));
    assert_eq!(visitors(&store, &held).await, [1], "not before the commit");
    let waiting = tokio::spawn({
        let (store, id) = (store.clone(), held.id);
        async move { store.set_reader(id, "arn").await }
    });
    let locked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                  AND datname = current_database()";
    server.wait_until(&database, locked, "1").await;
    // A server that limits how long a statement may take ends the wait, and says why.
    let mut limited = url.clone();
    limited.push_str("?options[statement_timeout]=100ms");
    let failed = open(&limited).await.set_reader(held.id, "arn").await;
    let shown = chain(&failed.unwrap_err());
    assert!(
        shown.contains(
            "did not answer in time: error returned from database: canceling statement due to \
             statement timeout"
        ),
        "{shown}"
    );
    assert!(!waiting.is_finished());
    go_on.0.send(()).unwrap();
    importing.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(visitors(&store, &held).await, vec![2; 1000]);
}

#[tokio::test]
async fn an_unchanged_day_keeps_its_row() {
    let server = Server::shared().await;
    let database = server.database();
    let store = open(&server.url(&database)).await;
    let source = source("unchanged");
    import(&store, &source, vec![("a", 1, 1), ("a", 2, 1)]).await;
    let rows = || server.say(&database, "SELECT ctid, day FROM agent_day ORDER BY day");
    let before = rows();
    import(&store, &source, vec![("a", 1, 1), ("a", 2, 1)]).await;
    assert_eq!(rows(), before);
    import(&store, &source, vec![("a", 1, 1), ("a", 2, 2)]).await;
    let first = |rows: &str| rows.lines().next().map(str::to_owned);
    assert_eq!(first(&rows()), first(&before));
    assert_ne!(rows(), before);
}

#[tokio::test]
async fn what_keeps_it_from_opening_is_said_without_the_password() {
    let server = Server::shared().await;
    let database = server.database();
    let at = format!("127.0.0.1:{}", server.port);
    let password = PASSWORD.replace(' ', "%20");
    let (nowhere, nothing) = (free_port(), format!("127.0.0.1:{}", free_port()));
    let unknown = format!("postgres://postgres:{password}@{at}/{database}?sslmod=require");
    for (url, shown) in [
        (
            format!("postgres://postgres:wr0ng@{at}/{database}"),
            format!(
                "the database at {at}/{database} refuses the user, the password, or what the user \
                 may do: error returned from database: password authentication failed for user \
                 \"postgres\""
            ),
        ),
        (
            server.url("nothing_of_that_name"),
            format!(
                "there is no database at {at}/nothing_of_that_name: error returned from database: \
                 database \"nothing_of_that_name\" does not exist"
            ),
        ),
        (
            servers::url(nowhere, &database),
            format!(
                "the database at 127.0.0.1:{nowhere}/{database} cannot be reached: error \
                 communicating with database: Connection refused (os error 111)"
            ),
        ),
        (unknown, "the store's address is not understood".to_owned()),
        (
            format!("postgres://postgres:wr0ng@{nothing}:x/{database}"),
            "the store's address is not understood (invalid port number)".to_owned(),
        ),
        (
            format!("mysql://postgres:wr0ng@{at}/{database}"),
            "the store's address is not understood (it is of another kind)".to_owned(),
        ),
    ] {
        let (_, found) = refusal(&url).await;
        let rest = found.strip_prefix(&shown);
        // The cause is told once.
        assert!(
            rest.is_some_and(|rest| !rest.contains(": ")),
            "{found}\n{shown}"
        );
    }
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let server = Server::shared().await;
    let database = server.database();
    let url = server.url(&database);
    open(&url).await.close().await;
    server.say(
        &database,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (999, 'from the future', true, '', 0)",
    );
    let newer = "the store was written by a newer version of sumsq (schema 999, this one knows 2)";
    assert_eq!(refusal(&url).await.1, newer);
    let reader = Postgres::open_read_only(&url).await.unwrap_err();
    assert_eq!(reader.to_string(), newer);
}

#[tokio::test]
async fn a_reader_waits_for_the_writer_and_never_writes() {
    let server = Server::shared().await;
    let database = server.database();
    let url = server.url(&database);
    let missing = Postgres::open_read_only(&url).await;
    assert!(matches!(missing, Err(StoreError::Missing { .. })));
    assert_eq!(
        server.say(
            &database,
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ),
        "0",
        "a reader makes no store"
    );
    let store = open(&url).await;
    let source = source("read");
    import(&store, &source, vec![("a", 1, 1)]).await;
    let reader = Postgres::open_read_only(&url).await.unwrap();
    assert_eq!(visitors(&reader, &source).await, [1]);
    let refused = reader.retire(source.id).await;
    assert!(
        matches!(refused, Err(StoreError::ReadOnly { .. })),
        "{refused:?}"
    );
    server.say(&database, "DELETE FROM _sqlx_migrations");
    let older = Postgres::open_read_only(&url).await.unwrap_err();
    assert!(
        matches!(older, StoreError::Older { found: 0, known: 2 }),
        "{older}"
    );
}

/// With the very statements of docs/store.md.
#[tokio::test]
async fn a_role_that_may_only_read_is_enough_for_reports() {
    let server = Server::shared().await;
    let database = server.database();
    let role = format!("reader_{database}");
    let documented = include_str!("../../docs/store.md")
        .lines()
        .map(str::trim)
        .filter(|line| line.ends_with("sumsq_reader;"));
    let grants: Vec<&str> = documented.collect();
    assert_eq!(grants.len(), 3, "{grants:?}");
    server.say(&database, &format!("CREATE ROLE {role} LOGIN"));
    let grants = grants.join(" ").replace("sumsq_reader", &role);
    server.say(&database, &grants);
    let url = server.url(&database);
    let store = open(&url).await;
    let source = source("granted");
    import(&store, &source, vec![("a", 1, 1)]).await;
    // Of a role without a password nobody asks for one there.
    let reader_url = server.socket_url(&database);
    let reader_url = reader_url.replacen("postgres@", &format!("{role}@"), 1);
    let reader = Postgres::open_read_only(&reader_url).await.unwrap();
    assert_eq!(visitors(&reader, &source).await, [1]);
    let writer = Postgres::open(&reader_url).await;
    assert!(writer.is_err() || writer.unwrap().set_reader(source.id, "arn").await.is_err());
    reader.close().await;
    server.say(
        &database,
        &format!("DROP OWNED BY {role}; DROP ROLE {role}"),
    );
}

#[tokio::test]
async fn tls_is_verified_where_the_address_asks_for_it() {
    let server = Server::start_with_tls().await;
    let database = server.database();
    let authority = server.folder().join("authority.pem");
    let other = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(other.path(), servers::authority().0.pem()).unwrap();
    let by = |authority: &std::path::Path| {
        let authority = authority.display();
        let url = server.url(&database);
        format!("{url}?sslmode=verify-full&sslrootcert={authority}")
    };
    let store = open(&by(&authority)).await;
    store.ping().await.unwrap();
    let encrypted = "SELECT count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE ssl AND application_name = 'sumsq'";
    assert_eq!(server.say(&database, encrypted), "t");
    let (failed, shown) = refusal(&by(other.path())).await;
    assert!(matches!(failed, StoreError::Unreachable { .. }), "{shown}");
    assert!(shown.contains("invalid peer certificate"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_server_waits_for_it_and_serves_from_it() {
    let server = Server::shared().await;
    let database = server.database();
    let folder = temporary_folder("report");
    let listen = format!("127.0.0.1:{}", free_port());
    // The password as the chart gives it.
    let address = format!("postgres://postgres@127.0.0.1:{}/{database}", server.port);
    let reports = ServerCommand::new("report", env!("CARGO_BIN_EXE_sumsq"))
        .args([
            "report",
            "--listen",
            &listen,
            "--probe-listen",
            "127.0.0.1:0",
        ])
        .env("SUMSQ_STORE", &address)
        .env("PGPASSWORD", PASSWORD)
        .removes(&folder)
        .start(&folder);
    wait_for("the wait for the store", PATIENCE, async || {
        reports
            .log_tail()
            .contains("there is no store at")
            .then_some(())
    })
    .await;
    let store = open(&server.url(&database)).await;
    let shown = source("shown");
    import(&store, &shown, vec![("an-agent", 1, 1)]).await;
    let described = crate::catalogue::description("Shown");
    store.describe(shown.id, &described).await.unwrap();
    reports
        .ready(PATIENCE, async || get(&listen, "readyz").await.is_some())
        .await;
    let agents = get(&listen, "api/v1/agents").await.unwrap();
    assert!(agents.contains("an-agent"), "{agents}");
    let log = reports.log_tail();
    assert!(!log.contains(PASSWORD), "{log}");
}

async fn get(listen: &str, path: &str) -> Option<String> {
    let url = format!("http://{listen}/{path}");
    let asked = tokio::task::spawn_blocking(move || {
        let mut answer = ureq::get(&url).call().ok()?;
        answer.body_mut().read_to_string().ok()
    });
    asked.await.unwrap()
}
