//! The objects of one kind, listed and kept up to date from the start of the process: a replica that
//! stands by knows them all when it comes to lead, and begins to look at them only then.

use std::fmt::Debug;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use kube::api::ObjectMeta;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::data_sources::Known;
use crate::crd::agent::Agent;
use crate::crd::{self, Pruned};
use crate::domain::shard::Shard;

/// Which objects an operator looks after.
#[derive(Debug, Clone)]
pub struct Scope {
    /// None: all namespaces.
    pub namespace: Option<String>,
    /// Of those, the ones of this shard.
    pub shard: Shard,
}

impl Scope {
    pub(super) fn holds(&self, namespace: &str) -> bool {
        let watched = self.namespace.as_deref();
        watched.is_none_or(|watched| watched == namespace) && self.shard.holds(namespace)
    }
}

/// The lists of every kind.
#[derive(Debug)]
pub struct Lists {
    pub(super) data_sources: Listing<Known>,
    pub(super) agents: Listing<DeserializeGuard<Agent>>,
}

impl Lists {
    #[must_use]
    pub fn new(client: &Client, scope: &Scope) -> Self {
        Self {
            data_sources: Listing::new(client, scope, "data sources"),
            agents: Listing::new(client, scope, "Agents"),
        }
    }

    /// Keeps them up to date while `waiting` lasts.
    pub async fn while_waiting<T>(&mut self, waiting: impl Future<Output = T>) -> T {
        let (data_sources, agents) = (&mut self.data_sources, &mut self.agents);
        let kept = async { tokio::join!(data_sources.keep(), agents.keep()) };
        tokio::select! {
            biased;
            done = waiting => done,
            _ = kept => unreachable!("a watch has no end"),
        }
    }
}

/// The list of one kind.
pub(super) struct Listing<K: Listed> {
    pub(super) objects: reflector::Store<K>,
    events: BoxStream<'static, watcher::Result<Event<K>>>,
    is_complete: bool,
}

pub(super) trait Listed:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Listed for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

impl<K: Listed> Debug for Listing<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing").finish_non_exhaustive()
    }
}

impl<K: Listed> Listing<K> {
    fn new(client: &Client, scope: &Scope, kind: &'static str) -> Self {
        let api: Api<Pruned<K>> = match &scope.namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let (objects, writer) = reflector::store();
        let events = watcher(api, watcher::Config::default()).map_ok(Pruned::event);
        let events = of_shard(events, scope.shard)
            .default_backoff()
            .modify(|object: &mut K| prune(object.meta_mut()))
            .reflect(writer)
            .inspect_err(move |error| {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "the watch of {kind} failed; it goes on");
            });
        Self {
            objects,
            events: events.boxed(),
            is_complete: false,
        }
    }

    async fn keep(&mut self) {
        while self.next().await {}
    }

    async fn next(&mut self) -> bool {
        match self.events.next().await {
            Some(Ok(Event::InitDone)) => self.is_complete = true,
            // While it is listed anew, what has come is in `objects` only at the end.
            Some(Ok(Event::Init)) => self.is_complete = false,
            Some(_) => {}
            None => return false,
        }
        true
    }

    /// Everything that is there, and everything that happens from then on, beginning with the end of
    /// the list. None at the shutdown.
    pub(super) async fn begin(
        mut self,
        shutdown: &CancellationToken,
    ) -> Option<impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>> {
        let listed = async { while !self.is_complete && self.next().await {} };
        shutdown.run_until_cancelled(listed).await?;
        let there: Vec<Arc<K>> = self.objects.state();
        let there = there
            .into_iter()
            .map(|object| Ok(Event::InitApply(K::clone(&object))));
        Some(
            stream::iter([Ok(Event::InitDone)])
                .chain(stream::iter(there))
                .chain(self.events),
        )
    }
}

/// What is not needed is not kept: beside the field managers' records, the annotation in which
/// `kubectl apply` holds a copy of the rest is a good part of an object's size.
fn prune(metadata: &mut ObjectMeta) {
    metadata.labels = None;
    metadata.owner_references = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|name, _| {
            [crd::FETCH_REQUESTED_AT, crd::FORCE_FETCH_REQUESTED_AT].contains(&name.as_str())
        });
    }
    // An empty map keeps its room.
    metadata.annotations = metadata.annotations.take().filter(|kept| !kept.is_empty());
}

/// Without the objects of namespaces that another operator looks after: they are not kept, either.
fn of_shard<K: Resource>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    shard: Shard,
) -> impl Stream<Item = watcher::Result<Event<K>>> {
    events.try_filter(move |event| {
        let is_ours = match event {
            Event::Apply(object) | Event::Delete(object) | Event::InitApply(object) => {
                shard.holds(object.meta().namespace.as_deref().unwrap_or_default())
            }
            Event::Init | Event::InitDone => true,
        };
        std::future::ready(is_ours)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_the_metadata_only_what_a_look_needs_is_kept() {
        let annotations = json!({
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "sumsq.dev/fetch-requested-at": "now",
        });
        let listed = |annotations| {
            let mut metadata: ObjectMeta = serde_json::from_value(json!({
                "namespace": "growth", "name": "counts", "uid": "uid-1", "generation": 3,
                "resourceVersion": "7", "creationTimestamp": "2026-01-05T09:00:00Z",
                "labels": {"team": "growth"}, "annotations": annotations,
                "finalizers": ["sumsq.dev/delete-data"],
            }))
            .unwrap();
            prune(&mut metadata);
            metadata
        };
        insta::assert_json_snapshot!(listed(annotations), @r#"
        {
          "annotations": {
            "sumsq.dev/fetch-requested-at": "now"
          },
          "creationTimestamp": "2026-01-05T09:00:00Z",
          "finalizers": [
            "sumsq.dev/delete-data"
          ],
          "generation": 3,
          "name": "counts",
          "namespace": "growth",
          "resourceVersion": "7",
          "uid": "uid-1"
        }
        "#);
        let others = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
        assert_eq!(listed(others).annotations, None);
    }
}
