//! `publish.sh`: what is checked is what is uploaded, and what is refused is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::SUMSQ;
use super::engines::example;

const HEADER: &str = "Date,Agent,Variation,Sels,purchase,purchase_sumsq";
const GOOD: &str = "1767571200,checkout-button,A,10,4,4\n1767571200,checkout-button,B,10,3,3";
const BAD: &str = "2026-01-05,checkout-button,A,10,4,4";

/// A folder in the place of S3, and a command that copies as `aws s3 cp` does.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let aws = folder.path().join("aws");
        let script = "#!/bin/sh\n[ \"$1 $2\" = 's3 cp' ] || exit 2\n\
            while [ $# -gt 2 ]; do shift; done\n\
            cd \"$S3\" && cp \"$(echo \"$1\" | sed 's,^s3://,,')\" \"$(echo \"$2\" | sed 's,^s3://,,')\"\n";
        fs::write(&aws, script).unwrap();
        fs::set_permissions(&aws, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("counts")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn publish(&self, made: &str) -> Output {
        Command::new(example("publish.sh"))
            .args([made, "s3://counts/counts.csv"])
            .arg(example("shop-conversions.yaml"))
            .env("S3", self.folder.path())
            .env("AWS", self.path("aws"))
            .env("SUMSQ", SUMSQ)
            .env("TMPDIR", self.folder.path())
            .output()
            .unwrap()
    }

    fn published(&self) -> Option<String> {
        fs::read_to_string(self.path("counts/counts.csv")).ok()
    }
}

#[test]
fn what_is_refused_is_not_uploaded() {
    let world = World::new();
    let (file, staged) = (world.path("made.csv"), world.path("counts/staged.csv"));
    for made in [file.to_str().unwrap(), "s3://counts/staged.csv"] {
        for (rows, code) in [(BAD, 1), (GOOD, 0), (BAD, 1)] {
            let text = format!("{HEADER}\n{rows}\n");
            let before = world.published();
            for path in [&file, &staged] {
                fs::write(path, &text).unwrap();
            }
            let output = world.publish(made);
            assert_eq!(output.status.code(), Some(code), "{output:?}");
            let after = if code == 0 { Some(text) } else { before };
            assert_eq!(world.published(), after);
        }
    }
    // Nothing is left behind.
    let left = fs::read_dir(world.folder.path()).unwrap().count();
    assert_eq!(left, 3, "aws, counts and made.csv");
}

#[test]
fn without_arguments_it_says_what_it_takes() {
    let output = Command::new(example("publish.sh")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("publish.sh FILE|s3://BUCKET/STAGED s3://BUCKET/KEY DATA-SOURCE.yaml"));
}
