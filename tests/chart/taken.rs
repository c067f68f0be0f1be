//! That the API server takes all that the chart renders, by the strict rules: objects of Kubernetes
//! itself, and those of the Prometheus operator, cert-manager and the Gateway API, of whose
//! controllers there are none here.

use crate::helm::{documents, lint, text};
use crate::matrix::MATRIX;
use crate::support::kubernetes::Cluster;
use crate::support::process::testbed_path;

/// The namespaces that the matrix names.
const NAMESPACES: [&str; 2] = ["sumsq-system", "growth"];

#[tokio::test]
async fn all_that_is_rendered_is_taken() {
    let cluster = Cluster::start().await;
    let definitions = testbed_path("SUMSQ_TEST_DEFINITIONS");
    let definitions = definitions.to_str().unwrap();
    let apply = ["apply", "--server-side", "-f", definitions];
    cluster.kubectl(&apply).await.expect_success();
    let established = ["wait", "--for=condition=Established", "crd", "--all"];
    cluster.kubectl(&established).await.expect_success();
    for namespace in NAMESPACES {
        let create = ["create", "namespace", namespace];
        cluster.kubectl(&create).await.expect_success();
    }
    for (name, values) in [("defaults", "")].iter().chain(MATRIX) {
        let rendered = text(values);
        let create = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
        let created = cluster.kubectl_stdin(&create, &rendered).await;
        assert_eq!(created.stderr, "", "{name}");
        let created = created.expect_success();
        assert_eq!(
            created.lines().count(),
            documents(&rendered).len(),
            "{name}"
        );
    }
}

#[test]
fn lint_finds_nothing() {
    for (name, values) in [("defaults", "")].iter().chain(MATRIX) {
        let said = lint(values);
        assert!(
            said.contains("1 chart(s) linted, 0 chart(s) failed"),
            "{name}: {said}"
        );
        // Charts for a catalogue have a picture; this one is in none.
        let findings = said.lines().filter(|line| line.starts_with('['));
        let findings: Vec<_> = findings
            .filter(|line| !line.contains("icon is recommended"))
            .collect();
        assert_eq!(findings, [""; 0], "{name}");
    }
}
