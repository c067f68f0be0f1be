//! The chart, by the real helm: what it renders, what the API server says to that, and whether it
//! runs as a Pod would run it.

#[path = "../support/mod.rs"]
mod support;

mod helm;
mod life;
mod matrix;
mod pod_security;
mod reference;
mod render;

const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);
