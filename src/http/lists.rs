//! Data sources, agents and fetches, as JSON and pages show them.

mod views;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

pub use views::{
    AgentView, ErrorView, FetchNowView, FetchView, GoalView, Health, HeldAgent, PolicyView,
    SourceDetail, SourceView,
};

use super::access::{Caller, Scope};
use super::problem::Problem;
use super::state::ReportState;
use crate::domain::agent::{AgentResource, in_force};
use crate::domain::data_source::{SourceId, SourceKey};
use crate::domain::description::Description;
use crate::store::report_data::AgentSources;
use crate::store::{AgentRow, SourceRow};

/// Slots without a fetch from which data count as stale.
const STALE_SLOTS: u32 = 2;

impl ReportState {
    /// Every data source within the scope whose object is there, by namespace and name. For who may
    /// see none, the store is not asked.
    ///
    /// # Errors
    /// 503 where the store does not answer.
    pub(super) async fn data_sources(&self, scope: &Scope) -> Result<Vec<SourceView>, Problem> {
        if scope.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.now();
        let mut sources = self.store()?.sources().await?;
        sources.retain(|source| scope.holds(&source.key.namespace));
        // Schedules are worked out for each of them: not by the threads that serve.
        self.compute(move || {
            Ok(sources
                .iter()
                .filter(|source| source.present)
                .map(|source| SourceView::of(source, now))
                .collect())
        })
        .await
    }

    /// Every agent of those, by namespace and code.
    ///
    /// # Errors
    /// 503 where the store does not answer.
    pub(super) async fn agents(&self, scope: &Scope) -> Result<Vec<AgentView>, Problem> {
        if scope.is_empty() {
            return Ok(Vec::new());
        }
        let store = self.store()?;
        let mut sources = store.sources().await?;
        sources.retain(|source| scope.holds(&source.key.namespace));
        let resources = store.agent_resources(None).await?;
        let held = store.agent_list().await?;
        let now = self.now();
        self.compute(move || Ok(agent_views(sources, &resources, held, now)))
            .await
    }

    /// # Errors
    /// 404 where there is no such data source, 503 where the store does not answer.
    pub(super) async fn data_source(
        &self,
        caller: &Caller,
        namespace: &str,
        name: &str,
    ) -> Result<SourceDetail, Problem> {
        let source = self.source(namespace, name).await?;
        let agents = self.store()?.agents(source.id).await?;
        let resources = self.store()?.agent_resources(Some(namespace)).await?;
        let agents = agents
            .into_iter()
            .map(|agent| HeldAgent {
                display_name: display_name(&resources, &agent.code),
                code: agent.code,
                days: agent.days,
                first_day: agent.first_day,
                last_day: agent.last_day,
            })
            .collect();
        let can_fetch = self.can_fetch(caller, &source.key).await?;
        Ok(SourceDetail::of(&source, agents, can_fetch, self.now()))
    }

    /// The newest fetches that began before `before`, and whether there are more.
    ///
    /// # Errors
    /// 404 where there is no such data source, 503 where the store does not answer.
    pub async fn fetches(
        &self,
        namespace: &str,
        name: &str,
        limit: usize,
        before: Option<Uuid>,
    ) -> Result<(Vec<FetchView>, bool), Problem> {
        let source = self.source(namespace, name).await?;
        let store = self.store()?;
        let mut records = store.fetches(source.id, limit + 1, before).await?;
        let more = records.len() > limit;
        records.truncate(limit);
        Ok((records.iter().map(FetchView::from).collect(), more))
    }
}

/// Without regard to case.
fn holds(text: &str, search: &str) -> bool {
    text.to_lowercase().contains(&search.to_lowercase())
}

impl AgentView {
    /// Whether a search finds it.
    #[must_use]
    pub fn matches(&self, search: &str) -> bool {
        holds(&self.code, search)
            || self
                .display_name
                .as_ref()
                .is_some_and(|name| holds(name, search))
    }
}

impl SourceView {
    /// Whether a search finds it.
    #[must_use]
    pub fn matches(&self, search: &str) -> bool {
        holds(&self.name, search) || holds(&self.display_name, search)
    }

    fn of(source: &SourceRow, now: Timestamp) -> Self {
        let description = source.description.as_ref();
        Self {
            namespace: source.key.namespace.clone(),
            name: source.key.name.clone(),
            display_name: description.map_or_else(
                || source.key.name.clone(),
                |description| description.display_name.clone(),
            ),
            health: health(source, now),
            agent_count: source.agent_count,
            rows: source.rows,
            first_day: source.first_day,
            last_day: source.last_day,
            last_fetch_time: source.last_fetch_at,
            last_success_time: source.last_success_at,
            next_fetch_time: description.and_then(|description| description.next_fetch(now)),
            missed_fetches: source.missed_fetches,
            failures: source.failures,
            error: source.last_error.as_ref().map(ErrorView::from),
            stalled: description.and_then(|description| description.stalled.clone()),
        }
    }
}

impl SourceDetail {
    fn of(source: &SourceRow, agents: Vec<HeldAgent>, available: bool, now: Timestamp) -> Self {
        let description = source.description.as_ref();
        // What a stalled object's spec says is not known where it was never read.
        let said = |part: fn(&Description) -> &String| {
            description
                .map(part)
                .filter(|text| !text.is_empty())
                .cloned()
        };
        Self {
            source: SourceView::of(source, now),
            goals: description
                .map(|description| description.goals.iter().map(GoalView::from).collect())
                .unwrap_or_default(),
            dating: description
                .filter(|description| !description.schedule.is_empty())
                .map(|description| description.dating),
            schedule: said(|description| &description.schedule),
            time_zone: said(|description| &description.time_zone),
            suspend: description.is_some_and(|description| description.suspend),
            region: said(|description| &description.region),
            bucket: said(|description| &description.bucket),
            key: said(|description| &description.key),
            reader: source.reader.clone(),
            agents,
            fetch_now: FetchNowView {
                available,
                command: (!available).then(|| fetch_command(&source.key)),
            },
        }
    }
}

/// Namespaces and names are DNS names: nothing in them needs quoting.
pub(super) fn fetch_command(source: &SourceKey) -> String {
    format!(
        "kubectl annotate datasource -n {} {} --overwrite \
         sumsq.dev/fetch-requested-at=\"$(date +%s)\"",
        source.namespace, source.name
    )
}

fn health(source: &SourceRow, now: Timestamp) -> Health {
    let description = source.description.as_ref();
    if description.is_some_and(|description| description.stalled.is_some()) {
        return Health::Stalled;
    }
    if source.last_error.is_some() {
        return Health::Failing;
    }
    if description.is_some_and(|description| description.suspend) {
        return Health::Suspended;
    }
    let Some(last) = source.last_success_at else {
        return Health::Pending;
    };
    let missed = description.map_or(0, |description| {
        description.slots_missed(last, now, STALE_SLOTS)
    });
    if missed >= STALE_SLOTS {
        Health::Stale
    } else {
        Health::Ok
    }
}

fn display_name(resources: &[AgentResource], code: &str) -> Option<String> {
    in_force(resources, code)?.agent.display_name.clone()
}

/// An agent of a source, which it shares with all the others of that source.
type Held = (Arc<SourceRow>, AgentRow);

fn agent_views(
    sources: Vec<SourceRow>,
    resources: &[AgentResource],
    held: Vec<(SourceId, AgentRow)>,
    now: Timestamp,
) -> Vec<AgentView> {
    // A source holds thousands of agents: its schedule is looked at once.
    let by_id: BTreeMap<SourceId, (Arc<SourceRow>, Health)> = sources
        .into_iter()
        .map(|source| {
            let health = health(&source, now);
            (source.id, (Arc::new(source), health))
        })
        .collect();
    let mut by_agent: BTreeMap<(&str, String), Vec<Held>> = BTreeMap::new();
    for (id, agent) in held {
        if let Some((source, _)) = by_id.get(&id) {
            let key = (source.key.namespace.as_str(), agent.code.clone());
            let held = (Arc::clone(source), agent);
            by_agent.entry(key).or_default().push(held);
        }
    }
    let mut by_namespace: BTreeMap<&str, Vec<AgentResource>> = BTreeMap::new();
    for resource in resources {
        let of_namespace = by_namespace.entry(&resource.namespace).or_default();
        of_namespace.push(resource.clone());
    }
    by_agent
        .into_iter()
        .filter_map(|((namespace, code), held)| {
            let resources = by_namespace.get(namespace).map_or(&[][..], Vec::as_slice);
            let sources = AgentSources::of(&code, held, resources)?;
            let newest = sources.chosen(None)?;
            let (_, health) = by_id.get(&newest.source.id)?;
            Some(AgentView {
                namespace: namespace.to_owned(),
                code,
                display_name: sources
                    .resource
                    .as_ref()
                    .and_then(|resource| resource.agent.display_name.clone()),
                data_sources: sources
                    .holders
                    .iter()
                    .map(|holder| holder.source.key.name.clone())
                    .collect(),
                health: *health,
                days: newest.agent.days,
                first_day: newest.agent.first_day,
                last_day: newest.agent.last_day,
            })
        })
        .collect()
}
