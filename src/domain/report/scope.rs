//! What both reports ask of the data first: which goal, which days, which policy, which trait.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::AgentData;
use super::choices::Codes;
use super::query::{ALL_POLICIES, QueryError};
use crate::domain::agent_day::{AgentDay, Day};
use crate::domain::data_source::{Dating, Goal, GoodDirection};
use crate::domain::totals;

/// Codes that a message lists, at most.
const MAX_LISTED: usize = 20;

/// The agent's goals that a report can be about: those that its Agent names, else those of the data
/// source; without goals that no file has had, unless there are no others.
pub(super) fn goals(data: &AgentData) -> Vec<String> {
    let named: Vec<String> = match &data.resource {
        Some(agent) if !agent.goals.is_empty() => agent.goals.clone(),
        _ => {
            let spec = data.source.description.goals.iter();
            spec.map(|goal| goal.code.clone()).collect()
        }
    };
    let mut held = Codes::default();
    for day in &data.source.days {
        for goal in &*day.goals {
            held.index(goal);
        }
    }
    let both: Vec<String> = named
        .iter()
        .filter(|goal| held.contains(goal))
        .cloned()
        .collect();
    if !both.is_empty() {
        both
    } else if !named.is_empty() {
        named
    } else {
        held.sorted().into_iter().map(str::to_owned).collect()
    }
}

/// What is known of a goal; one that the data source no longer names is counted.
pub(super) fn goal(data: &AgentData, code: &str) -> Goal {
    let known = data.source.description.goal(code).cloned();
    known.unwrap_or_else(|| Goal {
        code: code.to_owned(),
        display_name: None,
        numeric: false,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    })
}

/// Of the agent's [`goals`] the one that is asked for, or the first.
pub(super) fn chosen_goal(
    data: &AgentData,
    goals: &[String],
    asked: Option<&str>,
) -> Result<Goal, QueryError> {
    let code = match asked {
        Some(asked) => one_of("goal", asked, goals.iter().map(String::as_str))?,
        None => goals.first().map(String::as_str).ok_or_else(|| {
            QueryError::new(
                "goal",
                "takes a goal of the data source, which has none yet",
            )
        })?,
    };
    Ok(goal(data, code))
}

/// The first and the last day in view; never the one after the other.
pub(super) fn range(
    days: &[AgentDay],
    (from, to): (Option<Day>, Option<Day>),
    now: Timestamp,
) -> (Day, Day) {
    let today = Day::from_unix_seconds(now.as_second()).unwrap_or(Day(0));
    let first = days.first().map_or(today, |day| day.day);
    let last = days.last().map_or(today, |day| day.day);
    match (from, to) {
        (Some(from), Some(to)) => (from, to),
        (Some(from), None) => (from, last.max(from)),
        (None, Some(to)) => (first.min(to), to),
        (None, None) => (first, last),
    }
}

/// The days from `from` to `to`, both included.
pub(super) fn in_view(days: &[AgentDay], from: Day, to: Day) -> &[AgentDay] {
    let start = days.partition_point(|day| day.day < from);
    let end = days.partition_point(|day| day.day <= to);
    days.get(start..end).unwrap_or_default()
}

/// The policy that is asked for, which must be there; by default the reported one.
pub(super) fn chosen_policy(
    policies: &BTreeMap<Arc<str>, u64>,
    asked: Option<&str>,
) -> Result<String, QueryError> {
    let known = policies.keys().map(|code| &**code).chain([ALL_POLICIES]);
    match asked {
        Some(asked) => Ok(one_of("policy", asked, known)?.to_owned()),
        None => Ok(totals::reported_policy(policies)
            .map_or(totals::RANDOM_POLICY, AsRef::as_ref)
            .to_owned()),
    }
}

/// None: every policy.
pub(super) fn policy_filter(policy: &str) -> Option<&str> {
    (policy != ALL_POLICIES).then_some(policy)
}

/// A trait group and a value of it must be among those that there are.
pub(super) fn chosen_trait(
    groups: &[(String, Vec<String>)],
    group: &str,
    value: Option<&str>,
) -> Result<(), QueryError> {
    one_of(
        "traitGroup",
        group,
        groups.iter().map(|(known, _)| known.as_str()),
    )?;
    let values = groups.iter().find(|(known, _)| known == group);
    if let (Some(value), Some((_, values))) = (value, values) {
        one_of("traitValue", value, values.iter().map(String::as_str))?;
    }
    Ok(())
}

/// `asked` as it stands in `known`.
pub(super) fn one_of<'a>(
    parameter: &str,
    asked: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Result<&'a str, QueryError> {
    if let Some(found) = known.clone().find(|code| *code == asked) {
        return Ok(found);
    }
    let mut listed: Vec<&str> = known.clone().take(MAX_LISTED).collect();
    if known.count() > MAX_LISTED {
        listed.push("...");
    }
    let asked = crate::domain::finding::excerpt(asked.as_bytes());
    let takes = if listed.is_empty() {
        "of which this agent has none".to_owned()
    } else {
        format!("takes one of {}", listed.join(", "))
    };
    Err(QueryError::new(
        parameter,
        format!("{asked:?} is not there; {takes}"),
    ))
}

/// Whether a day had ended, where the source keeps its time, when it was fetched.
pub(super) fn is_complete(data: &AgentData, day: Day) -> bool {
    let next = Day(day.0.saturating_add(1));
    let in_zone = || {
        let zone = TimeZone::get(&data.source.description.time_zone).ok()?;
        Some(next.date()?.to_zoned(zone).ok()?.timestamp().as_second())
    };
    let ended = in_zone().unwrap_or_else(|| next.unix_seconds());
    data.source
        .imported_at
        .is_none_or(|fetched| fetched.as_second() >= ended)
}

/// Where events lie on their own days and there is more than one, numbers are of visitor-days.
pub(super) fn is_visitor_days(data: &AgentData, days: &[AgentDay]) -> bool {
    data.source.description.dating == Dating::Event && days.len() > 1
}

/// How an Agent calls a variation.
pub(super) fn variation_name(data: &AgentData, code: &str) -> Option<String> {
    let declared = data.resource.as_ref()?.variation(code)?;
    declared.display_name.clone()
}
