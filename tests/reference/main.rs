//! docs/errors.md and docs/metrics.md are made of what the program says, and held to it. With
//! `INSTA_UPDATE=always` this writes them: read what was written.

mod errors;
mod metrics;
mod page;
