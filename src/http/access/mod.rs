//! Who may read and do what.
//!
//! Kubernetes says it: a caller is whom a TokenReview finds behind a bearer token (or whom a proxy
//! names that proves itself), and may read what a SubjectAccessReview lets them `get`:
//! `datasources/report` and `agents/report`, in the namespace asked for. As kube-rbac-proxy does, with
//! rights on resources rather than on addresses.
//!
//! [`authorize()`] stands before every route and nothing is looked at before it: no cache, no store, no
//! parameter. What an answer to a stranger says and how long it takes depends on no datum.
//!
//! In reading order: `identity`, `needs` (what each route needs), `authorize` (what stands before
//! them), `callers` (what handlers ask of a caller), `reviews` (the questions), `answers` (for how long
//! an answer holds), `session` and `proxy` (where callers come from), `refusal` (what others are told).

mod answers;
mod authorize;
mod callers;
mod identity;
mod needs;
mod proxy;
mod refusal;
mod reviews;
mod session;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::http::header;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use self::answers::{Answer, Answers};
use self::authorize::{Asking, bearer};
use self::session::Session;
use super::problem::Problem;
use crate::domain::data_source::SourceKey;
use crate::metrics::Metrics;

pub(super) use authorize::authorize;
pub(super) use callers::no_sign_in;
pub use identity::{Action, Identity, Right, Token};
pub use proxy::{LEAST_SECRET_BYTES, Proxy, Secret};
pub use reviews::{As, FetchAnswer, KubeReviews, ReviewError, Reviewer};
pub use session::{LEAST_KEY_BYTES, MOST_SESSION_TOKEN_BYTES, SessionKey};

/// Questions of one list that are asked at once.
const NAMESPACES_AT_ONCE: usize = 8;
/// Tokens, and rights, whose answers are kept; of each answer so many.
const MOST_TOKENS: NonZeroUsize = NonZeroUsize::new(4_096).expect("it is not zero");
const MOST_RIGHTS: NonZeroUsize = NonZeroUsize::new(65_536).expect("it is not zero");

/// Where callers come from.
#[derive(Debug)]
pub enum From {
    /// With a token of their own.
    Kubernetes,
    /// Through a proxy.
    Proxy(Proxy),
}

/// Who is asked, and what was answered. Absent where everybody may do everything.
pub struct Access {
    from: From,
    reviewer: Arc<dyn Reviewer>,
    key: SessionKey,
    /// By the hash of the token: tokens themselves are not kept. Anybody can send some: those who are
    /// known wait behind none of them for their rights.
    tokens: Answers<[u8; 32], Reviewed>,
    rights: Answers<(Option<[u8; 32]>, Right), bool>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// What a TokenReview found.
#[derive(Debug, Clone)]
struct Reviewed {
    identity: Option<Arc<Identity>>,
    ends: Option<Timestamp>,
}

impl Answer for Reviewed {
    fn is_yes(&self) -> bool {
        self.identity.is_some()
    }

    fn ends(&self) -> Option<Timestamp> {
        self.ends
    }
}

/// Who asks. Handlers take it as an argument, so that none can forget to look.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Nobody is asked who they are.
    Anyone,
    Known(Arc<Known>),
}

/// A caller whom Kubernetes knows.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) identity: Arc<Identity>,
    hash: [u8; 32],
    by: By,
}

/// How a caller was recognised.
#[derive(Debug)]
enum By {
    /// By what only a program sends.
    Header(Token),
    /// By what a browser sends along whoever asks it to.
    Session(Session),
    Proxy,
}

/// Namespaces whose data a caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Only(BTreeSet<String>),
}

impl Scope {
    /// Whether there is nothing that they may see.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Only(namespaces) if namespaces.is_empty())
    }

    pub(super) fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(namespaces) => namespaces.contains(namespace),
        }
    }
}

impl Access {
    #[must_use]
    pub fn new(
        from: From,
        reviewer: Arc<dyn Reviewer>,
        key: SessionKey,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            from,
            reviewer,
            key,
            tokens: Answers::at_most(MOST_TOKENS),
            rights: Answers::at_most(MOST_RIGHTS),
            metrics,
        }
    }

    /// Whether people sign in here, rather than at a proxy.
    pub(super) fn has_sign_in(&self) -> bool {
        matches!(self.from, From::Kubernetes)
    }

    /// Headers by which answers differ.
    fn vary(&self) -> Vec<header::HeaderName> {
        match &self.from {
            From::Kubernetes => vec![header::AUTHORIZATION, header::COOKIE],
            From::Proxy(proxy) => vec![proxy.user.clone(), proxy.groups.clone()],
        }
    }

    /// Who sends this request.
    async fn identify(&self, request: &Asking<'_>, now: Timestamp) -> Result<Known, Problem> {
        if let From::Proxy(proxy) = &self.from {
            let identity = proxy.identify(request.headers, request.connection);
            let identity = identity.map_err(|reason| {
                tracing::warn!(reason, "a request is refused");
                refusal::not_by_the_proxy()
            })?;
            return Ok(Known::new(Arc::new(identity), By::Proxy));
        }
        // What was sent for a purpose counts, and where it makes no sense nothing else is tried.
        let mut sent = request.headers.get_all(header::AUTHORIZATION).iter();
        if let Some(authorization) = sent.next() {
            let token = bearer(authorization).filter(|_| sent.next().is_none());
            let token = token.ok_or_else(refusal::unknown)?;
            let identity = self.review(&token, now).await?;
            return Ok(Known::new(identity, By::Header(token)));
        }
        let session = request.session(&self.key, now);
        let session = session.ok_or_else(refusal::unknown)?;
        let identity = self.review(&session.token, now).await?;
        Ok(Known::new(identity, By::Session(session)))
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// 401 where the API server does not know it, 503 where it does not answer.
    async fn review(&self, token: &Token, now: Timestamp) -> Result<Arc<Identity>, Problem> {
        let key = *blake3::hash(token.expose().as_bytes()).as_bytes();
        let question = || {
            let (reviewer, token) = (Arc::clone(&self.reviewer), token.clone());
            self.counted("token", async move {
                let identity = reviewer.identify(&token).await?;
                Ok(Reviewed {
                    ends: identity.as_ref().and_then(|_| token.ends()),
                    identity: identity.map(Arc::new),
                })
            })
        };
        let reviewed = self.tokens.ask(key, now, question).await;
        let reviewed = reviewed.map_err(|error| refusal::not_known(&error))?;
        reviewed.identity.ok_or_else(refusal::not_taken)
    }

    /// Whether the caller has the right.
    ///
    /// # Errors
    /// 503 where the API server does not answer.
    async fn allows(&self, who: &Known, right: Right, now: Timestamp) -> Result<bool, Problem> {
        let key = (Some(who.hash), right.clone());
        let question = || {
            let (reviewer, identity) = (Arc::clone(&self.reviewer), Arc::clone(&who.identity));
            self.counted(
                "right",
                async move { reviewer.allows(&identity, &right).await },
            )
        };
        let allowed = self.rights.ask(key, now, question).await;
        allowed.map_err(|error| refusal::not_known(&error))
    }

    /// Whether this server itself has the right.
    async fn allows_server(&self, right: Right, now: Timestamp) -> Result<bool, Problem> {
        let key = (None, right.clone());
        let question = || {
            let reviewer = Arc::clone(&self.reviewer);
            self.counted("right", async move { reviewer.allows_server(&right).await })
        };
        let allowed = self.rights.ask(key, now, question).await;
        allowed.map_err(|error| refusal::not_known(&error))
    }

    /// On a metric.
    fn counted<V: Answer>(
        &self,
        what: &'static str,
        question: impl Future<Output = Result<V, ReviewError>> + Send + 'static,
    ) -> impl Future<Output = Result<V, ReviewError>> + Send + 'static {
        let metrics = Arc::clone(&self.metrics);
        async move {
            let answer = question.await;
            let said = match &answer {
                Ok(answer) if answer.is_yes() => "yes",
                Ok(_) => "no",
                Err(_) => "error",
            };
            metrics.access_reviewed(what, said);
            answer
        }
    }

    /// Of these namespaces, those in which the caller may do it.
    async fn within(
        &self,
        who: &Known,
        action: Action,
        namespaces: BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Scope, Problem> {
        let asking = namespaces.into_iter().map(|namespace| async move {
            let right = Right::within(action, &namespace);
            let allowed = self.allows(who, right, now).await?;
            Ok::<_, Problem>(allowed.then_some(namespace))
        });
        let seen: Vec<_> = stream::iter(asking)
            .buffer_unordered(NAMESPACES_AT_ONCE)
            .try_collect()
            .await?;
        Ok(Scope::Only(seen.into_iter().flatten().collect()))
    }

    /// Whether the caller could have this source fetched from here.
    async fn may_fetch(
        &self,
        who: &Known,
        source: &SourceKey,
        now: Timestamp,
    ) -> Result<bool, Problem> {
        let right = Right::to_fetch(source);
        if !self.allows(who, right.clone(), now).await? {
            return Ok(false);
        }
        // Who comes through a proxy has no token that this server could use.
        match who.by {
            By::Proxy => self.allows_server(right, now).await,
            By::Header(_) | By::Session(_) => Ok(true),
        }
    }

    /// Annotates the source as the caller; None where only a command of the caller's own can.
    async fn request_fetch(
        &self,
        who: &Known,
        source: &SourceKey,
        now: Timestamp,
    ) -> Result<Option<String>, Problem> {
        let by = match &who.by {
            By::Header(token) | By::Session(Session { token, .. }) => As::Caller(token),
            By::Proxy if self.may_fetch(who, source, now).await? => As::Server {
                on_behalf_of: &who.identity.user,
            },
            By::Proxy => return Ok(None),
        };
        let request = now.to_string();
        let answer = self.reviewer.request_fetch(by, source, &request).await;
        match answer.map_err(|error| refusal::not_known(&error))? {
            FetchAnswer::Requested => {
                let user = &who.identity.user;
                tracing::info!(%source, %user, request, "a fetch is requested");
                Ok(Some(request))
            }
            FetchAnswer::Gone => Err(Problem::not_found(format!(
                "there is no DataSource {source} in the cluster now"
            ))),
            FetchAnswer::Forbidden => Err(refusal::forbidden(
                &who.identity,
                Action::Fetch,
                &source.namespace,
            )),
            FetchAnswer::Unknown => Err(refusal::not_taken()),
        }
    }
}

impl Known {
    fn new(identity: Arc<Identity>, by: By) -> Self {
        Self {
            hash: identity.hash(),
            identity,
            by,
        }
    }

    /// Whose forms these are; None where no browser sends them for somebody else.
    fn forms_of(&self) -> Option<String> {
        match &self.by {
            By::Header(_) => None,
            By::Session(session) => Some(format!("session {}", session.id)),
            By::Proxy => Some(format!("user {}", self.identity.user)),
        }
    }
}
