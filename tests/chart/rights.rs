//! The Roles of the chart hold what the programs do, and nothing else: a story that does everything is
//! run under them, and then compared with what the API server wrote down. Once for all namespaces, and
//! once for one alone, with what `tenantNamespaces` and a proxy's "fetch now" add.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::buckets::{Bucket, DOCUMENT};
use crate::helm::{CHART, documents, of_kind};
use crate::pods::{Pod, Running};
use crate::running::ready;
use crate::support::kubernetes::{ADMIN_TOKEN, Cluster, Namespace};
use crate::support::postgres::Postgres;
use crate::support::process::wait_for;
use crate::support::s3::S3;
use crate::{PATIENCE, SETTINGS, condition, start_cluster};

/// What the API server lets every account do.
const EVERYONES: [&str; 3] = [
    "create selfsubjectreviews.authentication.k8s.io",
    "create selfsubjectaccessreviews.authorization.k8s.io",
    "create selfsubjectrulesreviews.authorization.k8s.io",
];

const PROXY_SECRET: &str = "a secret of the proxy and ours";

struct Story<'c> {
    cluster: &'c Cluster,
    namespace: Namespace,
    bucket: Bucket,
}

impl Story<'_> {
    async fn kubectl(&self, args: &[&str]) -> String {
        let args = [&["-n", self.namespace.name()], args].concat();
        self.cluster.kubectl(&args).await.expect_success()
    }

    async fn apply(&self, object: &Value) {
        let text = object.to_string();
        let applied = self.cluster.apply(self.namespace.name(), &text);
        applied.await.expect_success();
    }

    async fn until(&self, object: &str, kind: &str, reason: &str) {
        let name = self.namespace.name();
        wait_for(
            &format!("{object}: {kind} {reason}"),
            PATIENCE,
            async || condition(self.cluster, name, object, kind, reason).await,
        )
        .await;
    }

    /// One fetch is begun.
    async fn fetch(&self, token: &str) {
        let annotation = format!("sumsq.dev/fetch-requested-at={token}");
        let args = ["annotate", "--overwrite", "datasource/counts", &annotation];
        self.kubectl(&args).await;
        let handled = "-o=jsonpath={.status.lastHandledFetchRequest}";
        wait_for(&format!("fetch {token}"), PATIENCE, async || {
            let args = ["get", "datasource", "counts", handled];
            (self.kubectl(&args).await == token).then_some(())
        })
        .await;
    }

    /// Adds to a definition what a newer version may, so that this one cannot read an object.
    async fn unreadable(&self, kind: &str, patch: Value, object: &Value) {
        let definition = format!("crd/{kind}s.sumsq.dev");
        let patch = patch.to_string();
        let args = ["patch", &definition, "--type=json", "-p", &patch];
        self.kubectl(&args).await;
        let text = object.to_string();
        wait_for("the wider definition", PATIENCE, async || {
            let applied = self.cluster.apply(self.namespace.name(), &text).await;
            applied.status.success().then_some(())
        })
        .await;
    }

    /// The smallest story in which the operator does everything that it ever does.
    async fn of_the_operator(&self) {
        // A Secret is read, a file comes in, status and events are written.
        self.bucket.put("counts.csv", DOCUMENT).await;
        ready(self.cluster, self.namespace.name(), &self.bucket).await;
        let agent = json!({"apiVersion": "sumsq.dev/v1alpha1", "kind": "Agent",
            "metadata": {"name": "experiment"}, "spec": {"code": "agent‑1"}});
        self.apply(&agent).await;
        self.until("agent/experiment", "Ready", "InForce").await;
        // The same news twice: the second time on the event that is there.
        for attempt in ["one", "two"] {
            for (what, file, ready) in [("bad", "nonsense", "false"), ("good", DOCUMENT, "true")] {
                self.bucket.put("counts.csv", file).await;
                self.fetch(&format!("{what}-{attempt}")).await;
                // A request is handled when its fetch begins.
                let ended = format!("--for=condition=Ready={ready}");
                let wait = ["wait", "datasource/counts", &ended, "--timeout=60s"];
                self.kubectl(&wait).await;
            }
        }
        // Data that go with their object are held by a finalizer.
        let deletes = json!({"spec": {"deletionPolicy": "Delete"}}).to_string();
        let patch = [
            "patch",
            "datasource",
            "counts",
            "--type=merge",
            "-p",
            &deletes,
        ];
        self.kubectl(&patch).await;
        wait_for("the finalizer", PATIENCE, async || {
            let finalizers = "-o=jsonpath={.metadata.finalizers}";
            let args = ["get", "datasource", "counts", finalizers];
            (!self.kubectl(&args).await.is_empty()).then_some(())
        })
        .await;
        self.kubectl(&["delete", "datasource", "counts", "--timeout=60s"])
            .await;
        // What another version let in is read again, alone.
        let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        let wider =
            json!([{"op": "add", "path": format!("{schema}/dating/enum/-"), "value": "Session"}]);
        let mut newer = self.bucket.data_source("newer").await;
        newer["spec"]["dating"] = json!("Session");
        self.unreadable("datasource", wider, &newer).await;
        self.until("datasource/newer", "Stalled", "UnreadableSpec")
            .await;
        let other = json!([{"op": "replace", "path": format!("{schema}/targetLift"),
            "value": {"type": "string"}}]);
        let mut newer = agent.clone();
        newer["metadata"]["name"] = json!("newer");
        newer["spec"] = json!({"targetLift": "2%"});
        self.unreadable("agent", other, &newer).await;
        self.until("agent/newer", "Ready", "InvalidSpec").await;
    }
}

impl Story<'_> {
    /// A DataSource that reads with an account's role: the operator reads the account, and asks for a
    /// token of it. That AWS knows no such role comes after that.
    async fn of_a_tenant(&self) {
        self.kubectl(&["create", "serviceaccount", "reader"]).await;
        let role = "eks.amazonaws.com/role-arn=arn:aws:iam::000000000000:role/none";
        self.kubectl(&["annotate", "serviceaccount", "reader", role])
            .await;
        let mut lent = self.bucket.data_source("lent").await;
        lent["spec"]["source"]["s3"]["serviceAccountName"] = json!("reader");
        self.apply(&lent).await;
        self.until("datasource/lent", "Ready", "AssumeRoleFailed")
            .await;
    }

    /// Alice may have that one fetched, and the report server does it for her.
    async fn of_a_fetch_by_the_proxy(&self, report: &Running) {
        for role in ["sumsq-edit", "sumsq-report-viewer"] {
            let role_ref = format!("--clusterrole={role}");
            let args = ["create", "rolebinding", role, &role_ref, "--user=alice"];
            self.kubectl(&args).await;
        }
        let page = format!("/namespaces/{}/data-sources/lent", self.namespace);
        let shown = wait_for("the button", PATIENCE, async || {
            let (status, page) = as_alice(report, false, &page, "").await?;
            (status == 200 && page.contains("Fetch now</button>")).then_some(page)
        })
        .await;
        let (_, word) = shown.split_once("name=\"word\" value=\"").expect("a form");
        let word = word.split('"').next().unwrap();
        let fetch = format!("/api/v1{page}/fetch");
        let (status, said) = as_alice(report, true, &fetch, word).await.unwrap();
        assert_eq!(status, 202, "{said}");
        let by = "-o=jsonpath={.metadata.annotations.sumsq\\.dev/fetch-requested-by}";
        assert_eq!(
            self.kubectl(&["get", "datasource", "lent", by]).await,
            "alice"
        );
    }
}

/// Asks the report server as the proxy does for alice; `word` is the form's.
async fn as_alice(report: &Running, posts: bool, path: &str, word: &str) -> Option<(u16, String)> {
    let url = format!("http://127.0.0.1:{}{path}", report.port(8080));
    let word = word.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        let headers = [
            ("X-Sumsq-Proxy-Secret", PROXY_SECRET),
            ("X-Forwarded-User", "alice"),
            ("X-Sumsq-Form", &word),
        ];
        let answer = if posts {
            let request = headers
                .into_iter()
                .fold(agent.post(&url), |request, (name, value)| {
                    request.header(name, value)
                });
            request.send_empty()
        } else {
            let request = headers
                .into_iter()
                .fold(agent.get(&url), |request, (name, value)| {
                    request.header(name, value)
                });
            request.call()
        };
        let mut answer = answer.ok()?;
        let body = answer.body_mut().read_to_string().ok()?;
        Some((answer.status().as_u16(), body))
    });
    asked.await.unwrap()
}

/// As `verb resource/subresource.group`, of the Roles that are bound to this account.
fn granted(manifest: &[Value], account: &str) -> BTreeSet<String> {
    let mut granted = BTreeSet::new();
    for kind in ["Role", "ClusterRole"] {
        let bound = of_kind(manifest, &format!("{kind}Binding"));
        let bound = bound.into_iter().filter(|binding| {
            let subjects = binding["subjects"].as_array().unwrap();
            subjects.iter().any(|subject| subject["name"] == account)
        });
        let names: Vec<&Value> = bound.map(|binding| &binding["roleRef"]["name"]).collect();
        let roles = of_kind(manifest, kind);
        let roles = roles
            .iter()
            .filter(|role| names.contains(&&role["metadata"]["name"]));
        for rule in roles.flat_map(|role| role["rules"].as_array().unwrap()) {
            let list = |field: &str| rule[field].as_array().unwrap().iter();
            for group in list("apiGroups") {
                for resource in list("resources") {
                    for verb in list("verbs") {
                        granted.insert(named(verb, resource, &Value::Null, group));
                    }
                }
            }
        }
    }
    granted
}

fn named(verb: &Value, resource: &Value, subresource: &Value, group: &Value) -> String {
    let [verb, resource, subresource, group] =
        [verb, resource, subresource, group].map(|value| value.as_str().unwrap_or_default());
    let slash = if subresource.is_empty() { "" } else { "/" };
    let dot = if group.is_empty() { "" } else { "." };
    format!("{verb} {resource}{slash}{subresource}{dot}{group}")
}

/// What an account has asked for, and of that what was refused.
fn asked(cluster: &Cluster, account: &str) -> (BTreeSet<String>, Vec<String>) {
    let (mut used, mut refused) = (BTreeSet::new(), Vec::new());
    for line in cluster.audit_log().lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if event["user"]["username"] != account {
            continue;
        }
        let object = &event["objectRef"];
        // Addresses that are no resources are everyone's, such as /version.
        if !object["resource"].is_string() {
            continue;
        }
        let (resource, subresource) = (&object["resource"], &object["subresource"]);
        let what = named(&event["verb"], resource, subresource, &object["apiGroup"]);
        if event["responseStatus"]["code"] == 403 {
            refused.push(format!("{what}: {}", event["responseStatus"]["message"]));
        }
        used.insert(what);
    }
    (used, refused)
}

/// A release with these settings beside the usual ones, in a cluster of its own, as definitions are
/// changed; its operator and its report server run.
struct Release<'c> {
    story: Story<'c>,
    controller: Running,
    report: Running,
    _postgres: Postgres,
}

impl<'c> Release<'c> {
    async fn install(cluster: &'c Cluster, settings: &str) -> Self {
        let namespace = cluster.namespace("rights").await;
        let name = namespace.name().to_owned();
        let postgres = Postgres::start(&[]).await;
        let url = postgres.url(&postgres.database());
        let story = Story {
            cluster,
            namespace,
            bucket: Bucket::create("rights").await,
        };
        let literal = format!("--from-literal=url={url}");
        story
            .kubectl(&["create", "secret", "generic", "db", &literal])
            .await;
        let literal = format!("--from-literal=secret={PROXY_SECRET}");
        story
            .kubectl(&["create", "secret", "generic", "proxy", &literal])
            .await;
        let settings = settings.replace("NAMESPACE", &name);
        let settings = format!("{SETTINGS},postgres.existingSecret=db{settings}");
        let args = ["install", "sumsq", CHART, "-n", &name, "--set", &settings];
        cluster.helm(&args).await.expect_success();
        let pod = Pod::of(cluster, &name, "sumsq").await;
        let controller = pod.start("controller").await;
        controller.is_ready().await;
        let reports = Pod::of(cluster, &name, "sumsq-report").await;
        let report = reports.start("report").await;
        report.is_ready().await;
        Self {
            story,
            controller,
            report,
            _postgres: postgres,
        }
    }

    /// Ends both, and compares what they did with what they might have done.
    async fn compare(self) {
        assert_eq!(self.report.terminate().await, Some(0));
        assert_eq!(self.controller.terminate().await, Some(0));
        let (cluster, name) = (self.story.cluster, self.story.namespace.name());
        let manifest = ["get", "manifest", "sumsq", "-n", name];
        let manifest = cluster.helm(&manifest).await.expect_success();
        let manifest = documents(&manifest);
        for account in ["sumsq", "sumsq-report"] {
            let user = format!("system:serviceaccount:{name}:{account}");
            let granted = granted(&manifest, account);
            // A watch is written down when its connection has ended; what is missing then is named below.
            let written = wait_for("all of it", PATIENCE, async || {
                granted.is_subset(&asked(cluster, &user).0).then_some(())
            });
            tokio::time::timeout(Duration::from_secs(10), written)
                .await
                .ok();
            let (mut done, refused) = asked(cluster, &user);
            assert_eq!(refused, [""; 0], "{account} lacks a right");
            done.retain(|what| !EVERYONES.contains(&what.as_str()));
            let unused: Vec<_> = granted.difference(&done).collect();
            assert!(unused.is_empty(), "{account} has no use for {unused:?}");
            let more: Vec<_> = done.difference(&granted).collect();
            assert!(more.is_empty(), "{account} did by others' Roles {more:?}");
        }
    }
}

#[tokio::test]
async fn what_the_roles_allow_is_what_is_done() {
    let cluster = start_cluster().await;
    let release = Release::install(&cluster, "").await;
    release.story.of_the_operator().await;
    let listed = release.report.get(8080, "/", Some(ADMIN_TOKEN)).await;
    assert_eq!(listed.map(|(status, _)| status), Some(200));
    release.compare().await;
}

#[tokio::test]
async fn so_it_is_in_one_namespace_with_tenants_behind_a_proxy() {
    let cluster = start_cluster().await;
    let sts = S3::shared().await.endpoint();
    let settings = format!(
        ",namespace=NAMESPACE,tenantNamespaces={{NAMESPACE}},rbac.userRoles=true,\
         controller.extraEnv[0].name=AWS_ENDPOINT_URL_STS,controller.extraEnv[0].value={sts},\
         report.auth.mode=proxy,report.auth.proxy.existingSecret=proxy,\
         report.auth.proxy.fetchNow=true"
    );
    let release = Release::install(&cluster, &settings).await;
    let story = &release.story;
    story.of_the_operator().await;
    story.of_a_tenant().await;
    story.of_a_fetch_by_the_proxy(&release.report).await;
    release.compare().await;
}
