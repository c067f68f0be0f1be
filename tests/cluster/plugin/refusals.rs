//! What goes wrong, told as kubectl tells it.

use std::fmt::Write;

use serde_json::json;

use super::{Person, may};
use crate::buckets::Bucket;
use crate::cluster_with_crds;
use crate::support::kubernetes::Cluster;
use crate::support::process::free_port;

#[tokio::test]
async fn a_cluster_without_the_definitions_says_how_to_get_them() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace("plugin-bare").await;
    let person = Person::new(&cluster, &namespace);
    for args in [&["status"][..], &["why", "counts"], &["fetch", "--all"]] {
        let output = person.sumsq(args).await;
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(person.redacted(&output.stderr), @r#"
            error: the server doesn't have a resource type "datasources"
            hint: sumsq is not installed in this cluster: `helm install sumsq ...`, or `sumsq crd | kubectl apply --server-side -f -` for its definitions alone
            "#);
        }
    }
}

#[tokio::test]
async fn a_name_that_is_not_there_is_told_with_what_is() {
    let cluster = cluster_with_crds().await;
    let (here, elsewhere) = (
        cluster.namespace("plugin-names").await,
        cluster.namespace("plugin-names-too").await,
    );
    let bucket = Bucket::create("plugin-names").await;
    for (namespace, name) in [(&here, "internal-conversions"), (&elsewhere, "refund-desk")] {
        let resource = bucket.data_source(name).await.to_string();
        cluster
            .apply(namespace.name(), &resource)
            .await
            .expect_success();
    }
    let person = Person::new(cluster, &here);
    let mut told = String::new();
    for args in [
        &["why", "internal-conversion"][..],
        &["history", "refund-desk"],
        &["suspend", "warehouse"],
        &["why", "agent/checkout"],
        &["fetch", "agent/checkout"],
        &["fetch", "pod/counts"],
        &["fetch"],
        &["status", "-o", "jsn"],
        &["stauts"],
    ] {
        let output = person.sumsq(args).await;
        let said = person.told(&output).replace(elsewhere.name(), "elsewhere");
        _ = write!(told, "> {}\n{said}\n\n", args.join(" "));
    }
    insta::assert_snapshot!(told, @r#"
    > why internal-conversion
    stderr: Error from server (NotFound): datasources.sumsq.dev "internal-conversion" not found
    hint: did you mean internal-conversions?
    exit: 1

    > history refund-desk
    stderr: Error from server (NotFound): datasources.sumsq.dev "refund-desk" not found
    hint: it is in namespace elsewhere: -n elsewhere
    exit: 1

    > suspend warehouse
    stderr: Error from server (NotFound): datasources.sumsq.dev "warehouse" not found
    hint: there is internal-conversions
    exit: 1

    > why agent/checkout
    stderr: Error from server (NotFound): agents.sumsq.dev "checkout" not found
    hint: namespace growth has no Agent
    exit: 1

    > fetch agent/checkout
    stderr: error: agent/checkout is an Agent: this is for DataSources
    exit: 2

    > fetch pod/counts
    stderr: error: invalid value 'pod/counts' for '[NAME]...': pod is neither dsrc nor agent; a namespace goes into -n

    For more information, try '--help'.
    exit: 2

    > fetch
    stderr: error: the following required arguments were not provided:
      <NAME>...

    Usage: kubectl sumsq fetch --namespace <NAMESPACE> <NAME>...

    For more information, try '--help'.
    exit: 2

    > status -o jsn
    stderr: error: invalid value 'jsn' for '--output <FORMAT>'
      [possible values: wide, json, yaml, name]

      tip: a similar value exists: 'json'

    For more information, try '--help'.
    exit: 2

    > stauts
    stderr: error: unrecognized subcommand 'stauts'

      tip: a similar subcommand exists: 'status'

    Usage: kubectl sumsq [OPTIONS] <COMMAND>

    For more information, try '--help'.
    exit: 2
    "#);
}

#[tokio::test]
async fn rights_are_the_caller_s() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("plugin-rights").await;
    let bucket = Bucket::create("plugin-rights").await;
    let resource = bucket.data_source("counts").await.to_string();
    cluster
        .apply(namespace.name(), &resource)
        .await
        .expect_success();
    let admin = Person::new(cluster, &namespace);
    let kubectl = async |args: &[&str]| {
        let args = [&["-n", namespace.name()], args].concat();
        cluster.kubectl(&args).await.expect_success();
    };
    kubectl(&["create", "serviceaccount", "reader"]).await;
    let reader = cluster
        .service_account_kubeconfig(namespace.name(), "reader")
        .await;
    let reader = Person::with(&reader, namespace.name());
    let mut told = String::new();
    let mut tell = async |person: &Person, args: &[&str]| {
        let output = person.sumsq(args).await;
        let line = args.join(" ").replace(namespace.name(), "growth");
        _ = write!(told, "> {line}\n{}\n\n", person.told(&output));
    };
    tell(&reader, &["status"]).await;
    kubectl(&[
        "create",
        "role",
        "reader",
        "--verb=get,list",
        "--resource=datasources.sumsq.dev,agents.sumsq.dev",
    ])
    .await;
    let account = format!("--serviceaccount={namespace}:reader");
    kubectl(&["create", "rolebinding", "reader", "--role=reader", &account]).await;
    may(cluster, &namespace, "reader", "list", "agents.sumsq.dev").await;
    tell(&reader, &["status", "-o", "name"]).await;
    tell(&reader, &["fetch", "counts"]).await;
    // The same by --as.
    let user = format!("system:serviceaccount:{namespace}:reader");
    tell(&admin, &["fetch", "counts", "--as", &user]).await;
    // A request may be written by whoever may patch; waiting for it needs a watch.
    kubectl(&[
        "create",
        "role",
        "writer",
        "--verb=get,patch",
        "--resource=datasources.sumsq.dev",
    ])
    .await;
    kubectl(&["create", "rolebinding", "writer", "--role=writer", &account]).await;
    may(
        cluster,
        &namespace,
        "reader",
        "patch",
        "datasources.sumsq.dev",
    )
    .await;
    tell(&reader, &["fetch", "counts"]).await;
    tell(&reader, &["fetch", "counts", "--wait", "--timeout", "20s"]).await;
    insta::assert_snapshot!(told, @r#"
    > status
    stderr: Error from server (Forbidden): datasources.sumsq.dev is forbidden: User "system:serviceaccount:growth:reader" cannot list resource "datasources" in API group "sumsq.dev" in the namespace "growth"
    exit: 1

    > status -o name
    datasource.sumsq.dev/counts
    exit: 0

    > fetch counts
    stderr: Error from server (Forbidden): datasources.sumsq.dev "counts" is forbidden: User "system:serviceaccount:growth:reader" cannot patch resource "datasources" in API group "sumsq.dev" in the namespace "growth"
    exit: 1

    > fetch counts --as system:serviceaccount:growth:reader
    stderr: Error from server (Forbidden): datasources.sumsq.dev "counts" is forbidden: User "system:serviceaccount:growth:reader" cannot patch resource "datasources" in API group "sumsq.dev" in the namespace "growth"
    exit: 1

    > fetch counts
    datasource.sumsq.dev/counts fetch requested
    exit: 0

    > fetch counts --wait --timeout 20s
    stderr: Error from server (Forbidden): datasources.sumsq.dev "counts" is forbidden: User "system:serviceaccount:growth:reader" cannot watch resource "datasources" in API group "sumsq.dev" in the namespace "growth"
    hint: --wait needs `list` and `watch` on datasources
    exit: 1
    "#);
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = |port: u16| {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        })
    };
    let write = |name: &str, port: u16| {
        let path = folder.path().join(name);
        std::fs::write(&path, config(port).to_string()).unwrap();
        path
    };
    let refused = Person::with(&write("refused", free_port()), "growth");
    let port = silent.local_addr().unwrap().port();
    let hanging = Person::with(&write("hanging", port), "growth");
    let nowhere = Person::with(&folder.path().join("none"), "growth");
    let mut told = String::new();
    for (person, args) in [
        (&refused, &["status"][..]),
        (&hanging, &["status", "--request-timeout", "1s"]),
        (&refused, &["status", "--context", "tets"]),
        (&nowhere, &["status"]),
    ] {
        let said = person.told(&person.sumsq(args).await);
        let said = said.replace(&folder.path().display().to_string(), "FOLDER");
        _ = write!(told, "> {}\n{said}\n\n", args.join(" "));
    }
    insta::assert_snapshot!(told, @r#"
    > status
    stderr: The connection to the server SERVER was refused - did you specify the right host or port?
    exit: 1

    > status --request-timeout 1s
    stderr: Unable to connect to the server: SERVER has not answered within 1 s (--request-timeout)
    exit: 1

    > status --context tets
    stderr: error: context "tets" does not exist
    hint: did you mean test?
    exit: 1

    > status
    stderr: error: failed to read kubeconfig from '"FOLDER/none"': No such file or directory (os error 2)
    hint: --kubeconfig FILE or KUBECONFIG says which cluster
    exit: 1
    "#);
    drop(silent);
}
