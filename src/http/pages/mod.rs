//! Reports for people: HTML, rendered on the server.

mod activity;
mod assets;
mod error;
pub(super) mod format;
mod links;
mod methods;
mod parts;
mod source;
mod start;
mod testing;
