//! What handlers ask of a caller.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use super::authorize::is_namespace;
use super::identity::{Action, Identity, Right, Token};
use super::session;
use super::{Caller, Known, MOST_SESSION_TOKEN_BYTES, Scope};
use crate::domain::data_source::SourceKey;
use crate::http::connection::Connection;
use crate::http::guard::same_site;
use crate::http::problem::Problem;
use crate::http::state::ReportState;

/// The header in which a script of our own page would repeat its word.
const WORD_HEADER: &str = "x-sumsq-form";

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| {
            let missing = std::io::Error::other("nobody has looked who asks");
            Problem::internal("a route is not guarded", &missing)
        })
    }
}

impl Caller {
    pub(in crate::http) fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Anyone => None,
            Self::Known(known) => Some(&known.identity),
        }
    }
}

impl ReportState {
    /// Of all namespaces that the store holds (or of `only` that one), those in which the caller may
    /// read this. Of one that is named the store is not asked: how long it takes would tell whether
    /// there is such a namespace.
    ///
    /// # Errors
    /// 503 where the store or the API server does not answer.
    pub(in crate::http) async fn scope(
        &self,
        caller: &Caller,
        action: Action,
        only: Option<&str>,
    ) -> Result<Scope, Problem> {
        let (Some(access), Caller::Known(known)) = (self.access(), caller) else {
            return Ok(Scope::All);
        };
        let now = self.now();
        // One question for whoever may everywhere, and none to the store.
        if access.allows(known, Right::everywhere(action), now).await? {
            return Ok(Scope::All);
        }
        let namespaces: BTreeSet<String> = if let Some(only) = only {
            // What cannot be a name is nothing to ask about.
            let only = Some(only).filter(|only| is_namespace(only));
            only.into_iter().map(str::to_owned).collect()
        } else {
            let sources = self.store()?.present_sources().await?;
            sources.into_iter().map(|(_, key)| key.namespace).collect()
        };
        access.within(known, action, namespaces, now).await
    }

    /// Whether the caller could have this source fetched from here.
    ///
    /// # Errors
    /// 503 where the API server does not answer.
    pub(in crate::http) async fn can_fetch(
        &self,
        caller: &Caller,
        source: &SourceKey,
    ) -> Result<bool, Problem> {
        match (self.access(), caller) {
            (Some(access), Caller::Known(known)) => {
                access.may_fetch(known, source, self.now()).await
            }
            _ => Ok(self.fetch_now.is_some()),
        }
    }

    /// Puts the annotation there that requests a fetch, and returns what it says; None where this
    /// server cannot, and the caller has to run a command.
    ///
    /// # Errors
    /// 403 and 404 as the API server has it, 401 where the caller's token is over.
    pub(in crate::http) async fn annotate(
        &self,
        known: &Known,
        source: &SourceKey,
    ) -> Result<Option<String>, Problem> {
        match self.access() {
            Some(access) => access.request_fetch(known, source, self.now()).await,
            None => Ok(None),
        }
    }

    /// The word that the caller's forms carry; None where no form of another site could be sent in
    /// their name.
    pub(in crate::http) fn form_word(&self, caller: &Caller) -> Option<String> {
        let (Some(access), Caller::Known(known)) = (self.access(), caller) else {
            return None;
        };
        let whose = known.forms_of()?;
        Some(access.key.form_word(&whose))
    }

    /// Whether the caller asks for this, and not another site in their name: by where the browser
    /// says the request comes from, and by the word that only our own page knows.
    ///
    /// # Errors
    /// 403 where it does not.
    pub(in crate::http) fn meant(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        word: Option<&str>,
    ) -> Result<(), Problem> {
        same_site(headers)?;
        let (Some(access), Caller::Known(known)) = (self.access(), caller) else {
            return Ok(());
        };
        let Some(whose) = known.forms_of() else {
            return Ok(());
        };
        let word = word.or_else(|| headers.get(WORD_HEADER)?.to_str().ok());
        if word.is_some_and(|word| access.key.is_form_word(&whose, word)) {
            return Ok(());
        }
        let detail = "this form is not of your session: reload the page, and send it again";
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }

    /// A `Set-Cookie` that signs in whoever this token is, and nobody else.
    ///
    /// # Errors
    /// 401 for a token that the API server does not take, 422 for one that no cookie can hold, 503
    /// where the API server does not answer, 404 where nobody signs in.
    pub(in crate::http) async fn sign_in(
        &self,
        token: &Token,
        headers: &HeaderMap,
        connection: Connection,
    ) -> Result<String, Problem> {
        let access = self.access().filter(|access| access.has_sign_in());
        let access = access.ok_or_else(no_sign_in)?;
        let now = self.now();
        access.review(token, now).await?;
        let secure = connection.is_secure(headers);
        session::begin(&access.key, token, token.ends(), secure, now).ok_or_else(|| {
            let detail = format!(
                "this token is longer than the {MOST_SESSION_TOKEN_BYTES} bytes that a cookie can \
                 keep: use one of `kubectl create token`, or an authenticating proxy"
            );
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        })
    }

    /// A `Set-Cookie` that signs out.
    pub(in crate::http) fn sign_out(headers: &HeaderMap, connection: Connection) -> String {
        session::end(connection.is_secure(headers))
    }
}

/// 404, where there is nothing to sign in to.
pub(in crate::http) fn no_sign_in() -> Problem {
    Problem::not_found("nobody signs in here")
}
