//! `helm template`, and what to look for in it.

use std::process::{Command, Output};

use serde::Deserialize;
use serde_json::Value;

use crate::support::process::testbed_path;

pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/sumsq");

/// That of the test cluster.
pub const KUBERNETES: &str = "1.36.2";

/// What the chart renders with these values, in YAML.
pub fn render(values: &str) -> Vec<Value> {
    documents(&text(values))
}

/// The same for a release in this namespace.
pub fn render_in(namespace: &str, values: &str) -> Vec<Value> {
    documents(&text_of(template(namespace, values)))
}

/// The same as text.
pub fn text(values: &str) -> String {
    text_of(template("sumsq-system", values))
}

fn text_of(rendered: Output) -> String {
    let errors = String::from_utf8_lossy(&rendered.stderr);
    assert!(rendered.status.success(), "{errors}");
    String::from_utf8(rendered.stdout).unwrap()
}

/// What helm says to values that it refuses.
pub fn refusal(values: &str) -> String {
    refusal_at(KUBERNETES, values)
}

/// The same on another version of Kubernetes.
pub fn refusal_at(kubernetes: &str, values: &str) -> String {
    let rendered = helm(kubernetes, &["template", "sumsq", CHART], values);
    assert!(!rendered.status.success(), "{values} is taken");
    String::from_utf8(rendered.stderr).unwrap()
}

fn template(namespace: &str, values: &str) -> Output {
    let args = ["template", "sumsq", CHART, "-n", namespace];
    helm(KUBERNETES, &args, values)
}

/// What `helm lint --strict` says.
pub fn lint(values: &str) -> String {
    let said = helm(KUBERNETES, &["lint", "--strict", CHART], values);
    String::from_utf8(said.stdout).unwrap() + &String::from_utf8(said.stderr).unwrap()
}

fn helm(kubernetes: &str, args: &[&str], values: &str) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values).unwrap();
    Command::new(testbed_path("SUMSQ_TEST_KUBE_BIN").join("helm"))
        .args(args)
        .args(["--kube-version", kubernetes, "--values"])
        .arg(file.path())
        .output()
        .unwrap()
}

pub fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|document| !document.is_null())
        .collect()
}

pub fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let of_kind = documents.iter().filter(|document| document["kind"] == kind);
    of_kind.collect()
}

pub fn named<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = of_kind(documents, kind)
        .into_iter()
        .find(|document| document["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// The entry of a list whose `key` is `value`.
pub fn entry<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let found = list.as_array().and_then(|list| {
        let mut list = list.iter();
        list.find(|entry| entry[key] == value)
    });
    found.unwrap_or_else(|| panic!("no {key} {value} in {list}"))
}

/// The container of a Deployment's Pods.
pub fn container<'a>(deployment: &'a Value, name: &str) -> &'a Value {
    entry(
        &deployment["spec"]["template"]["spec"]["containers"],
        "name",
        name,
    )
}
