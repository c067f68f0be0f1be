//! No answer: names, ports, TLS, time-outs, resets.

use insta::assert_snapshot;
use serde_json::json;
use sumsq::domain::data_source::S3Object;

use crate::fixture::{Bucket, KEY, LIMIT, object, objects, root, shown};
use crate::support::process::free_port;
use crate::support::s3::S3;

async fn unanswered(object: &S3Object) -> String {
    let opened = objects()
        .await
        .open(object, "growth", Some(&root()), None, LIMIT)
        .await;
    shown(&opened.expect_err("nothing answers"), object)
}

#[tokio::test]
async fn name_not_found() {
    // .invalid never resolves (RFC 6761), so no request leaves this machine.
    let object = object("http://s3.example.invalid", "counts", KEY);
    assert_snapshot!(unanswered(&object).await, @"");
}

#[tokio::test]
async fn refused() {
    let object = object(&format!("http://127.0.0.1:{}", free_port()), "counts", KEY);
    assert_snapshot!(unanswered(&object).await, @"");
}

#[tokio::test]
async fn tls_to_a_plain_port() {
    let endpoint = S3::shared().await.endpoint().replace("http://", "https://");
    let object = object(&endpoint, "counts", KEY);
    assert_snapshot!(unanswered(&object).await, @"");
}

#[tokio::test]
async fn hangs() {
    let bucket = Bucket::new().await;
    let object = bucket.behind(&[json!({"timeout_ms": 600_000})]).await;
    assert_snapshot!(unanswered(&object).await, @"");
}

#[tokio::test]
async fn reset() {
    let bucket = Bucket::new().await;
    let object = bucket.behind(&[json!({"reset": true})]).await;
    assert_snapshot!(unanswered(&object).await, @"");
}
