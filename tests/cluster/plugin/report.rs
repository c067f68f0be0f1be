//! A report in the terminal: from a report server by its address, and from the cluster's through a
//! port-forward of the API server.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde_json::{Value, json};
use sumsq::http::{self, ReportState, Server, StoreSlot};
use sumsq::metrics::Metrics;
use sumsq::store::Store;
use sumsq::store::sqlite::Sqlite;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::kubelet::Kubelet;
use super::{Person, agent, counts, may};
use crate::buckets::Bucket;
use crate::cluster_with_crds;
use crate::operator::Operator;
use crate::support::process::free_port;

/// What `sumsq report` serves, on the operator's own store.
async fn report_server(operator: &Operator) -> Server {
    let store: Arc<dyn Store> = Arc::new(Sqlite::open_read_only(&operator.store()).await.unwrap());
    let state = ReportState::new(
        StoreSlot::holding(store),
        Arc::new(Metrics::new().unwrap()),
        Arc::new(jiff::Timestamp::now),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Server::start(listener, http::router(state)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one story, told to its end")]
async fn a_report_is_read_through_the_api_server() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("plugin-report").await;
    let person = Person::new(cluster, &namespace);
    let bucket = Bucket::create("plugin-report").await;
    bucket.put("counts.csv", counts()).await;
    let operator = Operator::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("counts").await).await;
    operator.ready_when("counts", "True", "Imported").await;
    operator
        .apply(&agent("hero-banner", json!({"code": "banner"})))
        .await;

    // Nobody serves reports yet, but somebody's Pod looks as if it did: it is shown no token.
    let kubelet = Kubelet::start(cluster, "plugin-report").await;
    let tenant = cluster.namespace("plugin-decoy").await;
    let decoy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = decoy.local_addr().unwrap().port();
    kubelet
        .run_report(cluster, &tenant, namespace.name(), port)
        .await;
    let nobody = person.sumsq(&["report", "checkout"]).await;
    insta::assert_snapshot!(person.told(&nobody), @r"
    stderr: error: there is no Pod of sumsq in namespace growth (app.kubernetes.io/part-of=sumsq)
    hint: --operator-namespace says where the operator is, and --server names a report server by its address
    exit: 1
    ");

    let server = report_server(&operator).await;
    let port = server.address().port();
    kubelet
        .run_report(cluster, &namespace, namespace.name(), port)
        .await;
    person.documented("report checkout").await;
    // An Agent's name is as good as the code.
    for name in ["banner", "hero-banner", "agent/hero-banner"] {
        let report = person
            .sumsq(&["report", name, "-o", "json"])
            .await
            .expect_success();
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["agent"], "banner", "{name}");
        assert_eq!(report["trustworthy"], false);
    }
    let formats = ["json", "yaml"].map(async |format| {
        let report = person.sumsq(&["report", "checkout", "-o", format]).await;
        serde_yaml::from_str::<Value>(&report.expect_success()).unwrap()
    });
    let [json, yaml] = formats;
    assert_eq!(json.await, yaml.await);
    // Both ways say the same.
    let url = format!("http://{}", server.address());
    let filters = [
        "--metric",
        "rate",
        "--interval",
        "always-valid",
        "-o",
        "csv",
    ];
    let through = person
        .sumsq(&[&["report", "checkout"], &filters[..]].concat())
        .await;
    let direct = [&["report", "checkout", "--server", &url], &filters[..]].concat();
    let direct = person.sumsq(&direct).await;
    assert_eq!(through.expect_success(), direct.expect_success());

    let mut told = String::new();
    for args in [
        &["report", "chekout"][..],
        &["report", "checkout", "--metric", "mean"],
    ] {
        let output = person.sumsq(args).await;
        _ = write!(told, "> {}\n{}\n\n", args.join(" "), person.told(&output));
    }
    insta::assert_snapshot!(told, @r#"
    > report chekout
    stderr: error: no data source in namespace "growth" holds an agent "chekout"
    exit: 2

    > report checkout --metric mean
    stderr: error: --metric: "mean" is not one of rate, value
    exit: 2
    "#);

    // The server is gone, and the Pod does not know it yet.
    let port = server.address().port().to_string();
    server.stop(Duration::from_secs(5)).await;
    let gone = person.sumsq(&["report", "checkout"]).await;
    insta::assert_snapshot!(person.told(&gone).replace(&port, "PORT"), @r"
    stderr: error: no way to the report server: Pod growth/sumsq port PORT: failed to connect to localhost:PORT inside namespace: Connection refused (os error 111)
    hint: where it has an address of its own, name it by --server
    exit: 1
    ");
    // Whoever may not forward is told what it takes.
    let kubectl = async |args: &[&str]| {
        let args = [&["-n", namespace.name()], args].concat();
        cluster.kubectl(&args).await.expect_success();
    };
    kubectl(&["create", "serviceaccount", "reader"]).await;
    kubectl(&[
        "create",
        "role",
        "reader",
        "--verb=get,list",
        "--resource=pods,agents.sumsq.dev",
    ])
    .await;
    let account = format!("--serviceaccount={namespace}:reader");
    kubectl(&["create", "rolebinding", "reader", "--role=reader", &account]).await;
    may(cluster, &namespace, "reader", "get", "pods").await;
    let reader = cluster
        .service_account_kubeconfig(namespace.name(), "reader")
        .await;
    let reader = Person::with(&reader, namespace.name());
    let mut told = String::new();
    for more in [&[][..], &["--operator-namespace", "sumsq-system"]] {
        let args = [&["report", "checkout"], more].concat();
        let said = reader.told(&reader.sumsq(&args).await);
        let said = said.replace(&port, "PORT");
        _ = write!(told, "> {}\n{said}\n\n", args.join(" "));
    }
    insta::assert_snapshot!(told, @r#"
    > report checkout
    stderr: error: no way to the report server: Pod growth/sumsq port PORT: pods "sumsq" is forbidden: User "system:serviceaccount:growth:reader" cannot get resource "pods/portforward" in API group "" in the namespace "growth"; it needs `create` and `get` on pods/portforward there
    hint: where it has an address of its own, name it by --server
    exit: 1

    > report checkout --operator-namespace sumsq-system
    stderr: Error from server (Forbidden): pods is forbidden: User "system:serviceaccount:growth:reader" cannot list resource "pods" in API group "" in the namespace "sumsq-system"
    hint: --operator-namespace says where the operator is, and --server names a report server by its address
    exit: 1
    "#);
    assert!(decoy.accept().now_or_never().is_none(), "somebody came");
    kubelet.remove(cluster, &tenant).await;
    kubelet.stop(cluster, &namespace).await;
}

/// Answers one request with 401, and says which Authorization it bore.
async fn overheard(listener: &TcpListener) -> Option<String> {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if connection.read(&mut byte).await.unwrap() == 0 {
            break;
        }
        request.push(byte[0]);
    }
    let body = r#"{"title": "sign in", "detail": "this report server asks who reads"}"#;
    let answer = format!(
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(answer.as_bytes()).await.unwrap();
    let request = String::from_utf8(request).unwrap();
    request
        .lines()
        .find_map(|line| Some(line.split_once("authorization: ")?.1.to_owned()))
}

#[tokio::test]
async fn the_kubeconfig_s_token_is_passed_on() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("plugin-token").await;
    let person = Person::new(cluster, &namespace);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let args = ["report", "checkout", "--server", &url];
    let (output, token) = tokio::join!(person.sumsq(&args), overheard(&listener));
    assert_eq!(
        token.as_deref(),
        Some("Bearer admin-token-of-a-test-cluster")
    );
    assert!(
        output.stderr.contains("this report server asks who reads"),
        "{output:?}"
    );
    // One that is named counts more: of a variable, or of a file.
    let file = person.folder.join("token");
    std::fs::write(&file, "of-a-file\n").unwrap();
    let named = ["--token", "of-a-word"];
    let filed = [
        "--token",
        "of-a-word",
        "--token-file",
        file.to_str().unwrap(),
    ];
    for (more, expected) in [(&named[..], "of-a-word"), (&filed[..], "of-a-file")] {
        let args = [&args[..], more].concat();
        let (_, token) = tokio::join!(person.sumsq(&args), overheard(&listener));
        assert_eq!(token, Some(format!("Bearer {expected}")));
    }

    // Of a credential plugin, as clouds have them.
    let helper = person.folder.join("credentials");
    std::fs::write(
        &helper,
        "#!/bin/sh\necho '{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \
         \"ExecCredential\", \"status\": {\"token\": \"of-a-cloud\"}}'\n",
    )
    .unwrap();
    std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let port = free_port();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("https://127.0.0.1:{port}")}}],
        "users": [{"name": "test", "user": {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": helper, "interactiveMode": "Never",
        }}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    let path = person.folder.join("cloud");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let cloud = Person::with(&path, "growth");
    let (_, token) = tokio::join!(cloud.sumsq(&args), overheard(&listener));
    assert_eq!(token.as_deref(), Some("Bearer of-a-cloud"));
    // Whoever acts as another has no token of that one.
    let as_another = [&args[..], &["--as", "jane"]].concat();
    let (_, token) = tokio::join!(person.sumsq(&as_another), overheard(&listener));
    assert_eq!(token, None);
}
