//! Agents: kept in the store for the reports, and judged when they change, when data of theirs are
//! imported, and when another Agent of their code comes or goes.

mod announce;
mod presence;
mod touched;
mod unreadable;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector;
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc;

use super::listing::Listing;
use super::publish::Reported;
use super::{Error, LONGEST_WAIT, Shared, Touched, on_error};
use crate::crd::agent::Agent;
use crate::domain::agent::{AgentResource, in_force};
use crate::domain::agent_status::{Standing, agent_status};
use crate::ingest::judge::Judge;
use crate::validate::{self, SpecProblem};

/// Judgements at the same time: each computes the reports of an agent, and an import may touch
/// hundreds of them. The others wait in the queue.
const JUDGEMENTS_AT_ONCE: u16 = 2;

/// An object that cannot be read (made under another version's definition) must not hold up the
/// watch of all the others.
type Watched = DeserializeGuard<Agent>;

struct Context {
    shared: Arc<Shared>,
    judge: Judge,
    listed: reflector::Store<Watched>,
    /// Specs that have been parsed, by the object's UID, with their generation: what does not
    /// change is not held to the rules again at every look.
    parsed: Mutex<HashMap<String, (i64, Arc<AgentResource>)>>,
}

/// Until the shutdown, then until every look under way has ended. Where the cluster does not know
/// Agents, or the operator may not read them, everything else goes on.
pub(super) async fn run(
    shared: Arc<Shared>,
    listing: Listing<Watched>,
    touched: mpsc::UnboundedReceiver<Touched>,
) {
    let shutdown = shared.shutdown.clone();
    let reader = listing.objects.clone();
    let context = Arc::new(Context {
        judge: Judge::new(Arc::clone(&shared.engine)),
        shared,
        listed: reader.clone(),
        parsed: Mutex::default(),
    });
    let Some(events) = listing.begin(&shutdown).await else {
        return;
    };
    let watched = Arc::clone(&context);
    let objects = events.filter_map(move |event| {
        let context = Arc::clone(&watched);
        async move {
            match &event {
                Ok(watcher::Event::Apply(object)) if context.is_echo(object) => return None,
                Ok(watcher::Event::Delete(object)) => context.gone(object).await,
                Ok(watcher::Event::InitDone) => context.remove_missing().await,
                _ => {}
            }
            Some(event)
        }
    });
    let wanted_again = touched::agents(Arc::clone(&context), touched);
    Controller::for_stream(Box::pin(objects.applied_objects()), reader)
        .with_config(Config::default().concurrency(JUDGEMENTS_AT_ONCE))
        .reconcile_on(wanted_again)
        .graceful_shutdown_on(async move { shutdown.cancelled().await })
        .run(look, on_error, context)
        .for_each(|_| std::future::ready(()))
        .await;
}

async fn look(object: Arc<Watched>, context: Arc<Context>) -> Result<Action, Error> {
    let look = async {
        match &object.0 {
            Ok(object) => reconcile(object, &context).await,
            Err(problem) => unreadable::look(problem, &context).await,
        }
    };
    let result = context.shared.look(look).await;
    context.ends_where_its_object_did(&object).await;
    result
}

async fn reconcile(object: &Agent, context: &Context) -> Result<Action, Error> {
    let standing = match context.parsed(object) {
        Ok(resource) => context.keep(&resource).await?,
        Err(problems) => Standing::Invalid {
            message: validate::sentences(&problems),
        },
    };
    context.tell(object, standing).await
}

impl Context {
    fn is_echo(&self, object: &Watched) -> bool {
        let told = object.0.as_ref().ok().and_then(|object| object.told().ok());
        told.is_some_and(|told| self.shared.publisher.is_echo(object.meta(), &told))
    }

    /// Keeps the resource for the reports, and finds out how it stands.
    async fn keep(&self, resource: &AgentResource) -> Result<Standing, Error> {
        let store = self.shared.engine.store();
        if store.put_agent(resource).await? {
            self.shared.touch(touched::code_of(resource));
        }
        let older = self.in_force(resource);
        if older.uid == resource.uid {
            return Ok(Standing::InForce(self.judge.findings(resource).await?));
        }
        Ok(Standing::Duplicate {
            code: resource.agent.code.clone(),
            older: older.name.clone(),
        })
    }

    async fn tell<K: Reported>(&self, object: &K, standing: Standing) -> Result<Action, Error> {
        let status = agent_status(object.meta().generation.unwrap_or_default(), standing);
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let shared = &self.shared;
        shared
            .metrics
            .agent_judged(&namespace, &name, status.reason);
        announce::status(shared, object, &status, shared.engine.now()).await?;
        Ok(Action::requeue(LONGEST_WAIT))
    }

    /// The one that counts for the resource's code.
    fn in_force(&self, resource: &AgentResource) -> AgentResource {
        let others = self.listed.state();
        let mut candidates: Vec<AgentResource> = others
            .iter()
            .filter_map(|other| other.0.as_ref().ok())
            .filter(|other| {
                other.namespace().as_ref() == Some(&resource.namespace)
                    && code(other) == resource.agent.code
                    && other.uid().as_ref() != Some(&resource.uid)
            })
            .filter_map(|other| self.parsed(other).ok())
            .map(|other| other.as_ref().clone())
            .collect();
        candidates.push(resource.clone());
        in_force(&candidates, &resource.agent.code)
            .unwrap_or(resource)
            .clone()
    }

    fn parsed(&self, object: &Agent) -> Result<Arc<AgentResource>, Vec<SpecProblem>> {
        let uid = object.uid().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        let known = self.lock().get(&uid).cloned();
        if let Some((_, resource)) = known.filter(|(of, _)| *of == generation) {
            return Ok(resource);
        }
        let resource = validate::agent(object).map(Arc::new)?;
        self.lock().insert(uid, (generation, Arc::clone(&resource)));
        Ok(resource)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (i64, Arc<AgentResource>)>> {
        self.parsed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The agent's code, as validated.
fn code(object: &Agent) -> String {
    object
        .spec
        .code
        .clone()
        .unwrap_or_else(|| object.name_any())
}
