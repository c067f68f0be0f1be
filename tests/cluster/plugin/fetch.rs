//! Fetch now, and wait for that very fetch.

use serde_json::{Value, json};

use super::{Person, counts};
use crate::buckets::Bucket;
use crate::cluster_with_crds;
use crate::operator::{Operator, PATIENCE};
use crate::support::process::wait_for;

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story, told to its end")]
async fn a_fetch_is_waited_for_by_its_token() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("plugin-fetch").await;
    let person = Person::new(cluster, &namespace);
    let bucket = Bucket::create("plugin-fetch").await;
    bucket.put("counts.csv", counts()).await;
    let mut operator = Operator::start(cluster, &namespace).await;
    for name in ["counts", "tills"] {
        operator.apply(&bucket.data_source(name).await).await;
        operator.ready_when(name, "True", "Imported").await;
    }

    person.documented("fetch counts --wait").await;
    let status = operator.status("counts").await;
    assert_eq!(status["history"][0]["trigger"], "Manual");
    let object = operator.object("counts").await.unwrap();
    assert_eq!(
        status["lastHandledFetchRequest"],
        object["metadata"]["annotations"]["sumsq.dev/fetch-requested-at"]
    );
    let forced = person
        .sumsq(&["fetch", "dsrc/counts", "--force", "--wait"])
        .await;
    insta::assert_snapshot!(person.told(&forced), @r"
    growth/counts: fetched: 2 agents, 8 rows, 0 agent days changed
    exit: 0
    ");

    // A request alone is not waited for.
    let requested = person.sumsq(&["fetch", "--all"]).await;
    insta::assert_snapshot!(person.told(&requested), @r"
    datasource.sumsq.dev/counts fetch requested
    datasource.sumsq.dev/tills fetch requested
    exit: 0
    ");
    for name in ["counts", "tills"] {
        operator
            .status_when(name, "the echo", |status| {
                status["lastHandledFetchRequest"].is_string()
            })
            .await;
    }

    // A broken file: the error with its hint, and the exit status.
    bucket
        .put("counts.csv", counts().replace("1793491200", "2026-11-01"))
        .await;
    let failed = person.documented("fetch tills --wait").await;
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(failed.stdout, "");
    let failed = person
        .sumsq(&["fetch", "counts", "--wait", "-o", "json"])
        .await;
    assert_eq!(failed.status.code(), Some(1));
    let object: Value = serde_json::from_str(&failed.stdout).unwrap();
    assert_eq!(
        object["status"]["history"][0]["error"]["code"],
        "InvalidCsv"
    );

    // One that is not there does not hold up the others.
    bucket.put("counts.csv", counts()).await;
    let mixed = person.sumsq(&["fetch", "count", "tills", "--wait"]).await;
    insta::assert_snapshot!(person.told(&mixed), @r#"
    growth/tills: fetched: 2 agents, 8 rows, 0 agent days changed
    stderr: Error from server (NotFound): datasources.sumsq.dev "count" not found
    hint: did you mean counts?
    exit: 1
    "#);

    // What is suspended is fetched all the same; what can't be fetched is not waited for.
    operator
        .patch("counts", &json!({"spec": {"suspend": true}}))
        .await;
    let suspended = person.sumsq(&["fetch", "counts", "--wait"]).await;
    insta::assert_snapshot!(person.told(&suspended), @r"
    growth/counts: fetched: 2 agents, 8 rows, 0 agent days changed
    exit: 0
    ");
    operator
        .patch("tills", &json!({"spec": {"goals": null}}))
        .await;
    operator.ready_when("tills", "Unknown", "NoGoals").await;
    let no_goals = person.sumsq(&["fetch", "tills", "--wait"]).await;
    insta::assert_snapshot!(person.told(&no_goals), @r"
    stderr: growth/tills: cannot be fetched: spec.goals is empty: nothing is fetched until it names a goal
    exit: 1
    ");

    // Without an operator: the time limit, and what to look at.
    operator.kill();
    let silence = person
        .sumsq(&["fetch", "counts", "--wait", "--timeout", "2s"])
        .await;
    insta::assert_snapshot!(person.told(&silence), @r"
    stderr: error: timed out: the fetch of growth/counts has not ended within 2 s
    hint: is the operator running, and does it watch this namespace? kubectl get pods -A -l app.kubernetes.io/part-of=sumsq
    status says Imported: 2 agents, 8 rows, 2026-11-01 to 2026-11-02
    exit: 1
    ");

    // Deleted meanwhile.
    let token = operator.object("counts").await.unwrap()["metadata"]["annotations"].clone();
    let args = ["sumsq", "fetch", "counts", "--wait", "-n", namespace.name()];
    let waiting = person
        .command("kubectl", &args)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the request", PATIENCE, async || {
        let object = operator.object("counts").await?;
        (object["metadata"]["annotations"] != token).then_some(())
    })
    .await;
    operator.kubectl(&["delete", "dsrc", "counts"]).await;
    let output = waiting.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = format!("{namespace}/counts was deleted while its fetch was waited for");
    assert!(said.contains(&expected), "{said}");
}

#[tokio::test]
async fn a_file_is_checked_against_the_data_source_of_the_cluster() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("plugin-check").await;
    let person = Person::new(cluster, &namespace);
    let bucket = Bucket::create("plugin-check").await;
    let resource = bucket.data_source("counts").await;
    cluster
        .apply(namespace.name(), &resource.to_string())
        .await
        .expect_success();

    let good = person.folder.join("counts.csv");
    std::fs::write(&good, counts()).unwrap();
    let bad = person.folder.join("bad.csv");
    std::fs::write(&bad, counts().replacen("1793491200", "2026-11-01", 1)).unwrap();
    let check = async |file: &str| {
        let args = ["check", file, "--data-source", "dsrc/counts"];
        let output = person.sumsq(&args).await;
        let folder = person.folder.display().to_string();
        person.told(&output).replace(&format!("{folder}/"), "")
    };
    insta::assert_snapshot!(check(good.to_str().unwrap()).await, @r"
    counts.csv: 0 warnings; would be imported by DataSource counts
      rows   8
      days   2026-11-01 to 2026-11-02
      agents  2: banner, checkout
    exit: 0
    ");
    insta::assert_snapshot!(check(bad.to_str().unwrap()).await, @r#"
    line 2, column Date: "2026-11-01" is not a date in Unix seconds
      hint: a date as text: write 1793491200 for 2026-11-01

    bad.csv: 1 problem; would be refused by DataSource counts
    exit: 1
    "#);
    insta::assert_snapshot!(check("/nonexistent.csv").await, @r"
    stderr: error: cannot read /nonexistent.csv: No such file or directory (os error 2)
    exit: 2
    ");
    // From standard input, which kubectl hands on.
    let line = format!(
        "kubectl sumsq check - --data-source counts -n {namespace} -o json <{}",
        bad.display()
    );
    let piped = person.run("bash", &["-c", &line]).await;
    assert_eq!(piped.status.code(), Some(1));
    let piped: Value = serde_json::from_str(&piped.stdout).unwrap();
    assert_eq!(piped["problemCount"], 1);
    let unknown = person
        .sumsq(&["check", good.to_str().unwrap(), "--data-source", "count"])
        .await;
    insta::assert_snapshot!(person.told(&unknown), @r#"
    stderr: Error from server (NotFound): datasources.sumsq.dev "count" not found
    hint: did you mean counts?
    exit: 1
    "#);
}
