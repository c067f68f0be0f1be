//! Statistics from moments: per arm the visitors n, the sum S and the sum of squares Q, and nothing
//! else. Numbers only, no I/O.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which interval and p are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum IntervalKind {
    /// For one look at a day fixed in advance.
    Fixed,
    /// Holds however often one looks.
    AlwaysValid,
}

/// Exactly `NotEnoughData` where p is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Verdict {
    Better,
    Worse,
    Undecided,
    NotEnoughData,
}
