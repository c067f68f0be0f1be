//! One object over several requests: gone on with where it was cut, in parts where it is large,
//! and never a mix of two states.

use insta::assert_snapshot;
use serde_json::{Value, json};
use sumsq::domain::fetch::FetchError;

use crate::fixture::{Bucket, KEY, body, noise, objects, open_limited, read, root, shown};
use crate::support::s3::Microburst;

/// More than four parts, the last of them short.
const LARGE: usize = (40 << 20) + 12_345;
const LIMIT: u64 = 64 << 20;

/// The object as it comes through the proxy under these rules, and which of them fired.
async fn through(stored: &[u8], rules: &[Value]) -> (Result<Vec<u8>, FetchError>, Vec<Value>) {
    let bucket = Bucket::new().await;
    bucket.put(KEY, stored).await;
    let object = bucket.behind(rules).await;
    let opened = objects()
        .await
        .open(&object, "growth", Some(&root()), None, LIMIT)
        .await;
    let result = read(body(opened)).await;
    let fired = Microburst::shared().await.fired().await;
    let fired = fired.as_array().cloned().unwrap_or_default();
    let ours = fired
        .into_iter()
        .filter(|event| event.to_string().contains(&bucket.name));
    (result, ours.collect())
}

fn get(rule: Value) -> Value {
    let mut rule = rule;
    rule["operation"] = json!("GetObject");
    rule
}

/// The proxy drops an answer's length unless it is set.
fn with_length(mut response: Value, length: usize) -> Value {
    response["set_headers"] = json!({"Content-Length": length.to_string()});
    response
}

#[tokio::test]
async fn a_body_that_is_cut_goes_on_where_it_stopped() {
    let stored = noise(300_000);
    for first in [
        json!({"abort_frac": 0.9}),
        with_length(json!({"abort_frac": 0.9}), stored.len()),
        json!({"abort_bytes": 0}),
    ] {
        let rules = [
            get(json!({"times": 1, "response": first})),
            // Wants the ETag, and a range that goes to the end.
            get(json!({"headers": {"range": "bytes=", "if-match": ""}})),
        ];
        let (result, fired) = through(&stored, &rules).await;
        assert!(result.expect("it goes on") == stored, "{first}");
        assert_eq!(fired.len(), 2, "{fired:#?}");
    }
}

#[tokio::test]
async fn a_large_object_comes_in_parts() {
    let stored = noise(LARGE);
    let bucket = Bucket::new().await;
    bucket.put(KEY, &stored).await;
    let opened = open_limited(&bucket.object(KEY).await, &root(), LIMIT).await;
    let mut whole = body(opened);
    let mut got = Vec::with_capacity(LARGE);
    while let Some(chunk) = whole.next().await.unwrap() {
        got.extend_from_slice(&chunk);
    }
    assert!(got == stored);
    assert_eq!(whole.received(), LARGE as u64);
}

/// Whoever gets no memory for parts that come ahead reads on without.
#[tokio::test]
async fn many_large_objects_at_once_share_what_comes_ahead() {
    const OBJECTS: usize = 8;
    let stored = noise(LARGE);
    let bucket = Bucket::new().await;
    bucket.put(KEY, &stored).await;
    let rules = [
        get(json!({"headers": {"range": ""}})),
        get(json!({"response": with_length(json!({}), stored.len())})),
    ];
    let object = bucket.behind(&rules).await;
    let objects = objects().await;
    let mut bodies = Vec::new();
    for _ in 0..OBJECTS {
        let opened = objects
            .open(&object, "growth", Some(&root()), None, LIMIT)
            .await;
        bodies.push((body(opened), Vec::with_capacity(LARGE)));
    }
    // Into the second part of each.
    for (body, got) in &mut bodies {
        while got.len() <= 9 << 20 {
            got.extend_from_slice(&body.next().await.unwrap().unwrap());
        }
    }
    let fired = Microburst::shared().await.fired().await;
    let of_ours = |event: &&Value| event.to_string().contains(&bucket.name);
    let fired: Vec<&Value> = fired.as_array().unwrap().iter().filter(of_ours).collect();
    // One whole object each by the last rule, and parts by the one before.
    let parts = fired.len() - OBJECTS;
    assert!((1..=OBJECTS + 6).contains(&parts), "{fired:#?}");
    for (mut body, mut got) in bodies {
        while let Some(chunk) = body.next().await.unwrap() {
            got.extend_from_slice(&chunk);
        }
        assert!(got == stored);
    }
}

#[tokio::test]
async fn each_part_is_gone_on_with_by_itself() {
    let stored = noise(LARGE);
    let rules = [
        get(json!({"times": 3, "headers": {"range": ""}, "response": {"abort_frac": 0.5}})),
        get(json!({"headers": {"range": "", "if-match": ""}})),
        get(json!({"response": with_length(json!({}), stored.len())})),
    ];
    let (result, fired) = through(&stored, &rules).await;
    assert!(result.expect("it goes on") == stored);
    // The whole, the three that were cut, the three that went on, and one at least without a fault.
    assert!(fired.len() >= 8, "{fired:#?}");
}

#[tokio::test]
async fn what_was_changed_on_its_way_in_a_part_is_found_at_the_end() {
    let stored = noise(LARGE);
    let rules = [
        get(json!({"times": 1, "headers": {"range": ""}, "response": {"corrupt_bytes": 16}})),
        get(json!({"headers": {"range": ""}})),
        get(json!({"response": with_length(json!({}), stored.len())})),
    ];
    let (result, _) = through(&stored, &rules).await;
    let error = result.expect_err("it is another");
    assert_snapshot!(error.message, @"the bytes that arrived are not those of the object: their checksum differs");
}

#[tokio::test]
async fn an_object_that_is_replaced_meanwhile_is_never_mixed_with_the_one_before() {
    let bucket = Bucket::new().await;
    bucket.put(KEY, noise(LARGE)).await;
    let object = bucket.object(KEY).await;
    let mut begun = body(open_limited(&object, &root(), LIMIT).await);
    begun.next().await.expect("it begins");
    bucket.put(KEY, vec![b'x'; LARGE]).await;
    let error = read(begun).await.expect_err("it is another by now");
    assert_snapshot!(shown(&error, &object), @r"
    ObjectChanged (ObjectChanged)
    the object was replaced while it was being read
    The data are as before, and nothing needs a change: the next attempt reads the new one.
    ");
    assert_eq!(error.refused_etag, None);
}
