//! What the operator lends: its own identity, roles that it assumes for a namespace and no other,
//! and connections to stores.

use serde_json::{Value, json};

use super::{fetch_now, namespace_uid, reads, ready_made, ready_message};
use crate::buckets::{Bucket, DOCUMENT};
use crate::cluster_with_crds;
use crate::operator::{Operator, condition};
use crate::support::s3::S3;
use crate::support::tee::{Tee, value};

const HERE: (&str, &str) = ("SUMSQ_ALLOWED_ENDPOINTS", "http://127.0.0.1:*");
const EVERYWHERE: (&str, &str) = ("SUMSQ_AMBIENT_CREDENTIALS_NAMESPACES", "*");

#[tokio::test]
async fn the_operators_own_identity_reads_for_its_own_namespace() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("ambient").await;
    let bucket = Bucket::create("ambient").await;
    bucket.put("counts.csv", DOCUMENT).await;
    // By its kubeconfig, as by its ServiceAccount in a Pod, it is of another namespace.
    let mut operator = Operator::start_in(cluster, &namespace, &[HERE]).await;
    operator.apply(&bucket.data_source("counts").await).await;
    let status = operator
        .ready_when("counts", "False", "AmbientCredentialsRefused")
        .await;
    let message = ready_message(&status);
    for says in [
        "serviceAccountName",
        "secretRef",
        "--ambient-credentials-namespaces",
    ] {
        assert!(message.contains(says), "{message}");
    }
    assert!(condition(&status, "Stalled").is_none());
    assert_eq!(status["reader"], Value::Null);

    let own = ("POD_NAMESPACE", namespace.name());
    operator.restart_in(&[HERE, own]).await;
    fetch_now(&operator, "counts").await;
    let status = operator.ready_when("counts", "True", "Imported").await;
    assert_eq!(status["reader"], "arn:aws:iam::000000000000:root");

    // Whoever read before is not who reads now.
    let of_other = (
        "SUMSQ_AMBIENT_CREDENTIALS_NAMESPACES",
        "another,sumsq-system",
    );
    operator.restart_in(&[HERE, own, of_other]).await;
    fetch_now(&operator, "counts").await;
    let status = operator
        .ready_when("counts", "False", "AmbientCredentialsRefused")
        .await;
    assert_eq!(status["reader"], Value::Null);
    assert_eq!(status["agentCount"], 1, "what was imported before stays");
}

#[tokio::test]
async fn an_endpoint_is_asked_where_the_list_names_it() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("endpoints").await;
    let bucket = Bucket::create("endpoints").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let store = Tee::before(&S3::shared().await.endpoint()).await;
    let mut operator = Operator::start_in(cluster, &namespace, &[EVERYWHERE]).await;
    let resource = bucket.data_source_at("counts", &store.endpoint());
    operator.apply(&resource).await;
    let status = operator
        .ready_when("counts", "False", "EndpointNotAllowed")
        .await;
    let message = ready_message(&status);
    assert!(message.contains("--allowed-endpoints"), "{message}");
    assert!(message.contains(&store.endpoint()), "{message}");
    // A wildcard does not lead to this machine.
    let wildcard = ("SUMSQ_ALLOWED_ENDPOINTS", "http://*:*,https://*");
    operator.restart_in(&[EVERYWHERE, wildcard]).await;
    fetch_now(&operator, "counts").await;
    operator
        .ready_when("counts", "False", "AddressNotAllowed")
        .await;
    assert_eq!(store.asked(), "", "nobody has come");

    let exactly = store.endpoint();
    let exactly = ("SUMSQ_ALLOWED_ENDPOINTS", exactly.as_str());
    operator.restart_in(&[EVERYWHERE, exactly]).await;
    fetch_now(&operator, "counts").await;
    operator.ready_when("counts", "True", "Imported").await;
}

#[tokio::test]
async fn a_role_is_assumed_for_a_namespace_and_no_other() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("tenant").await;
    let other = cluster.namespace("other-tenant").await;
    let bucket = Bucket::create("tenant").await;
    bucket.put("counts.csv", DOCUMENT).await;
    let s3 = S3::shared().await;
    let sts = Tee::before(&s3.endpoint()).await;
    let sts_endpoint = sts.endpoint();
    let environment = [
        HERE,
        EVERYWHERE,
        ("AWS_ENDPOINT_URL_STS", sts_endpoint.as_str()),
    ];
    let operator = Operator::start_in(cluster, &namespace, &environment).await;
    let name = format!("counts-{}", uuid::Uuid::now_v7().simple());
    let role = format!("arn:aws:iam::000000000000:role/{name}");
    let mut resource = bucket.data_source("counts").await;
    resource["spec"]["source"]["s3"]["roleArn"] = json!(role);
    operator.apply(&resource).await;
    let status = operator
        .ready_when("counts", "False", "AssumeRoleFailed")
        .await;
    // What the trust policy has to ask for stands there, made of the namespace.
    let uid = namespace_uid(cluster, namespace.name()).await;
    let external_id = format!("sumsq:{namespace}:{uid}");
    assert_eq!(status["externalId"], external_id);
    let trust: Value = serde_json::from_str(&ready_made(&status, "trust policy")).unwrap();
    assert_eq!(
        trust["Condition"]["StringEquals"]["sts:ExternalId"],
        external_id
    );
    s3.iam_role_called(&name, trust, reads(&bucket)).await;
    fetch_now(&operator, "counts").await;
    let status = operator.ready_when("counts", "True", "Imported").await;
    assert_eq!(status["reader"], role);
    let forms = sts.forms("AssumeRole");
    assert_eq!(value(forms.last().unwrap(), "ExternalId"), external_id);

    // Another namespace names the same role: it is asked for under that one's own ID.
    let elsewhere = Operator::start_in(cluster, &other, &environment).await;
    elsewhere.apply(&resource).await;
    let status = elsewhere
        .ready_when("counts", "False", "AssumeRoleFailed")
        .await;
    assert_ne!(status["externalId"], external_id);
    assert_eq!(status["reader"], Value::Null);
    // Nor may it choose the ID.
    resource["spec"]["source"]["s3"]["externalId"] = json!(external_id);
    let refused = cluster.apply(other.name(), &resource.to_string()).await;
    let says = refused.expect_failure();
    assert!(
        says.contains("externalId goes with an identity of your own"),
        "{says}"
    );
    let asked = sts.forms("AssumeRole");
    let others = asked
        .iter()
        .filter(|form| value(form, "RoleSessionName").starts_with(&format!("sumsq-{other}-")));
    let others: Vec<_> = others.map(|form| value(form, "ExternalId")).collect();
    assert!(!others.is_empty());
    assert!(others.iter().all(|id| *id != external_id), "{others:?}");
}
