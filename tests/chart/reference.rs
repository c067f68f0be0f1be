//! README.md's table and the schema's descriptions are made of values.yaml's comments: this makes
//! them, and holds them to it. With `INSTA_UPDATE=always` it writes them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::helm::CHART;

const BEGIN: &str = "<!-- made of values.yaml by tests/chart/reference.rs: begin -->\n";
const END: &str = "<!-- end -->\n";

/// One key of values.yaml, with the comment above it.
struct Key {
    path: Vec<String>,
    comment: Vec<String>,
}

fn file(name: &str) -> PathBuf {
    Path::new(CHART).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// Keys in their order. The file is block style, with two spaces a level.
fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut comment = Vec::new();
    for line in read("values.yaml").lines() {
        let text = line.trim_start();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.strip_prefix(' ').unwrap_or(words).to_owned());
            continue;
        }
        let depth = (line.len() - text.len()) / 2;
        if let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with('-')) {
            path.truncate(depth);
            path.push(key.to_owned());
            keys.push(Key {
                path: path.clone(),
                comment: std::mem::take(&mut comment),
            });
        }
        comment.clear();
    }
    keys
}

/// Where the schema describes it; None where it is below what the schema knows.
fn pointer(path: &[String], schema: &Value) -> Option<String> {
    let mut pointer = String::new();
    for name in path {
        write!(pointer, "/properties/{name}").unwrap();
        schema.pointer(&pointer)?;
    }
    Some(pointer)
}

impl Key {
    /// Sentences, and examples, which are indented.
    fn description(&self, example: impl Fn(&str) -> String) -> String {
        let words = self
            .comment
            .iter()
            .map(|line| match line.strip_prefix("  ") {
                Some(code) => example(code),
                None => line.clone(),
            });
        words.collect::<Vec<_>>().join(" ")
    }
}

fn schema() -> Value {
    serde_json::from_str(&read("values.schema.json")).unwrap()
}

/// Writes the file where that is asked for, and otherwise holds it to `expected`.
fn holds(name: &str, expected: &str) {
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(file(name), expected).unwrap();
    }
    assert!(
        read(name) == expected,
        "charts/sumsq/{name} is not what values.yaml says: \
         INSTA_UPDATE=always cargo test --test chart reference"
    );
}

#[test]
fn the_schema_and_the_values_name_the_same() {
    let schema = schema();
    let mut named = BTreeSet::new();
    for key in keys() {
        let path = key.path.join(".");
        let depth = (0..=key.path.len())
            .rev()
            .find(|depth| pointer(&key.path[..*depth], &schema).is_some());
        let known = pointer(&key.path[..depth.unwrap()], &schema).unwrap();
        // Where the schema says nothing more, what is below is a Pod's own, or people's.
        let is_free = schema.pointer(&known).unwrap()["properties"].is_null();
        if depth == Some(key.path.len()) {
            let described = !key.comment.is_empty();
            assert!(described || !is_free, "{path} has no description");
            named.insert(known);
        } else {
            assert!(is_free, "{path} is not in the schema");
        }
    }
    let mut unknown = Vec::new();
    collect(&schema, "", &mut |pointer, node| {
        // What signs a certificate is cert-manager's affair.
        if pointer.contains("/issuerRef") {
            return;
        }
        let is_strict = node["properties"].is_null() || node["additionalProperties"] == false;
        assert!(is_strict, "{pointer} takes misspelled names");
        if !pointer.is_empty() && !named.contains(pointer) {
            unknown.push(pointer.to_owned());
        }
    });
    assert_eq!(unknown, [""; 0], "not in values.yaml");
}

fn collect(node: &Value, pointer: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(pointer, node);
    let Some(properties) = node["properties"].as_object() else {
        return;
    };
    for (name, property) in properties {
        collect(property, &format!("{pointer}/properties/{name}"), visit);
    }
}

#[test]
fn the_schema_describes_what_the_values_say() {
    let mut schema = schema();
    for key in keys().iter().filter(|key| !key.comment.is_empty()) {
        if let Some(place) = pointer(&key.path, &schema) {
            let description = key.description(|code| code.trim().to_owned());
            schema.pointer_mut(&place).unwrap()["description"] = description.into();
        }
    }
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    holds("values.schema.json", &text);
}

#[test]
fn the_readme_lists_the_values() {
    let (schema, values) = (schema(), read("values.yaml"));
    let values: Value = serde_yaml::from_str(&values).unwrap();
    let mut table = String::from("| value | default | what |\n|---|---|---|\n");
    for key in keys().iter().filter(|key| !key.comment.is_empty()) {
        let Some(place) = pointer(&key.path, &schema) else {
            continue;
        };
        let default = values.pointer(&format!("/{}", key.path.join("/"))).unwrap();
        let group = !schema.pointer(&place).unwrap()["properties"].is_null()
            && default != &Value::from(serde_json::Map::new());
        let default = if group {
            String::new()
        } else {
            format!("`{default}`")
        };
        let what = key.description(|code| format!("`{}`", code.trim()));
        let what = what.replace('|', "\\|");
        writeln!(table, "| `{}` | {default} | {what} |", key.path.join(".")).unwrap();
    }
    let readme = read("README.md");
    let (before, rest) = readme.split_once(BEGIN).expect("a place for the table");
    let (_, after) = rest.split_once(END).expect("the table's end");
    holds(
        "README.md",
        &format!("{before}{BEGIN}\n{table}\n{END}{after}"),
    );
}
