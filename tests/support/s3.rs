//! A real S3 server (ministack: S3, IAM, STS and KMS with signatures and policies checked), and
//! microburst, a proxy that stands in front of it and answers as AWS does when things go wrong.
//!
//! # What ministack answers as AWS does, with no proxy
//!
//! | situation | answer |
//! |---|---|
//! | an IAM user's keys, wrong secret | 403 SignatureDoesNotMatch |
//! | an access key nobody has | 403 InvalidAccessKeyId |
//! | a session token that is none | 400 InvalidToken |
//! | an IAM user or a role without a grant, or a bucket policy's Deny | 403 AccessDenied, `User: ARN is not authorized to perform: s3:GetObject ...` |
//! | a HEAD without a grant | 403, no body |
//! | no credentials | 403 AccessDenied, `Access Denied` |
//! | no such bucket, no such key | 404 NoSuchBucket, 404 NoSuchKey |
//! | `If-None-Match` with the ETag; `If-Match` with another, ranged too | 304, empty; 412 PreconditionFailed |
//! | an object put with `StorageClass: GLACIER`, with SSE-C | 403 InvalidObjectState, 400 InvalidRequest |
//! | `Host: BUCKET.s3.us-east-1.amazonaws.com`, a bucket of eu-west-2 | 301 PermanentRedirect, `x-amz-bucket-region`, Endpoint in the body |
//! | `sts:AssumeRole` without a grant, or with an external ID that the trust policy refuses | 403 AccessDenied |
//! | `sts:GetCallerIdentity` | the ARN, of a user and of an assumed role |
//!
//! Not as AWS does: the root keys' signature is not checked (any secret will do), nor is the clock;
//! `x-amz-expected-bucket-owner` and a region in path style are ignored; a missing key is 404 also
//! where the caller may not list; a KMS key that is disabled or not granted is used all the same; of
//! a web identity token it holds issuer, subject and audience against the role's trust policy, but
//! looks at no signature and wants no OIDC provider, and a token that is none is 403 AccessDenied. What it checks of `Host` needs a name that
//! resolves to 127.0.0.1, and no such name is at hand.
//!
//! # What microburst's rules are for
//!
//! Of the rules that match, the first one in the list fires. `"service": "s3"`, an `"operation"`
//! (`GetObject`, `HeadObject`) and `"resource"` (a part of the **bucket's** name: it can't see the
//! key) say which requests; `"times": 1` lets the second one through; `"headers": {"range": ""}`
//! wants the header there, `{"range": "bytes=0"}` wants that in its value. In full, each tried:
//!
//! | situation | rule, without `service`, `operation` and `resource` |
//! |---|---|
//! | throttled | `{"error": {"code": "SlowDown", "message": "Please reduce your request rate."}}` (503) |
//! | unavailable | `{"error": {"code": "InternalError"}}` (500), `{"error": {"code": "ServiceUnavailable"}}` (503), `{"error": {"code": "BadGateway", "status": 502}}` |
//! | gateway time-out | `{"timeout_ms": 300}`: holds for 300 ms, then 504 RequestTimeout |
//! | owner mismatch | `{"headers": {"x-amz-expected-bucket-owner": ""}, "error": {"code": "AccessDenied", "status": 403, "message": "Access Denied"}}`: a request without the header goes through |
//! | only without a header | two rules: `{"headers": {"x-amz-expected-bucket-owner": ""}}`, which does nothing, then `{"error": ...}` |
//! | was a header sent? | `{"headers": {"x-amz-expected-bucket-owner": "123456789012"}}`: then it is in `fired` as `match` |
//! | key missing, caller may not list | `{"error": {"code": "AccessDenied", "status": 403, "message": "User: arn:aws:iam::123456789012:user/reader is not authorized to perform: s3:ListBucket on resource: \"arn:aws:s3:::bucket\" because no identity-based policy allows the s3:ListBucket action"}}` |
//! | kms:Decrypt denied | the same with `kms:Decrypt on resource: arn:aws:kms:...` in its message |
//! | KMS key disabled | `{"error": {"code": "KMS.DisabledException", "status": 400, "message": "arn:aws:kms:us-east-1:123456789012:key/1 is disabled."}}` |
//! | credentials ended | `{"error": {"code": "ExpiredToken", "status": 400, "message": "The provided token has expired."}}` |
//! | skewed clock | `{"error": {"code": "RequestTimeTooSkewed", "status": 403, "message": "The difference between the request time and the current time is too large.", "fields": {"RequestTime": "20261124T000000Z", "ServerTime": "2026-11-24T01:00:00Z", "MaxAllowedSkewMilliseconds": "900000"}}}` |
//! | archived | `{"error": {"code": "InvalidObjectState", "status": 403, "message": "The operation is not valid for the object's storage class", "fields": {"StorageClass": "GLACIER"}}}` |
//! | region malformed | `{"error": {"code": "AuthorizationHeaderMalformed", "status": 400, "message": "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-2'", "fields": {"Region": "eu-west-2"}}}` |
//! | another partition | `{"error": {"code": "IllegalLocationConstraintException", "status": 400, "message": "The eu-west-2 location constraint is incompatible for the region specific endpoint this request was sent to."}}` |
//! | wrong region | `{"error": {"code": "PermanentRedirect", "status": 301, "message": "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.", "fields": {"Endpoint": "bucket.s3.eu-west-2.amazonaws.com", "Bucket": "bucket"}}}`, and for `x-amz-bucket-region` a second proxy in front of this one with `{"response": {"set_headers": {"x-amz-bucket-region": "eu-west-2"}}}`, as an `error` has no headers to choose |
//! | object replaced while read | `{"headers": {"range": "", "if-match": ""}, "error": {"code": "PreconditionFailed", "status": 412}}` |
//! | slow to answer | `{"latency": 800}` (ms), then the real answer |
//! | slow body | `{"response": {"bandwidth_kbps": 1}}` |
//! | hang | `{"timeout_ms": 600000}` |
//! | reset | `{"reset": true}`: closed with no answer |
//! | body cut | `{"response": {"abort_frac": 0.3}}`, `{"response": {"abort_bytes": 1000}}`: that much, then closed |
//! | body short, with a proper end | `{"response": {"truncate_frac": 0.5}}`: seen only by its checksum |
//! | bytes changed | `{"response": {"corrupt_bytes": 16}}`: seen only by its checksum; for an object that has none add `"strip_headers": ["x-amz-checksum-crc32", "x-amz-checksum-type"]` in `response` |
//! | role refused | `{"service": "sts", "operation": "AssumeRole", "error": {"code": "AccessDenied", "status": 403}}` |
//!
//! What else it does to a request: it sends a `Host` of its own, so that through it an IAM user's
//! signature never matches and only the root keys work; an answer that it passes on loses its
//! `Content-Length`, also a HEAD's, unless `{"response": {"set_headers": {"Content-Length": "N"}}}`
//! gives it back; and of requests that are not signed, such as AssumeRoleWithWebIdentity, it knows
//! no service, and answers in JSON.

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::process::{Server, ServerCommand, free_port, temporary_folder, testbed_path};

/// The root credentials. Their signature is not checked; that of an IAM user's keys is.
pub const ROOT_ACCESS_KEY_ID: &str = "test";
pub const ROOT_SECRET_ACCESS_KEY: &str = "test";

/// Names the service, as the proxy reads it; nothing accepts it.
const WARM_UP_AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
    Credential=warm/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// The same for IAM, as root.
const IAM_AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
    Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0";

const READY_DEADLINE: Duration = Duration::from_mins(1);

/// An S3 server on 127.0.0.1 that ends with this or the test process. Objects are kept in memory.
#[derive(Debug)]
pub struct S3 {
    server: Server,
    port: u16,
}

impl S3 {
    /// The one of this test process; the first test that asks starts it. About 1 s.
    /// Every test makes buckets of its own there.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<S3> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// One of the test's own, for tests in which S3 goes away.
    pub async fn start() -> Self {
        let folder = temporary_folder("s3");
        let port = free_port();
        let server = ServerCommand::new("ministack", testbed_path("SUMSQ_TEST_MINISTACK"))
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("AUTH", "true")
            .env("SERVICES", "s3,iam,sts,kms")
            .env("TMPDIR", &folder)
            .removes(&folder)
            .start(&folder);
        let health = format!("http://127.0.0.1:{port}/_ministack/health");
        server
            .ready(READY_DEADLINE, async || answers(&health))
            .await;
        Self { server, port }
    }

    /// `http://127.0.0.1:PORT`, for S3, IAM, STS and KMS.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A new user of its IAM, with no grant.
    pub async fn iam_user(&self) -> IamUser {
        let name = format!("reader-{}", uuid::Uuid::now_v7().simple());
        self.iam(format!("Action=CreateUser&UserName={name}")).await;
        let answer = self.iam(format!("Action=CreateAccessKey&UserName={name}"));
        let answer = answer.await;
        let element = |name: &str| {
            let (_, rest) = answer
                .split_once(&format!("<{name}>"))
                .expect("the element");
            rest.split('<').next().expect("its text").to_owned()
        };
        IamUser {
            access_key_id: element("AccessKeyId"),
            secret_access_key: element("SecretAccessKey"),
            name,
        }
    }

    /// Lets one of its users do this.
    pub async fn iam_user_may(&self, user: &str, statement: Value) {
        let policy = policy(&statement);
        self.iam(format!(
            "Action=PutUserPolicy&UserName={user}&PolicyName=may&PolicyDocument={policy}"
        ))
        .await;
    }

    /// A new role of its IAM with this trust policy's statements, which may do what `allows` says;
    /// its ARN.
    pub async fn iam_role(&self, trusts: Value, allows: Value) -> String {
        let name = format!("reader-{}", uuid::Uuid::now_v7().simple());
        self.iam_role_called(&name, trusts, allows).await
    }

    /// The same under a name.
    pub async fn iam_role_called(&self, name: &str, trusts: Value, allows: Value) -> String {
        let trust = policy(&trusts);
        self.iam(format!(
            "Action=CreateRole&RoleName={name}&AssumeRolePolicyDocument={trust}"
        ))
        .await;
        let allows = policy(&allows);
        self.iam(format!(
            "Action=PutRolePolicy&RoleName={name}&PolicyName=reads&PolicyDocument={allows}"
        ))
        .await;
        format!("arn:aws:iam::000000000000:role/{name}")
    }

    async fn iam(&self, form: String) -> String {
        let url = self.endpoint();
        blocking(move || {
            agent()
                .post(&url)
                .header("authorization", IAM_AUTHORIZATION)
                .header("content-type", "application/x-www-form-urlencoded")
                .send(format!("{form}&Version=2010-05-08"))
                .expect("IAM answers")
                .body_mut()
                .read_to_string()
                .expect("IAM answers in text")
        })
        .await
    }

    /// A proxy of the test's own in front of this. About 4 s, since it loads all of AWS's models:
    /// [`Microburst::shared`] is there at once.
    pub async fn behind_microburst(&self) -> Microburst {
        Microburst::in_front_of(&self.endpoint()).await
    }

    /// The last lines that the server wrote, for a test's failure.
    pub fn log(&self) -> String {
        self.server.log_tail()
    }
}

/// A user of the server's own IAM, and its keys.
#[derive(Debug)]
pub struct IamUser {
    pub name: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

/// The proxy that injects faults; see the top of this file for its rules.
#[derive(Debug)]
pub struct Microburst {
    server: Server,
    port: u16,
    control_port: u16,
}

impl Microburst {
    /// One in front of [`S3::shared`] for the whole test process. Since all tests share its rules,
    /// each of them names the test's own bucket: `"resource": bucket`.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Microburst> = OnceCell::const_new();
        SHARED
            .get_or_init(async || S3::shared().await.behind_microburst().await)
            .await
    }

    /// One in front of any endpoint, such as another proxy's (see `x-amz-bucket-region` above).
    pub async fn in_front_of(endpoint: &str) -> Self {
        assert!(
            endpoint.starts_with("http://127.0.0.1:"),
            "tests reach nothing but 127.0.0.1: {endpoint}"
        );
        let port = free_port();
        let arguments = ["--upstream", endpoint, "--no-resign"];
        let microburst = Self::start(&arguments, port, port).await;
        microburst.warm_up().await;
        microburst
    }

    /// One in front of the PostgreSQL server at that port of 127.0.0.1.
    pub async fn in_front_of_postgres(server: u16) -> Self {
        let (port, control_port) = (free_port(), free_port());
        let (upstream, control) = (format!("127.0.0.1:{server}"), control_port.to_string());
        let arguments = ["--protocol", "postgres", "--upstream", &upstream];
        let arguments = [&arguments[..], &["--control-port", &control]].concat();
        Self::start(&arguments, port, control_port).await
    }

    async fn start(arguments: &[&str], port: u16, control_port: u16) -> Self {
        let folder = temporary_folder("microburst");
        let program: PathBuf = testbed_path("SUMSQ_TEST_MICROBURST");
        let server = ServerCommand::new("microburst", program)
            .args(arguments)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .removes(&folder)
            .start(&folder);
        let health = format!("http://127.0.0.1:{control_port}/_microburst/health");
        server
            .ready(READY_DEADLINE, async || answers(&health))
            .await;
        Self {
            server,
            port,
            control_port,
        }
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where what it stands in front of is asked.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Adds rules, a list, after those that are there: of those that match, the first one fires.
    pub async fn rules(&self, rules: Value) {
        self.control("PATCH", "rules", Some(rules)).await;
    }

    /// Removes all rules, and forgets what has fired.
    pub async fn clear(&self) {
        self.control("POST", "rules", Some(json!([]))).await;
        self.control("DELETE", "fired", None).await;
    }

    /// What has fired, oldest first: a list of
    /// `{ts, rule_id, service, operation, resource, region, action, path, note}`.
    /// A request that no rule matches is not there.
    pub async fn fired(&self) -> Value {
        self.control("GET", "fired?limit=2000", None).await
    }

    /// The last lines that the proxy wrote, for a test's failure.
    pub fn log(&self) -> String {
        self.server.log_tail()
    }

    /// The first request loads the descriptions of all AWS services, which takes seconds: longer
    /// than a client in a test would wait.
    async fn warm_up(&self) {
        let url = format!("{}/warm/up", self.endpoint());
        blocking(move || {
            agent()
                .get(&url)
                .header("authorization", WARM_UP_AUTHORIZATION)
                .call()
                .expect("the proxy answers");
        })
        .await;
    }

    async fn control(&self, method: &'static str, path: &str, body: Option<Value>) -> Value {
        let url = format!("http://127.0.0.1:{}/_microburst/{path}", self.control_port);
        blocking(move || {
            let request = ureq::http::Request::builder().method(method).uri(&url);
            let response = match body {
                Some(body) => agent().run(
                    request
                        .header("content-type", "application/json")
                        .body(body.to_string())
                        .expect("a valid request"),
                ),
                None => agent().run(request.body(()).expect("a valid request")),
            };
            let mut response = response.unwrap_or_else(|error| panic!("{method} {url}: {error}"));
            let text = response.body_mut().read_to_string().unwrap_or_default();
            assert!(response.status().is_success(), "{method} {url}: {text}");
            serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{method} {url}: {error}: {text}"))
        })
        .await
    }
}

/// A policy of these statements, as a form takes it.
fn policy(statement: &Value) -> String {
    let policy = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    percent_encoding::utf8_percent_encode(&policy, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Whether a GET of this control address is answered with success.
pub(super) fn answers(url: &str) -> bool {
    agent()
        .get(url)
        .call()
        .is_ok_and(|response| response.status().is_success())
}

/// For control addresses only: no proxy of the environment's, no redirects.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
