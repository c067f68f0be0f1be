//! Whether agents' reports can be trusted, for the cluster and for a folder alike: looked up in the
//! store, computed off the runtime's threads, and remembered while nothing it depends on changes.

use std::collections::HashMap;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::engine::Engine;
use crate::domain::agent::{Agent, AgentResource};

use crate::domain::agent_status::{Findings, judge};
use crate::domain::description::Description;
use crate::domain::report::Tally;
use crate::store::report_data::AgentSources;
use crate::store::{AgentRow, StoreError};

/// Judges the Agents that are in force.
pub struct Judge {
    engine: Arc<Engine>,
    /// By namespace and name.
    known: Mutex<HashMap<(String, String), (Evidence, Findings)>>,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").finish_non_exhaustive()
    }
}

/// All that a judgement depends on.
#[derive(Debug, PartialEq)]
struct Evidence {
    agent: Agent,
    /// Of the default source.
    description: Option<Description>,
    holders: Vec<HeldBy>,
}

/// What a source holds of the agent, and when that was imported.
#[derive(Debug, PartialEq)]
struct HeldBy {
    name: String,
    imported_at: Option<Timestamp>,
    agent: AgentRow,
}

#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    #[error("the store failed")]
    Store(#[from] StoreError),
    #[error("a report met a bug")]
    Bug(#[source] tokio::task::JoinError),
}

impl Judge {
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            known: Mutex::default(),
        }
    }

    /// What the data say of an agent whose resource is in force.
    ///
    /// # Errors
    /// The store's own, and a bug in a report.
    pub async fn findings(&self, resource: &AgentResource) -> Result<Findings, JudgeError> {
        let agent = &resource.agent;
        let store = self.engine.store();
        let held = store
            .agent_holders(&resource.namespace, &agent.code)
            .await?;
        if held.is_empty() {
            return Ok(Findings::no_data(&agent.code));
        }
        let Some(sources) = AgentSources::of(&agent.code, held, slice::from_ref(resource)) else {
            return Ok(Findings::no_goal(&agent.code, &agent.goals));
        };
        let Some(holder) = sources.chosen(None) else {
            return Ok(Findings::no_data(&agent.code));
        };
        let evidence = evidence(agent, &sources);
        let key = (resource.namespace.clone(), resource.name.clone());
        if let Some((of, findings)) = self.lock().get(&key)
            && *of == evidence
        {
            return Ok(findings.clone());
        }
        let data = sources.load(store.as_ref(), holder).await?;
        let now = self.engine.now();
        let judged = tokio::task::spawn_blocking(move || judge(&Tally::new(data), now));
        let (trust, visitors) = judged.await.map_err(JudgeError::Bug)?;
        let findings = Findings {
            trust,
            data_sources: names(&sources),
            first_day: Some(holder.agent.first_day),
            last_day: Some(holder.agent.last_day),
            visitors,
        };
        self.lock().insert(key, (evidence, findings.clone()));
        Ok(findings)
    }

    /// For a resource that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), (Evidence, Findings)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn evidence(agent: &Agent, sources: &AgentSources) -> Evidence {
    let default = sources.chosen(None);
    Evidence {
        agent: agent.clone(),
        description: default.and_then(|holder| holder.source.description.clone()),
        holders: sources
            .holders
            .iter()
            .map(|holder| HeldBy {
                name: holder.source.key.name.clone(),
                imported_at: holder.source.imported_at,
                agent: holder.agent.clone(),
            })
            .collect(),
    }
}

/// The default one, then the others by name: which of those has newer data is no news.
fn names(sources: &AgentSources) -> Vec<String> {
    let mut names: Vec<String> = sources
        .holders
        .iter()
        .map(|holder| holder.source.key.name.clone())
        .collect();
    if let Some(others) = names.get_mut(1..) {
        others.sort();
    }
    names
}
