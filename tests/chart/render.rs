//! Single promises of what the chart renders.

use serde_json::Value;

use crate::helm::{container, entry, named, of_kind, refusal, refusal_at, render};

#[test]
fn on_postgres_there_is_no_volume_and_the_address_comes_from_a_secret() {
    let documents = render("postgres: {existingSecret: db, passwordKey: pw, caSecret: ca}");
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
    let documents = render("");
    assert_eq!(of_kind(&documents, "PersistentVolumeClaim").len(), 1);
    let deployment = of_kind(&documents, "Deployment")[0].to_string();
    assert!(deployment.contains("\"value\":\"sqlite:/var/lib/sumsq/sumsq.db\""));
    assert!(!deployment.contains("PGPASSWORD"), "{deployment}");
}

/// The file system of the image is read-only: what SQLite or a download puts down needs a place.
#[test]
fn every_container_has_a_place_for_temporary_files() {
    let documents = render("");
    let pod = &of_kind(&documents, "Deployment")[0]["spec"]["template"]["spec"];
    for container in pod["containers"].as_array().unwrap() {
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        let mount = entry(&container["volumeMounts"], "mountPath", "/tmp");
        let volume = entry(&pod["volumes"], "name", mount["name"].as_str().unwrap());
        assert!(volume["emptyDir"].is_object(), "{volume}");
    }
    let report = entry(&pod["volumes"], "name", "report-tmp");
    assert_eq!(report["emptyDir"]["sizeLimit"], "256Mi");
}

/// Name, strategy and what tells a shard's Pods from the others, of each Deployment.
fn deployments(settings: &str) -> String {
    let documents = render(settings);
    let lines = of_kind(&documents, "Deployment")
        .into_iter()
        .filter(|deployment| deployment["metadata"]["name"] != "sumsq-report")
        .filter(|deployment| deployment["metadata"]["name"] != "counts-report")
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
    insta::assert_snapshot!(deployments(""), @"sumsq x1 Recreate shard null: ");
    insta::assert_snapshot!(deployments("postgres: {existingSecret: db}"), @"sumsq x1 RollingUpdate shard null: POD_NAME=(its own name) SUMSQ_LEADER_ELECTION=true SUMSQ_LEASE=sumsq");
    insta::assert_snapshot!(
        deployments("{postgres: {existingSecret: db}, replicas: 2, shards: 3, fullnameOverride: counts}"), @r#"
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
    assert_eq!(roles(""), "", "SQLite has one operator");
    insta::assert_snapshot!(roles("{postgres: {existingSecret: db}, shards: 2}"), @r#""sumsq-leader" in "sumsq-system": [{"apiGroups":["coordination.k8s.io"],"resources":["leases"],"verbs":["get","create","update"]}]"#);
    assert_eq!(
        roles("{postgres: {existingSecret: db}, rbac: {create: false}}"),
        ""
    );
    // Also where everything else lies in the watched namespace.
    let scoped = roles("{postgres: {existingSecret: db}, namespace: growth}");
    assert_eq!(scoped.lines().count(), 2, "{scoped}");
    assert!(
        scoped.contains("\"sumsq-leader\" in \"sumsq-system\""),
        "{scoped}"
    );
}

#[test]
fn what_does_not_go_together_is_refused_with_a_reason() {
    let postgres = "postgres: {existingSecret: db}";
    for (values, why) in [
        ("replicas: 2".to_owned(), "need PostgreSQL"),
        ("shards: 2".to_owned(), "need PostgreSQL"),
        (
            "report: {placement: Deployment}".to_owned(),
            "report.placement=Deployment needs PostgreSQL",
        ),
        (
            "report: {replicas: 2}".to_owned(),
            "set report.placement=Deployment",
        ),
        (
            format!("{postgres}\nreport: {{placement: Sidecar, autoscaling: {{enabled: true}}}}"),
            "set report.placement=Deployment",
        ),
        (
            "report: {auth: {mode: none}, ingress: {enabled: true}}".to_owned(),
            "report.auth.mode kubernetes or proxy",
        ),
        (
            "report: {enabled: false, httpRoute: {enabled: true}}".to_owned(),
            "report.enabled",
        ),
        (
            "report: {auth: {mode: proxy}}".to_owned(),
            "something by which the proxy is known",
        ),
        (
            "report: {auth: {mode: proxy, proxy: {clientCaSecret: ca}}}".to_owned(),
            "needs TLS",
        ),
        (
            "report: {service: {type: LoadBalancer}}".to_owned(),
            "go over the network in the clear",
        ),
        (
            "report: {postgres: {existingSecret: reader}}".to_owned(),
            "set that as well",
        ),
        (
            "report: {tls: {existingSecret: t, certManager: {enabled: true, issuerRef: {name: i}}}}"
                .to_owned(),
            "choose one",
        ),
        (
            "report: {tls: {certManager: {enabled: true}}}".to_owned(),
            "issuerRef.name",
        ),
        // What the schema refuses.
        (format!("{postgres}\nreplicas: 0"), "replicas"),
        (format!("{postgres}\nshards: 1025"), "shards"),
        (format!("{postgres}\nshards: two"), "shards"),
        ("controler: {}".to_owned(), "controler"),
        ("controller: {spillDir: spill}".to_owned(), "spillDir"),
        (
            "controller: {allowedEndpoints: [minio.storage.svc]}".to_owned(),
            "allowedEndpoints",
        ),
        ("report: {auth: {mode: basic}}".to_owned(), "mode"),
    ] {
        let refused = refusal(&values);
        assert!(refused.contains(why), "{values}: {refused}");
    }
    let refused = refusal_at("1.29.0", "tenantNamespaces: [growth]");
    assert!(refused.contains("needs Kubernetes 1.30"), "{refused}");
}

/// Whose token each container has, and what of the other's it could use.
#[test]
fn the_report_server_never_has_the_operators_token() {
    let token = "/var/run/secrets/kubernetes.io/serviceaccount";
    let report = |values: &str| {
        let documents = render(values);
        let deployments = of_kind(&documents, "Deployment");
        let has_report = |deployment: &&&Value| {
            deployment["spec"]["template"]["spec"]["containers"]
                .to_string()
                .contains("\"args\":[\"report\"]")
        };
        let deployment = deployments.iter().find(has_report).unwrap();
        let pod = &deployment["spec"]["template"]["spec"];
        let report = container(deployment, "report");
        let mounts = report["volumeMounts"].as_array().unwrap();
        let mounted = mounts.iter().find(|mount| mount["mountPath"] == token);
        let volume = mounted.map(|mount| {
            let name = mount["name"].as_str().unwrap();
            let mut volume = entry(&pod["volumes"], "name", name).clone();
            volume.as_object_mut().unwrap().remove("name");
            volume.to_string()
        });
        format!(
            "account {} automount {}, at its place {}",
            pod["serviceAccountName"].as_str().unwrap(),
            pod["automountServiceAccountToken"],
            volume.as_deref().unwrap_or("what is automounted")
        )
    };
    let postgres = "postgres: {existingSecret: db}";
    insta::assert_snapshot!(report(""), @r#"account sumsq automount true, at its place {"secret":{"items":[{"key":"token","path":"token"},{"key":"ca.crt","path":"ca.crt"},{"key":"namespace","path":"namespace"}],"secretName":"sumsq-report-token"}}"#);
    insta::assert_snapshot!(report("report: {auth: {mode: none}}"), @r#"account sumsq automount true, at its place {"emptyDir":{"sizeLimit":"1Mi"}}"#);
    insta::assert_snapshot!(report(postgres), @"account sumsq-report automount true, at its place what is automounted");
    insta::assert_snapshot!(report(&format!("{postgres}\nreport: {{auth: {{mode: none}}}}")), @"account sumsq-report automount false, at its place what is automounted");
    insta::assert_snapshot!(report(&format!("{postgres}\nreport: {{placement: Sidecar}}")), @r#"account sumsq automount true, at its place {"secret":{"items":[{"key":"token","path":"token"},{"key":"ca.crt","path":"ca.crt"},{"key":"namespace","path":"namespace"}],"secretName":"sumsq-report-token"}}"#);
    // The Secret is filled with a token of the report server's account.
    let documents = render("");
    let secret = named(&documents, "Secret", "sumsq-report-token");
    let annotations = &secret["metadata"]["annotations"];
    assert_eq!(
        annotations["kubernetes.io/service-account.name"],
        "sumsq-report"
    );
}

#[test]
fn nobody_reaches_reports_that_ask_nobody() {
    let listens = |auth: &str| {
        let documents = render(&format!("report: {{auth: {auth}}}"));
        let deployment = named(&documents, "Deployment", "sumsq");
        let report = container(deployment, "report");
        let listen = &entry(&report["env"], "name", "SUMSQ_LISTEN")["value"];
        let services = of_kind(&documents, "Service").into_iter();
        let services: Vec<_> = services
            .map(|service| service["metadata"]["name"].as_str().unwrap())
            .collect();
        format!("{}: {}", listen.as_str().unwrap(), services.join(", "))
    };
    insta::assert_snapshot!(listens("{mode: kubernetes}"), @"0.0.0.0:8080: sumsq-metrics, sumsq-report, sumsq-report-metrics");
    insta::assert_snapshot!(listens("{mode: none}"), @"127.0.0.1:8080: sumsq-metrics, sumsq-report-metrics");
    insta::assert_snapshot!(listens("{mode: none, insecureNoAuth: true}"), @"0.0.0.0:8080: sumsq-metrics, sumsq-report, sumsq-report-metrics");
}
