//! Who may read and do what: the order in which it is asked, what is kept of it, and what a browser
//! keeps. Rights are those of a small RBAC in this process; `tests/cluster/access` has the real one.

mod gate;
pub mod rbac;
mod sessions;
mod tls;
