//! README.md's table and the schema's descriptions are made of values.yaml's comments: this makes
//! them, and holds them to it. With `INSTA_UPDATE=always` it writes them.

use std::collections::BTreeMap;
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

impl Key {
    /// Where the schema describes it; None where the values below are not the chart's own.
    fn pointer(&self, schema: &Value) -> Option<String> {
        let mut pointer = String::new();
        for name in &self.path {
            write!(pointer, "/properties/{name}").unwrap();
            schema.pointer(&pointer)?;
        }
        Some(pointer)
    }

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
    let mut named: BTreeMap<String, bool> = BTreeMap::new();
    for key in keys() {
        if let Some(pointer) = key.pointer(&schema) {
            let foreign = schema.pointer(&pointer).unwrap()["properties"].is_null();
            assert!(
                !key.comment.is_empty() || !foreign,
                "{} has no description",
                key.path.join(".")
            );
            named.insert(pointer, true);
        } else {
            let parent = &key.path[..key.path.len() - 1];
            let parent = Key {
                path: parent.to_vec(),
                comment: Vec::new(),
            };
            let mut below = parent.pointer(&schema);
            let mut names = parent.path;
            // Deeper than the schema goes: something of a Pod's own.
            while below.is_none() {
                names.pop();
                assert!(
                    !names.is_empty(),
                    "{} is not in the schema",
                    key.path.join(".")
                );
                let ancestor = Key {
                    path: names.clone(),
                    comment: Vec::new(),
                };
                below = ancestor.pointer(&schema);
            }
            let owner = schema.pointer(&below.unwrap()).unwrap();
            assert!(
                owner["properties"].is_null(),
                "{} is not in the schema",
                key.path.join(".")
            );
        }
    }
    let mut unknown = Vec::new();
    collect(&schema, "", &mut |pointer, node| {
        assert!(
            node["properties"].is_null()
                || node["additionalProperties"] == false
                || pointer.ends_with("/issuerRef"),
            "{pointer} takes misspelled names"
        );
        if !pointer.is_empty() && !named.contains_key(pointer) && !pointer.contains("/issuerRef/") {
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
        if let Some(pointer) = key.pointer(&schema) {
            let description = key.description(|code| code.trim().to_owned());
            schema.pointer_mut(&pointer).unwrap()["description"] = description.into();
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
        let Some(pointer) = key.pointer(&schema) else {
            continue;
        };
        let default = values.pointer(&format!("/{}", key.path.join("/"))).unwrap();
        let group = !schema.pointer(&pointer).unwrap()["properties"].is_null()
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
