//! The alerts, by the real promtool, and the page for each that says what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::helm::{of_kind, render_in};
use crate::support::process::testbed_path;

const TESTS: &str = include_str!("alerts.test.yaml");

/// The groups of the PrometheusRule, as a file of rules.
fn rules(values: &str) -> Value {
    let runbooks = "runbookUrl: \"https://example.com/v{{ .Chart.AppVersion }}/runbooks/\"";
    let values = format!("metrics: {{prometheusRule: {{enabled: true, {runbooks}}}}}\n{values}");
    let documents = render_in("sumsq", &values);
    let rules = of_kind(&documents, "PrometheusRule")[0];
    json!({"groups": rules["spec"]["groups"]})
}

fn named(rules: &Value) -> BTreeMap<&str, &Value> {
    let rules = rules["groups"][0]["rules"].as_array().unwrap().iter();
    rules
        .map(|rule| (rule["alert"].as_str().unwrap(), rule))
        .collect()
}

pub fn promtool(folder: &Path, args: &[&str]) {
    let output = Command::new(testbed_path("SUMSQ_TEST_PROMTOOL"))
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn they_fire_when_they_should_and_not_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let on_postgres = rules("postgres: {existingSecret: db}\nshards: 2");
    // What only a volume has.
    let mut on_sqlite = rules("");
    let volumes = on_sqlite["groups"][0]["rules"].as_array_mut().unwrap();
    volumes.retain(|rule| !named(&on_postgres).contains_key(rule["alert"].as_str().unwrap()));
    assert_eq!(volumes.len(), 1);
    on_sqlite["groups"][0]["name"] = json!("volume");
    for (name, rules) in [("rules.yaml", &on_postgres), ("volume.yaml", &on_sqlite)] {
        std::fs::write(folder.path().join(name), rules.to_string()).unwrap();
        promtool(folder.path(), &["check", "rules", name]);
    }
    std::fs::write(folder.path().join("test.yaml"), TESTS).unwrap();
    promtool(folder.path(), &["test", "rules", "test.yaml"]);
}

#[test]
fn each_is_tested_both_ways_and_has_its_page() {
    let rules = rules("");
    let rules = named(&rules);
    let tests: Value = serde_yaml::from_str(TESTS).unwrap();
    let (mut fires, mut rests) = (BTreeSet::new(), BTreeSet::new());
    for test in tests["tests"].as_array().unwrap() {
        for expected in test["alert_rule_test"].as_array().unwrap() {
            let name = expected["alertname"].as_str().unwrap();
            let alerts = expected["exp_alerts"].as_array().unwrap();
            let _ = if alerts.is_empty() {
                rests.insert(name)
            } else {
                fires.insert(name)
            };
        }
    }
    let all: BTreeSet<&str> = rules.keys().copied().collect();
    assert_eq!(fires, all, "alerts that are seen to fire");
    assert_eq!(rests, all, "alerts that are seen not to");

    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    for (name, rule) in &rules {
        let url = rule["annotations"]["runbook_url"].as_str().unwrap();
        let begin = concat!(
            "https://example.com/v",
            env!("CARGO_PKG_VERSION"),
            "/runbooks/"
        );
        let page = url.strip_prefix(begin).expect(url);
        let page =
            std::fs::read_to_string(pages.join(page)).unwrap_or_else(|_| panic!("no page {url}"));
        let heading = format!("# {name}\n");
        assert!(page.starts_with(&heading), "{url}");
        for part in ["## What it means", "## How to look", "## What to do"] {
            assert!(page.contains(part), "{url} has no part {part}");
        }
    }
    let listed = std::fs::read_dir(pages).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.trim_end_matches(".md").to_owned()
    });
    let listed: BTreeSet<String> = listed.filter(|name| name != "README").collect();
    assert_eq!(listed, all.iter().map(|name| (*name).to_owned()).collect());
}

/// A link that leads nowhere is worse than none.
#[test]
fn without_an_address_of_the_pages_there_is_no_link() {
    let documents = render_in("sumsq", "metrics: {prometheusRule: {enabled: true}}");
    let rules = of_kind(&documents, "PrometheusRule")[0].to_string();
    assert!(rules.contains("SumsqNoLeader"), "{rules}");
    assert!(!rules.contains("runbook_url"), "{rules}");
}

#[test]
fn without_a_report_server_nobody_misses_it() {
    let with = rules("");
    let without = rules("report: {enabled: false}");
    let (with, without) = (named(&with), named(&without));
    let gone: Vec<_> = with
        .keys()
        .filter(|name| !without.contains_key(*name))
        .collect();
    assert_eq!(gone, [&"SumsqCertificateStale", &"SumsqReportServerDown"]);
}
