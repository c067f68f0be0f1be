//! What sqlx said, as the last link of an error's chain.

use std::fmt;

/// An error of sqlx's. Its words end in those of its own cause already, and it names that cause once
/// more: whoever prints a chain would say everything twice, so the chain ends here.
#[derive(Debug)]
pub struct Cause<E>(pub E);

impl<E: fmt::Display> fmt::Display for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for Cause<E> {}

impl<E> From<E> for Cause<E> {
    fn from(error: E) -> Self {
        Self(error)
    }
}
