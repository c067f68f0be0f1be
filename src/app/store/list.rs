//! `sumsq store list`.

use std::process::ExitCode;

use anyhow::Result;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use indicatif::{HumanBytes, HumanCount};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::args::Output;
use crate::domain::agent_day::Day;
use crate::store::relational::Relational;
use crate::store::{Size, SourceRow, Store};

/// One source, as programs get it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    namespace: String,
    name: String,
    id: Uuid,
    /// Whether its DataSource exists.
    present: bool,
    agent_count: u64,
    agent_days: u64,
    /// Of the blocks.
    bytes: u64,
    first_day: Option<Day>,
    last_day: Option<Day>,
    imported_at: Option<Timestamp>,
    last_success_at: Option<Timestamp>,
}

pub(super) async fn run(store: &dyn Relational, output: Output) -> Result<ExitCode> {
    let mut listed = Vec::new();
    for source in store.sources().await? {
        let size = store.size(source.id).await?;
        listed.push(Listed::of(source, size));
    }
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&listed)?),
        Output::Text if listed.is_empty() => println!("the store holds no source"),
        Output::Text => println!("{}", table(&listed)),
    }
    Ok(ExitCode::SUCCESS)
}

impl Listed {
    fn of(source: SourceRow, size: Size) -> Self {
        Self {
            namespace: source.key.namespace,
            name: source.key.name,
            id: source.id.0,
            present: source.present,
            agent_count: source.agent_count,
            agent_days: size.agent_days,
            bytes: size.bytes,
            first_day: source.first_day,
            last_day: source.last_day,
            imported_at: source.imported_at,
            last_success_at: source.last_success_at,
        }
    }
}

fn table(listed: &[Listed]) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "SOURCE",
            "STATE",
            "AGENTS",
            "DAYS",
            "AGENT DAYS",
            "SIZE",
            "IMPORTED",
            "ID",
        ]);
    for source in listed {
        let days = match (source.first_day, source.last_day) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "none".to_owned(),
        };
        table.add_row([
            format!("{}/{}", source.namespace, source.name),
            if source.present { "there" } else { "gone" }.to_owned(),
            HumanCount(source.agent_count).to_string(),
            days,
            HumanCount(source.agent_days).to_string(),
            HumanBytes(source.bytes).to_string(),
            source
                .imported_at
                .map_or("never".to_owned(), |at| format!("{at:.0}")),
            source.id.to_string(),
        ]);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_like_this() {
        let listed = |name: &str, present, days: Option<(i32, i32)>| Listed {
            namespace: "growth".into(),
            name: name.into(),
            id: Uuid::from_u128(7),
            present,
            agent_count: 12,
            agent_days: 1080,
            bytes: 7_654_321,
            first_day: days.map(|days| Day(days.0)),
            last_day: days.map(|days| Day(days.1)),
            imported_at: days.map(|_| "2026-03-01T09:05:10.123Z".parse().unwrap()),
            last_success_at: None,
        };
        let sources = [
            listed("shop", true, Some((20_000, 20_089))),
            listed("an-old-name", false, None),
        ];
        insta::assert_snapshot!(table(&sources));
    }
}
