//! `counts.csv`: what a data source holds, as a CSV that imports again as the same data.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::domain::agent_day::{AgentDay, Day};
use crate::domain::counts_csv::write::Columns;
use crate::http::conditional::Etag;
use crate::http::data::SourceState;
use crate::http::parameters::{Names, Pairs, day, whole};
use crate::http::problem::Problem;
use crate::http::state::ReportState;
use crate::store::SourceRow;

/// Files that one download could be split into.
const MOST_PARTS: usize = 1_000;
/// Parts told in words.
const PARTS_TOLD: usize = 10;
/// Agents that wait for the reader.
const CHUNKS_AHEAD: usize = 2;
/// Bytes sent at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// A data source's data, as a CSV that can be imported again
///
/// It reads back as the same data: values with the precision they were written in. Rows are in order
/// of agent and day. A file cannot say that a goal is absent on some of its days, so days that hold
/// different goals are different files: `part` picks one, and where it is missing and there are
/// several, the answer is 409 and tells them.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/data-sources/{name}/counts.csv",
    tag = "data",
    params(
        ("namespace" = String, Path, description = "Namespace"),
        ("name" = String, Path, description = "Name of the DataSource"),
        ("agent" = Option<String>, Query, description = "Of this agent only"),
        ("from" = Option<String>, Query, format = Date, description = "First day"),
        ("to" = Option<String>, Query, format = Date, description = "Last day, included"),
        ("part" = Option<u16>, Query, minimum = 1, maximum = 1000,
            description = "Which set of goals, where days hold different ones"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/csv"),
        (status = 409, description = "The days hold different goals: name a part", body = Problem,
            content_type = "application/problem+json"),
    ))]
pub(super) async fn counts(
    State(state): State<ReportState>,
    Names((namespace, name)): Names<(String, String)>,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [agent, from, to, part] = pairs.only(["agent", "from", "to", "part"])?;
    let from = day("from", from)?.unwrap_or(Day::MIN);
    let to = day("to", to)?.unwrap_or(Day::MAX);
    if from > to {
        return Err(Problem::parameter("from", "a day that is not after `to`"));
    }
    let part = match part {
        None => None,
        some => Some(whole("part", some, 1, (1, MOST_PARTS))?),
    };
    let source = state.source(&namespace, &name).await?;
    let etag = Etag::of(&("counts.csv", SourceState::of(&source), pairs.all()));
    if etag.is_held(&headers) {
        return Ok(etag.not_modified());
    }
    let permit = permit(&state)?;
    let agents = agents(&state, &source, agent).await?;
    let wanted = Wanted {
        state,
        source,
        agents,
        days: (from, to),
    };
    let columns = wanted.columns(part).await?;
    let mut response = etag.with("text/csv; charset=utf-8; header=present", Body::empty());
    // Names of Kubernetes objects need no quoting in a header.
    let disposition = format!("attachment; filename=\"{namespace}-{name}-counts.csv\"");
    if let Ok(value) = HeaderValue::try_from(disposition) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    *response.body_mut() = wanted.body(columns, permit);
    Ok(response)
}

async fn agents(
    state: &ReportState,
    source: &SourceRow,
    wanted: Option<&str>,
) -> Result<Vec<String>, Problem> {
    let held = state.store()?.agents(source.id).await?;
    let codes = held.into_iter().map(|agent| agent.code);
    let codes: Vec<_> = codes
        .filter(|code| wanted.is_none_or(|wanted| wanted == code))
        .collect();
    match wanted {
        Some(agent) if codes.is_empty() => Err(Problem::not_found(format!(
            "data source {} holds no agent {agent:?}",
            source.key
        ))),
        _ => Ok(codes),
    }
}

/// What was asked for.
struct Wanted {
    state: ReportState,
    source: SourceRow,
    agents: Vec<String>,
    days: (Day, Day),
}

/// The days of one file.
struct Part {
    days: u64,
    first: Day,
    last: Day,
}

/// One of the files that a source's counts make.
#[derive(Debug, Clone)]
pub(in crate::http) struct File {
    pub goals: Vec<String>,
    pub agent_days: u64,
    pub first: Day,
    pub last: Day,
}

/// The files of all that a source holds, in the order in which `part` counts them from 1.
pub(in crate::http) async fn files(
    state: &ReportState,
    source: &SourceRow,
) -> Result<Vec<File>, Problem> {
    let _permit = permit(state)?;
    let wanted = Wanted {
        agents: agents(state, source, None).await?,
        state: state.clone(),
        source: source.clone(),
        days: (Day::MIN, Day::MAX),
    };
    let parts = wanted.parts().await?;
    Ok(parts
        .into_iter()
        .map(|(columns, part)| File {
            goals: columns.goals().map(str::to_owned).collect(),
            agent_days: part.days,
            first: part.first,
            last: part.last,
        })
        .collect())
}

fn permit(state: &ReportState) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(&state.downloads)
        .try_acquire_owned()
        .map_err(|_| Problem::unavailable("too many downloads at once; try again in a moment"))
}

impl Wanted {
    /// Looks at all of the days once, since a file begins with its columns.
    async fn parts(&self) -> Result<BTreeMap<Columns, Part>, Problem> {
        let mut parts: BTreeMap<Columns, Part> = BTreeMap::new();
        for agent in &self.agents {
            for day in self.read(agent).await? {
                let entry = parts.entry(columns_of(&day)?).or_insert(Part {
                    days: 0,
                    first: day.day,
                    last: day.day,
                });
                entry.days += 1;
                entry.first = entry.first.min(day.day);
                entry.last = entry.last.max(day.day);
            }
        }
        Ok(parts)
    }

    async fn columns(&self, part: Option<usize>) -> Result<Columns, Problem> {
        let parts = self.parts().await?;
        let count = parts.len();
        match part {
            _ if count == 0 => Err(Problem::not_found(format!(
                "data source {} holds no data of these days",
                self.source.key
            ))),
            None if count > 1 => Err(several(&parts)),
            Some(part) if part > count => {
                let takes = format!("a whole number from 1 to {count} for these days");
                Err(Problem::parameter("part", &takes))
            }
            _ => {
                let columns = parts.into_keys().nth(part.unwrap_or(1) - 1);
                columns.ok_or_else(|| Problem::not_found("there is no such part"))
            }
        }
    }

    async fn read(&self, agent: &str) -> Result<Vec<AgentDay>, Problem> {
        let store = self.state.store()?;
        let (from, to) = self.days;
        let days = store.agent_days(self.source.id, agent, from, to).await?;
        // Agents are read one after the other: an import in between would mix two files' data.
        let now = store.source(&self.source.key).await?;
        if now.map(|now| SourceState::of(&now)) != Some(SourceState::of(&self.source)) {
            return Err(Problem::unavailable(
                "the data change just now; try again in a moment",
            ));
        }
        Ok(days)
    }

    /// Sends agent by agent. Where reading fails half way the answer breaks off without its end,
    /// which every client notices.
    fn body(self, columns: Columns, permit: OwnedSemaphorePermit) -> Body {
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        tokio::spawn(async move {
            let _permit = permit;
            let patience = self.state.limits().reader_stalls;
            if let Err(problem) = self.send(&columns, &sender, patience).await {
                tracing::warn!(detail = problem.detail(), "a download breaks off");
                sender
                    .send(Err(std::io::Error::other("broken off")))
                    .await
                    .ok();
            }
        });
        Body::from_stream(ReceiverStream::new(receiver))
    }

    async fn send(
        self,
        columns: &Columns,
        sender: &mpsc::Sender<std::io::Result<Bytes>>,
        patience: Duration,
    ) -> Result<(), Problem> {
        let columns = Arc::new(columns.clone());
        let mut chunk = columns.header();
        for agent in &self.agents {
            let days = self.read(agent).await?;
            let of_part = Arc::clone(&columns);
            let lines = self
                .state
                .compute(move || {
                    let mut lines = Vec::new();
                    for day in &days {
                        if columns_of(day)? == *of_part {
                            lines.extend(of_part.rows(day));
                        }
                    }
                    Ok(lines)
                })
                .await?;
            chunk.extend(lines);
            if chunk.len() >= CHUNK_BYTES && !taken(sender, &mut chunk, patience).await {
                return Ok(());
            }
        }
        taken(sender, &mut chunk, patience).await;
        Ok(())
    }
}

/// False where the reader is gone or takes nothing any more.
async fn taken(
    sender: &mpsc::Sender<std::io::Result<Bytes>>,
    chunk: &mut Vec<u8>,
    patience: Duration,
) -> bool {
    let bytes = Bytes::from(std::mem::take(chunk));
    matches!(
        tokio::time::timeout(patience, sender.send(Ok(bytes))).await,
        Ok(Ok(()))
    )
}

fn columns_of(day: &AgentDay) -> Result<Columns, Problem> {
    Columns::of(day).ok_or_else(|| {
        let told = format!("agent {:?} on {}", day.agent, day.day);
        Problem::internal(
            "a stored day cannot be written",
            &std::io::Error::other(told),
        )
    })
}

fn several(parts: &BTreeMap<Columns, Part>) -> Problem {
    let mut told =
        String::from("these days hold different goals, and a file holds one set of them");
    for (number, (columns, part)) in (1..).zip(parts).take(PARTS_TOLD) {
        let goals = columns.goals().collect::<Vec<_>>().join(", ");
        let Part { days, first, last } = part;
        let agent_days = if *days == 1 {
            "agent day"
        } else {
            "agent days"
        };
        write!(
            told,
            "; part={number}: {goals} ({days} {agent_days}, {first} to {last})"
        )
        .ok();
    }
    if parts.len() > PARTS_TOLD {
        write!(told, "; and {} more parts", parts.len() - PARTS_TOLD).ok();
    }
    Problem::new(StatusCode::CONFLICT, told)
}
