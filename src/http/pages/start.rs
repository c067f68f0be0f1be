//! The start page: data sources and agents with their health, and a search over both.

use std::collections::BTreeMap;

use askama::Template;
use jiff::Timestamp;

use super::format::{self, Moment};
use super::links;
use super::parts::{Frame, Mark};
use crate::domain::agent::{AgentResource, in_force};
use crate::domain::agent_day::Day;
use crate::domain::data_source::SourceId;
use crate::store::{AgentRow, SourceRow};

/// Agents beyond these are counted, not listed.
const MOST_AGENTS: usize = 200;
/// So many missed slots make data old.
const STALE_SLOTS: u32 = 2;

/// What a new user applies first.
const MANIFEST: &str = "apiVersion: sumsq.dev/v1alpha1
kind: DataSource
metadata:
  name: my-counts
spec:
  displayName: My counts
  goals:
    - code: purchase        # a column of the CSV, with purchase_sumsq beside it
  source:
    s3:
      region: eu-central-1
      bucket: my-bucket
      key: counts.csv
      accountId: \"123456789012\"
";

#[derive(Debug, Template)]
#[template(path = "start.html")]
pub struct StartPage {
    frame: Frame,
    nothing_at_all: bool,
    is_local: bool,
    manifest: &'static str,
    source_count: usize,
    sources: Vec<Source>,
    agent_count: usize,
    agents: Vec<Agent>,
    agents_left_out: usize,
}

#[derive(Debug)]
struct Source {
    link: String,
    display_name: String,
    key: String,
    health: Mark,
    why: Option<String>,
    agents: String,
    days: String,
    last_fetch: Option<(Moment, String)>,
    next_fetch: Option<(Moment, String)>,
}

#[derive(Debug)]
struct Agent {
    title: String,
    code: Option<String>,
    namespace: String,
    testing: String,
    activity: String,
    sources: Vec<(String, String)>,
    health: Mark,
    days: String,
    day_count: u64,
}

/// What the page is made of.
#[derive(Debug)]
pub struct Everything<'a> {
    /// Present ones alone.
    pub sources: &'a [SourceRow],
    pub agents: &'a [(SourceId, AgentRow)],
    pub resources: &'a [AgentResource],
    pub is_local: bool,
    pub now: Timestamp,
}

impl StartPage {
    #[must_use]
    pub fn new(all: &Everything<'_>, q: &str) -> Self {
        let wanted = Wanted::new(q);
        let sources: Vec<Source> = all
            .sources
            .iter()
            .filter(|row| {
                wanted.by(&[&row.key.namespace, &row.key.name, display_name(row)])
            })
            .map(|row| source(row, all.now))
            .collect();
        let mut agents = agents(all, &wanted);
        let agent_count = agents.len();
        agents.truncate(MOST_AGENTS);
        let mut frame = Frame::new("Data sources and agents");
        q.trim().clone_into(&mut frame.q);
        Self {
            frame,
            nothing_at_all: all.sources.is_empty(),
            is_local: all.is_local,
            manifest: MANIFEST,
            source_count: sources.len(),
            sources,
            agent_count,
            agents_left_out: agent_count - agents.len(),
            agents,
        }
    }
}

/// Every word has to be in one of the names.
struct Wanted(Vec<String>);

impl Wanted {
    fn new(q: &str) -> Self {
        Self(q.split_whitespace().map(str::to_lowercase).collect())
    }

    fn by(&self, names: &[&str]) -> bool {
        self.0
            .iter()
            .all(|word| names.iter().any(|name| name.to_lowercase().contains(word)))
    }
}

pub(super) fn display_name(row: &SourceRow) -> &str {
    match &row.description {
        Some(description) if !description.display_name.is_empty() => &description.display_name,
        _ => &row.key.name,
    }
}

/// How a data source is, in a mark.
#[must_use]
pub fn health(row: &SourceRow, now: Timestamp) -> Mark {
    let Some(description) = &row.description else {
        return Mark::waiting("Not looked at yet");
    };
    if row.last_error.is_some() {
        return Mark::bad("Failing");
    }
    if description.goals.is_empty() {
        return Mark::waiting("No goals yet");
    }
    let Some(last_success) = row.last_success_at else {
        return Mark::waiting(if description.suspend {
            "Suspended"
        } else {
            "Waiting for its first fetch"
        });
    };
    if description.suspend {
        return Mark::late("Suspended");
    }
    if description.slots_missed(last_success, now, STALE_SLOTS) >= STALE_SLOTS {
        return Mark::late("Old data");
    }
    Mark::good("Fresh")
}

#[must_use]
pub fn days(first: Option<Day>, last: Option<Day>) -> String {
    match (first, last) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => format::NONE.to_owned(),
    }
}

fn source(row: &SourceRow, now: Timestamp) -> Source {
    let next = row
        .description
        .as_ref()
        .and_then(|description| description.next_fetch(now));
    Source {
        link: links::source(&row.key.namespace, &row.key.name),
        display_name: display_name(row).to_owned(),
        key: row.key.to_string(),
        health: health(row, now),
        why: row.last_error.as_ref().map(|error| error.code.clone()),
        agents: format::count(row.agent_count),
        days: days(row.first_day, row.last_day),
        last_fetch: row
            .last_fetch_at
            .map(|at| (at.into(), format::ago(at, now))),
        next_fetch: next.map(|at| (at.into(), format::until(at, now))),
    }
}

/// One row per namespace and code, whichever sources hold it.
fn agents(all: &Everything<'_>, wanted: &Wanted) -> Vec<Agent> {
    let sources: BTreeMap<SourceId, &SourceRow> =
        all.sources.iter().map(|row| (row.id, row)).collect();
    let mut by_code: BTreeMap<(&str, &str), Vec<(&SourceRow, &AgentRow)>> = BTreeMap::new();
    for (id, agent) in all.agents {
        if let Some(source) = sources.get(id) {
            by_code
                .entry((&source.key.namespace, &agent.code))
                .or_default()
                .push((source, agent));
        }
    }
    by_code
        .into_iter()
        .filter_map(|((namespace, code), held)| {
            let name = resource_name(all.resources, namespace, code);
            let mut names = vec![namespace, code, name.unwrap_or_default()];
            names.extend(held.iter().map(|(source, _)| source.key.name.as_str()));
            wanted
                .by(&names)
                .then(|| agent(namespace, code, name, &held, all.now))
        })
        .collect()
}

fn resource_name<'a>(
    resources: &'a [AgentResource],
    namespace: &str,
    code: &str,
) -> Option<&'a str> {
    let here = resources
        .iter()
        .filter(|resource| resource.namespace == namespace);
    in_force(here, code)?.agent.display_name.as_deref()
}

fn agent(
    namespace: &str,
    code: &str,
    name: Option<&str>,
    held: &[(&SourceRow, &AgentRow)],
    now: Timestamp,
) -> Agent {
    // The source that its reports show: the one with the newest data.
    let newest = held
        .iter()
        .max_by_key(|(source, agent)| (agent.last_day, source.imported_at));
    let first = held.iter().map(|(_, agent)| agent.first_day).min();
    let last = held.iter().map(|(_, agent)| agent.last_day).max();
    Agent {
        title: name.unwrap_or(code).to_owned(),
        code: name.map(|_| code.to_owned()),
        namespace: namespace.to_owned(),
        testing: links::agent(namespace, code),
        activity: links::activity(namespace, code),
        sources: held
            .iter()
            .map(|(source, _)| {
                (
                    display_name(source).to_owned(),
                    links::source(namespace, &source.key.name),
                )
            })
            .collect(),
        health: newest.map_or_else(
            || Mark::waiting("No data"),
            |(source, _)| health(source, now),
        ),
        days: days(first, last),
        day_count: newest.map_or(0, |(_, agent)| agent.days),
    }
}
