//! The chart, by the real helm: what it renders, what the API server says to that, and whether it
//! runs as a Pod would run it.

#[path = "../cluster/buckets.rs"]
mod buckets;
#[path = "../support/mod.rs"]
mod support;

mod alerts;
mod applied;
mod consistent;
mod dashboard;
mod helm;
mod life;
mod matrix;
mod notes;
mod pod_security;
mod pods;
mod reference;
mod render;
mod rights;
mod running;
mod strangers;
mod taken;
mod tenants;
mod walk;

use applied::condition;
use support::kubernetes::Cluster;
use tokio::sync::OnceCell;

const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

/// Of a release that runs: the definitions are there, and S3 is on this machine.
const SETTINGS: &str = "crds.install=false,controller.allowedEndpoints={http://127.0.0.1:*}";

/// The cluster of what runs, with the definitions as an administrator applies them, and an audit log.
async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    CLUSTER.get_or_init(start_cluster).await
}

/// One of the test's own.
async fn start_cluster() -> Cluster {
    let cluster = Cluster::start_audited().await;
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    let apply = ["apply", "--server-side", "-f", crds];
    cluster.kubectl(&apply).await.expect_success();
    let crds = ["crd/agents.sumsq.dev", "crd/datasources.sumsq.dev"];
    let wait = [&["wait", "--for=condition=Established"][..], &crds].concat();
    cluster.kubectl(&wait).await.expect_success();
    cluster
}
