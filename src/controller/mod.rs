//! The operator: dereference (I/O only) -> validate (pure) -> act -> publish.
//!
//! What happens next is decided by the domain and carried out by the engine; this module brings
//! the objects in and the news out. Each kind has a folder of its own; what all kinds need lies
//! beside it: [`dereference`], [`publish`], [`events`].

mod agents;
mod data_sources;
mod dereference;
mod events;
pub mod lease;
mod listing;
mod publish;
pub mod secrets;
pub mod service_accounts;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use kube::Client;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{self, Lookup, ObjectRef};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::data_source::SourceKey;
use crate::ingest::engine::Engine;
use crate::ingest::judge::JudgeError;
use crate::metrics::Metrics;
use crate::store::StoreError;
use crate::validate::Defaults;
use dereference::Namespaces;
use events::Events;
use lease::Leadership;
pub use listing::{Lists, Scope};
use publish::Publisher;

/// Looks at an object at least so often, whatever the clock of the machine does meanwhile.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// Longer than this no look takes that will ever end.
const LONGEST_LOOK: Duration = Duration::from_mins(1);
/// Looks at different objects of one kind at the same time; each is short.
const RECONCILES_AT_ONCE: u16 = 16;

/// What the operator is made of.
pub struct Settings {
    pub client: Client,
    pub engine: Arc<Engine>,
    /// Sources whose fetch has begun or ended.
    pub ended: mpsc::UnboundedReceiver<SourceKey>,
    pub metrics: Arc<Metrics>,
    /// Begun before there was anything to do.
    pub lists: Lists,
    /// Of these lists.
    pub scope: Scope,
    pub leadership: Leadership,
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

/// What the controllers of all kinds share.
struct Shared {
    client: Client,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    scope: Scope,
    leadership: Leadership,
    namespaces: Namespaces,
    publisher: Publisher,
    events: Events,
    /// Takes what the reports of agents may have changed with.
    touched: mpsc::UnboundedSender<Touched>,
    shutdown: CancellationToken,
}

/// What the reports of agents may have changed with.
enum Touched {
    /// Its data, its spec, or that it is there.
    Source(SourceKey),
    /// Another Agent: which one counts for the code.
    Code { namespace: String, code: String },
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the Kubernetes API or the store did not answer")]
    TimedOut,
    #[error("the Kubernetes API failed")]
    Kube(#[from] kube::Error),
    #[error("the store failed")]
    Store(#[from] StoreError),
    #[error("a status or a spec cannot be read or written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("an agent cannot be judged")]
    Judge(#[from] JudgeError),
}

/// Runs until `shutdown`, then until every look under way has ended.
pub async fn run(settings: Settings) {
    let Settings {
        client,
        engine,
        ended,
        metrics,
        lists,
        scope,
        leadership,
        defaults,
        synced,
        shutdown,
    } = settings;
    let (touched, looks_wanted) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        namespaces: Namespaces::new(client.clone()),
        publisher: Publisher::new(client.clone(), Arc::clone(&metrics), leadership.clone()),
        events: Events::new(client.clone(), leadership.clone()),
        client,
        engine,
        metrics,
        scope,
        leadership,
        touched,
        shutdown,
    });
    tokio::join!(
        data_sources::run(
            Arc::clone(&shared),
            lists.data_sources,
            defaults,
            ended,
            synced
        ),
        agents::run(shared, lists.agents, looks_wanted),
    );
}

impl Shared {
    fn touch(&self, what: Touched) {
        // Nobody listens any more while shutting down.
        self.touched.send(what).ok();
    }

    /// One look, timed and counted.
    async fn look(
        &self,
        look: impl Future<Output = Result<Action, Error>>,
    ) -> Result<Action, Error> {
        if !self.leadership.holds() {
            // The process ends; whoever leads now looks.
            return Ok(Action::await_change());
        }
        let began = Instant::now();
        // An API server that takes requests and never answers them must not hold the looks up.
        let result = tokio::time::timeout(LONGEST_LOOK, look)
            .await
            .unwrap_or(Err(Error::TimedOut));
        let result = match result {
            // To try again changes nothing: this process's term stays what it is.
            Err(Error::Store(fenced @ StoreError::Fenced { .. })) => {
                tracing::debug!(error = &fenced as &dyn std::error::Error, "left alone");
                Ok(Action::await_change())
            }
            result => result,
        };
        self.metrics.reconciled(began.elapsed(), result.is_ok());
        result
    }
}

/// Whether the object that was looked at is there no more. Another one that bears its name by now is
/// looked at later: looks of one name never overlap.
fn has_gone<K>(listed: &reflector::Store<K>, object: &K) -> bool
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    let now = listed.get(&ObjectRef::from_obj(object));
    now.is_none_or(|now| now.uid() != object.uid())
}

/// Tried again soon: what failed is the API server or the store, never the object.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the signature that the runtime calls"
)]
fn on_error<K, C>(object: Arc<K>, error: &Error, _: Arc<C>) -> Action
where
    K: Lookup<DynamicType = ()>,
{
    tracing::warn!(
        object = %ObjectRef::from_obj(object.as_ref()),
        error = error as &dyn std::error::Error,
        "will look again"
    );
    Action::requeue(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::watcher::Event;

    use super::*;

    fn object(uid: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some("counts".to_owned());
        object.metadata.namespace = Some("growth".to_owned());
        object.metadata.uid = Some(uid.to_owned());
        object
    }

    #[test]
    fn an_object_has_gone_when_its_uid_is_listed_no_more() {
        let (listed, mut writer) = reflector::store();
        let looked_at = object("first");
        assert!(has_gone(&listed, &looked_at), "nothing is listed yet");
        writer.apply_watcher_event(&Event::Apply(looked_at.clone()));
        assert!(!has_gone(&listed, &looked_at));
        writer.apply_watcher_event(&Event::Delete(looked_at.clone()));
        assert!(has_gone(&listed, &looked_at));
        // The name is another's.
        writer.apply_watcher_event(&Event::Apply(object("second")));
        assert!(has_gone(&listed, &looked_at));
        assert!(!has_gone(&listed, &object("second")));
    }
}
