//! Stories of one data source on a fake clock: a small world that carries decisions out, so that a
//! year of schedules takes milliseconds.

mod edits;
mod failures;
mod requests;
mod slots;
mod world;
