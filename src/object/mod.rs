//! The S3 object: whose identity reads it, its bytes, and what to tell the user when it can't be read.
//!
//! - [`client`]: one S3 client per region, endpoint and identity, kept.
//! - [`credentials`]: whose signature a request bears.
//! - [`identity`]: ServiceAccounts' roles, and roles that are assumed.
//! - [`reach`]: connections to endpoints that tenants name.
//! - [`tried`]: where a request went.
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
mod identity;
mod policy;
mod reach;
mod tried;
mod web_identity;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::dns::SharedDnsResolver;
use jiff::Timestamp;

pub use self::body::ObjectBody;
use self::client::{Clients, Key, LruCache, cache};
pub use self::compression::decompressed;
use self::credentials::Credentials;
pub use self::credentials::{SecretCredentials, Session};
use self::denial::{Denial, denial};
use self::diagnose::{Attempt, diagnose};
use self::download::{Download, PartsAhead};
use self::failure::{Answer, Failure, IdentityFailure};
use self::identity::Sessions;
pub use self::identity::{
    Base, NoServiceAccounts, ServiceAccount, ServiceAccounts, TOKEN_AUDIENCE, WebToken,
};
pub use self::policy::{Grants, Place, grants};
use self::tried::Tried;
use self::web_identity::WebIdentity;
use crate::domain::data_source::{Identity, S3Object};
use crate::domain::fetch::{ErrorCode, FetchError, cases};
use crate::domain::tenancy::Ambient;
use crate::domain::tenancy::endpoints::AllowedEndpoints;

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
    sessions: Sessions,
    ambient: Ambient,
    timeouts: Timeouts,
    ahead: PartsAhead,
}

/// What the operator lends to whom. By default nothing: its own identity to no namespace, and no
/// connection but to AWS.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Every source's objects are read from there (path style), whatever its spec says (`sumsq
    /// local`). Requests to it are signed with the credentials that are passed along, and not at
    /// all where there are none: the operator's own never go there. None: as the spec says, else as
    /// AWS's usual environment says (`AWS_ENDPOINT_URL_S3`).
    pub endpoint: Option<String>,
    /// In place of AWS's STS; None: as AWS's usual environment says (`AWS_ENDPOINT_URL_STS`).
    pub sts_endpoint: Option<String>,
    /// Whom the operator's own identity reads for.
    pub ambient: Ambient,
    pub allowed_endpoints: AllowedEndpoints,
    /// Of the names of endpoints that tenants name; None: the machine's.
    pub resolver: Option<SharedDnsResolver>,
    pub timeouts: Timeouts,
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
    /// As `sumsq local` reads: everything from `endpoint`. See [`Setup`].
    pub async fn new(endpoint: String) -> Self {
        Self::with(Setup {
            endpoint: Some(endpoint),
            ..Setup::default()
        })
        .await
    }

    pub async fn with(setup: Setup) -> Self {
        Self {
            inner: Arc::new(Inner {
                clients: Clients::load(&setup).await,
                readers: cache(),
                sessions: Sessions::new(),
                ambient: setup.ambient,
                timeouts: setup.timeouts,
                ahead: PartsAhead::default(),
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
        self.inner.admit(object, namespace).ok()?;
        let credentials = self
            .inner
            .credentials(object, namespace, credentials)
            .ok()?;
        self.inner.reader(object, credentials).await
    }

    /// Asks for the object, unless it is still the one with `etag`.
    ///
    /// `credentials` are what [`Self::sign_in`] gave; `namespace` is whose the object is.
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
        self.inner.admit(object, namespace)?;
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
                let explained = self
                    .inner
                    .explain(object, namespace, credentials, &tried, failure);
                let error = explained.await;
                self.inner.drop_refused(credentials, error.class);
                return Err(error);
            }
        };
        // Not every store knows If-None-Match; the ETag says the same.
        if etag.is_some() && answer.e_tag() == etag {
            return Ok(Opened::NotModified);
        }
        let ahead = self.inner.ahead.clone();
        let download = Download::of(&answer, client, object.clone(), ahead);
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
            (Identity::Secret { name }, Some(given)) if given.session.is_none() => {
                given.check(namespace, name)?;
                Ok(Credentials::Static(given))
            }
            (_, Some(given)) if given.session.is_some() || self.clients.is_overridden() => {
                Ok(Credentials::Static(given))
            }
            (_, None) if self.clients.is_overridden() => Ok(Credentials::Unsigned),
            (Identity::Operator, _) if object.role.is_none() => Ok(Credentials::Operator),
            (Identity::Secret { name }, None) => Err(FetchError::new(
                ErrorCode::NoCredentials,
                format!("the credentials of Secret {namespace}/{name} were not read"),
                cases::secret_unread(namespace, name),
            )),
            // A bug: nobody signs in another's name.
            (identity, _) => Err(FetchError::new(
                ErrorCode::NoCredentials,
                format!("nobody has signed in as {identity:?} of namespace {namespace}"),
                cases::not_signed_in(),
            )),
        }
    }

    /// Credentials that are refused may have been taken back: the next attempt asks for others.
    fn drop_refused(&self, credentials: Credentials<'_>, class: ErrorCode) {
        let is_refused = matches!(
            class,
            ErrorCode::AccessDenied | ErrorCode::ExpiredToken | ErrorCode::InvalidAccessKeyId
        );
        if let (true, Credentials::Static(given)) = (is_refused, credentials)
            && let Some(session) = &given.session
        {
            self.sessions.drop(&session.key);
        }
    }

    async fn reader(&self, object: &S3Object, credentials: Credentials<'_>) -> Option<String> {
        match credentials {
            Credentials::Unsigned => return None,
            Credentials::Static(SecretCredentials {
                session: Some(session),
                ..
            }) => return Some(session.reader.clone()),
            _ => {}
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
            session: match credentials {
                Credentials::Static(given) => {
                    given.session.as_ref().map(|session| session.reader.clone())
                }
                _ => None,
            },
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
