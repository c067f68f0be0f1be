//! The object's bytes: compressed, too many, cut, changed.

use async_compression::Level;
use async_compression::tokio::bufread::{GzipEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;
use insta::assert_snapshot;
use serde_json::json;
use sumsq::domain::fetch::{ErrorCode, FetchError};
use sumsq::object::Opened;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::fixture::{
    Bucket, CSV, KEY, LIMIT, body, noise, objects, open_limited, opened, read, root, shown,
};

async fn all(mut encoder: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder
        .read_to_end(&mut bytes)
        .await
        .expect("memory has no errors");
    bytes
}

async fn gzip(bytes: &[u8]) -> Vec<u8> {
    all(GzipEncoder::new(bytes)).await
}

async fn zstd(bytes: &[u8]) -> Vec<u8> {
    all(ZstdEncoder::new(bytes)).await
}

/// The error while an object with these bytes is read.
async fn broken(bytes: &[u8], limit: u64) -> (FetchError, String) {
    let bucket = Bucket::new().await;
    bucket.put(KEY, bytes).await;
    let object = bucket.object(KEY).await;
    let body = body(open_limited(&object, &root(), limit).await);
    let error = read(body).await.expect_err("the object can't be read");
    let text = shown(&error, &object);
    (error, text)
}

#[tokio::test]
async fn plain_and_compressed_objects_read_the_same() {
    let bucket = Bucket::new().await;
    let large = noise(300_000);
    let (first, second) = large.split_at(100_000);
    let cases: Vec<(&str, Vec<u8>, &[u8])> = vec![
        ("plain", CSV.to_vec(), CSV),
        ("empty", Vec::new(), b""),
        ("shorter than a magic number", b"\x1f".to_vec(), b"\x1f"),
        ("large", large.clone(), &large),
        ("gzip", gzip(CSV).await, CSV),
        ("zstd", zstd(CSV).await, CSV),
        ("gzip of nothing", gzip(b"").await, b""),
        ("large gzip", gzip(&large).await, &large),
        ("large zstd", zstd(&large).await, &large),
        (
            "gzip members",
            [gzip(first).await, gzip(second).await].concat(),
            &large,
        ),
        (
            "zstd frames",
            [zstd(first).await, zstd(second).await].concat(),
            &large,
        ),
    ];
    for (name, stored, expected) in cases {
        bucket.put(name, &stored).await;
        let mut body = opened(&bucket.object(name).await).await;
        assert_eq!(body.content_length, Some(stored.len() as u64), "{name}");
        let mut got = Vec::new();
        while let Some(chunk) = body.next().await.unwrap() {
            assert!(!chunk.is_empty(), "{name}");
            got.extend_from_slice(&chunk);
        }
        assert!(got == expected, "{name}");
        assert_eq!(body.received(), stored.len() as u64, "{name}");
        assert!(body.next().await.unwrap().is_none(), "{name}");
    }
}

#[tokio::test]
async fn unchanged_object_is_not_read() {
    let bucket = Bucket::new().await;
    let object = bucket.object(KEY).await;
    let objects = objects().await;
    let etag = opened(&object).await.etag.expect("S3 gives ETags");
    let again = objects
        .open(&object, "growth", Some(&root()), Some(&etag), LIMIT)
        .await;
    assert!(matches!(again, Ok(Opened::NotModified)), "{again:?}");
    bucket.put(KEY, "something else").await;
    let changed = body(
        objects
            .open(&object, "growth", Some(&root()), Some(&etag), LIMIT)
            .await,
    );
    assert_eq!(read(changed).await.unwrap(), b"something else");
}

#[tokio::test]
async fn object_larger_than_the_limit_is_not_begun() {
    let bucket = Bucket::new().await;
    bucket.put(KEY, noise(2049)).await;
    let object = bucket.object(KEY).await;
    let error = open_limited(&object, &root(), 2048).await.unwrap_err();
    assert_snapshot!(shown(&error, &object), @r#"
    ObjectTooLarge (ObjectTooLarge)
    the object has 2049 bytes, more than `maxObjectBytes` (2Ki) allows
    Raise `maxObjectBytes`, or split the export: a file may hold the newest days only, since days that it does not name are kept.
    "#);
    assert!(error.refused_etag.is_some());
    bucket.put(KEY, noise(2048)).await;
    assert!(
        read(body(open_limited(&object, &root(), 2048).await))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn object_of_unknown_length_stops_at_the_limit() {
    let bucket = Bucket::new().await;
    bucket.put(KEY, noise(300_000)).await;
    // The proxy passes the body on without its length.
    let object = bucket.behind(&[]).await;
    let body = body(open_limited(&object, &root(), 100_000).await);
    assert_eq!(body.content_length, None);
    let error = read(body).await.unwrap_err();
    assert_snapshot!(shown(&error, &object), @r#"
    ObjectTooLarge (ObjectTooLarge)
    the object has more bytes than `maxObjectBytes` (100000) allows
    Raise `maxObjectBytes`, or split the export: a file may hold the newest days only, since days that it does not name are kept.
    "#);
}

#[tokio::test]
async fn decompression_stops_at_the_limit() {
    let zeros = vec![0; 64 << 20];
    for bomb in [gzip(&zeros).await, zstd(&zeros).await] {
        let (error, text) = broken(&bomb, 1 << 20).await;
        assert_eq!(error.class, ErrorCode::ObjectTooLarge);
        insta::allow_duplicates! { assert_snapshot!(text, @r#"
    ObjectTooLarge (ObjectTooLarge)
    the object has more bytes when decompressed than `maxObjectBytes` (1Mi) allows
    Raise `maxObjectBytes`, or split the export: a file may hold the newest days only, since days that it does not name are kept.
    "#); }
    }
}

#[tokio::test]
async fn broken_objects_are_to_be_uploaded_again() {
    let large = noise(300_000);
    let whole = gzip(&large).await;
    let (error, text) = broken(&whole[..whole.len() / 2], LIMIT).await;
    assert_snapshot!(text, @r#"
    InvalidCsv (InvalidCsv)
    the object is not valid gzip: it ends too early
    Compress and upload it again, whole; `gzip -t` tells whether it is.
    "#);
    assert!(error.refused_etag.is_some());

    let mut changed = whole.clone();
    changed[1000] ^= 0xff;
    let changed_class = broken(&changed, LIMIT).await.0.class;
    assert_eq!(changed_class, ErrorCode::InvalidCsv);

    let whole = zstd(&large).await;
    let (_, text) = broken(&whole[..whole.len() / 2], LIMIT).await;
    assert_snapshot!(text, @r#"
    InvalidCsv (InvalidCsv)
    the object is not valid zstd: it ends too early
    Compress and upload it again, whole, with `zstd` at level 19 or below and without --long.
    "#);

    let window = CParameter::window_log(27);
    let wide = ZstdEncoder::with_quality_and_params(&large[..], Level::Default, &[window]);
    let (_, text) = broken(&all(wide).await, LIMIT).await;
    assert_snapshot!(text, @r#"
    InvalidCsv (InvalidCsv)
    the object is not valid zstd: Frame requires too much memory for decoding
    Compress and upload it again, whole, with `zstd` at level 19 or below and without --long.
    "#);
}

#[tokio::test]
async fn other_formats_are_named() {
    for (head, expected) in [
        (
            &b"PK\x03\x04rest"[..],
            "the object is a zip archive (or an Excel workbook), not CSV",
        ),
        (b"PAR1rest", "the object is a Parquet file, not CSV"),
        (b"\xfd7zXZ\0", "the object is compressed by xz, not CSV"),
        (b"BZh91AY", "the object is compressed by bzip2, not CSV"),
    ] {
        let (error, _) = broken(head, LIMIT).await;
        assert_eq!(error.message, expected);
        assert_eq!(error.class, ErrorCode::InvalidCsv);
    }
}

/// Reads 300,000 bytes through the proxy under a rule for its answer.
async fn interrupted(response: serde_json::Value, stored: &[u8]) -> String {
    let bucket = Bucket::new().await;
    bucket.put(KEY, stored).await;
    let object = bucket
        .behind(&[json!({"operation": "GetObject", "response": response})])
        .await;
    let objects = objects().await;
    let open = async || {
        body(
            objects
                .open(&object, "growth", Some(&root()), None, LIMIT)
                .await,
        )
    };
    let error = read(open().await)
        .await
        .expect_err("the body is interrupted");
    let again = read(open().await)
        .await
        .expect_err("the body is interrupted");
    assert!(error.same_failure(&again), "{error} / {again}");
    assert_eq!(error.refused_etag, None);
    shown(&error, &object)
}

#[tokio::test]
async fn body_cut() {
    let large = noise(300_000);
    let length = json!({"Content-Length": "300000"});
    let cut = interrupted(json!({"abort_frac": 0.3, "set_headers": length}), &large).await;
    assert_snapshot!(cut, @r#"
    BodyInterrupted (BodyInterrupted)
    the connection ended before the object did
    The data are as before. Nothing needs a change unless it lasts; then look at proxies and gateways between the operator and S3.
    "#);
    for response in [json!({"abort_bytes": 1000}), json!({"abort_bytes": 2})] {
        assert_eq!(interrupted(response, &large).await, cut);
    }
    // As a gzip that ends too early, but not by the object's own fault.
    let zipped = gzip(&large).await;
    assert_eq!(interrupted(json!({"abort_frac": 0.5}), &zipped).await, cut);
}

#[tokio::test]
async fn bytes_changed_on_their_way() {
    let large = noise(300_000);
    let changed = interrupted(json!({"corrupt_bytes": 16}), &large).await;
    assert_snapshot!(changed, @r#"
    BodyInterrupted (BodyInterrupted)
    the bytes that arrived are not those of the object: their checksum differs
    The data are as before. Nothing needs a change unless it lasts; then look at proxies and gateways between the operator and S3.
    "#);
    assert_eq!(
        interrupted(json!({"truncate_frac": 0.5}), &large).await,
        changed
    );
    let zipped = gzip(&large).await;
    assert_eq!(
        interrupted(json!({"corrupt_bytes": 16}), &zipped).await,
        changed
    );
}

#[tokio::test]
async fn body_stalls() {
    // 1 kbit/s in pieces that take longer than a second each.
    let stalled = interrupted(json!({"bandwidth_kbps": 1}), &noise(300_000)).await;
    assert_snapshot!(stalled, @r#"
    BodyInterrupted (BodyInterrupted)
    no bytes arrived for 1s while the object was being read
    The data are as before. Nothing needs a change unless it lasts; then look at proxies and gateways between the operator and S3.
    "#);
}
