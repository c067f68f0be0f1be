//! Those who ask: ServiceAccounts with one Role each.

use crate::support::kubernetes::{Cluster, Namespace};

pub const ADMIN: &str = "admin-token-of-a-test-cluster";

/// A ServiceAccount of the namespace and its token.
pub async fn person(cluster: &Cluster, namespace: &Namespace, name: &str) -> String {
    let account = ["-n", namespace.name(), "create", "serviceaccount", name];
    cluster.kubectl(&account).await.expect_success();
    token(cluster, namespace, name).await
}

pub async fn token(cluster: &Cluster, namespace: &Namespace, name: &str) -> String {
    let token = ["-n", namespace.name(), "create", "token", name];
    cluster
        .kubectl(&token)
        .await
        .expect_success()
        .trim()
        .to_owned()
}

/// Gives the ServiceAccount a ClusterRole in the namespace.
pub async fn grant(cluster: &Cluster, namespace: &Namespace, name: &str, role: &str) {
    let args = [
        "-n",
        namespace.name(),
        "create",
        "rolebinding",
        &format!("{name}-{}", role.replace(':', "-")),
        &format!("--clusterrole={role}"),
        &format!("--serviceaccount={namespace}:{name}"),
    ];
    cluster.kubectl(&args).await.expect_success();
}

/// Gives it a Role of one rule in the namespace.
pub async fn allow(
    cluster: &Cluster,
    namespace: &Namespace,
    name: &str,
    verb: &str,
    resource: &str,
) {
    let role = [
        "-n",
        namespace.name(),
        "create",
        "role",
        name,
        &format!("--verb={verb}"),
        &format!("--resource={resource}"),
    ];
    // The subresource is virtual: kubectl does not find it, and says so.
    cluster.kubectl(&role).await.expect_success();
    let binding = [
        "-n",
        namespace.name(),
        "create",
        "rolebinding",
        name,
        &format!("--role={name}"),
        &format!("--serviceaccount={namespace}:{name}"),
    ];
    cluster.kubectl(&binding).await.expect_success();
}
