//! Which commit this is, for `sumsq --version`.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=SUMSQ_COMMIT");
    // A commit would else compile everything anew, also while somebody works on it.
    let released = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = env::var("SUMSQ_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty())
        .or_else(|| if released { checked_out() } else { None })
        .unwrap_or_else(|| {
            if released {
                "unknown commit"
            } else {
                "debug build"
            }
            .to_owned()
        });
    println!("cargo::rustc-env=SUMSQ_COMMIT={commit}");
}

/// The commit that git has checked out, with a mark where files differ from it. None: no checkout,
/// or no git.
fn checked_out() -> Option<String> {
    for file in ["HEAD", "index", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-changed=src");
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let clean = git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if clean {
        commit
    } else {
        format!("{commit}, changed")
    })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
