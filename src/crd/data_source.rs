//! DataSource.
