//! `kubectl sumsq status`: the health of all at a glance, what needs attention first.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::Cell;
use futures::future::join_all;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::watcher;
use serde::Serialize;

use super::cluster::{Cluster, Scope};
use super::failure::Result;
use super::output::{
    Data, age, agent_name, colour, counted, data, data_source_name, instant, or_none, print, table,
    table_text, toned, until,
};
use super::standing::{AgentStanding, Health, Standing, Trust, agent_standing, standing};
use super::why::{Subject, find};
use crate::args::plugin::{Format, StatusArgs};
use crate::crd::agent::Agent;
use crate::crd::data_source::DataSource;

/// Ages go on while nothing changes.
const REFRESH: Duration = Duration::from_secs(10);
/// Changes that come together are shown together.
const SETTLE: Duration = Duration::from_millis(300);

pub(super) async fn run(cluster: &Cluster, args: &StatusArgs) -> Result<ExitCode> {
    let (first, code) = Overview::read(cluster, args).await?;
    print(&first.text(args)?);
    if !args.watch {
        return Ok(code);
    }
    let scope = cluster.scope(args.all_namespaces);
    let mut changes = changes(cluster, scope);
    loop {
        let news = tokio::time::timeout(REFRESH, changes.next()).await;
        if matches!(news, Ok(None)) {
            return Ok(code);
        }
        // What else has changed by then is seen with it.
        while let Ok(Some(())) = tokio::time::timeout(SETTLE, changes.next()).await {}
        let text = Overview::read(cluster, args).await?.0.text(args)?;
        // On a terminal it takes the place of the one before.
        let before = if colour() { "\u{1b}[2J\u{1b}[H" } else { "\n" };
        print(&format!("{before}{text}"));
    }
}

/// Something of ours has changed. Errors of a watch are left to the next list, which says them.
fn changes(cluster: &Cluster, scope: Scope<'_>) -> impl Stream<Item = ()> + Unpin + use<> {
    let config = watcher::Config::default();
    let sources = watcher::watcher(cluster.api::<DataSource>(scope), config.clone());
    let agents = watcher::watcher(cluster.api::<Agent>(scope), config);
    let sources = sources.filter_map(|event| std::future::ready(is_change(&event)));
    let agents = agents.filter_map(|event| std::future::ready(is_change(&event)));
    futures::stream::select(sources.boxed(), agents.boxed())
}

fn is_change<K>(event: &watcher::Result<watcher::Event<K>>) -> Option<()> {
    match event {
        Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => None,
        _ => Some(()),
    }
}

/// Everything, in the order in which it is shown.
struct Overview {
    sources: Vec<(DataSource, Standing)>,
    agents: Vec<(Agent, AgentStanding)>,
    now: Timestamp,
}

impl Overview {
    /// And 1 where something that is named is not there, which is told.
    async fn read(cluster: &Cluster, args: &StatusArgs) -> Result<(Self, ExitCode)> {
        if !args.names.is_empty() {
            return Ok(Self::of_named(cluster, args).await);
        }
        let scope = cluster.scope(args.all_namespaces);
        let selector = args.selector.as_deref();
        let (sources, agents) = tokio::join!(
            cluster.list::<DataSource>(scope, selector),
            cluster.list::<Agent>(scope, selector),
        );
        let all = Self::of(sources?, agents?, Timestamp::now());
        Ok((all, ExitCode::SUCCESS))
    }

    async fn of_named(cluster: &Cluster, args: &StatusArgs) -> (Self, ExitCode) {
        let (mut sources, mut agents) = (Vec::new(), Vec::new());
        let mut code = ExitCode::SUCCESS;
        let found = join_all(args.names.iter().map(|name| find(cluster, name))).await;
        for found in found {
            match found {
                Ok(Subject::Source(source)) => sources.push(*source),
                Ok(Subject::Agent(agent)) => agents.push(*agent),
                Err(failure) => {
                    failure.tell();
                    code = ExitCode::from(failure.code);
                }
            }
        }
        (Self::of(sources, agents, Timestamp::now()), code)
    }

    fn of(sources: Vec<DataSource>, agents: Vec<Agent>, now: Timestamp) -> Self {
        let mut sources: Vec<_> = sources
            .into_iter()
            .map(|source| {
                let found = standing(&source, now);
                (source, found)
            })
            .collect();
        // The order of the API server, by namespace and name, stays among equals.
        sources.sort_by_key(|(_, standing)| standing.health);
        let mut agents: Vec<_> = agents
            .into_iter()
            .map(|agent| {
                let found = agent_standing(&agent);
                (agent, found)
            })
            .collect();
        agents.sort_by_key(|(_, standing)| standing.trust);
        Self {
            sources,
            agents,
            now,
        }
    }

    fn text(&self, args: &StatusArgs) -> Result<String> {
        // What is named and is not there was told already.
        let nothing = self.sources.is_empty() && self.agents.is_empty();
        match (Data::asked_for(args.output), args.output) {
            _ if nothing && !args.names.is_empty() => Ok(String::new()),
            (Some(format), _) => data(&self.document(), format),
            (None, Some(Format::Name)) => Ok(self.names()),
            (None, format) => Ok(self.tables(args.all_namespaces, format == Some(Format::Wide))),
        }
    }

    fn names(&self) -> String {
        let sources = self.sources.iter();
        let sources = sources.map(|(source, _)| data_source_name(&source.name_any()));
        let agents = self.agents.iter();
        let agents = agents.map(|(agent, _)| agent_name(&agent.name_any()));
        sources.chain(agents).collect()
    }

    fn tables(&self, all_namespaces: bool, wide: bool) -> String {
        if self.sources.is_empty() && self.agents.is_empty() {
            return "No DataSources and no Agents found.\n".to_owned();
        }
        let mut text = String::new();
        if !self.sources.is_empty() {
            text += &self.source_table(all_namespaces, wide);
        }
        if !self.agents.is_empty() {
            if !text.is_empty() {
                text.push('\n');
            }
            text += &self.agent_table(all_namespaces, wide);
        }
        text + "\n" + &self.summary(all_namespaces)
    }

    fn source_table(&self, all_namespaces: bool, wide: bool) -> String {
        let mut header = vec![
            "DATA SOURCE",
            "HEALTH",
            "REASON",
            "SINCE",
            "LAST SUCCESS",
            "NEXT FETCH",
            "AGENTS",
        ];
        if all_namespaces {
            header.insert(0, "NAMESPACE");
        }
        if wide {
            header.extend(["SCHEDULE", "READER", "MESSAGE"]);
        }
        let mut table = table(&header);
        for (source, found) in &self.sources {
            let status = source.status.as_ref();
            let last = status.and_then(|status| status.last_success_time.as_ref());
            let agents = status.and_then(|status| status.agent_count);
            let mut row = vec![
                Cell::new(source.name_any()),
                toned(found.health.word(), found.health.tone()),
                Cell::new(&found.reason),
                Cell::new(or_none(found.since.map(|since| age(since, self.now)))),
                Cell::new(or_none(last.map(|last| age(last.0, self.now)))),
                Cell::new(next(source, found, self.now)),
                Cell::new(or_none(agents.map(|count| count.to_string()))),
            ];
            if all_namespaces {
                row.insert(0, Cell::new(source.namespace().unwrap_or_default()));
            }
            if wide {
                let reader = status.and_then(|status| status.reader.clone());
                row.push(Cell::new(&source.spec.schedule));
                row.push(Cell::new(or_none(reader)));
                row.push(Cell::new(first_line(&found.message)));
            }
            table.add_row(row);
        }
        table_text(table)
    }

    fn agent_table(&self, all_namespaces: bool, wide: bool) -> String {
        let mut header = vec!["AGENT", "HEALTH", "REASON", "SINCE", "VISITORS", "DAYS"];
        if all_namespaces {
            header.insert(0, "NAMESPACE");
        }
        if wide {
            header.extend(["CODE", "DATA SOURCES", "MESSAGE"]);
        }
        let mut table = table(&header);
        for (agent, found) in &self.agents {
            let status = agent.status.clone().unwrap_or_default();
            let days = status.first_day.zip(status.last_day);
            let mut row = vec![
                Cell::new(agent.name_any()),
                toned(found.trust.word(), found.trust.tone()),
                Cell::new(&found.reason),
                Cell::new(or_none(found.since.map(|since| age(since, self.now)))),
                Cell::new(or_none(status.visitors.map(|visitors| {
                    indicatif::HumanCount(visitors.unsigned_abs()).to_string()
                }))),
                Cell::new(or_none(
                    days.map(|(first, last)| format!("{first} to {last}")),
                )),
            ];
            if all_namespaces {
                row.insert(0, Cell::new(agent.namespace().unwrap_or_default()));
            }
            if wide {
                let sources = Some(status.data_sources.join(",")).filter(|all| !all.is_empty());
                row.push(Cell::new(code(agent)));
                row.push(Cell::new(or_none(sources)));
                row.push(Cell::new(first_line(&found.message)));
            }
            table.add_row(row);
        }
        table_text(table)
    }

    /// `3 data sources: 1 failing, 2 healthy. 1 agent: 1 trustworthy.`, and where to look next.
    fn summary(&self, all_namespaces: bool) -> String {
        let health = self.sources.iter().map(|(_, found)| found.health.word());
        let trust = self.agents.iter().map(|(_, found)| found.trust.word());
        let mut parts = Vec::new();
        parts.extend(tally("data source", &health.collect::<Vec<_>>()));
        parts.extend(tally("agent", &trust.collect::<Vec<_>>()));
        let mut text = parts.join(" ") + "\n";
        let sick = self
            .sources
            .iter()
            .any(|(_, found)| found.health.needs_attention());
        let doubted = self
            .agents
            .iter()
            .any(|(_, found)| found.trust.needs_attention());
        if sick || doubted {
            let scope = if all_namespaces { " -A" } else { "" };
            _ = writeln!(text, "What to do: kubectl sumsq why{scope}");
        }
        text
    }

    fn document(&self) -> Document<'_> {
        Document {
            data_sources: self
                .sources
                .iter()
                .map(|(source, found)| SourceRow::of(source, found))
                .collect(),
            agents: self
                .agents
                .iter()
                .map(|(agent, found)| AgentRow::of(agent, found))
                .collect(),
        }
    }
}

/// `in 18h`, or of a failed one when it is tried again.
fn next(source: &DataSource, found: &Standing, now: Timestamp) -> String {
    if let Some(at) = found.retry {
        return format!("retry in {}", until(at, now));
    }
    let status = source.status.as_ref();
    match status.and_then(|status| status.next_fetch_time.as_ref()) {
        Some(at) if at.0 >= now => format!("in {}", until(at.0, now)),
        Some(at) => format!("{} ago", age(at.0, now)),
        None => "<none>".to_owned(),
    }
}

fn code(agent: &Agent) -> String {
    agent.spec.code.clone().unwrap_or_else(|| agent.name_any())
}

/// A table's row is one line.
fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// `3 data sources: 1 failing, 2 healthy.`, in the order in which they stand.
fn tally(noun: &str, words: &[&str]) -> Option<String> {
    if words.is_empty() {
        return None;
    }
    let runs: Vec<String> = words
        .chunk_by(|one, other| one == other)
        .map(|run| format!("{} {}", run.len(), lower(run[0])))
        .collect();
    let count = counted(i64::try_from(words.len()).unwrap_or(i64::MAX), noun);
    Some(format!("{count}: {}.", runs.join(", ")))
}

/// `NotTrustworthy` within a sentence.
fn lower(word: &str) -> String {
    let mut text = String::new();
    for (index, letter) in word.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// What `-o json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    data_sources: Vec<SourceRow<'a>>,
    agents: Vec<AgentRow<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceRow<'a> {
    namespace: String,
    name: String,
    health: Health,
    reason: &'a str,
    message: &'a str,
    since: Option<String>,
    suspended: bool,
    last_success_time: Option<String>,
    next_fetch_time: Option<String>,
    next_retry_time: Option<String>,
    agent_count: Option<i64>,
    missed_fetches: Option<i64>,
    reader: Option<&'a str>,
}

impl<'a> SourceRow<'a> {
    fn of(source: &'a DataSource, found: &'a Standing) -> Self {
        let status = source.status.as_ref();
        let last = status.and_then(|status| status.last_success_time.as_ref());
        let next = status.and_then(|status| status.next_fetch_time.as_ref());
        Self {
            namespace: source.namespace().unwrap_or_default(),
            name: source.name_any(),
            health: found.health,
            reason: &found.reason,
            message: &found.message,
            since: found.since.map(instant),
            suspended: source.spec.suspend,
            last_success_time: last.map(|at| instant(at.0)),
            next_fetch_time: next.map(|at| instant(at.0)),
            next_retry_time: found.retry.map(instant),
            agent_count: status.and_then(|status| status.agent_count),
            missed_fetches: status.and_then(|status| status.missed_fetches),
            reader: status.and_then(|status| status.reader.as_deref()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentRow<'a> {
    namespace: String,
    name: String,
    code: String,
    health: Trust,
    reason: &'a str,
    message: &'a str,
    since: Option<String>,
    visitors: Option<i64>,
    first_day: Option<&'a str>,
    last_day: Option<&'a str>,
    data_sources: &'a [String],
}

impl<'a> AgentRow<'a> {
    fn of(agent: &'a Agent, found: &'a AgentStanding) -> Self {
        let status = agent.status.as_ref();
        Self {
            namespace: agent.namespace().unwrap_or_default(),
            name: agent.name_any(),
            code: code(agent),
            health: found.trust,
            reason: &found.reason,
            message: &found.message,
            since: found.since.map(instant),
            visitors: status.and_then(|status| status.visitors),
            first_day: status.and_then(|status| status.first_day.as_deref()),
            last_day: status.and_then(|status| status.last_day.as_deref()),
            data_sources: status.map_or(&[], |status| &status.data_sources),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_in_the_order_of_the_tables() {
        let said = tally("data source", &["Failing", "Healthy", "Healthy"]);
        assert_eq!(said.unwrap(), "3 data sources: 1 failing, 2 healthy.");
        let said = tally("agent", &["NotTrustworthy"]);
        assert_eq!(said.unwrap(), "1 agent: 1 not trustworthy.");
        assert_eq!(tally("agent", &[]), None);
    }
}
