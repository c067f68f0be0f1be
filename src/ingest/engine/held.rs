//! Which sources are this process's to write, where terms are kept (see
//! [`crate::store::relational`]).

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use tokio_util::sync::CancellationToken;

use super::lock;
use crate::domain::data_source::{DataSource, SourceId};
use crate::store::{Store, StoreError};

#[derive(Default)]
pub(super) struct Held {
    taken: Mutex<HashSet<SourceId>>,
    /// By whom they were taken away: they never come back to this process.
    lost: Mutex<HashMap<SourceId, Loss>>,
    /// Whether there is any such.
    has_lost: CancellationToken,
}

/// As [`StoreError::Fenced`] told it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss {
    pub(super) term: i64,
    pub(super) newer: i64,
}

impl Held {
    /// Whether the source was another term's until now: then what was read of it before may be out
    /// of date.
    pub(super) async fn take(&self, store: &dyn Store, id: SourceId) -> Result<bool, StoreError> {
        if lock(&self.taken).contains(&id) {
            return Ok(false);
        }
        let fenced = store.take(id).await?;
        lock(&self.taken).insert(id);
        Ok(fenced)
    }

    /// Refuses a source that another operator has.
    pub(super) fn check(&self, id: SourceId) -> Result<(), StoreError> {
        match lock(&self.lost).get(&id) {
            Some(&Loss { term, newer }) => Err(StoreError::Fenced { term, newer }),
            None => Ok(()),
        }
    }

    /// Another operator has the source by now, and goes on from the log.
    pub(super) fn lose(&self, source: &DataSource, loss: Loss) {
        if lock(&self.lost).insert(source.id, loss).is_none() {
            let Loss { term, newer } = loss;
            tracing::warn!(source = %source.key, term, newer,
                "another operator has taken it over; it is left alone");
            self.has_lost.cancel();
        }
    }

    pub(super) async fn loses_one(&self) {
        self.has_lost.cancelled().await;
    }

    pub(super) fn forget(&self, id: SourceId) {
        lock(&self.taken).remove(&id);
        lock(&self.lost).remove(&id);
    }
}
