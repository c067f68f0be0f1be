//! The custom resource's schema, and manifests in files held to it as the API server would.

#[path = "data/specs/mod.rs"]
mod specs;

use proptest::prelude::*;
use serde_json::Value;
use specs::{Case, Kind};
use sumsq::crd::data_source::DataSource;
use sumsq::domain::data_source::{AssumedRole, Identity};
use sumsq::validate::{self, Defaults, SpecProblem};

/// What `sumsq crd` prints, what users apply and what the chart installs are one text.
#[test]
fn the_files_are_what_the_types_say() {
    let generated = validate::crd_yamls().unwrap();
    assert_eq!(generated.len(), 2);
    for folder in ["crds", "charts/sumsq/files/crds"] {
        for (name, yaml) in &generated {
            let path = format!("{folder}/{name}.yaml");
            let file = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
            let written = std::fs::read_to_string(file).unwrap_or_default();
            let resource = name.split('.').next().unwrap();
            assert!(
                written == *yaml,
                "{path} is out of date: cargo run -- crd {resource} > {path}"
            );
        }
        let here = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(here).unwrap().count();
        assert_eq!(files, generated.len(), "files in {folder}");
    }
}

#[test]
fn the_command_prints_all_or_one() {
    let printed = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sumsq"));
        let output = command.arg("crd").args(more).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let generated = validate::crd_yamls().unwrap();
    let all: String = generated.iter().map(|(_, yaml)| yaml.as_str()).collect();
    assert_eq!(printed(&[]), all);
    for (name, yaml) in &generated {
        let resource = name.split('.').next().unwrap();
        assert_eq!(printed(&[resource]), *yaml, "{resource}");
    }
}

/// By kind.
fn schemas() -> Vec<(String, Value)> {
    let definitions = sumsq::crd::all().into_iter();
    let schemas = definitions.map(|definition| {
        let kind = definition.spec.names.kind.clone();
        let definition = serde_json::to_value(definition).unwrap();
        let schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        (kind, schema)
    });
    schemas.collect()
}

/// Calls `look` with every property of every kind and its path.
fn each_field(look: &mut impl FnMut(&str, &Value)) {
    for (kind, schema) in schemas() {
        each_property(&schema, &kind, look);
    }
}

/// Calls `look` with every property below a schema and its path.
fn each_property(schema: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        look(&path, property);
        each_property(property, &path, look);
        each_property(&property["items"], &format!("{path}[]"), look);
    }
}

/// They are what `kubectl explain` shows.
#[test]
fn every_field_is_described_in_whole_sentences() {
    let mut wrong = Vec::new();
    each_field(&mut |path, property| {
        let description = property["description"].as_str().unwrap_or_default();
        let sentence = description.starts_with(char::is_uppercase) && description.ends_with('.');
        // What a condition holds is described by Kubernetes itself.
        let ours = !path.contains(".status.conditions[]");
        if ours && (!sentence || description.contains(['`', '\n'])) {
            wrong.push(format!("{path}: {description:?}"));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn defaults_stand_in_the_schema() {
    let mut defaults = Vec::new();
    each_field(&mut |path, property| {
        if let Some(default) = property.get("default") {
            defaults.push(format!("{path} {default}"));
        }
    });
    insta::assert_snapshot!(defaults.join("\n"), @r#"
    DataSource.spec.dating "Exposure"
    DataSource.spec.deletionPolicy "Retain"
    DataSource.spec.goals[].allowNegative false
    DataSource.spec.goals[].goodDirection "Increase"
    DataSource.spec.goals[].numeric false
    DataSource.spec.historyLimit 10
    DataSource.spec.maxObjectBytes "1Gi"
    DataSource.spec.onIntegrityProblem "Warn"
    DataSource.spec.schedule "0 9 * * *"
    DataSource.spec.source.s3.forcePathStyle false
    DataSource.spec.startingDeadlineSeconds 43200
    DataSource.spec.suspend false
    DataSource.spec.timeoutSeconds 600
    DataSource.status {"observedGeneration":-1}
    Agent.spec.variations[].weight 1.0
    Agent.status {"observedGeneration":-1}
    "#);
}

#[test]
fn fields_of_a_few_words_take_no_others() {
    let mut closed = Vec::new();
    each_field(&mut |path, property| {
        if let Some(words) = property.get("enum") {
            closed.push(format!("{path} {words}"));
        }
    });
    insta::assert_snapshot!(closed.join("\n"), @r#"
    DataSource.spec.dating ["Exposure","Event"]
    DataSource.spec.deletionPolicy ["Retain","Delete"]
    DataSource.spec.goals[].goodDirection ["Increase","Decrease"]
    DataSource.spec.onIntegrityProblem ["Warn","Reject"]
    DataSource.status.history[].result ["Imported","NotModified","Error"]
    DataSource.status.history[].trigger ["Created","Schedule","Manual","SpecChange","Retry"]
    "#);
}

fn defaults() -> Defaults {
    Defaults {
        default_time_zone: "UTC".to_owned(),
    }
}

/// The same resource, past the checks of files: what the operator would read from a cluster whose
/// definition is another version's.
fn unchecked<T: serde::de::DeserializeOwned>(manifest: &str) -> T {
    serde_yaml::from_str(manifest).unwrap()
}

fn problems_of(case: &Case, manifest: &str) -> Vec<SpecProblem> {
    let problems = match case.kind {
        Kind::DataSource => validate::data_source(&unchecked(manifest), "", &defaults()).map(drop),
        Kind::Agent => validate::agent(&unchecked(manifest)).map(drop),
    };
    problems.err().unwrap_or_default()
}

#[test]
fn every_bad_spec_is_refused_with_one_sentence() {
    let mut wrong = Vec::new();
    for case in specs::refused() {
        let manifest = case.manifest("refused");
        let expected = format!("{}: {}", case.field, case.sentence);
        let problems = validate::manifest(&manifest).map_err(|error| error.problems);
        let in_file: Vec<_> = problems
            .err()
            .into_iter()
            .flatten()
            .map(|problem| problem.message)
            .collect();
        let by_operator: Vec<_> = problems_of(&case, &manifest)
            .into_iter()
            .map(|problem| format!("{}: {}", problem.field, problem.message))
            .collect();
        for found in [in_file, by_operator] {
            if found != [expected.as_str()] {
                wrong.push(format!(
                    "{}: expected {expected:?}, found {found:#?}",
                    case.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_good_spec_is_taken() {
    let mut wrong = Vec::new();
    for case in specs::taken() {
        let manifest = case.manifest("taken");
        match validate::manifest(&manifest) {
            Ok(taken) => {
                let (data_sources, agents) = (taken.data_sources.len(), taken.agents.len());
                assert_eq!(data_sources + agents, 1, "{}", case.name);
                let problems = problems_of(&case, &manifest);
                if !problems.is_empty() {
                    wrong.push(format!("{}: {problems:#?}", case.name));
                }
            }
            Err(error) => wrong.push(format!("{}: {error}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Errors of a manifest in a file, as `sumsq local` and `sumsq check` show them.
fn said(manifest: &str) -> String {
    match validate::manifest(manifest) {
        Ok(taken) => format!("{} taken", taken.data_sources.len() + taken.agents.len()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn files_say_line_and_field() {
    let several_mistakes = "\
# Two documents; the first is none of ours.
apiVersion: v1
kind: ConfigMap
shedule: anything goes
---
apiVersion: sumsq.dev/v1alpha1
kind: DataSource
metadata:
  name: shop
spec:
  shedule: 0 9 * * *
  goals:
    - code: sales
    - {code: Date, Numeric: true}
  source:
    s3:
      region: us-east-1
      bucket: s3://shop
      key: /counts.csv
      sessionToken: reader
  historyLimit: 0
";
    insta::assert_snapshot!(said(several_mistakes), @"
    8 problems:
      line 11, column 3: unknown field spec.shedule: did you mean schedule?
      line 14, column 8: spec.goals[1].code: a goal's code cannot be Date, Agent, Variation, Sels, Trait_Group, Trait_Value or Policy: those columns have a meaning of their own
      line 14, column 20: unknown field spec.goals[1].Numeric: did you mean numeric?
      line 16, column 5: spec.source.s3.accountId: accountId is missing: write the 12 digits of the AWS account that owns the bucket, in quotes (it may be left out only where endpoint is set and not AWS's own)
      line 18, column 7: spec.source.s3.bucket: bucket takes a name, not a URL: write com.my-company.counts rather than s3://com.my-company.counts or https://com.my-company.counts.s3.amazonaws.com
      line 19, column 7: spec.source.s3.key: key starts without a slash: write exports/counts.csv rather than /exports/counts.csv
      line 20, column 7: unknown field spec.source.s3.sessionToken
      line 21, column 3: spec.historyLimit: historyLimit takes 1 to 100; the store keeps every fetch all the same
    ");

    let wrong_type = "\
apiVersion: sumsq.dev/v1alpha1
kind: DataSource
metadata: {name: shop}
spec:
  source:
    s3: {region: us-east-1, bucket: shop, key: counts.csv, accountId: 123456789012}
";
    insta::assert_snapshot!(said(wrong_type), @"line 6, column 60: spec.source.s3.accountId: invalid type: integer `123456789012`, expected a string: write it in quotes");
    let good = wrong_type.replace(" 123456789012", " '123456789012'");
    assert_eq!(said(&good), "1 taken");
    let broken = |from: &str, to: &str| said(&good.replace(from, to));
    insta::assert_snapshot!(broken("spec:", "spec:\n  goals:"), @"1 taken");
    insta::assert_snapshot!(broken("spec:", "spec:\n  goals: [sales]"), @r#"line 5, column 11: spec.goals[0]: invalid type: string "sales", expected a mapping"#);
    insta::assert_snapshot!(broken("spec:", "spec:\n  goals: [{code: sales}, {code: calls, numeric: yes}]"), @r#"line 5, column 40: spec.goals[1].numeric: invalid type: string "yes", expected a boolean"#);
    insta::assert_snapshot!(broken("  source:", "  source: s3\n  sources:"), @r#"line 5, column 3: spec.source: invalid type: string "s3", expected a mapping"#);
    insta::assert_snapshot!(broken("key: counts.csv, ", ""), @"line 6, column 5: spec.source.s3: missing field `key`");
    insta::assert_snapshot!(broken("spec:", "spec:\n  dating: exposure"), @"line 5, column 3: spec.dating: unknown variant `exposure`, expected `Exposure` or `Event`");
    insta::assert_snapshot!(broken("spec:", "spec:\n  historyLimit: ten"), @r#"line 5, column 3: spec.historyLimit: invalid type: string "ten", expected a whole number"#);
    insta::assert_snapshot!(broken("spec:", "spec:\n  maxObjectBytes: [1Gi]"), @"line 5, column 3: spec.maxObjectBytes: expected a quantity of bytes, such as 500Mi or 1Gi");
    insta::assert_snapshot!(broken("spec:", "spec:\n  suspend: true\n  suspend: false"), @r#"line 5, column 3: spec: duplicate entry with key "suspend""#);
    insta::assert_snapshot!(broken("{name: shop}", "{}"), @"line 3, column 1: metadata.name: every DataSource needs a name");
    insta::assert_snapshot!(broken("v1alpha1", "v1"), @"line 1, column 1: apiVersion: this version of sumsq reads sumsq.dev/v1alpha1");
    insta::assert_snapshot!(broken("apiVersion: sumsq.dev/v1alpha1\n", ""), @"line 1, column 1: apiVersion: this version of sumsq reads sumsq.dev/v1alpha1");
    insta::assert_snapshot!(broken("s3: {", "s3: {{"), @"line 7, column 1: did not find expected ',' or '}', while parsing a flow mapping at line 6 column 9");
    insta::assert_snapshot!(broken("spec:", "specs:"), @"
    2 problems:
      line 2, column 1: missing field `spec`
      line 4, column 1: unknown field specs: did you mean spec?
    ");
}

/// Anchors and merge keys are YAML that kubectl reads as well.
#[test]
fn merge_keys_are_followed() {
    let merged = "\
apiVersion: sumsq.dev/v1alpha1
kind: DataSource
metadata: {name: shop}
spec:
  goals:
    - &sales {code: sales, numeric: true}
    - {<<: *sales, code: returns}
  source: {s3: {region: us-east-1, bucket: shop, key: counts.csv, accountId: '123456789012'}}
";
    let resources = validate::manifest(merged).unwrap();
    assert_eq!(resources.data_sources[0].spec.goals[1].code, "returns");
    assert!(resources.data_sources[0].spec.goals[1].numeric);
}

proptest! {
    /// Whatever is typed into a manifest, the answer is an answer, and points into the text.
    #[test]
    fn every_problem_is_within_the_text(at in 0_usize..300, cut in 0_usize..20, typed in ".{0,3}") {
        let good = include_str!("data/specs/good.yaml");
        let (start, end) = (at.min(good.len()), (at + cut).min(good.len()));
        let text = format!("{}{typed}{}", &good[..start], &good[end..]);
        let problems = validate::manifest(&text).map_err(|error| error.problems);
        for problem in problems.err().into_iter().flatten() {
            let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
            let line = problem.location.map_or(1, |location| location.line);
            prop_assert!((1..=lines).contains(&line), "{problem} in {lines} lines:\n{text}");
        }
    }
}

#[test]
fn what_is_none_of_ours_is_passed_over() {
    for text in [
        "",
        "---\n---\n# nothing\n",
        "just words",
        "[1, 2]",
        "apiVersion: v1\nkind: Secret\n",
        "apiVersion: grafana.example/v1\nkind: DataSource\n",
    ] {
        assert_eq!(said(text), "0 taken", "{text:?}");
    }
    insta::assert_snapshot!(
        said("kind: List\napiVersion: v1\nitems: [{apiVersion: sumsq.dev/v1alpha1, kind: DataSource}]"),
        @"line 3, column 1: write each DataSource of this list as a document of its own, with --- between"
    );
}

/// DataSources and Agents may share a file.
#[test]
fn files_hold_agents_to_the_same_rules() {
    let several_mistakes = "\
apiVersion: sumsq.dev/v1alpha1
kind: DataSource
metadata:
  name: shop
spec: {}
---
apiVersion: sumsq.dev/v1alpha1
kind: Agent
metadata: {}
spec:
  basline: A
  baseline: D
  goals: [sales, sales]
  variations:
    - code: A
    - {code: B, weight: -1, displayname: Green}
  targetLift: 2%
";
    insta::assert_snapshot!(said(several_mistakes), @r#"
    3 problems:
      line 5, column 1: spec.source: source is missing: write source: {s3: {region: ..., bucket: ..., key: ..., accountId: ...}}
      line 11, column 3: unknown field spec.basline: did you mean baseline?
      line 17, column 3: spec.targetLift: invalid type: string "2%", expected a number
    "#);
    let mended = several_mistakes
        .replace("2%", "20")
        .replace("  basline: A\n", "")
        .replace("displayname", "displayName")
        .replace("{}\nspec:", "{name: checkout}\nspec:");
    insta::assert_snapshot!(said(&mended), @"
    5 problems:
      line 5, column 1: spec.source: source is missing: write source: {s3: {region: ..., bucket: ..., key: ..., accountId: ...}}
      line 11, column 3: spec.baseline: baseline takes the code of one of the variations: D is none of them
      line 12, column 3: spec.goals: goal sales stands more than once: write each goal once
      line 15, column 17: spec.variations[1].weight: weight takes 0 to 1000000: equal weights are equal shares, 0 is not in the test
      line 16, column 3: spec.targetLift: targetLift takes a fraction above 0 and at most 10: write 0.02 for 2%
    ");
    let without_version = "kind: Agent\nmetadata: {name: agent-1}\nspec: {}\n";
    insta::assert_snapshot!(said(without_version), @"line 1, column 1: apiVersion: this version of sumsq reads sumsq.dev/v1alpha1");
    let of_another_group = "apiVersion: agents.example/v1\nkind: Agent\nspec: anything\n";
    assert_eq!(said(of_another_group), "0 taken");
    let list = "kind: List\napiVersion: v1\nitems: [{apiVersion: sumsq.dev/v1alpha1, kind: Agent}]";
    insta::assert_snapshot!(said(list), @"line 3, column 1: write each Agent of this list as a document of its own, with --- between");
}

#[test]
fn a_checked_agent_holds_what_was_written() {
    let agents = specs::taken().into_iter();
    let mut agents = agents.filter(|case| case.kind == Kind::Agent);
    let checked = |case: Case| {
        let manifest = validate::manifest(&case.manifest("agent-1")).unwrap();
        validate::agent(&manifest.agents[0]).unwrap()
    };
    insta::assert_debug_snapshot!(checked(agents.next().unwrap()), @r#"
    AgentResource {
        namespace: "",
        name: "agent-1",
        uid: "",
        created_at: 1970-01-01T00:00:00Z,
        agent: Agent {
            code: "agent-1",
            display_name: None,
            goals: [],
            baseline: Some(
                "A",
            ),
            target_lift: None,
            variations: [
                DeclaredVariation {
                    code: "A",
                    display_name: Some(
                        "Today",
                    ),
                    weight: 1.0,
                },
                DeclaredVariation {
                    code: "B",
                    display_name: Some(
                        "Green",
                    ),
                    weight: 1.0,
                },
            ],
        },
    }
    "#);
    let everything = agents.find(|case| case.name == "everything else said");
    insta::assert_debug_snapshot!(checked(everything.unwrap()).agent, @r#"
    Agent {
        code: "checkout button",
        display_name: Some(
            "Checkout button",
        ),
        goals: [
            "sales",
            "calls",
        ],
        baseline: Some(
            "A",
        ),
        target_lift: Some(
            0.02,
        ),
        variations: [
            DeclaredVariation {
                code: "A",
                display_name: Some(
                    "Today",
                ),
                weight: 9.0,
            },
            DeclaredVariation {
                code: "B",
                display_name: Some(
                    "Green",
                ),
                weight: 1.0,
            },
        ],
    }
    "#);
}

/// Cron and zone are beyond CEL: the operator stalls, and files are refused by the same words.
#[test]
fn a_bad_schedule_is_told_by_its_reason() {
    for (spec, expected) in [
        ("schedule: 0 25 * * *", "InvalidSchedule spec.schedule"),
        ("schedule: 0 9 31 2 *", "InvalidSchedule spec.schedule"),
        ("schedule: ''", "InvalidSchedule spec.schedule"),
        ("timeZone: Mars/Olympus", "InvalidTimeZone spec.timeZone"),
        ("timeZone: ''", "InvalidTimeZone spec.timeZone"),
        ("historyLimit: 0", "InvalidSpec spec.historyLimit"),
    ] {
        let mut resource: DataSource = unchecked(&specs::taken()[0].manifest("shop"));
        let change: Value = serde_yaml::from_str(spec).unwrap();
        let mut raw = serde_json::to_value(&resource).unwrap();
        raw["spec"]
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        resource = serde_json::from_value(raw).unwrap();
        let problems = validate::data_source(&resource, "", &defaults()).unwrap_err();
        let told: Vec<_> = problems
            .iter()
            .map(|it| format!("{} {}", it.reason.as_str(), it.field))
            .collect();
        assert_eq!(told, [expected], "{spec}");
    }
}

#[test]
fn a_checked_spec_holds_what_was_written() {
    let everything = specs::taken()
        .into_iter()
        .find(|case| case.name == "everything else said");
    let manifest = everything.unwrap().manifest("shop");
    let resources = validate::manifest(&manifest).unwrap().data_sources;
    let source = validate::data_source(&resources[0], "growth", &defaults()).unwrap();
    insta::assert_debug_snapshot!(source.goals, @r#"
    [
        Goal {
            code: "refunds",
            display_name: Some(
                "Refunds",
            ),
            numeric: true,
            allow_negative: true,
            good_direction: Decrease,
        },
    ]
    "#);
    insta::assert_debug_snapshot!(source.object, @r#"
    S3Object {
        region: "us-east-1",
        bucket: "com.my-company.counts",
        key: "exports/counts.csv",
        account_id: Some(
            "123456789012",
        ),
        endpoint: None,
        force_path_style: false,
        identity: Operator,
        role: None,
    }
    "#);
    let rest = (
        source.display_name.as_str(),
        source.dating,
        source.starting_deadline,
        source.suspend,
        source.timeout,
        source.max_object_bytes,
        source.history_limit,
        source.on_integrity_problem,
        source.deletion_policy,
    );
    insta::assert_debug_snapshot!(rest, @r#"
    (
        "Internal Conversion Events",
        Event,
        43200s,
        true,
        600s,
        1073741824,
        10,
        Reject,
        Delete,
    )
    "#);
    assert!(source.schedule.text().contains("30 6 * * 1-5"));
    assert!(source.schedule.text().contains("America/New_York"));

    let least = validate::manifest(&specs::taken()[0].manifest("shop")).unwrap();
    let least = least.data_sources;
    let least = validate::data_source(&least[0], "growth", &defaults()).unwrap();
    assert_eq!(least.display_name, "shop");
    assert_eq!(least.goals[0].display_name, None);
    assert_eq!(least.id, source.id);
}

#[test]
fn an_operator_assumes_a_role_by_an_id_of_the_namespace_and_a_tenant_by_its_own() {
    let object = |more: &str| {
        let manifest = format!(
            "apiVersion: sumsq.dev/v1alpha1
kind: DataSource
metadata: {{name: shop, namespace: growth}}
spec:
  source:
    s3: {{region: us-east-1, bucket: counts, key: a.csv, accountId: \"123456789012\", {more}}}
"
        );
        let resources = validate::manifest(&manifest).unwrap().data_sources;
        let source = validate::data_source(&resources[0], "uid-1", &defaults()).unwrap();
        (source.object.identity, source.object.role)
    };
    let role = "roleArn: arn:aws:iam::123456789012:role/r";
    let assumed = |external_id: Option<&str>| {
        Some(AssumedRole {
            arn: "arn:aws:iam::123456789012:role/r".to_owned(),
            external_id: external_id.map(str::to_owned),
        })
    };
    let account = || Identity::ServiceAccount {
        name: "reader".to_owned(),
    };
    let named = "serviceAccountName: reader";
    for (more, expected) in [
        (String::new(), (Identity::Operator, None)),
        (
            role.to_owned(),
            (Identity::Operator, assumed(Some("sumsq:growth:uid-1"))),
        ),
        (named.to_owned(), (account(), None)),
        (format!("{named}, {role}"), (account(), assumed(None))),
        (
            format!("{named}, {role}, externalId: ours"),
            (account(), assumed(Some("ours"))),
        ),
    ] {
        assert_eq!(object(&more), expected, "{more}");
    }
}
