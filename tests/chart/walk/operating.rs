//! docs/operating.md, for a Prometheus without its operator.

use serde_json::{Value, json};

use super::person::Person;
use super::{blocks, commands, page};
use crate::alerts::promtool;
use crate::helm::{KUBERNETES, container, named, render};
use crate::support::kubernetes::Cluster;

#[tokio::test]
async fn prometheus_takes_the_rules_and_finds_the_pods() {
    let page = page("operating.md");
    let person = Person::new(Cluster::shared().await);
    let all: Vec<_> = blocks(&page)
        .iter()
        .flat_map(|block| commands(block))
        .collect();
    let [command] = &all[..] else {
        panic!("other commands: {all:?}");
    };
    // yq is no part of what tests run against: what it takes of YAML is taken here.
    let (helm, written) = command.split_once("| yq .spec > ").unwrap();
    // This helm, which is built from source, does not know which Kubernetes is current.
    let helm = format!("{} --kube-version {KUBERNETES}", helm.trim_end());
    let rules = person.runs(&helm).await;
    let rules: Value = serde_yaml::from_str(&rules).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(written), rules["spec"].to_string()).unwrap();
    promtool(folder.path(), &["check", "rules", written]);

    let (_, config) = page.split_once("```yaml\n").unwrap();
    let (config, _) = config.split_once("```").unwrap();
    let mut config: Value = serde_yaml::from_str(config).unwrap();
    config["rule_files"] = json!([written]);
    // Debian's promtool is built without this way to find Pods; all else of it is checked.
    let scrape = config["scrape_configs"][0].as_object_mut().unwrap();
    let found = scrape.remove("kubernetes_sd_configs");
    assert_eq!(found.unwrap()[0]["role"], "pod");
    std::fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
    promtool(folder.path(), &["check", "config", "prometheus.yml"]);

    // The ports that it keeps are those that the ServiceMonitor's Services lead to.
    let kept = &config["scrape_configs"][0]["relabel_configs"][0]["regex"];
    let documents = render("");
    let mut ports = Vec::new();
    for (name, service) in [
        ("controller", "sumsq-metrics"),
        ("report", "sumsq-report-metrics"),
    ] {
        let service = named(&documents, "Service", service);
        let port = service["spec"]["ports"][0]["targetPort"].as_str().unwrap();
        let deployment = named(&documents, "Deployment", "sumsq");
        let of_container = container(deployment, name)["ports"].as_array().unwrap();
        assert!(of_container.iter().any(|known| known["name"] == port));
        ports.push(port);
    }
    assert_eq!(*kept, ports.join("|"));
}
