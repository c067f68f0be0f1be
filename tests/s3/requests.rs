//! What is sent, seen by a server that answers the same to every request.

use std::sync::{Arc, Mutex};

use sumsq::domain::data_source::{Identity, S3Object};
use sumsq::object::{Objects, Opened, SecretCredentials};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fixture::{KEY, LIMIT, keys, object, objects, root};

/// A server and the heads of the requests that it got.
struct Recorder {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    async fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match connection.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                heads.lock().expect("no panic while locked").push(head);
                connection.write_all(answer.as_bytes()).await.ok();
            }
        });
        Self { endpoint, requests }
    }

    fn object(&self) -> S3Object {
        object(&self.endpoint, "counts", KEY)
    }

    fn only_request(&self) -> String {
        let requests = self.requests.lock().expect("no panic while locked");
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }
}

const WITH_ETAG: &str =
    "HTTP/1.1 200 OK\r\nETag: \"abc\"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";

#[tokio::test]
async fn a_request_says_all_that_the_spec_does() {
    let server = Recorder::answering(WITH_ETAG).await;
    let mut object = server.object();
    object.account_id = Some("123456789012".to_owned());
    let opened = objects()
        .await
        .open(&object, "growth", Some(&root()), Some("\"old\""), LIMIT)
        .await;
    assert!(matches!(opened, Ok(Opened::Body(_))), "{opened:?}");
    let request = server.only_request();
    assert!(
        request.starts_with("GET /counts/exports/counts.csv"),
        "{request}"
    );
    for part in [
        "x-amz-expected-bucket-owner: 123456789012\r\n",
        "if-none-match: \"old\"\r\n",
        // So that bytes which are changed on their way are noticed.
        "x-amz-checksum-mode: ENABLED\r\n",
        " app/sumsq",
        "Credential=test/",
    ] {
        assert!(request.contains(part), "{part} is not in {request}");
    }
}

#[tokio::test]
async fn a_server_that_ignores_if_none_match_is_seen_through() {
    let server = Recorder::answering(WITH_ETAG).await;
    let opened = objects()
        .await
        .open(
            &server.object(),
            "growth",
            Some(&root()),
            Some("\"abc\""),
            LIMIT,
        )
        .await;
    assert!(matches!(opened, Ok(Opened::NotModified)), "{opened:?}");
}

#[tokio::test]
async fn an_operators_endpoint_overrides_and_never_gets_its_credentials() {
    let server = Recorder::answering(WITH_ETAG).await;
    let objects = Objects::new(server.endpoint.clone()).await;
    for identity in [
        Identity::Operator,
        Identity::Secret {
            name: "s".to_owned(),
        },
    ] {
        let mut object = object("http://127.0.0.1:1", "counts", KEY);
        object.force_path_style = false;
        object.identity = identity;
        let opened = objects.open(&object, "growth", None, None, LIMIT).await;
        assert!(matches!(opened, Ok(Opened::Body(_))), "{opened:?}");
        assert_eq!(objects.reader(&object, "growth", None).await, None);
    }
    for request in &*server.requests.lock().unwrap() {
        assert!(
            request.starts_with("GET /counts/exports/counts.csv"),
            "{request}"
        );
        assert!(
            !request.to_lowercase().contains("authorization"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn what_is_no_s3_is_named() {
    let server = Recorder::answering(
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<p>no</p>",
    )
    .await;
    let object = server.object();
    let error = objects()
        .await
        .open(&object, "growth", Some(&root()), None, LIMIT)
        .await
        .unwrap_err();
    insta::assert_snapshot!(crate::fixture::shown(&error, &object), @r#"
    S3Error (S3Error)
    ENDPOINT answered 404 without a message
    ENDPOINT did not answer as S3 does: check that `endpoint` is an S3 endpoint, and `forcePathStyle`.
    "#);
}

#[tokio::test]
async fn what_cannot_be_sent_is_said() {
    let mut object = object("", "counts", KEY);
    object.endpoint = None;
    // No name has a space, so nobody is asked for it.
    object.region = "us east 1".to_owned();
    let error = objects()
        .await
        .open(&object, "growth", Some(&root()), None, LIMIT)
        .await
        .unwrap_err();
    insta::assert_snapshot!(crate::fixture::shown(&error, &object), @r#"
    InvalidRequest (InvalidRequest)
    the request cannot be made: invalid uri character
    Check `region`, `bucket`, `key` and `endpoint` for characters that do not belong there, such as spaces.
    "#);
}

#[tokio::test]
async fn credentials_are_never_shown() {
    let secret = SecretCredentials {
        access_key_id: "AKIDVISIBLE".to_owned(),
        secret_access_key: "SECRETVISIBLE".to_owned(),
        session_token: Some("TOKENVISIBLE".to_owned()),
        session: None,
    };
    let server = Recorder::answering(WITH_ETAG).await;
    let objects = objects().await;
    let opened = objects
        .open(&server.object(), "growth", Some(&secret), None, LIMIT)
        .await;
    for text in [
        format!("{secret:?}"),
        format!("{objects:#?}"),
        format!("{opened:?}"),
    ] {
        assert!(!text.contains("VISIBLE"), "{text}");
    }
}

#[tokio::test]
async fn credentials_with_a_line_break_are_named_before_anything_is_sent() {
    let server = Recorder::answering(WITH_ETAG).await;
    let objects = objects().await;
    for (credentials, expected) in [
        (
            keys("test\n", "test"),
            "Secret growth/s3-credentials, key accessKeyId: the value ends with a line break",
        ),
        (
            keys("test", ""),
            "Secret growth/s3-credentials, key secretAccessKey: the value is empty",
        ),
        (
            keys("test", "te st"),
            "Secret growth/s3-credentials, key secretAccessKey: the value holds a character that no key has, such as a space or a line break",
        ),
    ] {
        let error = objects
            .open(&server.object(), "growth", Some(&credentials), None, LIMIT)
            .await
            .unwrap_err();
        assert_eq!(error.message, expected);
        assert_eq!(error.class.as_str(), "SecretInvalid");
    }
    assert!(server.requests.lock().unwrap().is_empty());
}
