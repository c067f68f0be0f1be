//! One fetch on its way through the pool, to its end in the log or in the engine's memory.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::held::Loss;
use super::{Asked, Engine, Trouble, lock, warn};
use crate::domain::data_source::DataSource;
use crate::domain::fetch::{ErrorCode, FetchError, FetchRecord, Outcome, cases};
use crate::domain::plan::SHOWN_AFTER;
use crate::ingest::{Credentials, Ended, Ingest, Known, unstored};
use crate::store::{BeginFetch, StoreError};

/// Everything that one fetch takes along.
pub(super) struct Job {
    pub(super) engine: Arc<Engine>,
    pub(super) source: Arc<DataSource>,
    pub(super) flight: Uuid,
    pub(super) begin: BeginFetch,
    pub(super) known: Known,
    /// As the store has it.
    pub(super) reader: Option<String>,
    /// As the annotations had it.
    pub(super) asked: Asked,
    pub(super) cancel: CancellationToken,
}

/// None where nothing of it is in the log.
type Fetched = Result<Option<Outcome>, StoreError>;

impl Job {
    pub(super) async fn run(mut self) {
        if !self.cancel.is_cancelled() {
            self.begin.started_at = self.engine.now();
            self.mark_started();
            match self.fetch_and_tell().await {
                Ok(result) => self.settle(result),
                Err(_) => self.settle_panic(),
            }
        }
        let mut flights = lock(&self.engine.flights);
        // A newer flight may have taken the place of one that was cancelled.
        if flights
            .get(&self.source.id)
            .is_some_and(|flight| flight.id == self.flight)
        {
            flights.remove(&self.source.id);
        }
        drop(flights);
        self.engine.notify(&self.source.key);
    }

    /// The fetch, or its panic. While it is under way it wants a look once: when that has something
    /// to tell.
    async fn fetch_and_tell(&mut self) -> std::thread::Result<Fetched> {
        let (engine, key) = (Arc::clone(&self.engine), self.source.key.clone());
        let mut fetch = AssertUnwindSafe(Box::pin(self.fetch())).catch_unwind();
        if let Ok(ended) = tokio::time::timeout(SHOWN_AFTER, &mut fetch).await {
            return ended;
        }
        engine.notify(&key);
        fetch.await
    }

    async fn fetch(&mut self) -> Fetched {
        let Ingest { store, .. } = &self.engine.ingest;
        let fetch = match store.begin_fetch(&self.begin).await {
            Err(taken @ StoreError::SlotTaken { .. }) => {
                if let Some(update) = &self.begin.cursor {
                    store.advance_cursor(self.source.id, update).await?;
                }
                return Err(taken);
            }
            begun => begun?,
        };
        let key = &self.source.key;
        tracing::info!(source = %key, trigger = self.begin.plan.trigger.as_str(), %fetch, "fetch begins");
        let known = std::mem::take(&mut self.known);
        // Found out beside the fetch, so that both are in the status write that follows; and never
        // what a fetch waits for that is over.
        let credentials = Credentials::default();
        let reader = tokio::time::timeout(self.source.timeout, self.find_reader(&credentials));
        let (_, ended) = tokio::join!(
            self.cancel.run_until_cancelled(reader),
            self.engine
                .ingest
                .run(&self.source, fetch, known, &credentials, &self.cancel)
        );
        match ended? {
            Ended::Logged(outcome) => Ok(Some(outcome)),
            Ended::Cancelled if self.engine.stopping.load(Ordering::Relaxed) => {
                tracing::info!(source = %key, %fetch, "fetch left to the next start");
                Ok(None)
            }
            Ended::Cancelled => {
                tracing::info!(source = %key, %fetch, "fetch cancelled");
                store.abandon_fetch(self.source.id, fetch).await?;
                Ok(None)
            }
        }
    }

    async fn find_reader(&self, credentials: &Credentials) {
        let found = self.engine.ingest.reader(&self.source, credentials).await;
        let Some(reader) = found.changes(self.reader.as_deref()) else {
            return;
        };
        // Good to know, and no reason to lose a fetch.
        if let Err(error) = self.engine.store().set_reader(self.source.id, reader).await {
            warn(&self.source.key, &error, "the reader cannot be stored");
        }
    }

    fn settle(&self, result: Fetched) {
        let (source, engine) = (&self.source, &self.engine);
        match result {
            Ok(None) => {}
            Ok(Some(outcome)) => {
                lock(&engine.troubles).remove(&source.id);
                self.report(&outcome);
            }
            Err(StoreError::SlotTaken { slot, .. }) => {
                // The log is the truth: the slot has run. (A clock that was set back shows it
                // again.) The cursor, which would have moved with the fetch, moves on its own.
                tracing::info!(source = %source.key, %slot, "slot has been fetched already");
            }
            Err(StoreError::UnknownFetch(fetch)) => {
                // Deleted or cancelled in the meantime: its end is of no interest any more.
                tracing::info!(source = %source.key, %fetch, "fetch ended after its data source");
            }
            Err(StoreError::Fenced { term, newer }) => {
                // Nothing of it was kept.
                engine.metrics.fenced();
                engine.held.lose(source, Loss { term, newer });
            }
            Err(error) => {
                warn(&source.key, &error, "fetch cannot be logged");
                let failure = unstored(&error);
                self.remember(failure.clone());
                self.report(&Outcome::Failed(failure));
            }
        }
    }

    /// A bug, met by one file: the others go on, and this one is told and tried again.
    fn settle_panic(&self) {
        tracing::error!(source = %self.source.key, "a fetch met a bug; the panic is above");
        let failure = FetchError::new(
            ErrorCode::StoreError,
            "the operator met a bug while it read or stored this file",
            cases::a_bug(),
        );
        self.remember(failure.clone());
        self.report(&Outcome::Failed(failure));
    }

    fn remember(&self, failure: FetchError) {
        let mut troubles = lock(&self.engine.troubles);
        // As with failures that could be logged, a new request starts the backoff anew.
        let failures = troubles
            .get(&self.source.id)
            .filter(|trouble| trouble.asked == self.asked)
            .map_or(0, |trouble| trouble.failures)
            + 1;
        let record = FetchRecord {
            id: self.flight,
            uid: self.source.uid.clone(),
            trigger: self.begin.plan.trigger,
            fingerprint: self.begin.fingerprint.clone(),
            started_at: self.begin.started_at,
            completed_at: Some(self.engine.now()),
            attempts: failures,
            outcome: Some(Outcome::Failed(failure)),
        };
        let trouble = Trouble {
            record,
            asked: self.asked.clone(),
            failures,
        };
        troubles.insert(self.source.id, trouble);
    }

    fn report(&self, outcome: &Outcome) {
        let took = self.engine.now().duration_since(self.begin.started_at);
        let took = Duration::try_from(took).unwrap_or_default();
        let key = &self.source.key;
        self.engine
            .metrics
            .fetch_ended(key, self.begin.plan.trigger, outcome, took);
        match outcome {
            Outcome::Failed(error) => {
                tracing::warn!(source = %key, code = error.code, "fetch failed: {}", error.message);
            }
            Outcome::Imported(import) => tracing::info!(
                source = %key,
                rows = import.rows,
                agents = import.agent_count,
                changed_agent_days = import.changed_agent_days,
                "imported in {took:.1?}"
            ),
            Outcome::NotModified => tracing::info!(source = %key, "not modified"),
        }
    }

    fn mark_started(&self) {
        if let Some(flight) = lock(&self.engine.flights).get_mut(&self.source.id)
            && flight.id == self.flight
        {
            flight.state.started_at = Some(self.begin.started_at);
        }
    }
}
