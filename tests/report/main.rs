//! Reports from agent days to what people and programs read: totals against a slow twin, concerns,
//! sentences, downloads.

mod activity;
mod agents;
mod arms;
mod concerns;
mod document;
mod downloads;
mod extremes;
mod fixture;
mod sentences;
mod twin;
