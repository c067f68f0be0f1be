//! The arrow of imports, held by reading the source: who may name whom.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the crate and which others it may import. Whatever is not here fails.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("crd", &[]),
    ("yaml", &[]),
    ("args", &["domain"]),
    ("validate", &["crd", "domain", "yaml"]),
    ("metrics", &["domain"]),
    ("object", &["domain"]),
    ("store", &["domain"]),
    ("check", &["args", "crd", "domain", "object", "validate"]),
    ("ingest", &["domain", "metrics", "object", "store"]),
    (
        "controller",
        &[
            "crd", "domain", "ingest", "metrics", "object", "store", "validate",
        ],
    ),
    ("http", &["domain", "metrics", "store"]),
    (
        "local",
        &[
            "args", "crd", "domain", "ingest", "metrics", "object", "store", "validate",
        ],
    ),
    // The composition root: the only place that names every adapter.
    (
        "app",
        &[
            "args",
            "check",
            "controller",
            "crd",
            "domain",
            "http",
            "ingest",
            "local",
            "metrics",
            "object",
            "store",
            "validate",
        ],
    ),
    ("lib", &[]),
    // It imports the library as any other program would.
    ("main", &[]),
];

/// Frameworks, and the crates under them, that the domain must not know.
const NOT_IN_DOMAIN: &[&str] = &[
    "kube",
    "k8s_openapi",
    "schemars",
    "sqlx",
    "axum",
    "hyper",
    "http",
    "tokio",
    "futures",
    "aws_",
    "prometheus",
    "tracing",
    "clap",
];

#[test]
fn imports_follow_the_arrow() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        seen.insert(module.clone());
        wrong.extend(
            violations(&module, &text)
                .into_iter()
                .map(|what| format!("{}: {what}", path.display())),
        );
    }
    let known: BTreeSet<String> = MAY_IMPORT
        .iter()
        .map(|(module, _)| (*module).to_owned())
        .collect();
    assert_eq!(seen, known, "MAY_IMPORT lists the crate's modules");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever the table allows, it allows in one direction.
#[test]
fn the_arrow_has_no_way_back() {
    for (module, may) in MAY_IMPORT {
        for other in *may {
            let way_back = MAY_IMPORT
                .iter()
                .any(|(name, may)| name == other && may.contains(module));
            assert!(!way_back, "{module} and {other} may import each other");
        }
    }
    assert!(!allowed("controller").contains(&"http") && !allowed("http").contains(&"controller"));
}

#[test]
fn planted_violations_are_found() {
    for (module, text, expected) in [
        (
            "domain",
            "use crate::store::Store;",
            Some("domain imports store"),
        ),
        (
            "domain",
            "use crate::{domain::plan, store::{self, Store}};",
            Some("domain imports store"),
        ),
        (
            "http",
            "use crate::{\n    metrics,\n    controller::Context,\n};",
            Some("http imports controller"),
        ),
        (
            "controller",
            "fn f() { crate::http::router() }",
            Some("controller imports http"),
        ),
        (
            "crd",
            "pub(crate) use crate::domain::plan;",
            Some("crd imports domain"),
        ),
        (
            "store",
            "use super::super::ingest::run;",
            Some("store imports ingest"),
        ),
        ("domain", "use kube::Client;", Some("domain knows kube")),
        (
            "domain",
            "use aws_sdk_s3::Client;",
            Some("domain knows aws_"),
        ),
        (
            "domain",
            "async fn f() { tokio::time::sleep(a).await }",
            Some("domain knows tokio"),
        ),
        (
            "domain",
            "use {serde::Serialize, tokio::fs};",
            Some("domain knows tokio"),
        ),
        ("domain", "use kube as k;", Some("domain knows kube")),
        ("domain", "use ::sqlx::query;", Some("domain knows sqlx")),
        // A prefix, a comment and the module itself are none.
        ("domain", "use crate::domain::{plan, status};", None),
        (
            "domain",
            "// use kube::Client;\n/// Like [`crate::store::Store`].",
            None,
        ),
        (
            "domain",
            "use crate::domain::http::Kubelet; let kubernetes: u8 = my_kube::one();",
            None,
        ),
        ("store", "use kube::Client; use super::super::block;", None),
        (
            "ingest",
            "use crate::{domain::plan::{Plan, decide}, object, store::Store};",
            None,
        ),
    ] {
        let found = violations(module, text);
        assert_eq!(found.first().map(String::as_str), expected, "{text}");
    }
}

fn allowed(module: &str) -> &'static [&'static str] {
    MAY_IMPORT
        .iter()
        .find(|(name, _)| *name == module)
        .map_or(&[], |(_, may)| may)
}

/// What a file of the module names and must not.
fn violations(module: &str, text: &str) -> Vec<String> {
    let code = without_comments(text);
    let mut wrong = Vec::new();
    for start in ["crate::", "super::super::"] {
        for name in named_after(&code, start) {
            let is_module = MAY_IMPORT.iter().any(|(known, _)| *known == name);
            if is_module && name != module && !allowed(module).contains(&name.as_str()) {
                wrong.push(format!("{module} imports {name}"));
            }
        }
    }
    if module == "domain" {
        let foreign = NOT_IN_DOMAIN.iter().filter(|name| names_crate(&code, name));
        wrong.extend(foreign.map(|name| format!("domain knows {name}")));
    }
    wrong
}

/// The first name of every path that begins with `start`: one, or each of a group in braces.
fn named_after(code: &str, start: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(start) {
        if is_word(code[..at].chars().next_back()) || code[..at].ends_with("::") {
            continue;
        }
        let path = &code[at + start.len()..];
        match path.strip_prefix('{') {
            Some(group) => names.extend(group_members(group)),
            None => names.push(first_word(path)),
        }
    }
    names
}

/// The first name of each path in `a::{b, c}, d}`: `a` and `d`.
fn group_members(group: &str) -> Vec<String> {
    let mut members = vec![String::new()];
    let mut depth = 0;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            _ => {}
        }
        if let Some(member) = members.last_mut() {
            member.push(c);
        }
    }
    members
        .iter()
        .map(|member| first_word(member.trim_start_matches([',', ' ', '\n'])))
        .collect()
}

/// Whether a path begins with the crate, wherever in the code: `kube::...`, `use kube as ...`.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = &code[..at];
        let after = &code[at + name.len()..];
        let begins = !is_word(before.chars().next_back())
            && (!before.ends_with("::")
                || before
                    .trim_end_matches("::")
                    .ends_with([' ', '{', '(', '<']));
        let whole = if name.ends_with('_') {
            after
                .split_once("::")
                .is_some_and(|(rest, _)| rest.chars().all(|c| is_word(Some(c))))
        } else {
            after.starts_with("::") || (before.ends_with("use ") && !is_word(after.chars().next()))
        };
        begins && whole
    })
}

fn first_word(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|c| is_word(Some(*c)))
        .collect()
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    lines.collect::<Vec<_>>().join("\n")
}

/// `domain` for src/domain/plan.rs, `args` for src/args.rs.
fn module_of(path: &Path) -> String {
    let first = path
        .strip_prefix(source_folder())
        .unwrap()
        .components()
        .next()
        .unwrap();
    first
        .as_os_str()
        .to_string_lossy()
        .trim_end_matches(".rs")
        .to_owned()
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![source_folder()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}
