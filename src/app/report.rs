//! `sumsq report`: reads the store that another process writes, and fetches nothing.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use super::{Server, open_store_read_only, shutdown_signal, system_clock, tell_who_reads};
use crate::args::{ReportArgs, StoreAddress};
use crate::http::{self, Probes, ReportState, StoreSlot};
use crate::metrics::Metrics;
use crate::store::StoreError;

/// Until a store that is not there yet is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub(super) async fn run(args: ReportArgs) -> Result<ExitCode> {
    let shutdown = shutdown_signal()?;
    let metrics = Arc::new(Metrics::new()?);
    let store = StoreSlot::default();
    let probes = Probes {
        metrics: Arc::clone(&metrics),
        store: store.clone(),
        readiness: Arc::new(|| None),
    };
    let state = ReportState::new(store.clone(), metrics, system_clock());
    let router = http::router_at(args.listen.ip(), state, probes.clone());
    tell_who_reads(args.listen);
    let reports = Server::bind(args.listen, router, "reports").await?;
    let probes = Server::bind(args.probe_listen, http::probes(probes), "probes").await?;
    tokio::select! {
        opened = open(&args.store.address, &store, &shutdown) => opened?,
        () = shutdown.cancelled() => {}
    }
    shutdown.cancelled().await;
    reports.stop().await;
    probes.stop().await;
    if let Some(store) = store.get() {
        store.close().await;
    }
    Ok(ExitCode::SUCCESS)
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
            Err(error @ (StoreError::Newer { .. } | StoreError::Address { .. })) => {
                return Err(error).context("cannot go on");
            }
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
