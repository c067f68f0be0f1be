//! What was imported, for people and for programs: one view of it feeds both.

use std::fmt::Write;

use indicatif::HumanCount;
use jiff::Timestamp;
use serde::Serialize;

use crate::domain::agent_day::Day;
use crate::domain::data_source::DataSource;
use crate::domain::fetch::{FetchError, FetchRecord, Outcome};
use crate::domain::report::terminal::agent_text;
use crate::domain::report::view::TestingReport;
use crate::domain::report::{Tally, TestingQuery, choices, testing};
use crate::domain::status::Stored;
use crate::store::report_data::AgentSources;
use crate::store::{Store, StoreError};

/// Agents whose reports are shown in words; programs get all of them.
const MAX_AGENTS_SHOWN: usize = 20;

/// Everything that `sumsq local` prints at the end of a round.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub data_sources: Vec<SourceSummary>,
    pub reports: Vec<TestingReport>,
}

/// One data source and its newest fetch.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceSummary {
    pub namespace: String,
    pub name: String,
    /// Imported, NotModified or Error.
    pub result: &'static str,
    pub error: Option<ErrorSummary>,
    pub agent_count: u64,
    pub agents: Vec<String>,
    pub rows: Option<u64>,
    pub first_day: Option<Day>,
    pub last_day: Option<Day>,
    pub warnings: Vec<String>,
    #[serde(skip)]
    pub warning_count: u64,
    /// From the request to the commit; null where nothing was fetched.
    pub duration_seconds: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct ErrorSummary {
    pub code: String,
    pub message: String,
    pub hint: String,
}

impl SourceSummary {
    /// Of a source whose newest fetch is `record`.
    #[must_use]
    pub(super) fn fetched(
        source: &DataSource,
        stored: &Stored,
        record: &FetchRecord,
        seconds: f64,
    ) -> Self {
        let outcome = record.outcome.as_ref();
        let (warnings, warning_count) = match outcome {
            Some(Outcome::Imported(import)) => {
                (import.warnings.messages.clone(), import.warnings.total)
            }
            _ => (Vec::new(), 0),
        };
        Self {
            result: outcome.map_or("Error", Outcome::as_str),
            error: record.error().map(ErrorSummary::from),
            agent_count: stored.agent_count,
            agents: stored.agents.clone(),
            rows: stored.rows,
            first_day: stored.first_day,
            last_day: stored.last_day,
            warnings,
            warning_count,
            duration_seconds: Some(seconds),
            ..Self::unfetched(&source.key.namespace, &source.key.name, None)
        }
    }

    /// Of a source that was not fetched, and why.
    #[must_use]
    pub(super) fn unfetched(namespace: &str, name: &str, error: Option<ErrorSummary>) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            result: "Error",
            error,
            agent_count: 0,
            agents: Vec::new(),
            rows: None,
            first_day: None,
            last_day: None,
            warnings: Vec::new(),
            warning_count: 0,
            duration_seconds: None,
        }
    }

    /// A manifest that cannot be read has no namespace: it is called by its file.
    fn called(&self) -> String {
        if self.namespace.is_empty() {
            return self.name.clone();
        }
        format!("{}/{}", self.namespace, self.name)
    }

    /// One line: what came of the newest fetch.
    #[must_use]
    pub(super) fn headline(&self) -> String {
        let took = self.duration_seconds.map(took).unwrap_or_default();
        match (self.result, &self.error) {
            (_, Some(error)) => format!("failed: {}: {}", error.code, error.message),
            ("NotModified", None) => "not modified: the file is the one imported before".to_owned(),
            _ => format!("imported{took}"),
        }
    }

    fn holdings(&self) -> Option<String> {
        let (first, last) = self.first_day.zip(self.last_day)?;
        let mut line = counted(self.agent_count, "agent");
        if let Some(rows) = self.rows {
            _ = write!(line, ", {}", counted(rows, "row"));
        }
        _ = write!(
            line,
            ", {first} to {last}, {}",
            counted(self.warning_count, "warning")
        );
        Some(line)
    }
}

impl From<&FetchError> for ErrorSummary {
    fn from(error: &FetchError) -> Self {
        Self {
            code: error.code.clone(),
            message: error.message.clone(),
            hint: error.hint.clone(),
        }
    }
}

/// The Testing Reports of every agent of a source, one per goal.
///
/// # Errors
/// The store's own.
pub(super) async fn reports(
    store: &dyn Store,
    source: &DataSource,
    now: Timestamp,
) -> Result<Vec<TestingReport>, StoreError> {
    let mut reports = Vec::new();
    for agent in store.agents(source.id).await? {
        let found = AgentSources::find(store, &source.key.namespace, &agent.code).await?;
        let name = Some(source.key.name.as_str());
        let Some((sources, holder)) = found
            .as_ref()
            .and_then(|sources| Some((sources, sources.chosen(name)?)))
        else {
            continue;
        };
        let tally = Tally::new(sources.load(store, holder).await?);
        for goal in choices(&tally).goals {
            let query = TestingQuery {
                goal: Some(goal.code),
                ..TestingQuery::default()
            };
            // Every goal that is offered can be asked for.
            reports.extend(testing(&tally, &query, now));
        }
    }
    Ok(reports)
}

impl Summary {
    /// For people: each source with what it brought, then each agent's reports.
    #[must_use]
    pub(super) fn to_text(&self, colour: bool) -> String {
        let mut text = String::new();
        for source in &self.data_sources {
            _ = writeln!(text, "{}  {}", source.called(), source.headline());
            if let Some(error) = &source.error {
                for line in error.hint.lines() {
                    _ = writeln!(text, "  hint: {line}");
                }
            }
            if let Some(holdings) = source.holdings() {
                let held = if source.error.is_some() {
                    "still held: "
                } else {
                    ""
                };
                _ = writeln!(text, "  {held}{holdings}");
            }
            for warning in &source.warnings {
                _ = writeln!(text, "  warning: {warning}");
            }
            let untold = source
                .warning_count
                .saturating_sub(source.warnings.len() as u64);
            if untold > 0 {
                _ = writeln!(
                    text,
                    "  and {}; `sumsq check` tells all",
                    counted(untold, "warning")
                );
            }
        }
        let mut agents: Vec<&[TestingReport]> = self
            .reports
            .chunk_by(|a, b| {
                a.agent == b.agent && a.data_source == b.data_source && a.namespace == b.namespace
            })
            .collect();
        let untold = agents.len().saturating_sub(MAX_AGENTS_SHOWN);
        agents.truncate(MAX_AGENTS_SHOWN);
        for reports in agents {
            _ = write!(text, "\n{}", agent_text(reports, colour));
        }
        if untold > 0 {
            let more = counted(untold as u64, "more agent");
            _ = writeln!(text, "\n{more}: --output json has them all");
        }
        text
    }
}

/// ` in 24 ms`, ` in 3.1 s`.
fn took(seconds: f64) -> String {
    if seconds < 1.0 {
        format!(" in {:.0} ms", seconds * 1000.0)
    } else {
        format!(" in {seconds:.1} s")
    }
}

/// `1 agent`, `1,203 rows`.
fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_reads_like_this() {
        let summary = Summary {
            data_sources: vec![
                SourceSummary {
                    result: "Imported",
                    agent_count: 1,
                    agents: vec!["checkout".into()],
                    rows: Some(1203),
                    first_day: Some(Day(20_000)),
                    last_day: Some(Day(20_059)),
                    warnings: vec!["line 14: rows with the same key were added up".into()],
                    warning_count: 3,
                    duration_seconds: Some(0.12),
                    ..SourceSummary::unfetched("growth", "sales", None)
                },
                SourceSummary::unfetched(
                    "growth",
                    "returns",
                    Some(ErrorSummary {
                        code: "NoSuchKey".into(),
                        message: "The specified key does not exist.".into(),
                        hint: "compare `key` with the bucket's contents".into(),
                    }),
                ),
            ],
            reports: Vec::new(),
        };
        insta::assert_snapshot!(summary.to_text(false));
    }
}
