//! In the place of the API server: it counts what it is asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Method, Request};
use jiff::SignedDuration;
use sumsq::domain::data_source::SourceKey;
use sumsq::http::access::{
    Access, As, FetchAnswer, From, Identity, ReviewError, Reviewer, Right, SessionKey, Token,
};

use crate::fixture::{Answer, Site, now};

/// Tokens are their user's name; `forged` is nobody's, and whose begins with `slow` is found out once
/// `slow` can be read.
#[derive(Default)]
pub struct Rbac {
    /// User, action and namespace; `*` is all of them.
    rules: Mutex<Vec<(&'static str, &'static str, &'static str)>>,
    pub asked: Mutex<Vec<String>>,
    pub down: AtomicBool,
    pub slow: tokio::sync::RwLock<()>,
    pub fetched: Mutex<Vec<String>>,
}

impl Rbac {
    pub fn allow(&self, user: &'static str, action: &'static str, namespace: &'static str) {
        self.rules.lock().unwrap().push((user, action, namespace));
    }

    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn answers(&self, question: String) -> Result<(), ReviewError> {
        self.asked.lock().unwrap().push(question);
        if self.down.load(Ordering::SeqCst) {
            return Err(ReviewError::Unreachable("connection refused".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Reviewer for Rbac {
    async fn identify(&self, token: &Token) -> Result<Option<Identity>, ReviewError> {
        self.answers(format!("who is {}", token.expose()))?;
        let user = token.expose().split('.').next().unwrap();
        if user.starts_with("slow") {
            drop(self.slow.read().await);
        }
        Ok((user != "forged").then(|| Identity {
            user: user.to_owned(),
            uid: None,
            groups: vec!["system:authenticated".to_owned()],
            extra: BTreeMap::new(),
        }))
    }

    async fn allows(&self, who: &Identity, right: &Right) -> Result<bool, ReviewError> {
        let namespace = right.namespace.as_deref().unwrap_or("*");
        self.answers(format!("may {} {} in {namespace}", who.user, right.action))?;
        let action = right.action.to_string();
        let rules = self.rules.lock().unwrap();
        Ok(rules.iter().any(|(user, may, within)| {
            *user == who.user && *may == action && (*within == "*" || *within == namespace)
        }))
    }

    async fn allows_server(&self, right: &Right) -> Result<bool, ReviewError> {
        self.answers(format!("may this server {}", right.action))?;
        Ok(false)
    }

    async fn request_fetch(
        &self,
        by: As<'_>,
        source: &SourceKey,
        _: &str,
    ) -> Result<FetchAnswer, ReviewError> {
        let by = match by {
            As::Caller(token) => token.expose().to_owned(),
            As::Server { on_behalf_of } => format!("this server for {on_behalf_of}"),
        };
        self.fetched
            .lock()
            .unwrap()
            .push(format!("{source} by {by}"));
        Ok(FetchAnswer::Requested)
    }
}

/// A site with somebody at the door, on a clock that the tests turn.
pub struct Guarded {
    pub site: Site,
    pub rbac: Arc<Rbac>,
    later: Arc<AtomicI64>,
}

impl Guarded {
    pub fn over(site: Site) -> Self {
        Self::from(site, From::Kubernetes)
    }

    pub fn from(mut site: Site, from: From) -> Self {
        let rbac = Arc::new(Rbac::default());
        let later = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&later);
        site.state.clock =
            Arc::new(move || now() + SignedDuration::from_secs(clock.load(Ordering::SeqCst)));
        let key = SessionKey::new(&[1; 32]).unwrap();
        let reviewer = Arc::clone(&rbac) as Arc<dyn Reviewer>;
        let access = Access::new(from, reviewer, key, Arc::clone(&site.metrics));
        site.state = site.state.with_access(Arc::new(access));
        Self { site, rbac, later }
    }

    pub async fn filled() -> Self {
        Self::over(Site::filled().await)
    }

    pub fn at(&self, second: i64) {
        self.later.store(second, Ordering::SeqCst);
    }

    pub async fn ask(
        &self,
        method: Method,
        address: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.site.ask(request).await
    }

    /// With a token as programs send it.
    pub async fn get(&self, address: &str, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.ask(Method::GET, address, &[("authorization", &bearer)], "")
            .await
    }
}
