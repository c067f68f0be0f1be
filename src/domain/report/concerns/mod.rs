//! Why a report can't be trusted, or what its reader should know: each concern in words that a
//! manager understands, with what to do and the numbers behind it.

mod allocation;
mod arms;
mod rows;
mod source;

use jiff::Timestamp;
use serde_json::Value;

pub use self::source::MAX_SLOTS_COUNTED;
use super::AgentData;
use super::testing::Test;
use super::view::{Concern, ConcernCode, Severity};
use crate::domain::agent_day::AgentDay;

/// Everything that is to be said of a Testing Report, the gravest first.
pub(super) fn of_test(test: &Test, now: Timestamp) -> Vec<Concern> {
    let question = test.question;
    let (data, days) = (question.data, question.days);
    let mut concerns = possible_alarms(test);
    concerns.extend(allocation::trait_imbalance(test));
    concerns.extend(source::visitor_days(data, days));
    concerns.extend(arms::few_conversions(test));
    concerns.extend(arms::days_missing(test));
    concerns.extend(arms::late_arms(test));
    concerns.extend(source::incomplete_day(data, days));
    concerns.extend(rows::policy_mixed(test));
    concerns.extend(rows::trait_totals_disagree(test));
    concerns.extend(source::goal_absent(days, &question.goal.code));
    concerns.extend(arms::unexpected_variations(test));
    concerns.extend(allocation::effect_differs_by_trait(test));
    concerns.extend(source::stale(data, now));
    concerns.extend(source::last_fetch_failed(data));
    in_order(&mut concerns);
    concerns
}

/// Those alone that make a report untrustworthy.
pub(super) fn alarms(test: &Test) -> Vec<Concern> {
    let mut alarms = possible_alarms(test);
    alarms.retain(|concern| concern.severity == Severity::Alarm);
    alarms
}

fn possible_alarms(test: &Test) -> Vec<Concern> {
    let mut concerns = Vec::new();
    concerns.extend(allocation::sample_ratio_mismatch(test));
    concerns.extend(allocation::allocation_drift(test));
    concerns.extend(rows::integrity_problems(test));
    concerns.extend(arms::few_visitors(test));
    concerns
}

/// What can be wrong with an Activity Report: only what bears on counts. `held`: each data source in
/// view with its days in view; where there are several, each concern names its own. `by_day`: the
/// visitors of the variations `codes` on each day, where those are its groups.
pub(super) fn of_activity(
    held: &[(&AgentData, &[AgentDay])],
    goal: &str,
    (codes, by_day): (&[&str], &[Vec<u64>]),
    now: Timestamp,
) -> Vec<Concern> {
    let mut concerns = Vec::new();
    concerns.extend(allocation::drift_of_activity(by_day, codes));
    for (data, days) in held {
        let of_source = [
            source::visitor_days(data, days),
            source::days_missing(days),
            source::goal_absent(days, goal),
            source::incomplete_day(data, days),
            source::stale(data, now),
            source::last_fetch_failed(data),
        ];
        let name = (held.len() > 1).then_some(&data.source.key.name);
        concerns.extend(of_source.into_iter().flatten().map(|concern| match name {
            Some(name) => naming(name, concern),
            None => concern,
        }));
    }
    in_order(&mut concerns);
    concerns
}

/// As a concern of the data source `name`, where several are in view.
fn naming(name: &str, mut concern: Concern) -> Concern {
    concern.message = format!("{name}: {}", concern.message);
    concern.values.insert("dataSource".into(), name.into());
    concern
}

/// The gravest first; of one severity in the order of the codes.
fn in_order(concerns: &mut [Concern]) {
    concerns.sort_by_key(|concern| (concern.severity, concern.code));
}

impl ConcernCode {
    /// Each has a fixed one; of integrity problems those that only speak about the dating of
    /// events are less grave.
    fn severity(self) -> Severity {
        match self {
            Self::SampleRatioMismatch
            | Self::AllocationDrift
            | Self::IntegrityProblem
            | Self::FewVisitors => Severity::Alarm,
            Self::IncompleteDay => Severity::Info,
            _ => Severity::Warning,
        }
    }
}

fn concern<const N: usize>(
    code: ConcernCode,
    message: String,
    hint: impl Into<String>,
    values: [(&str, Value); N],
) -> Concern {
    Concern {
        code,
        severity: code.severity(),
        message,
        hint: hint.into(),
        values: values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    }
}

/// `1 day`, `1,203 visitors`.
fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", super::words::count(count))
}
