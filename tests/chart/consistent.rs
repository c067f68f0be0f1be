//! What one object of the chart names, another one is: Pods that a selector chooses, ports, volumes,
//! accounts. The API server takes all that without a word.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helm::{of_kind, render};
use crate::matrix::MATRIX;

/// The Deployments whose Pods have all of these labels.
fn chosen<'a>(documents: &'a [Value], labels: &Value) -> Vec<&'a Value> {
    let labels = labels.as_object().unwrap();
    let deployments = of_kind(documents, "Deployment").into_iter();
    deployments
        .filter(|deployment| {
            let own = &deployment["spec"]["template"]["metadata"]["labels"];
            labels.iter().all(|(name, value)| own[name] == *value)
        })
        .collect()
}

/// Names of the ports of a Deployment's containers.
fn ports(deployment: &Value) -> BTreeSet<&str> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
    let ports = containers
        .unwrap()
        .iter()
        .filter_map(|container| container["ports"].as_array());
    ports
        .flatten()
        .map(|port| port["name"].as_str().unwrap())
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn services_lead_to_pods(documents: &[Value]) {
    for service in of_kind(documents, "Service") {
        let pods = chosen(documents, &service["spec"]["selector"]);
        assert!(!pods.is_empty(), "{service}");
        for port in list(&service["spec"]["ports"]) {
            let target = port["targetPort"].as_str().unwrap();
            assert!(
                pods.iter().all(|pod| ports(pod).contains(target)),
                "{service}"
            );
        }
    }
}

/// The Service that something leads to, by a port's name or number.
fn leads_to(documents: &[Value], name: &Value, port: &Value) {
    let mut services = of_kind(documents, "Service").into_iter();
    let service = services.find(|service| service["metadata"]["name"] == *name);
    let service = service.unwrap_or_else(|| panic!("no Service {name}"));
    let found = list(&service["spec"]["ports"])
        .any(|listed| listed["name"] == *port || listed["port"] == *port);
    assert!(found, "no port {port} of {name}");
}

fn routes_lead_to_services(documents: &[Value]) {
    for ingress in of_kind(documents, "Ingress") {
        for rule in list(&ingress["spec"]["rules"]) {
            let service = &rule["http"]["paths"][0]["backend"]["service"];
            leads_to(documents, &service["name"], &service["port"]["name"]);
        }
    }
    for route in of_kind(documents, "HTTPRoute") {
        let backend = &route["spec"]["rules"][0]["backendRefs"][0];
        leads_to(documents, &backend["name"], &backend["port"]);
    }
}

/// A ServiceMonitor finds both of the metrics' Services, and nothing else.
fn all_metrics_are_scraped(documents: &[Value]) {
    for monitor in of_kind(documents, "ServiceMonitor") {
        let selector = &monitor["spec"]["selector"];
        let expression = &selector["matchExpressions"][0];
        let labels = selector["matchLabels"].as_object().unwrap();
        let port = &monitor["spec"]["endpoints"][0]["port"];
        let found = of_kind(documents, "Service").into_iter().filter(|service| {
            let own = &service["metadata"]["labels"];
            let name = &own[expression["key"].as_str().unwrap()];
            labels.iter().all(|(label, value)| own[label] == *value)
                && list(&expression["values"]).any(|value| value == name)
        });
        let found: Vec<_> = found
            .map(|service| {
                assert!(list(&service["spec"]["ports"]).any(|listed| listed["name"] == *port));
                service["metadata"]["name"].as_str().unwrap()
            })
            .collect();
        assert_eq!(found, ["sumsq-metrics", "sumsq-report-metrics"]);
    }
}

fn policies_are_about_pods(documents: &[Value]) {
    for policy in of_kind(documents, "NetworkPolicy") {
        let pods = chosen(documents, &policy["spec"]["podSelector"]["matchLabels"]);
        assert!(!pods.is_empty(), "{policy}");
        for rule in list(&policy["spec"]["ingress"]) {
            let port = rule["ports"][0]["port"].as_str().unwrap();
            assert!(pods.iter().all(|pod| ports(pod).contains(port)), "{policy}");
        }
    }
    for budget in of_kind(documents, "PodDisruptionBudget") {
        let pods = chosen(documents, &budget["spec"]["selector"]["matchLabels"]);
        // One that held two Deployments would have one wait for the other.
        assert_eq!(pods.len(), 1, "{budget}");
    }
    for scaler in of_kind(documents, "HorizontalPodAutoscaler") {
        let name = &scaler["spec"]["scaleTargetRef"]["name"];
        let deployments = of_kind(documents, "Deployment");
        let scaled = deployments
            .iter()
            .find(|deployment| deployment["metadata"]["name"] == *name);
        assert!(
            scaled.unwrap()["spec"]["replicas"].is_null(),
            "two would set it"
        );
    }
}

/// A selector chooses its own Deployment's Pods and no other's.
fn deployments_are_apart(documents: &[Value]) {
    for deployment in of_kind(documents, "Deployment") {
        let own = chosen(documents, &deployment["spec"]["selector"]["matchLabels"]);
        assert_eq!(own, [deployment]);
        let pod = &deployment["spec"]["template"]["spec"];
        let volumes: BTreeSet<&str> = list(&pod["volumes"])
            .map(|volume| volume["name"].as_str().unwrap())
            .collect();
        let mut mounted = BTreeSet::new();
        for container in list(&pod["containers"]) {
            let mut places = BTreeSet::new();
            for mount in list(&container["volumeMounts"]) {
                mounted.insert(mount["name"].as_str().unwrap());
                assert!(
                    places.insert(mount["mountPath"].as_str().unwrap()),
                    "{mount}"
                );
            }
            let mut variables = BTreeSet::new();
            for variable in list(&container["env"]) {
                assert!(
                    variables.insert(variable["name"].as_str().unwrap()),
                    "{variable}"
                );
                // A file that a variable names lies in a volume.
                let value = variable["value"].as_str().unwrap_or_default();
                let is_file = value.starts_with("/etc/sumsq/");
                let lies = places
                    .iter()
                    .any(|place| value.starts_with(&format!("{place}/")));
                assert!(!is_file || lies, "{variable}");
            }
        }
        assert_eq!(mounted, volumes);
    }
}

fn rights_are_somebodys(documents: &[Value]) {
    let mut accounts = BTreeSet::new();
    for deployment in of_kind(documents, "Deployment") {
        let pod = &deployment["spec"]["template"]["spec"];
        accounts.insert(pod["serviceAccountName"].as_str().unwrap());
    }
    for secret in of_kind(documents, "Secret") {
        let of = &secret["metadata"]["annotations"]["kubernetes.io/service-account.name"];
        accounts.extend(of.as_str());
    }
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        for binding in of_kind(documents, kind) {
            let account = binding["subjects"][0]["name"].as_str().unwrap();
            assert!(accounts.contains(account), "{binding}");
            let role = &binding["roleRef"];
            let roles = of_kind(documents, role["kind"].as_str().unwrap());
            let mut roles = roles.iter().filter(|found| {
                let (of, by) = (&found["metadata"], &binding["metadata"]);
                of["name"] == role["name"] && of["namespace"] == by["namespace"]
            });
            assert!(roles.next().is_some(), "{binding}");
        }
    }
}

#[test]
fn what_is_named_is_there() {
    for (name, values) in [("defaults", "")].iter().chain(MATRIX) {
        eprintln!("{name}");
        let documents = render(values);
        deployments_are_apart(&documents);
        services_lead_to_pods(&documents);
        routes_lead_to_services(&documents);
        all_metrics_are_scraped(&documents);
        policies_are_about_pods(&documents);
        rights_are_somebodys(&documents);
    }
}
