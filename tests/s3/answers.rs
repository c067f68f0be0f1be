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
    assert_snapshot!(shown(&refused(&object).await, &object), @r#"
    NoSuchKey (NoSuchKey)
    The specified key does not exist.
    There is no "exports/other.csv" in bucket BUCKET: compare `key` with the bucket's contents. Case counts, and folders are part of the key.
    "#);
}

#[tokio::test]
async fn missing_key_where_the_reader_may_not_list() {
    assert_snapshot!(answered(denied(
        "User: arn:aws:iam::123456789012:user/reader is not authorized to perform: s3:ListBucket \
         on resource: \"arn:aws:s3:::counts\" because no identity-based policy allows the \
         s3:ListBucket action",
    )).await, @r#"
    AccessDenied (AccessDenied)
    User: arn:aws:iam::123456789012:user/reader is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::counts" because no identity-based policy allows the s3:ListBucket action
    The key "exports/counts.csv" may not exist in bucket BUCKET: compare `key` with the bucket's contents. To a reader without s3:ListBucket, S3 says AccessDenied where it would say NoSuchKey.
    "#);
}

#[tokio::test]
async fn missing_bucket() {
    let object = object(&S3::shared().await.endpoint(), "arn-aws-s3---counts", KEY);
    assert_snapshot!(shown(&refused(&object).await, &object), @r#"
    NoSuchBucket (NoSuchBucket)
    The specified bucket does not exist
    There is no bucket "BUCKET" at ENDPOINT: `bucket` takes the bucket's name, not its ARN or URL.
    "#);
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
    assert_snapshot!(shown(&refused(&object).await, &object), @r#"
    PermanentRedirect (PermanentRedirect)
    The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.
    Set `region` to eu-west-2: bucket BUCKET is there, not in us-east-1.
    "#);
}

#[tokio::test]
async fn wrong_region_named_by_the_body() {
    assert_snapshot!(answered(json!({"code": "PermanentRedirect", "status": 301, "message": "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.", "fields": {"Endpoint": "counts.s3.eu-west-2.amazonaws.com", "Bucket": "counts"}})).await, @r#"
    PermanentRedirect (PermanentRedirect)
    The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.
    Set `region` to eu-west-2: bucket BUCKET is there, not in us-east-1.
    "#);
}

#[tokio::test]
async fn region_malformed() {
    assert_snapshot!(answered(json!({"code": "AuthorizationHeaderMalformed", "status": 400, "message": "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-2'", "fields": {"Region": "eu-west-2"}})).await, @r#"
    AuthorizationHeaderMalformed (AuthorizationHeaderMalformed)
    The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-2'
    Set `region` to eu-west-2: bucket BUCKET is there, not in us-east-1.
    "#);
}

#[tokio::test]
async fn region_of_another_partition() {
    assert_snapshot!(answered(json!({"code": "IllegalLocationConstraintException", "status": 400, "message": "The cn-north-1 location constraint is incompatible for the region specific endpoint this request was sent to."})).await, @r#"
    IllegalLocationConstraintException (IllegalLocationConstraintException)
    The cn-north-1 location constraint is incompatible for the region specific endpoint this request was sent to.
    Set `region` to cn-north-1: bucket BUCKET is there, not in us-east-1.
    "#);
}

#[tokio::test]
async fn not_granted() {
    let bucket = Bucket::new().await;
    let mut object = bucket.object(KEY).await;
    object.account_id = Some("123456789012".to_owned());
    let (user, keys) = iam_user().await;
    let error = refused_to(&object, &keys).await;
    assert_snapshot!(shown(&error, &object).replace(&user, "USER"), @r#"
    AccessDenied (AccessDenied)
    User: arn:aws:iam::000000000000:user/USER is not authorized to perform: s3:GetObject because no identity-based policy allows the s3:GetObject action
    Grant s3:GetObject on BUCKET/exports/counts.csv to arn:aws:iam::000000000000:user/USER: the statement is ready for the bucket's policy. The reader is of another account than the bucket, so both policies must allow it.
    bucket policy: {
      "Sid": "LetSumsqReadCounts",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::000000000000:user/USER"
      },
      "Action": "s3:GetObject",
      "Resource": "arn:aws:s3:::BUCKET/exports/counts.csv"
    }
    identity policy: {
      "Sid": "LetSumsqReadCounts",
      "Effect": "Allow",
      "Action": "s3:GetObject",
      "Resource": "arn:aws:s3:::BUCKET/exports/counts.csv"
    }
    "#);
}

#[tokio::test]
async fn not_granted_with_no_reason_given() {
    assert_snapshot!(answered(denied("Access Denied")).await, @r#"
    AccessDenied (AccessDenied)
    Access Denied
    Grant s3:GetObject on BUCKET/exports/counts.csv to arn:aws:iam::000000000000:root: the statement is ready for the bucket's policy. Where that is granted already, compare `key` with the bucket's contents: to a reader without s3:ListBucket, S3 says AccessDenied for a missing key too.
    bucket policy: {
      "Sid": "LetSumsqReadCounts",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::000000000000:root"
      },
      "Action": "s3:GetObject",
      "Resource": "arn:aws:s3:::BUCKET/exports/counts.csv"
    }
    "#);
}

#[tokio::test]
async fn denied_explicitly() {
    assert_snapshot!(answered(denied(
        "User: arn:aws:sts::123456789012:assumed-role/sumsq/1 is not authorized to perform: \
         s3:GetObject on resource: \"arn:aws:s3:::counts/a.csv\" with an explicit deny in a \
         resource-based policy",
    )).await, @r#"
    AccessDenied (AccessDenied)
    User: arn:aws:sts::123456789012:assumed-role/sumsq/1 is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::counts/a.csv" with an explicit deny in a resource-based policy
    A policy denies this explicitly, and no grant outweighs that: find the Deny statement in the policy that the message names, and except arn:aws:iam::123456789012:role/sumsq from it.
    "#);
}

#[tokio::test]
async fn kms_key_not_granted() {
    assert_snapshot!(answered(denied(
        "User: arn:aws:iam::123456789012:user/reader is not authorized to perform: kms:Decrypt on \
         resource: arn:aws:kms:us-east-1:123456789012:key/1 because no resource-based policy \
         allows the kms:Decrypt action",
    )).await, @r#"
    AccessDenied (AccessDenied)
    User: arn:aws:iam::123456789012:user/reader is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:123456789012:key/1 because no resource-based policy allows the kms:Decrypt action
    Grant kms:Decrypt on KMS key arn:aws:kms:us-east-1:123456789012:key/1 to arn:aws:iam::123456789012:user/reader: the statement is ready for the key's policy.
    key policy: {
      "Sid": "LetSumsqDecryptCounts",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::123456789012:user/reader"
      },
      "Action": "kms:Decrypt",
      "Resource": "*"
    }
    "#);
}

#[tokio::test]
async fn kms_key_of_another_account() {
    assert_snapshot!(answered(denied(
        "The ciphertext refers to a customer master key that does not exist, does not exist in \
         this region, or you are not allowed to access.",
    )).await, @r#"
    AccessDenied (AccessDenied)
    The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.
    Grant kms:Decrypt on the object's KMS key to arn:aws:iam::000000000000:root: the statement is ready for the key's policy.
    key policy: {
      "Sid": "LetSumsqDecryptCounts",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::000000000000:root"
      },
      "Action": "kms:Decrypt",
      "Resource": "*"
    }
    "#);
}

#[tokio::test]
async fn kms_key_disabled() {
    assert_snapshot!(answered(json!({"code": "KMS.DisabledException", "status": 400, "message": "arn:aws:kms:us-east-1:123456789012:key/1 is disabled."})).await, @r#"
    KMS.DisabledException (S3Error)
    arn:aws:kms:us-east-1:123456789012:key/1 is disabled.
    Enable the KMS key under which the object is encrypted, or cancel its deletion.
    "#);
}

#[tokio::test]
async fn bucket_of_another_owner() {
    let bucket = Bucket::new().await;
    let mut rule = json!({"error": denied("Access Denied")});
    rule["headers"] = json!({"x-amz-expected-bucket-owner": ""});
    let mut object = bucket.behind(&[rule]).await;
    object.account_id = Some("123456789012".to_owned());
    assert_snapshot!(shown(&refused(&object).await, &object), @r#"
    AccessDenied (AccessDenied)
    Access Denied
    `accountId` 123456789012 is not the owner of bucket BUCKET: the same request without it is answered. Correct `accountId`; where it is right, the bucket is no longer yours, and its contents are somebody else's.
    "#);
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
    assert_snapshot!(shown(&refused(&object).await, &object), @r#"
    AccessDenied (AccessDenied)
    Access Denied
    Grant kms:Decrypt on KMS key arn:aws:kms:us-east-1:123456789012:key/1 to arn:aws:iam::000000000000:root: the statement is ready for the key's policy. The reader is of another account, so its own policy must allow it too, and the key must not be the AWS managed one (aws/s3), which can't be shared.
    key policy: {
      "Sid": "LetSumsqDecryptCounts",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::000000000000:root"
      },
      "Action": "kms:Decrypt",
      "Resource": "*"
    }
    identity policy: {
      "Sid": "LetSumsqDecryptCounts",
      "Effect": "Allow",
      "Action": "kms:Decrypt",
      "Resource": "arn:aws:kms:us-east-1:123456789012:key/1"
    }
    "#);
}

#[tokio::test]
async fn wrong_access_key() {
    let bucket = Bucket::new().await;
    let object = bucket.object(KEY).await;
    let error = refused_to(&object, &keys("AKIAIOSFODNN7EXAMPLE", "secret")).await;
    assert_snapshot!(shown(&error, &object), @r#"
    InvalidAccessKeyId (InvalidAccessKeyId)
    The AWS Access Key Id you provided does not exist in our records.
    Secret growth/s3-credentials, key accessKeyId: nobody has this access key. It may be deleted or inactive, or belong to another partition of AWS or another store; write a current pair of keys.
    "#);
    let error = refused_to(&object, &keys("ASIAIOSFODNN7EXAMPLE", "secret")).await;
    assert_snapshot!(error.hint, @"Secret growth/s3-credentials, key accessKeyId: a key that begins with ASIA is temporary and needs its sessionToken beside it.");
}

#[tokio::test]
async fn wrong_secret_key() {
    let bucket = Bucket::new().await;
    let object = bucket.object(KEY).await;
    let (_, mut keys) = iam_user().await;
    keys.secret_access_key = "wrong".to_owned();
    assert_snapshot!(shown(&refused_to(&object, &keys).await, &object), @r#"
    SignatureDoesNotMatch (SignatureDoesNotMatch)
    The request signature we calculated does not match the signature you provided. Check your key and signing method.
    Secret growth/s3-credentials, key secretAccessKey: it is not the one that belongs to the access key. Write the pair anew, both from the same place.
    "#);
}

#[tokio::test]
async fn wrong_session_token() {
    let bucket = Bucket::new().await;
    let object = bucket.object(KEY).await;
    let (_, mut keys) = iam_user().await;
    keys.session_token = Some("wrong".to_owned());
    assert_snapshot!(shown(&refused_to(&object, &keys).await, &object), @r#"
    InvalidToken (S3Error)
    The provided token is malformed or otherwise invalid.
    Secret growth/s3-credentials, key sessionToken: it does not belong to the access key. Write accessKeyId, secretAccessKey and sessionToken anew, all three together.
    "#);
}

#[tokio::test]
async fn clock_skewed() {
    // The proxy's own clock is right, so the clocks agree as far as the hint can tell.
    assert_snapshot!(answered(json!({"code": "RequestTimeTooSkewed", "status": 403, "message": "The difference between the request time and the current time is too large."})).await, @r#"
    RequestTimeTooSkewed (RequestTimeTooSkewed)
    The difference between the request time and the current time is too large.
    The server's clock and that of the operator's node agree at this moment: let the node keep time (chrony, systemd-timesyncd).
    "#);
}

#[tokio::test]
async fn credentials_ended() {
    assert_snapshot!(answered(json!({"code": "ExpiredToken", "status": 400, "message": "The provided token has expired."})).await, @r#"
    ExpiredToken (ExpiredToken)
    The provided token has expired.
    Secret growth/s3-credentials, key sessionToken: these credentials were temporary and have ended. Write accessKeyId, secretAccessKey and sessionToken anew, all three together.
    "#);
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
    assert_snapshot!(shown(&refused(&object).await, &object), @r#"
    InvalidObjectState (InvalidObjectState)
    The operation is not valid for the object's storage class
    "old.csv" is archived: restore it, and let the export write to a storage class that can be read at once.
    "#);
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
    assert_snapshot!(shown(&refused(&object).await, &object), @r#"
    InvalidRequest (InvalidRequest)
    The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.
    "sse-c.csv" is encrypted with a key of the customer's own (SSE-C), which can't be read here: let the export use SSE-KMS or SSE-S3.
    "#);
}

#[tokio::test]
async fn object_replaced_meanwhile() {
    assert_snapshot!(answered(json!({"code": "PreconditionFailed", "status": 412, "message": "At least one of the pre-conditions you specified did not hold"})).await, @r#"
    PreconditionFailed (ObjectChanged)
    At least one of the pre-conditions you specified did not hold
    The object was replaced while it was being read. The data are as before, and nothing needs a change.
    "#);
}

#[tokio::test]
async fn throttled_and_unavailable() {
    let slow = answered(
        json!({"code": "SlowDown", "status": 503, "message": "Please reduce your request rate."}),
    )
    .await;
    assert_snapshot!(slow, @r#"
    SlowDown (SlowDown)
    Please reduce your request rate.
    ENDPOINT asks for fewer requests. Nothing needs a change unless it lasts; then spread the schedules of sources that read one bucket.
    "#);
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
    assert_snapshot!(answered(json!({"code": "MethodNotAllowed", "status": 405, "message": "The specified method is not allowed against this resource."})).await, @r#"
    MethodNotAllowed (S3Error)
    The specified method is not allowed against this resource.
    The code and the message are S3's own; its documentation lists them under "Error responses".
    "#);
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
