//! Buckets, objects, identities, and errors as text.

use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::{Builder, tls};
use serde_json::{Value, json};
use sumsq::domain::data_source::{Identity, S3Object};
use sumsq::domain::fetch::FetchError;
use sumsq::domain::tenancy::Ambient;
use sumsq::domain::tenancy::endpoints::{AllowedEndpoints, EndpointPattern};
use sumsq::object::{ObjectBody, Objects, Opened, SecretCredentials, Setup, Timeouts};

use crate::support::s3::{Microburst, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, S3};

pub(crate) const KEY: &str = "exports/counts.csv";
pub(crate) const CSV: &[u8] = b"Date,Agent,Variation,Sels\n1767225600,agent-1,A,10\n";
pub(crate) const LIMIT: u64 = 1 << 20;

/// A bucket of the test's own with [`CSV`] at [`KEY`].
pub(crate) struct Bucket {
    pub(crate) name: String,
    client: aws_sdk_s3::Client,
}

impl Bucket {
    pub(crate) async fn new() -> Self {
        let name = format!("counts-{}", uuid::Uuid::now_v7().simple());
        let client = client(&S3::shared().await.endpoint());
        client
            .create_bucket()
            .bucket(&name)
            .send()
            .await
            .expect("a bucket can be made");
        let bucket = Self { name, client };
        bucket.put(KEY, CSV).await;
        bucket
    }

    pub(crate) async fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        self.put_as(key, bytes, |request| request).await;
    }

    pub(crate) async fn put_as(
        &self,
        key: &str,
        bytes: impl AsRef<[u8]>,
        with: impl FnOnce(
            aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder,
        )
            -> aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder,
    ) {
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .body(ByteStream::from(bytes.as_ref().to_vec()));
        with(request).send().await.expect("an object can be put");
    }

    /// Read straight from the server.
    pub(crate) async fn object(&self, key: &str) -> S3Object {
        object(&S3::shared().await.endpoint(), &self.name, key)
    }

    /// Read through the proxy, which follows `rules` for requests to this bucket.
    pub(crate) async fn behind(&self, rules: &[Value]) -> S3Object {
        let proxy = Microburst::shared().await;
        let rules = rules.iter().map(|rule| {
            let mut rule = rule.clone();
            rule["service"] = json!("s3");
            rule["resource"] = json!(self.name);
            rule
        });
        proxy.rules(rules.collect()).await;
        object(&proxy.endpoint(), &self.name, KEY)
    }
}

pub(crate) fn object(endpoint: &str, bucket: &str, key: &str) -> S3Object {
    S3Object {
        region: "us-east-1".to_owned(),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        account_id: None,
        endpoint: Some(endpoint.to_owned()),
        force_path_style: true,
        identity: Identity::Secret {
            name: "s3-credentials".to_owned(),
        },
        role: None,
    }
}

pub(crate) fn root() -> SecretCredentials {
    keys(ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY)
}

pub(crate) fn keys(access_key_id: &str, secret_access_key: &str) -> SecretCredentials {
    SecretCredentials {
        access_key_id: access_key_id.to_owned(),
        secret_access_key: secret_access_key.to_owned(),
        session_token: None,
        session: None,
    }
}

/// As in the operator, but impatient.
pub(crate) async fn objects() -> Objects {
    let timeouts = Timeouts {
        answer: Duration::from_millis(800),
        stall: Duration::from_secs(1),
        ..Timeouts::default()
    };
    Objects::with(Setup {
        timeouts,
        ..setup()
    })
    .await
}

/// As in an operator whose own identity reads for `growth`, and whose list of endpoints names this
/// machine.
pub(crate) fn setup() -> Setup {
    Setup {
        ambient: Ambient::of(["growth".to_owned()]),
        allowed_endpoints: AllowedEndpoints {
            patterns: allowed(&["http://127.0.0.1:*", "https://127.0.0.1:*", "http://*:*"]),
            ..AllowedEndpoints::default()
        },
        ..Setup::default()
    }
}

pub(crate) fn allowed(patterns: &[&str]) -> Vec<EndpointPattern> {
    let patterns = patterns.iter();
    patterns
        .map(|text| text.parse().expect("a pattern"))
        .collect()
}

pub(crate) async fn open(
    object: &S3Object,
    credentials: &SecretCredentials,
) -> Result<Opened, FetchError> {
    open_limited(object, credentials, LIMIT).await
}

pub(crate) async fn open_limited(
    object: &S3Object,
    credentials: &SecretCredentials,
    limit: u64,
) -> Result<Opened, FetchError> {
    let objects = Objects::with(setup()).await;
    objects
        .open(object, "growth", Some(credentials), None, limit)
        .await
}

/// The error of an object that must not open.
pub(crate) async fn refused(object: &S3Object) -> FetchError {
    refused_to(object, &root()).await
}

pub(crate) async fn refused_to(object: &S3Object, credentials: &SecretCredentials) -> FetchError {
    open(object, credentials)
        .await
        .expect_err("the object does not open")
}

pub(crate) async fn opened(object: &S3Object) -> ObjectBody {
    body(open(object, &root()).await)
}

pub(crate) fn body(opened: Result<Opened, FetchError>) -> ObjectBody {
    match opened.expect("the object opens") {
        Opened::Body(body) => body,
        Opened::NotModified => panic!("the object has been modified"),
    }
}

pub(crate) async fn read(mut body: ObjectBody) -> Result<Vec<u8>, FetchError> {
    let mut all = Vec::new();
    while let Some(chunk) = body.next().await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

/// Incompressible.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// An error as the user reads it, with what differs from run to run replaced.
pub(crate) fn shown(error: &FetchError, object: &S3Object) -> String {
    let mut text = format!(
        "{} ({})\n{}\n{}",
        error.code,
        error.class.as_str(),
        error.message,
        error.hint
    );
    for policy in &error.policies {
        serde_json::from_str::<Value>(&policy.statement).expect("a statement is JSON");
        text += "\n";
        text += &policy.target;
        text += ": ";
        text += &policy.statement;
    }
    if let Some(endpoint) = &object.endpoint {
        text = text.replace(endpoint.as_str(), "ENDPOINT");
    }
    text.replace(&object.bucket, "BUCKET")
}

/// A user of the server's own IAM, with no grant, and its keys.
pub(crate) async fn iam_user() -> (String, SecretCredentials) {
    let user = S3::shared().await.iam_user().await;
    let keys = keys(&user.access_key_id, &user.secret_access_key);
    (user.name, keys)
}

fn client(endpoint: &str) -> aws_sdk_s3::Client {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let config = aws_sdk_s3::config::Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Builder::new().tls_provider(provider).build_https())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::new(
            ROOT_ACCESS_KEY_ID,
            ROOT_SECRET_ACCESS_KEY,
            None,
            None,
            "test",
        ))
        .build();
    aws_sdk_s3::Client::from_conf(config)
}
