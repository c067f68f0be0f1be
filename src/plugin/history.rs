//! `kubectl sumsq history`: the newest fetches of a DataSource.

use std::fmt::Write;

use comfy_table::Cell;
use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use super::cluster::Cluster;
use super::failure::Result;
use super::names;
use super::output::{
    Data, Tone, age, data, data_source_name, instant, or_none, print, table, table_text, toned,
};
use crate::args::plugin::{Format, HistoryArgs};
use crate::crd::data_source::{DataSource, FetchResult, HistoryEntry};

pub(super) async fn run(cluster: &Cluster, args: &HistoryArgs) -> Result<()> {
    let name = names::of_data_source(&args.name)?;
    let source = names::data_source(cluster, name).await?;
    let text = match (Data::asked_for(args.output), args.output) {
        (Some(format), _) => data(&Document::of(&source), format)?,
        (None, Some(Format::Name)) => data_source_name(&source.name_any()),
        (None, format) => tables(&source, format == Some(Format::Wide), Timestamp::now()),
    };
    print(&text);
    Ok(())
}

/// What `-o json` prints: the entries as status has them.
#[derive(Serialize)]
struct Document<'a> {
    namespace: String,
    name: String,
    history: &'a [HistoryEntry],
}

impl<'a> Document<'a> {
    fn of(source: &'a DataSource) -> Self {
        Self {
            namespace: source.namespace().unwrap_or_default(),
            name: source.name_any(),
            history: entries(source),
        }
    }
}

fn entries(source: &DataSource) -> &[HistoryEntry] {
    let status = source.status.as_ref();
    status.map_or(&[], |status| &status.history)
}

fn tables(source: &DataSource, wide: bool, now: Timestamp) -> String {
    let entries = entries(source);
    if entries.is_empty() {
        let (namespace, name) = (source.namespace().unwrap_or_default(), source.name_any());
        return format!("No fetch of {namespace}/{name} has ended yet.\n");
    }
    let mut header = vec![
        "STARTED", "TOOK", "TRIGGER", "RESULT", "TRIES", "AGENTS", "ROWS", "CHANGED", "WARNINGS",
    ];
    if wide {
        header.extend(["BYTES", "AT", "ID", "MESSAGE"]);
    }
    let mut table = table(&header);
    for entry in entries {
        let number = |value: Option<i64>| or_none(value.map(|number| number.to_string()));
        let mut row = vec![
            Cell::new(age(entry.started_at.0, now) + " ago"),
            Cell::new(or_none(took(entry))),
            Cell::new(format!("{:?}", entry.trigger)),
            result(entry),
            Cell::new(entry.attempts),
            Cell::new(number(entry.agent_count)),
            Cell::new(number(entry.rows)),
            Cell::new(number(entry.changed_agent_days)),
            Cell::new(number(entry.warning_count)),
        ];
        if wide {
            let message = entry.error.as_ref().map(|error| error.message.clone());
            let message = message.or_else(|| entry.warnings.first().cloned());
            row.push(Cell::new(number(entry.bytes)));
            row.push(Cell::new(instant(entry.started_at.0)));
            row.push(Cell::new(&entry.id));
            row.push(Cell::new(or_none(message)));
        }
        table.add_row(row);
    }
    let mut text = table_text(table);
    if let Some(error) = entries.first().and_then(|entry| entry.error.as_ref()) {
        let (namespace, name) = (source.namespace().unwrap_or_default(), source.name_any());
        _ = writeln!(text, "\nThe newest failed: {}", error.message);
        _ = writeln!(text, "What to do: kubectl sumsq why {name} -n {namespace}");
    }
    text
}

/// A failure by its code, the rest by what came of it.
fn result(entry: &HistoryEntry) -> Cell {
    match (&entry.error, entry.result) {
        (Some(error), _) => toned(&error.code, Tone::Bad),
        (None, FetchResult::Error) => toned("Error", Tone::Bad),
        (None, FetchResult::Imported) => toned("Imported", Tone::Good),
        (None, FetchResult::NotModified) => toned("NotModified", Tone::Plain),
    }
}

/// From the request to the commit. Of repeats it is not known: they began at other times.
fn took(entry: &HistoryEntry) -> Option<String> {
    let completed = entry
        .completed_at
        .as_ref()
        .filter(|_| entry.attempts == 1)?;
    let took = completed.0.duration_since(entry.started_at.0);
    let milliseconds = took.as_millis();
    Some(match milliseconds {
        ..1_000 => format!("{milliseconds}ms"),
        1_000..120_000 => format!("{:.1}s", took.as_secs_f64()),
        _ => format!("{}m{}s", took.as_mins(), took.as_secs() % 60),
    })
}
