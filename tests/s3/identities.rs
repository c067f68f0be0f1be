//! Whose identity reads. The operator's own comes from the environment, so those tests run
//! themselves again in a process that has it.

use std::env;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Value, json};
use sumsq::domain::data_source::{Identity, S3Object};
use sumsq::domain::fetch::FetchError;

use crate::fixture::{Bucket, KEY, LIMIT, iam_user, object, objects, root, shown};
use crate::support::process::free_port;
use crate::support::s3::S3;

/// Set in the process that has the environment: where S3 and the bucket are.
const ENDPOINT: &str = "SUMSQ_TEST_ENDPOINT";
const BUCKET: &str = "SUMSQ_TEST_BUCKET";

/// What opening a bucket's object as the operator comes to in a process with this environment and
/// no other: None in that very process.
async fn operator_with(test: &str, environment: &[(&str, &str)]) -> Option<Value> {
    if let (Ok(endpoint), Ok(bucket)) = (env::var(ENDPOINT), env::var(BUCKET)) {
        let mut object = object(&endpoint, &bucket, KEY);
        object.identity = Identity::Operator;
        println!("\nRESULT {}", operator_reads(&object).await);
        return None;
    }
    let bucket = Bucket::new().await;
    let mut command =
        tokio::process::Command::new(env::current_exe().expect("the path of this test"));
    command
        .args(["--exact", test, "--nocapture"])
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env(ENDPOINT, S3::shared().await.endpoint())
        .env(BUCKET, &bucket.name)
        .envs(environment.iter().copied())
        .stdin(Stdio::null());
    let output = command.output().await.expect("the test runs again");
    let written = String::from_utf8_lossy(&output.stdout);
    let Some((_, result)) = written.split_once("\nRESULT ") else {
        panic!(
            "no result: {written}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let line = result.lines().next().unwrap_or_default();
    Some(serde_json::from_str(line).expect("the result is JSON"))
}

async fn operator_reads(object: &S3Object) -> Value {
    let objects = objects().await;
    let reader = objects.reader(object, "growth", None).await;
    match objects.open(object, "growth", None, None, LIMIT).await {
        Ok(_) => json!({"opens": true, "reader": reader}),
        Err(error) => json!({"error": error, "reader": reader}),
    }
}

/// As [`crate::fixture::shown`], of an error that has come as JSON.
fn text(result: &Value) -> String {
    let error: FetchError =
        serde_json::from_value(result["error"].clone()).expect("the result is an error");
    shown(&error, &object("ENDPOINT", "BUCKET", KEY))
}

#[tokio::test]
async fn reader_is_known_by_its_arn() {
    let bucket = Bucket::new().await;
    let object = bucket.object(KEY).await;
    let (user, keys) = iam_user().await;
    let objects = objects().await;
    let reader = objects.reader(&object, "growth", Some(&keys)).await;
    assert_eq!(
        reader,
        Some(format!("arn:aws:iam::000000000000:user/{user}"))
    );
    // From the cache, where the endpoint would say something else.
    assert_eq!(objects.reader(&object, "growth", Some(&keys)).await, reader);
    assert_ne!(
        objects.reader(&object, "growth", Some(&root())).await,
        reader
    );
}

#[tokio::test]
async fn reader_is_unknown_where_nothing_answers() {
    let object = object(&format!("http://127.0.0.1:{}", free_port()), "counts", KEY);
    assert_eq!(
        objects()
            .await
            .reader(&object, "growth", Some(&root()))
            .await,
        None
    );
}

#[tokio::test]
async fn operator_reads_with_keys_from_the_environment() {
    let keys = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let test = "identities::operator_reads_with_keys_from_the_environment";
    let Some(result) = operator_with(test, &keys).await else {
        return;
    };
    assert_eq!(
        result,
        json!({"opens": true, "reader": "arn:aws:iam::000000000000:root"})
    );
}

#[tokio::test]
async fn operator_has_no_identity() {
    let test = "identities::operator_has_no_identity";
    let Some(result) = operator_with(test, &[]).await else {
        return;
    };
    assert_snapshot!(text(&result), @r#"
    NoCredentials (NoCredentials)
    no credentials found for the operator's own identity
    Looked for in the environment, AWS's files, a web identity token, the container's and the node's metadata. Name a Secret in `secretRef`, or give the operator's service account a role (EKS: annotation eks.amazonaws.com/role-arn, or Pod Identity).
    "#);
}

/// Not signed: of the service account `controller` in namespace `sumsq`, for the audience
/// `sts.amazonaws.com`, by the issuer `https://oidc.eks.us-east-1.amazonaws.com/id/ABC`.
const TOKEN: &str = concat!(
    "e30.",
    "eyJpc3MiOiJodHRwczovL29pZGMuZWtzLnVzLWVhc3QtMS5hbWF6b25hd3MuY29tL2lkL0FCQyIsInN1YiI6InN5",
    "c3RlbTpzZXJ2aWNlYWNjb3VudDpzdW1zcTpjb250cm9sbGVyIiwiYXVkIjpbInN0cy5hbWF6b25hd3MuY29tIl19",
    ".e30"
);

#[tokio::test]
async fn operator_is_refused_its_role() {
    let test = "identities::operator_is_refused_its_role";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOKEN).unwrap();
    let sts = match env::var(ENDPOINT) {
        Ok(endpoint) => endpoint,
        Err(_) => S3::shared().await.endpoint(),
    };
    let environment = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/sumsq"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path().to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &sts),
    ];
    let Some(result) = operator_with(test, &environment).await else {
        return;
    };
    assert_snapshot!(text(&result), @r#"
    AccessDenied (AssumeRoleFailed)
    Not authorized to perform sts:AssumeRoleWithWebIdentity
    STS does not give the operator arn:aws:iam::123456789012:role/sumsq. The role's trust policy must allow sts:AssumeRoleWithWebIdentity to subject system:serviceaccount:sumsq:controller with audience sts.amazonaws.com (the statement is ready), and the account must have an OIDC provider for https://oidc.eks.us-east-1.amazonaws.com/id/ABC.
    trust policy: {
      "Sid": "LetSumsqTakeThisRole",
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
      },
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "StringEquals": {
          "oidc.eks.us-east-1.amazonaws.com/id/ABC:aud": "sts.amazonaws.com",
          "oidc.eks.us-east-1.amazonaws.com/id/ABC:sub": "system:serviceaccount:sumsq:controller"
        }
      }
    }
    "#);
}

#[tokio::test]
async fn operator_cannot_ask_for_its_role() {
    let test = "identities::operator_cannot_ask_for_its_role";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOKEN).unwrap();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let environment = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/sumsq"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path().to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &nobody),
    ];
    let Some(result) = operator_with(test, &environment).await else {
        return;
    };
    assert_snapshot!(text(&result), @r#"
    ConnectFailed (ConnectFailed)
    no connection to STS: Connection refused (os error 111)
    The operator asks STS for its role, and does not get through: check that network policies, proxies and routes let it reach sts.REGION.amazonaws.com, or set AWS_ENDPOINT_URL_STS.
    "#);
}

#[tokio::test]
async fn operators_token_cannot_be_read() {
    let test = "identities::operators_token_cannot_be_read";
    let environment = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/sumsq"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token"),
    ];
    let Some(result) = operator_with(test, &environment).await else {
        return;
    };
    assert_snapshot!(text(&result), @r#"
    NoCredentials (NoCredentials)
    no credentials for the operator's own identity: No such file or directory (os error 2)
    Something is set up to give the operator an identity, and fails: check what AWS_PROFILE, AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE or AWS_CONTAINER_CREDENTIALS_FULL_URI name; or name a Secret in `secretRef`.
    "#);
}
