//! The custom resources' schema: types, CEL rules, printer columns. No behaviour, nothing of ours.

pub mod data_source;
