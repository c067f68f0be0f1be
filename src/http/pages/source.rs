//! A data source's page: how it is, what it fetched, what went wrong and what to do about it.

use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::format::{self, Moment, NONE};
use super::links;
use super::parts::{Frame, Mark, sentence};
use super::start::{days, display_name, health};
use crate::domain::data_source::{Dating, Goal, GoodDirection};
use crate::domain::description::Description;
use crate::domain::fetch::{FetchRecord, Outcome, ReadyPolicy, Trigger};
use crate::store::{AgentRow, SourceRow};

/// Fetches on one page.
pub const FETCHES_PER_PAGE: usize = 20;
/// More missed slots than this read alike.
const MOST_MISSED: u32 = 1_000;

#[derive(Debug, Template)]
#[template(path = "source.html")]
pub struct SourcePage {
    frame: Frame,
    namespace: String,
    namespace_query: String,
    name: String,
    display_name: String,
    link: String,
    health: Mark,
    status: String,
    error: Option<LastError>,
    facts: Vec<(&'static str, String)>,
    goals: Vec<(String, String)>,
    next: String,
    can_fetch: bool,
    asked: bool,
    fetch_action: String,
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
    policies: Vec<ReadyPolicy>,
}

#[derive(Debug)]
struct Agent {
    title: String,
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
    pub source: &'a SourceRow,
    pub agents: &'a [AgentRow],
    /// Newest first; one more than a page holds where there are older ones.
    pub fetches: &'a [FetchRecord],
    pub first_page: bool,
    /// Whether this process fetches.
    pub can_fetch: bool,
    /// Whether a fetch has just been asked for.
    pub asked: bool,
    pub now: Timestamp,
}

impl SourcePage {
    #[must_use]
    pub fn new(facts: &Facts<'_>) -> Self {
        let source = facts.source;
        let key = &source.key;
        let link = links::source(&key.namespace, &key.name);
        let shown = &facts.fetches[..facts.fetches.len().min(FETCHES_PER_PAGE)];
        let older = (facts.fetches.len() > FETCHES_PER_PAGE)
            .then(|| shown.last())
            .flatten()
            .map(|last| links::with_query(&link, &[("before", last.id.to_string())]));
        Self {
            frame: Frame::new(display_name(source)),
            namespace: key.namespace.clone(),
            namespace_query: links::encode(&key.namespace),
            name: key.name.clone(),
            display_name: display_name(source).to_owned(),
            health: health(source, facts.now),
            status: status(source, facts.now),
            error: source.last_error.as_ref().map(|error| LastError {
                code: error.code.clone(),
                message: sentence(&error.message),
                hint: sentence(&error.hint),
                policies: error.policies.clone(),
            }),
            facts: described(source),
            goals: source
                .description
                .iter()
                .flat_map(|description| &description.goals)
                .map(|goal| (goal.code.clone(), goal_words(goal)))
                .collect(),
            next: next(source, facts.now),
            can_fetch: facts.can_fetch,
            asked: facts.asked,
            fetch_action: format!("{link}/fetch"),
            command: command(&key.namespace, &key.name),
            counts_link: source
                .first_day
                .map(|_| format!("/api/v1{link}/counts.csv")),
            agent_count: format::count(source.agent_count),
            agents: facts
                .agents
                .iter()
                .map(|agent| Agent {
                    title: agent.code.clone(),
                    testing: of_source(links::agent(&key.namespace, &agent.code), &key.name),
                    activity: of_source(links::activity(&key.namespace, &agent.code), &key.name),
                    days: days(Some(agent.first_day), Some(agent.last_day)),
                    day_count: agent.days,
                })
                .collect(),
            fetches: shown.iter().map(fetch).collect(),
            first_page: facts.first_page,
            older,
            link,
        }
    }
}

fn of_source(address: String, name: &str) -> String {
    links::with_query(&address, &[("dataSource", name)])
}

/// Names of Kubernetes objects need no quoting.
fn command(namespace: &str, name: &str) -> String {
    format!(
        "kubectl -n {namespace} annotate --overwrite dsrc/{name} \
         sumsq.dev/fetch-requested-at=\"$(date +%s)\""
    )
}

fn status(source: &SourceRow, now: Timestamp) -> String {
    let Some(description) = &source.description else {
        return "The operator has not looked at it yet.".to_owned();
    };
    if description.goals.is_empty() {
        return "It has no goals yet, so nothing is fetched.".to_owned();
    }
    let last_success = source
        .last_success_at
        .map(|at| format!("the last fetch that went well was {}", format::ago(at, now)));
    let mut said = if source.last_error.is_some() {
        let failed = match source.failures {
            0 | 1 => "The last fetch failed".to_owned(),
            n => format!("The last {n} fetches failed"),
        };
        match &last_success {
            Some(success) => format!("{failed}; {success}, and its data are still served."),
            None => format!("{failed}; none has gone well yet."),
        }
    } else {
        match source.last_success_at {
            Some(at) => format!(
                "Fetched {}: {} with data from {}.",
                format::ago(at, now),
                format::plural(source.agent_count, "agent", "agents"),
                days(source.first_day, source.last_day)
            ),
            None => "It has not been fetched yet.".to_owned(),
        }
    };
    if description.suspend {
        said.push_str(" It is suspended: no schedule runs until it is resumed.");
    } else if let Some(at) = source.last_success_at {
        let missed = description.slots_missed(at, now, MOST_MISSED);
        if missed > 1 {
            said.push_str(&format!(" {missed} scheduled fetches brought nothing since."));
        }
    }
    said
}

fn described(source: &SourceRow) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(description) = &source.description {
        facts.push((
            "Object",
            format!("s3://{}/{}", description.bucket, description.key),
        ));
        facts.push(("Region", description.region.clone()));
        facts.push((
            "Schedule",
            format!("{} in {}", description.schedule, description.time_zone),
        ));
        facts.push((
            "Dating",
            match description.dating {
                Dating::Exposure => "by first exposure: each visitor once",
                Dating::Event => "by event: visitor-days",
            }
            .to_owned(),
        ));
    }
    if let Some(reader) = &source.reader {
        facts.push(("Read as", reader.clone()));
    }
    if let Some(rows) = source.rows {
        facts.push(("Rows", format::count(rows)));
    }
    facts.push(("Days", days(source.first_day, source.last_day)));
    if let Some(at) = source.imported_at {
        facts.push(("Data imported", Moment::from(at).shown));
    }
    if source.missed_fetches > 0 {
        facts.push(("Slots missed", format::count(source.missed_fetches)));
    }
    facts
}

fn goal_words(goal: &Goal) -> String {
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
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&also.join(", "));
    }
    said
}

/// In the zone that the schedule is written in.
fn next(source: &SourceRow, now: Timestamp) -> String {
    let Some(description) = &source.description else {
        return "Not known yet.".to_owned();
    };
    if description.suspend {
        return "None while it is suspended.".to_owned();
    }
    let Some(at) = description.next_fetch(now) else {
        return format!("The schedule {} never comes.", description.schedule);
    };
    format!("{} ({}).", in_zone(at, description), format::until(at, now))
}

fn in_zone(at: Timestamp, description: &Description) -> String {
    let zone = TimeZone::get(&description.time_zone).unwrap_or(TimeZone::UTC);
    let zoned = at.to_zoned(zone);
    format!(
        "{} {}",
        zoned.strftime("%Y-%m-%d %H:%M"),
        description.time_zone
    )
}

fn fetch(record: &FetchRecord) -> Fetch {
    let import = match &record.outcome {
        Some(Outcome::Imported(import)) => Some(import),
        _ => None,
    };
    let warnings = import.map(|import| &import.warnings);
    let count = |n: Option<u64>| n.map_or(NONE.to_owned(), format::count);
    Fetch {
        began: record.started_at.into(),
        trigger: trigger_words(record.trigger),
        attempts: record.attempts,
        result: match &record.outcome {
            Some(Outcome::Imported(_)) => Mark::good("Imported"),
            Some(Outcome::NotModified) => Mark::good("Unchanged"),
            Some(Outcome::Failed(error)) => Mark::bad(error.code.clone()),
            None => Mark::waiting("Under way"),
        },
        said: record.error().map(|error| sentence(&error.message)),
        warning_count: warnings.map_or(String::new(), |warnings| {
            format::plural(warnings.total, "warning", "warnings")
        }),
        warnings: warnings.map_or(Vec::new(), |warnings| warnings.messages.clone()),
        rows: count(import.map(|import| import.rows)),
        agents: count(import.map(|import| import.agent_count)),
        changed: import.map_or(NONE.to_owned(), |import| {
            format!(
                "{} of {}",
                format::count(import.changed_agent_days),
                format::count(import.agent_days)
            )
        }),
        bytes: import.map_or(NONE.to_owned(), |import| format::bytes(import.bytes)),
        took: record
            .completed_at
            .map_or(NONE.to_owned(), |end| took(record.started_at, end)),
    }
}

fn trigger_words(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Created => "new data source",
        Trigger::Schedule => "schedule",
        Trigger::Manual => "asked for",
        Trigger::SpecChange => "changed spec",
        Trigger::Retry => "retry",
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
