//! How things are printed: tables and times as kubectl has them, colour only on a terminal.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use jiff::Timestamp;
use serde::Serialize;

use super::failure::{Failure, Result};
use crate::args::plugin::Format;
use crate::yaml;

/// How urgent it is, by which it is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Bad,
    Doubtful,
    Plain,
    Good,
}

/// For programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Json,
    Yaml,
}

impl Data {
    /// None: it is for people.
    pub(super) fn asked_for(format: Option<Format>) -> Option<Self> {
        match format? {
            Format::Json => Some(Self::Json),
            Format::Yaml => Some(Self::Yaml),
            Format::Wide | Format::Name => None,
        }
    }
}

/// As `-o name` has it.
pub(super) fn data_source_name(name: &str) -> String {
    format!("datasource.sumsq.dev/{name}\n")
}

/// The same of an Agent.
pub(super) fn agent_name(name: &str) -> String {
    format!("agent.sumsq.dev/{name}\n")
}

/// Whether standard output takes colour: a terminal, and nobody who asked for none.
pub(super) fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// A reader that has seen enough (`| head`) is no error.
pub(super) fn print(text: &str) {
    io::stdout().write_all(text.as_bytes()).ok();
}

/// As `-o json` and `-o yaml` have it.
pub(super) fn data(value: &impl Serialize, format: Data) -> Result<String> {
    let written = match format {
        Data::Json => serde_json::to_string_pretty(value)
            .map(|text| text + "\n")
            .map_err(|error| error.to_string()),
        Data::Yaml => yaml::to_string(value).map_err(|error| error.to_string()),
    };
    written.map_err(|error| Failure::new(format!("error: cannot write the answer: {error}")))
}

/// As kubectl's tables look: no lines, three spaces between columns.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    if colour() {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

/// The text of a table. kubectl's begins at the first column.
pub(super) fn table_text(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A word that says how it stands; the word is enough where there is no colour.
pub(super) fn toned(word: &str, tone: Tone) -> Cell {
    let cell = Cell::new(word);
    if !colour() {
        return cell;
    }
    match tone {
        Tone::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Tone::Doubtful => cell.fg(Color::Yellow),
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
    }
}

/// The same within a sentence.
pub(super) fn toned_text(word: &str, tone: Tone) -> String {
    let code = match tone {
        Tone::Bad => "1;31",
        Tone::Doubtful => "33",
        Tone::Good => "32",
        Tone::Plain => return word.to_owned(),
    };
    if colour() {
        format!("\u{1b}[{code}m{word}\u{1b}[0m")
    } else {
        word.to_owned()
    }
}

/// What a table shows where there is nothing, as kubectl does.
pub(super) fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "<none>".to_owned())
}

/// How long ago, as kubectl's AGE. A clock that is behind shows 0s.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    human(now.duration_since(at).as_secs())
}

/// How long until then.
pub(super) fn until(at: Timestamp, now: Timestamp) -> String {
    human(at.duration_since(now).as_secs())
}

/// Seconds as kubectl writes them (`HumanDuration` of apimachinery): two units at most, the second
/// one only while the first is small.
fn human(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    let two = |first: i64, unit: &str, second: i64, small: &str| {
        if second == 0 {
            format!("{first}{unit}")
        } else {
            format!("{first}{unit}{second}{small}")
        }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if years < 2 => format!("{days}d"),
        () if years < 8 => two(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

/// `1 agent`, `1,203 rows`.
pub(super) fn counted(count: i64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    let count = indicatif::HumanCount(count.unsigned_abs());
    format!("{count} {noun}{plural}")
}

/// To the second, as Kubernetes writes times.
pub(super) fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_kubectl_s() {
        for (seconds, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"),
            (70_000_000, "2y80d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(human(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_table_looks_like_kubectl_s() {
        let mut table = table(&["NAME", "HEALTH"]);
        table.add_row(["counts", "Healthy"]);
        table.add_row(["a-long-name", "Failing"]);
        insta::assert_snapshot!(table_text(table), @r"
        NAME          HEALTH
        counts        Healthy
        a-long-name   Failing
        ");
    }
}
