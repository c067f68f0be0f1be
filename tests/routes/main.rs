//! What each address answers; the modules mirror the addresses. Most ask the router itself, over a
//! SQLite store with the data of a small company.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod access;
mod api;
mod connections;
mod fixture;
mod headers;
mod limits;
mod metrics;
mod pages;
mod schemathesis;
mod server;
#[path = "../support/mod.rs"]
mod support;
