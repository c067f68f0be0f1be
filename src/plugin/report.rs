//! `kubectl sumsq report`: an experiment's Testing Report, asked of the cluster's report server.

use std::process::ExitCode;

use super::cluster::Cluster;
use super::failure::{Failure, Result};
use super::forward::Forward;
use super::names;
use crate::args::plugin::{ReportFormat, ReportOfArgs};
use crate::args::{AgentName, ShowOutput};
use crate::crd::agent::Agent;
use crate::show;

pub(super) async fn run(cluster: &Cluster, args: &ReportOfArgs) -> Result<ExitCode> {
    let agent = AgentName {
        namespace: cluster.namespace().to_owned(),
        code: code(cluster, args).await?,
    };
    let token = match &args.token {
        Some(token) => Some(token.trim().to_owned()),
        None => cluster.token().await,
    };
    if let Some(server) = &args.server {
        return ask(args, agent, server, token).await.map_err(failure);
    }
    let forward = Forward::open(
        cluster,
        args.operator_namespace.as_deref(),
        &agent.namespace,
    )
    .await?;
    match ask(args, agent, &forward.url(), token).await {
        Ok(code) => Ok(code),
        // Why the connection went nowhere says more than that it did.
        Err(error) => Err(match forward.trouble().await {
            Some(trouble) => Failure::new(format!("error: no way to the report server: {trouble}"))
                .with_hint("where it has an address of its own, name it by --server"),
            None => failure(error),
        }),
    }
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
        None => ShowOutput::Text,
        Some(ReportFormat::Json) => ShowOutput::Json,
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

fn failure(error: anyhow::Error) -> Failure {
    Failure::new(format!("error: {error:#}"))
}
