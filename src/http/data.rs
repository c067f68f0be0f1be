//! An agent's data for a report: out of the cache or the store, with what names their state.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::conditional::Etag;
use super::problem::Problem;
use super::state::ReportState;
use crate::domain::agent_day::Day;
use crate::domain::data_source::SourceKey;
use crate::domain::report::{MAX_SLOTS_COUNTED, SourceData, Tally};
use crate::store::SourceRow;
use crate::store::report_data::{AgentSources, Holder};

/// A reading that meets an import begins anew, so often.
const ATTEMPTS: usize = 3;
/// All days of each are decoded at once.
pub(super) const SOURCES_SIDE_BY_SIDE: usize = 20;

/// One agent of one source, and what names the state of what was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub tally: Arc<Tally>,
    /// The sources that hold the agent, this one too: the data-set switch.
    pub sources: AgentSources,
    /// The one that `tally` is of.
    pub holder: Holder,
    /// Changes with everything that a report of this agent could show, but for the clock.
    pub version: String,
}

impl Loaded {
    /// Of a view of this agent by this query.
    pub(super) fn etag(&self, view: &str, query: &[(String, String)], state: &ReportState) -> Etag {
        // What a report says of missed slots changes with the clock alone. Of all sources, as they
        // may stand side by side.
        let now = state.now();
        let missed: Vec<Option<u32>> = self
            .sources
            .holders
            .iter()
            .map(|Holder { source, .. }| {
                let description = source.description.as_ref()?;
                Some(description.slots_missed(source.last_success_at?, now, MAX_SLOTS_COUNTED))
            })
            .collect();
        let today = Day::from_unix_seconds(now.as_second()).map(|day| day.0);
        let agent = &self.sources.code;
        Etag::of(&(view, agent, &self.version, missed, today, query))
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
            let store = self.store()?;
            let sources = AgentSources::find(store, namespace, code)
                .await?
                .ok_or_else(|| no_such_agent(namespace, code))?;
            let holder = sources
                .chosen(data_source)
                .ok_or_else(|| not_a_holder(&sources, namespace, data_source))?
                .clone();
            let version = version(&sources, &holder);
            let key = format!("{version} {code}");
            let mut held = self.agents.get(&key);
            // Decoded days take megabytes: few are read at a time, and who waited finds them read.
            let turn = match held {
                Some(_) => None,
                None => Some(self.loads.acquire().await),
            };
            if turn.is_some() {
                held = self.agents.get(&key);
            }
            let tally = if let Some(tally) = held {
                tally
            } else {
                let data = sources.load(store, &holder).await?;
                let still = store.source(&holder.source.key).await?;
                if still.map(|row| SourceState::of(&row)) != Some(SourceState::of(&holder.source)) {
                    // An import came in between: days and times would not belong together.
                    continue;
                }
                let tally = self.compute(move || Ok(Tally::new(data))).await?;
                let tally = Arc::new(tally);
                self.agents.put(key, Arc::clone(&tally), tally.bytes());
                tally
            };
            return Ok(Loaded {
                tally,
                sources,
                holder,
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
    /// 400 where more than [`SOURCES_SIDE_BY_SIDE`] hold it, 503 where the store does not answer.
    pub async fn others(&self, loaded: &Loaded) -> Result<Vec<SourceData>, Problem> {
        let count = loaded.sources.holders.len();
        if count > SOURCES_SIDE_BY_SIDE {
            let takes = format!(
                "takes dataSource where at most {SOURCES_SIDE_BY_SIDE} data sources hold the \
                 agent; {count} do, and dataSource shows one of them"
            );
            return Err(Problem::parameter("groupBy", &takes));
        }
        let store = self.store()?;
        // As where one source's days are read.
        let _turn = self.loads.acquire().await;
        let mut others = Vec::new();
        for holder in &loaded.sources.holders {
            let source = &holder.source;
            if source.id != loaded.holder.source.id {
                let days = store
                    .agent_days(source.id, &loaded.sources.code, Day::MIN, Day::MAX)
                    .await?;
                others.push(holder.source_data(days));
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
}

/// What names the state of one source. Its version alone does not: ids follow from names, and the
/// versions of one that was deleted and entered again begin anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SourceState {
    id: String,
    uid: String,
    version: u64,
    imported_at: Option<Timestamp>,
    last_fetch_at: Option<Timestamp>,
}

impl SourceState {
    pub(super) fn of(source: &SourceRow) -> Self {
        Self {
            id: source.id.to_string(),
            uid: source.uid.clone(),
            version: source.version,
            imported_at: source.imported_at,
            last_fetch_at: source.last_fetch_at,
        }
    }
}

/// The sources' versions cover their data, their descriptions and how their fetches went.
fn version(sources: &AgentSources, holder: &Holder) -> String {
    #[derive(Serialize)]
    struct DependsOn<'a> {
        sources: Vec<SourceState>,
        chosen: &'a str,
        resource: Option<&'a crate::domain::agent::Agent>,
    }
    let depends_on = DependsOn {
        sources: sources
            .holders
            .iter()
            .map(|holder| SourceState::of(&holder.source))
            .collect(),
        chosen: &holder.source.key.name,
        resource: sources.resource.as_ref().map(|resource| &resource.agent),
    };
    let json = serde_json::to_vec(&depends_on).unwrap_or_default();
    blake3::hash(&json).to_hex()[..32].to_owned()
}

fn no_such_agent(namespace: &str, code: &str) -> Problem {
    Problem::not_found(format!(
        "no data source in namespace {namespace:?} holds an agent {code:?}"
    ))
}

fn not_a_holder(sources: &AgentSources, namespace: &str, data_source: Option<&str>) -> Problem {
    let names = sources
        .holders
        .iter()
        .map(|holder| holder.source.key.name.as_str());
    Problem::not_found(format!(
        "no data source {:?} in namespace {namespace:?} holds agent {:?}; these do: {}",
        data_source.unwrap_or_default(),
        sources.code,
        names.collect::<Vec<_>>().join(", ")
    ))
}
