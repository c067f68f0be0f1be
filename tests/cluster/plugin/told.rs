//! What the plugin says of things as they are: all at a glance, why, the history, the policies.

use std::fmt::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{Person, agent, counts};
use crate::buckets::Bucket;
use crate::cluster_with_crds;
use crate::operator::{Operator, PATIENCE, condition};

/// Every state that a person meets, on one page; docs/kubectl.md shows the answers.
#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story, told to its end")]
async fn everything_is_told_at_a_glance_and_explained() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("plugin-told").await;
    let person = Person::new(cluster, &namespace);
    let nothing = person.sumsq(&["status"]).await.expect_success();
    assert_eq!(nothing, "No DataSources and no Agents found.\n");

    let bucket = Bucket::create("com.my-company.counts").await;
    bucket.put("exports/counts.csv", counts()).await;
    let operator = Operator::start(cluster, &namespace).await;
    let source = async |name: &str, spec: Value| {
        let mut resource = bucket.data_source(name).await;
        resource["spec"]["source"]["s3"]["key"] = json!("exports/counts.csv");
        resource["metadata"]["labels"] = json!({"team": name});
        merge(&mut resource["spec"], spec);
        operator.apply(&resource).await;
    };
    source("counts", json!({})).await;
    source("leap-days", json!({"schedule": "0 9 31 2 *"})).await;
    source("returns", json!({"goals": []})).await;
    source("archive", json!({"suspend": true})).await;
    operator.ready_when("counts", "True", "Imported").await;
    operator.ready_when("leap-days", "False", "").await;
    operator.ready_when("returns", "Unknown", "NoGoals").await;
    operator.ready_when("archive", "Unknown", "Suspended").await;
    operator.apply(&agent("checkout", json!({}))).await;
    operator
        .apply(&agent("hero-banner", json!({"code": "banner"})))
        .await;
    operator.apply(&agent("pricing", json!({}))).await;
    for (name, status) in [
        ("checkout", "True"),
        ("hero-banner", "False"),
        ("pricing", "Unknown"),
    ] {
        let wait =
            format!("jsonpath={{.status.conditions[?(@.type==\"Trustworthy\")].status}}={status}");
        let (wait, name) = (format!("--for={wait}"), format!("agent/{name}"));
        operator
            .kubectl(&["wait", &wait, &name, "--timeout=60s"])
            .await;
    }

    // The last one, since it is tried again after half a minute, and is then another.
    source(
        "tills",
        json!({"source": {"s3": {"key": "exports/tills.csv"}}}),
    )
    .await;
    operator.ready_when("tills", "False", "NoSuchKey").await;

    let status = person.documented("status").await;
    assert_eq!(status.status.code(), Some(0));
    person.documented("why tills").await;
    let history = person.sumsq(&["history", "tills", "-o", "wide"]).await;
    insta::assert_snapshot!(person.told(&history), @r"
    STARTED   TOOK   TRIGGER   RESULT   TRIES   AGENTS   ROWS   CHANGED   WARNINGS   BYTES   AT   ID   MESSAGE
    AGE ago   AGE   Created   NoSuchKey   1   <none>   <none>   <none>   <none>   <none>   TIME   ID   The specified key does not exist.

    The newest failed: The specified key does not exist.
    What to do: kubectl sumsq why tills -n growth
    exit: 0
    ");
    for (args, sources) in [
        (vec!["status", "-l", "team=tills"], 1),
        (vec!["status", "-A"], 5),
    ] {
        let args = [&args[..], &["-o", "json"]].concat();
        let listed: Value =
            serde_json::from_str(&person.sumsq(&args).await.expect_success()).unwrap();
        let listed = listed["dataSources"].as_array().unwrap();
        let ours = listed
            .iter()
            .filter(|row| row["namespace"] == namespace.name());
        assert_eq!(ours.count(), sources, "{args:?}");
    }
    let wide = person.sumsq(&["status", "-o", "wide"]).await;
    insta::assert_snapshot!(person.told(&wide), @r#"
    DATA SOURCE   HEALTH   REASON   SINCE   LAST SUCCESS   NEXT FETCH   AGENTS   SCHEDULE   READER   MESSAGE
    leap-days   Stalled   InvalidSchedule   AGE   <none>   <none>   0   0 9 31 2 *   <none>   schedule "0 9 31 2 *" never fires: no such date exists
    tills   Failing   NoSuchKey   AGE   <none>   retry in AGE   0   0 9 * * *   arn:aws:iam::000000000000:root   The specified key does not exist.; There is no "exports/tills.csv" in bucket com.my-company.counts: compare `key` with the bucket's contents. Case counts, and folders are part of the key.; will be retried at TIME
    returns   NoGoals   NoGoals   AGE   <none>   <none>   0   0 9 * * *   arn:aws:iam::000000000000:root   spec.goals is empty: nothing is fetched until it names a goal
    archive   Suspended   Suspended   AGE   <none>   <none>   0   0 9 * * *   arn:aws:iam::000000000000:root   suspended before the first fetch; a request by annotation fetches once
    counts   Healthy   Imported   AGE   AGE   in AGE   2   0 9 * * *   arn:aws:iam::000000000000:root   2 agents, 8 rows, 2026-11-01 to 2026-11-02

    AGENT   HEALTH   REASON   SINCE   VISITORS   DAYS   CODE   DATA SOURCES   MESSAGE
    hero-banner   NotTrustworthy   SampleRatioMismatch   AGE   4,800   2026-11-01 to 2026-11-02   banner   counts   The variations did not get the visitors they should have: A has 2,000 instead of 2,400 and B has 2,800 instead of 2,400; chance does this less than once in a thousand tests. Don't read the result: whoever is missing may be just those whom a variation drove away. Look for visitors that are lost or counted twice in one variation (redirects, bots, caching, a filter on what comes after the exposure); where other shares were meant, declare them as weights in an Agent.
    pricing   NoData   NoData   AGE   <none>   <none>   pricing   <none>   No data source of this namespace holds data of pricing yet.
    checkout   Trustworthy   NoAlarm   AGE   4,000   2026-11-01 to 2026-11-02   checkout   counts   No alarm in the reports of 1 goal from data source counts.

    5 data sources: 1 stalled, 1 failing, 1 no goals, 1 suspended, 1 healthy. 3 agents: 1 not trustworthy, 1 no data, 1 trustworthy.
    What to do: kubectl sumsq why
    exit: 0
    "#);
    let some = ["status", "counts", "pricing", "agent/checkot"];
    let some = person.sumsq(&some).await;
    insta::assert_snapshot!(person.told(&some), @r#"
    DATA SOURCE   HEALTH   REASON   SINCE   LAST SUCCESS   NEXT FETCH   AGENTS
    counts   Healthy   Imported   AGE   AGE   in AGE   2

    AGENT   HEALTH   REASON   SINCE   VISITORS   DAYS
    pricing   NoData   NoData   AGE   <none>   <none>

    1 data source: 1 healthy. 1 agent: 1 no data.
    stderr: Error from server (NotFound): agents.sumsq.dev "checkot" not found
    hint: did you mean checkout?
    exit: 1
    "#);
    every_format(&person).await;
    let names = person.sumsq(&["status", "-o", "name"]).await;
    insta::assert_snapshot!(person.told(&names), @r"
    datasource.sumsq.dev/leap-days
    datasource.sumsq.dev/tills
    datasource.sumsq.dev/returns
    datasource.sumsq.dev/archive
    datasource.sumsq.dev/counts
    agent.sumsq.dev/hero-banner
    agent.sumsq.dev/pricing
    agent.sumsq.dev/checkout
    exit: 0
    ");
    let yaml = person
        .sumsq(&["status", "-l", "team=counts", "-o", "yaml"])
        .await;
    insta::assert_snapshot!(person.told(&yaml), @r"
    dataSources:
    - namespace: growth
      name: counts
      health: Healthy
      reason: Imported
      message: 2 agents, 8 rows, 2026-11-01 to 2026-11-02
      since: TIME
      suspended: false
      lastSuccessTime: TIME
      nextFetchTime: TIME
      nextRetryTime: null
      agentCount: 2
      missedFetches: 0
      reader: arn:aws:iam::000000000000:root
    agents: []
    exit: 0
    ");

    for name in ["agent/hero-banner", "counts"] {
        person.documented(&format!("why {name}")).await;
    }
    let mut told = String::new();
    for name in [
        "leap-days",
        "returns",
        "archive",
        "hero-banner",
        "agent/checkout",
        "agent/pricing",
    ] {
        let why = person.sumsq(&["why", name]).await;
        _ = write!(told, "> why {name}\n{}\n\n", person.told(&why));
    }
    insta::assert_snapshot!(told, @r#"
    > why leap-days
    dsrc/leap-days in growth is stalled: InvalidSchedule (for AGE)
      schedule "0 9 31 2 *" never fires: no such date exists
    What to do:
      Change the spec as the message says: nothing else helps.
    exit: 0

    > why returns
    dsrc/returns in growth has nothing to fetch (for AGE)
      spec.goals is empty: nothing is fetched until it names a goal
    What to do:
      Name the columns of the CSV under spec.goals: it is fetched at once.
    exit: 0

    > why archive
    dsrc/archive in growth is suspended (for AGE)
      suspended before the first fetch; a request by annotation fetches once
    Nothing is fetched on its schedule until: kubectl sumsq resume archive -n growth
    exit: 0

    > why hero-banner
    agent/hero-banner in growth is not trustworthy: SampleRatioMismatch (for AGE)
      The variations did not get the visitors they should have: A has 2,000 instead of 2,400 and B has 2,800 instead of 2,400; chance does this less than once in a thousand tests. Don't read the result: whoever is missing may be just those whom a variation drove away. Look for visitors that are lost or counted twice in one variation (redirects, bots, caching, a filter on what comes after the exposure); where other shares were meant, declare them as weights in an Agent.
    4,800 visitors, 2026-11-01 to 2026-11-02.
    The whole report: kubectl sumsq report banner -n growth
    exit: 0

    > why agent/checkout
    agent/checkout in growth is trustworthy (for AGE)
      No alarm in the reports of 1 goal from data source counts.
    4,000 visitors, 2026-11-01 to 2026-11-02.
    The whole report: kubectl sumsq report checkout -n growth
    exit: 0

    > why agent/pricing
    agent/pricing in growth has nothing to judge (for AGE)
      No data source of this namespace holds data of pricing yet.
    exit: 0
    "#);
    // With no name: what needs attention, and nothing else.
    let all = person.sumsq(&["why"]).await.expect_success();
    let told = all
        .lines()
        .filter(|line| line.contains(" in ") && !line.starts_with(' '));
    let told: Vec<&str> = told
        .filter_map(|line| line.split_once(" in "))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        told.iter()
            .filter(|name| name.contains('/'))
            .collect::<Vec<_>>(),
        [
            "dsrc/leap-days",
            "dsrc/tills",
            "dsrc/returns",
            "agent/hero-banner"
        ]
        .iter()
        .collect::<Vec<_>>()
    );
    let why = person
        .sumsq(&["why", "tills", "-o", "json"])
        .await
        .expect_success();
    let why: Value = serde_json::from_str(&why).unwrap();
    assert_eq!(
        (&why["health"], &why["reason"], &why["error"]["code"]),
        (&json!("Failing"), &json!("NoSuchKey"), &json!("NoSuchKey"))
    );
    assert!(why["nextRetryTime"].is_string(), "{why}");

    person.documented("history counts").await;
    let history = person
        .sumsq(&["history", "counts", "-o", "json"])
        .await
        .expect_success();
    let history: Value = serde_json::from_str(&history).unwrap();
    assert_eq!(history["history"][0]["result"], "Imported");
    let none = person.sumsq(&["history", "archive"]).await;
    insta::assert_snapshot!(person.told(&none), @r"
    No fetch of growth/archive has ended yet.
    exit: 0
    ");

    person.documented("policy counts").await;
    let bucket_policy = person
        .sumsq(&["policy", "counts", "--only", "bucket"])
        .await
        .expect_success();
    let bucket_policy: Value = serde_json::from_str(&bucket_policy).unwrap();
    let reader = operator.status("counts").await["reader"].clone();
    assert_eq!(bucket_policy["Statement"][0]["Principal"]["AWS"], reader);
    let key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd";
    let across = [
        "policy",
        "counts",
        "--kms-key",
        key,
        "--reader",
        "arn:aws:sts::123456789012:assumed-role/sumsq/i-0abc",
        "-o",
        "json",
    ];
    let across: Value =
        serde_json::from_str(&person.sumsq(&across).await.expect_success()).unwrap();
    assert_eq!(across["reader"], "arn:aws:iam::123456789012:role/sumsq");
    let of_reader = &across["policies"][2]["document"]["Statement"];
    assert_eq!(
        (&of_reader[0]["Action"], &of_reader[1]["Resource"]),
        (&json!("s3:GetObject"), &json!(key))
    );
    let unknown = person.sumsq(&["policy", "returns"]).await;
    insta::assert_snapshot!(person.told(&unknown), @r#"
    dsrc/returns in growth reads s3://com.my-company.counts/exports/counts.csv as
    arn:aws:iam::000000000000:root
    from http://ENDPOINT: what follows is AWS's language, which that store may not speak

    The bucket's policy (within one account this or the reader's own is enough):
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Sid": "LetSumsqReadCounts",
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::000000000000:root"
          },
          "Action": "s3:GetObject",
          "Resource": "arn:aws:s3:::com.my-company.counts/exports/counts.csv"
        }
      ]
    }

    The KMS key's policy, where the object is encrypted with a key of your own (add the statement to what the key has):
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Sid": "LetSumsqDecryptCounts",
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::000000000000:root"
          },
          "Action": "kms:Decrypt",
          "Resource": "*"
        }
      ]
    }

    The reader's own policy, instead of the bucket's:
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Sid": "LetSumsqReadCounts",
          "Effect": "Allow",
          "Action": "s3:GetObject",
          "Resource": "arn:aws:s3:::com.my-company.counts/exports/counts.csv"
        }
      ]
    }
    exit: 0
    "#);

    let suspended = person.documented("suspend counts").await;
    assert_eq!(suspended.status.code(), Some(0));
    let again = person.sumsq(&["suspend", "dsrc/counts", "archive"]).await;
    insta::assert_snapshot!(person.told(&again), @r"
    datasource.sumsq.dev/counts suspended (no change)
    datasource.sumsq.dev/archive suspended (no change)
    exit: 0
    ");
    assert_eq!(
        operator.object("counts").await.unwrap()["spec"]["suspend"],
        true
    );
    operator
        .status_when("counts", "the suspended spec", |status| {
            status["observedGeneration"] == 2
        })
        .await;
    let why = person.sumsq(&["why", "counts"]).await;
    insta::assert_snapshot!(person.told(&why), @r"
    dsrc/counts in growth is suspended (for AGE)
      The newest fetch imported 2 agents, 8 rows, 4 agent days changed.
    Nothing is fetched on its schedule until: kubectl sumsq resume counts -n growth
    Still served: 2 agents, 2026-11-01 to 2026-11-02; last success AGE ago.
    exit: 0
    ");
    let resumed = person.sumsq(&["resume", "--all", "-o", "name"]).await;
    insta::assert_snapshot!(person.told(&resumed), @r"
    datasource.sumsq.dev/archive
    datasource.sumsq.dev/counts
    datasource.sumsq.dev/leap-days
    datasource.sumsq.dev/returns
    datasource.sumsq.dev/tills
    exit: 0
    ");
    let status = operator.ready_when("archive", "True", "Imported").await;
    assert!(condition(&status, "Stalled").is_none());
}

/// A change shows by itself.
#[tokio::test]
async fn a_watch_shows_what_changes() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("plugin-watch").await;
    let person = Person::new(cluster, &namespace);
    let bucket = Bucket::create("plugin-watch").await;
    let apply = async |name: &str| {
        let resource = bucket.data_source(name).await.to_string();
        cluster
            .apply(namespace.name(), &resource)
            .await
            .expect_success();
    };
    apply("counts").await;
    let args = ["sumsq", "status", "--watch", "-n", namespace.name()];
    let mut watching = person
        .command("kubectl", &args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut until = async |wanted: &str| {
        let found = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line == wanted {
                    return;
                }
            }
            panic!("it ended without {wanted}");
        };
        tokio::time::timeout(PATIENCE, found).await.expect(wanted);
    };
    until("1 data source: 1 pending.").await;
    apply("tills").await;
    until("2 data sources: 2 pending.").await;
    watching.kill().await.unwrap();
}

/// Colour is for terminals, and for those who want it.
#[tokio::test]
async fn colour_is_for_terminals() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("plugin-colour").await;
    let person = Person::new(cluster, &namespace);
    let bucket = Bucket::create("plugin-colour").await;
    let resource = bucket.data_source("counts").await.to_string();
    let applied = cluster.apply(namespace.name(), &resource).await;
    applied.expect_success();
    let line = format!("kubectl sumsq status -n {namespace}");
    let on_terminal = ["-qec", &line, "/dev/null"];
    let coloured = person.run("script", &on_terminal).await.expect_success();
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    let uncoloured = format!("NO_COLOR=1 {line}");
    for (program, args) in [
        ("script", ["-qec", &uncoloured, "/dev/null"]),
        ("bash", ["-c", &line, "-"]),
    ] {
        let plain = person.run(program, &args).await.expect_success();
        assert!(plain.contains("Pending"), "{plain}");
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
    }
}

/// As `kubectl patch --type=merge` would.
fn merge(into: &mut Value, patch: Value) {
    match patch {
        Value::Object(fields) if into.is_object() => {
            for (name, value) in fields {
                merge(&mut into[name], value);
            }
        }
        value => *into = value,
    }
}

/// What each command that only reads prints in each format: the words, and for programs, what they read.
async fn every_format(person: &Person) {
    let csv = person.folder.join("counts.csv");
    std::fs::write(&csv, counts()).unwrap();
    let csv = csv.to_str().unwrap();
    let mut told = String::new();
    for (command, formats) in [
        (vec!["status", "counts"], "wide json yaml name"),
        (vec!["why", "counts"], "wide json yaml name"),
        (vec!["history", "counts"], "wide json yaml name"),
        (vec!["policy", "counts"], "wide json yaml name"),
        (vec!["resume", "counts"], "wide json yaml name"),
        (
            vec!["check", csv, "--data-source", "counts"],
            "wide json yaml",
        ),
    ] {
        let mut json = Value::Null;
        for format in formats.split(' ') {
            let printed = person
                .sumsq(&[&command[..], &["-o", format]].concat())
                .await;
            let printed = printed.expect_success();
            match format {
                "json" => json = serde_json::from_str(&printed).unwrap(),
                "yaml" => {
                    let yaml: Value = serde_yaml::from_str(&printed).unwrap();
                    assert_eq!(yaml, json, "{command:?}");
                    let fields = json.as_object().unwrap().keys();
                    let fields = fields.map(String::as_str).collect::<Vec<_>>();
                    _ = writeln!(told, "{} yaml: {}", command[0], fields.join(" "));
                }
                _ => {
                    let first = printed.lines().next().unwrap();
                    let first = person.redacted(first).replace(csv, "counts.csv");
                    _ = writeln!(told, "{} {format}: {}", command[0], first.trim());
                }
            }
        }
    }
    insta::assert_snapshot!(told, @r"
    status wide: DATA SOURCE   HEALTH   REASON   SINCE   LAST SUCCESS   NEXT FETCH   AGENTS   SCHEDULE   READER   MESSAGE
    status yaml: agents dataSources
    status name: datasource.sumsq.dev/counts
    why wide: dsrc/counts in growth is healthy (for AGE)
    why yaml: attempts error health kind lastSuccessTime message name namespace nextFetchTime nextRetryTime reason since suspended warnings
    why name: datasource.sumsq.dev/counts
    history wide: STARTED   TOOK   TRIGGER   RESULT   TRIES   AGENTS   ROWS   CHANGED   WARNINGS   BYTES   AT   ID   MESSAGE
    history yaml: history name namespace
    history name: datasource.sumsq.dev/counts
    policy wide: dsrc/counts in growth reads s3://com.my-company.counts/exports/counts.csv as
    policy yaml: bucket crossesAccounts key name namespace policies reader
    policy name: datasource.sumsq.dev/counts
    resume wide: datasource.sumsq.dev/counts resumed (no change)
    resume yaml: apiVersion kind metadata spec status
    resume name: datasource.sumsq.dev/counts
    check wide: counts.csv: 0 warnings; would be imported by DataSource counts
    check yaml: accepted agentDays agents dataSource file firstDay lastDay problemCount problems rows warningCount warnings
    ");
}

/// As kubectl takes the parts of a context one by one.
#[tokio::test]
async fn cluster_and_user_may_be_others_than_the_context_s() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("plugin-user").await;
    let path = cluster.folder().join("parts.kubeconfig");
    let read = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let mut parts: Value = serde_yaml::from_str(&read).unwrap();
    let (there, admin) = (parts["clusters"][0].clone(), parts["users"][0].clone());
    // Of the context neither is any good.
    let away = json!({"name": "away", "cluster": {"server": "http://127.0.0.1:1"}});
    let nobody = json!({"name": "nobody", "user": {"token": "nonsense"}});
    parts["clusters"] = json!([away, {"name": "there", "cluster": there["cluster"]}]);
    parts["users"] = json!([nobody, {"name": "admin", "user": admin["user"]}]);
    parts["contexts"] = json!([{"name": "c", "context": {"cluster": "away", "user": "nobody"}}]);
    parts["current-context"] = json!("c");
    std::fs::write(&path, parts.to_string()).unwrap();
    let person = Person::with(&path, namespace.name());
    let mut told = String::new();
    for flags in [
        "--cluster=there",
        "--cluster=there --user=admin",
        "--cluster=ther",
        "--user=admn",
    ] {
        let args: Vec<_> = ["status"].into_iter().chain(flags.split(' ')).collect();
        let output = person.sumsq(&args).await;
        _ = write!(told, "> {flags}\n{}\n\n", person.told(&output));
    }
    insta::assert_snapshot!(told, @r#"
    > --cluster=there
    stderr: error: You must be logged in to the server (Unauthorized)
    exit: 1

    > --cluster=there --user=admin
    No DataSources and no Agents found.
    exit: 0

    > --cluster=ther
    stderr: error: cluster "ther" does not exist
    hint: did you mean there?
    exit: 1

    > --user=admn
    stderr: error: auth info "admn" does not exist
    hint: did you mean admin?
    exit: 1
    "#);
}
