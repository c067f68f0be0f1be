//! A ServiceAccount's AWS role, from nothing to the first import, by doing what status says.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{fetch_now, reads, ready_made, ready_message};
use crate::buckets::{Bucket, DOCUMENT};
use crate::cluster_with_crds;
use crate::operator::{Operator, PATIENCE};
use crate::support::kubernetes::Cluster;
use crate::support::process::wait_for;
use crate::support::s3::S3;
use crate::support::tee::{Tee, value};

const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";

#[tokio::test]
async fn a_tenant_is_led_from_an_account_to_its_import() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("account").await;
    let bucket = Bucket::create("account").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let s3 = S3::shared().await;
    let sts = Tee::before(&s3.endpoint()).await;
    let operator = Operator::start_in(
        cluster,
        &namespace,
        &[
            ("SUMSQ_ALLOWED_ENDPOINTS", "http://127.0.0.1:*"),
            ("AWS_ENDPOINT_URL_STS", &sts.endpoint()),
        ],
    )
    .await;
    let mut resource = bucket.data_source("counts").await;
    resource["spec"]["source"]["s3"]["serviceAccountName"] = json!("counts-reader");
    operator.apply(&resource).await;
    let status = operator
        .ready_when("counts", "False", "TokenNotGranted")
        .await;

    // What lets the operator ask, as it stands there.
    let heading = format!("Role and RoleBinding, to apply in namespace {namespace}");
    let grant = ready_made(&status, &heading);
    cluster
        .kubectl_stdin(&["apply", "-f", "-"], &grant)
        .await
        .expect_success();
    fetch_now(&operator, "counts").await;
    operator
        .ready_when("counts", "False", "ServiceAccountNotFound")
        .await;
    operator
        .kubectl(&["create", "serviceaccount", "counts-reader"])
        .await;
    fetch_now(&operator, "counts").await;
    let status = operator
        .ready_when("counts", "False", "ServiceAccountInvalid")
        .await;
    assert!(ready_message(&status).contains(ROLE_ARN), "{status}");
    let name = format!("counts-{}", uuid::Uuid::now_v7().simple());
    let role = format!("arn:aws:iam::000000000000:role/{name}");
    let annotation = format!("{ROLE_ARN}={role}");
    operator
        .kubectl(&["annotate", "serviceaccount", "counts-reader", &annotation])
        .await;
    be_odd(&operator).await;
    fetch_now(&operator, "counts").await;
    let status = operator
        .ready_when("counts", "False", "AssumeRoleFailed")
        .await;
    assert_eq!(status["reader"], Value::Null);

    // The trust policy, as it stands there.
    let trust: Value = serde_json::from_str(&ready_made(&status, "trust policy")).unwrap();
    let trust = with_a_list_of_audiences(trust);
    s3.iam_role_called(&name, trust, reads(&bucket)).await;
    fetch_now(&operator, "counts").await;
    let status = operator.ready_when("counts", "True", "Imported").await;
    assert_eq!(status["reader"], role);
    assert_eq!(status["externalId"], Value::Null);

    let forms = sts.forms("AssumeRoleWithWebIdentity");
    let form = forms.last().expect("a role was asked for");
    assert_eq!(value(form, "RoleArn"), role);
    let token = value(form, "WebIdentityToken");
    is_for_aws_alone(cluster, namespace.name(), token).await;
    assert!(!operator.log().contains(token));

    // The account goes, and with it its role, although the session would last for an hour.
    let asked = forms.len();
    fetch_now(&operator, "counts").await;
    operator.ready_when("counts", "True", "NotModified").await;
    assert_eq!(sts.forms("AssumeRoleWithWebIdentity").len(), asked);
    operator
        .kubectl(&["delete", "serviceaccount", "counts-reader"])
        .await;
    fetch_now(&operator, "counts").await;
    operator
        .ready_when("counts", "False", "ServiceAccountNotFound")
        .await;

    // What was granted is that account, and no other of the namespace.
    operator
        .kubectl(&["create", "serviceaccount", "another"])
        .await;
    operator
        .patch(
            "counts",
            &json!({"spec": {"source": {"s3": {"serviceAccountName": "another"}}}}),
        )
        .await;
    operator
        .ready_when("counts", "False", "TokenNotGranted")
        .await;
}

/// Who may patch the account may write there what the client library cannot read, which it would then
/// write to the log. That says nothing of the account.
async fn be_odd(operator: &Operator) {
    let account = ["serviceaccount", "counts-reader"];
    let label = [&["label"][..], &account, &["a=b"]].concat();
    operator.kubectl(&label).await;
    let manager = json!({"manager": "x", "operation": "Update", "fieldsType": "FieldsV1",
        "apiVersion": "v1", "time": "9999-12-31T00:00:00Z",
        "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}}});
    let odd = json!({"metadata": {"managedFields": [manager]}}).to_string();
    let patch = [&["patch"][..], &account, &["--type=merge", "-p", &odd]].concat();
    operator.kubectl(&patch).await;
    let shown = [
        &["get"][..],
        &account,
        &["--show-managed-fields", "-o", "yaml"],
    ]
    .concat();
    let shown = operator.kubectl(&shown).await;
    assert!(shown.contains("9999-12-31T00:00:00Z"), "{shown}");
}

/// Kubernetes' tokens have a list of one audience, which AWS takes for itself; the test's server does
/// not, and is told to look into the list.
fn with_a_list_of_audiences(mut trust: Value) -> Value {
    let key = "kubernetes.default.svc:aud";
    let equals = trust["Condition"]["StringEquals"].as_object_mut();
    let audience = equals.and_then(|equals| equals.remove(key));
    let audience = audience.expect("the audience is held");
    trust["Condition"]["ForAnyValue:StringEquals"] = json!({(key): audience});
    trust
}

/// The API server's own, of this account, which is of no use at the API server.
async fn is_for_aws_alone(cluster: &Cluster, namespace: &str, token: &str) {
    let account = format!("system:serviceaccount:{namespace}:counts-reader");
    let payload = token.split('.').nth(1).expect("a JWT");
    let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], json!(["sts.amazonaws.com"]));
    assert_eq!(claims["sub"], account);
    assert_eq!(claims["iss"], "https://kubernetes.default.svc");
    let lasts = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(lasts, 600);
    for (audiences, authentic) in [(json!(["sts.amazonaws.com"]), true), (json!([]), false)] {
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token, "audiences": audiences},
        });
        let review = review.to_string();
        let args = ["create", "-f", "-", "-o", "json"];
        let answer = cluster.kubectl_stdin(&args, &review).await.expect_success();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let status = &answer["status"];
        assert_eq!(
            status["authenticated"].as_bool().unwrap_or(false),
            authentic,
            "{answer}"
        );
        if authentic {
            assert_eq!(status["user"]["username"], account);
        }
    }
}

#[tokio::test]
async fn a_clusters_policy_that_refuses_tokens_is_told_in_its_words() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("policy").await;
    let bucket = Bucket::create("token-policy").await;
    let name = namespace.name();
    let policy = json!({
        "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingAdmissionPolicy",
                "metadata": {"name": name},
                "spec": {
                    "failurePolicy": "Fail",
                    "matchConstraints": {"resourceRules": [{
                        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                        "resources": ["serviceaccounts/token"],
                    }]},
                    "matchConditions": [{
                        "name": "here", "expression": format!("request.namespace == '{name}'"),
                    }],
                    "validations": [{
                        "expression": "object.spec.audiences == ['vault']",
                        "message": "tokens are for the vault",
                    }],
                },
            },
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": {"name": name},
                "spec": {"policyName": name, "validationActions": ["Deny"]},
            },
            {
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "counts-reader", "namespace": name, "annotations": {
                    ROLE_ARN: "arn:aws:iam::000000000000:role/r",
                }},
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"name": "tokens", "namespace": name},
                "rules": [
                    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get"]},
                    {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
                ],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": "tokens", "namespace": name},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tokens",
                },
                "subjects": [{
                    "kind": "ServiceAccount", "name": "sumsq", "namespace": "sumsq-system",
                }],
            },
        ],
    });
    let policy = policy.to_string();
    cluster
        .kubectl_stdin(&["apply", "-f", "-"], &policy)
        .await
        .expect_success();
    // It takes the API server a moment.
    wait_for(
        "the policy",
        PATIENCE + Duration::from_mins(1),
        async || {
            let token = ["-n", name, "create", "token", "counts-reader"];
            let refused = cluster.kubectl(&token).await;
            refused.stderr.contains("for the vault").then_some(())
        },
    )
    .await;
    let operator = Operator::start(cluster, &namespace).await;
    let mut resource = bucket.data_source("counts").await;
    resource["spec"]["source"]["s3"]["serviceAccountName"] = json!("counts-reader");
    operator.apply(&resource).await;
    let status = operator
        .ready_when("counts", "False", "TokenNotGranted")
        .await;
    let message = ready_message(&status);
    assert!(message.contains("tokens are for the vault"), "{message}");
    let both = [
        "validatingadmissionpolicybinding",
        "validatingadmissionpolicy",
    ];
    for kind in both {
        cluster
            .kubectl(&["delete", kind, name])
            .await
            .expect_success();
    }
}
