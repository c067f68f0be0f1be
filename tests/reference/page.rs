//! A page whose tables are made, between comments that name them; the rest is written by hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const END: &str = "<!-- end -->";

pub fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name)
}

pub fn read(name: &str) -> String {
    std::fs::read_to_string(docs(name)).unwrap()
}

/// Rows below a head, in Markdown.
pub fn table<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(COLUMNS));
    for row in rows {
        let cells = row.map(|cell| cell.replace('|', "\\|"));
        writeln!(text, "| {} |", cells.join(" | ")).unwrap();
    }
    text
}

/// The page has exactly these tables, by name. Writes it where that is asked for.
pub fn holds(name: &str, tables: &BTreeMap<String, String>) {
    let page = read(name);
    let mut made = String::new();
    let mut left = tables.clone();
    let mut rest = page.as_str();
    while let Some((before, after)) = rest.split_once("<!-- table: ") {
        let (title, after) = after.split_once(" -->\n").expect("the end of a comment");
        let (_, after) = after.split_once(END).expect("the end of a table");
        let table = left.remove(title);
        let table = table.unwrap_or_else(|| panic!("docs/{name} asks for a table {title:?}"));
        write!(made, "{before}<!-- table: {title} -->\n\n{table}\n{END}").unwrap();
        rest = after;
    }
    made += rest;
    let left: Vec<_> = left.keys().collect();
    assert!(left.is_empty(), "docs/{name} has no place for {left:?}");
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(docs(name), &made).unwrap();
    }
    assert!(
        read(name) == made,
        "docs/{name} is not what the program says: INSTA_UPDATE=always cargo test --test reference"
    );
}
