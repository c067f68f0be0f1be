//! `kubectl sumsq`: this program under the name kubectl-sumsq. It speaks to the API server alone,
//! and for reports to the report server; it has no store and no AWS.
//!
//! - [`cluster`]: the kubeconfig's cluster; [`failure`]: errors in kubectl's words; [`names`]: what
//!   was probably meant; [`select`]: which DataSources; [`output`]: tables, times, colour.
//! - [`standing`]: how an object stands, by its status. [`awaited`]: whether a fetch has ended. Pure.
//! - a file for each command.
//! - [`complete`]: what completes a command line.

mod awaited;
mod check;
mod cluster;
mod complete;
mod failure;
mod fetch;
mod forward;
mod history;
mod names;
mod output;
mod policy;
mod report;
mod select;
mod standing;
mod status;
mod suspend;
mod why;

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::aot;

use self::cluster::Cluster;
use self::failure::Result;
use crate::args::plugin::{PluginArgs, PluginCommand, Shell};

/// Runs the command; its errors are told here.
pub async fn run(args: PluginArgs) -> ExitCode {
    match carry_out(args).await {
        Ok(code) => code,
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.code)
        }
    }
}

/// Prints what completes the words behind `kubectl sumsq`, as kubectl asks for it.
pub async fn complete(words: &[String]) -> ExitCode {
    output::print(&complete::answer(words).await);
    ExitCode::SUCCESS
}

async fn carry_out(args: PluginArgs) -> Result<ExitCode> {
    if let PluginCommand::Completion(args) = &args.command {
        output::print(&script(args.shell));
        return Ok(ExitCode::SUCCESS);
    }
    let cluster = Cluster::connect(&args.cluster).await?;
    match args.command {
        PluginCommand::Status(args) => return status::run(&cluster, &args).await,
        PluginCommand::History(args) => history::run(&cluster, &args).await?,
        PluginCommand::Policy(args) => policy::run(&cluster, &args).await?,
        PluginCommand::Why(args) => return why::run(&cluster, &args).await,
        PluginCommand::Fetch(args) => return fetch::run(&cluster, &args).await,
        PluginCommand::Report(args) => return report::run(&cluster, &args).await,
        PluginCommand::Check(args) => return check::run(&cluster, &args).await,
        PluginCommand::Suspend(args) => {
            return suspend::run(&cluster, &args.select, true, args.output).await;
        }
        PluginCommand::Resume(args) => {
            return suspend::run(&cluster, &args.select, false, args.output).await;
        }
        PluginCommand::Completion(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// For a shell that runs `kubectl-sumsq` by that name.
fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    let mut command = PluginArgs::command().bin_name("kubectl-sumsq");
    let shell = match shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    aot::generate(shell, &mut command, "kubectl-sumsq", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
