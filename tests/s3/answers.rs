//! What S3 answers, row by row of docs/errors.md.

use aws_sdk_s3::types::StorageClass;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::fixture::{Bucket, KEY, iam_user, keys, object, refused, refused_to, root, shown};
use crate::support::s3::{Microburst, S3};

/// The text of the error that the proxy's rule leads to.
async fn answered(error: Value) -> String {
    let bucket = Bucket::new().await;
    let object = bucket.behind(&[json!({"error": error})]).await;
    shown(&refused(&object).await, &object)
}

fn denied(message: &str) -> Value {
    json!({"code": "AccessDenied", "status": 403, "message": message})
}

#[tokio::test]
async fn missing_key_where_the_reader_may_list() {
    let bucket = Bucket::new().await;
    let object = bucket.object("exports/other.csv").await;
    assert_snapshot!(shown(&refused(&object).await, &object), @"");
}

#[tokio::test]
async fn missing_key_where_the_reader_may_not_list() {
    assert_snapshot!(answered(denied(
        "User: arn:aws:iam::123456789012:user/reader is not authorized to perform: s3:ListBucket \
         on resource: \"arn:aws:s3:::counts\" because no identity-based policy allows the \
         s3:ListBucket action",
    )).await, @"");
}

#[tokio::test]
async fn missing_bucket() {
    let object = object(&S3::shared().await.endpoint(), "arn-aws-s3---counts", KEY);
    assert_snapshot!(shown(&refused(&object).await, &object), @"");
}

#[tokio::test]
async fn wrong_region_named_by_the_header() {
    let bucket = Bucket::new().await;
    let mut object = bucket.behind(&[json!({"error": {"code": "PermanentRedirect", "status": 301, "message": "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."}})]).await;
    let proxy = Microburst::in_front_of(&Microburst::shared().await.endpoint()).await;
    proxy
        .rules(json!([{"response": {"set_headers": {"x-amz-bucket-region": "eu-west-2"}}}]))
        .await;
    object.endpoint = Some(proxy.endpoint());
    assert_snapshot!(shown(&refused(&object).await, &object), @"");
}

#[tokio::test]
async fn wrong_region_named_by_the_body() {
    assert_snapshot!(answered(json!({"code": "PermanentRedirect", "status": 301, "message": "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.", "fields": {"Endpoint": "counts.s3.eu-west-2.amazonaws.com", "Bucket": "counts"}})).await, @"");
}

#[tokio::test]
async fn region_malformed() {
    assert_snapshot!(answered(json!({"code": "AuthorizationHeaderMalformed", "status": 400, "message": "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-2'", "fields": {"Region": "eu-west-2"}})).await, @"");
}

#[tokio::test]
async fn region_of_another_partition() {
    assert_snapshot!(answered(json!({"code": "IllegalLocationConstraintException", "status": 400, "message": "The cn-north-1 location constraint is incompatible for the region specific endpoint this request was sent to."})).await, @"");
}

#[tokio::test]
async fn not_granted() {
    let bucket = Bucket::new().await;
    let mut object = bucket.object(KEY).await;
    object.account_id = Some("123456789012".to_owned());
    let (user, keys) = iam_user().await;
    let error = refused_to(&object, &keys).await;
    assert_snapshot!(shown(&error, &object).replace(&user, "USER"), @"");
}

#[tokio::test]
async fn not_granted_with_no_reason_given() {
    assert_snapshot!(answered(denied("Access Denied")).await, @"");
}

#[tokio::test]
async fn denied_explicitly() {
    assert_snapshot!(answered(denied(
        "User: arn:aws:sts::123456789012:assumed-role/sumsq/1 is not authorized to perform: \
         s3:GetObject on resource: \"arn:aws:s3:::counts/a.csv\" with an explicit deny in a \
         resource-based policy",
    )).await, @"");
}

#[tokio::test]
async fn kms_key_not_granted() {
    assert_snapshot!(answered(denied(
        "User: arn:aws:iam::123456789012:user/reader is not authorized to perform: kms:Decrypt on \
         resource: arn:aws:kms:us-east-1:123456789012:key/1 because no resource-based policy \
         allows the kms:Decrypt action",
    )).await, @"");
}

#[tokio::test]
async fn kms_key_of_another_account() {
    assert_snapshot!(answered(denied(
        "The ciphertext refers to a customer master key that does not exist, does not exist in \
         this region, or you are not allowed to access.",
    )).await, @"");
}

#[tokio::test]
async fn kms_key_disabled() {
    assert_snapshot!(answered(json!({"code": "KMS.DisabledException", "status": 400, "message": "arn:aws:kms:us-east-1:123456789012:key/1 is disabled."})).await, @"");
}

#[tokio::test]
async fn bucket_of_another_owner() {
    let bucket = Bucket::new().await;
    let mut rule = json!({"error": denied("Access Denied")});
    rule["headers"] = json!({"x-amz-expected-bucket-owner": ""});
    let mut object = bucket.behind(&[rule]).await;
    object.account_id = Some("123456789012".to_owned());
    assert_snapshot!(shown(&refused(&object).await, &object), @"");
}

#[tokio::test]
async fn owner_matches_and_the_bytes_are_denied() {
    let bucket = Bucket::new().await;
    let rule = json!({"operation": "GetObject", "error": denied("Access Denied")});
    let encrypted = json!({"operation": "HeadObject", "response": {"set_headers": {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:us-east-1:123456789012:key/1",
    }}});
    let mut object = bucket.behind(&[rule, encrypted]).await;
    object.account_id = Some("123456789012".to_owned());
    assert_snapshot!(shown(&refused(&object).await, &object), @"");
}

#[tokio::test]
async fn wrong_access_key() {
    let bucket = Bucket::new().await;
    let object = bucket.object(KEY).await;
    let error = refused_to(&object, &keys("AKIAIOSFODNN7EXAMPLE", "secret")).await;
    assert_snapshot!(shown(&error, &object), @"");
    let error = refused_to(&object, &keys("ASIAIOSFODNN7EXAMPLE", "secret")).await;
    assert_snapshot!(error.hint, @"");
}

#[tokio::test]
async fn wrong_secret_key() {
    let bucket = Bucket::new().await;
    let object = bucket.object(KEY).await;
    let (_, mut keys) = iam_user().await;
    keys.secret_access_key = "wrong".to_owned();
    assert_snapshot!(shown(&refused_to(&object, &keys).await, &object), @"");
}

#[tokio::test]
async fn wrong_session_token() {
    let bucket = Bucket::new().await;
    let object = bucket.object(KEY).await;
    let (_, mut keys) = iam_user().await;
    keys.session_token = Some("wrong".to_owned());
    assert_snapshot!(shown(&refused_to(&object, &keys).await, &object), @"");
}

#[tokio::test]
async fn clock_skewed() {
    // The proxy's own clock is right, so the clocks agree as far as the hint can tell.
    assert_snapshot!(answered(json!({"code": "RequestTimeTooSkewed", "status": 403, "message": "The difference between the request time and the current time is too large."})).await, @"");
}

#[tokio::test]
async fn credentials_ended() {
    assert_snapshot!(answered(json!({"code": "ExpiredToken", "status": 400, "message": "The provided token has expired."})).await, @"");
}

#[tokio::test]
async fn archived() {
    let bucket = Bucket::new().await;
    bucket
        .put_as("old.csv", "x", |put| {
            put.storage_class(StorageClass::Glacier)
        })
        .await;
    let object = bucket.object("old.csv").await;
    assert_snapshot!(shown(&refused(&object).await, &object), @"");
}

#[tokio::test]
async fn encrypted_by_a_key_of_the_customers_own() {
    let bucket = Bucket::new().await;
    bucket
        .put_as("sse-c.csv", "x", |put| {
            put.sse_customer_algorithm("AES256")
                .sse_customer_key("MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=")
                .sse_customer_key_md5("zZ5FnqcIqUjVwvWmyog4zw==")
        })
        .await;
    let object = bucket.object("sse-c.csv").await;
    assert_snapshot!(shown(&refused(&object).await, &object), @"");
}

#[tokio::test]
async fn object_replaced_meanwhile() {
    assert_snapshot!(answered(json!({"code": "PreconditionFailed", "status": 412, "message": "At least one of the pre-conditions you specified did not hold"})).await, @"");
}

#[tokio::test]
async fn throttled_and_unavailable() {
    let slow = answered(
        json!({"code": "SlowDown", "status": 503, "message": "Please reduce your request rate."}),
    )
    .await;
    assert_snapshot!(slow, @"");
    for (error, expected) in [
        (
            json!({"code": "InternalError", "status": 500}),
            "InternalError (InternalError)",
        ),
        (
            json!({"code": "ServiceUnavailable", "status": 503}),
            "ServiceUnavailable (ServiceUnavailable)",
        ),
        (
            json!({"code": "BadGateway", "status": 502}),
            "BadGateway (BadGateway)",
        ),
        (
            json!({"code": "NeverHeardOf", "status": 504}),
            "NeverHeardOf (GatewayTimeout)",
        ),
    ] {
        let text = answered(error).await;
        assert_eq!(text.lines().next(), Some(expected));
        assert!(
            text.ends_with("Nothing needs a change unless it lasts."),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_failure_that_passes_is_not_seen() {
    let bucket = Bucket::new().await;
    let object = bucket
        .behind(&[json!({"times": 1, "error": {"code": "SlowDown"}})])
        .await;
    crate::fixture::opened(&object).await;
}

#[tokio::test]
async fn another_code_is_kept() {
    assert_snapshot!(answered(json!({"code": "MethodNotAllowed", "status": 405, "message": "The specified method is not allowed against this resource."})).await, @"");
    // A code that is one of this project's own words means nothing when S3 sends it.
    assert!(
        answered(json!({"code": "StoreFull", "status": 400}))
            .await
            .starts_with("StoreFull (S3Error)")
    );
}

#[tokio::test]
async fn repeats_are_the_same_failure() {
    let bucket = Bucket::new().await;
    let object = bucket.object("exports/other.csv").await;
    let (one, two) = (
        refused_to(&object, &root()).await,
        refused_to(&object, &root()).await,
    );
    assert!(one.same_failure(&two));
}
