//! Whose tokens the operator may have: of accounts in the namespaces that the values name, for AWS
//! alone, whatever else anybody lets it do.

use crate::helm::CHART;
use crate::support::process::wait_for;
use crate::{PATIENCE, cluster};

#[tokio::test]
async fn tokens_are_for_aws_alone() {
    let cluster = cluster().await;
    let release = cluster.namespace("operator").await;
    let tenant = cluster.namespace("tenant").await;
    let stranger = cluster.namespace("stranger").await;
    let settings = format!("crds.install=false,tenantNamespaces={{{tenant}}}");
    let args = [
        "install",
        "sumsq",
        CHART,
        "-n",
        release.name(),
        "--set",
        &settings,
    ];
    cluster.helm(&args).await.expect_success();
    for namespace in [&tenant, &stranger] {
        let args = ["-n", namespace.name(), "create", "serviceaccount", "reader"];
        cluster.kubectl(&args).await.expect_success();
    }
    let operator = cluster.service_account_kubeconfig(release.name(), "sumsq");
    let operator = operator.await;
    let token = async |namespace: &str, flags: &[&str]| {
        let operator = ["--kubeconfig", operator.to_str().unwrap(), "-n", namespace];
        let args = [&operator[..], &["create", "token", "reader"], flags].concat();
        let answer = cluster.kubectl(&args).await;
        if answer.status.success() {
            return "a token".to_owned();
        }
        let why = answer.stderr.trim().to_owned();
        let policy = why.split_once(" denied request: ");
        let names = [(release.name(), "OPERATOR"), (namespace, "NAMESPACE")];
        let why = policy.map_or(why.as_str(), |(_, sentence)| sentence);
        names
            .iter()
            .fold(why.to_owned(), |why, (name, as_)| why.replace(name, as_))
    };
    let aws = "--audience=sts.amazonaws.com";
    // A policy is in force a moment after it was made.
    wait_for("the policy", PATIENCE, async || {
        let answer = token(tenant.name(), &[]).await;
        (answer != "a token").then_some(())
    })
    .await;
    let mut told = String::new();
    for (namespace, flags) in [
        (&tenant, &[aws][..]),
        (&tenant, &[aws, "--duration=24h"]),
        (&tenant, &[aws, "--duration=25h"]),
        (&tenant, &[]),
        (&tenant, &["--audience=https://kubernetes.default.svc"]),
        (&tenant, &["--audience=vault"]),
        (&tenant, &[aws, "--audience=vault"]),
        (&stranger, &[aws]),
    ] {
        let asked = if flags.is_empty() {
            "no audience".to_owned()
        } else {
            flags.join(" ")
        };
        let of = if namespace.name() == tenant.name() {
            "a tenant"
        } else {
            "a stranger"
        };
        let answer = token(namespace.name(), flags).await;
        told += &format!("of {of}, {asked}\n  {answer}\n");
    }
    insta::assert_snapshot!(told, @r#"
    of a tenant, --audience=sts.amazonaws.com
      a token
    of a tenant, --audience=sts.amazonaws.com --duration=24h
      a token
    of a tenant, --audience=sts.amazonaws.com --duration=25h
      the sumsq operator may ask for tokens that are good for a day at most
    of a tenant, no audience
      the sumsq operator may ask for tokens with the one audience sts.amazonaws.com
    of a tenant, --audience=https://kubernetes.default.svc
      the sumsq operator may ask for tokens with the one audience sts.amazonaws.com
    of a tenant, --audience=vault
      the sumsq operator may ask for tokens with the one audience sts.amazonaws.com
    of a tenant, --audience=sts.amazonaws.com --audience=vault
      the sumsq operator may ask for tokens with the one audience sts.amazonaws.com
    of a stranger, --audience=sts.amazonaws.com
      error: failed to create token: serviceaccounts "reader" is forbidden: User "system:serviceaccount:OPERATOR:sumsq" cannot create resource "serviceaccounts/token" in API group "" in the namespace "NAMESPACE"
    "#);

    // Nor by a Role that somebody gives it by mistake; others are none of the policy's business.
    let role = format!("--serviceaccount={release}:sumsq");
    let args = ["-n", stranger.name(), "create", "rolebinding", "too-much"];
    let args = [&args[..], &["--clusterrole=cluster-admin", &role]].concat();
    cluster.kubectl(&args).await.expect_success();
    let answer = wait_for("the Role", PATIENCE, async || {
        let answer = token(stranger.name(), &["--audience=vault"]).await;
        (!answer.contains("cannot create resource")).then_some(answer)
    })
    .await;
    assert!(
        answer.contains("the one audience sts.amazonaws.com"),
        "{answer}"
    );
    let args = ["-n", tenant.name(), "create", "token", "reader"];
    cluster.kubectl(&args).await.expect_success();

    // It reads whose role the account has, and nothing else of the namespace.
    let account = format!("--as=system:serviceaccount:{release}:sumsq");
    for (verb, resource, may) in [
        ("get", "serviceaccounts", "yes"),
        ("list", "serviceaccounts", "no"),
        ("patch", "serviceaccounts", "no"),
        ("create", "pods", "no"),
    ] {
        let args = [
            "-n",
            tenant.name(),
            "auth",
            "can-i",
            verb,
            resource,
            &account,
        ];
        assert_eq!(
            cluster.kubectl(&args).await.stdout.trim(),
            may,
            "{verb} {resource}"
        );
    }
}
