//! Whose identity reads. The operator's own comes from the environment, so those tests run
//! themselves again in a process that has it.

use std::env;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Value, json};
use sumsq::domain::data_source::{Identity, S3Object};

use crate::fixture::{Bucket, KEY, LIMIT, iam_user, object, objects, root};
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
    let mut command = tokio::process::Command::new(env::current_exe().unwrap());
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
    let output = command.output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let Some((_, result)) = text.split_once("\nRESULT ") else {
        panic!(
            "no result: {text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    Some(serde_json::from_str(result.lines().next().unwrap()).unwrap())
}

async fn operator_reads(object: &S3Object) -> Value {
    let objects = objects().await;
    let reader = objects.reader(object, "growth", None).await;
    match objects.open(object, "growth", None, None, LIMIT).await {
        Ok(_) => json!({"opens": true, "reader": reader}),
        Err(error) => json!({"error": error, "reader": reader}),
    }
}

fn text(result: &Value) -> String {
    let error = &result["error"];
    let mut text = ["class", "code", "message", "hint"]
        .map(|field| error[field].as_str().unwrap_or_default())
        .join("\n");
    for policy in error["policies"].as_array().into_iter().flatten() {
        text += &format!(
            "\n{}: {}",
            policy["target"].as_str().unwrap(),
            policy["statement"].as_str().unwrap()
        );
    }
    text
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
    assert_snapshot!(text(&result), @"");
}

/// Of a service account: {"iss": "https://oidc.eks.us-east-1.amazonaws.com/id/ABC", "sub":
/// "system:serviceaccount:sumsq:controller", "aud": ["sts.amazonaws.com"]}, not signed.
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
    assert_snapshot!(text(&result), @"");
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
    assert_snapshot!(text(&result), @"");
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
    assert_snapshot!(text(&result), @"");
}
