//! A data source's page: how it is, what it fetched, what went wrong and what to do about it.

use std::fmt::Write as _;

use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::format::{self, Moment, NONE};
use super::links;
use super::parts::{Frame, Mark, Prose, sentence};
use super::start::{days, mark};
use crate::domain::data_source::{Dating, GoodDirection};
use crate::http::lists::{
    FetchView, GoalView, Health, HeldAgent, PolicyView, SourceDetail, SourceView,
};

/// Fetches on one page.
pub const FETCHES_PER_PAGE: usize = 20;

#[derive(Debug, Template)]
#[template(path = "source.html")]
pub struct SourcePage {
    pub(super) frame: Frame,
    namespace: String,
    namespace_query: String,
    name: String,
    display_name: String,
    link: String,
    health: Mark,
    status: Prose,
    error: Option<LastError>,
    facts: Vec<(&'static str, String)>,
    goals: Vec<(String, String)>,
    next: String,
    can_fetch: bool,
    asked: bool,
    fetch_action: String,
    form_word: Option<String>,
    command: String,
    counts_link: Option<String>,
    agent_count: String,
    agents: Vec<Agent>,
    fetches: Vec<Fetch>,
    first_page: bool,
    older: Option<String>,
}

#[derive(Debug)]
struct LastError {
    code: String,
    message: String,
    hint: String,
    policies: Vec<PolicyView>,
}

#[derive(Debug)]
struct Agent {
    title: String,
    code: Option<String>,
    testing: String,
    activity: String,
    days: String,
    day_count: u64,
}

#[derive(Debug)]
struct Fetch {
    began: Moment,
    trigger: &'static str,
    attempts: u32,
    result: Mark,
    said: Option<String>,
    warning_count: String,
    warnings: Vec<String>,
    rows: String,
    agents: String,
    changed: String,
    bytes: String,
    took: String,
}

/// What the page is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    pub detail: &'a SourceDetail,
    /// Newest first.
    pub fetches: &'a [FetchView],
    /// Whether there are older ones.
    pub more: bool,
    pub first_page: bool,
    /// Whether a fetch has just been asked for.
    pub asked: bool,
    /// What the form has to repeat.
    pub form_word: Option<String>,
    pub now: Timestamp,
}

impl SourcePage {
    #[must_use]
    pub fn new(facts: &Facts<'_>) -> Self {
        let detail = facts.detail;
        let source = &detail.source;
        let link = links::source(&source.namespace, &source.name);
        let oldest = facts.fetches.last().filter(|_| facts.more);
        let older =
            oldest.map(|oldest| links::with_query(&link, &[("before", oldest.id.to_string())]));
        Self {
            frame: Frame::new(&source.display_name),
            namespace: source.namespace.clone(),
            namespace_query: links::encode(&source.namespace),
            name: source.name.clone(),
            display_name: source.display_name.clone(),
            health: mark(source.health),
            status: Prose(status(detail, facts.now)),
            error: source.error.as_ref().map(|error| LastError {
                code: error.code.clone(),
                message: sentence(&error.message),
                hint: sentence(&error.hint),
                policies: error.policies.clone(),
            }),
            facts: described(detail),
            goals: detail
                .goals
                .iter()
                .map(|goal| (goal.code.clone(), goal_words(goal)))
                .collect(),
            next: next(detail, facts.now),
            can_fetch: detail.fetch_now.available,
            asked: facts.asked,
            fetch_action: format!("{link}/fetch"),
            form_word: facts.form_word.clone(),
            command: detail.fetch_now.command.clone().unwrap_or_default(),
            counts_link: source
                .first_day
                .map(|_| links::counts(&source.namespace, &source.name)),
            agent_count: format::count(source.agent_count),
            agents: detail
                .agents
                .iter()
                .map(|agent| held_agent(source, agent))
                .collect(),
            fetches: facts.fetches.iter().map(fetch).collect(),
            first_page: facts.first_page,
            older,
            link,
        }
    }
}

fn held_agent(source: &SourceView, agent: &HeldAgent) -> Agent {
    let of_source = |address: String| links::with_query(&address, &[("dataSource", &source.name)]);
    Agent {
        title: agent.display_name.as_ref().unwrap_or(&agent.code).clone(),
        code: agent.display_name.as_ref().map(|_| agent.code.clone()),
        testing: of_source(links::agent(&source.namespace, &agent.code)),
        activity: of_source(links::activity(&source.namespace, &agent.code)),
        days: days(Some(agent.first_day), Some(agent.last_day)),
        day_count: agent.days,
    }
}

fn status(detail: &SourceDetail, now: Timestamp) -> String {
    let source = &detail.source;
    if let Some(stalled) = &source.stalled {
        let served = match source.last_success_time {
            Some(at) => format!(
                " The data fetched {} are still served.",
                format::ago(at, now)
            ),
            None => String::new(),
        };
        return format!(
            "Nothing is fetched until its spec is changed ({}): {}{served}",
            stalled.reason,
            sentence(&stalled.message)
        );
    }
    if detail.schedule.is_none() {
        return "The operator has not looked at it yet.".to_owned();
    }
    if detail.goals.is_empty() {
        return "It has no goals yet, so nothing is fetched.".to_owned();
    }
    let success = source.last_success_time.map(|at| format::ago(at, now));
    let mut said = match (&source.error, success) {
        (Some(_), success) => {
            let failed = match source.failures {
                0 | 1 => "The last fetch failed".to_owned(),
                n => format!("The last {n} fetches failed"),
            };
            match success {
                Some(ago) => format!(
                    "{failed}. The data of the last one that went well, {ago}, are still served."
                ),
                None => format!("{failed}, and none has gone well yet."),
            }
        }
        (None, Some(ago)) => format!(
            "Fetched {ago}: {} with data from {}.",
            format::plural(source.agent_count, "agent", "agents"),
            days(source.first_day, source.last_day)
        ),
        (None, None) => "It has not been fetched yet.".to_owned(),
    };
    match source.health {
        Health::Suspended => {
            said.push_str(" It is suspended: no schedule runs until it is resumed.");
        }
        Health::Stale => said.push_str(" At least two scheduled fetches have been missed since."),
        Health::Ok | Health::Failing | Health::Pending | Health::Stalled => {}
    }
    said
}

fn described(detail: &SourceDetail) -> Vec<(&'static str, String)> {
    let source = &detail.source;
    let mut facts = Vec::new();
    if let (Some(bucket), Some(key)) = (&detail.bucket, &detail.key) {
        facts.push(("Object", format!("s3://{bucket}/{key}")));
    }
    if let Some(region) = &detail.region {
        facts.push(("Region", region.clone()));
    }
    if let (Some(schedule), Some(zone)) = (&detail.schedule, &detail.time_zone) {
        facts.push(("Schedule", format!("{schedule} in {zone}")));
    }
    if let Some(dating) = detail.dating {
        let said = match dating {
            Dating::Exposure => "by first exposure: each visitor once",
            Dating::Event => "by event: visitor-days",
        };
        facts.push(("Dating", said.to_owned()));
    }
    if let Some(reader) = &detail.reader {
        facts.push(("Read as", reader.clone()));
    }
    if let Some(rows) = source.rows {
        facts.push(("Rows", format::count(rows)));
    }
    facts.push(("Days", days(source.first_day, source.last_day)));
    if source.missed_fetches > 0 {
        facts.push(("Slots missed", format::count(source.missed_fetches)));
    }
    facts
}

fn goal_words(goal: &GoalView) -> String {
    let mut said = goal.display_name.clone().unwrap_or_default();
    let mut also = Vec::new();
    if goal.numeric {
        also.push("with values");
    }
    if goal.allow_negative {
        also.push("may be negative");
    }
    if goal.good_direction == GoodDirection::Decrease {
        also.push("less is better");
    }
    if !also.is_empty() {
        let separator = if said.is_empty() { "" } else { ": " };
        // Writing to a String does not fail.
        let _ = write!(said, "{separator}{}", also.join(", "));
    }
    said
}

/// In the zone that the schedule is written in.
fn next(detail: &SourceDetail, now: Timestamp) -> String {
    if detail.source.stalled.is_some() {
        return "None until its spec is changed.".to_owned();
    }
    let Some(zone) = &detail.time_zone else {
        return "Not known yet.".to_owned();
    };
    if detail.suspend {
        return "None while it is suspended.".to_owned();
    }
    let Some(at) = detail.source.next_fetch_time else {
        return "Its schedule has no next time.".to_owned();
    };
    let zoned = at.to_zoned(TimeZone::get(zone).unwrap_or(TimeZone::UTC));
    format!(
        "{} {zone} ({}).",
        zoned.strftime("%Y-%m-%d %H:%M"),
        format::until(at, now)
    )
}

fn fetch(record: &FetchView) -> Fetch {
    let count = |n: Option<u64>| n.map_or(NONE.to_owned(), format::count);
    let error = record.error.as_ref();
    Fetch {
        began: record.started_at.into(),
        trigger: trigger_words(record.trigger),
        attempts: record.attempts,
        result: match (record.result, error) {
            (_, Some(error)) => Mark::bad(error.code.clone()),
            (Some("NotModified"), _) => Mark::good("Unchanged"),
            (Some(_), _) => Mark::good("Imported"),
            (None, _) => Mark::waiting("Under way"),
        },
        said: error.map(|error| sentence(&error.message)),
        warning_count: format::plural(record.warnings, "warning", "warnings"),
        warnings: record.warning_messages.clone(),
        rows: count(record.rows),
        agents: count(record.agent_count),
        changed: count(record.changed_agent_days),
        bytes: record.bytes.map_or(NONE.to_owned(), format::bytes),
        took: record
            .completed_at
            .map_or(NONE.to_owned(), |end| took(record.started_at, end)),
    }
}

fn trigger_words(trigger: &'static str) -> &'static str {
    match trigger {
        "Created" => "new data source",
        "Schedule" => "schedule",
        "Manual" => "asked for",
        "SpecChange" => "changed spec",
        "Retry" => "retry",
        other => other,
    }
}

fn took(begun: Timestamp, end: Timestamp) -> String {
    let milliseconds = end.as_millisecond() - begun.as_millisecond();
    match milliseconds {
        ..1_000 => format!("{milliseconds} ms"),
        1_000..120_000 => {
            #[allow(clippy::cast_precision_loss, reason = "at most two minutes")]
            let seconds = milliseconds as f64 / 1000.0;
            format!("{} s", format::fixed(seconds, 1))
        }
        _ => format!("{} min", milliseconds / 60_000),
    }
}
