//! `kubectl sumsq` through the real kubectl, on the real API server, with the real operator.

mod completion;
mod fetch;
mod kubelet;
mod refusals;
mod report;
mod told;

use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::operator::PATIENCE;
use crate::support::kubernetes::{Cluster, Namespace, Output};
use crate::support::process::{temporary_folder, testbed_path, wait_for};

/// A person with kubectl, the plugin on PATH, and a kubeconfig.
pub struct Person {
    folder: PathBuf,
    path: OsString,
    kubeconfig: PathBuf,
    /// `-n` of every command.
    namespace: String,
}

impl Person {
    /// The cluster's administrator.
    pub fn new(cluster: &Cluster, namespace: &Namespace) -> Self {
        Self::with(cluster.kubeconfig(), namespace.name())
    }

    fn with(kubeconfig: &Path, namespace: &str) -> Self {
        let folder = temporary_folder("plugin");
        let binary = env!("CARGO_BIN_EXE_sumsq");
        for name in ["kubectl-sumsq", "kubectl_complete-sumsq"] {
            symlink(binary, folder.join(name)).unwrap();
        }
        let kubectl = testbed_path("SUMSQ_TEST_KUBE_BIN");
        let path = [&folder, &kubectl, Path::new("/usr/bin"), Path::new("/bin")];
        Self {
            path: std::env::join_paths(path).unwrap(),
            folder,
            kubeconfig: kubeconfig.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    /// `kubectl sumsq ARGS -n NAMESPACE`.
    pub async fn sumsq(&self, args: &[&str]) -> Output {
        let args = [&["sumsq"], args, &["-n", &self.namespace]].concat();
        self.kubectl(&args).await
    }

    async fn kubectl(&self, args: &[&str]) -> Output {
        self.run("kubectl", args).await
    }

    async fn run(&self, program: &str, args: &[&str]) -> Output {
        let output = self.command(program, args).output().await.unwrap();
        Output {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("env");
        command
            .arg(program)
            .args(args)
            .env("PATH", &self.path)
            .env("HOME", &self.folder)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", self.folder.join("cache"))
            .env("SUMSQ_OPERATOR_NAMESPACE", &self.namespace)
            .env_remove("SUMSQ_SERVER")
            .env_remove("SUMSQ_TOKEN")
            .env_remove("SUMSQ_TOKEN_FILE")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// What a command has printed, with its exit status, and with times left out.
    fn told(&self, output: &Output) -> String {
        let mut text = self.redacted(&output.stdout);
        if !output.stderr.is_empty() {
            _ = write!(text, "stderr: {}", self.redacted(&output.stderr));
        }
        _ = write!(text, "exit: {}", output.status.code().unwrap_or(-1));
        text
    }

    /// Times and the namespace's number differ from run to run; so do columns' widths with them.
    fn redacted(&self, text: &str) -> String {
        redacted(&text.replace(&self.namespace, "growth"))
    }

    /// Runs the command, and holds what it prints against docs/kubectl.md, where it stands behind
    /// the same command.
    async fn documented(&self, args: &str) -> Output {
        let words: Vec<&str> = args.split(' ').collect();
        let output = self.sumsq(&words).await;
        let command = format!("kubectl sumsq {args} -n growth");
        let documented = documented(&command);
        let said = format!("{}{}", output.stdout, output.stderr);
        assert_eq!(
            redacted(&documented).trim_end(),
            self.redacted(&said).trim_end(),
            "docs/kubectl.md has another answer to `{command}`; it is\n{}",
            said.replace(&self.namespace, "growth")
        );
        output
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

/// What docs/kubectl.md shows below this command.
fn documented(command: &str) -> String {
    let docs = include_str!("../../../docs/kubectl.md");
    let start = format!("```console\n$ {command}\n");
    let (_, rest) = docs
        .split_once(&start)
        .unwrap_or_else(|| panic!("docs/kubectl.md does not show `{command}`"));
    rest.split("```").next().unwrap().to_owned()
}

fn redacted(text: &str) -> String {
    let mut redacted = String::new();
    for line in text.lines() {
        let indentation = line.len() - line.trim_start().len();
        let cells = line
            .trim()
            .split("   ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty());
        let cells: Vec<String> = cells
            .map(|cell| {
                let words = cell.split(' ').map(redacted_word);
                words.collect::<Vec<_>>().join(" ")
            })
            .collect();
        let line = format!("{}{}", &line[..indentation], cells.join("   "));
        _ = writeln!(redacted, "{}", line.trim_end());
    }
    redacted
}

fn redacted_word(word: &str) -> String {
    let core = word.trim_matches(|letter: char| "(),.;:\"".contains(letter));
    let put = |what: &str| word.replacen(core, what, 1);
    if core.starts_with("http://127.0.0.1:") {
        return put("http://ENDPOINT");
    }
    if core.starts_with("https://127.0.0.1:") || core.starts_with("127.0.0.1:") {
        return put("SERVER");
    }
    if core.len() >= 20 && core.ends_with('Z') && core.as_bytes()[4] == b'-' {
        return put("TIME");
    }
    if core.len() == 36 && core.bytes().filter(|byte| *byte == b'-').count() == 4 {
        return put("ID");
    }
    if is_age(core) {
        return put("AGE");
    }
    word.to_owned()
}

/// `41s`, `2m5s`, `27ms`, `1.2s`.
fn is_age(word: &str) -> bool {
    let mut rest = word;
    while !rest.is_empty() {
        let digits =
            rest.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
        if digits.len() == rest.len() {
            return false;
        }
        let units = ["ms", "s", "m", "h", "d", "y"];
        let Some(after) = units.iter().find_map(|unit| digits.strip_prefix(unit)) else {
            return false;
        };
        rest = after;
    }
    !word.is_empty()
}

/// The API server learns of a RoleBinding a moment after it is there.
async fn may(cluster: &Cluster, namespace: &Namespace, account: &str, verb: &str, what: &str) {
    let user = format!("--as=system:serviceaccount:{namespace}:{account}");
    let args = ["-n", namespace.name(), "auth", "can-i", verb, what, &user];
    wait_for("the right", PATIENCE, async || {
        cluster.kubectl(&args).await.status.success().then_some(())
    })
    .await;
}

/// A day of Unix seconds, 2026-11-01.
const DAY_ONE: u64 = 1_793_491_200;

/// A file of two days with two experiments: `checkout`, whose visitors are shared out evenly, and
/// `banner`, which is meant to have equal shares and has not.
fn counts() -> String {
    let mut csv =
        String::from("Date,Agent,Variation,Sels,sales,sales_sumsq,sales_val,sales_val_sumsq\n");
    for day in [DAY_ONE, DAY_ONE + 86_400] {
        for (agent, of_a, of_b) in [("checkout", 1000, 1000), ("banner", 1000, 1400)] {
            for (variation, visitors) in [("A", of_a), ("B", of_b)] {
                let sales = visitors / 10;
                let (value, squares) = (sales * 10, sales * 100);
                _ = writeln!(
                    csv,
                    "{day},{agent},{variation},{visitors},{sales},{sales},{value},{squares}"
                );
            }
        }
    }
    csv
}

fn agent(name: &str, spec: Value) -> Value {
    let mut resource = json!({
        "apiVersion": "sumsq.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": name},
    });
    resource["spec"] = spec;
    resource
}

#[test]
fn what_differs_from_run_to_run_is_left_out() {
    for (text, expected) in [
        ("counts   Healthy   41s", "counts   Healthy   AGE\n"),
        ("  in 2m5s (2026-11-24T09:00:00Z).", "  in AGE (TIME).\n"),
        ("NAME     HEALTH", "NAME   HEALTH\n"),
        ("took 1.2s, 27ms", "took AGE, AGE\n"),
        (
            "1,400 visitors of A, 2026-11-01",
            "1,400 visitors of A, 2026-11-01\n",
        ),
    ] {
        assert_eq!(redacted(text), expected);
    }
}
