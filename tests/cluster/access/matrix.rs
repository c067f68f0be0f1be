//! Users x routes x methods x namespaces, every cell. The routes are the router's own: one that is
//! new is a row that this table does not have.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ureq::http::Method;

use super::people::{ADMIN, allow, grant, person};
use super::roles::cluster_with_roles;
use super::server::{AGENT, Report, SOURCE, filled, reviewer};
use crate::support::kubernetes::{Cluster, Namespace};

/// Of a browser that has signed in.
async fn signed_in(report: &Report, token: &str) -> String {
    let body = format!("token={token}&next=%2Faccount");
    let answer = report.ask(Method::POST, "/sign-in", &[], &body).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(answer.header("location"), Some("/account"));
    let cookie = answer.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// A user's name, and the headers that they send.
type User = (&'static str, Vec<(&'static str, String)>);

async fn users(cluster: &Cluster, growth: &Namespace, report: &Report) -> Vec<User> {
    let bearer = |token: &str| vec![("authorization", format!("Bearer {token}"))];
    let mut users: Vec<User> = vec![("nobody", Vec::new()), ("forged", bearer("a.b.c"))];
    for name in [
        "stranger", "objects", "viewer", "view", "sources", "agents", "fetcher", "editor", "all",
    ] {
        let token = person(cluster, growth, name).await;
        match name {
            "viewer" => {
                grant(cluster, growth, name, "sumsq-report-viewer").await;
                let cookie = signed_in(report, &token).await;
                users.push(("cookie", vec![("cookie", cookie)]));
            }
            // Data sources and Agents as objects, by kubectl: no report.
            "objects" => grant(cluster, growth, name, "sumsq-view").await,
            // As Kubernetes has it for everybody who looks around in a namespace.
            "view" => grant(cluster, growth, name, "view").await,
            "sources" => allow(cluster, growth, name, "get", "datasources.sumsq.dev/report").await,
            "agents" => allow(cluster, growth, name, "get", "agents.sumsq.dev/report").await,
            "fetcher" => allow(cluster, growth, name, "patch", "datasources.sumsq.dev").await,
            "editor" => grant(cluster, growth, name, "edit").await,
            "all" => {
                let account = format!("--serviceaccount={growth}:{name}");
                let binding = format!("all-{growth}");
                let args = [
                    "create",
                    "clusterrolebinding",
                    &binding,
                    "--clusterrole=sumsq-report-viewer",
                    &account,
                ];
                cluster.kubectl(&args).await.expect_success();
            }
            _ => {}
        }
        users.push((name, bearer(&token)));
    }
    users.push(("admin", bearer(ADMIN)));
    users
}

const VERBS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Verbs for which there is no route at an address: all are answered alike.
const OTHERS: &str = "others";

#[tokio::test]
async fn every_cell() {
    let cluster = cluster_with_roles().await;
    let growth = cluster.namespace("growth").await;
    let ops = cluster.namespace("ops").await;
    let data_source = include_str!("data_source.yaml");
    for namespace in [&growth, &ops] {
        cluster
            .apply(namespace.name(), data_source)
            .await
            .expect_success();
    }
    let site = filled(&[growth.name(), ops.name()]).await;
    let account = reviewer(cluster, &growth).await;
    let report = Report::start(&account, site, &["--auth", "kubernetes"]).await;
    let users = users(cluster, &growth, &report).await;
    let sign_in = report.ask(Method::GET, "/sign-in", &[], "").await.body;
    let style = sign_in
        .split('"')
        .find(|word| word.starts_with("/assets/style"));
    let style = style.unwrap().trim_start_matches("/assets/");

    let namespaces = [growth.name(), ops.name(), "absent"];
    let mut table = String::from("each cell: growth ops absent\n");
    write!(table, "{:>70}", "").unwrap();
    for (user, _) in &users {
        write!(table, "  {user:<11}").unwrap();
    }
    table.push('\n');
    let mut rows = Vec::new();
    for (method, route) in sumsq::http::routes() {
        rows.push((method.clone(), route.clone()));
        if method == "GET" {
            rows.push(("HEAD".to_owned(), route.clone()));
        }
        rows.push((OTHERS.to_owned(), route));
    }
    rows.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    rows.dedup();
    let served = rows.clone();
    for (method, route) in rows {
        write!(table, "{:<70}", format!("{method} {route}")).unwrap();
        for (_, headers) in &users {
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let mut cell = String::new();
            for namespace in namespaces {
                let path = route
                    .replace("{namespace}", namespace)
                    .replace("{code}", AGENT);
                let name = if route.starts_with("/assets/") {
                    style
                } else {
                    SOURCE
                };
                let path = path.replace("{name}", name);
                let mut statuses = BTreeSet::new();
                for verb in VERBS {
                    let is_served = served.contains(&(verb.to_owned(), route.clone()));
                    if (method == OTHERS && !is_served) || method == verb {
                        let method: Method = verb.parse().unwrap();
                        let answer = report.ask(method, &path, &headers, "").await;
                        statuses.insert(answer.status);
                        assert!(verb != "HEAD" || answer.body.is_empty());
                    }
                }
                let [status] = statuses.iter().collect::<Vec<_>>()[..] else {
                    panic!("{method} {path}: {statuses:?}");
                };
                write!(cell, "{status} ").unwrap();
                if !route.contains("{namespace}") {
                    break;
                }
            }
            write!(table, "  {:<11}", cell.trim()).unwrap();
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn lists_hold_what_their_reader_may_see() {
    let cluster = cluster_with_roles().await;
    let growth = cluster.namespace("growth").await;
    let ops = cluster.namespace("ops").await;
    let site = filled(&[growth.name(), ops.name()]).await;
    let account = reviewer(cluster, &growth).await;
    let report = Report::start(&account, site, &["--auth", "kubernetes"]).await;
    let users = users(cluster, &growth, &report).await;
    let mut table = String::new();
    for (user, headers) in &users {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut seen = Vec::new();
        for path in ["/api/v1/data-sources", "/api/v1/agents", "/"] {
            let answer = report.ask(Method::GET, path, &headers, "").await;
            let body = answer.body;
            let mut names = Vec::new();
            for (namespace, shown) in [(&growth, "growth"), (&ops, "ops")] {
                let of_namespace = match path {
                    "/" => format!("href=\"/namespaces/{namespace}/"),
                    _ => format!("\"namespace\":\"{namespace}\""),
                };
                if answer.status == 200 && body.contains(&of_namespace) {
                    names.push(shown);
                }
            }
            // What the address asks for is no way around.
            let filtered = format!("{path}?namespace={ops}");
            if path != "/" && answer.status == 200 {
                let filtered = report.ask(Method::GET, &filtered, &headers, "").await;
                let has_ops = filtered.body.contains(&format!("\"namespace\":\"{ops}\""));
                assert_eq!(has_ops, names.contains(&"ops"), "{user} {path}");
            }
            seen.push(format!("{path}: {} {}", answer.status, names.join(" ")));
        }
        writeln!(table, "{user:<9} {}", seen.join("   ").trim_end()).unwrap();
    }
    insta::assert_snapshot!(table, @"
    nobody    /api/v1/data-sources: 401    /api/v1/agents: 401    /: 303
    forged    /api/v1/data-sources: 401    /api/v1/agents: 401    /: 303
    stranger  /api/v1/data-sources: 200    /api/v1/agents: 200    /: 200
    objects   /api/v1/data-sources: 200    /api/v1/agents: 200    /: 200
    cookie    /api/v1/data-sources: 200 growth   /api/v1/agents: 200 growth   /: 200 growth
    viewer    /api/v1/data-sources: 200 growth   /api/v1/agents: 200 growth   /: 200 growth
    view      /api/v1/data-sources: 200 growth   /api/v1/agents: 200 growth   /: 200 growth
    sources   /api/v1/data-sources: 200 growth   /api/v1/agents: 200    /: 200 growth
    agents    /api/v1/data-sources: 200    /api/v1/agents: 200 growth   /: 200 growth
    fetcher   /api/v1/data-sources: 200    /api/v1/agents: 200    /: 200
    editor    /api/v1/data-sources: 200 growth   /api/v1/agents: 200 growth   /: 200 growth
    all       /api/v1/data-sources: 200 growth ops   /api/v1/agents: 200 growth ops   /: 200 growth ops
    admin     /api/v1/data-sources: 200 growth ops   /api/v1/agents: 200 growth ops   /: 200 growth ops
    ");
    // One question for who may everywhere; one more for each namespace of whoever may not.
    let metrics = report.metrics().await;
    let asked = |answer: &str| -> u64 {
        let series =
            format!("sumsq_access_reviews_total{{answer=\"{answer}\",question=\"right\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
        line.map_or(0, |count| count.parse().unwrap())
    };
    // Two actions: all and admin everywhere; viewer (asked once for header and cookie), view and editor
    // in growth; sources and agents for one of both.
    assert_eq!(asked("yes"), 2 * 2 + 3 * 2 + 2, "{metrics}");
}

#[tokio::test]
async fn what_is_forbidden_and_what_is_not_there_read_the_same() {
    let cluster = cluster_with_roles().await;
    let growth = cluster.namespace("growth").await;
    let secret = cluster.namespace("ops").await;
    let site = filled(&[growth.name(), secret.name()]).await;
    let account = reviewer(cluster, &growth).await;
    let report = Report::start(&account, site, &["--auth", "kubernetes"]).await;
    let token = person(cluster, &growth, "stranger").await;
    // As long as the other, since its length is a part of the answer.
    let absent: String = secret.name().replace("ops", "not");
    let empty = cluster.namespace("nil").await;
    for (method, route) in sumsq::http::routes() {
        if !route.contains("{namespace}") {
            continue;
        }
        let mut said = Vec::new();
        for (namespace, name, code) in [
            (secret.name(), SOURCE, AGENT),
            (secret.name(), "other", "other"),
            (&absent, SOURCE, AGENT),
            (empty.name(), SOURCE, AGENT),
        ] {
            let path = route
                .replace("{namespace}", namespace)
                .replace("{name}", name)
                .replace("{code}", code);
            let bearer = format!("Bearer {token}");
            for query in ["", "?dataSource=x", "?nonsense=1"] {
                let address = format!("{path}{query}");
                let sent = [("authorization", bearer.as_str()), ("if-none-match", "*")];
                let answer = report
                    .ask(method.parse().unwrap(), &address, &sent, "")
                    .await;
                let mut headers: Vec<String> = answer
                    .headers
                    .iter()
                    .filter(|(name, _)| *name != "date")
                    .map(|(name, value)| format!("{name}: {value:?}"))
                    .collect();
                headers.sort();
                let body = answer.body.replace(namespace, "NAMESPACE");
                let length = body.len() - namespace.len();
                let headers = headers.join("\n").replace(&length.to_string(), "");
                let headers: Vec<&str> = headers
                    .lines()
                    .filter(|line| !line.starts_with("content-length"))
                    .collect();
                said.push(format!("{}\n{}\n{body}", answer.status, headers.join("\n")));
            }
        }
        assert!(said[0].starts_with("403\n"), "{route}: {}", said[0]);
        assert!(said[0].contains("sumsq-report-viewer") || route.ends_with("/fetch"));
        for other in &said {
            assert_eq!(*other, said[0], "{method} {route}");
        }
    }
}
