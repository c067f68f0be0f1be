//! `sumsq store copy`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;
use uuid::Uuid;

use crate::args::Output;
use crate::store::relational::{Copied, CopyError, Relational, copy_agents, copy_source};
use crate::store::{SourceRow, Store, StoreError};

/// Every day is read once to be hashed, once to be sent and once where it has arrived.
const PASSES: u64 = 3;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    sources: Vec<SourceCopy>,
    /// Agent resources that were new there.
    agents: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceCopy {
    namespace: String,
    name: String,
    id: Uuid,
    result: &'static str,
    /// Sent, since the other store did not hold them like this.
    agent_days: u64,
    /// The same in both stores.
    digest: Option<String>,
    error: Option<String>,
}

pub(super) async fn run(
    from: &dyn Relational,
    to: &dyn Relational,
    replace: bool,
    output: Output,
) -> Result<ExitCode> {
    let sources = from.sources().await?;
    let mut copies = Vec::new();
    for (number, source) in (1..).zip(&sources) {
        let place = format!("{number}/{} {}", sources.len(), source.key);
        let result = copy_with_progress(from, to, source, replace, &place).await?;
        let told = SourceCopy::of(source, result);
        eprintln!("{place}  {}", told.headline());
        copies.push(told);
    }
    let summary = Summary {
        agents: copy_agents(from, to).await?,
        sources: copies,
    };
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&summary)?),
        Output::Text => println!("{}", summary.to_text()),
    }
    Ok(if summary.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A source that cannot be copied leaves the others their turn; a store that fails ends it all.
async fn copy_with_progress(
    from: &dyn Relational,
    to: &dyn Relational,
    source: &SourceRow,
    replace: bool,
    place: &str,
) -> Result<Result<Copied, CopyError>> {
    let days = from.size(source.id).await?.agent_days;
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::new(days * PASSES);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {wide_bar} {percent}%") {
        bar.set_style(style);
    }
    bar.set_prefix(place.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    let copied = copy_source(from, to, source.id, replace, &|days| bar.inc(days)).await;
    bar.finish_and_clear();
    match copied {
        Ok(_)
        | Err(
            CopyError::From(StoreError::Damaged { .. })
            | CopyError::KnowsMore { .. }
            | CopyError::Differs { .. },
        ) => Ok(copied),
        Err(error) => Err(error.into()),
    }
}

impl SourceCopy {
    fn of(source: &SourceRow, copied: Result<Copied, CopyError>) -> Self {
        let (result, agent_days, digest, error) = match copied {
            Ok(copied) => (
                if copied.unchanged {
                    "Unchanged"
                } else {
                    "Copied"
                },
                copied.agent_days,
                Some(copied.digest.to_string()),
                None,
            ),
            Err(error) => ("Failed", 0, None, Some(said(&error))),
        };
        Self {
            namespace: source.key.namespace.clone(),
            name: source.key.name.clone(),
            id: source.id.0,
            result,
            agent_days,
            digest,
            error,
        }
    }

    fn headline(&self) -> String {
        match (&self.digest, &self.error) {
            (Some(digest), _) if self.result == "Unchanged" => {
                format!("is there already, digest {digest}")
            }
            (Some(digest), _) => format!(
                "{} agent days sent and read back, digest {digest}",
                HumanCount(self.agent_days)
            ),
            (None, error) => format!("NOT COPIED: {}", error.as_deref().unwrap_or_default()),
        }
    }
}

fn said(error: &CopyError) -> String {
    match error {
        CopyError::From(cause) | CopyError::To(cause) => format!("{error}: {cause}"),
        CopyError::KnowsMore { .. } | CopyError::Differs { .. } => {
            format!("{error}; --replace puts the old store's in its place")
        }
    }
}

impl Summary {
    fn failed(&self) -> usize {
        self.count("Failed")
    }

    fn count(&self, result: &str) -> usize {
        let of_result = self.sources.iter().filter(|copy| copy.result == result);
        of_result.count()
    }

    fn to_text(&self) -> String {
        format!(
            "{} sources copied and verified, {} were there already, {} not copied; {} new Agents",
            self.count("Copied"),
            self.count("Unchanged"),
            self.failed(),
            self.agents
        )
    }
}
