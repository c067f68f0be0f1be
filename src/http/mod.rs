//! What is served over HTTP: probes and metrics, and reports as JSON, CSV and pages. Knows nothing
//! of the controller, and reads the store only.
//!
//! In reading order: `state` (what handlers share), `router` (every address, and what stands around
//! it: `guard`, and `access`: who may), `data` (an agent's data out of the store) with its `cache`, `lists` (data
//! sources, agents and fetches as JSON and pages show them), `api` (JSON, CSV and the
//! OpenAPI document), `pages` with their `charts`; `problem` and `conditional` are how they answer. `server` serves a
//! router on a listener (`tls`, `connection`), `probes` is the router that a kubelet and Prometheus ask.

pub mod access;
mod api;
mod cache;
mod charts;
mod conditional;
mod connection;
mod data;
mod guard;
pub mod lists;
mod pages;
mod parameters;
mod probes;
mod problem;
mod router;
mod server;
mod state;
mod tls;

pub use connection::Connection;
pub use data::Loaded;
pub use guard::HttpLimits;
pub use probes::{Probes, Readiness, probes};
pub use problem::Problem;
pub use router::{documented, router, router_at, routes};
pub use server::{Server, ServerLimits};
pub use state::{FetchNow, ReportState, StoreSlot};
pub use tls::{Tls, TlsError, TlsFiles};
