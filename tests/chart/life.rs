//! Install, upgrade, rollback, uninstall and install again, on the real API server.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::PATIENCE;
use crate::helm::{CHART, container, entry};
use crate::support::kubernetes::{Cluster, Namespace, Output};
use crate::support::process::{temporary_folder, wait_for};

/// The definitions and the roles for people belong to one release of a cluster: those who install
/// them take turns, and find nothing of the one before.
async fn turn(cluster: &Cluster) -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    for (kind, names) in [
        ("crd", &["datasources.sumsq.dev", "agents.sumsq.dev"][..]),
        (
            "clusterrole",
            &["sumsq-report-viewer", "sumsq-view", "sumsq-edit"],
        ),
    ] {
        let args = [&["delete", kind, "--ignore-not-found"], names].concat();
        cluster.kubectl(&args).await.expect_success();
    }
    turn
}

struct Release<'c> {
    cluster: &'c Cluster,
    namespace: Namespace,
}

impl Release<'_> {
    async fn helm(&self, args: &[&str]) -> String {
        let args = [args, &["-n", self.namespace.name()]].concat();
        self.cluster.helm(&args).await.expect_success()
    }

    async fn apply(&self, object: &Value) -> Output {
        let text = object.to_string();
        self.cluster.apply(self.namespace.name(), &text).await
    }

    async fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let args = ["-n", self.namespace.name(), "get", kind, name, "-o", "json"];
        let found = self.cluster.kubectl(&args).await;
        let found = found.status.success().then_some(found.stdout)?;
        Some(serde_json::from_str(&found).unwrap())
    }

    /// An environment variable of the operator, as the Deployment has it now.
    async fn setting(&self, name: &str) -> Value {
        let deployment = self.get("deployment", "sumsq").await.unwrap();
        entry(&container(&deployment, "controller")["env"], "name", name).clone()
    }

    async fn cookie_key(&self) -> String {
        let secret = self.get("secret", "sumsq-report-cookie-key").await.unwrap();
        secret["data"]["cookie-key"].as_str().unwrap().to_owned()
    }

    /// Whether the definition knows `spec.historyLimit`.
    async fn knows_history_limit(&self) -> bool {
        let crd = self.get("crd", "datasources.sumsq.dev").await.unwrap();
        let version = &crd["spec"]["versions"][0];
        let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"];
        !spec["properties"]["historyLimit"].is_null()
    }

    /// The DataSource, after a write that has nothing to do with its spec.
    async fn write(&self) -> Value {
        let token = format!("written={:?}", std::time::Instant::now());
        let args = [
            "-n",
            self.namespace.name(),
            "annotate",
            "--overwrite",
            "dsrc",
            "counts",
            &token,
        ];
        self.cluster.kubectl(&args).await.expect_success();
        self.get("datasource", "counts").await.unwrap()
    }

    /// All that is labelled as this release's, but for what is not of this namespace.
    async fn left(&self) -> Vec<String> {
        let kinds = "deployments,replicasets,services,serviceaccounts,secrets,configmaps,roles,\
                     rolebindings,persistentvolumeclaims";
        let label = "app.kubernetes.io/instance=sumsq";
        let args = [
            "-n",
            self.namespace.name(),
            "get",
            kinds,
            "-l",
            label,
            "-o",
            "name",
        ];
        let left = self.cluster.kubectl(&args).await.expect_success();
        left.lines().map(str::to_owned).collect()
    }
}

/// The chart as an older version may have been: with a definition that lacks a field, and without a
/// block of values.
fn older_chart() -> PathBuf {
    let folder = temporary_folder("older-chart");
    let copied = std::process::Command::new("cp")
        .args(["-r", CHART])
        .arg(&folder)
        .status();
    assert!(copied.unwrap().success());
    let chart = folder.join("sumsq");
    let edit = |name: &str, from: &str, to: &str| {
        let path = chart.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{name}: {from}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    };
    edit("Chart.yaml", "\nversion: 0.1.0", "\nversion: 0.0.9");
    edit(
        "files/crds/datasources.sumsq.dev.yaml",
        "historyLimit:\n",
        "historyLength:\n",
    );
    let values = std::fs::read_to_string(chart.join("values.yaml")).unwrap();
    let (before, rest) = values.split_once("# Who may connect to the Pods").unwrap();
    let (block, after) = rest.split_once("# PodDisruptionBudgets").unwrap();
    assert!(block.contains("\nnetworkPolicy:\n"), "{block}");
    let without = format!("{before}# PodDisruptionBudgets{after}");
    std::fs::write(chart.join("values.yaml"), without).unwrap();
    std::fs::remove_file(chart.join("templates/networkpolicies.yaml")).unwrap();
    chart
}

/// Back to the older chart by an upgrade: the older program, and the newer definitions, by which no
/// write drops what the older one does not know.
async fn goes_back_by_an_upgrade(release: &Release<'_>, older_path: &str) {
    let back = ["upgrade", "sumsq", older_path, "--reset-then-reuse-values"];
    release.helm(&back).await;
    let deployment = release.get("deployment", "sumsq").await.unwrap();
    let label = "helm.sh/chart";
    assert_eq!(deployment["metadata"]["labels"][label], "sumsq-0.0.9");
    let definition = release.get("crd", "datasources.sumsq.dev").await.unwrap();
    assert_eq!(definition["metadata"]["labels"][label], "sumsq-0.1.0");
    assert!(release.knows_history_limit().await);
    assert_eq!(release.write().await["spec"]["historyLimit"], 5);
}

#[tokio::test]
async fn definitions_come_with_the_chart_and_stay_without_it() {
    let cluster = Cluster::shared().await;
    let _turn = turn(cluster).await;
    let namespace = cluster.namespace("life").await;
    let release = Release { cluster, namespace };
    let older = older_chart();
    let older_path = older.to_str().unwrap();

    release.helm(&["install", "sumsq", older_path]).await;
    assert!(!release.knows_history_limit().await);
    let key = release.cookie_key().await;
    let established = [
        "wait",
        "--for=condition=Established",
        "crd/datasources.sumsq.dev",
    ];
    cluster.kubectl(&established).await.expect_success();
    let mut source = json!({
        "apiVersion": "sumsq.dev/v1alpha1",
        "kind": "DataSource",
        "metadata": {"name": "counts"},
        "spec": {
            "displayName": "Counts",
            "source": {"s3": {"region": "us-east-1", "bucket": "counts", "key": "counts.csv",
                "accountId": "123456789012"}},
        },
    });
    release.apply(&source).await.expect_success();

    // A newer chart: newer definitions, other settings, the same key, and all objects as they were. Its
    // new values have their defaults; Helm's older flag knows of none.
    let upgrade = [
        "upgrade",
        "sumsq",
        CHART,
        "--set",
        "controller.concurrency=8",
    ];
    let without_defaults = [
        &upgrade[..],
        &["--reuse-values", "-n", release.namespace.name()],
    ];
    let refused = cluster.helm(&without_defaults.concat()).await;
    assert!(!refused.status.success() && refused.stderr.contains("networkPolicy"));
    let reset = [&upgrade[..], &["--reset-then-reuse-values"]].concat();
    release.helm(&reset).await;
    assert!(release.knows_history_limit().await);
    assert_eq!(release.setting("SUMSQ_CONCURRENCY").await["value"], "8");
    assert_eq!(release.cookie_key().await, key, "sessions go on");
    source["spec"]["historyLimit"] = json!(5);
    wait_for("the newer definition", PATIENCE, async || {
        let applied = release.apply(&source).await;
        let kept = release.get("datasource", "counts").await?;
        (applied.status.success() && kept["spec"]["historyLimit"] == 5).then_some(())
    })
    .await;

    // From SQLite to PostgreSQL: another strategy, and a report server with Pods of its own.
    let to_postgres = "postgres.existingSecret=db";
    release
        .helm(&["upgrade", "sumsq", CHART, "--set", to_postgres])
        .await;
    let deployment = release.get("deployment", "sumsq").await.unwrap();
    assert_eq!(deployment["spec"]["strategy"]["type"], "RollingUpdate");
    assert!(release.get("deployment", "sumsq-report").await.is_some());
    let volume = release.get("pvc", "sumsq").await;
    assert!(volume.is_some(), "the old store is kept");

    goes_back_by_an_upgrade(&release, older_path).await;

    // And back by revisions, twice, to the settings and the definitions of then.
    release.helm(&["rollback", "sumsq", "2"]).await;
    let deployment = release.get("deployment", "sumsq").await.unwrap();
    assert_eq!(deployment["spec"]["strategy"], json!({"type": "Recreate"}));
    assert_eq!(release.setting("SUMSQ_CONCURRENCY").await["value"], "8");
    assert!(release.get("deployment", "sumsq-report").await.is_none());
    release.helm(&["rollback", "sumsq", "1"]).await;
    assert!(!release.knows_history_limit().await);
    assert_eq!(release.setting("SUMSQ_CONCURRENCY").await["value"], "4");
    // As docs/upgrading.md warns.
    wait_for("the older definition", PATIENCE, async || {
        let written = release.write().await;
        written["spec"]["historyLimit"].is_null().then_some(())
    })
    .await;

    release.helm(&["upgrade", "sumsq", CHART]).await;
    release.helm(&["uninstall", "sumsq"]).await;
    // The Deployment's ReplicaSets go with it, a moment later.
    let kept = [
        "persistentvolumeclaim/sumsq",
        "secret/sumsq-report-cookie-key",
    ];
    wait_for("the end of all else", PATIENCE, async || {
        let mut left = release.left().await;
        left.sort();
        (left == kept).then_some(())
    })
    .await;
    let roles = ["get", "clusterroles,clusterrolebindings", "-o", "name"];
    let roles = cluster.kubectl(&roles).await.expect_success();
    for gone in [&format!("{}-sumsq", release.namespace), "/sumsq-"] {
        assert!(!roles.contains(gone), "{roles}");
    }
    assert!(release.get("datasource", "counts").await.is_some());

    // Installed again it goes on where it was.
    release.helm(&["install", "sumsq", CHART]).await;
    assert_eq!(release.cookie_key().await, key);
    assert!(release.knows_history_limit().await);
    let kept = release.get("datasource", "counts").await.unwrap();
    assert_eq!(kept["spec"]["source"]["s3"]["bucket"], "counts");
    release.helm(&["uninstall", "sumsq"]).await;
    std::fs::remove_dir_all(Path::new(older_path).parent().unwrap()).ok();
}

/// What the definitions have of rights for people, by the API server's own aggregation.
#[tokio::test]
async fn people_get_rights_by_the_roles_they_have() {
    let cluster = Cluster::shared().await;
    let _turn = turn(cluster).await;
    let namespace = cluster.namespace("people").await;
    let release = Release { cluster, namespace };
    release.helm(&["install", "sumsq", CHART]).await;
    let name = release.namespace.name();
    let more = cluster.start_controllers("clusterrole-aggregation-controller", &[]);
    for (user, role) in [
        ("ann", "sumsq-report-viewer"),
        ("vic", "view"),
        ("eve", "edit"),
        ("ada", "admin"),
    ] {
        let (role, user) = (format!("--clusterrole={role}"), format!("--user={user}"));
        let args = [
            "-n",
            name,
            "create",
            "rolebinding",
            &user[7..],
            &role,
            &user,
        ];
        cluster.kubectl(&args).await.expect_success();
    }
    let may = async |user: &str, verb: &str, resource: &str| {
        let user = format!("--as={user}");
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let subresource = format!("--subresource={subresource}");
        let args = ["-n", name, "auth", "can-i", verb, resource];
        let args = [&args[..], &[&subresource, &user]].concat();
        cluster.kubectl(&args).await.stdout.trim() == "yes"
    };
    wait_for("the aggregation", PATIENCE, async || {
        may("ada", "delete", "datasources.sumsq.dev")
            .await
            .then_some(())
    })
    .await;
    let mut table = String::new();
    for user in ["ann", "vic", "eve", "ada", "nobody"] {
        let mut rights = Vec::new();
        for (verb, resource) in [
            ("get", "datasources.sumsq.dev/report"),
            ("get", "agents.sumsq.dev/report"),
            ("list", "datasources.sumsq.dev"),
            ("watch", "agents.sumsq.dev"),
            ("patch", "datasources.sumsq.dev"),
            ("create", "agents.sumsq.dev"),
            ("patch", "datasources.sumsq.dev/status"),
            ("get", "secrets"),
        ] {
            if may(user, verb, resource).await {
                rights.push(format!("{verb} {}", resource.replace(".sumsq.dev", "")));
            }
        }
        writeln!(table, "{user}: {}", rights.join(", ")).unwrap();
    }
    insta::assert_snapshot!(table, @r#"
    ann: get datasources/report, get agents/report
    vic: get datasources/report, get agents/report, list datasources, watch agents
    eve: get datasources/report, get agents/report, list datasources, watch agents, patch datasources, create agents, get secrets
    ada: get datasources/report, get agents/report, list datasources, watch agents, patch datasources, create agents, get secrets
    nobody:
    "#);
    drop(more);
}
