//! The composition root and shutdown: the only place that names every adapter.

mod operator;
mod report;
mod store;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use axum::Router;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::plugin::PluginArgs;
use crate::args::{Args, BearerToken, Command, CustomResource, FetchArgs, LocalArgs, ShowArgs};
use crate::domain::Clock;
use crate::domain::counts_csv::Means;
use crate::domain::data_source::SourceKey;
use crate::domain::plan::PlanSettings;
use crate::http::{Probes, ReportState, StoreSlot};
use crate::ingest::Ingest;
use crate::ingest::engine::Engine;
use crate::ingest::pool::Pool;
use crate::metrics::Metrics;
use crate::object::{NoServiceAccounts, Objects};
use crate::store::Store;
use crate::store::sqlite::Sqlite;
use crate::validate::{self, Defaults};
use crate::{check, http, local, plugin, show};

pub use self::store::{open_store, open_store_read_only};

/// From the signal until fetches that still run are left to the next start. Kubernetes kills after
/// 30 s by default; ours is over within 10.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(7);

/// Why a process ends whose database has let it in before: a container's environment is read at its
/// start, and the kubelet starts again what has ended.
fn turned_away() -> anyhow::Error {
    anyhow::anyhow!(
        "the database no longer takes the user or the password that this process was started with; \
         it ends, and the next start has what the Secret holds by then"
    )
}

/// Runs the command that was asked for.
///
/// # Errors
/// What stops it from starting, or from going on.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Crd(args) => {
            // A reader that has seen enough (`| head`) is no error.
            std::io::stdout()
                .write_all(crd_yaml(args.resource)?.as_bytes())
                .ok();
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(args) => Ok(runtime()?.block_on(check::run(&args))),
        Command::Show(args) => show_report(&args),
        Command::Controller(args) => {
            args.checked().unwrap_or_else(|error| error.exit());
            run_to_end(operator::run(args))
        }
        Command::Report(args) => {
            args.checked().unwrap_or_else(|error| error.exit());
            run_to_end(report::run(*args))
        }
        Command::Local(args) => run_to_end(run_local(args)),
        Command::Store(args) => run_to_end(store::run(args)),
    }
}

/// Runs `kubectl sumsq`, which tells its own errors as kubectl does.
///
/// # Errors
/// A runtime that cannot be started.
pub fn run_plugin(args: PluginArgs) -> Result<ExitCode> {
    run_to_end(async { Ok(plugin::run(args).await) })
}

/// Answers kubectl, which asks what completes a command line.
///
/// # Errors
/// A runtime that cannot be started.
pub fn complete_plugin(words: &[String]) -> Result<ExitCode> {
    run_to_end(async { Ok(plugin::complete(words).await) })
}

fn show_report(args: &ShowArgs) -> Result<ExitCode> {
    if let Some(server) = &args.server {
        let token = show::token(args)?;
        return show::from_server(&show::Question {
            server,
            token: token.as_ref().map(BearerToken::expose),
            agent: &args.agent,
            filter: &args.filter,
            output: args.output,
        });
    }
    runtime()?.block_on(async {
        let store = open_store_read_only(&args.store.address).await?;
        let shown = show::from_store(args, store.as_ref(), Timestamp::now()).await;
        store.close().await;
        shown
    })
}

/// What still computes on other threads at the end is not waited for: nothing of it is committed.
fn run_to_end(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = runtime()?;
    let result = runtime.block_on(command);
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

/// The custom resource definitions (None: all), as `sumsq crd` prints them and `crds/` holds them.
fn crd_yaml(resource: Option<CustomResource>) -> Result<String> {
    let definitions = validate::crd_yamls().context("cannot write the definitions")?;
    let wanted = |name: &str| resource.is_none_or(|resource| resource.crd_name() == name);
    let yamls = definitions
        .into_iter()
        .filter_map(|(name, yaml)| wanted(&name).then_some(yaml));
    Ok(yamls.collect())
}

/// How files are read; `beside` is the folder of the store, where it has one.
fn means(args: &FetchArgs, beside: Option<&Path>) -> Means {
    let memory = usize::try_from(args.ingest_memory_mib).map_or(usize::MAX, |mib| mib << 20);
    let folder = args.spill_dir.as_deref().or(beside);
    Means::new(
        memory,
        folder.map_or_else(std::env::temp_dir, Path::to_owned),
    )
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

async fn run_local(args: LocalArgs) -> Result<ExitCode> {
    let shutdown = shutdown_signal()?;
    let folder = local::Folder::open(&args.dir)?;
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&folder.store_path()).await?);
    let metrics = Arc::new(Metrics::new()?);
    let bucket_server = local::BucketServer::start(&folder.buckets()).await?;
    let screen = Arc::new(local::Screen::new());
    let pool = Pool::start(args.fetch.concurrency.into(), false, Arc::clone(&metrics));
    let ingest = Ingest {
        objects: Objects::new(bucket_server.endpoint().to_owned()).await,
        store: Arc::clone(&store),
        secrets: Arc::new(bucket_server.secrets()),
        accounts: Arc::new(NoServiceAccounts),
        progress: Arc::clone(&screen) as _,
        means: means(&args.fetch, folder.store_path().parent()),
        clock: system_clock(),
    };
    let (engine, ended) = Engine::new(
        ingest,
        pool,
        Arc::clone(&metrics),
        plan_settings(&args.fetch),
    );
    let (fetch_requests, requests) = local::fetch_requests();
    let server = if args.once {
        None
    } else {
        let store = StoreSlot::holding(Arc::clone(&store));
        let probes = Probes {
            metrics: Arc::clone(&metrics),
            store: store.clone(),
            readiness: Arc::new(|| None),
        };
        let state = ReportState::new(store, metrics, system_clock())
            .with_fetch_now(Arc::new(FetchFromFolder(fetch_requests)));
        let router = http::router_at(args.listen.ip(), state, probes);
        tell_who_reads(args.listen);
        Some(Server::bind(args.listen, router, "reports").await?)
    };
    let mut local = local::Local::new(
        folder,
        Arc::clone(&engine),
        ended,
        defaults(&args.fetch),
        screen,
        args.output,
    )
    .answering(requests);
    let succeeded = if args.once {
        tokio::select! {
            done = local.once() => done?,
            () = shutdown.cancelled() => false,
        }
    } else {
        local.serve(&shutdown).await?;
        true
    };
    engine.shut_down(SHUTDOWN_GRACE).await;
    if let Some(server) = server {
        server.stop().await;
    }
    store.close().await;
    Ok(if succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn plan_settings(args: &FetchArgs) -> PlanSettings {
    PlanSettings {
        schedule_jitter: args.schedule_jitter,
    }
}

fn defaults(args: &FetchArgs) -> Defaults {
    Defaults {
        default_time_zone: args.default_time_zone.clone(),
    }
}

fn system_clock() -> Clock {
    Arc::new(Timestamp::now)
}

/// Cancelled by SIGTERM or SIGINT; the second one ends the process at once.
fn shutdown_signal() -> Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        for round in 0.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if round > 0 {
                std::process::exit(130);
            }
            cancelled.cancel();
        }
    });
    Ok(token)
}

/// A page's "Fetch now", carried to the folder that fetches.
struct FetchFromFolder(local::FetchRequests);

#[async_trait]
impl http::FetchNow for FetchFromFolder {
    async fn fetch_now(&self, source: &SourceKey) -> bool {
        self.0.fetch_now(source).await
    }
}

/// Reports have no login: said where others than this machine can reach them.
fn tell_who_reads(listen: SocketAddr) {
    if !listen.ip().to_canonical().is_loopback() {
        tracing::warn!(%listen, "whoever reaches this address reads every report: there is no login");
    }
}

/// An HTTP server that stops gracefully.
struct Server(http::Server);

impl Server {
    async fn bind(address: SocketAddr, router: Router, what: &str) -> Result<Self> {
        Self::bind_with(address, router, what, None).await
    }

    async fn bind_with(
        address: SocketAddr,
        router: Router,
        what: &str,
        tls: Option<Arc<http::Tls>>,
    ) -> Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on {address}; --listen names another address")
        })?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let limits = http::ServerLimits::default();
        let server = http::Server::start_with(listener, router, limits, tls)?;
        // Said on standard error, where it is found also when results are piped.
        eprintln!("{what} on {scheme}://{}", server.address());
        Ok(Self(server))
    }

    /// Open requests get a second.
    async fn stop(self) {
        self.0.stop(Duration::from_secs(1)).await;
    }
}
