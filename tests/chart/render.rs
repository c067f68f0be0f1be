//! What the chart renders, by the real helm; that it is accepted and runs is told in the cluster's
//! tests.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn render(settings: &str) -> Vec<Value> {
    let rendered = template(settings);
    let errors = String::from_utf8_lossy(&rendered.stderr);
    assert!(rendered.status.success(), "{errors}");
    String::from_utf8(rendered.stdout)
        .unwrap()
        .split("\n---\n")
        .map(|document| serde_yaml::from_str(document).unwrap())
        .collect()
}

/// What helm says to settings that it refuses.
fn refusal(settings: &str) -> String {
    let rendered = template(settings);
    assert!(!rendered.status.success(), "{settings} is taken");
    String::from_utf8(rendered.stderr).unwrap()
}

fn template(settings: &str) -> Output {
    let tools = std::env::var_os("SUMSQ_TEST_KUBE_BIN").map(PathBuf::from);
    let helm = tools.expect("tests/testbed/install says what to source");
    Command::new(helm.join("helm"))
        .args(["template", "sumsq", "charts/sumsq", "--kube-version=1.36.2"])
        .args(["--set", settings])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let of_kind = documents.iter().filter(|document| document["kind"] == kind);
    of_kind.collect()
}

#[test]
fn on_postgres_there_is_no_volume_and_the_address_comes_from_a_secret() {
    let documents =
        render("postgres.existingSecret=db,postgres.passwordKey=pw,postgres.caSecret=ca");
    assert_eq!(
        of_kind(&documents, "PersistentVolumeClaim"),
        [&Value::Null; 0]
    );
    let deployment = of_kind(&documents, "Deployment")[0];
    assert_eq!(deployment["spec"]["replicas"], 1);
    let pod = &deployment["spec"]["template"]["spec"];
    let volumes = pod["volumes"].to_string();
    assert!(volumes.contains("\"secretName\":\"ca\""), "{volumes}");
    assert!(!volumes.contains("persistentVolumeClaim"), "{volumes}");
    let containers = pod["containers"].as_array().unwrap();
    for container in containers {
        let environment = container["env"].as_array().unwrap();
        let named = |name: &str| {
            let found = environment.iter().find(|variable| variable["name"] == name);
            found.unwrap_or(&Value::Null)
        };
        let secret = |name: &str| {
            let key = &named(name)["valueFrom"]["secretKeyRef"];
            (key["name"].as_str(), key["key"].as_str())
        };
        assert_eq!(secret("SUMSQ_STORE"), (Some("db"), Some("url")));
        assert_eq!(secret("PGPASSWORD"), (Some("db"), Some("pw")));
        let mounts = container["volumeMounts"].to_string();
        assert!(!mounts.contains("/var/lib/sumsq"), "{mounts}");
        // The certificate is where the variable says.
        let certificate = named("PGSSLROOTCERT")["value"].as_str().unwrap();
        let folder = certificate.strip_suffix("/ca.crt").unwrap();
        assert!(
            mounts.contains(&format!("\"mountPath\":\"{folder}\"")),
            "{mounts}"
        );
    }
}

#[test]
fn by_default_it_is_sqlite_on_a_volume() {
    let documents = render("controller.concurrency=4");
    assert_eq!(of_kind(&documents, "PersistentVolumeClaim").len(), 1);
    let deployment = of_kind(&documents, "Deployment")[0].to_string();
    assert!(deployment.contains("\"value\":\"sqlite:/var/lib/sumsq/sumsq.db\""));
    assert!(!deployment.contains("PGPASSWORD"), "{deployment}");
}

/// The file system of the image is read-only: what SQLite or a download puts down needs a place.
#[test]
fn every_container_has_a_place_for_temporary_files() {
    let documents = render("report.enabled=true");
    let pod = &of_kind(&documents, "Deployment")[0]["spec"]["template"]["spec"];
    let named = |list: &Value, key: &str, value: &str| {
        let list = list.as_array().unwrap();
        let found = list.iter().find(|entry| entry[key] == value);
        found.unwrap_or_else(|| panic!("no {value}")).clone()
    };
    for container in pod["containers"].as_array().unwrap() {
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        let mount = named(&container["volumeMounts"], "mountPath", "/tmp");
        let volume = named(&pod["volumes"], "name", mount["name"].as_str().unwrap());
        assert!(volume["emptyDir"].is_object(), "{volume}");
    }
    let report = named(&pod["volumes"], "name", "report-tmp");
    assert_eq!(report["emptyDir"]["sizeLimit"], "256Mi");
}

/// Name, strategy and what tells a shard's Pods from the others, of each Deployment.
fn deployments(settings: &str) -> String {
    let documents = render(settings);
    let lines = of_kind(&documents, "Deployment")
        .into_iter()
        .map(|deployment| {
            let spec = &deployment["spec"];
            let container = &spec["template"]["spec"]["containers"][0];
            let variables = container["env"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|variable| {
                    let name = variable["name"].as_str().unwrap();
                    name == "POD_NAME" || name.starts_with("SUMSQ_LEA") || name == "SUMSQ_SHARD"
                });
            let variables: Vec<String> = variables
                .map(|variable| {
                    let value = variable["value"].as_str();
                    let name = variable["name"].as_str().unwrap();
                    format!("{name}={}", value.unwrap_or("(its own name)"))
                })
                .collect();
            let label = "sumsq.dev/shard";
            let selected = &spec["selector"]["matchLabels"][label];
            assert_eq!(*selected, spec["template"]["metadata"]["labels"][label]);
            format!(
                "{} x{} {} shard {selected}: {}",
                deployment["metadata"]["name"].as_str().unwrap(),
                spec["replicas"],
                spec["strategy"]["type"].as_str().unwrap(),
                variables.join(" ")
            )
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn on_postgres_replicas_stand_by_and_shards_are_deployments_of_their_own() {
    insta::assert_snapshot!(deployments("report.enabled=true"), @"sumsq x1 Recreate shard null: ");
    insta::assert_snapshot!(deployments("postgres.existingSecret=db"), @"sumsq x1 RollingUpdate shard null: POD_NAME=(its own name) SUMSQ_LEADER_ELECTION=true SUMSQ_LEASE=sumsq");
    insta::assert_snapshot!(
        deployments("postgres.existingSecret=db,replicas=2,shards=3,fullnameOverride=counts"), @r#"
    counts-1 x2 RollingUpdate shard "1": POD_NAME=(its own name) SUMSQ_LEADER_ELECTION=true SUMSQ_LEASE=counts SUMSQ_SHARD=1/3
    counts-2 x2 RollingUpdate shard "2": POD_NAME=(its own name) SUMSQ_LEADER_ELECTION=true SUMSQ_LEASE=counts SUMSQ_SHARD=2/3
    counts-3 x2 RollingUpdate shard "3": POD_NAME=(its own name) SUMSQ_LEADER_ELECTION=true SUMSQ_LEASE=counts SUMSQ_SHARD=3/3
    "#
    );
}

#[test]
fn what_a_leader_may_do_lies_in_its_own_namespace() {
    let roles = |settings: &str| {
        let documents = render(settings);
        let roles = of_kind(&documents, "Role").into_iter().map(|role| {
            let (name, namespace) = (&role["metadata"]["name"], &role["metadata"]["namespace"]);
            format!("{name} in {namespace}: {}", role["rules"])
        });
        roles.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(roles("report.enabled=true"), "", "SQLite has one operator");
    insta::assert_snapshot!(roles("postgres.existingSecret=db,shards=2"), @r#""sumsq-leader" in "default": [{"apiGroups":["coordination.k8s.io"],"resources":["leases"],"verbs":["get","create","update"]}]"#);
    assert_eq!(roles("postgres.existingSecret=db,rbac.create=false"), "");
    // Also where everything else lies in the watched namespace.
    let scoped = roles("postgres.existingSecret=db,namespace=growth");
    assert_eq!(scoped.lines().count(), 2, "{scoped}");
    assert!(
        scoped.contains("\"sumsq-leader\" in \"default\""),
        "{scoped}"
    );
}

#[test]
fn sqlite_has_one_operator() {
    for settings in ["replicas=2", "shards=2"] {
        let refused = refusal(settings);
        let why = "replicas and shards beyond 1 need PostgreSQL";
        assert!(refused.contains(why), "{refused}");
    }
    for (settings, field) in [
        ("postgres.existingSecret=db,replicas=0", "replicas"),
        ("postgres.existingSecret=db,shards=1025", "shards"),
        ("postgres.existingSecret=db,shards=two", "shards"),
    ] {
        let refused = refusal(settings);
        assert!(refused.contains(field), "{refused}");
    }
}
