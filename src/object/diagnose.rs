//! What AWS sends, and what the user is told.
