//! Who may read and do what, as the real API server says it: the report server runs under a
//! ServiceAccount that may ask who may, and nothing else.

mod fetching;
mod matrix;
mod people;
mod roles;
mod server;
mod tokens;
