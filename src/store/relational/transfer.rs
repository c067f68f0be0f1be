//! Whole sources, from one store to another.
