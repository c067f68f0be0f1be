//! The sentences of `why`. Pure.

use std::fmt::Write;

use jiff::Timestamp;
use kube::ResourceExt;

use super::super::awaited::imported;
use super::super::output::{age, counted, instant, toned_text, until};
use super::super::standing::{AgentStanding, Health, Standing, Trust};
use crate::crd::agent::Agent;
use crate::crd::data_source::{DataSource, FetchResult, HistoryEntry};

/// Warnings told in full.
const MOST_WARNINGS: usize = 5;

pub(super) fn of_source(source: &DataSource, found: &Standing, now: Timestamp) -> String {
    let (namespace, name) = (source.namespace().unwrap_or_default(), source.name_any());
    let newest = newest(source);
    let mut text = format!(
        "dsrc/{name} in {namespace} {}",
        toned_text(headline(found.health), found.health.tone())
    );
    let says_nothing_more = [
        "Imported",
        "NotModified",
        "NotSeen",
        "SpecNotSeen",
        "Fetching",
        "Queued",
    ];
    if found.reason != found.health.word() && !says_nothing_more.contains(&&*found.reason) {
        _ = write!(text, ": {}", found.reason);
    }
    if let Some(since) = found.since {
        let tries = newest
            .filter(|entry| entry.error.is_some() && entry.attempts > 1)
            .map(|entry| format!(", tried {} times", entry.attempts))
            .unwrap_or_default();
        _ = write!(text, " (for {}{tries})", age(since, now));
    }
    text.push('\n');
    what(&mut text, found, newest);
    remedy(&mut text, source, found, newest);
    upcoming(&mut text, source, found, now);
    held(&mut text, source, found, now);
    text
}

fn newest(source: &DataSource) -> Option<&HistoryEntry> {
    source.status.as_ref()?.history.first()
}

fn headline(health: Health) -> &'static str {
    match health {
        Health::Stalled => "is stalled",
        Health::Failing => "is failing",
        Health::Overdue => "is overdue",
        Health::Pending => "has not been fetched yet",
        Health::NoGoals => "has nothing to fetch",
        Health::Fetching => "is being fetched",
        Health::Suspended => "is suspended",
        Health::Healthy => "is healthy",
    }
}

/// What has happened, in the operator's or AWS's words.
fn what(text: &mut String, found: &Standing, newest: Option<&HistoryEntry>) {
    let error = newest.and_then(|entry| entry.error.as_ref());
    match (found.health, newest) {
        (Health::Failing | Health::Suspended, _) if error.is_some_and(|_| is_failed(found)) => {
            if let Some(error) = error {
                indented(text, &error.message);
            }
        }
        (Health::Healthy | Health::Suspended, Some(entry)) => {
            indented(text, &brought(entry));
            warnings(text, entry);
        }
        _ => indented(text, &found.message),
    }
}

/// Whether it is an error of the newest fetch that Ready tells.
fn is_failed(found: &Standing) -> bool {
    !["Imported", "NotModified"].contains(&&*found.reason)
}

fn brought(entry: &HistoryEntry) -> String {
    match entry.result {
        FetchResult::Imported => format!("The newest fetch imported {}.", imported(entry)),
        FetchResult::NotModified => {
            "The newest fetch found the file that was imported before.".to_owned()
        }
        FetchResult::Error => "The newest fetch failed.".to_owned(),
    }
}

fn warnings(text: &mut String, entry: &HistoryEntry) {
    for warning in entry.warnings.iter().take(MOST_WARNINGS) {
        indented(text, &format!("warning: {warning}"));
    }
    let told = entry.warnings.len().min(MOST_WARNINGS);
    let all = entry.warning_count.unwrap_or_default();
    let untold = all - i64::try_from(told).unwrap_or(i64::MAX);
    if untold > 0 {
        let more = counted(untold, "warning");
        indented(
            text,
            &format!("and {more} more: `kubectl sumsq check` tells all"),
        );
    }
}

/// What a person can do.
fn remedy(text: &mut String, source: &DataSource, found: &Standing, newest: Option<&HistoryEntry>) {
    let at = format!(
        "{} -n {}",
        source.name_any(),
        source.namespace().unwrap_or_default()
    );
    let error = newest.and_then(|entry| entry.error.as_ref());
    let advice = match (found.health, error) {
        (Health::Failing | Health::Suspended, Some(error)) if is_failed(found) => {
            error.hint.clone()
        }
        (Health::Stalled, _) => "Change the spec as the message says: nothing else helps.".into(),
        (Health::NoGoals, _) => {
            "Name the columns of the CSV under spec.goals: it is fetched at once.".into()
        }
        (Health::Overdue, _) => {
            "Look whether the operator runs, and whether it watches this namespace:\nkubectl get \
             pods -A -l app.kubernetes.io/part-of=sumsq"
                .into()
        }
        (Health::Pending, _) if ["NotSeen", "SpecNotSeen"].contains(&&*found.reason) => {
            "Where this lasts for more than some seconds, look whether the operator runs, and \
             whether it watches this namespace:\nkubectl get pods -A -l \
             app.kubernetes.io/part-of=sumsq"
                .into()
        }
        _ => String::new(),
    };
    if !advice.is_empty() {
        text.push_str("What to do:\n");
        indented(text, &advice);
    }
    if found.health == Health::Suspended {
        _ = writeln!(
            text,
            "Nothing is fetched on its schedule until: kubectl sumsq resume {at}"
        );
    }
}

/// When something happens by itself.
fn upcoming(text: &mut String, source: &DataSource, found: &Standing, now: Timestamp) {
    let at = format!(
        "{} -n {}",
        source.name_any(),
        source.namespace().unwrap_or_default()
    );
    let status = source.status.as_ref();
    let next = status.and_then(|status| status.next_fetch_time.as_ref());
    let said = |at: Timestamp| format!("in {} ({})", until(at, now), instant(at));
    match (found.health, found.retry, next) {
        (Health::Failing, Some(retry), _) => {
            _ = writeln!(
                text,
                "Tried again {}; at once: kubectl sumsq fetch {at} --wait",
                said(retry)
            );
        }
        (Health::Failing, None, Some(next)) => {
            _ = writeln!(
                text,
                "Not tried again before its schedule, {}; at once: kubectl sumsq fetch {at} --wait",
                said(next.0)
            );
        }
        (Health::Overdue, _, Some(next)) => {
            _ = writeln!(
                text,
                "It was due {} ago ({}).",
                age(next.0, now),
                instant(next.0)
            );
        }
        (Health::Healthy, _, Some(next)) => {
            _ = writeln!(text, "Next fetch {}.", said(next.0));
        }
        _ => {}
    }
}

/// What the store has all the same.
fn held(text: &mut String, source: &DataSource, found: &Standing, now: Timestamp) {
    let Some(status) = &source.status else { return };
    let Some(agents) = status.agent_count.filter(|count| *count > 0) else {
        return;
    };
    let still = if found.health == Health::Healthy {
        "Held"
    } else {
        "Still served"
    };
    _ = write!(text, "{still}: {}", counted(agents, "agent"));
    if let Some((first, last)) = status.first_day.as_ref().zip(status.last_day.as_ref()) {
        if first == last {
            _ = write!(text, ", {first}");
        } else {
            _ = write!(text, ", {first} to {last}");
        }
    }
    if let Some(last) = &status.last_success_time {
        _ = write!(text, "; last success {} ago", age(last.0, now));
    }
    text.push_str(".\n");
}

pub(super) fn of_agent(agent: &Agent, found: &AgentStanding, now: Timestamp) -> String {
    let (namespace, name) = (agent.namespace().unwrap_or_default(), agent.name_any());
    let headline = match found.trust {
        Trust::NotTrustworthy => "is not trustworthy",
        Trust::Unused => "is not used",
        Trust::NoData => "has nothing to judge",
        Trust::Pending => "has not been judged yet",
        Trust::Trustworthy => "is trustworthy",
    };
    let mut text = format!(
        "agent/{name} in {namespace} {}",
        toned_text(headline, found.trust.tone())
    );
    if found.reason != found.trust.word() && !["NoAlarm", "NotSeen"].contains(&&*found.reason) {
        _ = write!(text, ": {}", found.reason);
    }
    if let Some(since) = found.since {
        _ = write!(text, " (for {})", age(since, now));
    }
    text.push('\n');
    indented(&mut text, &found.message);
    let status = agent.status.clone().unwrap_or_default();
    if let (Some(visitors), Some((first, last))) =
        (status.visitors, status.first_day.zip(status.last_day))
    {
        _ = writeln!(text, "{}, {first} to {last}.", counted(visitors, "visitor"));
        let code = agent.spec.code.as_deref().unwrap_or(&name);
        _ = writeln!(
            text,
            "The whole report: kubectl sumsq report {} -n {namespace}",
            quoted(code)
        );
    }
    text
}

/// As a shell takes it for one word.
fn quoted(code: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:@%+=,".contains(letter);
    if !code.is_empty() && code.chars().all(is_plain) {
        code.to_owned()
    } else {
        format!("'{}'", code.replace('\'', r"'\''"))
    }
}

fn indented(text: &mut String, paragraph: &str) {
    for line in paragraph.lines() {
        _ = writeln!(text, "  {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_word_of_a_shell() {
        for (code, expected) in [
            ("checkout", "checkout"),
            ("agent\u{2011}1", "'agent\u{2011}1'"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(code), expected);
        }
    }
}
