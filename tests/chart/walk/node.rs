//! The node that a test cluster has not: the release's Pod, run on this machine, and what the API
//! server then says of it.

use serde_json::json;

use super::person::Person;
use crate::pods::{Pod, Running};
use crate::support::kubernetes::Cluster;
use crate::support::postgres::is_root;

pub const NAMESPACE: &str = "sumsq-system";

pub struct Node<'c> {
    cluster: &'c Cluster,
    pub pod: Pod<'c>,
    pub controller: Running,
    pub report: Running,
}

impl<'c> Node<'c> {
    /// Runs the Pod of the release in [`NAMESPACE`] until it is ready, and says so.
    pub async fn run(cluster: &'c Cluster, person: &Person<'_>) -> Self {
        let pod = Pod::of(cluster, NAMESPACE, "sumsq").await;
        let controller = pod.start("controller").await;
        let report = pod.start("report").await;
        controller.is_ready().await;
        report.is_ready().await;
        for (name, running) in [("controller", &controller), ("report", &report)] {
            let within = within(running);
            person.program(&format!("place/sumsq.{name}"), &within);
            let log = person.folder.join(format!("place/sumsq.{name}.log"));
            std::fs::remove_file(&log).ok();
            std::os::unix::fs::symlink(running.log_path(), log).unwrap();
        }
        is_ready(cluster, pod.name()).await;
        Self {
            cluster,
            pod,
            controller,
            report,
        }
    }

    /// As the kubelet does when the Pod is gone.
    pub async fn stops(self) {
        let Self {
            cluster,
            pod,
            controller,
            report,
        } = self;
        let args = ["-n", NAMESPACE, "wait", "--for=delete"];
        let name = format!("pod/{}", pod.name());
        let args = [&args[..], &[&name, "--timeout=1m"]].concat();
        cluster.kubectl(&args).await.expect_success();
        assert_eq!(report.terminate().await, Some(0));
        assert_eq!(controller.terminate().await, Some(0));
    }
}

/// What the API server shows of a Pod that runs.
pub async fn is_ready(cluster: &Cluster, pod: &str) {
    let status = json!({"status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
    }});
    let (pod, status) = (format!("pod/{pod}"), status.to_string());
    let args = ["-n", NAMESPACE, "patch", &pod, "--subresource=status"];
    let args = [&args[..], &["--type=merge", "-p", &status]].concat();
    cluster.kubectl(&args).await.expect_success();
}

/// A program that runs its arguments in a container, as its user and with its environment.
fn within(running: &Running) -> String {
    let process = running.process();
    let environment = std::fs::read_to_string(format!("/proc/{process}/environ")).unwrap();
    let variables = environment.split_terminator('\0').map(|variable| {
        let quoted = variable.replace('\'', r"'\''");
        format!("'{quoted}'")
    });
    let variables = variables.collect::<Vec<_>>().join(" ");
    let user = if is_root() {
        "--setgid=65532 --setuid=65532"
    } else {
        "--user --map-user=65532 --map-group=65532"
    };
    // Opened before anything else is changed: another user's namespace would not be let in.
    format!(
        "#!/bin/sh\nexec 3</proc/{process}/root\n\
         exec env -i {variables} unshare {user} --root=/proc/self/fd/3 --wd=/ \"$@\"\n"
    )
}
