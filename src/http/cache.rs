//! Decoded agents, as long as nothing about them has changed, within a bound of memory.

use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::domain::agent_day::{AgentDay, Cell, GoalCounts};
use crate::domain::data_source::SourceId;
use crate::domain::report::AgentData;

/// About; codes that cells share are not counted.
const MAX_BYTES: usize = 24 << 20;

type Key = (SourceId, String);

/// The agents that were looked at last. An entry of another version is as good as none.
#[derive(Debug)]
pub(super) struct AgentCache(Mutex<Held>);

#[derive(Debug)]
struct Held {
    agents: LruCache<Key, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    version: String,
    data: Arc<AgentData>,
    bytes: usize,
}

impl Default for AgentCache {
    fn default() -> Self {
        Self(Mutex::new(Held {
            agents: LruCache::unbounded(),
            bytes: 0,
        }))
    }
}

impl AgentCache {
    pub(super) fn get(&self, id: SourceId, code: &str, version: &str) -> Option<Arc<AgentData>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = held.agents.get(&(id, code.to_owned()))?;
        (entry.version == version).then(|| Arc::clone(&entry.data))
    }

    pub(super) fn put(&self, id: SourceId, version: String, data: Arc<AgentData>) {
        let bytes = bytes(&data.source.days);
        if bytes > MAX_BYTES {
            return;
        }
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.bytes += bytes;
        let key = (id, data.code.clone());
        let entry = Entry {
            version,
            data,
            bytes,
        };
        if let Some(earlier) = held.agents.put(key, entry) {
            held.bytes -= earlier.bytes;
        }
        while held.bytes > MAX_BYTES {
            let Some((_, oldest)) = held.agents.pop_lru() else {
                return;
            };
            held.bytes -= oldest.bytes;
        }
    }
}

fn bytes(days: &[AgentDay]) -> usize {
    days.iter()
        .map(|day| {
            let cell = size_of::<Cell>() + day.goals.len() * size_of::<GoalCounts>();
            size_of::<AgentDay>() + day.cells.len() * cell
        })
        .sum()
}
