//! `kubectl sumsq why`: why something is as it is, since when, what to do, and when it is tried
//! again.

mod words;

use std::process::ExitCode;

use futures::future::join_all;
use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use super::cluster::Cluster;
use super::failure::Result;
use super::names;
use super::output::{Data, agent_name, data, data_source_name, instant, print};
use super::standing::{AgentStanding, Health, Standing, Trust, agent_standing, standing};
use crate::args::plugin::{Format, Kind, ResourceName, WhyArgs};
use crate::crd::agent::Agent;
use crate::crd::data_source::{DataSource, FetchError};

pub(super) async fn run(cluster: &Cluster, args: &WhyArgs) -> Result<ExitCode> {
    let now = Timestamp::now();
    if args.names.is_empty() {
        return everything(cluster, args, now).await;
    }
    let found = join_all(args.names.iter().map(|name| find(cluster, name))).await;
    let mut code = ExitCode::SUCCESS;
    let mut subjects = Vec::new();
    for found in found {
        match found {
            Ok(subject) => subjects.push(subject),
            Err(failure) => {
                failure.tell();
                code = ExitCode::from(failure.code);
            }
        }
    }
    let explained: Vec<_> = subjects.iter().map(|subject| subject.why(now)).collect();
    match (Data::asked_for(args.output), &*explained) {
        (_, []) => {}
        (None, all) => print(&told(all, args.output)),
        (Some(format), [one]) if args.names.len() == 1 => print(&data(one, format)?),
        (Some(format), all) => print(&data(&List { items: all }, format)?),
    }
    Ok(code)
}

/// For people, or names alone.
fn told(all: &[Why<'_>], output: Option<Format>) -> String {
    if output == Some(Format::Name) {
        return all.iter().map(Why::name).collect();
    }
    all.iter().map(Why::text).collect::<Vec<_>>().join("\n")
}

/// All that needs attention, most urgent first.
async fn everything(cluster: &Cluster, args: &WhyArgs, now: Timestamp) -> Result<ExitCode> {
    let scope = cluster.scope(args.all_namespaces);
    let (sources, agents) = tokio::join!(
        cluster.list::<DataSource>(scope, None),
        cluster.list::<Agent>(scope, None),
    );
    let sources = sources?.into_iter().map(Subject::of_source);
    let agents = agents?.into_iter().map(Subject::of_agent);
    let subjects: Vec<_> = sources.chain(agents).collect();
    let mut explained: Vec<_> = subjects
        .iter()
        .map(|subject| subject.why(now))
        .filter(Why::needs_attention)
        .collect();
    explained.sort_by_key(Why::urgency);
    match (Data::asked_for(args.output), args.output) {
        (Some(format), _) => print(&data(&List { items: &explained }, format)?),
        (None, Some(Format::Name)) => print(&told(&explained, args.output)),
        (None, _) if subjects.is_empty() => print("No DataSources and no Agents found.\n"),
        (None, _) if explained.is_empty() => print("Nothing needs attention.\n"),
        (None, _) => print(&told(&explained, args.output)),
    }
    Ok(ExitCode::SUCCESS)
}

/// What a name names.
pub(super) async fn find(cluster: &Cluster, name: &ResourceName) -> Result<Subject> {
    if name.kind == Some(Kind::Agent) {
        return Ok(Subject::of_agent(names::agent(cluster, &name.name).await?));
    }
    match names::data_source(cluster, &name.name).await {
        Ok(source) => Ok(Subject::of_source(source)),
        // Whoever names an Agent without saying so is understood, where no DataSource is meant.
        Err(failure) if failure.is_not_found && name.kind.is_none() => {
            let agent = cluster.get::<Agent>(cluster.namespace(), &name.name).await;
            agent.map(Subject::of_agent).map_err(|_| failure)
        }
        Err(failure) => Err(failure),
    }
}

pub(super) enum Subject {
    Source(Box<DataSource>),
    Agent(Box<Agent>),
}

impl Subject {
    fn of_source(source: DataSource) -> Self {
        Self::Source(Box::new(source))
    }

    fn of_agent(agent: Agent) -> Self {
        Self::Agent(Box::new(agent))
    }

    fn why(&self, now: Timestamp) -> Why<'_> {
        match self {
            Self::Source(source) => {
                let found = standing(source, now);
                Why::Source {
                    detail: SourceDetail::of(source, &found),
                    text: words::of_source(source, &found, now),
                    health: found.health,
                }
            }
            Self::Agent(agent) => {
                let found = agent_standing(agent);
                Why::Agent {
                    detail: AgentDetail::of(agent, &found),
                    text: words::of_agent(agent, &found, now),
                    trust: found.trust,
                }
            }
        }
    }
}

/// The same for people and for programs.
#[derive(Serialize)]
#[serde(untagged)]
enum Why<'a> {
    Source {
        #[serde(flatten)]
        detail: SourceDetail<'a>,
        #[serde(skip)]
        text: String,
        #[serde(skip)]
        health: Health,
    },
    Agent {
        #[serde(flatten)]
        detail: AgentDetail,
        #[serde(skip)]
        text: String,
        #[serde(skip)]
        trust: Trust,
    },
}

impl Why<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Source { text, .. } | Self::Agent { text, .. } => text,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Source { detail, .. } => data_source_name(&detail.name),
            Self::Agent { detail, .. } => agent_name(&detail.name),
        }
    }

    fn needs_attention(&self) -> bool {
        match self {
            Self::Source { health, .. } => health.needs_attention(),
            Self::Agent { trust, .. } => trust.needs_attention(),
        }
    }

    /// Sources first: what an Agent says rests on them.
    fn urgency(&self) -> (bool, Option<Health>, Option<Trust>) {
        match self {
            Self::Source { health, .. } => (false, Some(*health), None),
            Self::Agent { trust, .. } => (true, None, Some(*trust)),
        }
    }
}

#[derive(Serialize)]
struct List<'a> {
    items: &'a [Why<'a>],
}

/// What `-o json` prints of a DataSource.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceDetail<'a> {
    kind: &'static str,
    namespace: String,
    name: String,
    health: Health,
    reason: String,
    message: String,
    since: Option<String>,
    suspended: bool,
    /// Of the newest fetch, where it failed.
    error: Option<&'a FetchError>,
    attempts: Option<i64>,
    next_retry_time: Option<String>,
    next_fetch_time: Option<String>,
    last_success_time: Option<String>,
    warnings: &'a [String],
}

impl<'a> SourceDetail<'a> {
    fn of(source: &'a DataSource, found: &Standing) -> Self {
        let status = source.status.as_ref();
        let newest = status.and_then(|status| status.history.first());
        let next = status.and_then(|status| status.next_fetch_time.as_ref());
        let last = status.and_then(|status| status.last_success_time.as_ref());
        let failed = newest.filter(|entry| entry.error.is_some());
        Self {
            kind: "DataSource",
            namespace: source.namespace().unwrap_or_default(),
            name: source.name_any(),
            health: found.health,
            reason: found.reason.clone(),
            message: found.message.clone(),
            since: found.since.map(instant),
            suspended: source.spec.suspend,
            error: failed.and_then(|entry| entry.error.as_ref()),
            attempts: failed.map(|entry| entry.attempts),
            next_retry_time: found.retry.map(instant),
            next_fetch_time: next.map(|at| instant(at.0)),
            last_success_time: last.map(|at| instant(at.0)),
            warnings: newest.map_or(&[], |entry| &entry.warnings),
        }
    }
}

/// What `-o json` prints of an Agent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentDetail {
    kind: &'static str,
    namespace: String,
    name: String,
    health: Trust,
    reason: String,
    message: String,
    since: Option<String>,
    visitors: Option<i64>,
    first_day: Option<String>,
    last_day: Option<String>,
    data_sources: Vec<String>,
}

impl AgentDetail {
    fn of(agent: &Agent, found: &AgentStanding) -> Self {
        let status = agent.status.clone().unwrap_or_default();
        Self {
            kind: "Agent",
            namespace: agent.namespace().unwrap_or_default(),
            name: agent.name_any(),
            health: found.trust,
            reason: found.reason.clone(),
            message: found.message.clone(),
            since: found.since.map(instant),
            visitors: status.visitors,
            first_day: status.first_day,
            last_day: status.last_day,
            data_sources: status.data_sources,
        }
    }
}
