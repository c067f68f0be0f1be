//! What the data mean and what to do next, free of every framework.
//!
//! No kube, sqlx, axum, AWS or tokio; no clock: time is an argument.

pub mod agent;
pub mod agent_day;
pub mod agent_status;
pub mod counts_csv;
pub mod data_source;
pub mod description;
pub mod fetch;
pub mod finding;
pub mod integrity;
pub mod plan;
pub mod report;
pub mod schedule;
pub mod shard;
pub mod stats;
pub mod status;
pub mod tenancy;
pub mod totals;

/// The time, injected into those who hand it to this module as an argument: nothing in here reads
/// it, and tests bring their own.
pub type Clock = std::sync::Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;
