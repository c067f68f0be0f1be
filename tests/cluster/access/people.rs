//! Those who ask: ServiceAccounts with one Role each.

use std::path::Path;

use tokio::sync::OnceCell;

use crate::operator::PATIENCE;
use crate::support::kubernetes::{Cluster, Namespace};
use crate::support::process::{Server, wait_for};

pub const ADMIN: &str = "admin-token-of-a-test-cluster";

/// The ClusterRoles of `docs/access.md`, as that page has them, with what Kubernetes' own gain by them.
pub async fn roles_of_the_docs(cluster: &Cluster) {
    static DONE: OnceCell<Server> = OnceCell::const_new();
    DONE.get_or_init(async || {
        apply_roles(cluster).await;
        let controller = cluster.start_controllers("clusterrole-aggregation-controller", &[]);
        wait_for("the aggregated roles", PATIENCE, async || {
            for role in ["view", "edit", "admin"] {
                let args = ["get", "clusterrole", role, "-o", "yaml"];
                let role = cluster.kubectl(&args).await.expect_success();
                role.contains("datasources/report").then_some(())?;
            }
            Some(())
        })
        .await;
        controller
    })
    .await;
}

async fn apply_roles(cluster: &Cluster) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/access.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page
        .split_once("```yaml\n# The Roles\n")
        .expect("the Roles");
    let (yaml, _) = rest.split_once("```").unwrap();
    cluster
        .kubectl_stdin(&["apply", "-f", "-"], yaml)
        .await
        .expect_success();
}

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
