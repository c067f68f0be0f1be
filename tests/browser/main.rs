//! The report server's pages in a real Chromium: every control used, by mouse and by keyboard, on a
//! wide screen and a phone, in light and dark, with axe looking for what keeps people out.
//!
//! One server and one driver serve the whole run; each test has a browser of its own.

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod controls;
mod everywhere;
mod keyboard;
mod screenshots;
mod site;
mod sources;
