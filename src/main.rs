//! Parses arguments, starts tracing, dispatches.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use sumsq::app;
use sumsq::args::plugin::{CalledAs, PluginArgs};
use sumsq::args::{Args, Command, LogFormat};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let ran = match CalledAs::by(std::env::args_os().next().as_deref()) {
        CalledAs::Sumsq => {
            let args = Args::parse();
            start_tracing(&args);
            app::run(args)
        }
        CalledAs::Plugin => run_plugin(),
        CalledAs::Completion => app::complete_plugin(&words()),
    };
    match ran {
        Ok(code) => code,
        Err(error) => {
            // The chain is printed here and nowhere else.
            eprintln!("error: {}", said(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error with its causes. Some crates' errors tell their causes themselves: they are not told again.
fn said(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string();
        match said.as_str() {
            "" => cause,
            earlier if earlier.contains(&cause) => said,
            earlier => format!("{earlier}: {cause}"),
        }
    })
}

/// `kubectl sumsq`. Where no symbolic link is called kubectl_complete-sumsq, a script of two lines
/// can ask for completions by `__complete`, as it does of other plugins.
fn run_plugin() -> anyhow::Result<ExitCode> {
    let words = words();
    if let Some((first, words)) = words.split_first()
        && first == "__complete"
    {
        return app::complete_plugin(words);
    }
    app::run_plugin(PluginArgs::parse())
}

/// The command line behind the program's name.
fn words() -> Vec<String> {
    let words = std::env::args_os().skip(1);
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

fn start_tracing(args: &Args) {
    let default = match args.command {
        Command::Controller(_) | Command::Report(_) => "info",
        // The others print their results; the log is for what is unexpected. The embedded S3
        // endpoint logs every answer that is not a success: what matters of them is in the result.
        _ => "error,s3s=off",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let deepest = anyhow::anyhow!("no such file");
        let tells = deepest.context("cannot read x: no such file");
        let error = tells.context("no cluster").context("cannot start");
        assert_eq!(
            said(&error),
            "cannot start: no cluster: cannot read x: no such file"
        );
    }
}
