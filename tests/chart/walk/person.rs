//! Somebody in front of a page, with a shell.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::checkout;
use crate::support::kubernetes::{Cluster, Output};
use crate::support::process::{temporary_folder, testbed_path};

/// kubectl, but for the verbs that ask a kubelet: `exec` runs the program that stands for the container
/// in `$PLACE`, `logs` shows its log's end.
const KUBECTL: &str = r#"#!/usr/bin/env bash
set -euo pipefail
arguments=("$@") verb=${1:-} container=
[ "$verb" != -n ] || verb=${3:-}
case $verb in
exec | logs)
    shift 3
    while [ $# -gt 0 ]; do
        case $1 in
        -c) container=$2; shift ;;
        --) shift; break ;;
        -*) ;;
        *) target=${1##*/} ;;
        esac
        shift
    done
    case $verb in
    exec) exec "$PLACE/$target.$container" "$@" ;;
    logs) exec tail -n 50 "$PLACE/$target.$container.log" ;;
    esac ;;
port-forward) echo "there is no kubelet: $*" >&2; exit 97 ;;
*) exec "$KUBECTL" "${arguments[@]}" ;;
esac
"#;

pub struct Person<'c> {
    cluster: &'c Cluster,
    /// Home, where the person is, and programs.
    pub folder: PathBuf,
    /// What a page says, and what the person writes.
    replacements: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl<'c> Person<'c> {
    pub fn new(cluster: &'c Cluster) -> Self {
        let folder = temporary_folder("person");
        for name in ["home", "checkout/dist/amd64", "programs", "place"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        for name in ["charts", "docs", "examples"] {
            symlink(checkout(name), folder.join("checkout").join(name)).unwrap();
        }
        // What `release/build` makes; tests/image looks at that.
        let built = folder.join("checkout/dist/amd64/sumsq");
        symlink(env!("CARGO_BIN_EXE_sumsq"), built).unwrap();
        let person = Self {
            cluster,
            folder,
            replacements: Vec::new(),
            environment: Vec::new(),
        };
        person.program("programs/kubectl", KUBECTL);
        person
    }

    /// With the command line and the plugin, as docs/getting-started.md installs them.
    pub fn with_programs(self) -> Self {
        for name in ["sumsq", "kubectl-sumsq"] {
            let program = self.folder.join("programs").join(name);
            symlink(env!("CARGO_BIN_EXE_sumsq"), program).unwrap();
        }
        self
    }

    /// Writes this from now on where a page says that.
    pub fn replaces(&mut self, said: &str, written: &str) {
        let pair = (said.to_owned(), written.to_owned());
        self.replacements.push(pair);
    }

    pub fn exports(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// A program of the person's folder.
    pub fn program(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn written(&self, command: &str) -> String {
        let pairs = self.replacements.iter();
        pairs.fold(command.to_owned(), |command, (said, written)| {
            command.replace(said, written)
        })
    }

    /// Runs it as the person writes it, in the checkout; panics with what it says where it fails.
    pub async fn runs(&self, command: &str) -> String {
        let output = self.tries(command).await;
        assert!(
            output.status.success(),
            "{}\n{}\n{}{}",
            self.written(command),
            output.status,
            output.stdout,
            output.stderr
        );
        output.stdout
    }

    pub async fn tries(&self, command: &str) -> Output {
        let kubernetes = testbed_path("SUMSQ_TEST_KUBE_BIN");
        let path = [
            &self.folder.join("programs"),
            &self.folder.join("home/.local/bin"),
            &kubernetes,
            Path::new("/usr/bin"),
            Path::new("/bin"),
            Path::new("/usr/sbin"),
        ];
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &self.written(command)])
            .current_dir(self.folder.join("checkout"))
            .env_clear()
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("HOME", self.folder.join("home"))
            .env("PLACE", self.folder.join("place"))
            .env("KUBECTL", kubernetes.join("kubectl"))
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("KUBECACHEDIR", self.folder.join("cache"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        Output {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Drop for Person<'_> {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}
