//! The Pod Security Standard "restricted", enforced in the namespace: nothing is refused, and nobody
//! is warned. Kubernetes' own controllers make the Pods, of the chart's own templates.

use serde_json::Value;

use crate::PATIENCE;
use crate::helm::{CHART, container, entry};
use crate::support::kubernetes::{Cluster, Namespace, Output};
use crate::support::process::wait_for;

pub async fn restricted(cluster: &Cluster, prefix: &str) -> Namespace {
    let namespace = cluster.namespace(prefix).await;
    let label = |mode: &str| format!("pod-security.kubernetes.io/{mode}=restricted");
    let labels = [label("enforce"), label("warn"), label("audit")];
    let args = ["label", "namespace", namespace.name()];
    let args: Vec<&str> = args
        .into_iter()
        .chain(labels.iter().map(String::as_str))
        .collect();
    cluster.kubectl(&args).await.expect_success();
    namespace
}

async fn install(cluster: &Cluster, namespace: &Namespace, values: &str) -> Output {
    let file = cluster.folder().join(format!("{namespace}.values.yaml"));
    let values = format!("crds: {{install: false}}\n{values}");
    std::fs::write(&file, values).unwrap();
    let file = file.to_str().unwrap();
    let args = [
        "install",
        "sumsq",
        CHART,
        "-f",
        file,
        "-n",
        namespace.name(),
    ];
    cluster.helm(&args).await
}

async fn listed(cluster: &Cluster, namespace: &Namespace, kind: &str) -> Vec<Value> {
    let args = ["-n", namespace.name(), "get", kind, "-o", "json"];
    let list = cluster.kubectl(&args).await.expect_success();
    let list: Value = serde_json::from_str(&list).unwrap();
    list["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_pod_is_let_in_without_a_warning() {
    let cluster = Cluster::shared().await;
    for (prefix, pods, values) in [
        ("restricted-sqlite", 1, ""),
        (
            "restricted-postgres",
            5,
            "postgres: {existingSecret: db, passwordKey: p, caSecret: ca}
replicas: 2
shards: 2
report: {tls: {existingSecret: tls}}
controller: {spillDir: /spill}",
        ),
        (
            "restricted-proxy",
            1,
            "report: {auth: {mode: proxy, proxy: {existingSecret: p, clientCaSecret: ca}}, tls: {existingSecret: tls}}",
        ),
        ("restricted-loopback", 1, "report: {auth: {mode: none}}"),
    ] {
        let namespace = restricted(cluster, prefix).await;
        let installed = install(cluster, &namespace, values).await;
        let said = installed.stderr.to_lowercase();
        installed.expect_success();
        assert!(!said.contains("warn"), "{prefix}: {said}");
        wait_for(&format!("{pods} Pods of {prefix}"), PATIENCE, async || {
            let made = listed(cluster, &namespace, "pods").await.len();
            (made == pods).then_some(())
        })
        .await;
        // The Pods as they would be made by hand, for what the API server says to that.
        for pod in listed(cluster, &namespace, "pods").await {
            let mut pod = pod;
            pod["metadata"] = serde_json::json!({"generateName": "by-hand-"});
            pod.as_object_mut().unwrap().remove("status");
            let args = ["-n", namespace.name(), "create", "-f", "-"];
            let made = cluster.kubectl_stdin(&args, &pod.to_string()).await;
            let said = made.stderr.clone();
            made.expect_success();
            assert_eq!(said, "", "{prefix}");
        }
    }
}

/// That the namespaces above would have said so.
#[tokio::test]
async fn a_pod_that_may_more_is_told_and_refused() {
    let cluster = Cluster::shared().await;
    let namespace = restricted(cluster, "restricted-refuses").await;
    let values = "securityContext: {allowPrivilegeEscalation: true}";
    let installed = install(cluster, &namespace, values).await;
    let said = installed.stderr.clone();
    installed.expect_success();
    assert!(said.contains("would violate PodSecurity"), "{said}");
    let message = wait_for("the refusal", PATIENCE, async || {
        let deployment = &listed(cluster, &namespace, "deployments").await[0];
        let conditions = deployment["status"]["conditions"].as_array()?;
        let failure = conditions
            .iter()
            .find(|condition| condition["type"] == "ReplicaFailure")?;
        Some(failure["message"].as_str().unwrap().to_owned())
    })
    .await;
    assert!(message.contains("violates PodSecurity"), "{message}");
    assert_eq!(listed(cluster, &namespace, "pods").await.len(), 0);
}

/// After the admission of the Pod, which mounts the account's token wherever nothing else is.
#[tokio::test]
async fn beside_the_operator_the_report_server_has_a_token_of_its_own() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("tokens").await;
    install(cluster, &namespace, "").await.expect_success();
    let pod = wait_for("the Pod", PATIENCE, async || {
        listed(cluster, &namespace, "pods").await.pop()
    })
    .await;
    let mounted = |name: &str| {
        let containers = &pod["spec"]["containers"];
        let mounts = &entry(containers, "name", name)["volumeMounts"];
        let mounts = mounts.as_array().unwrap().iter();
        let path = "/var/run/secrets/kubernetes.io/serviceaccount";
        let mut of_token = mounts.filter(|mount| mount["mountPath"] == path);
        let mount = of_token.next().unwrap();
        assert!(of_token.next().is_none());
        entry(
            &pod["spec"]["volumes"],
            "name",
            mount["name"].as_str().unwrap(),
        )
        .clone()
    };
    assert_eq!(
        mounted("report")["secret"]["secretName"],
        "sumsq-report-token"
    );
    assert!(mounted("controller")["projected"].is_object());

    // Kubernetes has filled it in: with it one may ask who somebody is, and no more.
    let secret = wait_for("the token", PATIENCE, async || {
        let secrets = listed(cluster, &namespace, "secrets").await;
        let mut secrets = secrets.into_iter();
        let secret = secrets.find(|secret| secret["metadata"]["name"] == "sumsq-report-token")?;
        secret["data"]["token"].is_string().then_some(secret)
    })
    .await;
    let files = ["ca.crt", "namespace", "token"];
    let there: Vec<_> = secret["data"].as_object().unwrap().keys().collect();
    assert_eq!(there, files);
    let account = format!("--as=system:serviceaccount:{namespace}:sumsq-report");
    let rights = ["auth", "can-i", "--list", &account];
    let rights = cluster.kubectl(&rights).await.expect_success();
    let own: Vec<&str> = rights
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with(' ') && !line.starts_with("self"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(
        own,
        [
            "tokenreviews.authentication.k8s.io",
            "subjectaccessreviews.authorization.k8s.io"
        ],
        "{rights}"
    );
    let deployment = &listed(cluster, &namespace, "deployments").await[0];
    let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
    let skipped = &annotations["eks.amazonaws.com/skip-containers"];
    assert_eq!(*skipped, container(deployment, "report")["name"]);
}
