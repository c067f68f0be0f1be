//! An agent's data out of the store: which source, which resource counts, and what names their state.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::conditional::Etag;
use super::problem::Problem;
use super::state::ReportState;
use crate::domain::agent::{Agent, in_force};
use crate::domain::agent_day::Day;
use crate::domain::data_source::SourceKey;
use crate::domain::report::{AgentData, SourceData};
use crate::store::{AgentRow, SourceRow};

/// A reading that meets an import begins anew, so often.
const ATTEMPTS: usize = 3;
/// More missed slots than this read alike.
const MOST_MISSED: u32 = 1_000;

/// One agent of one source, and what names the state of what was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub data: Arc<AgentData>,
    /// The sources that hold the agent, this one too, by name: the data-set switch.
    pub holders: Vec<(SourceRow, AgentRow)>,
    /// Where the source stands in `holders`.
    pub chosen: usize,
    /// Changes with everything that a report of this agent could show.
    pub version: String,
}

impl Loaded {
    #[must_use]
    pub fn source(&self) -> &SourceRow {
        &self.holders[self.chosen].0
    }

    /// Of a view of this agent by this query.
    pub(super) fn etag(&self, view: &str, query: &[(String, String)], state: &ReportState) -> Etag {
        // What a report says of missed slots changes with the clock alone.
        let now = state.now();
        let missed = self.holders.iter().map(|(source, _)| {
            let (description, last) = (source.description.as_ref()?, source.last_success_at?);
            Some(description.slots_missed(last, now, MOST_MISSED))
        });
        let missed: Vec<_> = missed.collect();
        let today = Day::from_unix_seconds(now.as_second()).map(|day| day.0);
        Etag::of(&(view, &self.version, missed, today, query))
    }
}

impl ReportState {
    /// An agent as `data_source` holds it, or as the source with the newest data does.
    ///
    /// # Errors
    /// 404 where no such source holds such an agent, 503 where the store does not answer.
    pub async fn agent(
        &self,
        namespace: &str,
        code: &str,
        data_source: Option<&str>,
    ) -> Result<Loaded, Problem> {
        for _ in 0..ATTEMPTS {
            let holders = self.store()?.agent_holders(namespace, code).await?;
            let chosen = choose(&holders, data_source)
                .ok_or_else(|| no_such_agent(namespace, code, data_source))?;
            let resources = self.store()?.agent_resources(Some(namespace)).await?;
            let resource = in_force(&resources, code).map(|resource| resource.agent.clone());
            let version = version(&holders, chosen, resource.as_ref());
            let id = holders[chosen].0.id;
            let data = if let Some(data) = self.cache.get(id, code, &version) {
                data
            } else {
                let source = self.source_data(&holders[chosen].0, code).await?;
                let still = self.store()?.source(&source.key).await?;
                if still.map(|row| row.version) != Some(holders[chosen].0.version) {
                    // An import came in between: days and times would not belong together.
                    continue;
                }
                let data = Arc::new(AgentData {
                    code: code.to_owned(),
                    resource,
                    source,
                });
                self.cache.put(id, version.clone(), Arc::clone(&data));
                data
            };
            return Ok(Loaded {
                data,
                holders,
                chosen,
                version,
            });
        }
        Err(Problem::unavailable(
            "the data change just now; try again in a moment",
        ))
    }

    /// The agent as the other sources hold it.
    ///
    /// # Errors
    /// As [`ReportState::agent`].
    pub async fn others(&self, loaded: &Loaded) -> Result<Vec<SourceData>, Problem> {
        let mut others = Vec::new();
        for (at, (source, agent)) in loaded.holders.iter().enumerate() {
            if at != loaded.chosen {
                others.push(self.source_data(source, &agent.code).await?);
            }
        }
        Ok(others)
    }

    /// # Errors
    /// 404 where there is none, 503 where the store does not answer.
    pub async fn source(&self, namespace: &str, name: &str) -> Result<SourceRow, Problem> {
        let key = SourceKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let found = self.store()?.source(&key).await?;
        found.ok_or_else(|| {
            Problem::not_found(format!(
                "there is no data source {name:?} in namespace {namespace:?}"
            ))
        })
    }

    async fn source_data(&self, row: &SourceRow, code: &str) -> Result<SourceData, Problem> {
        let Some(description) = row.description.clone() else {
            return Err(Problem::unavailable(format!(
                "{} was written by an older version and the operator has not looked at it since",
                row.key
            )));
        };
        let days = self
            .store()?
            .agent_days(row.id, code, Day::MIN, Day::MAX)
            .await?;
        Ok(SourceData {
            key: row.key.clone(),
            description,
            data_as_of: row.last_success_at,
            imported_at: row.imported_at,
            last_error: row.last_error.clone(),
            days,
        })
    }
}

/// The one that is named, else the one that is preferred.
fn choose(holders: &[(SourceRow, AgentRow)], data_source: Option<&str>) -> Option<usize> {
    holders
        .iter()
        .enumerate()
        .filter(|(_, (source, _))| data_source.is_none_or(|name| source.key.name == name))
        .min_by_key(|(_, (source, agent))| preference(source, agent))
        .map(|(at, _)| at)
}

/// Least for the newest data; of equally new ones for those imported last, then by name.
pub(super) fn preference<'a>(
    source: &'a SourceRow,
    agent: &AgentRow,
) -> (Reverse<(Day, Option<Timestamp>)>, &'a str) {
    let newest = (agent.last_day, source.imported_at);
    (Reverse(newest), &source.key.name)
}

fn version(
    holders: &[(SourceRow, AgentRow)],
    chosen: usize,
    resource: Option<&Agent>,
) -> String {
    #[derive(Serialize)]
    struct DependsOn<'a> {
        sources: Vec<(String, u64)>,
        chosen: usize,
        resource: Option<&'a Agent>,
    }
    let depends_on = DependsOn {
        sources: holders
            .iter()
            .map(|(source, _)| (source.id.to_string(), source.version))
            .collect(),
        chosen,
        resource,
    };
    let json = serde_json::to_vec(&depends_on).unwrap_or_default();
    blake3::hash(&json).to_hex()[..32].to_owned()
}

fn no_such_agent(namespace: &str, code: &str, data_source: Option<&str>) -> Problem {
    Problem::not_found(match data_source {
        Some(name) => format!(
            "data source {name:?} in namespace {namespace:?} holds no agent {code:?}"
        ),
        None => format!("no data source in namespace {namespace:?} holds an agent {code:?}"),
    })
}
