//! The views' types, as JSON has them.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::agent_day::Day;
use crate::domain::data_source::{Dating, Goal, GoodDirection};
use crate::domain::description::Stall;
use crate::domain::fetch::{FetchError, FetchRecord, Outcome};

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
    /// Its spec can't be followed: nothing is fetched until it is changed.
    Stalled,
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
    /// By schedule, with jitter; null while suspended or stalled.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_fetch_time: Option<Timestamp>,
    /// Slots that were skipped since the object was made.
    pub missed_fetches: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Where the newest fetch failed.
    pub error: Option<ErrorView>,
    /// Where only another spec helps.
    pub stalled: Option<Stall>,
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
