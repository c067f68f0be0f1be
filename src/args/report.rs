//! `sumsq report`: where it listens, who may read, and by which certificate it speaks.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args as ClapArgs, CommandFactory, ValueEnum};

use super::{Args, StoreFlag};

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
It reads the store that `sumsq controller` writes and fetches nothing.

Who may read: with --auth kubernetes, whoever Kubernetes knows and lets `get datasources/report` or
`get agents/report` (API group sumsq.dev) in the namespace asked for; the chart's ClusterRole
sumsq-report-viewer holds both. Programs send a bearer token, browsers sign in with one:
  kubectl create token my-account --duration 8h
With --auth proxy an authenticating proxy says who it is, and proves that it is the proxy, by a
secret or by a client certificate. With --auth none whoever reaches the address reads everything,
so that it has to be a loopback address.

Examples:
  sumsq report --store sqlite:/var/lib/sumsq/sumsq.db
  sumsq report --auth kubernetes --listen 0.0.0.0:8443 --tls-cert tls.crt --tls-key tls.key \\
      --cookie-key cookie.key --store ...
  sumsq report --auth proxy --proxy-secret secret.txt --listen 0.0.0.0:8080 --store ...")]
pub struct ReportArgs {
    #[command(flatten)]
    pub store: StoreFlag,

    /// Address of pages and API; port 0 picks one. On a loopback address without authorisation probes
    /// and metrics are there, too
    #[arg(
        long,
        env = "SUMSQ_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,

    /// Address of metrics and probes; port 0 picks one
    #[arg(
        long,
        env = "SUMSQ_PROBE_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8082"
    )]
    pub probe_listen: SocketAddr,

    #[command(flatten)]
    pub access: AccessArgs,

    #[command(flatten)]
    pub proxy: ProxyArgs,

    #[command(flatten)]
    pub tls: TlsArgs,
}

/// Who says who a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AccessMode {
    /// The Kubernetes API server, by the caller's bearer token.
    Kubernetes,
    /// An authenticating proxy, in headers; what the caller may do says the API server.
    Proxy,
    /// Nobody: everybody reads everything.
    None,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Who may read")]
pub struct AccessArgs {
    /// Who says who a caller is
    #[arg(
        long,
        env = "SUMSQ_AUTH",
        value_name = "MODE",
        value_enum,
        default_value = "none"
    )]
    pub auth: AccessMode,

    /// With --auth none: let everybody who reaches a --listen address that is not loopback read
    /// everything
    #[arg(long, env = "SUMSQ_INSECURE_NO_AUTH", value_parser = clap::builder::FalseyValueParser::new())]
    pub insecure_no_auth: bool,

    /// The key that sessions are encrypted with, at least 32 bytes, such as `openssl rand 32` writes
    /// [default: drawn at start: a restart signs everybody out, and replicas do not know each other's
    /// sessions]
    #[arg(long, env = "SUMSQ_COOKIE_KEY", value_name = "FILE")]
    pub cookie_key: Option<PathBuf>,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "With --auth proxy")]
pub struct ProxyArgs {
    /// What the proxy proves itself by: a secret of at least 16 bytes that it sends in a header
    #[arg(long, env = "SUMSQ_PROXY_SECRET", value_name = "FILE")]
    pub proxy_secret: Option<PathBuf>,

    /// The header that the secret is sent in
    #[arg(
        long,
        env = "SUMSQ_PROXY_SECRET_HEADER",
        value_name = "NAME",
        default_value = "X-Sumsq-Proxy-Secret"
    )]
    pub proxy_secret_header: String,

    /// What the proxy proves itself by: a client certificate that one of these authorities has
    /// signed (PEM). Needs --tls-cert. Where --proxy-secret is given too, both are needed
    #[arg(long, env = "SUMSQ_PROXY_CLIENT_CA", value_name = "FILE")]
    pub proxy_client_ca: Option<PathBuf>,

    /// The header with the user's name, as RoleBindings have it
    #[arg(
        long,
        env = "SUMSQ_PROXY_USER_HEADER",
        value_name = "NAME",
        default_value = "X-Forwarded-User"
    )]
    pub proxy_user_header: String,

    /// The header with the user's groups, separated by commas or there several times
    #[arg(
        long,
        env = "SUMSQ_PROXY_GROUPS_HEADER",
        value_name = "NAME",
        default_value = "X-Forwarded-Groups"
    )]
    pub proxy_groups_header: String,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Certificate chain (PEM) of pages and API; read anew when the file changes
    #[arg(long, env = "SUMSQ_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Its private key (PEM)
    #[arg(long, env = "SUMSQ_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

impl ReportArgs {
    /// What goes together; the rest is said as clap says usage errors.
    ///
    /// # Errors
    /// Settings that would leave reports open by accident, or that contradict each other.
    pub fn checked(&self) -> Result<(), clap::Error> {
        let complaint = self.complaint();
        complaint.map_or(Ok(()), |(kind, message)| {
            let mut command = Args::command();
            command.build();
            let report = command.find_subcommand_mut("report");
            Err(match report {
                Some(report) => report.error(kind, message),
                None => command.error(kind, message),
            })
        })
    }

    fn complaint(&self) -> Option<(ErrorKind, String)> {
        let conflict = |message: &str| Some((ErrorKind::ArgumentConflict, message.to_owned()));
        let missing =
            |message: &str| Some((ErrorKind::MissingRequiredArgument, message.to_owned()));
        let (access, proxy, tls) = (&self.access, &self.proxy, &self.tls);
        let proves = proxy.proxy_secret.is_some() || proxy.proxy_client_ca.is_some();
        let loopback = self.listen.ip().to_canonical().is_loopback();
        if tls.tls_cert.is_some() != tls.tls_key.is_some() {
            return missing("--tls-cert and --tls-key belong together: give both");
        }
        if access.auth != AccessMode::Proxy && proves {
            return conflict(
                "--proxy-secret and --proxy-client-ca are for --auth proxy; give that, or leave \
                 them out",
            );
        }
        match access.auth {
            AccessMode::None if !loopback && !access.insecure_no_auth => missing(&format!(
                "--auth none on {}: whoever reaches that address would read every report. \
                     Give --auth kubernetes or --auth proxy; or --listen 127.0.0.1:{}; or, where \
                     something else keeps strangers out, --insecure-no-auth",
                self.listen,
                self.listen.port()
            )),
            AccessMode::Kubernetes | AccessMode::Proxy if access.insecure_no_auth => {
                conflict("--insecure-no-auth is for --auth none; leave it out")
            }
            AccessMode::Proxy if !proves => missing(
                "--auth proxy believes headers only of a proxy that proves itself: give \
                 --proxy-secret FILE or --proxy-client-ca FILE",
            ),
            AccessMode::Proxy if proxy.proxy_client_ca.is_some() && tls.tls_cert.is_none() => {
                missing(
                    "--proxy-client-ca asks for certificates, which needs TLS: give --tls-cert \
                         and --tls-key",
                )
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use clap::Parser;

    use super::*;
    use crate::args::Command;

    fn complaint(flags: &str) -> String {
        let words = ["sumsq", "report", "--store", "sqlite:a.db"];
        let words = words.into_iter().chain(flags.split_whitespace());
        let Command::Report(report) = Args::try_parse_from(words).unwrap().command else {
            panic!("it is report");
        };
        match report.checked() {
            Ok(()) => "taken".to_owned(),
            Err(error) => {
                assert_eq!(error.exit_code(), 2, "{flags}");
                report.complaint().unwrap().1
            }
        }
    }

    #[test]
    fn what_goes_together() {
        let mut told = String::new();
        for flags in [
            "",
            "--listen [::1]:0",
            "--listen 0.0.0.0:8080",
            "--listen 0.0.0.0:8080 --insecure-no-auth",
            "--listen 0.0.0.0:8080 --auth kubernetes",
            "--auth kubernetes --insecure-no-auth",
            "--auth kubernetes --proxy-secret s",
            "--auth proxy",
            "--auth proxy --proxy-secret s",
            "--auth proxy --proxy-client-ca ca",
            "--auth proxy --proxy-client-ca ca --tls-cert c --tls-key k",
            "--tls-cert c",
            "--tls-key k",
        ] {
            writeln!(told, "{flags}\n  {}", complaint(flags)).unwrap();
        }
        insta::assert_snapshot!(told, @"

          taken
        --listen [::1]:0
          taken
        --listen 0.0.0.0:8080
          --auth none on 0.0.0.0:8080: whoever reaches that address would read every report. Give --auth kubernetes or --auth proxy; or --listen 127.0.0.1:8080; or, where something else keeps strangers out, --insecure-no-auth
        --listen 0.0.0.0:8080 --insecure-no-auth
          taken
        --listen 0.0.0.0:8080 --auth kubernetes
          taken
        --auth kubernetes --insecure-no-auth
          --insecure-no-auth is for --auth none; leave it out
        --auth kubernetes --proxy-secret s
          --proxy-secret and --proxy-client-ca are for --auth proxy; give that, or leave them out
        --auth proxy
          --auth proxy believes headers only of a proxy that proves itself: give --proxy-secret FILE or --proxy-client-ca FILE
        --auth proxy --proxy-secret s
          taken
        --auth proxy --proxy-client-ca ca
          --proxy-client-ca asks for certificates, which needs TLS: give --tls-cert and --tls-key
        --auth proxy --proxy-client-ca ca --tls-cert c --tls-key k
          taken
        --tls-cert c
          --tls-cert and --tls-key belong together: give both
        --tls-key k
          --tls-cert and --tls-key belong together: give both
        ");
    }
}
