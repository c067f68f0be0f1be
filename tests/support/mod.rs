//! The real servers that integration tests run against, each on 127.0.0.1.
//!
//! - [`process`]: servers that die with the test process, free ports, waiting with a deadline.
//! - [`kubernetes`]: etcd, the API server and the controller manager; kubectl and helm.
//! - [`postgres`]: a PostgreSQL server, with the same proxy in front of it.
//! - [`tee`]: what is asked of a server, written down on its way.
//! - [`s3`]: an S3 server, and a proxy in front of it that answers as AWS does when things go wrong.
//!
//! It knows nothing of the crate under test. `tests/testbed/install` builds what it starts.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test crate includes this module and uses a part of it"
)]

pub mod kubernetes;
pub mod postgres;
pub mod process;
pub mod s3;
pub mod tee;
