//! Questions to the Kubernetes API server: who is it (TokenReview), may they (SubjectAccessReview),
//! and the one thing that is asked of it: the annotation that requests a fetch.

use std::time::Duration;

use async_trait::async_trait;
use axum::http::Request;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::config::AuthInfo;
use kube::{Client, Config};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::json;
use thiserror::Error;

use super::identity::{Identity, Right, Token};
use crate::domain::data_source::SourceKey;

/// The API group of what is asked about.
const GROUP: &str = "sumsq.dev";
const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const OWN_ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
/// A reader waits for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Whose patch it is, in `metadata.managedFields`.
const FIELD_MANAGER: &str = "sumsq-report";

/// The API server gave no answer to go by.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReviewError {
    #[error("the Kubernetes API server does not answer: {0}")]
    Unreachable(String),
    /// This server's own ServiceAccount lacks the right to ask.
    #[error("this server may not ask the Kubernetes API server who may read: {0}")]
    NotMine(String),
    /// It is not asked, since it has enough questions.
    #[error("too many other questions to the Kubernetes API server are under way")]
    Busy,
}

/// What became of a request to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchAnswer {
    Requested,
    /// There is no such object now.
    Gone,
    /// Whoever patched may not.
    Forbidden,
    /// Their token is no longer good.
    Unknown,
}

/// Who puts the annotation there.
#[derive(Debug, Clone, Copy)]
pub enum As<'a> {
    /// The caller, by their own token: it is their right, and their name in the audit log.
    Caller(&'a Token),
    /// This server, for a caller who was found to have the right; their name stays in an annotation.
    Server { on_behalf_of: &'a str },
}

/// What is asked of the API server.
#[async_trait]
pub trait Reviewer: Send + Sync + 'static {
    /// None: it knows no such token.
    async fn identify(&self, token: &Token) -> Result<Option<Identity>, ReviewError>;

    async fn allows(&self, who: &Identity, right: &Right) -> Result<bool, ReviewError>;

    /// Whether this server's own ServiceAccount has the right.
    async fn allows_server(&self, right: &Right) -> Result<bool, ReviewError>;

    /// Annotates the data source with `request`.
    async fn request_fetch(
        &self,
        by: As<'_>,
        source: &SourceKey,
        request: &str,
    ) -> Result<FetchAnswer, ReviewError>;
}

/// The real one.
pub struct KubeReviews {
    client: Client,
    config: Config,
}

impl std::fmt::Debug for KubeReviews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeReviews").finish_non_exhaustive()
    }
}

impl KubeReviews {
    /// # Errors
    /// A configuration that no client can be made of.
    pub fn new(config: Config) -> Result<Self, kube::Error> {
        let client = Client::try_from(config.clone())?;
        Ok(Self { client, config })
    }

    /// A client that is the caller and nothing of this server: neither its token nor its certificate.
    fn as_caller(&self, token: &Token) -> Result<Client, kube::Error> {
        let own = &self.config;
        let mut config = Config::new(own.cluster_url.clone());
        config.root_cert.clone_from(&own.root_cert);
        config.root_cert_file.clone_from(&own.root_cert_file);
        config.accept_invalid_certs = own.accept_invalid_certs;
        config.proxy_url.clone_from(&own.proxy_url);
        config.tls_server_name.clone_from(&own.tls_server_name);
        config.auth_info = AuthInfo {
            token: Some(token.expose().to_owned().into()),
            ..AuthInfo::default()
        };
        Client::try_from(config)
    }

    /// Answers are read here and not by the client, which writes to its log what it cannot read: the
    /// answer to a TokenReview repeats the token.
    async fn review<T>(&self, address: &str, review: &T) -> Result<T, ReviewError>
    where
        T: Serialize + serde::de::DeserializeOwned,
    {
        let unreadable = |_| ReviewError::Unreachable("what it answers cannot be read".to_owned());
        let body = serde_json::to_vec(review).map_err(unreadable)?;
        let request = Request::post(address)
            .header("content-type", "application/json")
            .body(body)
            .map_err(|error| ReviewError::Unreachable(error.to_string()))?;
        let answer = within(self.client.request_text(request)).await?;
        let text = answer.map_err(|error| not_answered(&error))?;
        serde_json::from_str(&text).map_err(unreadable)
    }
}

/// Gives up in time.
async fn within<T>(asking: impl Future<Output = T>) -> Result<T, ReviewError> {
    let answer = tokio::time::timeout(ANSWER_WITHIN, asking).await;
    answer.map_err(|_| {
        let seconds = ANSWER_WITHIN.as_secs();
        ReviewError::Unreachable(format!("no answer within {seconds} s"))
    })
}

fn not_answered(error: &kube::Error) -> ReviewError {
    match error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
            ReviewError::NotMine(status.message.clone())
        }
        kube::Error::Api(status) => {
            ReviewError::Unreachable(format!("{} {}", status.code, status.reason))
        }
        other => ReviewError::Unreachable(root_cause(other)),
    }
}

/// What is underneath, such as "connection refused".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn attributes(right: &Right) -> ResourceAttributes {
    let (verb, resource, subresource) = right.action.words();
    ResourceAttributes {
        group: Some(GROUP.to_owned()),
        verb: Some(verb.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: subresource.map(str::to_owned),
        namespace: right.namespace.clone(),
        name: right.name.clone(),
        ..ResourceAttributes::default()
    }
}

fn allowed(status: Option<SubjectAccessReviewStatus>, right: &Right) -> bool {
    let Some(status) = status else { return false };
    if let Some(error) = status.evaluation_error.filter(|_| !status.allowed) {
        tracing::warn!(%error, action = %right.action, "a right could not be looked up in full");
    }
    status.allowed && status.denied != Some(true)
}

#[async_trait]
impl Reviewer for KubeReviews {
    async fn identify(&self, token: &Token) -> Result<Option<Identity>, ReviewError> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: token.expose().to_owned(),
                ..TokenReviewSpec::default()
            },
            ..TokenReview::default()
        };
        let review = self.review(TOKEN_REVIEWS, &review).await?;
        let Some(status) = review.status else {
            return Ok(None);
        };
        let user = status.user.filter(|_| status.authenticated == Some(true));
        Ok(user.and_then(|user| {
            Some(Identity {
                user: user.username.filter(|name| !name.is_empty())?,
                uid: user.uid,
                groups: user.groups.unwrap_or_default(),
                extra: user.extra.unwrap_or_default(),
            })
        }))
    }

    async fn allows(&self, who: &Identity, right: &Right) -> Result<bool, ReviewError> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(who.user.clone()),
                uid: who.uid.clone(),
                groups: Some(who.groups.clone()),
                extra: Some(who.extra.clone()),
                resource_attributes: Some(attributes(right)),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let review = self.review(ACCESS_REVIEWS, &review).await?;
        Ok(allowed(review.status, right))
    }

    async fn allows_server(&self, right: &Right) -> Result<bool, ReviewError> {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes(right)),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let review = self.review(OWN_ACCESS_REVIEWS, &review).await?;
        Ok(allowed(review.status, right))
    }

    async fn request_fetch(
        &self,
        by: As<'_>,
        source: &SourceKey,
        request: &str,
    ) -> Result<FetchAnswer, ReviewError> {
        let mut annotations = json!({"sumsq.dev/fetch-requested-at": request});
        let client = match by {
            As::Caller(token) => self.as_caller(token),
            As::Server { on_behalf_of } => {
                annotations["sumsq.dev/fetch-requested-by"] = on_behalf_of.into();
                Ok(self.client.clone())
            }
        };
        let client = client.map_err(|error| not_answered(&error))?;
        let segment = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let address = format!(
            "/apis/{GROUP}/v1alpha1/namespaces/{}/datasources/{}?fieldManager={FIELD_MANAGER}",
            segment(&source.namespace),
            segment(&source.name)
        );
        let patch = json!({"metadata": {"annotations": annotations}}).to_string();
        let patch = Request::patch(address)
            .header("content-type", "application/merge-patch+json")
            .body(patch.into_bytes())
            .map_err(|error| ReviewError::Unreachable(error.to_string()))?;
        match within(client.request_text(patch)).await? {
            Ok(_) => Ok(FetchAnswer::Requested),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(FetchAnswer::Gone),
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(FetchAnswer::Forbidden),
            Err(kube::Error::Api(status)) if status.code == 401 => Ok(FetchAnswer::Unknown),
            Err(error) => Err(not_answered(&error)),
        }
    }
}
