//! What krew installs the plugin from: the archives and the manifest that `release/krew` makes.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
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
