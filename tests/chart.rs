//! What the chart renders, by the real helm; that it is accepted and runs is told in the cluster's
//! tests.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

fn render(settings: &str) -> Vec<Value> {
    let tools = std::env::var_os("SUMSQ_TEST_KUBE_BIN").map(PathBuf::from);
    let helm = tools.expect("tests/testbed/install says what to source");
    let output = Command::new(helm.join("helm"))
        .args(["template", "sumsq", "charts/sumsq", "--kube-version=1.36.2"])
        .args(["--set", settings])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout)
        .unwrap()
        .split("\n---\n")
        .map(|document| serde_yaml::from_str(document).unwrap())
        .collect()
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
