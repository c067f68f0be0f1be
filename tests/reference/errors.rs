//! Every code of a failure with its cases, every code of a file, and every reason of a condition.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sumsq::domain::agent_status::{IN_FORCE, TrustReason};
use sumsq::domain::fetch::ErrorCode;
use sumsq::domain::fetch::cases::{CHAPTERS, Case};
use sumsq::domain::status::{Meaning, Reason};

use crate::page::{holds, read, table};

fn row(case: &Case) -> [String; 3] {
    let codes: Vec<_> = case.codes.iter().map(|code| code.as_str()).collect();
    let mut named = codes.join(", ");
    if !case.told_by.is_empty() {
        write!(named, ": {}", case.told_by).unwrap();
    }
    [named, case.happened.to_owned(), case.remedy()]
}

fn reasons(all: impl Iterator<Item = (&'static str, Meaning)>) -> String {
    let rows = all.map(|(reason, meaning)| {
        let Meaning {
            condition,
            means,
            remedy,
        } = meaning;
        [reason, condition, means, remedy].map(str::to_owned)
    });
    table(["reason", "condition", "what it means", "what to do"], rows)
}

/// As docs/export.md has them, which tests/exports holds to the program: below which heading, in which
/// of its tables, and what they do.
const OF_A_FILE: [(&str, usize, &str); 4] = [
    ("Errors", 0, "InvalidCsv: nothing of the file is imported"),
    (
        "Integrity",
        0,
        "a warning, or IntegrityProblem with `onIntegrityProblem: Reject`",
    ),
    ("Integrity", 1, "a warning: check the dating"),
    ("Warnings", 0, "a warning"),
];

/// The first cells of a table's rows.
fn codes_in(heading: &str, table: usize) -> String {
    let page = read("export.md");
    let (_, part) = page.split_once(&format!("\n### {heading}\n")).unwrap();
    let part = part.split("\n### ").next().unwrap();
    let texts = part.split("\n\n").map(str::trim_start);
    let mut tables = texts.filter(|text| text.starts_with("| "));
    let rows = tables.nth(table).unwrap().lines();
    let rows = rows.filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap().trim());
    cells.collect::<Vec<_>>().join(" ")
}

/// Each code of a file: where it stands, and no other is left.
#[test]
fn no_table_of_codes_is_left_out() {
    let page = read("export.md");
    let (_, part) = page.split_once("\n## What the check says\n").unwrap();
    let tables = part
        .split("\n\n")
        .filter(|text| text.starts_with("| code |"));
    assert_eq!(tables.count(), OF_A_FILE.len());
}

#[test]
fn the_page_has_every_code_and_every_reason() {
    let mut tables = BTreeMap::new();
    for chapter in CHAPTERS {
        let rows = chapter.cases.iter().map(row);
        let head = ["reason", "what happened", "what to do"];
        tables.insert(chapter.heading.to_owned(), table(head, rows));
    }
    let of_a_file = OF_A_FILE.map(|(heading, table, effect)| {
        let link = format!("[export.md](export.md#{})", heading.to_ascii_lowercase());
        [codes_in(heading, table), effect.to_owned(), link]
    });
    let head = ["codes", "what they do", "causes"];
    tables.insert("The codes of a file".to_owned(), table(head, of_a_file));
    let all = Reason::ALL.iter();
    tables.insert(
        "Reasons of a DataSource".to_owned(),
        reasons(all.map(|reason| (reason.as_str(), reason.meaning()))),
    );
    let all = TrustReason::ALL.iter();
    let all = all.map(|reason| (reason.as_str(), reason.meaning()));
    tables.insert(
        "Reasons of an Agent".to_owned(),
        reasons([IN_FORCE].into_iter().chain(all)),
    );
    holds("errors.md", &tables);

    // As a reader looks for it: a row that begins with it, or names it among others.
    let page = read("errors.md");
    for code in ErrorCode::ALL {
        let is_named = page.lines().any(|line| {
            let cell = line
                .strip_prefix("| ")
                .and_then(|row| row.split(" | ").next());
            let mut words = cell
                .into_iter()
                .flat_map(|cell| cell.split([',', ' ', ':']));
            words.any(|word| word == code.as_str())
        });
        assert!(is_named, "docs/errors.md has no row for {}", code.as_str());
    }
}

/// The arguments of a call, from behind its parenthesis on.
fn arguments(text: &str) -> Vec<&str> {
    let (mut depth, mut is_quoted, mut begun) = (0, false, 0);
    let mut arguments = Vec::new();
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if before != '\\' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => {
                arguments.push(text[begun..at].trim());
                begun = at + 1;
                if letter == ')' {
                    break;
                }
            }
            _ => {}
        }
        before = letter;
    }
    arguments.retain(|argument| !argument.is_empty());
    arguments
}

/// A hint that is written where it is used would be missing on the page.
#[test]
fn no_hint_is_written_beside_the_table() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let is_of_tests = ["tests", "simulation"].iter().any(|name| {
                let mut parts = path.iter().map(|part| part.to_str().unwrap());
                parts.any(|part| part.trim_end_matches(".rs") == *name)
            });
            if is_of_tests {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for call in code.split("FetchError::new(").skip(1) {
                let [_, _, hint] = arguments(call)[..] else {
                    panic!("another call in {}", path.display());
                };
                seen += 1;
                let is_written = hint.starts_with('"') || hint.starts_with("format!");
                assert!(!is_written, "{}: {hint}", path.display());
            }
        }
    }
    assert!(seen > 30, "{seen} calls");
}
