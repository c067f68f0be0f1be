//! The block of one agent day: versioned, compact, documented.

#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    #[error("block version {0} is not known")]
    UnknownVersion(u8),
    #[error("block is cut short or malformed")]
    Malformed,
}
