//! Stories on a real Kubernetes API server and a real S3 endpoint, with the operator running under
//! the chart's own ServiceAccount.

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the routes' tests ask it for more")]
#[path = "../routes/fixture.rs"]
mod fixture;

mod access;
mod agents;
mod buckets;
mod failures;
mod fetching;
mod full_disk;
mod kstatus;
mod large;
mod lifecycle;
mod metadata;
mod metrics;
mod operator;
mod plugin;
mod postgres;
mod refusals;
mod replicas;
mod report;
mod tenants;
mod versions;

use support::kubernetes::Cluster;
use tokio::sync::OnceCell;

/// The shared cluster with the chart installed: its definitions, its ServiceAccount, its rights.
async fn cluster_with_crds() -> &'static Cluster {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let cluster = Cluster::shared().await;
    INSTALLED.get_or_init(|| install_chart(cluster)).await;
    cluster
}

async fn install_chart(cluster: &Cluster) {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/sumsq");
    let args = [
        "install",
        "sumsq",
        chart,
        "-n",
        "sumsq-system",
        "--create-namespace",
    ];
    cluster.helm(&args).await.expect_success();
    let established = [
        "wait",
        "--for=condition=Established",
        "crd/agents.sumsq.dev",
        "crd/datasources.sumsq.dev",
        "--timeout=30s",
    ];
    cluster.kubectl(&established).await.expect_success();
}
