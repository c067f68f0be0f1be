//! What `kubectl apply` refuses, and with which sentence: the table that files are held to as well
//! (`tests/crd.rs`), on the real API server.

#[path = "../data/specs/mod.rs"]
mod specs;

use crate::cluster_with_crds;
use specs::Case;

/// All of them in one stream, each under a name of its own.
fn stream(cases: &[Case]) -> String {
    let manifests = cases.iter().enumerate();
    let manifests = manifests.map(|(index, case)| case.manifest(&name(index)));
    manifests.collect::<Vec<_>>().join("---\n")
}

fn name(index: usize) -> String {
    format!("case-{index:03}")
}

#[tokio::test]
async fn kubectl_apply_refuses_with_one_sentence_that_says_what_to_write() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("refusals").await;
    let cases = specs::refused();
    let told = cluster
        .apply(namespace.name(), &stream(&cases))
        .await
        .expect_failure();
    let mut wrong = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let Case {
            field, sentence, ..
        } = case;
        let named = case.name(&name(index));
        let begins = format!("\"{named}\" is invalid: {field}: ");
        let ends = format!(": {sentence}");
        if !told
            .lines()
            .any(|line| line.contains(&begins) && line.ends_with(&ends))
        {
            wrong.push(format!(
                "{} ({}): {field}: {sentence}",
                case.name,
                name(index)
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n\nkubectl said:\n{told}",
        wrong.join("\n")
    );
}

#[tokio::test]
async fn what_is_right_is_taken() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("taken").await;
    let cases = specs::taken();
    let told = cluster
        .apply(namespace.name(), &stream(&cases))
        .await
        .expect_success();
    assert_eq!(told.lines().count(), cases.len(), "{told}");
    assert!(
        told.lines().all(|line| line.ends_with(" created")),
        "{told}"
    );
}

/// kubectl's strict decoding; files have the same, with line and a guess (`tests/crd.rs`).
#[tokio::test]
async fn a_second_member_of_source_and_unknown_fields_are_refused_by_name() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("strict").await;
    let good = specs::taken()[0].manifest("strict");
    for (from, to, field) in [
        ("  source:", "  source:\n    gcs: {}", "spec.source.gcs"),
        ("spec:", "spec:\n  shedule: 0 9 * * *", "spec.shedule"),
    ] {
        let resource = good.replacen(from, to, 1);
        let refused = cluster
            .apply(namespace.name(), &resource)
            .await
            .expect_failure();
        assert!(
            refused.contains(&format!("unknown field \"{field}\"")),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn kubectl_explain_teaches() {
    let cluster = cluster_with_crds().await;
    let arguments = ["explain", "dsrc.spec.source.s3.accountId"];
    let explained = cluster.kubectl(&arguments).await.expect_success();
    insta::assert_snapshot!(explained, @"
    GROUP:      sumsq.dev
    KIND:       DataSource
    VERSION:    v1alpha1

    FIELD: accountId <string>


    DESCRIPTION:
        The 12 digits, in quotes, of the AWS account that owns the bucket. S3
        refuses to read where another account does, so a bucket that changes hands
        is noticed. May be left out only where endpoint is set and not AWS's own.
    ");
}

/// A date ahead would print as invalid, so NEXT is text.
#[tokio::test]
async fn kubectl_get_tells_the_state_in_a_line() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("columns").await;
    cluster
        .apply(namespace.name(), &specs::taken()[0].manifest("shop"))
        .await
        .expect_success();
    let status = r#"{"status": {
        "agentCount": 12,
        "lastSuccessTime": "2014-11-24T09:00:07Z",
        "nextFetchTime": "2124-11-25T09:03:12Z",
        "conditions": [{"type": "Ready", "status": "False", "reason": "AccessDenied",
            "message": "Access Denied", "lastTransitionTime": "2024-11-25T09:00:00Z"}]
    }}"#;
    let patch = [
        "patch",
        "dsrc",
        "shop",
        "--subresource=status",
        "--type=merge",
        "-p",
        status,
    ];
    let arguments = [["-n", namespace.name()].as_slice(), &patch].concat();
    cluster.kubectl(&arguments).await.expect_success();
    let get = ["-n", namespace.name(), "get", "dsrc", "-o", "wide"];
    let shown = cluster.kubectl(&get).await.expect_success();
    let columns: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        columns[0],
        [
            "NAME",
            "READY",
            "AGENTS",
            "LAST SUCCESS",
            "NEXT",
            "SCHEDULE",
            "REASON",
            "AGE"
        ]
    );
    assert_eq!(columns[1][..3], ["shop", "False", "12"], "{shown}");
    assert!(
        columns[1][3].ends_with(['d', 'y']),
        "days or years ago: {shown}"
    );
    assert_eq!(
        columns[1][4..7],
        ["2124-11-25T09:03:12Z", "0 9 * * *", "AccessDenied"]
    );
}
