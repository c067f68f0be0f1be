//! `sumsq show`: one agent's Testing Report in the terminal, from a store or from a report server.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::tls::{RootCerts, TlsConfig};

use crate::args::{AgentName, BearerToken, FilterArgs, ShowArgs, ShowOutput};
use crate::domain::agent::to_segment;
use crate::domain::report::query::TestingQuery;
use crate::domain::report::view::TestingReport;
use crate::domain::report::{self, terminal};
use crate::roots;
use crate::store::Store;
use crate::store::report_data::AgentSources;
use crate::yaml;

/// There is no such agent, or a filter takes no such value: usage.
const USAGE: u8 = 2;
/// A report server answers in milliseconds; a busy one is given time.
const PATIENCE: Duration = Duration::from_secs(30);
/// What stands in a path as it is.
const PATH_SAFE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Prints the report of a store that is on this machine.
///
/// # Errors
/// The store's own, and a standard output that cannot be written.
pub async fn from_store(args: &ShowArgs, store: &dyn Store, now: Timestamp) -> Result<ExitCode> {
    let query = match query(&args.filter) {
        Ok(query) => query,
        Err(message) => return Ok(usage(&message)),
    };
    let AgentName { namespace, code } = &args.agent;
    let Some(sources) = AgentSources::find(store, namespace, code).await? else {
        return Ok(usage(&unknown(store, &args.agent).await?));
    };
    let Some(holder) = sources.chosen(query.data_source.as_deref()) else {
        let names: Vec<_> = sources
            .holders
            .iter()
            .map(|holder| holder.source.key.name.as_str())
            .collect();
        return Ok(usage(&format!(
            "--data-source: agent {code} is held by {}",
            names.join(", ")
        )));
    };
    let tally = report::Tally::new(sources.load(store, holder).await?);
    match report::testing(&tally, &query, now) {
        Ok(report) => print(&report, args.output),
        Err(error) => Ok(usage(&format!(
            "{}: {}",
            flag(&error.parameter),
            error.message
        ))),
    }
}

/// A report server, and what it is asked for.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    pub server: &'a str,
    /// Of whoever reads, for a server that asks who that is (`--auth kubernetes`).
    pub token: Option<&'a str>,
    pub agent: &'a AgentName,
    pub filter: &'a FilterArgs,
    pub output: ShowOutput,
}

/// Asks a report server, which may be a browser's journey away.
///
/// # Errors
/// A server that does not answer, or answers what no report server does.
pub fn from_server(question: &Question<'_>) -> Result<ExitCode> {
    let Question { server, output, .. } = *question;
    // What it takes is known here as well as there.
    if let Err(message) = query(question.filter) {
        return Ok(usage(&message));
    }
    let answer = if output == ShowOutput::Csv {
        ask(question, "testing.csv")?
    } else {
        ask(question, "testing")?
    };
    let body = match answer {
        Answer::Found(body) => body,
        Answer::Refused(problem) => return Ok(usage(&problem)),
    };
    if output == ShowOutput::Csv {
        io::stdout().write_all(body.as_bytes()).ok();
        return Ok(ExitCode::SUCCESS);
    }
    let report: TestingReport = serde_json::from_str(&body)
        .with_context(|| format!("{server} is no report server of this version"))?;
    print(&report, output)
}

enum Answer {
    Found(String),
    /// What it says is wrong with the request.
    Refused(String),
}

fn ask(question: &Question<'_>, what: &str) -> Result<Answer> {
    #[derive(Deserialize)]
    struct Problem {
        detail: Option<String>,
        title: Option<String>,
        command: Option<String>,
    }
    let server = question.server;
    let AgentName { namespace, code } = question.agent;
    let address = format!(
        "{}/api/v1/namespaces/{}/agents/{}/{what}",
        server.trim_end_matches('/'),
        utf8_percent_encode(namespace, PATH_SAFE),
        utf8_percent_encode(&to_segment(code), PATH_SAFE),
    );
    let client: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .tls_config(TlsConfig::builder().root_certs(trusted()).build())
        .build()
        .into();
    let mut request = client.get(&address).query_pairs(question.filter.pairs());
    if let Some(token) = question.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut answer = request
        .call()
        .with_context(|| format!("no answer from {server}"))?;
    let status = answer.status();
    let body = answer
        .body_mut()
        .read_to_string()
        .with_context(|| format!("{server} broke off its answer"))?;
    if status.is_success() {
        return Ok(Answer::Found(body));
    }
    let problem: Option<Problem> = serde_json::from_str(&body).ok();
    let command = problem
        .as_ref()
        .and_then(|problem| problem.command.clone())
        .map_or(String::new(), |command| format!("\n  {command}"));
    let said = problem.and_then(|problem| problem.detail.or(problem.title));
    match (status.as_u16(), said) {
        (401, Some(said)) => bail!("{said}\n  here: --token-file FILE, or SUMSQ_TOKEN"),
        (403, Some(said)) => bail!("{said}{command}"),
        (_, said) => refused(server, status, said),
    }
}

fn refused(server: &str, status: ureq::http::StatusCode, said: Option<String>) -> Result<Answer> {
    match said {
        Some(said) if status.is_client_error() => Ok(Answer::Refused(said)),
        Some(said) => bail!("{server} answered {status}: {said}"),
        None => bail!("{server} answered {status}: it is no report server, or one that is unwell"),
    }
}

/// Who asks; a file is meant more than a variable that lies about.
///
/// # Errors
/// A file that cannot be read or holds no token.
pub fn token(args: &ShowArgs) -> Result<Option<BearerToken>> {
    let Some(path) = &args.token_file else {
        return Ok(args.token.clone());
    };
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let token = text.parse::<BearerToken>();
    let token = token.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    Ok(Some(token))
}

/// A company's own certificates count where the machine trusts them.
fn trusted() -> RootCerts {
    match roots::bundled() {
        None => RootCerts::PlatformVerifier,
        Some(_) => RootCerts::WebPki,
    }
}

fn query(filter: &FilterArgs) -> Result<TestingQuery, String> {
    let pairs = filter.pairs();
    TestingQuery::parse(pairs.iter().map(|(name, value)| (*name, value.as_str())))
        .map_err(|error| format!("{}: {}", flag(&error.parameter), error.message))
}

/// `traitGroup` as it is written here: `--trait-group`.
fn flag(parameter: &str) -> String {
    let mut flag = String::from("--");
    for letter in parameter.chars() {
        if letter.is_ascii_uppercase() {
            flag.push('-');
        }
        flag.push(letter.to_ascii_lowercase());
    }
    flag
}

/// Says what there is instead.
async fn unknown(store: &dyn Store, agent: &AgentName) -> Result<String> {
    const MOST_NAMED: usize = 10;
    let listed = store.agent_list().await?;
    let sources = store.sources().await?;
    let mut names: Vec<String> = listed
        .into_iter()
        .filter_map(|(id, row)| {
            let source = sources.iter().find(|source| source.id == id)?;
            Some(format!("{}/{}", source.key.namespace, row.code))
        })
        .collect();
    names.sort();
    names.dedup();
    let there_is = match names.len() {
        0 => "the store holds none yet".to_owned(),
        count if count <= MOST_NAMED => format!("there is {}", names.join(", ")),
        count => format!("there are {count}: {}, ...", names[..MOST_NAMED].join(", ")),
    };
    let closest = names
        .iter()
        .map(|name| {
            (
                strsim::normalized_levenshtein(name, &agent.to_string()),
                name,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    Ok(match closest {
        Some((_, name)) => format!("no agent {agent}: did you mean {name}?"),
        None => format!("no agent {agent}: {there_is}"),
    })
}

fn print(report: &TestingReport, output: ShowOutput) -> Result<ExitCode> {
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = match output {
        ShowOutput::Text => terminal::testing_text(report, colour),
        ShowOutput::Json => serde_json::to_string_pretty(report)? + "\n",
        ShowOutput::Yaml => yaml::to_string(report)?,
        ShowOutput::Csv => report::csv::testing_csv(report),
    };
    // A reader that has seen enough (`| head`) is no error.
    io::stdout().write_all(text.as_bytes()).ok();
    Ok(ExitCode::SUCCESS)
}

fn usage(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(USAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_named_as_flags() {
        assert_eq!(flag("goal"), "--goal");
        assert_eq!(flag("traitGroup"), "--trait-group");
        assert_eq!(flag("dataSource"), "--data-source");
    }
}
