//! `kubectl sumsq report`: an experiment's Testing Report, asked of the cluster's report server.

use std::net::IpAddr;
use std::process::ExitCode;

use super::cluster::Cluster;
use super::failure::{Failure, Result};
use super::forward::Forward;
use super::names;
use crate::args::plugin::{ReportFormat, ReportOfArgs};
use crate::args::{AgentName, BearerToken, ShowOutput};
use crate::crd::agent::Agent;
use crate::show;

pub(super) async fn run(cluster: &Cluster, args: &ReportOfArgs) -> Result<ExitCode> {
    let agent = AgentName {
        namespace: cluster.namespace().to_owned(),
        code: code(cluster, args).await?,
    };
    let token = token(cluster, args).await?;
    if let Some(server) = &args.server {
        return ask(args, agent, server, token)
            .await
            .map_err(|error| failure(&error));
    }
    let forward = Forward::open(cluster, &args.operator_namespace, &agent.namespace).await?;
    match ask(args, agent, &forward.url(), token).await {
        Ok(code) => Ok(code),
        // Why the connection went nowhere says more than that it did.
        Err(error) => Err(match forward.trouble().await {
            Some(trouble) => Failure::new(format!("error: no way to the report server: {trouble}"))
                .with_hint("where it has an address of its own, name it by --server"),
            None => failure(&error),
        }),
    }
}

/// The token that is named, or the kubeconfig's. That one opens the cluster: it goes nowhere where
/// others on the way could read it.
async fn token(cluster: &Cluster, args: &ReportOfArgs) -> Result<Option<String>> {
    if let Some(path) = &args.token_file {
        let read = std::fs::read_to_string(path);
        let token = read.map_err(|error| {
            Failure::usage(format!("error: cannot read {}: {error}", path.display()))
        })?;
        let token = token
            .parse::<BearerToken>()
            .map_err(|error| Failure::usage(format!("error: {}: {error}", path.display())))?;
        return Ok(Some(token.expose().to_owned()));
    }
    if let Some(token) = &args.token {
        return Ok(Some(token.expose().to_owned()));
    }
    let Some(token) = cluster.token().await else {
        return Ok(None);
    };
    Ok(match &args.server {
        Some(server) if !is_closed(server) => {
            eprintln!(
                "warning: the kubeconfig's token is not shown to {server}, since it would go over \
                 plain http; where the server asks who reads, --token-file FILE has one"
            );
            None
        }
        _ => Some(token),
    })
}

/// Whether nobody on the way reads what is sent: TLS, or this machine.
fn is_closed(server: &str) -> bool {
    let Some(rest) = server.strip_prefix("http://") else {
        return server.starts_with("https://");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // What stands before it is a name for the host that stands behind it.
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.unwrap_or_default();
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The agent as the data have it: an Agent object may be called otherwise.
async fn code(cluster: &Cluster, args: &ReportOfArgs) -> Result<String> {
    if let Some(name) = args.agent.strip_prefix("agent/") {
        return Ok(own_code(names::agent(cluster, name).await?, name));
    }
    // Without a cluster at hand a server is asked for the code as it stands.
    if args.server.is_some() {
        return Ok(args.agent.clone());
    }
    let named = cluster.get::<Agent>(cluster.namespace(), &args.agent).await;
    Ok(match named {
        Ok(agent) => own_code(agent, &args.agent),
        Err(_) => args.agent.clone(),
    })
}

fn own_code(agent: Agent, name: &str) -> String {
    agent.spec.code.unwrap_or_else(|| name.to_owned())
}

/// The client of a report server blocks; the port-forward goes on meanwhile.
async fn ask(
    args: &ReportOfArgs,
    agent: AgentName,
    server: &str,
    token: Option<String>,
) -> anyhow::Result<ExitCode> {
    let output = match args.output {
        None | Some(ReportFormat::Wide) => ShowOutput::Text,
        Some(ReportFormat::Json) => ShowOutput::Json,
        Some(ReportFormat::Yaml) => ShowOutput::Yaml,
        Some(ReportFormat::Csv) => ShowOutput::Csv,
    };
    let (server, filter) = (server.to_owned(), args.filter.clone());
    tokio::task::spawn_blocking(move || {
        show::from_server(&show::Question {
            server: &server,
            token: token.as_deref(),
            agent: &agent,
            filter: &filter,
            output,
        })
    })
    .await?
}

fn failure(error: &anyhow::Error) -> Failure {
    Failure::new(format!("error: {error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_tls_or_stays_on_this_machine() {
        for (server, expected) in [
            ("https://sumsq.example.com", true),
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8080/", true),
            ("http://[::1]:8080", true),
            ("http://sumsq.example.com", false),
            ("http://10.0.0.7:8080", false),
            ("http://127.0.0.1.example.com", false),
            ("http://localhost@example.com", false),
            ("http://127.0.0.1:1@example.com", false),
            ("ftp://127.0.0.1", false),
        ] {
            assert_eq!(is_closed(server), expected, "{server}");
        }
    }
}
