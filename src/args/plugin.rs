//! `kubectl sumsq`: which cluster, which objects, what to do with them.

mod format;
mod name;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum, ValueHint};

pub use self::format::{FileFormat, Format, ReportFormat};
pub use self::name::{CalledAs, Kind, ResourceName};
use super::{BearerToken, FilterArgs, STYLES, duration};

/// See and steer sumsq from kubectl: what is wrong, why, and what to do about it.
///
/// A DataSource says where a CSV of experiment counts lies in S3; sumsq fetches it on its schedule.
/// An Agent is an experiment. Names are written as kubectl writes them: counts, dsrc/counts or
/// agent/checkout.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-sumsq",
    bin_name = "kubectl sumsq",
    version = crate::VERSION,
    propagate_version = true,
    styles = STYLES
)]
#[command(after_help = "\
Start here:
  kubectl sumsq status -A                       what needs attention, most urgent first
  kubectl sumsq why counts -n growth            why it fails, what to do, when it is tried again
  kubectl sumsq fetch counts -n growth --wait   fetch now, and wait for that very fetch
  kubectl sumsq report checkout -n growth       an experiment's report, in the terminal

Exit status: 0 done; 1 a fetch failed, or the cluster said no; 2 usage.")]
pub struct PluginArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,

    #[command(subcommand)]
    pub command: PluginCommand,
}

/// As kubectl has them; they may stand anywhere behind `kubectl sumsq`.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Namespace [default: the context's]
    #[arg(long, short, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// The kubeconfig's context [default: its current one]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// The kubeconfig's cluster [default: the context's]
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,

    /// The kubeconfig's user [default: the context's]
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,

    /// The kubeconfig [default: as KUBECONFIG says, else ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,

    /// Do it as this user: system:serviceaccount:NAMESPACE:NAME for a ServiceAccount
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_user: Option<String>,

    /// A group of that user's; may be given several times
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        requires = "as_user"
    )]
    pub as_group: Vec<String>,

    /// How long one request to the API server may take, such as 10s; 0: as long as it takes
    #[arg(long, global = true, value_name = "DURATION", default_value = "0", value_parser = kubectl_duration)]
    pub request_timeout: Duration,
}

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Show the health of all DataSources and Agents, what needs attention first
    Status(StatusArgs),
    /// Say why a DataSource or an Agent is as it is, and what to do about it
    Why(WhyArgs),
    /// Fetch now
    Fetch(FetchNowArgs),
    /// Show the newest fetches of a DataSource
    History(HistoryArgs),
    /// Print an experiment's Testing Report
    Report(Box<ReportOfArgs>),
    /// Hold a DataSource's schedule and retries back
    Suspend(SuspendArgs),
    /// Let a suspended DataSource fetch on its schedule again
    Resume(ResumeArgs),
    /// Lint a CSV as a DataSource of the cluster would read it
    Check(CheckAgainstArgs),
    /// Print the policies that let the identity in use read the object
    Policy(PolicyArgs),
    /// Print the script that completes kubectl-sumsq in a shell
    Completion(CompletionArgs),
}

/// Some DataSources of a namespace, or all.
#[derive(Debug, Clone, ClapArgs)]
pub struct SelectArgs {
    /// DataSources
    #[arg(
        value_name = "NAME",
        required_unless_present_any = ["all", "selector"],
        conflicts_with_all = ["all", "selector", "all_namespaces"]
    )]
    pub names: Vec<ResourceName>,

    /// All of the namespace; with -A of every namespace
    #[arg(long)]
    pub all: bool,

    /// Those with these labels, such as team=growth
    #[arg(long, short = 'l', value_name = "LABELS", conflicts_with = "all")]
    pub selector: Option<String>,

    /// In every namespace
    #[arg(long, short = 'A')]
    pub all_namespaces: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
HEALTH of a DataSource, most urgent first:
  Stalled    only another spec helps
  Failing    the newest fetch failed; what was imported before stays served
  Overdue    a fetch should have begun: is the operator running?
  Pending    nothing was fetched yet, or the spec has changed since
  NoGoals    spec.goals is empty: nothing is fetched
  Fetching   a fetch is under way
  Suspended  spec.suspend holds it back
  Healthy    the newest fetch succeeded
Of an Agent: NotTrustworthy, Unused, NoData, Pending, Trustworthy. `why` tells more of each.

Examples:
  kubectl sumsq status -A
  kubectl sumsq status -n growth -o wide --watch
  kubectl sumsq status counts agent/checkout -n growth
  kubectl sumsq status -A -o json | jq -r '.dataSources[] | select(.health == \"Failing\") | .name'")]
pub struct StatusArgs {
    /// DataSources, and Agents as agent/NAME [default: all]
    #[arg(value_name = "NAME", conflicts_with_all = ["all_namespaces", "selector"])]
    pub names: Vec<ResourceName>,

    /// Of every namespace
    #[arg(long, short = 'A')]
    pub all_namespaces: bool,

    /// Those with these labels, such as team=growth
    #[arg(long, short = 'l', value_name = "LABELS")]
    pub selector: Option<String>,

    /// Show it anew whenever something changes, until Ctrl-C
    #[arg(long, short)]
    pub watch: bool,

    /// How it is printed [default: a table]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
With no name: of everything in the namespace that needs attention.

Examples:
  kubectl sumsq why counts -n growth
  kubectl sumsq why agent/checkout -n growth     why its reports can't be trusted
  kubectl sumsq why -A                           everything that needs attention, in all namespaces")]
pub struct WhyArgs {
    /// DataSources, and Agents as agent/NAME
    #[arg(value_name = "NAME", conflicts_with = "all_namespaces")]
    pub names: Vec<ResourceName>,

    /// In every namespace
    #[arg(long, short = 'A')]
    pub all_namespaces: bool,

    /// How it is printed [default: in sentences]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
A fetch is asked for by an annotation with a token; the operator echoes the token in status with the
result. --wait waits for exactly that. A suspended DataSource is fetched too.

Exit status: 0 requested, or with --wait fetched; 1 a fetch failed or did not end in time; 2 usage.

Examples:
  kubectl sumsq fetch counts -n growth --wait
  kubectl sumsq fetch counts --force --wait      also where the file has not changed
  kubectl sumsq fetch --all -n growth --wait --timeout 2m
  kubectl sumsq fetch -l team=growth -A")]
pub struct FetchNowArgs {
    #[command(flatten)]
    pub select: SelectArgs,

    /// Wait until it has ended, and say what came of it
    #[arg(long)]
    pub wait: bool,

    /// Read the file although it is the one that was imported last
    #[arg(long)]
    pub force: bool,

    /// How long to wait at most
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = kubectl_duration,
          requires = "wait")]
    pub timeout: Duration,

    /// How it is printed [default: a line for each]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Newest first; spec.historyLimit (10) fetches stand in status, the report server's page has them all.
Repeats of the same failure are one row: TRIES says how many.

Examples:
  kubectl sumsq history counts -n growth
  kubectl sumsq history counts -o json | jq '.history[0].error'")]
pub struct HistoryArgs {
    /// The DataSource
    #[arg(value_name = "NAME")]
    pub name: ResourceName,

    /// How it is printed [default: a table]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The report server is reached by a port-forward to its Pod, which the API server carries; that needs
`list` on pods and `create` and `get` on pods/portforward in the operator's namespace. Where the
server has an address of its own, --server is simpler. A server that asks who reads (--auth
kubernetes) gets the kubeconfig's bearer token, also that of a credential plugin; where you are known
by a client certificate, SUMSQ_TOKEN or --token-file has one.

An agent is named by its code, or by the name of its Agent object.

Examples:
  kubectl sumsq report checkout -n growth
  kubectl sumsq report checkout -n growth --goal sales --metric rate --interval always-valid
  kubectl sumsq report checkout -n growth --server https://sumsq.example.com -o json | jq .comparisons
  SUMSQ_TOKEN=$(kubectl create token analyst -n growth) kubectl sumsq report checkout -n growth")]
pub struct ReportOfArgs {
    /// The agent (experiment)
    #[arg(value_name = "AGENT")]
    pub agent: String,

    /// Ask this report server, rather than the one of the cluster through a port-forward
    #[arg(long, env = "SUMSQ_SERVER", value_name = "URL")]
    pub server: Option<String>,

    /// Who you are, to a report server that asks: a file with a bearer token, as `kubectl create
    /// token` prints it [default: the kubeconfig's token, where it has one]
    #[arg(
        long,
        env = "SUMSQ_TOKEN_FILE",
        value_name = "FILE",
        value_hint = ValueHint::FilePath
    )]
    pub token_file: Option<PathBuf>,

    /// The token itself. Others on this machine can read what stands in a command: rather set the
    /// variable, or give --token-file
    #[arg(
        long,
        env = "SUMSQ_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<BearerToken>,

    /// Where the operator is installed. The report server is looked for there alone: whoever may create
    /// Pods elsewhere could have one that looks the same, and is shown your token
    #[arg(
        long,
        env = "SUMSQ_OPERATOR_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "sumsq-system"
    )]
    pub operator_namespace: String,

    /// How it is printed [default: in sentences and a table]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<ReportFormat>,

    #[command(flatten)]
    pub filter: FilterArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
A fetch under way finishes, and `kubectl sumsq fetch` still fetches. What was imported stays served.

Examples:
  kubectl sumsq suspend counts -n growth
  kubectl sumsq suspend --all -n growth")]
pub struct SuspendArgs {
    #[command(flatten)]
    pub select: SelectArgs,

    /// How it is printed [default: a line for each]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Of several slots of the schedule that were missed, the newest runs.

Examples:
  kubectl sumsq resume counts -n growth
  kubectl sumsq resume --all -n growth")]
pub struct ResumeArgs {
    #[command(flatten)]
    pub select: SelectArgs,

    /// How it is printed [default: a line for each]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The file is read by the very code that imports it, with the goals and rules of the DataSource in the
cluster; nothing is sent anywhere. Exit status: 0 clean or warnings only, 1 problems, 2 usage.

Examples:
  kubectl sumsq check counts.csv --data-source counts -n growth
  ./export.sh | kubectl sumsq check - --data-source counts -n growth -o json")]
pub struct CheckAgainstArgs {
    /// The CSV, also compressed with gzip or zstd; - is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// The DataSource of the cluster that is to read it
    #[arg(long, value_name = "NAME")]
    pub data_source: ResourceName,

    /// How it is printed [default: in sentences]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<FileFormat>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The identity is the one that reads (status.reader). Nothing is changed, here or at AWS.
`aws s3api put-bucket-policy` replaces a bucket's whole policy: where it has one already, add the
statement to it.

Examples:
  kubectl sumsq policy counts -n growth
  kubectl sumsq policy counts --kms-key arn:aws:kms:us-east-1:123456789012:key/1234abcd
  kubectl sumsq policy counts --only bucket > policy.json
  kubectl sumsq policy counts --reader arn:aws:iam::123456789012:role/sumsq   before it ever ran")]
pub struct PolicyArgs {
    /// The DataSource
    #[arg(value_name = "NAME")]
    pub name: ResourceName,

    /// The KMS key that the object is encrypted with (SSE-KMS), where it is a key of your own
    #[arg(long, value_name = "ARN")]
    pub kms_key: Option<String>,

    /// Another identity than the one in status
    #[arg(long, value_name = "ARN")]
    pub reader: Option<String>,

    /// One of them alone, as a document for `aws`
    #[arg(long, value_enum, value_name = "POLICY", conflicts_with = "output")]
    pub only: Option<PolicyKind>,

    /// How it is printed [default: with a word on each]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
kubectl completes `kubectl sumsq` by itself where it finds kubectl_complete-sumsq on PATH, with the
names of the cluster's objects:
  ln -s \"$(command -v kubectl-sumsq)\" /usr/local/bin/kubectl_complete-sumsq

The scripts printed here complete the words of kubectl-sumsq, called by that name:
  source <(kubectl sumsq completion bash)
  kubectl sumsq completion zsh > \"${fpath[1]}/_kubectl-sumsq\"
  kubectl sumsq completion fish > ~/.config/fish/completions/kubectl-sumsq.fish")]
pub struct CompletionArgs {
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyKind {
    /// The bucket's own.
    Bucket,
    /// The KMS key's own.
    Key,
    /// The reader's own, needed too where it is of another account than the bucket.
    Reader,
}

/// `0`, as kubectl has it for no limit, or a duration.
fn kubectl_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    // kubectl takes bare numbers for seconds.
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    duration(text)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use clap::{CommandFactory, Parser};

    use super::*;

    /// What `-o` takes of each command, and what no command takes.
    #[test]
    fn every_command_prints_as_kubectl_prints() {
        let mut matrix = String::new();
        for command in [
            "status",
            "status counts",
            "why counts",
            "history counts",
            "fetch counts",
            "fetch counts --wait",
            "suspend counts",
            "resume counts",
            "policy counts",
            "report checkout",
            "check counts.csv --data-source counts",
        ] {
            let takes = |format: &str| {
                let words = ["kubectl-sumsq"].into_iter().chain(command.split(' '));
                PluginArgs::try_parse_from(words.chain(["-o", format])).is_ok()
            };
            let formats = ["wide", "json", "yaml", "name", "csv", "jsonpath={.status}"];
            let formats: Vec<_> = formats.into_iter().filter(|format| takes(format)).collect();
            writeln!(matrix, "{command}: {}", formats.join(" ")).unwrap();
        }
        insta::assert_snapshot!(matrix, @r"
        status: wide json yaml name
        status counts: wide json yaml name
        why counts: wide json yaml name
        history counts: wide json yaml name
        fetch counts: wide json yaml name
        fetch counts --wait: wide json yaml name
        suspend counts: wide json yaml name
        resume counts: wide json yaml name
        policy counts: wide json yaml name
        report checkout: wide json yaml csv
        check counts.csv --data-source counts: wide json yaml
        ");
    }

    #[test]
    fn w_is_watch_as_with_kubectl_and_nothing_else() {
        let parse = |words: &str| PluginArgs::try_parse_from(words.split(' '));
        let status = parse("kubectl-sumsq status -w").unwrap();
        assert!(matches!(status.command, PluginCommand::Status(args) if args.watch));
        assert!(parse("kubectl-sumsq fetch counts -w").is_err());
    }

    #[test]
    fn the_definition_is_sound() {
        PluginArgs::command().debug_assert();
    }

    #[test]
    fn durations_are_kubectl_s() {
        assert_eq!(kubectl_duration("0"), Ok(Duration::ZERO));
        assert_eq!(kubectl_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(kubectl_duration("2m"), Ok(Duration::from_mins(2)));
        assert!(kubectl_duration("soon").is_err());
    }
}
