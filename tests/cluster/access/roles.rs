//! The ClusterRoles that the chart makes for people.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::cluster_with_crds;
use crate::operator::PATIENCE;
use crate::support::kubernetes::Cluster;
use crate::support::process::{Server, wait_for};

const AGGREGATED: &str = "rbac.authorization.k8s.io/aggregate-to-";

/// A cluster with the chart's ClusterRoles, as helm has installed them, and with what Kubernetes' own
/// gain by them.
pub async fn cluster_with_roles() -> &'static Cluster {
    static DONE: OnceCell<Server> = OnceCell::const_new();
    let cluster = cluster_with_crds().await;
    DONE.get_or_init(async || {
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
    cluster
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

/// Without the labels by which helm knows its own.
fn of_people(documents: Vec<Value>) -> Vec<Value> {
    let labels = |role: &Value| role["metadata"]["labels"].as_object().cloned();
    let mut roles = documents;
    roles.retain(|role| {
        let mut labels = labels(role).into_iter().flatten();
        role["kind"] == "ClusterRole" && labels.any(|(label, _)| label.starts_with(AGGREGATED))
    });
    for role in &mut roles {
        let mut labels = labels(role).unwrap();
        labels.retain(|label, _| label.starts_with(AGGREGATED));
        role["metadata"]["labels"] = labels.into();
    }
    roles.sort_by_key(|role| role["metadata"]["name"].to_string());
    roles
}

/// Whoever makes Roles by hand, or reads what the chart's let do, reads it there.
#[tokio::test]
async fn the_page_shows_those_of_the_chart() {
    let cluster = cluster_with_crds().await;
    let manifest = ["get", "manifest", "sumsq", "-n", "sumsq-system"];
    let manifest = cluster.helm(&manifest).await.expect_success();
    let installed = of_people(documents(&manifest));
    assert_eq!(installed.len(), 3, "{installed:?}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/access.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page
        .split_once("```yaml\n# The Roles\n")
        .expect("the Roles");
    let (shown, _) = rest.split_once("```").unwrap();
    let shown = documents(shown);
    assert_eq!(of_people(shown.clone()), installed);
    assert_eq!(shown.len(), installed.len(), "and no others");
}
