//! What `kubectl apply` refuses, and with which sentence: each on the real API server, and the
//! same by `sumsq local` and `sumsq check`, which have no API server to ask.

use serde_json::{Value, json};
use sumsq::validate;

use crate::cluster_with_crds;

fn good() -> Value {
    json!({
        "apiVersion": "sumsq.dev/v1alpha1",
        "kind": "DataSource",
        "metadata": {"name": "refused"},
        "spec": {
            "goals": [{"code": "sales", "numeric": true}],
            "source": {"s3": {
                "region": "us-east-1",
                "bucket": "com.my-company.counts",
                "key": "exports/counts.csv",
                "accountId": "123456789012",
            }},
        },
    })
}

/// The good one with the value at a JSON pointer below spec replaced, or removed where it is null.
fn with(pointer: &str, value: Value) -> Value {
    let mut resource = good();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = resource
        .pointer_mut(&format!("/spec{parent}"))
        .unwrap()
        .as_object_mut()
        .unwrap();
    if value.is_null() {
        parent.remove(field);
    } else {
        parent.insert(field.to_owned(), value);
    }
    resource
}

fn goals(codes: &[&str]) -> Value {
    codes.iter().map(|code| json!({"code": code})).collect()
}

fn many_goals(count: usize) -> Value {
    (0..count)
        .map(|index| json!({"code": format!("g-{index}")}))
        .collect()
}

fn refusals() -> Vec<(&'static str, Value, &'static str)> {
    let bucket = |name: &str| with("/source/s3/bucket", json!(name));
    let key = |key: &str| with("/source/s3/key", json!(key));
    let s3 = |field: &str, value| with(&format!("/source/s3/{field}"), value);
    let spec = |field: &str, value| with(&format!("/{field}"), value);
    let arn = "bucket takes the bucket's name, not its ARN: write what follows the last colon";
    let url = "bucket takes the bucket's name, not a URL: write com.my-company.counts rather than";
    let account = "accountId takes the 12 digits of an AWS account";
    let no_account = "accountId is missing: the 12 digits of the AWS account that owns the bucket";
    let fixed = "a goal's code must not be Date, Agent, Variation, Sels, Trait_Group, Trait_Value \
                 or Policy: those columns have a meaning of their own";
    let collides = "a goal's code must not be another's with _sumsq, _val or _val_sumsq behind it";
    let endpoint = "endpoint takes an address that starts with http:// or https://";
    let quantity = "maxObjectBytes takes a quantity of bytes, such as 500Mi or 1Gi";
    vec![
        (
            "bucket as ARN",
            bucket("arn:aws:s3:::com.my-company.counts"),
            arn,
        ),
        (
            "bucket as s3 URL",
            bucket("s3://com.my-company.counts"),
            url,
        ),
        (
            "bucket as https URL",
            bucket("https://com.my-company.counts.s3.amazonaws.com/"),
            url,
        ),
        (
            "bucket as host name",
            bucket("com.my-company.counts.s3.amazonaws.com"),
            url,
        ),
        (
            "bucket with a folder",
            bucket("com.my-company.counts/exports"),
            "bucket takes a name without slashes: folders belong into key",
        ),
        (
            "bucket empty",
            bucket(""),
            "bucket takes the bucket's name as S3 shows it",
        ),
        (
            "key with a leading slash",
            key("/exports/counts.csv"),
            "key starts without a slash",
        ),
        (
            "key empty",
            key(""),
            "key takes the CSV's name in the bucket, such as exports/counts.csv",
        ),
        (
            "key as URL",
            key("s3://b/counts.csv"),
            "key takes the CSV's name in the bucket, not a URL",
        ),
        (
            "region empty",
            s3("region", json!("")),
            "region takes a region's code, such as us-east-1",
        ),
        ("accountId short", s3("accountId", json!("1234")), account),
        (
            "accountId with hyphens",
            s3("accountId", json!("1234-5678-9012")),
            account,
        ),
        (
            "accountId missing",
            s3("accountId", Value::Null),
            no_account,
        ),
        (
            "accountId missing with AWS's endpoint",
            {
                let mut resource = s3("accountId", Value::Null);
                resource["spec"]["source"]["s3"]["endpoint"] =
                    json!("https://s3.eu-west-2.amazonaws.com");
                resource
            },
            no_account,
        ),
        (
            "endpoint without scheme",
            s3("endpoint", json!("minio.example.com:9000")),
            endpoint,
        ),
        (
            "endpoint of another scheme",
            s3("endpoint", json!("ftp://minio.example.com")),
            endpoint,
        ),
        (
            "endpoint with credentials",
            s3("endpoint", json!("https://user:pw@minio.example.com")),
            endpoint,
        ),
        (
            "goal code twice",
            spec("goals", goals(&["sales", "calls", "sales"])),
            "each goal's code stands once: remove the one that is there twice",
        ),
        (
            "goal with _val",
            spec("goals", goals(&["sales", "sales_val"])),
            collides,
        ),
        (
            "goal with _sumsq",
            spec("goals", goals(&["sales_sumsq", "sales"])),
            collides,
        ),
        (
            "goal with _val_sumsq",
            spec("goals", goals(&["sales", "sales_val_sumsq"])),
            collides,
        ),
        (
            "goal as fixed column",
            spec("goals", goals(&["Agent"])),
            fixed,
        ),
        (
            "goal as fixed column, other case",
            spec("goals", goals(&["trait_GROUP"])),
            fixed,
        ),
        (
            "goal empty",
            spec("goals", goals(&[""])),
            "a goal's code takes 1 to 128 characters",
        ),
        (
            "goal with a tab",
            spec("goals", goals(&["a\tb"])),
            "a goal's code must not hold control characters",
        ),
        (
            "101 goals",
            spec("goals", many_goals(101)),
            "at most 100 goals",
        ),
        (
            "no source",
            spec("source", Value::Null),
            "source is missing: write source: {s3:",
        ),
        (
            "empty source",
            spec("source", json!({})),
            "source is missing: write source: {s3:",
        ),
        (
            "historyLimit 0",
            spec("historyLimit", json!(0)),
            "historyLimit takes 1 to 100",
        ),
        (
            "historyLimit 101",
            spec("historyLimit", json!(101)),
            "historyLimit takes 1 to 100",
        ),
        (
            "timeoutSeconds 0",
            spec("timeoutSeconds", json!(0)),
            "timeoutSeconds takes 1 to 86400",
        ),
        (
            "timeoutSeconds too long",
            spec("timeoutSeconds", json!(86_401)),
            "timeoutSeconds takes 1 to 86400",
        ),
        (
            "startingDeadlineSeconds negative",
            spec("startingDeadlineSeconds", json!(-1)),
            "startingDeadlineSeconds takes 0 to 31622400",
        ),
        (
            "maxObjectBytes in words",
            spec("maxObjectBytes", json!("a lot")),
            quantity,
        ),
        (
            "maxObjectBytes in GB",
            spec("maxObjectBytes", json!("1GB")),
            quantity,
        ),
        (
            "maxObjectBytes too small",
            spec("maxObjectBytes", json!("1")),
            "maxObjectBytes takes 1Ki to 1Ti",
        ),
        (
            "maxObjectBytes too large",
            spec("maxObjectBytes", json!("2Ti")),
            "maxObjectBytes takes 1Ki to 1Ti",
        ),
        (
            "maxObjectBytes as number",
            spec("maxObjectBytes", json!(10)),
            "maxObjectBytes takes 1Ki to 1Ti",
        ),
        (
            "secretRef elsewhere",
            s3("secretRef", json!({"name": "other/secret"})),
            "secretRef.name takes the name of a Secret in this namespace",
        ),
    ]
}

#[tokio::test]
async fn kubectl_apply_refuses_with_a_sentence_that_says_what_to_write() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("refusals").await;
    let mut wrong = Vec::new();
    for (name, resource, sentence) in refusals() {
        let output = cluster
            .kubectl_stdin(
                &["-n", namespace.name(), "apply", "-f", "-"],
                &resource.to_string(),
            )
            .await;
        if output.status.success() || !output.stderr.contains(sentence) {
            wrong.push(format!(
                "{name}: expected {sentence:?}, got\n{}{}",
                output.stdout, output.stderr
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn files_are_refused_with_the_same_sentences() {
    let mut wrong = Vec::new();
    for (name, resource, sentence) in refusals() {
        match validate::manifest(&resource.to_string()) {
            Err(error) if error.to_string().contains(sentence) => {}
            Err(error) => wrong.push(format!("{name}: expected {sentence:?}, got {error}")),
            Ok(_) => wrong.push(format!("{name}: expected {sentence:?}, was taken")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_right_is_taken() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("taken").await;
    let mut without_account = with("/source/s3/accountId", Value::Null);
    without_account["spec"]["source"]["s3"]["endpoint"] = json!("http://127.0.0.1:9000");
    for resource in [
        good(),
        with("/goals", Value::Null),
        with("/goals", many_goals(100)),
        with("/goals", json!([{"code": "g".repeat(128)}])),
        with("/maxObjectBytes", json!("1.5Gi")),
        with("/maxObjectBytes", json!(1_073_741_824)),
        without_account,
    ] {
        let applied = cluster
            .kubectl_stdin(
                &["-n", namespace.name(), "apply", "-f", "-"],
                &resource.to_string(),
            )
            .await;
        applied.expect_success();
        validate::manifest(&resource.to_string()).unwrap();
    }
}

#[tokio::test]
async fn a_second_member_of_source_and_unknown_fields_are_refused_by_name() {
    let cluster = cluster_with_crds().await;
    let namespace = cluster.namespace("strict").await;
    for (pointer, field) in [("/source/gcs", "source.gcs"), ("/shedule", "shedule")] {
        let resource = with(pointer, json!({})).to_string();
        let args = ["-n", namespace.name(), "apply", "-f", "-"];
        let refused = cluster
            .kubectl_stdin(&args, &resource)
            .await
            .expect_failure();
        assert!(
            refused.contains(&format!("unknown field \"spec.{field}\"")),
            "{refused}"
        );
        let error = validate::manifest(&resource).unwrap_err().to_string();
        assert_eq!(error, format!("unknown field spec.{field}"));
    }
}

#[tokio::test]
async fn kubectl_explain_teaches() {
    let cluster = cluster_with_crds().await;
    let explained = cluster
        .kubectl(&["explain", "dsrc.spec.source.s3"])
        .await
        .expect_success();
    assert!(
        explained.contains("The 12 digits of the AWS account that owns the bucket"),
        "{explained}"
    );
}
