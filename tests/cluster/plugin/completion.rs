//! What kubectl completes behind `kubectl sumsq`, and what the shells' scripts do.

use std::fmt::Write;

use serde_json::json;

use super::{Person, agent, counts};
use crate::buckets::Bucket;
use crate::cluster_with_crds;
use crate::operator::Operator;

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story, told to its end")]
async fn kubectl_completes_the_names_of_the_cluster() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("plugin-completion").await;
    let person = Person::new(cluster, &namespace);
    let bucket = Bucket::create("plugin-completion").await;
    bucket.put("counts.csv", counts()).await;
    let operator = Operator::start(cluster, &namespace).await;
    operator.apply(&bucket.data_source("counts").await).await;
    let mut tills = bucket.data_source("tills").await;
    tills["spec"]["displayName"] = json!("What the tills saw");
    operator.apply(&tills).await;
    operator
        .apply(&agent("hero", json!({"displayName": "Hero banner"})))
        .await;
    operator.ready_when("counts", "True", "Imported").await;
    operator.ready_when("tills", "True", "Imported").await;

    let mut told = String::new();
    for line in [
        "",
        "w",
        "fetch ",
        "fetch counts ",
        "fetch dsrc/",
        "history c",
        "history counts ",
        "why ",
        "why agent/",
        "why dsrc/t",
        "report agents/",
        "report ",
        "status -o ",
        "status --ou",
        "check ",
        "check a.csv --data-source t",
    ] {
        let mut words = vec!["__complete", "sumsq", "-n", namespace.name()];
        words.extend(line.split(' '));
        let output = person.kubectl(&words).await;
        let completed = output.expect_success().replace('\t', "  | ");
        _ = write!(told, "> {line}\n{completed}");
    }
    insta::assert_snapshot!(told, @r"
    > 
    status  | Show the health of all DataSources and Agents, what needs attention first
    why  | Say why a DataSource or an Agent is as it is, and what to do about it
    fetch  | Fetch now
    history  | Show the newest fetches of a DataSource
    report  | Print an experiment's Testing Report
    suspend  | Hold a DataSource's schedule and retries back
    resume  | Let a suspended DataSource fetch on its schedule again
    check  | Lint a CSV as a DataSource of the cluster would read it
    policy  | Print the policies that let the identity in use read the object
    completion  | Print the script that completes kubectl-sumsq in a shell
    help  | Print this message or the help of the given subcommand(s)
    :4
    > w
    why  | Say why a DataSource or an Agent is as it is, and what to do about it
    :4
    > fetch 
    counts  | Internal Conversion Events
    tills  | What the tills saw
    :4
    > fetch counts 
    tills  | What the tills saw
    :4
    > fetch dsrc/
    dsrc/counts  | Internal Conversion Events
    dsrc/tills  | What the tills saw
    :4
    > history c
    counts  | Internal Conversion Events
    :4
    > history counts 
    :4
    > why 
    counts  | Internal Conversion Events
    tills  | What the tills saw
    agent/hero  | Hero banner
    :4
    > why agent/
    agent/hero  | Hero banner
    :4
    > why dsrc/t
    dsrc/tills  | What the tills saw
    :4
    > report agents/
    agents/hero  | Hero banner
    :4
    > report 
    banner
    checkout
    hero  | Hero banner
    :4
    > status -o 
    wide
    json
    yaml
    name
    :4
    > status --ou
    --output  | How it is printed [default: a table]
    :4
    > check 
    :0
    > check a.csv --data-source t
    tills  | What the tills saw
    :4
    ");

    let words = ["__complete", "sumsq", "status", "-n", "plugin-comp"];
    let namespaces = person.kubectl(&words).await.expect_success();
    assert!(
        namespaces.lines().any(|line| line == namespace.name()),
        "{namespaces}"
    );
    // Without descriptions, as bash asks.
    let words = [
        "__completeNoDesc",
        "sumsq",
        "-n",
        namespace.name(),
        "fetch",
        "t",
    ];
    let told = person.kubectl(&words).await.expect_success();
    assert_eq!(told, "tills\n:4\n");

    // Where the cluster is gone there is silence, and no error in the middle of a line.
    let gone = Person::with(&person.folder.join("none"), "growth");
    let output = gone.kubectl(&["__complete", "sumsq", "fetch", ""]).await;
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, ":4\n");
}

#[tokio::test]
async fn the_scripts_complete_the_plugin_s_own_name() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("plugin-scripts").await;
    let person = Person::new(cluster, &namespace);
    let script = r#"
        source <(kubectl sumsq completion bash)
        COMP_WORDS=(kubectl-sumsq his) COMP_CWORD=1
        _kubectl__sumsq kubectl-sumsq his kubectl-sumsq
        echo "${COMPREPLY[@]}"
    "#;
    let completed = person.run("bash", &["-c", script]).await;
    assert_eq!(completed.expect_success(), "history\n");
    for (shell, has) in [
        ("zsh", "#compdef kubectl-sumsq"),
        ("fish", "complete -c kubectl-sumsq"),
    ] {
        let script = person
            .kubectl(&["sumsq", "completion", shell])
            .await
            .expect_success();
        assert!(script.contains(has), "{script}");
        for command in [
            "status", "why", "fetch", "history", "report", "suspend", "resume", "check", "policy",
        ] {
            assert!(script.contains(command), "{shell} {command}");
        }
    }
}
