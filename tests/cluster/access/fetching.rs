//! Fetch now: by the reader's own right, and by nobody else's wish. And the proxy, whose readers have
//! no token.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use ureq::http::Method;

use super::people::{allow, grant, person};
use super::roles::cluster_with_roles;
use super::server::{Report, SOURCE, filled, reviewer};
use crate::cluster_with_crds;
use crate::operator::PATIENCE;
use crate::support::kubernetes::{Cluster, Namespace};
use crate::support::process::{temporary_folder, wait_for};

const SECRET: &str = "a secret of the proxy and ours";

async fn source(cluster: &Cluster, namespace: &Namespace) -> Value {
    let args = [
        "-n",
        namespace.name(),
        "get",
        "datasource",
        SOURCE,
        "-o",
        "json",
    ];
    let args = [&args[..], &["--show-managed-fields"]].concat();
    serde_json::from_str(&cluster.kubectl(&args).await.expect_success()).unwrap()
}

async fn requested(cluster: &Cluster, namespace: &Namespace) -> Value {
    source(cluster, namespace).await["metadata"]["annotations"]["sumsq.dev/fetch-requested-at"]
        .clone()
}

/// What the page's form has to repeat.
fn word(page: &str) -> &str {
    let (_, rest) = page.split_once("name=\"word\" value=\"").expect("a form");
    rest.split('"').next().unwrap()
}

#[tokio::test]
async fn a_reader_requests_it_by_their_own_right() {
    let cluster = cluster_with_roles().await;
    let growth = cluster.namespace("growth").await;
    let manifest = include_str!("data_source.yaml");
    cluster
        .apply(growth.name(), manifest)
        .await
        .expect_success();
    // The server's own account may not patch: what is patched is patched by the reader.
    let account = reviewer(cluster, &growth).await;
    let site = filled(&[growth.name()]).await;
    let report = Report::start(&account, site, &["--auth", "kubernetes"]).await;
    let viewer = person(cluster, &growth, "viewer").await;
    grant(cluster, &growth, "viewer", "sumsq-report-viewer").await;
    let editor = person(cluster, &growth, "editor").await;
    grant(cluster, &growth, "editor", "edit").await;
    let page = format!("/namespaces/{growth}/data-sources/{SOURCE}");
    let fetch = format!("{page}/fetch");

    let shown = report.get(&page, &viewer).await.body;
    assert!(!shown.contains("Fetch now</button>"), "{shown}");
    assert!(shown.contains("kubectl annotate datasource"), "{shown}");
    let bearer = format!("Bearer {viewer}");
    let sent = [("authorization", bearer.as_str())];
    let refused = report.ask(Method::POST, &fetch, &sent, "").await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.body.contains("patch datasources"),
        "{}",
        refused.body
    );
    assert_eq!(requested(cluster, &growth).await, Value::Null);

    // A program.
    let bearer = format!("Bearer {editor}");
    let sent = [("authorization", bearer.as_str())];
    let answer = report
        .ask(Method::POST, &format!("/api/v1{fetch}"), &sent, "")
        .await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let answer = answer.json();
    assert_eq!(answer["request"], requested(cluster, &growth).await);
    let watch = answer["watch"].as_str().unwrap();
    assert_eq!(report.get(watch, &editor).await.status, 200);
    let fields = source(cluster, &growth).await["metadata"]["managedFields"].to_string();
    assert!(fields.contains("\"sumsq-report\""), "{fields}");

    // A browser.
    let body = format!("token={editor}");
    let signed_in = report.ask(Method::POST, "/sign-in", &[], &body).await;
    let cookie = signed_in.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let before = requested(cluster, &growth).await;
    let shown = report
        .ask(Method::GET, &page, &[("cookie", cookie)], "")
        .await;
    let form = format!("word={}", word(&shown.body));
    for (headers, body) in [
        // Another site's form: the browser says where it comes from.
        (
            &[("origin", "https://elsewhere.example")][..],
            form.as_str(),
        ),
        (&[("sec-fetch-site", "cross-site")], &form),
        (&[("sec-fetch-site", "same-site")], &form),
        // An old browser, which says nothing: it does not know the word.
        (&[], ""),
        (&[], "word=00"),
        (&[], "word=&word="),
    ] {
        let headers = [&[("cookie", cookie)], headers].concat();
        let answer = report.ask(Method::POST, &fetch, &headers, body).await;
        assert!(
            matches!(answer.status, 400 | 403),
            "{body} {}",
            answer.status
        );
        let api = format!("/api/v1{fetch}");
        let answer = report.ask(Method::POST, &api, &headers, "").await;
        assert_eq!(answer.status, 403, "{body}");
    }
    assert_eq!(requested(cluster, &growth).await, before);
    let answer = report
        .ask(Method::POST, &fetch, &[("cookie", cookie)], &form)
        .await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(
        answer.header("location"),
        Some(format!("{page}?asked=yes").as_str())
    );
    assert_ne!(requested(cluster, &growth).await, before);

    // What is in the store and no longer in the cluster.
    let args = ["-n", growth.name(), "delete", "datasource", SOURCE];
    cluster.kubectl(&args).await.expect_success();
    let gone = report.ask(Method::POST, &fetch, &sent, "").await;
    assert_eq!(gone.status, 404, "{}", gone.body);
}

/// A Role that names an object counts for what is done to it, and opens no report of its namespace.
#[tokio::test]
async fn a_role_of_one_object_fetches_that_one() {
    let cluster = cluster_with_crds().await;
    let growth = cluster.namespace("growth").await;
    let manifest = include_str!("data_source.yaml");
    let applied = cluster.apply(growth.name(), manifest).await;
    applied.expect_success();
    let account = reviewer(cluster, &growth).await;
    let site = filled(&[growth.name()]).await;
    let report = Report::start(&account, site, &["--auth", "kubernetes"]).await;
    let narrow = person(cluster, &growth, "narrow").await;
    for (role, verb, resource) in [
        ("narrow-fetch", "patch", "datasources.sumsq.dev"),
        ("narrow-read", "get", "datasources.sumsq.dev/report"),
    ] {
        let namespace = ["-n", growth.name(), "create"];
        let verb = format!("--verb={verb}");
        let resource = format!("--resource={resource}");
        let name = format!("--resource-name={SOURCE}");
        let args = [&namespace[..], &["role", role, &verb, &resource, &name]].concat();
        cluster.kubectl(&args).await.expect_success();
        let of = format!("--role={role}");
        let to = format!("--serviceaccount={growth}:narrow");
        let args = [&namespace[..], &["rolebinding", role, &of, &to]].concat();
        cluster.kubectl(&args).await.expect_success();
    }
    let bearer = format!("Bearer {narrow}");
    let sent = [("authorization", bearer.as_str())];
    let sources = format!("/api/v1/namespaces/{growth}/data-sources");
    for (method, path, status) in [
        (Method::POST, format!("{sources}/{SOURCE}/fetch"), 202),
        (Method::POST, format!("{sources}/other/fetch"), 403),
        (Method::GET, format!("{sources}/{SOURCE}"), 403),
    ] {
        let answer = report.ask(method, &path, &sent, "").await;
        assert_eq!(answer.status, status, "{path} {}", answer.body);
    }
}

/// A report server behind a proxy: in the first namespace alice edits and the group team reads, in the
/// second one carol edits.
async fn proxied(cluster: &Cluster) -> ([Namespace; 2], Report, PathBuf) {
    let growth = cluster.namespace("growth").await;
    let tills = cluster.namespace("tills").await;
    let manifest = include_str!("data_source.yaml");
    for namespace in [&growth, &tills] {
        let applied = cluster.apply(namespace.name(), manifest).await;
        applied.expect_success();
    }
    let account = reviewer(cluster, &growth).await;
    let folder = temporary_folder("secret");
    let secret = folder.join("secret");
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let flags = [
        "--auth",
        "proxy",
        "--proxy-secret",
        secret.to_str().unwrap(),
    ];
    let site = filled(&[growth.name(), tills.name()]).await;
    let report = Report::start(&account, site, &flags).await;
    for (namespace, name, role, subject) in [
        (&growth, "alice", "edit", "--user=alice@example.com"),
        (&growth, "team", "sumsq-report-viewer", "--group=team"),
        (&tills, "carol", "edit", "--user=carol"),
    ] {
        let role = format!("--clusterrole={role}");
        let args = [
            "-n",
            namespace.name(),
            "create",
            "rolebinding",
            name,
            &role,
            subject,
        ];
        cluster.kubectl(&args).await.expect_success();
    }
    ([growth, tills], report, folder)
}

const PROOF: (&str, &str) = ("X-Sumsq-Proxy-Secret", SECRET);
const TEAM: (&str, &str) = ("X-Forwarded-Groups", "other, team");

fn user(name: &str) -> (&str, &str) {
    ("X-Forwarded-User", name)
}

#[tokio::test]
async fn a_proxy_names_its_readers() {
    let cluster = cluster_with_roles().await;
    let ([growth, _], report, folder) = proxied(cluster).await;
    let page = format!("/namespaces/{growth}/data-sources/{SOURCE}");
    for (sent, status) in [
        (&[PROOF, user("alice@example.com")][..], 200),
        (&[PROOF, user("bob"), TEAM], 200),
        (&[PROOF, user("bob")], 403),
        (&[user("alice@example.com")], 401),
        (
            &[
                ("X-Sumsq-Proxy-Secret", "a secret of the proxy"),
                user("alice@example.com"),
            ],
            401,
        ),
        (&[PROOF, user("system:admin"), TEAM], 401),
        (
            &[PROOF, user("bob"), ("X-Forwarded-Groups", "system:masters")],
            401,
        ),
        (&[PROOF], 401),
        // A token is no way around the proxy.
        (
            &[("authorization", "Bearer admin-token-of-a-test-cluster")],
            401,
        ),
        (&[], 401),
    ] {
        for path in [&page, &format!("/api/v1{page}")] {
            let answer = report.ask(Method::GET, path, sent, "").await;
            assert_eq!(answer.status, status, "{sent:?} {path} {}", answer.body);
            let vary = answer.headers.get_all("vary").iter();
            let vary: Vec<_> = vary.map(|value| value.to_str().unwrap()).collect();
            assert!(vary.contains(&"x-forwarded-user"), "{vary:?}");
        }
    }
    // Nobody signs in here.
    let alice = [PROOF, user("alice@example.com")];
    for path in ["/sign-in", "/no-such-page"] {
        assert_eq!(report.ask(Method::GET, path, &alice, "").await.status, 404);
    }
    assert_eq!(
        report.ask(Method::GET, "/sign-in", &[], "").await.status,
        401
    );
    assert!(!report.log().contains(SECRET));
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn behind_a_proxy_the_server_fetches_for_who_may() {
    let cluster = cluster_with_roles().await;
    let ([growth, tills], report, folder) = proxied(cluster).await;
    let page = format!("/namespaces/{growth}/data-sources/{SOURCE}");
    let alice = [PROOF, user("alice@example.com")];
    // The server has no right to patch, and says how it is done.
    let fetch = format!("/api/v1{page}/fetch");
    let shown = report.ask(Method::GET, &page, &alice, "").await.body;
    assert!(!shown.contains("Fetch now</button>"), "{shown}");
    allow(cluster, &growth, "report", "patch", "datasources.sumsq.dev").await;
    let shown = wait_for("the right", PATIENCE, async || {
        let shown = report.ask(Method::GET, &page, &alice, "").await.body;
        shown.contains("Fetch now</button>").then_some(shown)
    })
    .await;
    let without = report.ask(Method::POST, &fetch, &alice, "").await;
    assert_eq!(without.status, 403, "{}", without.body);
    let with_word = [&alice[..], &[("X-Sumsq-Form", word(&shown))]].concat();
    let answer = report.ask(Method::POST, &fetch, &with_word, "").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let annotations = source(cluster, &growth).await["metadata"]["annotations"].clone();
    assert_eq!(
        annotations["sumsq.dev/fetch-requested-at"],
        answer.json()["request"]
    );
    assert_eq!(
        annotations["sumsq.dev/fetch-requested-by"],
        "alice@example.com"
    );
    // Whose right it is counts, not the server's: carol's forms are her own, and she may read here.
    let server = format!("--serviceaccount={growth}:report");
    let binding = ["-n", tills.name(), "create", "rolebinding", "report"];
    let binding = [&binding[..], &["--clusterrole=sumsq-edit", &server]].concat();
    cluster.kubectl(&binding).await.expect_success();
    let carol = [PROOF, user("carol"), TEAM];
    let hers = format!("/namespaces/{tills}/data-sources/{SOURCE}");
    let shown = wait_for("her right", PATIENCE, async || {
        let shown = report.ask(Method::GET, &hers, &carol, "").await.body;
        shown.contains("Fetch now</button>").then_some(shown)
    })
    .await;
    let with_word = [&carol[..], &[("X-Sumsq-Form", word(&shown))]].concat();
    let at_hers = format!("/api/v1{hers}/fetch");
    let answer = report.ask(Method::POST, &at_hers, &with_word, "").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let shown = report.ask(Method::GET, &page, &carol, "").await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let refused = report.ask(Method::POST, &fetch, &with_word, "").await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(!refused.body.contains("form"), "{}", refused.body);
    let after = source(cluster, &growth).await["metadata"]["annotations"].clone();
    assert_eq!(after, annotations);
    fs::remove_dir_all(&folder).unwrap();
}
