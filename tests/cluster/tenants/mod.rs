//! What the operator does for whom: ServiceAccounts' roles by real tokens of the API server, roles
//! that it assumes for a namespace, and what it lends to none.

mod accounts;
mod lends;

use serde_json::{Value, json};

use crate::buckets::Bucket;
use crate::operator::{Operator, condition};
use crate::support::kubernetes::Cluster;

/// What reads the bucket, and no other.
fn reads(bucket: &Bucket) -> Value {
    let resource = format!("arn:aws:s3:::{}/*", bucket.name);
    json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource})
}

/// What stands below a heading of the newest error's hint, to its end.
fn ready_made(status: &Value, heading: &str) -> String {
    let hint = status["history"][0]["error"]["hint"].as_str();
    let hint = hint.expect("the newest fetch has failed");
    let Some((_, made)) = hint.split_once(&format!("{heading}:\n")) else {
        panic!("no {heading} in {hint}");
    };
    made.to_owned()
}

async fn fetch_now(operator: &Operator, name: &str) {
    let token = uuid::Uuid::now_v7();
    let annotation = format!("sumsq.dev/fetch-requested-at={token}");
    operator.annotate(name, &annotation).await;
}

fn ready_message(status: &Value) -> &str {
    let ready = condition(status, "Ready").expect("it is said");
    ready["message"].as_str().expect("in words")
}

async fn namespace_uid(cluster: &Cluster, namespace: &str) -> String {
    let args = [
        "get",
        "namespace",
        namespace,
        "-o",
        "jsonpath={.metadata.uid}",
    ];
    cluster.kubectl(&args).await.expect_success()
}
