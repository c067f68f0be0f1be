//! Carries out what [`decide`] says: the one place where a plan becomes a fetch, for the cluster
//! and for a folder alike.

mod held;
mod job;
mod read;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::held::{Held, Loss};
use self::job::Job;
use self::read::{known, observed, source_ref};
use super::pool::Pool;
use super::{Credentials, Ingest, Reader};
use crate::domain::data_source::{AssumedRole, DataSource, Identity, SourceId, SourceKey};
use crate::domain::description::Description;
use crate::domain::fetch::FetchRecord;
use crate::domain::plan::{
    CursorUpdate, FetchPlan, InFlight, Plan, PlanSettings, Waiting, backoff, decide,
};
use crate::domain::status::Stored;
use crate::metrics::Metrics;
use crate::store::{BeginFetch, Store, StoreError};

/// For what was cancelled at a shutdown to end.
const LAST_GRACE: Duration = Duration::from_millis(500);

/// Keeps what is under way, and nothing else: what has happened is in the store.
pub struct Engine {
    ingest: Ingest,
    pool: Arc<Pool>,
    metrics: Arc<Metrics>,
    settings: PlanSettings,
    flights: Mutex<HashMap<SourceId, Flight>>,
    troubles: Mutex<HashMap<SourceId, Trouble>>,
    /// Whose identity was asked for without a fetch, by this process.
    identified: Mutex<HashMap<SourceId, (Identity, Option<AssumedRole>)>>,
    held: Held,
    ended: mpsc::UnboundedSender<SourceKey>,
    stopping: AtomicBool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// A data source and what was asked of it by annotation.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub source: Arc<DataSource>,
    pub requested: Option<String>,
    pub force_requested: Option<String>,
}

/// How a data source stands after everything that was due has been begun.
#[derive(Debug, Clone)]
pub struct Standing {
    pub stored: Stored,
    pub in_flight: Option<InFlight>,
    pub reason: Waiting,
    /// When to look again, where nothing happens before.
    pub until: Option<Timestamp>,
    pub next_fetch: Option<Timestamp>,
}

/// A fetch that is queued or runs.
struct Flight {
    id: Uuid,
    state: InFlight,
    cancel: CancellationToken,
}

/// The store could not even log how a fetch ended; kept in memory until it can.
#[derive(Debug, Clone)]
struct Trouble {
    record: FetchRecord,
    /// The requests as they stood when this fetch was begun.
    asked: Asked,
    failures: u32,
}

/// The requests of an object's annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    requested: Option<String>,
    force_requested: Option<String>,
}

impl Asked {
    fn by(wanted: &Wanted) -> Self {
        Self {
            requested: wanted.requested.clone(),
            force_requested: wanted.force_requested.clone(),
        }
    }
}

impl Engine {
    /// Sources whose fetch has ended come out of the receiver: they want another look.
    #[must_use]
    pub fn new(
        ingest: Ingest,
        pool: Arc<Pool>,
        metrics: Arc<Metrics>,
        settings: PlanSettings,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<SourceKey>) {
        let (ended, receiver) = mpsc::unbounded_channel();
        let engine = Self {
            ingest,
            pool,
            metrics,
            settings,
            flights: Mutex::default(),
            troubles: Mutex::default(),
            identified: Mutex::default(),
            held: Held::default(),
            ended,
            stopping: AtomicBool::new(false),
        };
        (Arc::new(engine), receiver)
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.ingest.clock)()
    }

    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.ingest.store
    }

    /// Until another operator takes a source over from this process.
    pub async fn loses_a_source(&self) {
        self.held.loses_one().await;
    }

    /// Looks at a data source and begins what is due. Never two at a time for one source.
    ///
    /// # Errors
    /// The store's own; nothing has been begun then.
    pub async fn advance(self: &Arc<Self>, wanted: &Wanted) -> Result<Standing, StoreError> {
        let advanced = self.advance_held(wanted).await;
        if let Err(StoreError::Fenced { term, newer }) = advanced {
            self.held.lose(&wanted.source, Loss { term, newer });
        }
        advanced
    }

    async fn advance_held(self: &Arc<Self>, wanted: &Wanted) -> Result<Standing, StoreError> {
        let source = &wanted.source;
        self.held.check(source.id)?;
        let store = &self.ingest.store;
        loop {
            // Before the log is read: what ends in between is still known as under way, and its end
            // brings the next look. The other way round it would seem never to have been.
            let in_flight = self.in_flight(source.id);
            let mut stored = store
                .observe(&source_ref(source), source.history_limit)
                .await?;
            self.describe(source, &mut stored).await?;
            let now = self.now();
            if let Some(standing) = self.troubled(wanted, &stored, now) {
                return Ok(standing);
            }
            let decision = decide(
                source,
                &observed(wanted, &stored, in_flight),
                self.settings,
                now,
            );
            let waits = matches!(decision.plan, Plan::Wait { .. }) && decision.cursor.is_none();
            if !waits && self.held.take(store.as_ref(), source.id).await? {
                // What the leader before this one did until now is known only from here on.
                continue;
            }
            match decision.plan {
                Plan::Fetch(plan) if self.stopping.load(Ordering::Relaxed) => {
                    tracing::debug!(source = %source.key, ?plan, "not begun: shutting down");
                    return Ok(Standing::waiting(stored, None, Waiting::ForFetch));
                }
                Plan::Fetch(plan) => self.begin(wanted, plan, decision.cursor, &stored, now),
                Plan::Cancel => {
                    if self.cancel(source.id) {
                        // It had only been queued: nothing has to end first.
                        continue;
                    }
                    // It ends at once, and its end brings the next look.
                    return Ok(Standing::waiting(stored, None, Waiting::ForFetch));
                }
                Plan::Abandon(fetch) => store.abandon_fetch(source.id, fetch).await?,
                Plan::Wait {
                    reason,
                    until,
                    next_fetch,
                } => {
                    if let Some(update) = decision.cursor {
                        store.advance_cursor(source.id, &update).await?;
                        stored.missed_fetches += u64::from(update.missed);
                        stored.cursor = Some(update.cursor);
                    }
                    self.identify(source, &stored, reason);
                    return Ok(Standing {
                        stored,
                        in_flight: self.in_flight(source.id),
                        reason,
                        until,
                        next_fetch,
                    });
                }
            }
        }
    }

    fn in_flight(&self, id: SourceId) -> Option<InFlight> {
        let flights = lock(&self.flights);
        flights.get(&id).map(|flight| flight.state.clone())
    }

    /// Reports follow the spec, also where nothing is fetched for it.
    async fn describe(&self, source: &DataSource, stored: &mut Stored) -> Result<(), StoreError> {
        let description = Description::of(source, self.settings.schedule_jitter);
        if stored.description.as_ref() != Some(&description) {
            self.ingest.store.describe(source.id, &description).await?;
            stored.description = Some(description);
        }
        Ok(())
    }

    /// Cancels what is queued or under way for a source. True where it was only queued: then its
    /// place is free at once, and the job finds itself cancelled when its turn comes.
    pub fn cancel(&self, id: SourceId) -> bool {
        let mut flights = lock(&self.flights);
        let Some(flight) = flights.get(&id) else {
            return false;
        };
        flight.cancel.cancel();
        let queued = flight.state.started_at.is_none();
        if queued {
            flights.remove(&id);
        }
        queued
    }

    /// Cancels what is under way for an object that is gone, and removes its data where asked.
    ///
    /// # Errors
    /// The store's own.
    pub async fn forget(&self, id: SourceId, delete_data: bool) -> Result<(), StoreError> {
        if let Some(flight) = lock(&self.flights).remove(&id) {
            flight.cancel.cancel();
        }
        lock(&self.troubles).remove(&id);
        lock(&self.identified).remove(&id);
        self.held.forget(id);
        if delete_data {
            self.ingest.store.delete(id).await
        } else {
            self.ingest.store.retire(id).await
        }
    }

    /// Lets fetches that run finish within `grace`, then leaves them to the next start: their rows
    /// stay in the log as begun, and are taken up from there.
    pub async fn shut_down(&self, grace: Duration) {
        self.stopping.store(true, Ordering::Relaxed);
        if tokio::time::timeout(grace, self.pool.drain())
            .await
            .is_err()
        {
            for flight in lock(&self.flights).values() {
                flight.cancel.cancel();
            }
            // What does not end now either is cut off in a transaction, and so has not been.
            tokio::time::timeout(LAST_GRACE, self.pool.drain())
                .await
                .ok();
        }
    }

    fn begin(
        self: &Arc<Self>,
        wanted: &Wanted,
        plan: FetchPlan,
        cursor: Option<CursorUpdate>,
        stored: &Stored,
        now: Timestamp,
    ) {
        let source = Arc::clone(&wanted.source);
        let flight = Flight {
            id: Uuid::now_v7(),
            state: InFlight {
                trigger: plan.trigger,
                fingerprint: source.fingerprint(),
                queued_at: now,
                started_at: None,
            },
            cancel: CancellationToken::new(),
        };
        let job = Job {
            engine: Arc::clone(self),
            flight: flight.id,
            cancel: flight.cancel.clone(),
            known: known(&source, &plan, stored),
            reader: stored.reader.clone(),
            asked: Asked::by(wanted),
            begin: BeginFetch {
                source: source.id,
                uid: source.uid.clone(),
                fingerprint: flight.state.fingerprint.clone(),
                plan,
                cursor,
                started_at: now,
            },
            source,
        };
        lock(&self.flights).insert(job.source.id, flight);
        let namespace = job.source.key.namespace.clone();
        // What it takes while it runs is made when it runs: thousands may be queued.
        let job = async move { Box::pin(job.run()).await };
        self.pool.submit(&namespace, job.boxed());
    }

    /// Whose identity reads must be known before the first fetch: it is what a bucket policy has
    /// to name. Where no fetch is due that would find out, a job of its own does.
    fn identify(self: &Arc<Self>, source: &Arc<DataSource>, stored: &Stored, reason: Waiting) {
        let no_fetch_will = matches!(reason, Waiting::NoGoals | Waiting::Suspended);
        if !no_fetch_will || self.stopping.load(Ordering::Relaxed) {
            return;
        }
        // Once for each identity that the spec names: it may change while nothing is fetched.
        let identity = (source.object.identity.clone(), source.object.role.clone());
        let asked = lock(&self.identified).insert(source.id, identity.clone());
        if asked == Some(identity) {
            return;
        }
        let known = stored.reader.clone();
        let (engine, source) = (Arc::clone(self), Arc::clone(source));
        let namespace = source.key.namespace.clone();
        let job = async move {
            let found = engine.ingest.reader(&source, &Credentials::default()).await;
            if !matches!(found, Reader::Known(_)) {
                engine.ask_again(&source);
            }
            let Some(reader) = found.changes(known.as_deref()) else {
                return;
            };
            match engine.ingest.store.set_reader(source.id, reader).await {
                Ok(()) => engine.notify(&source.key),
                Err(error) => {
                    warn(&source.key, &error, "the reader cannot be stored");
                    engine.ask_again(&source);
                }
            }
        };
        self.pool.submit(&namespace, job.boxed());
    }

    /// The next look asks again whose identity reads: this time it could not be had, or not be kept.
    fn ask_again(&self, source: &DataSource) {
        let mut identified = lock(&self.identified);
        // What another spec has asked since stands.
        let asked = identified.get(&source.id);
        if asked.is_some_and(|(identity, role)| {
            (identity, role) == (&source.object.identity, &source.object.role)
        }) {
            identified.remove(&source.id);
        }
    }

    /// Where not even a failure could be logged, the failure is shown from memory until its
    /// backoff has passed.
    fn troubled(&self, wanted: &Wanted, stored: &Stored, now: Timestamp) -> Option<Standing> {
        let source = &wanted.source;
        let trouble = lock(&self.troubles).get(&source.id).cloned()?;
        let until = trouble.record.completed_at? + backoff(trouble.failures);
        // A request that has come since is a reason to try at once.
        let asked = Asked::by(wanted) != trouble.asked;
        if until <= now || asked || trouble.record.fingerprint != source.fingerprint() {
            return None;
        }
        let mut stored = stored.clone();
        stored.last_fetch_at = trouble.record.completed_at;
        stored.history.insert(0, trouble.record);
        Some(Standing {
            stored,
            in_flight: None,
            reason: Waiting::ForRetry,
            until: Some(until),
            next_fetch: Some(until),
        })
    }

    fn notify(&self, source: &SourceKey) {
        // Nobody listens any more while shutting down.
        self.ended.send(source.clone()).ok();
    }
}

impl Standing {
    fn waiting(stored: Stored, in_flight: Option<InFlight>, reason: Waiting) -> Self {
        Self {
            stored,
            in_flight,
            reason,
            until: None,
            next_fetch: None,
        }
    }
}

fn warn(source: &SourceKey, error: &StoreError, what: &str) {
    tracing::warn!(source = %source, error = error as &dyn std::error::Error, "{what}");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
