//! The sum-of-squares rules: what no set of visitors can have produced.
