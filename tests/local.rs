//! `sumsq local` and `sumsq check` as a person runs them: the folder, the words, the exit status.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use sumsq::domain::report::view::{ConcernCode, TestingReport, Verdict};
use support::process::{ServerCommand, free_port, wait_for};
use tempfile::TempDir;

const SUMSQ: &str = env!("CARGO_BIN_EXE_sumsq");
const MANIFEST: &str = include_str!("../examples/document/counts.yaml");
const COUNTS: &str = include_str!("../examples/document/buckets/com.my-company.counts/counts.csv");

/// A folder with the document's example.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bucket = folder.path().join("buckets/com.my-company.counts");
    fs::create_dir_all(&bucket).unwrap();
    fs::write(bucket.join("counts.csv"), COUNTS).unwrap();
    fs::write(folder.path().join("counts.yaml"), MANIFEST).unwrap();
    folder
}

fn sumsq(args: &[&str]) -> Output {
    // Nothing of the machine's own AWS settings may bear on a folder.
    Command::new(SUMSQ)
        .args(args)
        .env_remove("AWS_PROFILE")
        .output()
        .unwrap()
}

fn once(folder: &Path, more: &[&str]) -> Output {
    sumsq(&[&["local", folder.to_str().unwrap(), "--once"], more].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn once_prints_what_was_imported() {
    let folder = folder();
    let output = once(folder.path(), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for expected in [
        "default/internal-conversions  imported in ",
        "1 agent, 2 rows, 2024-03-18 to 2024-03-18, 1 warning",
        "warning: line 3, column sales_val_sumsq: a sum of squares of 450.1504 is too small",
        "The numbers of a row can't be right: on 2024-03-18, for B, a sum of squares of 450.1504",
        "Sales  A                10            1       0.9990",
        "       B                 9            3        3.441",
    ] {
        assert!(shown.contains(expected), "no {expected:?} in\n{shown}");
    }
    let again = once(folder.path(), &[]);
    assert!(
        text(&again.stdout).contains("not modified"),
        "{}",
        text(&again.stdout)
    );
}

#[test]
fn programs_get_one_object() {
    let folder = folder();
    let output = once(folder.path(), &["--output", "json"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let source = &summary["dataSources"][0];
    assert_eq!(source["result"], "Imported");
    assert_eq!(source["error"], Value::Null);
    assert_eq!(
        (&source["agentCount"], &source["rows"]),
        (&1.into(), &2.into())
    );
    assert_eq!(
        (&source["firstDay"], &source["lastDay"]),
        (&"2024-03-18".into(), &"2024-03-18".into())
    );
    assert_eq!(source["warnings"].as_array().unwrap().len(), 1);
    assert!(source["durationSeconds"].is_f64());
    // A whole Testing Report, as the API gives it.
    let report = &summary["reports"][0];
    let arm = &report["arms"][1];
    assert_eq!(
        (&arm["variation"], &arm["visitors"]),
        (&"B".into(), &9.into())
    );
    assert_eq!(
        (&arm["conversions"], &arm["sum"]),
        (&3.into(), &30.97.into())
    );
    assert_eq!(
        (&report["goal"], &report["trustworthy"]),
        (&"sales".into(), &false.into())
    );
    assert_eq!(report["concerns"][0]["code"], "IntegrityProblem");
    serde_json::from_value::<TestingReport>(report.clone()).unwrap();
}

#[test]
fn the_quickstart_shows_one_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let exports = "buckets/shop-experiment-counts/exports";
    fs::create_dir_all(folder.path().join(exports)).unwrap();
    for file in [
        "shop-conversions.yaml",
        &format!("{exports}/shop-conversions.csv"),
    ] {
        fs::copy(quickstart.join(file), folder.path().join(file)).unwrap();
    }
    let output = once(folder.path(), &["--output", "json"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let reports: Vec<TestingReport> = serde_json::from_value(summary["reports"].clone()).unwrap();
    assert_eq!(reports.len(), 15, "three agents with five goals");
    let purchase = |agent: &str| {
        let of_agent = |report: &&TestingReport| report.agent == agent && report.goal == "purchase";
        reports.iter().find(of_agent).unwrap()
    };
    let verdicts = |report: &TestingReport| -> Vec<Verdict> {
        report
            .comparisons
            .iter()
            .map(|found| found.verdict)
            .collect()
    };
    let button = purchase("checkout-button");
    assert_eq!(
        (button.trustworthy, verdicts(button)),
        (true, vec![Verdict::Undecided])
    );
    let products = purchase("recommendations");
    assert_eq!(
        (products.trustworthy, verdicts(products)),
        (true, vec![Verdict::Undecided, Verdict::Better])
    );
    let banner = purchase("free-shipping-banner");
    let codes: Vec<_> = banner.concerns.iter().map(|concern| concern.code).collect();
    assert_eq!(codes, [ConcernCode::AllocationDrift]);
    // 28% more purchases over all days, and none day by day.
    assert!(banner.comparisons[0].relative_difference.unwrap() > 0.25);
    let by_day = &banner.post_stratified.as_ref().unwrap()[0];
    let [low, high] = by_day.interval.unwrap();
    assert!(low < 0.0 && high > 0.0 && high < 0.003, "{by_day:?}");

    let shown = text(&once(folder.path(), &[]).stdout);
    let about = |agent: &str| {
        shown
            .split("\n\n")
            .find(|part| part.starts_with(agent))
            .unwrap()
    };
    let banner = about("free-shipping-banner").to_lowercase();
    assert!(
        banner.contains("day by day, purchase per visitor is 0.012 points higher"),
        "{banner}"
    );
    for word in ["better", "worse", "undecided", "+28%"] {
        assert!(!banner.contains(word), "{word} in {banner}");
    }
    assert!(about("recommendations").contains("\nC is better than A: Purchase per visitor"));
    assert!(about("checkout-button").contains("the data can't yet tell that from chance"));
}

#[test]
fn what_is_wrong_is_told_and_the_exit_status_is_1() {
    type Edit = fn(&Path);
    let cases: [(Edit, &str); 6] = [
        (
            |folder| {
                let wrong = MANIFEST.replace("com.my-company.counts", "com.my-company.count");
                fs::write(folder.join("counts.yaml"), wrong).unwrap();
            },
            "/buckets/com.my-company.count\n",
        ),
        (
            |folder| {
                let wrong = MANIFEST.replace("key: counts.csv", "key: count.csv");
                fs::write(folder.join("counts.yaml"), wrong).unwrap();
            },
            "There is no \"count.csv\" in bucket com.my-company.counts: compare `key`",
        ),
        (
            |folder| {
                let wrong = MANIFEST.replace("bucket: ", "bucket: arn:aws:s3:::");
                fs::write(folder.join("counts.yaml"), wrong).unwrap();
            },
            "bucket takes a name, not an ARN: write com.my-company.counts",
        ),
        (
            |folder| {
                let wrong = COUNTS.replace("1710720000", "2024-03-18");
                let path = folder.join("buckets/com.my-company.counts/counts.csv");
                fs::write(path, wrong).unwrap();
            },
            "line 2, column Date: \"2024-03-18\" is not a date in Unix seconds",
        ),
        (
            |folder| fs::write(folder.join("counts.yaml"), "kind: DataSource\nspec: [").unwrap(),
            "counts.yaml",
        ),
        (
            |folder| fs::remove_file(folder.join("counts.yaml")).unwrap(),
            "no DataSource manifest",
        ),
    ];
    for (edit, expected) in cases {
        let folder = folder();
        edit(folder.path());
        let output = once(folder.path(), &[]);
        assert_eq!(output.status.code(), Some(1), "{expected}");
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert!(shown.contains(expected), "no {expected:?} in\n{shown}");
    }
}

#[tokio::test]
async fn edits_act_as_apply_would_within_two_seconds() {
    let folder = folder();
    let server = ServerCommand::new("local", SUMSQ)
        .args(["local", folder.path().to_str().unwrap(), "--listen"])
        .arg(format!("127.0.0.1:{}", free_port()))
        .start(folder.path());
    let log = || fs::read_to_string(server.log_path()).unwrap_or_default();
    let said = async |what: &str, deadline: Duration| {
        wait_for(what, deadline, async || log().contains(what).then_some(())).await;
    };
    said(
        "waiting for schedules and for edits",
        Duration::from_secs(30),
    )
    .await;
    assert!(log().contains("imported in"), "{}", log());

    // A second one would fetch everything twice.
    let second = once(folder.path(), &[]);
    assert_eq!(second.status.code(), Some(1));
    let refused = text(&second.stderr);
    assert!(
        refused.starts_with("error: another sumsq local is at work in "),
        "{refused}"
    );

    // An annotation asks for a fetch.
    let annotated = MANIFEST.replacen(
        "metadata:\n",
        "metadata:\n  annotations: {sumsq.dev/fetch-requested-at: now}\n",
        1,
    );
    fs::write(folder.path().join("counts.yaml"), &annotated).unwrap();
    said("not modified", Duration::from_secs(2)).await;

    // A change of the spec fetches anew.
    let other = annotated.replace("key: counts.csv", "key: other.csv");
    fs::write(folder.path().join("counts.yaml"), &other).unwrap();
    said("failed: NoSuchKey", Duration::from_secs(2)).await;

    // What would be refused leaves in force what was said before.
    fs::write(
        folder.path().join("counts.yaml"),
        other.replace("accountId", "acountId"),
    )
    .unwrap();
    said("acountId", Duration::from_secs(2)).await;
    fs::remove_file(folder.path().join("counts.yaml")).unwrap();
    said(
        "default/internal-conversions  deleted",
        Duration::from_secs(2),
    )
    .await;

    server.signal("INT");
    assert_eq!(server.ended(Duration::from_secs(10)).await.code(), Some(0));
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_ends_nothing() {
    let folder = folder();
    let server = ServerCommand::new("local", SUMSQ)
        .args(["local", folder.path().to_str().unwrap(), "--listen"])
        .arg(format!("127.0.0.1:{}", free_port()))
        .start(folder.path());
    let said = async |what: &str| {
        wait_for(what, Duration::from_secs(30), async || {
            let log = fs::read_to_string(server.log_path()).unwrap_or_default();
            log.contains(what).then_some(())
        })
        .await;
    };
    said("waiting for schedules and for edits").await;
    let path = folder.path().join(".sumsq/sumsq.db");
    let options = SqliteConnectOptions::new().filename(&path);
    let mut store = options.connect().await.unwrap();
    sqlx::query(
        "CREATE TRIGGER refused BEFORE UPDATE ON data_source \
         BEGIN SELECT RAISE(ABORT, 'refused'); END",
    )
    .execute(&mut store)
    .await
    .unwrap();
    let other = MANIFEST.replace("key: counts.csv", "key: other.csv");
    fs::write(folder.path().join("counts.yaml"), other).unwrap();
    said("it is tried again in 5 s").await;
    sqlx::query("DROP TRIGGER refused")
        .execute(&mut store)
        .await
        .unwrap();
    store.close().await.unwrap();
    said("failed: NoSuchKey").await;

    // One that was replaced stays so.
    fs::rename(&path, path.with_extension("gone")).unwrap();
    fs::write(folder.path().join("counts.yaml"), MANIFEST).unwrap();
    said("was removed or replaced while in use").await;
    assert_eq!(server.ended(Duration::from_secs(20)).await.code(), Some(1));
}

#[tokio::test]
async fn agents_act_as_in_a_cluster() {
    let folder = folder();
    let agents = |text: &str| fs::write(folder.path().join("agents.yaml"), text).unwrap();
    // The document writes its code with a non-breaking hyphen.
    let manifest = "\
apiVersion: sumsq.dev/v1alpha1
kind: Agent
metadata: {name: checkout}
spec: {code: agent\u{2011}1, baseline: A}
";
    agents(manifest);
    let server = ServerCommand::new("local", SUMSQ)
        .args(["local", folder.path().to_str().unwrap(), "--listen"])
        .arg(format!("127.0.0.1:{}", free_port()))
        .start(folder.path());
    let log = || fs::read_to_string(server.log_path()).unwrap_or_default();
    let said = async |what: &str, times: usize, deadline: Duration| {
        let description = format!("{what:?} {times} times");
        wait_for(&description, deadline, async || {
            (log().matches(what).count() == times).then_some(())
        })
        .await;
    };
    let at_once = Duration::from_secs(2);
    // Its number for B is no sum of squares.
    let distrusted = "agent default/checkout  not trustworthy: IntegrityProblem: ";
    said(distrusted, 1, Duration::from_secs(30)).await;
    said("waiting for schedules and for edits", 1, at_once).await;

    let header = COUNTS.lines().next().unwrap();
    let rows = ["A", "B"].map(|arm| format!("1710720000,agent\u{2011}1,{arm},900,90,90,90,90"));
    let mended = format!("{header}\n{}\n", rows.join("\n"));
    let counts = "buckets/com.my-company.counts/counts.csv";
    fs::write(folder.path().join(counts), mended).unwrap();
    let annotated = MANIFEST.replacen(
        "metadata:\n",
        "metadata:\n  annotations: {sumsq.dev/fetch-requested-at: now}\n",
        1,
    );
    fs::write(folder.path().join("counts.yaml"), annotated).unwrap();
    let trusted = "agent default/checkout  trustworthy: No alarm in the reports of ";
    said(trusted, 1, at_once).await;

    // Shares that the data do not have.
    let skewed = manifest.replace(
        "baseline: A",
        "baseline: A, variations: [{code: A}, {code: B, weight: 2}]",
    );
    agents(&skewed);
    let distrusted = "agent default/checkout  not trustworthy: SampleRatioMismatch: ";
    said(distrusted, 1, at_once).await;

    // What would be refused leaves in force what was said before.
    agents(&skewed.replace("baseline: A", "baseline: C"));
    said(
        "baseline takes the code of one of the variations: C is none of them",
        1,
        at_once,
    )
    .await;
    agents(&format!(
        "{manifest}---\n{}",
        manifest.replace("checkout", "twin")
    ));
    said(trusted, 2, at_once).await;
    said(
        "agent default/twin  DuplicateCode: Agent checkout has the code agent\u{2011}1 too",
        1,
        at_once,
    )
    .await;
    agents(&manifest.replace("checkout", "twin"));
    said("agent default/checkout  deleted", 1, at_once).await;
    said("agent default/twin  trustworthy: ", 1, at_once).await;
    fs::remove_file(folder.path().join("counts.yaml")).unwrap();
    said("agent default/twin  NoData: ", 1, at_once).await;

    server.signal("INT");
    assert_eq!(server.ended(Duration::from_secs(10)).await.code(), Some(0));
}

#[test]
fn check_exits_0_1_and_2() {
    let folder = folder();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let yaml = folder
        .path()
        .join("counts.yaml")
        .to_str()
        .unwrap()
        .to_owned();
    let good = file(
        "good.csv",
        COUNTS.replace("450.1504", "539.9605").as_bytes(),
    );
    let warned = file("warned.csv", COUNTS.as_bytes());
    let broken = file("broken.csv", COUNTS.replace(",10,", ",ten,").as_bytes());
    let cut_short = file("cut.csv.gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2]);
    for (csv, code, expected) in [
        (
            &good,
            0,
            "0 warnings; would be imported by DataSource internal-conversions",
        ),
        (&warned, 0, "warning: line 3, column sales_val_sumsq"),
        (
            &broken,
            1,
            "line 2, column Sels: \"ten\" is not a whole number",
        ),
        (&cut_short, 1, "cannot be decompressed"),
    ] {
        let output = sumsq(&["check", csv, "--data-source", &yaml]);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{csv}: {}",
            text(&output.stderr)
        );
        let shown = text(&output.stdout);
        assert!(shown.contains(expected), "no {expected:?} in\n{shown}");
    }
    let json = sumsq(&["check", &broken, "--data-source", &yaml, "--output", "json"]);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&report["accepted"], &report["problemCount"]),
        (&false.into(), &1.into())
    );
    assert_eq!(
        (
            &report["problems"][0]["line"],
            &report["problems"][0]["column"]
        ),
        (&2.into(), &"Sels".into())
    );
    for usage in [
        vec!["check", "nowhere.csv", "--data-source", &yaml],
        vec!["check", &good, "--data-source", "nowhere.yaml"],
        vec!["check", &good],
    ] {
        assert_eq!(sumsq(&usage).status.code(), Some(2), "{usage:?}");
    }
}
