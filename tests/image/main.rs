//! What `release/build` makes: a static program that needs nothing beside it, the image that holds
//! nothing else, and what both are made of. The first test to ask builds it.

#[allow(dead_code, reason = "the chart's tests ask it for more")]
#[path = "../chart/applied.rs"]
mod applied;
#[allow(dead_code, reason = "the cluster's tests ask it for more")]
#[path = "../cluster/buckets.rs"]
mod buckets;
#[allow(dead_code, reason = "the chart's tests ask it for more")]
#[path = "../chart/helm.rs"]
mod helm;
mod in_pod;
#[allow(dead_code, reason = "the chart's tests ask it for more")]
#[path = "../chart/pods.rs"]
mod pods;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use insta::assert_snapshot;
use serde_json::Value;

const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);
const MIB: u64 = 1 << 20;

/// May be passed on in a program under Apache-2.0; each asks for no more than its text beside it.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

struct Release {
    folder: PathBuf,
    architecture: &'static str,
}

static RELEASE: LazyLock<Release> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
    fs::remove_dir_all(&folder).ok();
    let tools = std::env::var("SUMSQ_TEST_RELEASE_TOOLS");
    let tools = tools.expect("tests/testbed/install says what to source");
    let path = std::env::var("PATH").unwrap_or_default();
    done(
        Command::new("release/build")
            .arg(&folder)
            .env("PATH", format!("{tools}:{path}"))
            // Cargo tells tests what their own build was told.
            .env_remove("SUMSQ_COMMIT")
            // As in a container's job: the files are another user's.
            .env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    );
    let architecture = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    Release {
        folder,
        architecture,
    }
});

impl Release {
    fn program(&self) -> PathBuf {
        self.folder.join(self.architecture).join("sumsq")
    }

    fn archive(&self, suffix: &str) -> PathBuf {
        let version = env!("CARGO_PKG_VERSION");
        let name = format!("sumsq-{version}-linux-{}.{suffix}", self.architecture);
        self.folder.join(name)
    }
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn text_of(command: &mut Command) -> String {
    String::from_utf8(done(command).stdout).unwrap()
}

fn unpack(archive: &Path, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    done(
        Command::new("tar")
            .args(["--extract", "--no-same-owner", "--file"])
            .arg(archive)
            .arg("--directory")
            .arg(folder),
    );
}

#[test]
fn the_program_is_one_file_that_loads_no_other() {
    let program = RELEASE.program();
    let size = fs::metadata(&program).unwrap().len();
    assert!(size < 40_000_000, "{size} bytes");
    let headers = text_of(
        Command::new("readelf")
            .arg("--program-headers")
            .arg(&program),
    );
    assert!(headers.contains("LOAD"), "{headers}");
    assert!(!headers.contains("INTERP"), "{headers}");
    let needed = text_of(Command::new("readelf").arg("--dynamic").arg(&program));
    assert!(!needed.contains("NEEDED"), "{needed}");
}

#[test]
fn the_archive_holds_the_program_under_both_names_and_what_it_is_made_of() {
    let listing = text_of(
        Command::new("tar")
            .args(["--list", "--file"])
            .arg(RELEASE.archive("tar.gz")),
    );
    let name = format!(
        "sumsq-{}-linux-{}",
        env!("CARGO_PKG_VERSION"),
        RELEASE.architecture
    );
    let listing = listing.replace(&name, "sumsq-VERSION-linux-ARCH");
    assert_snapshot!(listing.trim_end(), @r"
    sumsq-VERSION-linux-ARCH/
    sumsq-VERSION-linux-ARCH/LICENSE
    sumsq-VERSION-linux-ARCH/README.md
    sumsq-VERSION-linux-ARCH/THIRD-PARTY.yaml
    sumsq-VERSION-linux-ARCH/kubectl-sumsq
    sumsq-VERSION-linux-ARCH/sbom.cdx.json
    sumsq-VERSION-linux-ARCH/sumsq
    ");
}

#[test]
fn every_crate_has_a_licence_that_lets_it_be_passed_on() {
    let folder = RELEASE.folder.join(RELEASE.architecture);
    let bill: Value =
        serde_json::from_slice(&fs::read(folder.join("sbom.cdx.json")).unwrap()).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["name"], "sumsq");
    let components = bill["components"].as_array().unwrap();
    assert!(components.len() > 300, "{}", components.len());
    let mut refused = BTreeSet::new();
    for component in components {
        let name = component["name"].as_str().unwrap();
        let licence = component["licenses"][0]["expression"].as_str();
        let expression = licence
            .map(|licence| spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX).unwrap());
        let allowed = expression.as_ref().is_some_and(|expression| {
            expression.evaluate(|asked| {
                let id = asked.license.id().map_or("", |id| id.name);
                LICENCES.contains(&id)
            })
        });
        if !allowed {
            refused.insert((name, licence));
        }
    }
    assert_eq!(refused, BTreeSet::new());

    let texts = fs::read_to_string(folder.join("THIRD-PARTY.yaml")).unwrap();
    for component in components {
        let name = component["name"].as_str().unwrap();
        assert!(
            texts.contains(&format!("package_name: {name}\n")),
            "{name} has no licence text"
        );
    }
}

/// The release's image with another architecture written on it, as an archive in `dist`. Nobody runs it.
fn for_another_architecture(dist: &Path) -> &'static str {
    let other = ["arm64", "amd64"][usize::from(RELEASE.architecture == "arm64")];
    let layout = dist.join("layout");
    unpack(&RELEASE.archive("oci.tar"), &layout);
    let blobs = layout.join("blobs/sha256");
    let mut path = layout.join("index.json");
    let mut text = fs::read_to_string(&path).unwrap();
    // index -> manifest -> config, and back with the digests that change with it.
    let mut chain = Vec::new();
    for next in [Some("/manifests/0/digest"), Some("/config/digest"), None] {
        let document: Value = serde_json::from_str(&text).unwrap();
        chain.push((path.clone(), text.clone()));
        if let Some(pointer) = next {
            let digest = document.pointer(pointer).unwrap().as_str().unwrap();
            path = blobs.join(digest.strip_prefix("sha256:").unwrap());
            text = fs::read_to_string(&path).unwrap();
        }
    }
    let own = RELEASE.architecture;
    let mut change = (
        format!("\"architecture\":\"{own}\""),
        format!("\"architecture\":\"{other}\""),
    );
    for (path, text) in chain.into_iter().rev() {
        assert!(text.contains(&change.0), "{text}");
        let changed = text.replace(&change.0, &change.1);
        fs::write(&path, changed).unwrap();
        if path.starts_with(&blobs) {
            let sum = text_of(Command::new("sha256sum").arg(&path));
            let sum = sum.split(' ').next().unwrap().to_owned();
            let before = path.file_name().unwrap().to_str().unwrap().to_owned();
            fs::rename(&path, blobs.join(&sum)).unwrap();
            change = (before, sum);
        }
    }
    let name = format!("sumsq-{}-linux-{other}.oci.tar", env!("CARGO_PKG_VERSION"));
    done(
        Command::new("tar")
            .args(["--create", "--file"])
            .arg(dist.join(name))
            .arg("--directory")
            .arg(&layout)
            .args(["blobs", "index.json", "oci-layout"]),
    );
    other
}

#[test]
fn images_of_several_architectures_are_published_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    fs::create_dir(&dist).unwrap();
    let own = RELEASE.archive("oci.tar");
    fs::copy(&own, dist.join(own.file_name().unwrap())).unwrap();
    let other = for_another_architecture(&dist);
    let to = format!("oci:{}", folder.path().join("layout").display());
    let publish = |version: &str| {
        Command::new("release/publish-image")
            .arg(&dist)
            .args([&to, version])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap()
    };
    let published = publish(env!("CARGO_PKG_VERSION"));
    let digest = String::from_utf8(published.stdout).unwrap();
    let digest = digest.trim().strip_prefix("digest=sha256:").unwrap();
    let blob = folder.path().join("layout/blobs/sha256").join(digest);
    let index: Value = serde_json::from_slice(&fs::read(blob).unwrap()).unwrap();
    let listed = index["manifests"].as_array().unwrap();
    let platforms: BTreeSet<_> = listed
        .iter()
        .map(|manifest| {
            let platform = &manifest["platform"];
            assert_eq!(platform["os"], "linux");
            platform["architecture"].as_str().unwrap()
        })
        .collect();
    assert_eq!(platforms, BTreeSet::from([RELEASE.architecture, other]));
    // Each leads to an image of that architecture.
    for manifest in listed {
        let blob = |digest: &Value| -> Value {
            let hash = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
            let blob = folder.path().join("layout/blobs/sha256").join(hash);
            serde_json::from_slice(&fs::read(blob).unwrap()).unwrap()
        };
        let image = blob(&manifest["digest"]);
        let config = blob(&image["config"]["digest"]);
        assert_eq!(config["architecture"], manifest["platform"]["architecture"]);
    }

    let none = publish("9.9.9");
    let said = String::from_utf8(none.stderr).unwrap();
    assert!(said.contains("has no image of 9.9.9"), "{said}");
}

#[test]
fn a_version_is_released_where_everything_names_it() {
    let version = Command::new("release/version")
        .arg("9.9.9")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(!version.status.success());
    assert_snapshot!(String::from_utf8(version.stderr).unwrap().trim_end(), @r#"
    release/version: Cargo.toml has no line: version = "9.9.9"
    release/version: charts/sumsq/Chart.yaml has no line: version: 9.9.9
    release/version: charts/sumsq/Chart.yaml has no line: appVersion: 9.9.9
    release/version: CHANGELOG.md has no heading: ## 9.9.9 - YYYY-MM-DD
    "#);
}

#[test]
fn the_image_holds_nothing_else_and_runs_as_nobody() {
    let folder = tempfile::tempdir().unwrap();
    unpack(&RELEASE.archive("oci.tar"), folder.path());
    let blob = |digest: &Value| {
        let (kind, hash) = digest.as_str().unwrap().split_once(':').unwrap();
        folder.path().join("blobs").join(kind).join(hash)
    };
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let index = read(&folder.path().join("index.json"));
    let manifest = read(&blob(&index["manifests"][0]["digest"]));
    let config = read(&blob(&manifest["config"]["digest"]));

    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(config["architecture"], RELEASE.architecture);
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"][0], "/sumsq");
    let label =
        |name: &str| &config["config"]["Labels"][format!("org.opencontainers.image.{name}")];
    assert_eq!(label("version"), version);
    let commit = text_of(
        Command::new("git")
            .args(["rev-parse", "HEAD"])
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    );
    assert_eq!(label("revision"), commit.trim());
    // What `kind load image-archive`, podman and skopeo name it by, and what a Pod with the chart's
    // default image asks for.
    let named = &index["manifests"][0]["annotations"];
    let name = format!("docker.io/library/sumsq:{version}");
    assert_eq!(named["org.opencontainers.image.ref.name"], name);
    assert_eq!(named["io.containerd.image.name"], name);
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);

    let root = folder.path().join("root");
    let mut files = BTreeSet::new();
    let mut compressed = 0;
    for layer in manifest["layers"].as_array().unwrap() {
        let layer = blob(&layer["digest"]);
        compressed += fs::metadata(&layer).unwrap().len();
        let listing = text_of(Command::new("tar").args(["--list", "--file"]).arg(&layer));
        files.extend(listing.lines().map(str::to_owned));
        unpack(&layer, &root);
    }
    let files: Vec<_> = files.into_iter().collect();
    assert_snapshot!(files.join("\n"), @r"
    licenses/
    licenses/THIRD-PARTY.yaml
    licenses/sbom.cdx.json
    sumsq
    ");
    assert!(compressed < 20 * MIB, "{compressed} bytes to pull");

    // And there it does the whole job.
    let (authority, authority_key) = support::postgres::authority();
    let others = another_authority();
    let issuer = rcgen::Issuer::new(rcgen::CertificateParams::default(), authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let hosts = ["reports.internal".to_owned()];
    let certificate = rcgen::CertificateParams::new(hosts).unwrap();
    let certificate = certificate.signed_by(&key, &issuer).unwrap();
    let mut run = Command::new("tests/image/in_empty_root");
    run.arg(&root).current_dir(env!("CARGO_MANIFEST_DIR"));
    for (variable, pem) in [
        ("CERTIFICATE", certificate.pem()),
        ("KEY", key.serialize_pem()),
        ("AUTHORITY", authority.pem()),
        ("OTHERS", others.pem()),
    ] {
        let path = folder.path().join(format!("{variable}.pem"));
        fs::write(&path, pem).unwrap();
        run.env(variable, path);
    }
    let said = text_of(&mut run);
    assert_snapshot!(
        said.trim()
            .lines()
            .map(redacted)
            .collect::<Vec<_>>()
            .join("\n")
    );
}

/// One that has signed nothing here, and is called otherwise.
fn another_authority() -> rcgen::Certificate {
    let mut parameters = rcgen::CertificateParams::default();
    let name = rcgen::DnType::CommonName;
    parameters.distinguished_name.push(name, "another");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    parameters.self_signed(&key).unwrap()
}

/// Without what differs from run to run.
fn redacted(line: &str) -> String {
    let version = format!("sumsq {} (", env!("CARGO_PKG_VERSION"));
    if let Some(commit) = line.strip_prefix(&version) {
        let commit = commit.trim_end_matches(')').trim_end_matches(", changed");
        assert!(
            commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()),
            "{line}"
        );
        return "sumsq VERSION (COMMIT)".to_owned();
    }
    if let Some((_, logged)) = line.split_once("Z ERROR ") {
        return format!("TIME ERROR {logged}");
    }
    for (before, instead) in [("imported in ", "N ms"), (" at path ", "...")] {
        if let Some((start, _)) = line.split_once(before) {
            return format!("{start}{before}{instead}");
        }
    }
    line.to_owned()
}
