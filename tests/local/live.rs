//! A folder that is looked at all the time: what edits of its manifests do.

use std::fs;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::support::process::{ServerCommand, free_port, wait_for};
use crate::{COUNTS, MANIFEST, SUMSQ, folder, once, text};

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
