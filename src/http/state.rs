//! [`ReportState`]: what all handlers of the report server share.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use axum::body::Bytes;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::access::Access;
use super::cache::Cache;
use super::guard::HttpLimits;
use super::problem::Problem;
use crate::domain::Clock;
use crate::domain::data_source::SourceKey;
use crate::domain::report::Tally;
use crate::metrics::Metrics;
use crate::store::Store;

/// Agents whose days are being read from the store and decoded.
const AGENTS_READ_AT_ONCE: usize = 2;
/// Decoded agents; one of 90 days x 4 variations x 20 traits x 5 goals takes 5 MB.
const AGENTS_BYTES: usize = 24 << 20;
const ANSWERS_BYTES: usize = 8 << 20;

/// Asks for a fetch right now. `sumsq local` can; a report server beside the operator asks the API
/// server as its caller, or says by which command it is done.
#[async_trait]
pub trait FetchNow: Send + Sync + 'static {
    /// False where there is no such data source.
    async fn fetch_now(&self, source: &SourceKey) -> bool;
}

/// A place for the store: a report server may run before the store's writer has made it.
#[derive(Clone, Default)]
pub struct StoreSlot(Arc<OnceLock<Arc<dyn Store>>>);

impl StoreSlot {
    #[must_use]
    pub fn holding(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(OnceLock::from(store)))
    }

    /// Fills it; once is enough.
    pub fn fill(&self, store: Arc<dyn Store>) {
        self.0.set(store).ok();
    }

    #[must_use]
    pub fn get(&self) -> Option<&dyn Store> {
        self.0.get().map(|store| &**store)
    }
}

impl std::fmt::Debug for StoreSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let open = self.0.get().is_some();
        f.debug_struct("StoreSlot").field("open", &open).finish()
    }
}

/// What handlers share.
#[derive(Clone)]
pub struct ReportState {
    store: StoreSlot,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    /// None where another process fetches.
    pub fetch_now: Option<Arc<dyn FetchNow>>,
    /// None where everybody may do everything.
    access: Option<Arc<Access>>,
    limits: HttpLimits,
    loopback_only: bool,
    pub(super) in_flight: Arc<Semaphore>,
    pub(super) downloads: Arc<Semaphore>,
    pub(super) forms: Arc<Semaphore>,
    pub(super) sign_ins: Arc<Semaphore>,
    pub(super) agents: Arc<Cache<Arc<Tally>>>,
    /// Bodies by their ETag.
    pub(super) answers: Arc<Cache<Bytes>>,
    pub(super) loads: Arc<Semaphore>,
    /// Reports are computed by as many threads as there are cores, and never by those that serve.
    builders: Arc<Semaphore>,
}

impl ReportState {
    #[must_use]
    pub fn new(store: StoreSlot, metrics: Arc<Metrics>, clock: Clock) -> Self {
        let limits = HttpLimits::default();
        Self {
            store,
            metrics,
            clock,
            fetch_now: None,
            access: None,
            in_flight: Arc::new(Semaphore::new(limits.requests_in_flight)),
            downloads: Arc::new(Semaphore::new(limits.downloads_in_flight)),
            forms: Arc::new(Semaphore::new(limits.forms_in_flight)),
            sign_ins: Arc::new(Semaphore::new(limits.sign_ins_in_flight)),
            limits,
            loopback_only: false,
            agents: Arc::new(Cache::of_bytes(AGENTS_BYTES)),
            answers: Arc::new(Cache::of_bytes(ANSWERS_BYTES)),
            loads: Arc::new(Semaphore::new(AGENTS_READ_AT_ONCE)),
            builders: Arc::new(Semaphore::new(
                std::thread::available_parallelism().map_or(2, usize::from),
            )),
        }
    }

    #[must_use]
    pub fn with_limits(mut self, limits: HttpLimits) -> Self {
        self.in_flight = Arc::new(Semaphore::new(limits.requests_in_flight));
        self.downloads = Arc::new(Semaphore::new(limits.downloads_in_flight));
        self.forms = Arc::new(Semaphore::new(limits.forms_in_flight));
        self.sign_ins = Arc::new(Semaphore::new(limits.sign_ins_in_flight));
        self.limits = limits;
        self
    }

    /// Who is asked who may read; without, everybody may.
    #[must_use]
    pub fn with_access(mut self, access: Arc<Access>) -> Self {
        self.access = Some(access);
        self
    }

    pub(super) fn access(&self) -> Option<&Access> {
        self.access.as_deref()
    }

    /// Whether there is somebody to sign in.
    pub(super) fn signs_in(&self) -> bool {
        self.access().is_some_and(Access::has_sign_in)
    }

    /// Whether only this machine's own clients are to be served: those that ask by its own name for
    /// itself, or by an address.
    #[must_use]
    pub fn loopback_only(mut self, loopback_only: bool) -> Self {
        self.loopback_only = loopback_only;
        self
    }

    pub(super) fn is_loopback_only(&self) -> bool {
        self.loopback_only
    }

    #[must_use]
    pub fn with_fetch_now(mut self, fetch_now: Arc<dyn FetchNow>) -> Self {
        self.fetch_now = Some(fetch_now);
        self
    }

    /// # Errors
    /// 503 while the store is not open yet.
    pub fn store(&self) -> Result<&dyn Store, Problem> {
        self.store
            .get()
            .ok_or_else(|| Problem::unavailable("the store is not open yet; try again in a moment"))
    }

    pub(super) fn limits(&self) -> HttpLimits {
        self.limits
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Runs what takes the processor for a while where it holds up nobody.
    ///
    /// # Errors
    /// What `work` says; a panic of it is a 500.
    pub async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = Arc::clone(&self.builders)
            .acquire_owned()
            .await
            .map_err(|error| Problem::internal("no builder", &error))?;
        tokio::task::spawn_blocking(move || {
            // Held until the work is over, also where nobody waits for it any more.
            let _permit = permit;
            work()
        })
        .await
        .map_err(|error| Problem::internal("a report could not be built", &error))?
    }
}

impl std::fmt::Debug for ReportState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReportState").finish_non_exhaustive()
    }
}
