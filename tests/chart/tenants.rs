//! Whose tokens the operator may have: of accounts in the namespaces that the values name, for AWS
//! alone, whatever else anybody lets it do.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::helm::CHART;
use crate::support::kubernetes::{Cluster, Namespace};
use crate::support::process::wait_for;
use crate::{PATIENCE, cluster};

const AWS: &str = "--audience=sts.amazonaws.com";

/// A release, a namespace that it is told of, and one that it is not. Both have an account `reader`.
struct Tenancy {
    cluster: &'static Cluster,
    operator: PathBuf,
    release: Namespace,
    tenant: Namespace,
    stranger: Namespace,
}

impl Tenancy {
    async fn install() -> Self {
        let cluster = cluster().await;
        let release = cluster.namespace("operator").await;
        let tenant = cluster.namespace("tenant").await;
        let stranger = cluster.namespace("stranger").await;
        let settings = format!("crds.install=false,tenantNamespaces={{{tenant}}}");
        let args = ["install", "sumsq", CHART, "-n", release.name()];
        let args = [&args[..], &["--set", &settings]].concat();
        cluster.helm(&args).await.expect_success();
        for namespace in [&tenant, &stranger] {
            let args = ["-n", namespace.name(), "create", "serviceaccount", "reader"];
            cluster.kubectl(&args).await.expect_success();
        }
        let operator = cluster.service_account_kubeconfig(release.name(), "sumsq");
        Self {
            cluster,
            operator: operator.await,
            release,
            tenant,
            stranger,
        }
    }

    /// What the operator gets that asks for a token of the account.
    async fn token(&self, namespace: &Namespace, flags: &[&str]) -> String {
        let operator = self.operator.to_str().unwrap();
        let operator = ["--kubeconfig", operator, "-n", namespace.name()];
        let args = [&operator[..], &["create", "token", "reader"], flags].concat();
        let answer = self.cluster.kubectl(&args).await;
        if answer.status.success() {
            return "a token".to_owned();
        }
        let why = answer.stderr.trim();
        let by_policy = why.split_once(" denied request: ");
        let why = by_policy.map_or(why, |(_, sentence)| sentence);
        why.replace(self.release.name(), "OPERATOR")
            .replace(namespace.name(), "NAMESPACE")
    }
}

#[tokio::test]
async fn tokens_are_for_aws_alone() {
    let tenancy = Tenancy::install().await;
    let (tenant, stranger) = (&tenancy.tenant, &tenancy.stranger);
    // A policy is in force a moment after it was made.
    wait_for("the policy", PATIENCE, async || {
        (tenancy.token(tenant, &[]).await != "a token").then_some(())
    })
    .await;
    let mut told = String::new();
    for (of, namespace, flags) in [
        ("a tenant", tenant, &[AWS][..]),
        ("a tenant", tenant, &[AWS, "--duration=24h"]),
        ("a tenant", tenant, &[AWS, "--duration=25h"]),
        ("a tenant", tenant, &[]),
        (
            "a tenant",
            tenant,
            &["--audience=https://kubernetes.default.svc"],
        ),
        ("a tenant", tenant, &["--audience=vault"]),
        ("a tenant", tenant, &[AWS, "--audience=vault"]),
        ("a stranger", stranger, &[AWS]),
    ] {
        let asked = match flags {
            [] => "no audience".to_owned(),
            flags => flags.join(" "),
        };
        let answer = tenancy.token(namespace, flags).await;
        writeln!(told, "of {of}, {asked}\n  {answer}").unwrap();
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
}

#[tokio::test]
async fn nobody_can_let_it_have_others_by_mistake() {
    let tenancy = Tenancy::install().await;
    let (cluster, stranger) = (tenancy.cluster, &tenancy.stranger);
    let account = format!("--serviceaccount={}:sumsq", tenancy.release);
    let args = ["-n", stranger.name(), "create", "rolebinding", "too-much"];
    let args = [&args[..], &["--clusterrole=cluster-admin", &account]].concat();
    cluster.kubectl(&args).await.expect_success();
    wait_for("the Role", PATIENCE, async || {
        (tenancy.token(stranger, &[AWS]).await == "a token").then_some(())
    })
    .await;
    // The policy is no later than the Role, which was made after it.
    let refused = wait_for("the policy", PATIENCE, async || {
        let answer = tenancy.token(stranger, &["--audience=vault"]).await;
        (answer != "a token").then_some(answer)
    })
    .await;
    assert!(
        refused.contains("the one audience sts.amazonaws.com"),
        "{refused}"
    );
    // Others are none of the policy's business.
    let args = ["-n", stranger.name(), "create", "token", "reader"];
    cluster.kubectl(&args).await.expect_success();
}

#[tokio::test]
async fn it_reads_an_accounts_role_and_nothing_else_of_the_namespace() {
    let tenancy = Tenancy::install().await;
    let account = format!("--as=system:serviceaccount:{}:sumsq", tenancy.release);
    for (verb, resource, may) in [
        ("get", "serviceaccounts", "yes"),
        ("list", "serviceaccounts", "no"),
        ("patch", "serviceaccounts", "no"),
        ("create", "pods", "no"),
    ] {
        let args = ["-n", tenancy.tenant.name(), "auth", "can-i", verb, resource];
        let args = [&args[..], &[&account]].concat();
        let answer = tenancy.cluster.kubectl(&args).await.stdout;
        assert_eq!(answer.trim(), may, "{verb} {resource}");
    }
}
