//! sumsq turns CSVs of aggregated conversion counts in S3 into experiment reports.
//!
//! The modules in reading order, and what each must not know:
//!
//! - [`domain`]: what the data mean and what to do next. Plain types and functions; no kube, sqlx,
//!   axum, AWS or tokio; time is an argument.
//! - [`crd`]: the custom resources' schema. Imports nothing of ours and has no behaviour.
//! - [`validate`]: the raw resources, parsed once into the domain's [`domain::data_source::DataSource`]
//!   and [`domain::agent::AgentResource`].
//! - [`object`]: the S3 object, and what to tell the user when it cannot be read.
//! - [`store`]: what was fetched, kept: one block per agent and day, and the fetch log.
//! - [`metrics`]: every metric, registered once.
//! - [`ingest`]: object stream -> cells -> one store transaction.
//! - [`controller`]: Kubernetes: dereference (I/O) -> validate (pure) -> act -> publish.
//! - [`http`]: probes and metrics, reports, and who may read them. Never imports [`controller`], nor the other way round.
//! - [`local`]: a folder in the place of the cluster.
//! - [`roots`]: whom TLS trusts, where the machine does not say.
//! - [`check`]: the linter of a CSV before it is uploaded.
//! - [`show`]: one agent's report in the terminal, from a store or from a report server.
//! - [`plugin`]: `kubectl sumsq`, which speaks to the API server and to a report server.
//! - [`app`]: the composition root: the only place that names every adapter.
//!
//! The import arrow is held by `tests/architecture.rs`.

#![warn(clippy::unwrap_used)]

/// Of this program, with the commit, so that a fault can be looked for in the right place.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("SUMSQ_COMMIT"), ")");

pub mod app;
pub mod args;
pub mod check;
pub mod controller;
pub mod crd;
pub mod domain;
pub mod http;
pub mod ingest;
pub mod local;
pub mod metrics;
pub mod object;
pub mod plugin;
pub mod roots;
pub mod show;
pub mod store;
pub mod validate;
mod yaml;
