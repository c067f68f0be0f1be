//! The start page: data sources and agents with their health, and a search over both.

use askama::Template;
use jiff::Timestamp;

use super::format::{self, Moment};
use super::links;
use super::parts::{Frame, Mark};
use crate::domain::agent_day::Day;
use crate::http::lists::{AgentView, Health, SourceView};

/// Agents beyond these are counted, not listed.
const MOST_AGENTS: usize = 200;

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
    pub(super) frame: Frame,
    nothing_at_all: bool,
    whose: Whose,
    manifest: &'static str,
    source_count: usize,
    sources: Vec<Source>,
    agent_count: usize,
    agents: Vec<Agent>,
    agents_left_out: usize,
}

/// Whose data sources are shown.
#[derive(Debug)]
pub enum Whose {
    /// Those of `sumsq local`.
    Folder,
    /// All of the cluster's.
    Cluster,
    /// Those that this user may see.
    Visible(String),
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

impl StartPage {
    #[must_use]
    pub fn new(
        all_sources: &[SourceView],
        all_agents: &[AgentView],
        whose: Whose,
        q: &str,
        now: Timestamp,
    ) -> Self {
        let wanted = Wanted::new(q);
        let sources: Vec<Source> = all_sources
            .iter()
            .filter(|row| wanted.by(&[&row.namespace, &row.name, &row.display_name]))
            .map(|row| source(row, now))
            .collect();
        let agents: Vec<&AgentView> = all_agents
            .iter()
            .filter(|row| {
                let mut names = vec![row.namespace.as_str(), row.code.as_str()];
                names.extend(row.display_name.as_deref());
                names.extend(row.data_sources.iter().map(String::as_str));
                wanted.by(&names)
            })
            .collect();
        let mut frame = Frame::new("Data sources and agents");
        q.trim().clone_into(&mut frame.q);
        Self {
            frame,
            nothing_at_all: all_sources.is_empty(),
            whose,
            manifest: MANIFEST,
            source_count: sources.len(),
            sources,
            agent_count: agents.len(),
            agents_left_out: agents.len().saturating_sub(MOST_AGENTS),
            agents: agents
                .into_iter()
                .take(MOST_AGENTS)
                .map(|row| agent(row, all_sources))
                .collect(),
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

/// How a data source is, in a mark.
#[must_use]
pub fn mark(health: Health) -> Mark {
    match health {
        Health::Ok => Mark::good("Fresh"),
        Health::Failing => Mark::bad("Failing"),
        Health::Stalled => Mark::bad("Stalled"),
        Health::Stale => Mark::late("Old data"),
        Health::Suspended => Mark::waiting("Suspended"),
        Health::Pending => Mark::waiting("Waiting"),
    }
}

#[must_use]
pub fn days(first: Option<Day>, last: Option<Day>) -> String {
    match (first, last) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => format::NONE.to_owned(),
    }
}

fn source(row: &SourceView, now: Timestamp) -> Source {
    Source {
        link: links::source(&row.namespace, &row.name),
        display_name: row.display_name.clone(),
        key: format!("{}/{}", row.namespace, row.name),
        health: mark(row.health),
        why: match (&row.stalled, &row.error) {
            (Some(stalled), _) => Some(stalled.reason.clone()),
            (None, error) => error.as_ref().map(|error| error.code.clone()),
        },
        agents: format::count(row.agent_count),
        days: days(row.first_day, row.last_day),
        last_fetch: row
            .last_fetch_time
            .map(|at| (at.into(), format::ago(at, now))),
        next_fetch: row
            .next_fetch_time
            .map(|at| (at.into(), format::until(at, now))),
    }
}

fn agent(row: &AgentView, sources: &[SourceView]) -> Agent {
    let named = |name: &String| {
        let source = sources
            .iter()
            .find(|source| source.namespace == row.namespace && source.name == *name);
        let shown = source.map_or(name, |source| &source.display_name);
        (shown.clone(), links::source(&row.namespace, name))
    };
    Agent {
        title: row.display_name.as_ref().unwrap_or(&row.code).clone(),
        code: row.display_name.as_ref().map(|_| row.code.clone()),
        namespace: row.namespace.clone(),
        testing: links::agent(&row.namespace, &row.code),
        activity: links::activity(&row.namespace, &row.code),
        sources: row.data_sources.iter().map(named).collect(),
        health: mark(row.health),
        days: days(Some(row.first_day), Some(row.last_day)),
        day_count: row.days,
    }
}
