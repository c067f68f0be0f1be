//! `sumsq show` as a person runs it: the words, the exit status, and that a report server says the
//! same as the store.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use sumsq::domain::data_source::SourceKey;
use sumsq::http::access::{
    Access, As, FetchAnswer, From, Identity, ReviewError, Reviewer, Right, SessionKey, Token,
};
use sumsq::http::{self, ReportState, Server, StoreSlot};
use sumsq::metrics::Metrics;
use sumsq::store::Store;
use sumsq::store::sqlite::Sqlite;
use tempfile::TempDir;
use tokio::net::TcpListener;

const SUMSQ: &str = env!("CARGO_BIN_EXE_sumsq");
const MANIFEST: &str = include_str!("../examples/document/counts.yaml");
const COUNTS: &str = include_str!("../examples/document/buckets/com.my-company.counts/counts.csv");
/// As the document writes it, with a hyphen that does not break.
const AGENT: &str = "default/agent\u{2011}1";

fn sumsq(args: &[&str]) -> Output {
    Command::new(SUMSQ)
        .args(args)
        .env_remove("AWS_PROFILE")
        .output()
        .unwrap()
}

/// The document's example, imported.
fn store() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let bucket = folder.path().join("buckets/com.my-company.counts");
    std::fs::create_dir_all(&bucket).unwrap();
    std::fs::write(bucket.join("counts.csv"), COUNTS).unwrap();
    std::fs::write(folder.path().join("counts.yaml"), MANIFEST).unwrap();
    let imported = sumsq(&["local", folder.path().to_str().unwrap(), "--once"]);
    assert!(imported.status.success(), "{imported:?}");
    let path = folder.path().join(".sumsq/sumsq.db");
    (folder, path)
}

fn show(store: &Path, more: &[&str]) -> Output {
    let store = format!("sqlite:{}", store.display());
    sumsq(&[&["show", "--store", &store], more].concat())
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_document_s_example_reads_like_this() {
    let (_folder, store) = store();
    let output = show(&store, &[AGENT, "--metric", "rate"]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(said(&output.stdout));
}

#[test]
fn what_is_not_there_is_usage_and_says_what_is() {
    let (_folder, store) = store();
    for (args, expected) in [
        (
            vec!["default/agent-1"],
            "error: no agent default/agent-1: did you mean default/agent\u{2011}1?\n",
        ),
        (
            vec!["growth/other"],
            "error: no agent growth/other: there is default/agent\u{2011}1\n",
        ),
        (
            vec![AGENT, "--data-source", "tills"],
            "error: --data-source: agent agent\u{2011}1 is held by internal-conversions\n",
        ),
        (
            vec![AGENT, "--metric", "mean"],
            "error: --metric: \"mean\" is not one of rate, value\n",
        ),
    ] {
        let output = show(&store, &args);
        assert_eq!(said(&output.stderr), expected);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
    let nowhere = show(Path::new("/nonexistent/sumsq.db"), &[AGENT]);
    assert_eq!(
        said(&nowhere.stderr),
        "error: there is no store at /nonexistent/sumsq.db yet\n"
    );
    assert_eq!(nowhere.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_server_says_the_same_as_the_store() {
    let (_folder, path) = store();
    let store: Arc<dyn Store> = Arc::new(Sqlite::open_read_only(&path).await.unwrap());
    let state = ReportState::new(
        StoreSlot::holding(store),
        Arc::new(Metrics::new().unwrap()),
        Arc::new(jiff::Timestamp::now),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(listener, http::router(state)).unwrap();
    let address = format!("http://{}/", server.address());
    let compared = tokio::task::spawn_blocking(move || {
        for more in [
            vec![],
            vec!["--output", "json"],
            vec!["--output", "csv", "--goal", "sales", "--metric", "rate"],
            vec!["--interval", "always-valid", "--confidence", "0.9"],
        ] {
            let args = [&[AGENT][..], &more].concat();
            let by_store = show(&path, &args);
            let by_server = sumsq(&[&["show", "--server", &address], &args[..]].concat());
            assert!(by_store.status.success() && by_server.status.success());
            // To the last digit: numbers are read back as they were written.
            for (ours, theirs) in said(&by_store.stdout)
                .lines()
                .zip(said(&by_server.stdout).lines())
            {
                assert_eq!(ours, theirs, "{more:?}");
            }
            assert_eq!(by_store.stdout.len(), by_server.stdout.len(), "{more:?}");
        }
        let unknown = sumsq(&["show", "--server", &address, "growth/other"]);
        assert_eq!(unknown.status.code(), Some(2));
        assert!(said(&unknown.stderr).starts_with("error: "), "{unknown:?}");
        address
    });
    let address = compared.await.unwrap();
    server.stop(Duration::from_secs(5)).await;
    let gone = tokio::task::spawn_blocking(move || sumsq(&["show", "--server", &address, AGENT]));
    let gone = gone.await.unwrap();
    assert_eq!(gone.status.code(), Some(1));
    assert!(said(&gone.stderr).contains("no answer from http://127.0.0.1:"));
}

/// Knows two tokens, and lets one of them see everything.
struct Clerk;

#[async_trait::async_trait]
impl Reviewer for Clerk {
    async fn identify(&self, token: &Token) -> Result<Option<Identity>, ReviewError> {
        let known = ["alice.token", "bob.token"].contains(&token.expose());
        Ok(known.then(|| Identity {
            user: token.expose().to_owned(),
            uid: None,
            groups: Vec::new(),
            extra: std::collections::BTreeMap::new(),
        }))
    }

    async fn allows(&self, who: &Identity, _: &Right) -> Result<bool, ReviewError> {
        Ok(who.user == "alice.token")
    }

    async fn allows_server(&self, _: &Right) -> Result<bool, ReviewError> {
        Ok(false)
    }

    async fn request_fetch(
        &self,
        _: As<'_>,
        _: &SourceKey,
        _: &str,
    ) -> Result<FetchAnswer, ReviewError> {
        Ok(FetchAnswer::Forbidden)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_server_is_told_who_asks() {
    let (folder, path) = store();
    let store: Arc<dyn Store> = Arc::new(Sqlite::open_read_only(&path).await.unwrap());
    let metrics = Arc::new(Metrics::new().unwrap());
    let key = SessionKey::drawn();
    let access = Access::new(From::Kubernetes, Arc::new(Clerk), key, Arc::clone(&metrics));
    let clock = Arc::new(jiff::Timestamp::now);
    let state =
        ReportState::new(StoreSlot::holding(store), metrics, clock).with_access(Arc::new(access));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(listener, http::router(state)).unwrap();
    let address = format!("http://{}", server.address());
    let asked = tokio::task::spawn_blocking(move || {
        let file = |name: &str, token: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, token).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (alice, empty) = (file("alice", "alice.token\n"), file("empty", " \n"));
        let show = |flags: &[&str], variable: Option<&str>| {
            let mut command = Command::new(SUMSQ);
            command
                .args(["show", AGENT, "--server", &address])
                .args(flags);
            if let Some(token) = variable {
                command.env("SUMSQ_TOKEN", token);
            }
            let output = command.output().unwrap();
            let code = output.status.code().unwrap();
            (code, said(&output.stderr), said(&output.stdout))
        };
        for (flags, variable) in [
            (&["--token-file", &alice][..], None),
            (&["--token-file", &alice], Some("bob.token")),
            (&["--token", "alice.token"], None),
            (&[], Some("alice.token")),
        ] {
            let (code, stderr, stdout) = show(flags, variable);
            assert_eq!((code, stderr.as_str()), (0, ""), "{flags:?}");
            assert!(stdout.contains("default/internal-conversions"), "{stdout}");
        }
        for (flags, variable, code, expected) in [
            (&[][..], None, 1, "--token-file FILE, or SUMSQ_TOKEN"),
            (&[], Some("other.token"), 1, "does not take this token"),
            (
                &[],
                Some("bob.token"),
                1,
                "  kubectl -n default create rolebinding",
            ),
            (&["--token-file", &empty], None, 1, "a token is one word"),
            (
                &["--token-file", "/nonexistent"],
                None,
                1,
                "cannot read /nonexistent",
            ),
        ] {
            let (found, stderr, _) = show(flags, variable);
            assert_eq!(found, code, "{stderr}");
            assert!(stderr.contains(expected), "{stderr}");
            assert!(!stderr.contains("other.token"), "{stderr}");
        }
        let help = sumsq(&["show", "--help"]);
        assert!(said(&help.stdout).contains("SUMSQ_TOKEN"));
    });
    asked.await.unwrap();
    server.stop(Duration::from_secs(5)).await;
}
