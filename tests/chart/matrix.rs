//! What the chart renders for values that people choose: all of it for the defaults, and for others
//! what differs from those.

use std::fmt::Write as _;
use std::process::Command;

use crate::helm::text;

/// Values that people choose. Together they render every object of the chart and every branch of it.
pub const MATRIX: &[(&str, &str)] = &[
        ("postgres", "postgres: {existingSecret: db}"),
        (
            "replicas_and_shards",
            "postgres: {existingSecret: db, passwordKey: password, caSecret: ca}
replicas: 2
shards: 2
report: {replicas: 3, postgres: {existingSecret: db-reader, urlKey: address}}
topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway}",
        ),
        (
            "one_namespace",
            "namespace: growth
tenantNamespaces: [growth]
rbac: {secrets: false, userRoles: false}
report: {enabled: false}",
        ),
        (
            "loopback",
            "report: {auth: {mode: none}}
persistence: {existingClaim: counts}
podSecurityContext: {runAsUser: null, runAsGroup: null, fsGroup: null}
controller:
  ingestMemoryMiB: 256
  spillDir: /spill
  spillSizeLimit: 20Gi
  ambientCredentialsNamespaces: [growth, checkout]
  allowedEndpoints: [\"https://minio.storage.svc:9000\", \"https://*.r2.cloudflarestorage.com\"]
  clusterNetworks: [20.0.0.0/8]",
        ),
        (
            "behind_a_proxy",
            "postgres: {existingSecret: db}
report:
  autoscaling: {enabled: true}
  auth:
    mode: proxy
    cookieKey: {existingSecret: cookies, key: k}
    proxy: {existingSecret: proxy, clientCaSecret: proxy-ca, userHeader: X-User, groupsHeader: X-Groups, fetchNow: true}
  tls: {certManager: {enabled: true, issuerRef: {name: letsencrypt, kind: ClusterIssuer}, dnsNames: [reports.example.com]}}
  ingress: {enabled: true, className: nginx, hosts: [reports.example.com], tls: [{secretName: t, hosts: [reports.example.com]}]}
  httpRoute: {enabled: true, parentRefs: [{name: public, namespace: gateways}], hostnames: [reports.example.com]}",
        ),
        (
            "observed_and_fenced_in",
            "metrics:
  serviceMonitor: {enabled: true, interval: 30s, labels: {release: prometheus}}
  prometheusRule: {enabled: true, disabled: [SumsqSlotsMissed], alertLabels: {team: data}, runbookUrl: https://example.com/runbooks/}
  dashboard: {enabled: true, annotations: {folder: Experiments}}
networkPolicy:
  enabled: true
  reportFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}]
controller: {allowedEndpoints: [\"https://minio.storage.svc:9000\", \"https://*.r2.cloudflarestorage.com\"]}
report: {service: {type: NodePort}, tls: {endsBefore: true}}",
        ),
        (
            "with_company",
            "controller:
  extraEnv: [{name: SSL_CERT_FILE, value: /etc/authorities/ca.crt}]
  extraVolumes: [{name: authorities, configMap: {name: our-authorities}}]
  extraVolumeMounts: [{name: authorities, mountPath: /etc/authorities, readOnly: true}]
  extraContainers: [{name: tunnel, image: registry.example.com/tunnel}]
report:
  extraVolumes: [{name: proxy-config, secret: {secretName: oauth2-proxy}}]
  extraVolumeMounts: [{name: authorities, mountPath: /etc/authorities, readOnly: true}]
  extraContainers:
    - name: oauth2-proxy
      image: quay.io/oauth2-proxy/oauth2-proxy
      volumeMounts: [{name: proxy-config, mountPath: /etc/proxy}]",
        ),
        (
            "fenced_in_with_peers",
            "networkPolicy:
  enabled: true
  egress: {s3: {to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [443, 9000]}}
controller: {allowedEndpoints: [\"http://127.0.0.1:*\"]}",
        ),
        (
            "pods_of_their_own_kind",
            "postgres: {existingSecret: db}
image: {repository: registry.example.com/sumsq, digest: \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}
imagePullSecrets: [{name: registry}]
controller:
  extraEnv: [{name: RUST_LOG, value: sumsq=debug}]
  extraEnvFrom: [{secretRef: {name: sumsq-aws}}]
report:
  extraEnv: [{name: RUST_LOG, value: sumsq=debug}]
  podAnnotations: {of: reports}
  podLabels: {of: reports}
  affinity: {nodeAffinity: {}}
  service: {type: LoadBalancer, port: 443, annotations: {internal: \"true\"}}
  serviceAccount: {create: false, name: reader}
  tls: {existingSecret: tls}
serviceAccount: {annotations: {eks.amazonaws.com/role-arn: \"arn:aws:iam::123456789012:role/sumsq\"}}
podAnnotations: {of: the operator}
podLabels: {of: the-operator}
priorityClassName: high
nodeSelector: {kubernetes.io/arch: arm64}
tolerations: [{key: spot, operator: Exists}]
affinity: {nodeAffinity: {}}
resources: {limits: {memory: 1Gi}}",
        ),
];

/// What a snapshot has no use for: labels that every object has, and the key that is drawn anew.
fn plain(rendered: &str) -> String {
    let mut plain = String::new();
    let mut dashboard = false;
    for line in rendered.lines() {
        let label = line.trim_start();
        if dashboard && (line.starts_with("    ") || line.is_empty()) {
            continue;
        }
        dashboard = label == "sumsq.json: |";
        if [
            "helm.sh/chart:",
            "app.kubernetes.io/managed-by:",
            "app.kubernetes.io/version:",
        ]
        .iter()
        .any(|noise| label.starts_with(noise))
        {
            continue;
        }
        if label.starts_with("cookie-key: ") {
            writeln!(plain, "  cookie-key: (64 random characters)").unwrap();
        } else if !line.starts_with("# Source:") {
            writeln!(plain, "{}", line.trim_end()).unwrap();
        }
    }
    plain
}

/// Rendered with the definitions left to an administrator: `crds/` has them.
fn rendered(values: &str) -> String {
    let roles = if values.contains("rbac:") {
        ""
    } else {
        "rbac: {userRoles: true}"
    };
    plain(&text(&format!(
        "crds: {{install: false}}\n{roles}\n{values}"
    )))
}

/// A unified diff from the defaults, with two lines around each change and no line numbers.
fn from_defaults(values: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = ["before", "after"].map(|name| folder.path().join(name));
    std::fs::write(&before, rendered("")).unwrap();
    std::fs::write(&after, rendered(values)).unwrap();
    let diff = Command::new("diff")
        .args(["--unified=2", "--show-function-line=^  name: "])
        .args([&before, &after])
        .output()
        .unwrap();
    let diff = String::from_utf8(diff.stdout).unwrap();
    let mut text = format!("{values}\n");
    for line in diff.lines().skip(2) {
        let hunk = line.strip_prefix("@@ ");
        let hunk = hunk.and_then(|hunk| hunk.split_once(" @@"));
        match hunk {
            Some((_, within)) => writeln!(text, "@@{within}").unwrap(),
            None => writeln!(text, "{line}").unwrap(),
        }
    }
    text
}

#[test]
fn by_default() {
    insta::assert_snapshot!("defaults", rendered(""));
}

#[test]
fn other_values() {
    for (name, values) in MATRIX {
        insta::assert_snapshot!(*name, from_defaults(values));
    }
}
