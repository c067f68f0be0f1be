//! docs/export.md says what each code means that a file can have, and none that does not exist; and
//! its query runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::engines::{DuckDb, PostgreSql};
use super::visitors;

/// Where the words of a file's problems and warnings are.
const SOURCES: [&str; 3] = [
    "src/check.rs",
    "src/domain/counts_csv",
    "src/domain/integrity/words.rs",
];

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// `MissingColumn`: two capitals at least, letters and digits only, longer than a file's first bytes.
fn is_code(word: &str) -> bool {
    word.len() > 5
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().all(|char| char.is_ascii_alphanumeric())
        && word.chars().filter(char::is_ascii_uppercase).count() > 1
        && word.chars().any(|char| char.is_ascii_lowercase())
}

/// All words between two such marks that are codes.
fn between(text: &str, mark: char) -> BTreeSet<String> {
    text.lines()
        .flat_map(|line| line.split(mark).skip(1).step_by(2))
        .filter(|word| is_code(word))
        .map(str::to_owned)
        .collect()
}

fn codes() -> BTreeSet<String> {
    let mut files = Vec::new();
    for source in SOURCES.map(checkout) {
        if source.is_dir() {
            let entries = fs::read_dir(&source).unwrap();
            files.extend(entries.map(|entry| entry.unwrap().path()));
        } else {
            files.push(source);
        }
    }
    files
        .iter()
        .filter(|file| file.extension().is_some_and(|kind| kind == "rs"))
        .filter(|file| !file.ends_with("tests.rs"))
        .flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            between(code, '"')
        })
        .collect()
}

#[test]
fn every_code_of_a_file_is_documented() {
    let codes = codes();
    assert!(codes.len() > 50, "{codes:?}");
    let page = fs::read_to_string(checkout("docs/export.md")).unwrap();
    let named = between(&page, '`');
    let missing: Vec<_> = codes.difference(&named).collect();
    assert!(
        missing.is_empty(),
        "docs/export.md does not name {missing:?}"
    );
    let unknown: Vec<_> = named.difference(&codes).collect();
    assert!(unknown.is_empty(), "docs/export.md names {unknown:?}");
}

/// What the README asks of the tables is asked of tables that have all of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_readme_s_questions_have_answers() {
    let readme = fs::read_to_string(checkout("examples/exports/README.md")).unwrap();
    let (_, questions) = readme.split_once("```sql\n").unwrap();
    let (questions, _) = questions.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let postgres = PostgreSql::new(&visitors::write(folder.path())).await;
    insta::assert_snapshot!(postgres.say(questions), @r"
    checkout-button|0.0452
    recommendations|0.0491
    add-to-cart|0.0000
    order|0.0002
    refund|0.0000
    support-contact|0.0000
    order|0|565|162
    refund|0|107|164
    ");
}

/// Section 1's Ana, and section 2's three visitors, who bought 0, 1 and 2 times.
#[test]
fn the_page_s_query_says_what_the_page_says() {
    let page = fs::read_to_string(checkout("docs/export.md")).unwrap();
    let (_, query) = page.split_once("```sql\n").unwrap();
    let (query, _) = query.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let duckdb = DuckDb::empty(folder.path());
    duckdb.say(
        "CREATE TABLE exposures (visitor_id TEXT, agent TEXT, variation TEXT, exposed_at TIMESTAMPTZ);
         CREATE TABLE events (event_id TEXT, visitor_id TEXT, event TEXT, amount DECIMAL(12, 2), \
         occurred_at TIMESTAMPTZ);
         INSERT INTO exposures VALUES
           ('ana', 'ana', 'B', '2026-01-05 09:00:00Z'), ('ana', 'ana', 'B', '2026-01-07 09:00:00Z'),
           ('v0', 'three', 'A', '2026-01-05 10:00:00Z'), ('v1', 'three', 'A', '2026-01-05 10:00:00Z'),
           ('v2', 'three', 'A', '2026-01-05 10:00:00Z');
         INSERT INTO events VALUES
           ('1', 'ana', 'order', 20.00, '2026-01-07 10:00:00Z'),
           ('2', 'ana', 'order', 30.00, '2026-01-09 10:00:00Z'),
           ('3', 'v1', 'order', 9.99, '2026-01-05 11:00:00Z'),
           ('4', 'v2', 'order', 9.99, '2026-01-05 11:00:00Z'),
           ('5', 'v2', 'order', 10.99, '2026-01-06 11:00:00Z'),
           ('6', 'v0', 'search', NULL, '2026-01-05 11:00:00Z')",
    );
    let to = folder.path().join("counts.csv");
    duckdb.export_translated(query, false, "2026-01-10", &to);
    insta::assert_snapshot!(fs::read_to_string(to).unwrap(), @r"
    Date,Agent,Variation,Sels,sales,sales_sumsq,sales_val,sales_val_sumsq
    1767571200,ana,B,1,2,4,50.00,2500.0000
    1767571200,three,A,3,3,5,30.97,539.9605
    ");
}
