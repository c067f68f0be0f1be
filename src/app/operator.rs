//! `sumsq controller`: from the first probe to the last renewal of its Lease.
//!
//! Probes answer from the start. Then it waits to lead (where there is an election) and for its store,
//! and only then looks at anything: a replica that stands by writes nothing. One that has lost its
//! Lease ends, as every operator on controller-runtime does: it starts again with nothing in memory,
//! and stands by.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::store::Opening;
use super::{
    SHUTDOWN_GRACE, Server, defaults, means, plan_settings, shutdown_signal, system_clock,
    turned_away,
};
use crate::args::{ControllerArgs, ElectionArgs};
use crate::controller;
use crate::controller::lease::{Candidate, Election, Holder, Leadership, Lost, Rhythm};
use crate::controller::secrets::KubeSecrets;
use crate::controller::service_accounts::KubeServiceAccounts;
use crate::domain::tenancy::Ambient;
use crate::http::{self, Probes, Readiness, StoreSlot};
use crate::ingest::engine::Engine;
use crate::ingest::pool::Pool;
use crate::ingest::{Ingest, NoProgress};
use crate::metrics::Metrics;
use crate::object::{Objects, Setup};
use crate::store::{Store, StoreError};

/// For looks at data sources to end, and for the store to close.
const LAST_LOOKS: Duration = Duration::from_millis(800);
/// Until a store that does not answer is asked again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub(super) async fn run(args: ControllerArgs) -> Result<ExitCode> {
    let shutdown = shutdown_signal()?;
    let metrics = Arc::new(Metrics::new()?);
    let stage = Arc::new(Stage::default());
    let slot = StoreSlot::default();
    let probes = Probes {
        metrics: Arc::clone(&metrics),
        store: slot.clone(),
        readiness: readiness(&stage),
    };
    let server = Server::bind(args.listen, http::probes(probes), "metrics and probes").await?;
    let config = kube::Config::infer()
        .await
        .context("no Kubernetes cluster: neither in-cluster nor by KUBECONFIG or ~/.kube/config")?;
    let client = Client::try_from(config).context("cannot use the Kubernetes configuration")?;
    let process = Process {
        opening: Opening::of(&args.store.address)?,
        args,
        client,
        metrics,
        stage,
        slot,
        shutdown,
    };
    // Whoever has lost the Lease stops at once: fetches under way end with the process.
    Box::pin(process.run()).await?;
    server.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// How far this process has come, for its probes.
#[derive(Default)]
struct Stage {
    /// Another replica leads, and this one could follow.
    stands_by: AtomicBool,
    leads: AtomicBool,
    opened: AtomicBool,
    synced: Arc<AtomicBool>,
}

/// A replica that stands by is ready: a rollout goes on when it could take over.
fn readiness(stage: &Arc<Stage>) -> Readiness {
    let stage = Arc::clone(stage);
    Arc::new(move || {
        let is = |flag: &AtomicBool| flag.load(Ordering::Acquire);
        if !is(&stage.leads) {
            return (!is(&stage.stands_by)).then_some("it is not known yet who leads");
        }
        if !is(&stage.opened) {
            return Some("the store is not open yet");
        }
        (!is(&stage.synced)).then_some("data sources are not synced yet")
    })
}

struct Process {
    args: ControllerArgs,
    opening: Opening,
    client: Client,
    metrics: Arc<Metrics>,
    stage: Arc<Stage>,
    slot: StoreSlot,
    shutdown: CancellationToken,
}

impl Process {
    async fn run(self) -> Result<()> {
        if let Some(store) = self.opening.at_rest() {
            self.slot.fill(store);
        }
        let shard = self.args.election.shard;
        self.metrics.leads(shard, false);
        let shutdown = &self.shutdown;
        let mut lists = controller::Lists::new(&self.client, &self.scope());
        let leading = Box::pin(self.unless_turned_away(self.lead()));
        let leading = lists.while_waiting(shutdown.run_until_cancelled(leading));
        let Some(post) = leading.await else {
            return Ok(());
        };
        let mut post = post?;
        let opened = Box::pin(post.while_held(self.open_store()));
        let opened = lists.while_waiting(shutdown.run_until_cancelled(opened));
        let store = match opened.await {
            Some(Ok(Ok(store))) => store,
            Some(Err(lost)) => return Err(lost),
            Some(Ok(Err(error))) => {
                // Another replica may have more luck.
                post.keep().leave().await?;
                return Err(error);
            }
            None => return post.keep().leave().await,
        };
        self.slot.fill(Arc::clone(&store));
        self.stage.opened.store(true, Ordering::Release);
        self.metrics.leads(shard, true);
        let post = post.keep();
        let worked = tokio::select! {
            worked = self.work(lists, &store, post.leadership.clone()) => worked,
            () = post.lost.cancelled() => Ok(()),
        };
        self.metrics.leads(shard, false);
        let left = post.leave().await;
        worked.and(left)
    }

    /// One that stands by with a password of old is of no use: it could not take over.
    async fn unless_turned_away<T>(&self, waiting: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(store) = self.opening.at_rest() else {
            return waiting.await;
        };
        tokio::select! {
            done = waiting => done,
            () = store.turned_away() => Err(turned_away()),
        }
    }

    /// Until the shutdown, then until everything under way has ended.
    async fn work(
        &self,
        lists: controller::Lists,
        store: &Arc<dyn Store>,
        leadership: Leadership,
    ) -> Result<()> {
        let metrics = &self.metrics;
        let fetch = &self.args.fetch;
        let pool = Pool::start(
            fetch.concurrency.into(),
            self.args.namespace.is_none(),
            Arc::clone(metrics),
        );
        let ingest = Ingest {
            objects: Objects::with(self.lends()).await,
            store: Arc::clone(store),
            secrets: Arc::new(KubeSecrets::new(self.client.clone())),
            accounts: Arc::new(KubeServiceAccounts::new(self.client.clone())),
            progress: Arc::new(NoProgress),
            means: means(fetch, self.args.store.address.folder()),
            clock: system_clock(),
        };
        let (engine, ended) = Engine::new(ingest, pool, Arc::clone(metrics), plan_settings(fetch));
        let looks = controller::run(controller::Settings {
            client: self.client.clone(),
            engine: Arc::clone(&engine),
            ended,
            metrics: Arc::clone(metrics),
            lists,
            scope: self.scope(),
            leadership,
            defaults: defaults(fetch),
            synced: Arc::clone(&self.stage.synced),
            shutdown: self.shutdown.clone(),
        });
        let shutdown = &self.shutdown;
        let mut worked = Ok(());
        tokio::select! {
            () = looks => {}
            // A look that hangs is cut off: what it has not said, the next start says.
            () = async { shutdown.cancelled().await; tokio::time::sleep(LAST_LOOKS).await } => {}
            // Among those that are elected it is a namespace that has moved to another shard.
            () = engine.loses_a_source(), if !self.args.election.leader_election => {
                bail!("another operator writes to this store: run one at a time, or have all of \
                       them elect a leader (--leader-election)");
            }
            // What is under way may still end, on connections that were made before.
            () = store.turned_away() => worked = Err(turned_away()),
        }
        tracing::info!("shutting down");
        engine.shut_down(SHUTDOWN_GRACE).await;
        tokio::time::timeout(LAST_LOOKS, store.close()).await.ok();
        worked
    }

    /// What this operator does for whom.
    fn lends(&self) -> Setup {
        let tenants = &self.args.tenants;
        let own = || vec![tenants.own_namespace(self.client.default_namespace())];
        let ambient = tenants.ambient_credentials_namespaces.clone();
        // Where a Pod finds the API server: a cluster may have it on a public address.
        let api_server = std::env::var("KUBERNETES_SERVICE_HOST").ok();
        Setup {
            ambient: Ambient::of(ambient.unwrap_or_else(own)),
            allowed_endpoints: tenants.allowed_endpoints(api_server.as_deref()),
            ..Setup::default()
        }
    }

    fn scope(&self) -> controller::Scope {
        controller::Scope {
            namespace: self.args.namespace.clone(),
            shard: self.args.election.shard,
        }
    }

    /// Waits to lead.
    async fn lead(&self) -> Result<Post> {
        let election = &self.args.election;
        if !election.leader_election {
            self.stage.leads.store(true, Ordering::Release);
            return Ok(Post::of_the_only_one());
        }
        let leases: Api<Lease> = Api::default_namespaced(self.client.clone());
        let candidate = Candidate::new(
            leases,
            Election {
                lease: election.lease_name(),
                identity: identity(election)?,
                rhythm: Rhythm::default(),
            },
        );
        let holder = candidate.acquire(&self.stage.stands_by).await;
        self.stage.leads.store(true, Ordering::Release);
        Ok(Post::of(holder))
    }

    /// Waits for a store that is not there yet, or does not answer. What no waiting mends ends it.
    async fn open_store(&self) -> Result<Arc<dyn Store>> {
        let mut told = String::new();
        loop {
            match self.open_for_this_term().await {
                Ok(store) => return Ok(store),
                Err(error) if passes(&error) => {
                    // Once per reason: it is tried twice a second.
                    if told != error.to_string() {
                        told = error.to_string();
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "waiting for the store");
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn open_for_this_term(&self) -> Result<Arc<dyn Store>, StoreError> {
        let store = self.opening.open().await?;
        // A file has its lock. Of two operators on one database that elect none the older one is
        // refused, and ends.
        if self.opening.is_shared() {
            let term = store.begin_term().await?;
            tracing::info!(term, "writes in a term of its own");
        }
        Ok(store)
    }
}

/// Where a database that runs, or another process that ends, mends it. A password that is wrong is
/// read anew only by a new start.
fn passes(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unreachable { .. }
            | StoreError::TooSlow { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::InUse { .. }
    )
}

fn identity(election: &ElectionArgs) -> Result<String> {
    let host = || std::env::var("HOSTNAME").ok();
    let named = election.pod_name.clone().or_else(host);
    named
        .filter(|name| !name.is_empty())
        .context("a replica needs a name of its own: set POD_NAME, or --pod-name")
}

/// The right to write, for as long as it lasts.
struct Post {
    holder: Option<Holder<Api<Lease>>>,
    leadership: Leadership,
}

impl Post {
    fn of_the_only_one() -> Self {
        Self {
            holder: None,
            leadership: Leadership::of_the_only_one(),
        }
    }

    fn of(holder: Holder<Api<Lease>>) -> Self {
        Self {
            leadership: holder.leadership(),
            holder: Some(holder),
        }
    }

    /// Does something while the Lease is kept, and confirms at its end that it was held all along.
    async fn while_held<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let Some(holder) = &mut self.holder else {
            return Ok(work.await);
        };
        let forever = CancellationToken::new();
        let done = tokio::select! {
            done = work => done,
            lost = holder.keep(&forever) => {
                lost?;
                bail!("the Lease was kept no longer");
            }
        };
        holder.renew().await?;
        Ok(done)
    }

    /// From now on the Lease is renewed beside everything else.
    fn keep(self) -> KeptPost {
        let (stop, lost) = (CancellationToken::new(), CancellationToken::new());
        let (stopped, has_lost) = (stop.clone(), lost.clone());
        let keeper = self.holder.map(|mut holder| {
            tokio::spawn(async move {
                let kept = holder.keep(&stopped).await;
                if kept.is_err() {
                    has_lost.cancel();
                }
                kept.map(|()| holder)
            })
        });
        KeptPost {
            leadership: self.leadership,
            keeper,
            stop,
            lost,
        }
    }
}

struct KeptPost {
    leadership: Leadership,
    keeper: Option<JoinHandle<Result<Holder<Api<Lease>>, Lost>>>,
    stop: CancellationToken,
    lost: CancellationToken,
}

impl KeptPost {
    /// Gives the Lease up, which nobody needs any more.
    async fn leave(self) -> Result<()> {
        self.stop.cancel();
        let Some(keeper) = self.keeper else {
            return Ok(());
        };
        let holder = keeper.await.context("the keeper of the Lease met a bug")?;
        holder?.release().await;
        Ok(())
    }
}
