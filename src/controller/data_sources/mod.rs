//! DataSources: looked at when they change, when a fetch of theirs begins or ends, and when
//! something is due.

mod announce;
mod known;
mod presence;
mod unreadable;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use self::known::Kept;
pub(super) use self::known::Known;
use super::listing::Listing;
use super::publish::Reported;
use super::{Error, LONGEST_WAIT, RECONCILES_AT_ONCE, Shared, Touched, dereference, on_error};
use crate::crd;
use crate::crd::data_source::DeletionPolicy;
use crate::domain::data_source::{DataSource as ValidSource, SourceKey};
use crate::domain::description::{Description, Stall};
use crate::domain::plan::{CursorUpdate, InFlight, SlotCursor, Waiting};
use crate::domain::status::{ConditionStatus, Reason, Situation, Status, stalled_status, status};
use crate::ingest::engine::Wanted;
use crate::ingest::unstored;
use crate::metrics::SourceGauges;
use crate::store::{SourceRef, StoreError};
use crate::validate::{self, Defaults, SpecProblem};

struct Context {
    shared: Arc<Shared>,
    defaults: Defaults,
    listed: reflector::Store<Known>,
    /// Specs that have been parsed, by the object's UID, with their generation: what does not
    /// change is not judged again at every look.
    parsed: Mutex<HashMap<String, (i64, Arc<ValidSource>)>>,
}

/// Until the shutdown, then until every look under way has ended.
pub(super) async fn run(
    shared: Arc<Shared>,
    listing: Listing<Known>,
    defaults: Defaults,
    ended: mpsc::UnboundedReceiver<SourceKey>,
    synced: Arc<AtomicBool>,
) {
    let shutdown = shared.shutdown.clone();
    let reader = listing.objects.clone();
    let context = Arc::new(Context {
        shared,
        defaults,
        listed: reader.clone(),
        parsed: Mutex::default(),
    });
    let Some(events) = listing.begin(&shutdown).await else {
        return;
    };
    // Objects that went while nobody watched are found by comparing what the store calls present
    // with the first complete list.
    let (watched, listed) = (Arc::clone(&context), reader.clone());
    let objects = events.filter_map(move |event| {
        let (context, listed, synced) = (Arc::clone(&watched), listed.clone(), Arc::clone(&synced));
        async move {
            match &event {
                Ok(watcher::Event::Apply(object)) if context.is_echo(object) => return None,
                Ok(watcher::Event::Delete(object)) => context.gone(object).await,
                Ok(watcher::Event::InitDone) => {
                    let present = listed.state();
                    context.retire_missing(&present).await;
                    synced.store(true, Ordering::Release);
                    tracing::info!(data_sources = present.len(), "synced");
                }
                _ => {}
            }
            Some(event)
        }
    });
    let wanted_again = UnboundedReceiverStream::new(ended)
        .map(|key| ObjectRef::new(&key.name).within(&key.namespace));
    Controller::for_stream(Box::pin(objects.applied_objects()), reader)
        .with_config(Config::default().concurrency(RECONCILES_AT_ONCE))
        .reconcile_on(wanted_again)
        .graceful_shutdown_on(async move { shutdown.cancelled().await })
        .run(look, on_error, context)
        .for_each(|_| std::future::ready(()))
        .await;
}

async fn look(object: Arc<Known>, context: Arc<Context>) -> Result<Action, Error> {
    let look = Box::pin(async {
        match object.kept() {
            Some(kept) => reconcile(&object, kept, &context).await,
            None => unreadable::look(&object, &context).await,
        }
    });
    let result = context.shared.look(look).await;
    context.ends_where_its_object_did(&object).await;
    // Whatever was the occasion, agents that it holds may have changed with it.
    let source = Touched::Source(dereference::key(object.as_ref()));
    context.shared.touch(source);
    result
}

async fn reconcile(object: &Known, kept: &Kept, context: &Context) -> Result<Action, Error> {
    let namespace_uid = context.shared.namespaces.uid_of(object).await?;
    let source = context.parsed(object, kept, &namespace_uid)?;

    if object.meta().deletion_timestamp.is_some() {
        // The policy may have changed since the finalizer was set.
        let delete = kept.deletion_policy == DeletionPolicy::Delete;
        return context.finalize(object, &namespace_uid, delete).await;
    }
    if context.align_finalizer(object, kept).await? {
        // The patched object comes back through the watch.
        return Ok(Action::await_change());
    }
    match &source {
        Ok(source) => advance(object, source, context).await,
        Err(problems) => {
            let messages: Vec<&str> = problems
                .iter()
                .map(|problem| problem.message.as_str())
                .collect();
            let stalled = Stalled {
                reason: problems
                    .first()
                    .map_or(Reason::InvalidSpec, |problem| problem.reason),
                message: &messages.join("; "),
                history_limit: usize::try_from(kept.history_limit).unwrap_or(1),
                suspended: kept.suspend,
            };
            stall(object, &namespace_uid, stalled, context).await
        }
    }
}

async fn advance(
    object: &Known,
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
    let standing = match context.shared.engine.advance(&wanted).await {
        Ok(standing) => standing,
        // Its status is another's to write, too.
        Err(error @ StoreError::Fenced { .. }) => {
            context.shared.metrics.forget(&source.key);
            return Err(error.into());
        }
        Err(error) => {
            // Said where people look, also by a store that can't even take note of the object.
            let failure = unstored(&error);
            context.shared.metrics.unstored(&source.key, failure.class);
            let now = context.shared.engine.now();
            announce::unstored(&context.shared, object, &failure, now).await?;
            return Err(error.into());
        }
    };
    let now = context.shared.engine.now();
    // A fetch of a few seconds is one write of status, at its end.
    let in_flight = standing.in_flight.as_ref();
    let is_told_later = standing.reason == Waiting::ForFetch
        && !in_flight.is_some_and(|flight| flight.shows(now) || is_edited(object, flight));
    if !is_told_later {
        let situation = Situation {
            in_flight,
            waiting: standing.reason,
            until: standing.until,
            next_fetch: standing.next_fetch,
        };
        let status = status(source, &standing.stored, situation, now);
        let due = success_due(object, source, &status);
        context.observed(&source.key, &status, source.suspend, due);
        announce::status(&context.shared, object, &status, now).await?;
    }
    let wait = standing
        .until
        .map_or(LONGEST_WAIT, |until| {
            Duration::try_from(until.duration_since(now)).unwrap_or_default()
        })
        .min(LONGEST_WAIT);
    Ok(Action::requeue(wait))
}

/// When data should be newer than they are: their alert goes by it.
fn success_due(object: &Known, source: &ValidSource, status: &Status) -> Option<Timestamp> {
    if source.suspend || source.goals.is_empty() {
        return None;
    }
    let created = object.meta().creation_timestamp.as_ref();
    let since = status.last_success_time.or(created.map(|time| time.0))?;
    source.schedule.next_after(since)
}

/// Whether another spec, of which nothing is fetched, has been taken note of, and a fetch may stay
/// queued for long: then that is told before.
fn is_edited(object: &Known, flight: &InFlight) -> bool {
    flight.shows_at().is_none() && object.observed_generation() != object.meta().generation
}

/// Why only another spec helps.
struct Stalled<'a> {
    reason: Reason,
    message: &'a str,
    history_limit: usize,
    suspended: bool,
}

/// Only another spec helps. What was fetched before is still told.
async fn stall<K: Reported>(
    object: &K,
    namespace_uid: &str,
    stalled: Stalled<'_>,
    context: &Context,
) -> Result<Action, Error> {
    let key = dereference::key(object);
    let source = SourceRef {
        id: dereference::source_id(object, namespace_uid),
        uid: object.uid().unwrap_or_default(),
        key: key.clone(),
    };
    let store = context.shared.engine.store();
    let stored = store.observe(&source, stalled.history_limit).await?;
    let stall = Stall {
        reason: stalled.reason.as_str().to_owned(),
        message: stalled.message.to_owned(),
    };
    let description = Description::of_stalled(stored.description.clone(), &key.name, stall);
    if stored.description.as_ref() != Some(&description) {
        store.describe(source.id, &description).await?;
    }
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
        store.advance_cursor(source.id, &update).await?;
    }
    let status = stalled_status(
        object.meta().generation.unwrap_or_default(),
        stalled.history_limit,
        stalled.reason,
        stalled.message,
        &stored,
    );
    context.observed(&key, &status, stalled.suspended, None);
    let now = context.shared.engine.now();
    announce::status(&context.shared, object, &status, now).await?;
    Ok(Action::await_change())
}

impl Context {
    fn is_echo(&self, object: &Known) -> bool {
        let told = object.told();
        told.is_ok_and(|told| self.shared.publisher.is_echo(object.meta(), &told))
    }

    fn parsed(
        &self,
        object: &Known,
        kept: &Kept,
        namespace_uid: &str,
    ) -> Result<Result<Arc<ValidSource>, Vec<SpecProblem>>, serde_json::Error> {
        let uid = object.uid().unwrap_or_default();
        let generation = object.meta().generation.unwrap_or_default();
        let lock = || self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, source)) = lock().get(&uid).filter(|(of, _)| *of == generation) {
            return Ok(Ok(Arc::clone(source)));
        }
        let object = object.object(kept)?;
        let source = validate::data_source(&object, namespace_uid, &self.defaults).map(Arc::new);
        if let Ok(source) = &source {
            lock().insert(uid, (generation, Arc::clone(source)));
        }
        Ok(source)
    }

    fn observed(
        &self,
        key: &SourceKey,
        status: &Status,
        suspended: bool,
        success_due: Option<Timestamp>,
    ) {
        let failing = status.stalled.is_none() && status.ready.status == ConditionStatus::False;
        let gauges = SourceGauges {
            agents: status.agent_count,
            last_success: status.last_success_time,
            next_fetch: status.next_fetch_time,
            success_due,
            missed_fetches: status.missed_fetches,
            rows: status.rows,
            object_bytes: status.history.iter().find_map(|entry| entry.bytes),
            suspended,
            stalled: status.stalled.is_some(),
            ready: status.ready.status == ConditionStatus::True,
            failing: failing.then_some(status.ready.reason),
        };
        self.shared.metrics.observed(key, gauges);
    }
}
