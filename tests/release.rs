//! What is done with what `release/build` has made, and the workflow that does it: the chart as it is
//! published, what krew installs the plugin from. `tests/image` looks at the program and its image.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn run(program: &str, args: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// An archive as `release/build` makes it, with the symbolic link that krew refuses.
fn release(dist: &Path, arch: &str) {
    let name = format!("sumsq-{}-linux-{arch}", env!("CARGO_PKG_VERSION"));
    let folder = dist.join(&name);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("sumsq"), format!("#!/bin/sh\necho {arch}\n")).unwrap();
    std::fs::set_permissions(folder.join("sumsq"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(folder.join("LICENSE"), "Apache-2.0\n").unwrap();
    symlink("sumsq", folder.join("kubectl-sumsq")).unwrap();
    let archive = format!("{name}.tar.gz");
    run(
        "tar",
        &["--create", "--gzip", "--file", &archive, &name],
        dist,
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_manifest_names_archives_that_krew_can_unpack() {
    let dist = tempfile::tempdir().unwrap();
    for arch in ["amd64", "arm64"] {
        release(dist.path(), arch);
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/release/krew");
    let repository = "https://example.com/sumsq/";
    run(
        script,
        &[dist.path().to_str().unwrap(), repository],
        dist.path(),
    );

    let manifest = std::fs::read_to_string(dist.path().join("sumsq.yaml")).unwrap();
    assert!(!manifest.contains('@'), "{manifest}");
    let manifest: Value = serde_yaml::from_str(&manifest).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(manifest["metadata"]["name"], "sumsq");
    assert_eq!(manifest["spec"]["version"], format!("v{version}"));
    assert_eq!(manifest["spec"]["homepage"], "https://example.com/sumsq");
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), 2);
    for (platform, arch) in platforms.iter().zip(["amd64", "arm64"]) {
        assert_eq!(
            platform["selector"]["matchLabels"],
            json!({"os": "linux", "arch": arch})
        );
        let archive = format!("sumsq-{version}-linux-{arch}.krew.tar.gz");
        assert_eq!(
            platform["uri"],
            format!("https://example.com/sumsq/releases/download/v{version}/{archive}")
        );
        let sum = run("sha256sum", &[&archive], dist.path());
        assert_eq!(platform["sha256"], sum.split(' ').next().unwrap());
        // krew knows folders and files, and nothing else.
        let listed = run(
            "tar",
            &["--list", "--verbose", "--file", &archive],
            dist.path(),
        );
        let kinds: Vec<_> = listed.lines().map(|line| line.get(..1)).collect();
        assert_eq!(kinds, [Some("-"), Some("-")], "{listed}");
        let bin = platform["bin"].as_str().unwrap();
        run("tar", &["--extract", "--file", &archive], dist.path());
        assert_eq!(
            run(&format!("./{bin}"), &[], dist.path()),
            format!("{arch}\n")
        );
    }
}

fn tool(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    path.expect("tests/run, or tests/testbed/install and its env file")
        .into()
}

/// With helm where scripts look for it.
fn path_with_helm() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", tool("SUMSQ_TEST_KUBE_BIN").display())
}

#[test]
fn the_published_chart_runs_the_published_image() {
    let dist = tempfile::tempdir().unwrap();
    let packaged = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/release/chart"))
        .arg(dist.path())
        .args([
            "ghcr.io/Our-Org/sumsq",
            "https://example.com/our-org/sumsq/",
        ])
        .env("PATH", path_with_helm())
        .output()
        .unwrap();
    assert!(packaged.status.success(), "{packaged:?}");
    let version = env!("CARGO_PKG_VERSION");
    let archive = dist.path().join(format!("sumsq-{version}.tgz"));
    let helm = tool("SUMSQ_TEST_KUBE_BIN").join("helm");
    let helm = |args: &[&str]| run(helm.to_str().unwrap(), args, dist.path());
    let archive = archive.to_str().unwrap();

    // As somebody installs it who sets nothing. A registry takes no capitals.
    let alerts = "metrics.prometheusRule.enabled=true";
    let rendered = helm(&[
        "template",
        "sumsq",
        archive,
        "--kube-version=1.36.2",
        "--set",
        alerts,
    ]);
    let image = format!("image: \"ghcr.io/our-org/sumsq:{version}\"");
    assert_eq!(rendered.matches("image: ").count(), 2, "{rendered}");
    assert_eq!(rendered.matches(&image).count(), 2, "{rendered}");
    let runbook = format!(
        "runbook_url: https://example.com/our-org/sumsq/blob/v{version}/docs/runbooks/SumsqNoLeader.md"
    );
    assert!(rendered.contains(&runbook), "{rendered}");
    let about: Value = serde_yaml::from_str(&helm(&["show", "chart", archive])).unwrap();
    assert_eq!(about["home"], "https://example.com/our-org/sumsq");
    assert_eq!(
        about["sources"],
        json!(["https://example.com/our-org/sumsq"])
    );
    assert_eq!(about["appVersion"], version);
    assert!(!about["maintainers"][0]["name"].is_null());
    let readme = helm(&["show", "readme", archive]);
    assert!(readme.contains("| `image.repository` | `\"ghcr.io/our-org/sumsq\"` |"));
    // The CRDs that the catalogue shows are those that it holds.
    let listed: Value = serde_yaml::from_str(
        about["annotations"]["artifacthub.io/crds"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    let listed: Vec<_> = listed.as_array().unwrap().iter().collect();
    for crd in &listed {
        let (name, kind) = (crd["name"].as_str().unwrap(), crd["kind"].as_str().unwrap());
        assert!(rendered.contains(&format!("  name: {name}\n")), "{name}");
        assert!(rendered.contains(&format!("    kind: {kind}\n")), "{kind}");
    }
    let definitions = rendered
        .matches("\nkind: CustomResourceDefinition\n")
        .count();
    assert_eq!(listed.len(), definitions);
}

/// A time of 1970 in every archive, and an image that does not say of which commit it is, would be
/// found out late.
#[test]
fn without_a_commit_nothing_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir(folder.path().join("release")).unwrap();
    for name in ["release/build", "Cargo.toml"] {
        std::fs::copy(source.join(name), folder.path().join(name)).unwrap();
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let tools = tool("SUMSQ_TEST_RELEASE_TOOLS");
    let said = |variables: &[(&str, &str)]| {
        let output = Command::new(folder.path().join("release/build"))
            .env("PATH", format!("{}:{path}", tools.display()))
            .env("GIT_CEILING_DIRECTORIES", folder.path())
            .env_remove("SUMSQ_COMMIT")
            .env_remove("SOURCE_DATE_EPOCH")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        let last = said.lines().last().unwrap();
        last.to_owned()
    };
    assert_eq!(
        said(&[]),
        "release/build: git does not know the commit: set SUMSQ_COMMIT"
    );
    assert_eq!(
        said(&[("SUMSQ_COMMIT", "0123456789abcdef0123456789abcdef01234567")]),
        "release/build: git does not know the commit: set SOURCE_DATE_EPOCH"
    );
}

fn workflows() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let files = std::fs::read_dir(folder).unwrap();
    let mut found: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    found
}

#[test]
fn workflows_are_what_github_takes() {
    let checked = Command::new(tool("SUMSQ_TEST_ACTIONLINT"))
        .args(["-no-color", "-shellcheck=", "-pyflakes="])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success() && said.is_empty(), "{said}");
    assert_eq!(workflows().len(), 3);
}

/// A tag can be moved to other code by whoever owns an action, and a commit cannot.
#[test]
fn actions_are_named_by_their_commit_and_scripts_are_there() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut scripts = 0;
    for (name, text) in workflows() {
        for line in text.lines() {
            if let Some((_, action)) = line.split_once("uses: ") {
                let (action, version) = action.split_once(" # ").unwrap_or((action, ""));
                if let Some(local) = action.strip_prefix("./") {
                    assert!(source.join(local).exists(), "{name}: {line}");
                    continue;
                }
                let (_, commit) = action.split_once('@').unwrap();
                let is_commit =
                    commit.len() == 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit());
                assert!(is_commit && version.starts_with('v'), "{name}: {line}");
            }
            for word in line
                .split([' ', '('])
                .filter(|word| word.starts_with("release/"))
            {
                assert!(source.join(word).is_file(), "{name}: {line}");
                scripts += 1;
            }
        }
    }
    assert_eq!(scripts, 5);
}
