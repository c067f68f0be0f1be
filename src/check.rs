//! `sumsq check`: the linter of a CSV before it is uploaded, by the very code that imports it.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use indicatif::HumanCount;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::args::{CheckArgs, Output};
use crate::crd::data_source::DataSource as Resource;
use crate::domain::agent_day::Day;
use crate::domain::counts_csv::{CsvSpec, FileReader, Limits, Means, Rejected, Reviewed, Unread};
use crate::domain::data_source::DataSource;
use crate::domain::finding::{Finding, FindingKind};
use crate::object::decompressed;
use crate::validate::{self, Defaults};
use crate::yaml;

/// The manifest or the file could not be read at all: usage.
const USAGE: u8 = 2;
/// Agents named in words; programs get all of them.
const MAX_AGENTS_SHOWN: usize = 20;
const CHUNK_BYTES: usize = 256 * 1024;

/// What a check has found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    file: String,
    data_source: String,
    /// Whether it would be imported.
    accepted: bool,
    /// What rejects it, by line.
    problems: Vec<Finding>,
    problem_count: u64,
    /// What does not.
    warnings: Vec<Finding>,
    warning_count: u64,
    agents: Vec<String>,
    rows: Option<u64>,
    agent_days: Option<u64>,
    first_day: Option<Day>,
    last_day: Option<Day>,
}

/// Reads, checks and prints. The exit code is 0 for a clean file or warnings only, 1 for problems,
/// 2 where there is nothing to check.
pub async fn run(args: &CheckArgs) -> ExitCode {
    match source(args) {
        Ok(source) => against(&args.file, &source, args.output.into()).await,
        Err(message) => unusable(&message),
    }
}

/// How what was found is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printed {
    Text,
    Json,
    Yaml,
}

impl From<Output> for Printed {
    fn from(output: Output) -> Self {
        match output {
            Output::Text => Self::Text,
            Output::Json => Self::Json,
        }
    }
}

/// The same against a data source that is known already.
pub async fn against(file: &Path, source: &DataSource, output: Printed) -> ExitCode {
    match check(file, source).await {
        Ok(report) => {
            print(&report, output);
            ExitCode::from(u8::from(!report.accepted))
        }
        Err(message) => unusable(&message),
    }
}

/// There is nothing to check.
fn unusable(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(USAGE)
}

/// The data source that is to read the file.
fn source(args: &CheckArgs) -> Result<DataSource, String> {
    let path = args.data_source.display();
    let text = std::fs::read_to_string(&args.data_source)
        .map_err(|error| format!("cannot read {path}: {error}"))?;
    let manifest = validate::manifest(&text).map_err(|error| format!("{path}: {error}"))?;
    let resource = choose(manifest.data_sources, args.name.as_deref())
        .map_err(|error| format!("{path}: {error}"))?;
    let defaults = Defaults {
        default_time_zone: "UTC".to_owned(),
    };
    validate::data_source(&resource, "", &defaults).map_err(|problems| {
        let messages: Vec<_> = problems
            .into_iter()
            .map(|problem| problem.message)
            .collect();
        format!("{path}: {}", messages.join("; "))
    })
}

fn choose(mut resources: Vec<Resource>, name: Option<&str>) -> Result<Resource, String> {
    let names: Vec<String> = resources
        .iter()
        .filter_map(|resource| resource.metadata.name.clone())
        .collect();
    match name {
        Some(name) => {
            let wanted = |resource: &Resource| resource.metadata.name.as_deref() == Some(name);
            let index = resources.iter().position(wanted);
            let index = index
                .ok_or_else(|| format!("no DataSource {name}; there is {}", names.join(", ")))?;
            Ok(resources.swap_remove(index))
        }
        None if resources.len() > 1 => Err(format!(
            "several DataSources: choose one by --name ({})",
            names.join(", ")
        )),
        None => resources
            .pop()
            .ok_or_else(|| "no DataSource in it".to_owned()),
    }
}

async fn check(path: &Path, source: &DataSource) -> Result<Report, String> {
    let file = shown(path);
    if source.goals.is_empty() {
        return Err(format!(
            "DataSource {} has no goals: name the columns to read under spec.goals",
            source.key.name
        ));
    }
    let spec = CsvSpec {
        goals: source.goals.clone(),
        dating: source.dating,
        on_integrity_problem: source.on_integrity_problem,
    };
    let bytes = open(path).await?;
    let reader = FileReader::new(spec, Limits::default(), Means::default());
    let outcome = match read(bytes, reader).await {
        Err(error) if is_of_compression(&error) => Err(broken(&error)),
        Err(error) => return Err(format!("cannot read {file}: {error}")),
        Ok(Err(Unread::Spilled(error))) => return Err(format!("{error}: {}", error.error)),
        Ok(Err(Unread::Rejected(rejected))) => Err(rejected),
        Ok(Ok(reviewed)) => Ok(reviewed),
    };
    let empty = Report {
        file,
        data_source: source.key.name.clone(),
        accepted: false,
        problems: Vec::new(),
        problem_count: 0,
        warnings: Vec::new(),
        warning_count: 0,
        agents: Vec::new(),
        rows: None,
        agent_days: None,
        first_day: None,
        last_day: None,
    };
    Ok(match outcome {
        Err(Rejected { findings, total }) => Report {
            problems: findings,
            problem_count: total,
            ..empty
        },
        Ok(Reviewed { summary, .. }) => Report {
            accepted: true,
            warnings: summary.findings,
            warning_count: summary.total_findings,
            agents: summary.agents,
            rows: Some(summary.rows),
            agent_days: Some(summary.agent_days),
            first_day: summary.first_day,
            last_day: summary.last_day,
            ..empty
        },
    })
}

async fn open(file: &Path) -> Result<Box<dyn AsyncRead + Send + Unpin>, String> {
    if file == Path::new("-") {
        if std::io::stdin().is_terminal() {
            eprintln!("reading the CSV from standard input; Ctrl-D ends it");
        }
        return Ok(Box::new(tokio::io::stdin()));
    }
    let opened = tokio::fs::File::open(file).await;
    opened
        .map(|file| Box::new(file) as _)
        .map_err(|error| format!("cannot read {}: {error}", shown(file)))
}

/// The outer error is of the file, the inner one of what it holds.
async fn read(
    bytes: impl AsyncRead + Send + Unpin + 'static,
    mut reader: FileReader,
) -> io::Result<Result<Reviewed, Unread>> {
    let mut bytes = decompressed(bytes).await?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = bytes.read(&mut chunk).await?;
        if length == 0 {
            return Ok(reader.finish());
        }
        if let Err(unread) = reader.feed(&chunk[..length]) {
            return Ok(Err(unread));
        }
    }
}

fn is_of_compression(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::Other
    )
}

fn broken(error: &io::Error) -> Rejected {
    let finding = Finding {
        kind: FindingKind::Structure,
        code: "BrokenCompression",
        line: None,
        column: None,
        value: None,
        message: format!("the file is compressed and cannot be decompressed: {error}"),
        hint: Some("it may have been cut short: compress it again; `gzip -t` or `zstd -t` tells whether it is whole".to_owned()),
    };
    Rejected {
        findings: vec![finding],
        total: 1,
    }
}

fn shown(file: &Path) -> String {
    if file == Path::new("-") {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

fn print(report: &Report, output: Printed) {
    match output {
        Printed::Text => print!("{}", report.to_text()),
        Printed::Json => match serde_json::to_string_pretty(report) {
            Ok(json) => println!("{json}"),
            Err(error) => eprintln!("error: {error}"),
        },
        Printed::Yaml => match yaml::to_string(report) {
            Ok(yaml) => print!("{yaml}"),
            Err(error) => eprintln!("error: {error}"),
        },
    }
}

impl Report {
    fn to_text(&self) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            _ = writeln!(text, "{problem}\n");
        }
        for warning in &self.warnings {
            _ = writeln!(text, "warning: {warning}\n");
        }
        let (listed, total, noun) = if self.accepted {
            (self.warnings.len(), self.warning_count, "warning")
        } else {
            (self.problems.len(), self.problem_count, "problem")
        };
        let untold = total.saturating_sub(listed as u64);
        if untold > 0 {
            _ = writeln!(text, "and {} more\n", HumanCount(untold));
        }
        let verdict = if self.accepted {
            "would be imported"
        } else {
            "would be refused"
        };
        let plural = if total == 1 { "" } else { "s" };
        _ = writeln!(
            text,
            "{}: {} {noun}{plural}; {verdict} by DataSource {}",
            self.file,
            HumanCount(total),
            self.data_source
        );
        if let (Some(rows), Some((first, last))) = (self.rows, self.first_day.zip(self.last_day)) {
            let agents: Vec<&str> = self
                .agents
                .iter()
                .take(MAX_AGENTS_SHOWN)
                .map(String::as_str)
                .collect();
            let more = self.agents.len().saturating_sub(MAX_AGENTS_SHOWN);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            _ = writeln!(text, "  rows    {}", HumanCount(rows));
            _ = writeln!(text, "  days    {first} to {last}");
            _ = writeln!(
                text,
                "  agents  {}: {}{more}",
                self.agents.len(),
                agents.join(", ")
            );
        }
        text
    }
}
