//! `sumsq report`: reads the store that another process writes, and fetches nothing.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::HeaderName;
use tokio_util::sync::CancellationToken;

use super::{
    Server, open_store_read_only, shutdown_signal, system_clock, tell_who_reads, turned_away,
};
use crate::args::{AccessMode, ProxyArgs, ReportArgs, StoreAddress};
use crate::http::access::{
    self, Access, KubeReviews, LEAST_KEY_BYTES, LEAST_SECRET_BYTES, Proxy, Secret, SessionKey,
};
use crate::http::{self, Probes, ReportState, StoreSlot, Tls, TlsFiles};
use crate::metrics::Metrics;
use crate::store::StoreError;

/// Until a store that is not there yet is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub(super) async fn run(args: ReportArgs) -> Result<ExitCode> {
    let shutdown = shutdown_signal()?;
    let metrics = Arc::new(Metrics::new()?);
    metrics.report_is_serving(false);
    let store = StoreSlot::default();
    let probes = Probes {
        metrics: Arc::clone(&metrics),
        store: store.clone(),
        readiness: Arc::new(|| None),
    };
    let tls = tls(&args, &metrics)?;
    let mut state = ReportState::new(store.clone(), Arc::clone(&metrics), system_clock());
    match access(&args, Arc::clone(&metrics)).await? {
        Some(access) => state = state.with_access(Arc::new(access)),
        None => tell_who_reads(args.listen),
    }
    let router = http::router_at(args.listen.ip(), state, probes.clone());
    let reports = Server::bind_with(args.listen, router, "reports", tls.clone()).await?;
    let probes = Server::bind(args.probe_listen, http::probes(probes), "probes").await?;
    // A certificate that is changed is followed for as long as there is something to serve.
    let following = tls.map(|tls| tokio::spawn(tls.follow()));
    tokio::select! {
        opened = open(&args.store.address, &store, &shutdown) => {
            opened?;
            metrics.report_is_serving(true);
        }
        () = shutdown.cancelled() => {}
    }
    let served = tokio::select! {
        () = shutdown.cancelled() => Ok(ExitCode::SUCCESS),
        () = is_turned_away(&store) => Err(turned_away()),
    };
    reports.stop().await;
    probes.stop().await;
    if let Some(following) = following {
        following.abort();
    }
    if let Some(store) = store.get() {
        store.close().await;
    }
    served
}

/// Never, where the store was not opened before the shutdown.
async fn is_turned_away(store: &StoreSlot) {
    match store.get() {
        Some(store) => store.turned_away().await,
        None => std::future::pending().await,
    }
}

fn tls(args: &ReportArgs, metrics: &Arc<Metrics>) -> Result<Option<Arc<Tls>>> {
    let (Some(certificate), Some(key)) = (&args.tls.tls_cert, &args.tls.tls_key) else {
        return Ok(None);
    };
    let files = TlsFiles {
        certificate: certificate.clone(),
        key: key.clone(),
        client_authorities: args.proxy.proxy_client_ca.clone(),
    };
    let tls = Tls::open(files, Arc::clone(metrics)).context("cannot serve by TLS")?;
    Ok(Some(Arc::new(tls)))
}

/// Who is asked who may read; None: nobody.
async fn access(args: &ReportArgs, metrics: Arc<Metrics>) -> Result<Option<Access>> {
    let from = match args.access.auth {
        AccessMode::None => return Ok(None),
        AccessMode::Kubernetes => access::From::Kubernetes,
        AccessMode::Proxy => access::From::Proxy(proxy(&args.proxy)?),
    };
    let config = kube::Config::infer()
        .await
        .context("no Kubernetes cluster: neither in-cluster nor by KUBECONFIG or ~/.kube/config")?;
    let reviews = KubeReviews::new(config).context("cannot use the Kubernetes configuration")?;
    let key = match &args.access.cookie_key {
        None => SessionKey::drawn(),
        Some(path) => SessionKey::new(&read(path)?).with_context(|| {
            format!(
                "{} has fewer than {LEAST_KEY_BYTES} bytes; `openssl rand 32` writes a key",
                path.display()
            )
        })?,
    };
    Ok(Some(Access::new(from, Arc::new(reviews), key, metrics)))
}

fn proxy(args: &ProxyArgs) -> Result<Proxy> {
    let name = |text: &str| -> Result<HeaderName> {
        text.parse()
            .with_context(|| format!("{text:?} is no name of a header"))
    };
    let secret = match &args.proxy_secret {
        None => None,
        Some(path) => {
            let read = read(path)?;
            let secret = Secret::new(read.trim_ascii_end()).with_context(|| {
                format!(
                    "{} has fewer than {LEAST_SECRET_BYTES} bytes; `openssl rand -hex 32` writes a secret",
                    path.display()
                )
            })?;
            Some((name(&args.proxy_secret_header)?, secret))
        }
    };
    Ok(Proxy {
        secret,
        certificate: args.proxy_client_ca.is_some(),
        user: name(&args.proxy_user_header)?,
        groups: name(&args.proxy_groups_header)?,
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Waits for the store's writer to make it and to bring it to this version's schema.
async fn open(
    address: &StoreAddress,
    slot: &StoreSlot,
    shutdown: &CancellationToken,
) -> Result<()> {
    let mut told = String::new();
    while !shutdown.is_cancelled() {
        match open_store_read_only(address).await {
            Ok(store) => {
                slot.fill(store);
                tracing::info!(?address, "the store is open");
                return Ok(());
            }
            // Another password is read by another start only.
            Err(
                error @ (StoreError::Newer { .. }
                | StoreError::Address { .. }
                | StoreError::Refused { login: true, .. }),
            ) => return Err(error).context("cannot go on"),
            Err(error) => {
                // Once per reason: it is tried twice a second.
                if told != error.to_string() {
                    told = error.to_string();
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "waiting for the store");
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }
    Ok(())
}
