//! Who may import whom: read from the `use` lines, so that the arrow of the design can't bend
//! unseen.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module and what of ours it may import, in the order of the arrow.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &["domain"]),
    ("crd", &["crd"]),
    ("yaml", &[]),
    ("validate", &["validate", "crd", "domain", "yaml"]),
    ("roots", &[]),
    ("object", &["object", "roots", "domain"]),
    ("store", &["store", "roots", "domain"]),
    ("metrics", &["domain"]),
    (
        "ingest",
        &["ingest", "store", "object", "metrics", "domain"],
    ),
    ("http", &["http", "store", "metrics", "domain"]),
    (
        "controller",
        &[
            "controller",
            "ingest",
            "store",
            "object",
            "metrics",
            "validate",
            "crd",
            "domain",
        ],
    ),
    (
        "local",
        &[
            "local", "ingest", "store", "object", "metrics", "validate", "crd", "domain", "args",
        ],
    ),
    (
        "check",
        &["args", "object", "validate", "crd", "domain", "yaml"],
    ),
    ("show", &["args", "roots", "store", "domain", "yaml"]),
    (
        "plugin",
        &[
            "plugin", "args", "check", "show", "object", "validate", "crd", "domain", "yaml",
        ],
    ),
    ("args", &["args", "domain"]),
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
            "plugin",
            "show",
            "store",
            "validate",
        ],
    ),
];

/// What `domain` must know nothing of.
const FRAMEWORKS: &[&str] = &[
    "kube",
    "k8s_openapi",
    "sqlx",
    "axum",
    "tokio",
    "tokio_util",
    "hyper_util",
    "s3s",
    "clap",
];

#[test]
fn modules_import_along_the_arrow() {
    let mut violations = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, text) in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let module = module_of(&path);
        if module == "lib" || module == "main" {
            continue;
        }
        seen.insert(module.clone());
        violations.extend(
            check(&module, &text)
                .into_iter()
                .map(|v| format!("{path:?}: {v}")),
        );
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    let listed: BTreeSet<_> = ALLOWED
        .iter()
        .map(|(module, _)| (*module).to_owned())
        .collect();
    assert_eq!(seen, listed, "every module has its place in the arrow");
}

#[test]
fn a_planted_violation_is_found() {
    for (module, text) in [
        ("domain", "use crate::store::Store;"),
        ("domain", "use crate::{domain::plan, store::Store};"),
        ("domain", "fn f() { tokio::spawn(async {}); }"),
        ("domain", "use aws_sdk_s3::Client;"),
        ("crd", "use crate::domain::plan;"),
        ("controller", "use crate::http::probes;"),
        ("http", "use crate::controller;"),
        ("store", "    let x = crate::ingest::engine();"),
        ("nowhere", "use crate::domain::plan;"),
    ] {
        assert_ne!(
            check(module, text),
            Vec::<String>::new(),
            "{module}: {text}"
        );
    }
    assert_eq!(
        check(
            "ingest",
            "use crate::{store::Store, domain::{plan, fetch}};"
        ),
        [""; 0]
    );
    assert_eq!(
        check("domain", "// crate::store is not known here"),
        [""; 0]
    );
}

fn check(module: &str, text: &str) -> Vec<String> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
        return vec![format!("module {module} has no place in the arrow")];
    };
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut violations: Vec<String> = imported(&code)
        .into_iter()
        // The program's version is of no module: it stands at the root, for all.
        .filter(|import| import != "VERSION" && !allowed.contains(&import.as_str()))
        .map(|import| format!("{module} must not import {import}"))
        .collect();
    if module == "domain" {
        for framework in FRAMEWORKS {
            if code.contains(&format!("{framework}::")) {
                violations.push(format!("domain must not know {framework}"));
            }
        }
        if code.contains("aws_") {
            violations.push("domain must not know AWS".to_owned());
        }
    }
    violations
}

/// The first segments of every path that begins with `crate::`, also within braces.
fn imported(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut segment = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.extend(first_segment(&segment));
                        segment.clear();
                        continue;
                    }
                    _ => {}
                }
                if depth == 0 {
                    segment.push(c);
                }
            }
            found.extend(first_segment(&segment));
        } else {
            found.extend(first_segment(rest));
        }
    }
    found
}

fn first_segment(path: &str) -> Option<String> {
    let segment: String = path
        .trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    // `crate::FOO!` and `crate::Foo` of the root: there are none.
    (!segment.is_empty()).then_some(segment)
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// The name right below `src`.
fn module_of(path: &Path) -> String {
    let below = path
        .strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
        .unwrap();
    let first = below
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}
