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
    // No label is longer than 63 characters, so the resolver asks nobody.
    let object = object(
        &format!("http://{}.example", "s3".repeat(32)),
        "counts",
        KEY,
    );
    assert_snapshot!(unanswered(&object).await, @r#"
    ConnectFailed (ConnectFailed)
    the name in ENDPOINT cannot be resolved
    Check `endpoint` for a typo, and that the operator's DNS knows the name.
    "#);
}

#[tokio::test]
async fn refused() {
    let object = object(&format!("http://127.0.0.1:{}", free_port()), "counts", KEY);
    assert_snapshot!(unanswered(&object).await, @r#"
    ConnectFailed (ConnectFailed)
    no connection to ENDPOINT: Connection refused (os error 111)
    Check host and port of `endpoint`, that it is up, and that network policies and proxies let the operator reach it.
    "#);
}

#[tokio::test]
async fn tls_to_a_plain_port() {
    let endpoint = S3::shared().await.endpoint().replace("http://", "https://");
    let object = object(&endpoint, "counts", KEY);
    assert_snapshot!(unanswered(&object).await, @r#"
    ConnectFailed (ConnectFailed)
    no TLS connection to ENDPOINT: received corrupt message of type InvalidContentType
    Check that `endpoint` speaks https on that port. A private certificate authority is trusted by naming its file in the operator's SSL_CERT_FILE.
    "#);
}

#[tokio::test]
async fn hangs() {
    let bucket = Bucket::new().await;
    let object = bucket.behind(&[json!({"timeout_ms": 600_000})]).await;
    assert_snapshot!(unanswered(&object).await, @r#"
    Timeout (Timeout)
    no answer from ENDPOINT within 800ms
    The connection stands, but nothing comes back. Nothing needs a change unless it lasts; then check the endpoint and what lies between.
    "#);
}

#[tokio::test]
async fn reset() {
    let bucket = Bucket::new().await;
    let object = bucket.behind(&[json!({"reset": true})]).await;
    assert_snapshot!(unanswered(&object).await, @r#"
    ConnectFailed (ConnectFailed)
    ENDPOINT closed the connection without an answer
    Check host and port of `endpoint`, that it is up, and that network policies and proxies let the operator reach it.
    "#);
}
