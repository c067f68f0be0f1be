//! Reports from agent days to what people and programs read: totals against a slow twin, concerns,
//! sentences, downloads.

mod document;
mod fixture;
