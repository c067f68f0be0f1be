//! Pages whose commands are run as they stand there, in their order, by bash with the real kubectl and
//! helm, on a cluster that has nothing before. Words in capitals, which a reader replaces, are replaced.
//!
//! What asks a kubelet is done on this machine: the Pods of the release run as [`crate::pods`] runs
//! them, a command that a page has run in a Pod by `kubectl exec` runs in its place in that one's root,
//! and what the API server shows of a Pod says so. A page's `kubectl port-forward` is not run: what it
//! leads to is asked at its port on this machine.

mod backup;
mod getting_started;
mod node;
mod operating;
mod person;
mod runbooks;

use std::path::{Path, PathBuf};

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn page(name: &str) -> String {
    std::fs::read_to_string(checkout("docs").join(name)).unwrap()
}

/// The indented blocks of a page, each a command or more, without their indentation.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let (mut is_open, mut is_fenced) = (false, false);
    for line in page.lines() {
        is_fenced ^= line.starts_with("```");
        if is_fenced {
            continue;
        }
        match line.strip_prefix("    ") {
            Some(code) if is_open => {
                let block = blocks.last_mut().unwrap();
                block.push('\n');
                block.push_str(code);
            }
            Some(code) => blocks.push(code.to_owned()),
            None => {}
        }
        is_open = line.starts_with("    ");
    }
    blocks
}

/// The commands of a block: of one line, of several that `\` joins, or up to the end of what `<<` reads.
fn commands(block: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut lines = block.lines();
    while let Some(line) = lines.next() {
        let mut command = line.to_owned();
        while command.ends_with('\\') {
            command.push('\n');
            command.push_str(lines.next().expect("a line after \\"));
        }
        if let Some((_, word)) = command.split_once("<<'") {
            let end = word.split('\'').next().unwrap().to_owned();
            loop {
                let line = lines.next().expect("the end of what is read");
                command.push('\n');
                command.push_str(line);
                if line == end {
                    break;
                }
            }
        }
        commands.push(command);
    }
    commands
}

#[test]
fn commands_are_taken_whole() {
    let page = "Say:\n\n    a --b \\\n      --c\n    d <<'EOF'\n    x: 1\n    EOF\n    e\n\nand\n\n    f\n\n\
                ```yaml\na:\n    b: 1\n```\n";
    let found: Vec<_> = blocks(page)
        .iter()
        .flat_map(|block| commands(block))
        .collect();
    assert_eq!(found, ["a --b \\\n  --c", "d <<'EOF'\nx: 1\nEOF", "e", "f"]);
}
