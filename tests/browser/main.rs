//! The report server's pages in a real Chromium: every control used, by mouse and by keyboard, on a
//! wide screen and a phone, in light and dark, with axe looking for what keeps people out.
//!
//! One server and one driver serve the whole run; each test has a browser of its own.

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the routes' tests ask it for more")]
#[path = "../routes/fixture.rs"]
mod fixture;

#[allow(dead_code, reason = "the routes' tests ask it for more")]
#[path = "../routes/access/rbac.rs"]
mod rbac;

mod access;
mod beside;
mod browser;
mod census;
mod controls;
mod everywhere;
mod keyboard;
mod screenshots;
mod site;
mod sources;
