//! S3 objects read from a real server, and through a proxy that answers as AWS does when things go
//! wrong: every row of docs/errors.md that S3, STS or the network can bring about.
//!
//! Servers are shared; each test has a bucket of its own.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod bodies;
mod connections;
mod downloads;
mod fixture;
mod identities;
mod reach;
mod requests;
mod roles;
