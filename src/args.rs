//! Flags and environment -> typed settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::ErrorKind;
use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;

mod election;
pub mod plugin;
mod report;
mod show;
mod store;
mod tenants;

pub use election::ElectionArgs;
pub use report::{AccessArgs, AccessMode, ProxyArgs, ReportArgs, TlsArgs};
pub use show::{AgentName, BearerToken, FilterArgs, ShowArgs, ShowOutput};
pub use store::{Conflict, PostgresUrl, StoreAddress, StoreArgs, StoreCommand, StoreFlag};
pub use tenants::TenantArgs;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Experiment reports from daily CSVs of aggregated conversion counts in S3.
///
/// A data team rolls conversions up per day, agent (experiment) and variation - counts, values and
/// their sums of squares per visitor - and puts the CSV in a bucket. sumsq fetches it, checks it,
/// keeps it, and shows what it means. No visitor-level datum ever enters it.
#[derive(Debug, Parser)]
#[command(name = "sumsq", version = crate::VERSION, propagate_version = true, styles = STYLES)]
#[command(after_help = "\
Start here:
  sumsq local examples/quickstart --once      the whole job in a folder, with no cluster
  sumsq check counts.csv --data-source ds.yaml   lint an export before it is uploaded
  sumsq crd | kubectl apply -f -              the custom resource, for a cluster

Every flag can also be given as an environment variable, named beside it.")]
pub struct Args {
    /// How log lines on standard error look.
    #[arg(
        long,
        global = true,
        env = "SUMSQ_LOG_FORMAT",
        value_enum,
        default_value = "text"
    )]
    pub log_format: LogFormat,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator: watch DataSources, fetch, ingest, write status, events and metrics
    Controller(ControllerArgs),
    /// Serve reports: web pages, a JSON API and CSV downloads
    Report(Box<ReportArgs>),
    /// Run everything in one process over a folder, with no cluster
    Local(LocalArgs),
    /// Look after the store: what it holds, also of sources that are gone
    Store(StoreArgs),
    /// Lint a CSV before it is uploaded: every problem with line and column
    Check(CheckArgs),
    /// Print one agent's Testing Report, from a store or from a report server
    Show(Box<ShowArgs>),
    /// Print the custom resource definitions
    #[command(after_help = "Example:\n  sumsq crd | kubectl apply --server-side -f -")]
    Crd(CrdArgs),
}

#[derive(Debug, ClapArgs)]
pub struct CrdArgs {
    /// The one to print; default: all
    #[arg(value_enum)]
    pub resource: Option<CustomResource>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CustomResource {
    /// An experiment: names, baseline, expected shares.
    Agents,
    /// A CSV in S3, and when to fetch it.
    #[value(name = "datasources")]
    DataSources,
}

impl CustomResource {
    /// As its definition is called.
    #[must_use]
    pub fn crd_name(self) -> &'static str {
        match self {
            Self::Agents => "agents.sumsq.dev",
            Self::DataSources => "datasources.sumsq.dev",
        }
    }
}

/// Settings of everything that decides and fetches.
#[derive(Debug, Clone, ClapArgs)]
pub struct FetchArgs {
    /// How many fetches run at once, over all data sources
    #[arg(long, env = "SUMSQ_CONCURRENCY", value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,

    /// Time zone of schedules that name none (IANA)
    #[arg(long, env = "SUMSQ_DEFAULT_TIME_ZONE", value_name = "ZONE", default_value = "UTC",
          value_parser = time_zone)]
    pub default_time_zone: String,

    /// At most how long after its slot a fetch begins, spread over the data sources
    #[arg(long, env = "SUMSQ_SCHEDULE_JITTER", value_name = "DURATION", default_value = "5m",
          value_parser = duration)]
    pub schedule_jitter: Duration,

    /// Memory for the rows of files that are being read, of all fetches together, in MiB; what goes
    /// beyond is put aside on disk
    #[arg(long, env = "SUMSQ_INGEST_MEMORY_MIB", value_name = "MIB", default_value_t = 32,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub ingest_memory_mib: u32,

    /// Where rows are put aside, in files without a name, up to half of the size of a file
    /// [default: beside an SQLite store, else TMPDIR]
    #[arg(long, env = "SUMSQ_SPILL_DIR", value_name = "DIR")]
    pub spill_dir: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Kubernetes and AWS are found the usual way: in-cluster ServiceAccount or KUBECONFIG; AWS_* variables,
web identity, container and instance roles. A PostgreSQL password comes from PGPASSWORD,
PGPASSFILE or the address; sslmode=verify-full in the address has the server prove who it is.

Examples:
  sumsq controller --store sqlite:/var/lib/sumsq/sumsq.db --namespace growth
  PGPASSWORD=... sumsq controller --store 'postgres://sumsq@db:5432/sumsq?sslmode=verify-full'
  sumsq controller --store postgres://sumsq@db:5432/sumsq --leader-election --shard 2/5")]
pub struct ControllerArgs {
    #[command(flatten)]
    pub store: StoreFlag,

    /// Address of metrics and probes; port 0 picks one
    #[arg(
        long,
        env = "SUMSQ_LISTEN",
        value_name = "ADDR",
        default_value = "0.0.0.0:8081"
    )]
    pub listen: SocketAddr,

    /// Watch this namespace only [default: all]
    #[arg(long, env = "SUMSQ_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    #[command(flatten)]
    pub fetch: FetchArgs,

    // Last: their headings would stand over what follows.
    #[command(flatten)]
    pub tenants: TenantArgs,

    #[command(flatten)]
    pub election: ElectionArgs,
}

impl ControllerArgs {
    /// What clap cannot say by a declaration.
    ///
    /// # Errors
    /// An election among operators of which an SQLite file lets only one in.
    pub fn checked(&self) -> Result<(), clap::Error> {
        if !self.election.leader_election || matches!(self.store.address, StoreAddress::Postgres(_))
        {
            return Ok(());
        }
        let mut command = Args::command();
        command.build();
        let controller = command.find_subcommand("controller").cloned();
        Err(controller.unwrap_or(command).error(
            ErrorKind::ArgumentConflict,
            "--leader-election is for a PostgreSQL store (--store postgres://...); an SQLite file has \
             one operator, and a lock beside it by which a second one waits",
        ))
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
DIR holds DataSource and Agent manifests (*.yaml) and the objects they name, as
DIR/buckets/BUCKET/KEY. They are read through a real S3 endpoint on this machine; region, accountId,
endpoint and secretRef are not needed for that and are left alone. What was imported is kept in
DIR/.sumsq.

Without --once it goes on: schedules run, and editing a manifest or its annotation acts as
`kubectl apply` would.

Examples:
  sumsq local examples/quickstart --once
  sumsq local . --once --output json | jq .dataSources")]
pub struct LocalArgs {
    /// The folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// Fetch every data source once, print what was imported, and exit: 0, or 1 where a fetch failed
    #[arg(long)]
    pub once: bool,

    /// What is printed at the end of the first round
    #[arg(long, value_enum, default_value = "text")]
    pub output: Output,

    /// Address of reports; port 0 picks one. On a loopback address metrics and probes are there, too
    #[arg(
        long,
        env = "SUMSQ_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,

    #[command(flatten)]
    pub fetch: FetchArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Exit status: 0 clean or warnings only, 1 problems, 2 usage.

Examples:
  sumsq check counts.csv --data-source datasource.yaml
  ./export.sh | sumsq check - --data-source datasource.yaml --output json")]
pub struct CheckArgs {
    /// The CSV, also compressed with gzip or zstd; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Manifest of the DataSource that is to read it
    #[arg(long, value_name = "YAML")]
    pub data_source: PathBuf,

    /// Which DataSource, where the manifest holds several
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    #[arg(long, value_enum, default_value = "text")]
    pub output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One object, for programs.
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "write a duration such as 5m, 90s or 1h 30m".to_owned())
}

fn time_zone(text: &str) -> Result<String, String> {
    jiff::tz::TimeZone::get(text)
        .map(|_| text.to_owned())
        .map_err(|_| "write an IANA time zone such as Europe/Berlin or UTC".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn durations_are_written_as_people_write_them() {
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(duration("-5m").is_err());
        assert!(duration("soon").is_err());
    }
}
