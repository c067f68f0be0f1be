//! What helm says after an installation: its commands, run as they stand, and its warnings.

use std::fmt::Write as _;
use std::process::Command;

use crate::helm::CHART;
use crate::support::kubernetes::{Cluster, Namespace};
use crate::support::process::testbed_path;

/// The notes of a release with these values, which is not made.
async fn notes(cluster: &Cluster, namespace: &Namespace, values: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    let shared = "crds: {install: false}";
    std::fs::write(file.path(), format!("{shared}\n{values}")).unwrap();
    let file = file.path().to_str().unwrap();
    let args = ["install", "sumsq", CHART, "-n", namespace.name()];
    let args = [&args[..], &["--dry-run=server", "-f", file]].concat();
    let said = cluster.helm(&args).await.expect_success();
    let (_, notes) = said.split_once("\nNOTES:\n").expect("notes");
    notes.replace(namespace.name(), "RELEASE-NAMESPACE")
}

/// From the first line that begins so, to the next empty line.
fn part<'a>(notes: &'a str, begin: &str) -> &'a str {
    let start = notes
        .find(begin)
        .unwrap_or_else(|| panic!("{begin}: {notes}"));
    notes[start..].split("\n\n").next().unwrap()
}

#[tokio::test]
async fn they_warn_of_what_is_not_as_safe_as_it_looks() {
    let cluster = Cluster::start().await;
    let definitions = testbed_path("SUMSQ_TEST_DEFINITIONS");
    let apply = [
        "apply",
        "--server-side",
        "-f",
        definitions.to_str().unwrap(),
    ];
    cluster.kubectl(&apply).await.expect_success();
    let established = ["wait", "--for=condition=Established", "crd", "--all"];
    cluster.kubectl(&established).await.expect_success();
    let namespace = cluster.namespace("notes").await;
    let mut told = String::new();
    for values in [
        "",
        "report: {tls: {existingSecret: t}, ingress: {enabled: true, hosts: [a.example.com], tls: [{hosts: [a.example.com]}]}}",
        "report: {ingress: {enabled: true, hosts: [a.example.com]}}",
        "report: {ingress: {enabled: true, hosts: [a.example.com]}, tls: {endsBefore: true}}",
        "report: {httpRoute: {enabled: true, hostnames: [a.example.com], parentRefs: [{name: g}]}, tls: {existingSecret: t}}",
        "namespace: growth",
        "namespace: growth\ntenantNamespaces: [growth]",
        "rbac: {create: false}",
    ] {
        let notes = notes(&cluster, &namespace, values).await;
        let open = notes
            .lines()
            .find(|line| line.contains("and open"))
            .unwrap();
        let (_, open) = open.split_once("and open").unwrap();
        writeln!(told, "> {values}\nand open{open}").unwrap();
        for remark in notes.split("\n\n") {
            if remark.trim().starts_with("WARNING:") || remark.trim().starts_with("NOTE:") {
                // The test's own doing.
                if !remark.contains("crds.install is false") {
                    writeln!(told, "{}", remark.trim()).unwrap();
                }
            }
        }
        told.push('\n');
    }
    insta::assert_snapshot!(told.trim_end(), @r"
    > 
    and open http://127.0.0.1:8080. The same as JSON: /api/openapi.json

    > report: {tls: {existingSecret: t}, ingress: {enabled: true, hosts: [a.example.com], tls: [{hosts: [a.example.com]}]}}
    and open https://127.0.0.1:8080, or https://a.example.com. The same as JSON: /api/openapi.json

    > report: {ingress: {enabled: true, hosts: [a.example.com]}}
    and open http://127.0.0.1:8080, or http://a.example.com. The same as JSON: /api/openapi.json
    WARNING: report.ingress.tls is empty. Unless the Ingress controller has a certificate by default, tokens
    and sessions go over the network in the clear. Set report.ingress.tls; where TLS ends before the Ingress,
    report.tls.endsBefore says so.

    > report: {ingress: {enabled: true, hosts: [a.example.com]}, tls: {endsBefore: true}}
    and open http://127.0.0.1:8080, or https://a.example.com. The same as JSON: /api/openapi.json

    > report: {httpRoute: {enabled: true, hostnames: [a.example.com], parentRefs: [{name: g}]}, tls: {existingSecret: t}}
    and open https://127.0.0.1:8080, or https://a.example.com. The same as JSON: /api/openapi.json
    NOTE: tokens and sessions are as safe as the Gateway's listener: attach the HTTPRoute to one of protocol
    HTTPS. The report server speaks HTTPS to the Gateway too, which needs a BackendTLSPolicy for Service
    sumsq-report.

    > namespace: growth
    and open http://127.0.0.1:8080. The same as JSON: /api/openapi.json
    NOTE: this release makes no ValidatingAdmissionPolicy that holds the operator to tokens for
    sts.amazonaws.com (namespace is set, and tenantNamespaces is empty). Let nobody give its account
    `create` on serviceaccounts/token by a Role of their own: with it the operator could be any account there.

    > namespace: growth
    tenantNamespaces: [growth]
    and open http://127.0.0.1:8080. The same as JSON: /api/openapi.json

    > rbac: {create: false}
    and open http://127.0.0.1:8080. The same as JSON: /api/openapi.json
    NOTE: this release makes no ValidatingAdmissionPolicy that holds the operator to tokens for
    sts.amazonaws.com (rbac.create is false). Let nobody give its account
    `create` on serviceaccounts/token by a Role of their own: with it the operator could be any account there.
    ");
}

#[tokio::test]
async fn their_commands_run_in_the_order_in_which_they_stand() {
    let cluster = crate::cluster().await;
    let namespace = cluster.namespace("notes").await;
    let name = namespace.name();
    let notes = notes(cluster, &namespace, &format!("namespace: {name}")).await;
    let first = part(&notes, "     kubectl create secret generic");
    let second = part(
        &notes,
        "     kubectl -n RELEASE-NAMESPACE create serviceaccount",
    );
    let undented = |part: &str| {
        let lines = part
            .lines()
            .map(|line| line.strip_prefix("     ").unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    };
    let script = format!("set -e\n{}\n{}\n", undented(first), undented(second));
    let ran = Command::new("bash")
        .args(["-c", &script.replace("RELEASE-NAMESPACE", name)])
        .env("KUBECONFIG", cluster.kubeconfig())
        .env(
            "PATH",
            format!(
                "{}:/usr/bin:/bin",
                testbed_path("SUMSQ_TEST_KUBE_BIN").display()
            ),
        )
        .output()
        .unwrap();
    let (said, errors) = (
        String::from_utf8(ran.stdout).unwrap(),
        String::from_utf8(ran.stderr).unwrap(),
    );
    assert!(ran.status.success(), "{script}{said}{errors}");
    let (made, token) = said.trim_end().rsplit_once('\n').unwrap();
    insta::assert_snapshot!(made, @r"
    secret/s3-credentials created
    secret/s3-credentials labeled
    datasource.sumsq.dev/internal-conversions created
    serviceaccount/report-reader created
    rolebinding.rbac.authorization.k8s.io/report-readers created
    ");
    assert_eq!(token.split('.').count(), 3, "no token: {token}");
}
