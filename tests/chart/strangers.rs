//! What people put beside the chart's own: containers, volumes, names, proxies, backups.

use serde_json::{Value, json};

use crate::helm::{container, documents, entry, named, of_kind, render};
use crate::support::kubernetes::Cluster;

const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What a container has in the place of its Pod's token.
fn token(deployment: &Value, name: &str) -> String {
    let mounts = container(deployment, name)["volumeMounts"].as_array();
    let mut mounts = mounts.into_iter().flatten();
    let mount = mounts.find(|mount| mount["mountPath"] == TOKEN);
    mount.map_or("the Pod's own".to_owned(), |mount| {
        mount["name"].as_str().unwrap().to_owned()
    })
}

#[test]
fn containers_beside_the_operator_have_neither_its_token_nor_its_role() {
    let guests = "controller: {extraContainers: [{name: tunnel, image: t}]}
report:
  extraContainers:
    - {name: proxy, image: p, volumeMounts: [{name: report-tmp, mountPath: /tmp}]}
    - {name: own, image: o, volumeMounts: [{name: mine, mountPath: /var/run/secrets/kubernetes.io/serviceaccount/}]}
  extraVolumes: [{name: mine, projected: {sources: [{serviceAccountToken: {path: token, audience: me}}]}}]";
    let rendered = render(guests);
    let deployment = named(&rendered, "Deployment", "sumsq");
    for (name, expected) in [
        ("controller", "the Pod's own"),
        ("report", "report-token"),
        ("tunnel", "no-token"),
        ("proxy", "no-token"),
    ] {
        assert_eq!(token(deployment, name), expected, "{name}");
    }
    let own = container(deployment, "own")["volumeMounts"].as_array();
    assert_eq!(own.unwrap().len(), 1, "its own token is left to it");
    // What was mounted stays mounted.
    let proxy = container(deployment, "proxy");
    assert_eq!(
        entry(&proxy["volumeMounts"], "mountPath", "/tmp")["name"],
        "report-tmp"
    );
    let pod = &deployment["spec"]["template"];
    let volumes = &pod["spec"]["volumes"];
    assert!(entry(volumes, "name", "no-token")["emptyDir"].is_object());
    let skipped = &pod["metadata"]["annotations"]["eks.amazonaws.com/skip-containers"];
    assert_eq!(skipped, "report,proxy,own,tunnel");

    // Beside a report server in Pods of its own there is nothing to be kept from.
    let rendered = render(&format!("postgres: {{existingSecret: db}}\n{guests}"));
    let reports = named(&rendered, "Deployment", "sumsq-report");
    assert_eq!(token(reports, "proxy"), "the Pod's own");
    let operator = named(&rendered, "Deployment", "sumsq");
    assert_eq!(token(operator, "tunnel"), "no-token");
    let skipped = &operator["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(skipped["eks.amazonaws.com/skip-containers"], "tunnel");
}

#[test]
fn the_report_server_may_have_a_database_role_of_its_own() {
    let rendered = render(
        "postgres: {existingSecret: db, passwordKey: password, caSecret: ca}
report: {postgres: {existingSecret: reader, urlKey: address}}",
    );
    let variable = |deployment: &str, of: &str, name: &str| {
        let deployment = named(&rendered, "Deployment", deployment);
        let variables = container(deployment, of)["env"].as_array().unwrap();
        let found = variables.iter().find(|variable| variable["name"] == name);
        found.map(|variable| variable["valueFrom"]["secretKeyRef"].clone())
    };
    let reader = json!({"name": "reader", "key": "address"});
    assert_eq!(
        variable("sumsq-report", "report", "SUMSQ_STORE"),
        Some(reader)
    );
    assert_eq!(variable("sumsq-report", "report", "PGPASSWORD"), None);
    let operator = json!({"name": "db", "key": "url"});
    assert_eq!(
        variable("sumsq", "controller", "SUMSQ_STORE"),
        Some(operator)
    );
    let reports = named(&rendered, "Deployment", "sumsq-report");
    let certificate = entry(
        &container(reports, "report")["env"],
        "name",
        "PGSSLROOTCERT",
    );
    assert_eq!(certificate["value"], "/etc/sumsq/postgres/ca.crt");
}

/// By this label the plugin finds them.
#[test]
fn pods_are_found_by_one_label_whatever_they_are_called() {
    for values in [
        "",
        "nameOverride: counts",
        "postgres: {existingSecret: db}\nnameOverride: counts",
    ] {
        for deployment in of_kind(&render(values), "Deployment") {
            let labels = &deployment["spec"]["template"]["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/part-of"], "sumsq", "{values}");
            // A selector can't be changed: it does not have it.
            let selector = deployment["spec"]["selector"].to_string();
            assert!(!selector.contains("part-of"), "{selector}");
        }
    }
}

#[test]
fn what_is_in_front_learns_that_the_pod_speaks_tls() {
    let told = |tls: &str| {
        let ingress = "ingress: {enabled: true, annotations: {mine: \"1\"}}";
        let rendered = render(&format!("report: {{{ingress}, tls: {{{tls}}}}}"));
        let port = named(&rendered, "Service", "sumsq-report")["spec"]["ports"][0].clone();
        let ingress = named(&rendered, "Ingress", "sumsq-report");
        let annotations = &ingress["metadata"]["annotations"];
        assert_eq!(annotations["mine"], "1");
        let backend = &annotations["nginx.ingress.kubernetes.io/backend-protocol"];
        (port["appProtocol"].clone(), backend.clone())
    };
    assert_eq!(told(""), (json!("http"), Value::Null));
    assert_eq!(told("existingSecret: t"), (json!("https"), json!("HTTPS")));
}

#[test]
fn the_network_is_open_to_the_stores_that_are_allowed() {
    let ports = |endpoints: &str| {
        let rendered = render(&format!(
            "networkPolicy: {{enabled: true}}\ncontroller: {{allowedEndpoints: [{endpoints}]}}"
        ));
        let policy = named(&rendered, "NetworkPolicy", "sumsq");
        let rules = policy["spec"]["egress"].as_array().unwrap();
        let ports = rules.last().unwrap()["ports"].as_array().unwrap().iter();
        let ports = ports.map(|port| port["port"].to_string());
        ports.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ports(""), "443");
    let minio = "\"https://minio.storage.svc:9000\"";
    assert_eq!(ports(minio), "443 9000");
    let others = "\"http://minio.storage.svc\", \"https://*.r2.cloudflarestorage.com\"";
    assert_eq!(ports(&format!("{minio}, {others}")), "443 9000 80");
    assert_eq!(
        ports("\"http://[fd00::1]:9001\", \"http://[fd00::2]\""),
        "443 9001 80"
    );
    assert_eq!(
        ports(&format!("{minio}, \"http://127.0.0.1:*\"")),
        "null",
        "all ports"
    );
}

/// OpenShift draws users and groups itself, and refuses others.
#[test]
fn users_may_be_left_to_the_cluster() {
    let values = "podSecurityContext: {runAsUser: null, runAsGroup: null, fsGroup: null}";
    let rendered = render(values);
    let pod = &of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"];
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"}})
    );
}

const BACKUP: &str = include_str!("../../examples/backup/cronjob.yaml");

#[tokio::test]
async fn the_backup_fits_the_chart_and_is_let_in() {
    let backup = documents(BACKUP);
    let job = named(&backup, "CronJob", "sumsq-backup");
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let rendered = render("");
    let deployment = named(&rendered, "Deployment", "sumsq");
    let operator = &deployment["spec"]["template"];
    // The same volume at the same place, on the operator's node.
    let volume = |pod: &Value| {
        let volume = entry(&pod["volumes"], "name", "store");
        volume["persistentVolumeClaim"]["claimName"].clone()
    };
    assert_eq!(volume(pod), volume(&operator["spec"]));
    let own = &pod["initContainers"][0];
    let store = |container: &Value| {
        let mount = entry(&container["volumeMounts"], "name", "store")["mountPath"].clone();
        (
            mount,
            entry(&container["env"], "name", "SUMSQ_STORE")["value"].clone(),
        )
    };
    let controller = container(deployment, "controller");
    assert_eq!(store(own), store(controller));
    assert_eq!(own["image"], controller["image"]);
    assert_eq!(pod["securityContext"], operator["spec"]["securityContext"]);
    assert_eq!(own["securityContext"], controller["securityContext"]);
    let near = &pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
    let near = near["labelSelector"]["matchLabels"].as_object().unwrap();
    let labels = &operator["metadata"]["labels"];
    assert!(
        near.iter().all(|(name, value)| labels[name] == *value),
        "{near:?}"
    );

    // Under the strictest standard, and with no field that is none.
    let cluster = Cluster::shared().await;
    let namespace = crate::pod_security::restricted(cluster, "backup").await;
    let create = [
        "create",
        "--validate=strict",
        "-n",
        namespace.name(),
        "-f",
        "-",
    ];
    let created = cluster.kubectl_stdin(&create, BACKUP).await;
    assert_eq!(created.stderr, "");
    created.expect_success();
}
