//! The operator: dereference (I/O only) -> validate (pure) -> act -> publish.
//!
//! What happens next is decided by the domain and carried out by the engine; this module brings
//! the objects in and the news out.

mod dereference;
mod events;
mod publish;
pub mod secrets;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::crd;
use crate::crd::data_source::DataSource;
use crate::domain::data_source::{DataSource as ValidSource, SourceKey};
use crate::domain::plan::{CursorUpdate, SlotCursor, Waiting};
use crate::domain::status::{ConditionStatus, Situation, Status, stalled_status, status};
use crate::ingest::engine::{Engine, Wanted};
use crate::ingest::unstored;
use crate::metrics::{Metrics, SourceGauges};
use crate::store::{SourceRef, SourceRow, StoreError};
use crate::validate::{self, Defaults, SpecProblem};
use dereference::Namespaces;

/// Its data go with the object.
pub const FINALIZER: &str = "sumsq.dev/delete-data";
/// Looks at a data source at least so often, whatever the clock of the machine does meanwhile.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// Longer than this no look takes that will ever end.
const LONGEST_LOOK: Duration = Duration::from_mins(1);
/// Looks at different data sources at the same time; each is short.
const RECONCILES_AT_ONCE: u16 = 16;

/// What the operator is made of.
pub struct Settings {
    pub client: Client,
    pub engine: Arc<Engine>,
    /// Sources whose fetch has begun or ended.
    pub ended: mpsc::UnboundedReceiver<SourceKey>,
    pub metrics: Arc<Metrics>,
    /// None: all namespaces.
    pub namespace: Option<String>,
    pub defaults: Defaults,
    /// Set once every data source has been listed.
    pub synced: Arc<AtomicBool>,
    pub shutdown: CancellationToken,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

struct Context {
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    defaults: Defaults,
    /// The one that is watched; None: all.
    namespace: Option<String>,
    namespaces: Namespaces,
    /// Specs that have been parsed, by the object's UID, with their generation: what does not
    /// change is not judged again at every look.
    parsed: Mutex<HashMap<String, (i64, Arc<ValidSource>)>>,
    publisher: publish::Publisher,
    events: events::Events,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the Kubernetes API or the store did not answer")]
    TimedOut,
    #[error("the Kubernetes API failed")]
    Kube(#[from] kube::Error),
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// Runs until `shutdown`, then until every look under way has ended.
pub async fn run(settings: Settings) {
    let Settings {
        client,
        engine,
        ended,
        metrics,
        namespace,
        defaults,
        synced,
        shutdown,
    } = settings;
    let api: Api<DataSource> = match &namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let context = Arc::new(Context {
        namespaces: Namespaces::new(client.clone()),
        parsed: Mutex::default(),
        publisher: publish::Publisher::new(client.clone(), Arc::clone(&metrics)),
        events: events::Events::new(client),
        engine,
        metrics,
        defaults,
        namespace,
    });

    let (reader, writer) = reflector::store();
    let watched = Arc::clone(&context);
    let objects = watcher(api, watcher::Config::default())
        .default_backoff()
        // What is not needed is not kept: field managers' records are half of an object's size.
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .inspect_err(|error| {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "the watch failed; it goes on"
            );
        });
    // Objects that went while nobody watched are found by comparing what the store calls present
    // with the first complete list.
    let listed = reader.clone();
    let objects = objects.then(move |event| {
        let (context, listed, synced) = (Arc::clone(&watched), listed.clone(), Arc::clone(&synced));
        async move {
            match &event {
                Ok(watcher::Event::Delete(object)) => context.gone(object).await,
                Ok(watcher::Event::InitDone) => {
                    let present = listed.state();
                    context.retire_missing(&present).await;
                    synced.store(true, Ordering::Release);
                    tracing::info!(data_sources = present.len(), "synced");
                }
                _ => {}
            }
            event
        }
    });
    let wanted_again = UnboundedReceiverStream::new(ended)
        .map(|key| ObjectRef::new(&key.name).within(&key.namespace));
    Controller::for_stream(Box::pin(objects.applied_objects()), reader)
        .with_config(Config::default().concurrency(RECONCILES_AT_ONCE))
        .reconcile_on(wanted_again)
        .graceful_shutdown_on(async move { shutdown.cancelled().await })
        .run(timed_reconcile, on_error, context)
        .for_each(|_| std::future::ready(()))
        .await;
}

async fn timed_reconcile(object: Arc<DataSource>, context: Arc<Context>) -> Result<Action, Error> {
    let began = Instant::now();
    // An API server that takes requests and never answers them must not hold the looks up.
    let result = tokio::time::timeout(LONGEST_LOOK, reconcile(&object, &context))
        .await
        .unwrap_or(Err(Error::TimedOut));
    context.metrics.reconciled(began.elapsed(), result.is_ok());
    result
}

async fn reconcile(object: &DataSource, context: &Context) -> Result<Action, Error> {
    let namespace_uid = context.namespaces.uid_of(object).await?;
    let source = context.parsed(object, &namespace_uid);

    if object.metadata.deletion_timestamp.is_some() {
        return context.finalize(object, &namespace_uid).await;
    }
    if context.align_finalizer(object).await? {
        // The patched object comes back through the watch.
        return Ok(Action::await_change());
    }
    match &source {
        Ok(source) => advance(object, source, context).await,
        Err(problems) => stall(object, &namespace_uid, problems, context).await,
    }
}

async fn advance(
    object: &DataSource,
    source: &Arc<ValidSource>,
    context: &Context,
) -> Result<Action, Error> {
    let wanted = Wanted {
        source: Arc::clone(source),
        requested: object.annotations().get(crd::FETCH_REQUESTED_AT).cloned(),
        force_requested: object
            .annotations()
            .get(crd::FORCE_FETCH_REQUESTED_AT)
            .cloned(),
    };
    let standing = match context.engine.advance(&wanted).await {
        Ok(standing) => standing,
        Err(error) => {
            // Said where people look, also by a store that can't even take note of the object.
            let failure = unstored(&error);
            context
                .publisher
                .unstored(object, &failure, context.engine.now())
                .await?;
            return Err(error.into());
        }
    };
    let now = context.engine.now();
    // A fetch of a few seconds is one write of status, at its end.
    let in_flight = standing.in_flight.as_ref();
    let shows_nothing_yet = standing.reason == Waiting::ForFetch
        && in_flight.is_none_or(|flight| flight.shows_at() > now);
    if !shows_nothing_yet {
        let situation = Situation {
            in_flight,
            waiting: standing.reason,
            until: standing.until,
            next_fetch: standing.next_fetch,
        };
        let status = status(source, &standing.stored, situation, now);
        context.observed(&source.key, &status, source.suspend);
        context
            .publisher
            .publish(object, &status, now, &context.events)
            .await?;
    }
    let wait = standing
        .until
        .map_or(LONGEST_WAIT, |until| {
            Duration::try_from(until.duration_since(now)).unwrap_or_default()
        })
        .min(LONGEST_WAIT);
    Ok(Action::requeue(wait))
}

/// Only another spec helps. What was fetched before is still told.
async fn stall(
    object: &DataSource,
    namespace_uid: &str,
    problems: &[SpecProblem],
    context: &Context,
) -> Result<Action, Error> {
    let key = dereference::key(object);
    let source = SourceRef {
        id: dereference::source_id(object, namespace_uid),
        uid: object.uid().unwrap_or_default(),
        key: key.clone(),
    };
    let history_limit = usize::try_from(object.spec.history_limit).unwrap_or(1);
    let stored = context
        .engine
        .store()
        .observe(&source, history_limit)
        .await?;
    // No slot of the time in which it is stalled is made up for later.
    if let Some(cursor) = stored
        .cursor
        .as_ref()
        .filter(|cursor| !cursor.schedule.is_empty())
    {
        let stopped = SlotCursor {
            schedule: String::new(),
            until: cursor.until,
        };
        let update = CursorUpdate {
            cursor: stopped,
            missed: 0,
        };
        context
            .engine
            .store()
            .advance_cursor(source.id, &update)
            .await?;
    }
    let reason = problems
        .first()
        .map_or("InvalidSpec", |problem| problem.reason.as_str());
    let messages: Vec<&str> = problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    let generation = object.metadata.generation.unwrap_or_default();
    let status = stalled_status(
        generation,
        history_limit,
        reason,
        &messages.join("; "),
        &stored,
    );
    context.observed(&key, &status, object.spec.suspend);
    context
        .publisher
        .publish(object, &status, context.engine.now(), &context.events)
        .await?;
    Ok(Action::await_change())
}

/// Tried again soon: what failed is the API server or the store, never the object.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the signature that the runtime calls"
)]
fn on_error(object: Arc<DataSource>, error: &Error, _: Arc<Context>) -> Action {
    tracing::warn!(
        source = %ObjectRef::from_obj(object.as_ref()),
        error = error as &dyn std::error::Error,
        "will look again"
    );
    Action::requeue(Duration::from_secs(5))
}

impl Context {
    fn parsed(
        &self,
        object: &DataSource,
        namespace_uid: &str,
    ) -> Result<Arc<ValidSource>, Vec<SpecProblem>> {
        let uid = object.uid().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        let lock = || self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, source)) = lock().get(&uid).filter(|(of, _)| *of == generation) {
            return Ok(Arc::clone(source));
        }
        let source = validate::data_source(object, namespace_uid, &self.defaults).map(Arc::new)?;
        lock().insert(uid, (generation, Arc::clone(&source)));
        Ok(source)
    }

    fn observed(&self, key: &SourceKey, status: &Status, suspended: bool) {
        let gauges = SourceGauges {
            agents: status.agent_count,
            last_success: status.last_success_time,
            next_fetch: status.next_fetch_time,
            missed_fetches: status.missed_fetches,
            rows: status.rows,
            object_bytes: status.history.iter().find_map(|entry| entry.bytes),
            suspended,
            stalled: status.stalled.is_some(),
            ready: status.ready.status == ConditionStatus::True,
        };
        self.metrics.observed(key, gauges);
    }

    /// Adds or removes the finalizer as `deletionPolicy` says. True where the object was changed.
    async fn align_finalizer(&self, object: &DataSource) -> Result<bool, Error> {
        let has = object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER);
        let wants = object.spec.deletion_policy == crd::data_source::DeletionPolicy::Delete;
        if has == wants {
            return Ok(false);
        }
        self.publisher.set_finalizer(object, wants).await?;
        Ok(true)
    }

    async fn finalize(&self, object: &DataSource, namespace_uid: &str) -> Result<Action, Error> {
        if object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER)
        {
            let id = dereference::source_id(object, namespace_uid);
            // The policy may have changed since the finalizer was set.
            let delete = object.spec.deletion_policy == crd::data_source::DeletionPolicy::Delete;
            self.engine.forget(id, delete).await?;
            self.publisher.set_finalizer(object, false).await?;
            tracing::info!(source = %dereference::key(object), data_deleted = delete, "deleted");
        } else {
            // Somebody else's finalizer holds the object; its fetch is of no use any more.
            self.engine
                .cancel(dereference::source_id(object, namespace_uid));
        }
        Ok(Action::await_change())
    }

    /// The object is gone: its fetch ends, its series end, its data stay.
    async fn gone(&self, object: &DataSource) {
        let key = dereference::key(object);
        self.metrics.forget(&key);
        self.namespaces.forget(object);
        self.parsed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&object.uid().unwrap_or_default());
        let sources = match self.engine.store().sources().await {
            Ok(sources) => sources,
            Err(error) => {
                tracing::warn!(source = %key, error = &error as &dyn std::error::Error,
                    "a deletion will be noted at the next start");
                return;
            }
        };
        for row in sources.iter().filter(|row| row.present && row.key == key) {
            self.retire(row.id, &key).await;
        }
    }

    async fn retire_missing(&self, present: &[Arc<DataSource>]) {
        let uids: HashSet<_> = present.iter().filter_map(|object| object.uid()).collect();
        self.parsed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|uid, _| uids.contains(uid));
        let present: HashSet<_> = present
            .iter()
            .map(|object| dereference::key(object))
            .collect();
        match self.engine.store().sources().await {
            Ok(sources) => {
                let watched = |row: &&SourceRow| {
                    self.namespace
                        .as_ref()
                        .is_none_or(|watched| *watched == row.key.namespace)
                };
                for row in sources.iter().filter(|row| row.present).filter(watched) {
                    if !present.contains(&row.key) {
                        self.metrics.forget(&row.key);
                        self.retire(row.id, &row.key).await;
                    }
                }
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "deletions while the operator was down will be noted later"
            ),
        }
    }

    async fn retire(&self, id: crate::domain::data_source::SourceId, key: &SourceKey) {
        match self.engine.forget(id, false).await {
            Ok(()) => tracing::info!(source = %key, "deleted; its data stay"),
            Err(error) => tracing::warn!(
                source = %key,
                error = &error as &dyn std::error::Error,
                "a deletion will be noted at the next start"
            ),
        }
    }
}
