//! What an Agent's status says: who holds data of it, and whether its reports can be trusted.
//!
//! The judgement is the Testing Report's own, over every goal that the agent's reports are about.

use jiff::Timestamp;
use serde::Serialize;

use super::agent_day::Day;
use super::fetch::presentable;
use super::report::trust::untrustworthy;
use super::report::view::{Concern, ConcernCode, TestingReport};
use super::report::{AgentData, Choice, Tally, TestingQuery, choices, testing};
use super::status::{Condition, ConditionStatus, Meaning};

/// Data sources that a status lists, at most.
const MAX_DATA_SOURCES: usize = 100;
/// Goals that a message names, at most.
const MAX_GOALS_NAMED: usize = 20;

/// Why Trustworthy is what it is. A closed list: condition reasons, event reasons and a metric's
/// label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrustReason {
    /// True: nothing keeps a reader from believing the reports.
    NoAlarm,
    SampleRatioMismatch,
    AllocationDrift,
    IntegrityProblem,
    FewVisitors,
    /// An alarm of another sort.
    OtherAlarm,
    /// Unknown: no data source holds data of it yet.
    NoData,
    /// Unknown: none of its goals is in the data.
    NoGoal,
    /// Unknown: another Agent counts for the code.
    DuplicateCode,
    /// Unknown: the spec can't be used.
    InvalidSpec,
}

impl TrustReason {
    pub const ALL: &'static [Self] = &[
        Self::NoAlarm,
        Self::SampleRatioMismatch,
        Self::AllocationDrift,
        Self::IntegrityProblem,
        Self::FewVisitors,
        Self::OtherAlarm,
        Self::NoData,
        Self::NoGoal,
        Self::DuplicateCode,
        Self::InvalidSpec,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoAlarm => "NoAlarm",
            Self::SampleRatioMismatch => "SampleRatioMismatch",
            Self::AllocationDrift => "AllocationDrift",
            Self::IntegrityProblem => "IntegrityProblem",
            Self::FewVisitors => "FewVisitors",
            Self::OtherAlarm => "OtherAlarm",
            Self::NoData => "NoData",
            Self::NoGoal => "NoGoal",
            Self::DuplicateCode => "DuplicateCode",
            Self::InvalidSpec => "InvalidSpec",
        }
    }

    /// What docs/errors.md says of it.
    #[must_use]
    pub fn meaning(self) -> Meaning {
        let (condition, means, remedy) = match self {
            Self::NoAlarm => (
                "Trustworthy True",
                "no alarm in the reports of any goal",
                "nothing",
            ),
            Self::SampleRatioMismatch => (
                "Trustworthy False",
                "the visitors are not shared out as was meant",
                "look for what loses visitors of one variation; where unequal shares were meant, declare the weights in the Agent",
            ),
            Self::AllocationDrift => (
                "Trustworthy False",
                "the shares changed on the way",
                "go by the difference day by day, which the report shows instead",
            ),
            Self::IntegrityProblem => (
                "Trustworthy False",
                "numbers that no visitors can have produced",
                "mend the export: `sumsq check` names the rows",
            ),
            Self::FewVisitors => (
                "Trustworthy False",
                "too few visitors to say anything yet",
                "wait",
            ),
            Self::OtherAlarm => (
                "Trustworthy False",
                "an alarm of another sort",
                "the message is the report's own",
            ),
            Self::NoData => (
                "Trustworthy Unknown",
                "no data source of the namespace holds data of this code yet",
                "compare `code` with the CSV's, letter by letter",
            ),
            Self::NoGoal => (
                "Trustworthy Unknown",
                "none of the goals that it names is in the data",
                "compare `goals` with the codes of the DataSource's goals",
            ),
            Self::DuplicateCode => (
                "Ready False, Stalled True, Trustworthy Unknown",
                "an older Agent has the code too, and counts",
                "delete one of the two, or give this one another code",
            ),
            Self::InvalidSpec => (
                "Ready False, Stalled True, Trustworthy Unknown",
                "the spec can't be used, or another version's definition let it in",
                "the message says what to write",
            ),
        };
        Meaning {
            condition,
            means,
            remedy,
        }
    }

    /// None while it is unknown.
    #[must_use]
    pub fn is_trustworthy(self) -> Option<bool> {
        match self {
            Self::NoAlarm => Some(true),
            Self::SampleRatioMismatch
            | Self::AllocationDrift
            | Self::IntegrityProblem
            | Self::FewVisitors
            | Self::OtherAlarm => Some(false),
            Self::NoData | Self::NoGoal | Self::DuplicateCode | Self::InvalidSpec => None,
        }
    }
}

impl From<ConcernCode> for TrustReason {
    fn from(code: ConcernCode) -> Self {
        match code {
            ConcernCode::SampleRatioMismatch => Self::SampleRatioMismatch,
            ConcernCode::AllocationDrift => Self::AllocationDrift,
            ConcernCode::IntegrityProblem => Self::IntegrityProblem,
            ConcernCode::FewVisitors => Self::FewVisitors,
            _ => Self::OtherAlarm,
        }
    }
}

/// Whether an agent's reports can be trusted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    pub reason: TrustReason,
    /// In sentences.
    pub message: String,
}

/// What the data say of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    pub trust: Trust,
    /// Who holds data of it; the default one first.
    pub data_sources: Vec<String>,
    /// Of the default one.
    pub first_day: Option<Day>,
    pub last_day: Option<Day>,
    /// Visitors that its Testing Report is about.
    pub visitors: Option<u64>,
}

impl Findings {
    /// Nothing is held of the agent.
    #[must_use]
    pub fn no_data(code: &str) -> Self {
        Self::unknown(Trust {
            reason: TrustReason::NoData,
            message: format!("No data source of this namespace holds data of {code} yet."),
        })
    }

    /// Data are held, but of none of the goals that the Agent names.
    #[must_use]
    pub fn no_goal(code: &str, goals: &[String]) -> Self {
        let named: Vec<&str> = goals
            .iter()
            .take(MAX_GOALS_NAMED)
            .map(String::as_str)
            .collect();
        Self::unknown(Trust {
            reason: TrustReason::NoGoal,
            message: format!(
                "The data sources that hold data of {code} have none of the goals that it names: \
                 {}.",
                named.join(", ")
            ),
        })
    }

    fn unknown(trust: Trust) -> Self {
        Self {
            trust,
            data_sources: Vec::new(),
            first_day: None,
            last_day: None,
            visitors: None,
        }
    }
}

/// Judges the data of the default source, and counts the visitors that its reports are about. What
/// an alarm depends on is in the data alone: the judgement is the same whenever it is made.
#[must_use]
pub fn judge(tally: &Tally, now: Timestamp) -> (Trust, Option<u64>) {
    let data = tally.data();
    let mut goals = choices(tally).goals;
    // Of a goal that no file has had yet there is nothing to judge.
    let is_held = |goal: &Choice| {
        let mut of_days = data.source.days.iter().flat_map(|day| &*day.goals);
        of_days.any(|held| **held == *goal.code)
    };
    let named: Vec<String> = goals.iter().map(|goal| goal.code.clone()).collect();
    goals.retain(is_held);
    let mut visitors = None;
    let mut alarms: Vec<Concern> = Vec::new();
    let mut judged = 0_u64;
    for goal in &goals {
        let query = TestingQuery {
            goal: Some(goal.code.clone()),
            ..TestingQuery::default()
        };
        // A goal without a report has no alarm; where none has one, that is told below.
        let Ok(report) = testing(tally, &query, now) else {
            continue;
        };
        judged += 1;
        visitors = visitors.max(Some(visitors_of(&report)));
        alarms.extend(untrustworthy(&report).cloned());
    }
    if judged == 0 {
        return (Findings::no_goal(&data.code, &named).trust, None);
    }
    // The gravest of them, of the first goal that has it.
    let alarm = alarms.into_iter().min_by_key(|concern| concern.code);
    let trust = match alarm {
        Some(concern) => Trust {
            reason: concern.code.into(),
            message: format!("{} {}", concern.message, concern.hint),
        },
        None => Trust {
            reason: TrustReason::NoAlarm,
            message: believable(data, judged),
        },
    };
    (trust, visitors)
}

/// A goal that is absent on some days is about fewer visitors than another.
fn visitors_of(report: &TestingReport) -> u64 {
    let visitors = report.arms.iter().map(|arm| arm.visitors);
    visitors.fold(0, u64::saturating_add)
}

fn believable(data: &AgentData, goals: u64) -> String {
    let plural = if goals == 1 { "goal" } else { "goals" };
    format!(
        "No alarm in the reports of {goals} {plural} from data source {}.",
        data.source.key.name
    )
}

/// The reason of Ready where an Agent counts, and what it means.
pub const IN_FORCE: (&str, Meaning) = (
    "InForce",
    Meaning {
        condition: "Ready True",
        means: "reports are as the Agent says",
        remedy: "nothing",
    },
);

/// An Agent, and whether it counts.
#[derive(Debug, Clone)]
pub enum Standing {
    /// Its reports are as it says.
    InForce(Findings),
    /// The older Agent of this name has the code.
    Duplicate { code: String, older: String },
    /// Only another spec helps.
    Invalid { message: String },
}

/// What status says of an Agent. Conditions are not serialised: they have times of transition,
/// which the publisher knows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    pub observed_generation: i64,
    #[serde(skip)]
    pub ready: Condition,
    #[serde(skip)]
    pub trustworthy: Condition,
    /// Where the object itself has to change, or another go.
    #[serde(skip)]
    pub stalled: Option<Condition>,
    #[serde(skip)]
    pub reason: TrustReason,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data_sources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_day: Option<Day>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_day: Option<Day>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visitors: Option<u64>,
}

impl AgentStatus {
    /// Conditions by type, in the order in which they are shown.
    #[must_use]
    pub fn conditions(&self) -> Vec<(&'static str, &Condition)> {
        let mut conditions = vec![("Ready", &self.ready), ("Trustworthy", &self.trustworthy)];
        conditions.extend(self.stalled.as_ref().map(|stalled| ("Stalled", stalled)));
        conditions
    }
}

/// What status says of an Agent that stands so.
#[must_use]
pub fn agent_status(generation: i64, standing: Standing) -> AgentStatus {
    let (ready, findings) = match standing {
        Standing::InForce(findings) => {
            let ready = Condition {
                status: ConditionStatus::True,
                reason: IN_FORCE.0,
                message: "Reports are as this object says.".to_owned(),
            };
            (ready, findings)
        }
        Standing::Duplicate { code, older } => not_ready(
            TrustReason::DuplicateCode,
            format!(
                "Agent {older} is older and has the code {code} too: reports follow that one. \
                 Delete one of the two, or give this one another code."
            ),
        ),
        Standing::Invalid { message } => not_ready(TrustReason::InvalidSpec, message),
    };
    let Findings {
        trust: Trust { reason, message },
        mut data_sources,
        ..
    } = findings;
    data_sources.truncate(MAX_DATA_SOURCES);
    let stalled = (ready.status == ConditionStatus::False).then(|| Condition {
        status: ConditionStatus::True,
        ..ready.clone()
    });
    AgentStatus {
        observed_generation: generation,
        ready,
        stalled,
        trustworthy: Condition {
            status: match reason.is_trustworthy() {
                Some(true) => ConditionStatus::True,
                Some(false) => ConditionStatus::False,
                None => ConditionStatus::Unknown,
            },
            reason: reason.as_str(),
            message: presentable(&message),
        },
        reason,
        data_sources,
        first_day: findings.first_day,
        last_day: findings.last_day,
        visitors: findings.visitors,
    }
}

fn not_ready(reason: TrustReason, message: String) -> (Condition, Findings) {
    let ready = Condition {
        status: ConditionStatus::False,
        reason: reason.as_str(),
        message: presentable(&message),
    };
    (ready, Findings::unknown(Trust { reason, message }))
}
