//! Parses arguments, starts tracing, dispatches.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use sumsq::app;
use sumsq::args::{Args, Command, LogFormat};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = Args::parse();
    start_tracing(&args);
    match app::run(args) {
        Ok(code) => code,
        Err(error) => {
            // The chain is printed here and nowhere else.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
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
