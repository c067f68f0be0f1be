//! Data sources, agents and fetches, as JSON and pages show them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::problem::Problem;
use super::state::ReportState;
use crate::domain::agent::{AgentResource, in_force};
use crate::domain::agent_day::Day;
use crate::domain::data_source::{Dating, Goal, GoodDirection, SourceId};
use crate::domain::fetch::{FetchError, FetchRecord, Outcome};
use crate::store::report_data::AgentSources;
use crate::store::{AgentRow, SourceRow};

/// Slots without a fetch from which data count as stale.
const STALE_SLOTS: u32 = 2;

/// How a data source stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum Health {
    /// The newest fetch succeeded.
    Ok,
    /// The newest fetch failed; the data from before are served.
    Failing,
    /// Two slots or more have passed without a fetch that succeeded.
    Stale,
    /// It fetches nothing by itself, since its spec says so.
    Suspended,
    /// Nothing has been fetched yet.
    Pending,
}

/// One data source.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceView {
    pub namespace: String,
    pub name: String,
    pub display_name: String,
    pub health: Health,
    pub agent_count: u64,
    /// Data rows of the newest file that was imported.
    pub rows: Option<u64>,
    #[schema(value_type = Option<String>, format = Date)]
    pub first_day: Option<Day>,
    #[schema(value_type = Option<String>, format = Date)]
    pub last_day: Option<Day>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_fetch_time: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_success_time: Option<Timestamp>,
    /// By schedule, with jitter; null while suspended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_fetch_time: Option<Timestamp>,
    /// Slots that were skipped since the object was made.
    pub missed_fetches: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Where the newest fetch failed.
    pub error: Option<ErrorView>,
}

/// Everything about one data source.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceDetail {
    #[serde(flatten)]
    pub source: SourceView,
    pub goals: Vec<GoalView>,
    /// On which day a visitor's events lie: `Exposure` or `Event`.
    #[schema(value_type = Option<String>, example = "Exposure")]
    pub dating: Option<Dating>,
    /// 5-field cron.
    pub schedule: Option<String>,
    /// IANA name.
    pub time_zone: Option<String>,
    pub suspend: bool,
    pub region: Option<String>,
    pub bucket: Option<String>,
    pub key: Option<String>,
    /// Whose identity reads the bucket (an ARN).
    pub reader: Option<String>,
    /// By code.
    pub agents: Vec<HeldAgent>,
    pub fetch_now: FetchNowView,
}

/// How to fetch right now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FetchNowView {
    /// Whether this server can be asked to, by `POST .../fetch`.
    pub available: bool,
    /// The command that does it in a cluster.
    pub command: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoalView {
    pub code: String,
    pub display_name: Option<String>,
    pub numeric: bool,
    pub allow_negative: bool,
    /// `Increase` or `Decrease`.
    #[schema(value_type = String, example = "Increase")]
    pub good_direction: GoodDirection,
}

/// An agent of one data source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldAgent {
    pub code: String,
    pub display_name: Option<String>,
    /// Days that hold data.
    pub days: u64,
    #[schema(value_type = String, format = Date)]
    pub first_day: Day,
    #[schema(value_type = String, format = Date)]
    pub last_day: Day,
}

/// An agent (an experiment), whichever data sources of its namespace hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentView {
    pub namespace: String,
    pub code: String,
    pub display_name: Option<String>,
    /// Names; the one whose data its reports show unless told otherwise stands first.
    pub data_sources: Vec<String>,
    /// Of that one.
    pub health: Health,
    /// Days that hold data, of that one.
    pub days: u64,
    #[schema(value_type = String, format = Date)]
    pub first_day: Day,
    #[schema(value_type = String, format = Date)]
    pub last_day: Day,
}

/// One fetch; repeats of the same failure are one, with more `attempts`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FetchView {
    /// Sorts by the time it began.
    pub id: Uuid,
    /// `Created`, `Schedule`, `Manual`, `SpecChange` or `Retry`.
    pub trigger: &'static str,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
    pub attempts: u32,
    /// `Imported`, `NotModified` or `Error`; null while it runs.
    pub result: Option<&'static str>,
    pub agent_count: Option<u64>,
    /// The first ones by code.
    pub agents: Vec<String>,
    pub rows: Option<u64>,
    /// After decompression.
    pub bytes: Option<u64>,
    pub changed_agent_days: Option<u64>,
    /// All that were found.
    pub warnings: u64,
    /// The first ones in words.
    pub warning_messages: Vec<String>,
    pub error: Option<ErrorView>,
}

/// Why a fetch failed, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorView {
    pub code: String,
    pub message: String,
    pub hint: String,
    /// Statements to paste into a policy, ready as they stand.
    pub policies: Vec<PolicyView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyView {
    /// Where it goes: `bucket policy` or `key policy`.
    pub target: String,
    /// JSON.
    pub statement: String,
}

impl ReportState {
    /// Every data source whose object is there, by namespace and name.
    ///
    /// # Errors
    /// 503 where the store does not answer.
    pub async fn data_sources(&self) -> Result<Vec<SourceView>, Problem> {
        let now = self.now();
        let sources = self.store()?.sources().await?;
        Ok(sources
            .iter()
            .filter(|source| source.present)
            .map(|source| SourceView::of(source, now))
            .collect())
    }

    /// Every agent of those, by namespace and code.
    ///
    /// # Errors
    /// 503 where the store does not answer.
    pub async fn agents(&self) -> Result<Vec<AgentView>, Problem> {
        let store = self.store()?;
        let sources = store.sources().await?;
        let resources = store.agent_resources(None).await?;
        let held = store.agent_list().await?;
        Ok(agent_views(&sources, &resources, &held, self.now()))
    }

    /// # Errors
    /// 404 where there is no such data source, 503 where the store does not answer.
    pub async fn data_source(&self, namespace: &str, name: &str) -> Result<SourceDetail, Problem> {
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
        Ok(SourceDetail::of(&source, agents, self))
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
        }
    }
}

impl SourceDetail {
    fn of(source: &SourceRow, agents: Vec<HeldAgent>, state: &ReportState) -> Self {
        let description = source.description.as_ref();
        let available = state.fetch_now.is_some();
        Self {
            source: SourceView::of(source, state.now()),
            goals: description
                .map(|description| description.goals.iter().map(GoalView::from).collect())
                .unwrap_or_default(),
            dating: description.map(|description| description.dating),
            schedule: description.map(|description| description.schedule.clone()),
            time_zone: description.map(|description| description.time_zone.clone()),
            suspend: description.is_some_and(|description| description.suspend),
            region: description.map(|description| description.region.clone()),
            bucket: description.map(|description| description.bucket.clone()),
            key: description.map(|description| description.key.clone()),
            reader: source.reader.clone(),
            agents,
            fetch_now: FetchNowView {
                available,
                command: (!available).then(|| fetch_command(source)),
            },
        }
    }
}

/// Namespaces and names are DNS names: nothing in them needs quoting.
fn fetch_command(source: &SourceRow) -> String {
    format!(
        "kubectl annotate datasource -n {} {} --overwrite \
         sumsq.dev/fetch-requested-at=\"$(date +%s)\"",
        source.key.namespace, source.key.name
    )
}

fn health(source: &SourceRow, now: Timestamp) -> Health {
    let description = source.description.as_ref();
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

fn agent_views(
    sources: &[SourceRow],
    resources: &[AgentResource],
    held: &[(SourceId, AgentRow)],
    now: Timestamp,
) -> Vec<AgentView> {
    let by_id: BTreeMap<SourceId, &SourceRow> =
        sources.iter().map(|source| (source.id, source)).collect();
    let mut by_agent: BTreeMap<(&str, &str), Vec<(SourceRow, AgentRow)>> = BTreeMap::new();
    for (id, agent) in held {
        if let Some(source) = by_id.get(id) {
            let key = (source.key.namespace.as_str(), agent.code.as_str());
            let held = ((*source).clone(), agent.clone());
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
            let sources = AgentSources::of(code, held, resources)?;
            let newest = sources.chosen(None)?;
            Some(AgentView {
                namespace: namespace.to_owned(),
                code: code.to_owned(),
                display_name: sources
                    .resource
                    .as_ref()
                    .and_then(|resource| resource.agent.display_name.clone()),
                data_sources: sources
                    .holders
                    .iter()
                    .map(|holder| holder.source.key.name.clone())
                    .collect(),
                health: health(&newest.source, now),
                days: newest.agent.days,
                first_day: newest.agent.first_day,
                last_day: newest.agent.last_day,
            })
        })
        .collect()
}

impl From<&Goal> for GoalView {
    fn from(goal: &Goal) -> Self {
        Self {
            code: goal.code.clone(),
            display_name: goal.display_name.clone(),
            numeric: goal.numeric,
            allow_negative: goal.allow_negative,
            good_direction: goal.good_direction,
        }
    }
}

impl From<&FetchError> for ErrorView {
    fn from(error: &FetchError) -> Self {
        let policies = error.policies.iter().map(|policy| PolicyView {
            target: policy.target.clone(),
            statement: policy.statement.clone(),
        });
        Self {
            code: error.code.clone(),
            message: error.message.clone(),
            hint: error.hint.clone(),
            policies: policies.collect(),
        }
    }
}

impl From<&FetchRecord> for FetchView {
    fn from(record: &FetchRecord) -> Self {
        let import = match &record.outcome {
            Some(Outcome::Imported(import)) => Some(import),
            _ => None,
        };
        Self {
            id: record.id,
            trigger: record.trigger.as_str(),
            started_at: record.started_at,
            completed_at: record.completed_at,
            attempts: record.attempts,
            result: record.outcome.as_ref().map(Outcome::as_str),
            agent_count: import.map(|import| import.agent_count),
            agents: import
                .map(|import| import.agents.clone())
                .unwrap_or_default(),
            rows: import.map(|import| import.rows),
            bytes: import.map(|import| import.bytes),
            changed_agent_days: import.map(|import| import.changed_agent_days),
            warnings: import.map_or(0, |import| import.warnings.total),
            warning_messages: import
                .map(|import| import.warnings.messages.clone())
                .unwrap_or_default(),
            error: record.error().map(ErrorView::from),
        }
    }
}
