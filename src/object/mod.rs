//! The S3 object: whose identity reads it, its bytes, and what to tell the user when it can't be read.
//!
//! - [`client`]: one S3 client per region, endpoint and identity, kept.
//! - [`credentials`]: whose signature a request bears.
//! - [`download`]: the bytes as they are stored, over as many requests as it takes.
//! - [`body`]: the bytes, decompressed and counted.
//! - [`compression`]: gzip and zstd.
//! - [`failure`]: what the SDK reports, as plain facts. The last place that knows the SDK's errors.
//! - [`diagnose`]: those facts in words for the person who has to mend it. Pure.
//! - [`denial`]: the many meanings of AccessDenied. Pure.
//! - [`policy`]: ARNs and the statements to copy and paste. Pure.
//!
//! Nothing here knows Kubernetes, the store or what a CSV is.

mod body;
mod client;
mod compression;
mod credentials;
mod denial;
mod diagnose;
mod download;
mod failure;
mod policy;
mod web_identity;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use jiff::Timestamp;

pub use self::body::ObjectBody;
use self::client::{Clients, Key, LruCache, cache};
pub use self::compression::decompressed;
use self::credentials::Credentials;
pub use self::credentials::SecretCredentials;
use self::denial::{Denial, denial};
use self::diagnose::{Attempt, diagnose};
use self::download::Download;
use self::failure::{Answer, Failure, IdentityFailure};
pub use self::policy::{Grants, Place, grants};
use self::web_identity::WebIdentity;
use crate::domain::data_source::{Identity, S3Object};
use crate::domain::fetch::{ErrorCode, FetchError};

/// A reader's ARN holds for as long as the process usually lives; where it could not be learnt,
/// it is asked for again soon.
const READER_KEPT: Duration = Duration::from_hours(12);
const UNKNOWN_READER_KEPT: Duration = Duration::from_mins(1);

/// Opens objects with the real S3 client. Cheap to clone: clones share clients and caches.
#[derive(Clone)]
pub struct Objects {
    inner: Arc<Inner>,
}

struct Inner {
    clients: Clients,
    readers: Mutex<LruCache<Key, (Option<String>, Instant)>>,
    timeouts: Timeouts,
}

/// How long each step may take. The whole of a fetch has its own limit, which the caller keeps.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// To a connection, TLS included; each of the SDK's three attempts.
    pub connect: Duration,
    /// From the request to the answer's headers; each of the SDK's three attempts.
    pub answer: Duration,
    /// Without a single byte while the body is read.
    pub stall: Duration,
    /// For learning whose identity reads, all attempts together.
    pub reader: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            stall: Duration::from_secs(20),
            reader: Duration::from_secs(5),
        }
    }
}

#[allow(clippy::large_enum_variant, reason = "one at a time, and moved once")]
pub enum Opened {
    /// It is the one with the ETag that was sent.
    NotModified,
    Body(ObjectBody),
}

impl Objects {
    /// `endpoint`: every source's objects are read from there (path style), whatever its spec says
    /// (`sumsq local`). Requests to it are signed with the credentials that are passed along, and
    /// not at all where there are none: the operator's own never go there.
    /// None: as the spec says, else as AWS's usual environment says (`AWS_ENDPOINT_URL_S3`).
    pub async fn new(endpoint: Option<String>) -> Self {
        Self::with_timeouts(endpoint, Timeouts::default()).await
    }

    /// [`Self::new`] with other time limits.
    pub async fn with_timeouts(endpoint: Option<String>, timeouts: Timeouts) -> Self {
        let clients = Clients::load(endpoint, timeouts).await;
        Self {
            inner: Arc::new(Inner {
                clients,
                readers: cache(),
                timeouts,
            }),
        }
    }

    /// The ARN of whose identity reads: best effort, bounded in time, cached. A role's session is
    /// shown as the role, since that is what a policy names.
    pub async fn reader(
        &self,
        object: &S3Object,
        namespace: &str,
        credentials: Option<&SecretCredentials>,
    ) -> Option<String> {
        let credentials = self
            .inner
            .credentials(object, namespace, credentials)
            .ok()?;
        self.inner.reader(object, credentials).await
    }

    /// Asks for the object, unless it is still the one with `etag`.
    ///
    /// `credentials` are those of the Secret where the object's identity is one; `namespace` is
    /// for hints that name that Secret.
    ///
    /// # Errors
    /// Every situation of the table in docs/errors.md, ready to show.
    pub async fn open(
        &self,
        object: &S3Object,
        namespace: &str,
        credentials: Option<&SecretCredentials>,
        etag: Option<&str>,
        max_object_bytes: u64,
    ) -> Result<Opened, FetchError> {
        let credentials = self.inner.credentials(object, namespace, credentials)?;
        let client = self.inner.clients.s3(object, credentials);
        let tried = Tried::default();
        let sent = client
            .get_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .set_expected_bucket_owner(object.account_id.clone())
            .set_if_none_match(etag.map(str::to_owned))
            .customize()
            .interceptor(tried.clone())
            // The checksum of the whole, which is compared here whatever requests bring it.
            .mutate_request(|request| {
                request
                    .headers_mut()
                    .insert("x-amz-checksum-mode", "ENABLED");
            })
            .send()
            .await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => {
                let failure = Failure::from_sdk(&error);
                if matches!(&failure, Failure::Answer(answer) if answer.status == 304) {
                    return Ok(Opened::NotModified);
                }
                tracing::debug!(
                    bucket = object.bucket,
                    key = object.key,
                    ?failure,
                    "S3 did not give the object"
                );
                return Err(self
                    .inner
                    .explain(object, namespace, credentials, &tried, failure)
                    .await);
            }
        };
        // Not every store knows If-None-Match; the ETag says the same.
        if etag.is_some() && answer.e_tag() == etag {
            return Ok(Opened::NotModified);
        }
        let download = Download::of(&answer, client, object.clone());
        let stall = self.inner.timeouts.stall;
        ObjectBody::new(download, answer.body, max_object_bytes, stall).map(Opened::Body)
    }
}

impl Inner {
    /// Which credentials sign for this object.
    fn credentials<'a>(
        &self,
        object: &S3Object,
        namespace: &str,
        given: Option<&'a SecretCredentials>,
    ) -> Result<Credentials<'a>, FetchError> {
        match (&object.identity, given) {
            (Identity::Secret { name }, Some(given)) => {
                given.check(namespace, name)?;
                Ok(Credentials::Static(given))
            }
            (Identity::Operator, Some(given)) if self.clients.is_overridden() => {
                Ok(Credentials::Static(given))
            }
            (_, None) if self.clients.is_overridden() => Ok(Credentials::Unsigned),
            (Identity::Operator, _) => Ok(Credentials::Operator),
            (Identity::Secret { name }, None) => Err(FetchError::new(
                ErrorCode::NoCredentials,
                format!("the credentials of Secret {namespace}/{name} were not read"),
                format!(
                    "Check that Secret {namespace}/{name} has the keys accessKeyId and secretAccessKey, \
                     and that the operator may read it."
                ),
            )),
        }
    }

    async fn reader(&self, object: &S3Object, credentials: Credentials<'_>) -> Option<String> {
        if matches!(credentials, Credentials::Unsigned) {
            return None;
        }
        let key = self.clients.key(object, credentials);
        if let Some((reader, learnt)) = lock(&self.readers).get(&key)
            && learnt.elapsed() < reader_kept(reader.as_ref())
        {
            return reader.clone();
        }
        let asked = self
            .clients
            .sts(object, credentials)
            .get_caller_identity()
            .send();
        let reader = match tokio::time::timeout(self.timeouts.reader, asked).await {
            Ok(Ok(identity)) => identity.arn.map(|arn| policy::principal(&arn)),
            Ok(Err(error)) => {
                tracing::debug!(failure = ?Failure::from_sdk(&error), "STS did not say whose identity reads");
                None
            }
            Err(_elapsed) => None,
        };
        lock(&self.readers).put(key, (reader.clone(), Instant::now()));
        reader
    }

    /// Finds out what the words for a failure need besides the failure itself.
    async fn explain(
        &self,
        object: &S3Object,
        namespace: &str,
        credentials: Credentials<'_>,
        tried: &Tried,
        failure: Failure,
    ) -> FetchError {
        let mut attempt = Attempt {
            object,
            namespace,
            endpoint: tried.endpoint().or_else(|| self.clients.endpoint(object)),
            overridden: self.clients.is_overridden(),
            lacks_session_token: credentials.lack_session_token(),
            timeouts: self.timeouts,
            now: Timestamp::now(),
            reader: None,
            denial: None,
            web_identity: None,
        };
        if let Failure::Identity(IdentityFailure::RoleRefused { .. }) = &failure {
            attempt.web_identity = WebIdentity::from_environment().await;
        }
        if let Failure::Answer(answer) = &failure
            && let Some(named) = denial(answer)
        {
            let probed = if named == Denial::NotNamed {
                self.probe(object, credentials).await
            } else {
                None
            };
            let denial = probed.unwrap_or(named);
            if denial.concerns_the_reader() {
                attempt.reader = self.reader(object, credentials).await;
            }
            attempt.denial = Some(denial);
        }
        diagnose(&failure, &attempt)
    }

    /// Tells what a bare "Access Denied" is about, by HEAD requests, which hold no data: one
    /// without the expected owner, and where that is answered, one with it. Only the header
    /// differs, so if the second is denied, the owner is not the one expected; and if neither is,
    /// reading the object's bytes is denied, not the object: its KMS key.
    async fn probe(&self, object: &S3Object, credentials: Credentials<'_>) -> Option<Denial> {
        let owner = object.account_id.as_ref()?;
        let client = self.clients.s3(object, credentials);
        let head = || client.head_object().bucket(&object.bucket).key(&object.key);
        let without = head().send().await.ok()?;
        match head().expected_bucket_owner(owner).send().await {
            Ok(_) => without
                .ssekms_key_id
                .map(|key| Denial::Kms { key: Some(key) }),
            Err(error) => match Failure::from_sdk(&error) {
                Failure::Answer(Answer { status: 403, .. }) => Some(Denial::OtherOwner),
                _ => None,
            },
        }
    }
}

fn reader_kept(reader: Option<&String>) -> Duration {
    if reader.is_some() {
        READER_KEPT
    } else {
        UNKNOWN_READER_KEPT
    }
}

/// A poisoned lock holds a cache that is whole all the same.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Remembers where a request went, which the endpoint's rules decide: for messages.
#[derive(Debug, Clone, Default)]
struct Tried(Arc<OnceLock<String>>);

impl Tried {
    fn endpoint(&self) -> Option<String> {
        self.0.get().cloned()
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Tried {
    fn name(&self) -> &'static str {
        "Tried"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let uri = context.request().uri();
        if let Some((scheme, rest)) = uri.split_once("://") {
            let authority = rest.split(['/', '?']).next().unwrap_or(rest);
            self.0.get_or_init(|| format!("{scheme}://{authority}"));
        }
        Ok(())
    }
}

// The SDK's clients would print their whole configuration.
impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects")
            .field("timeouts", &self.inner.timeouts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotModified => f.write_str("NotModified"),
            Self::Body(body) => f.debug_tuple("Body").field(body).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_asked_for_again_soon_only_where_it_is_unknown() {
        assert_eq!(
            reader_kept(Some(&"arn".to_owned())),
            Duration::from_hours(12)
        );
        assert_eq!(reader_kept(None), Duration::from_mins(1));
    }
}
