//! `kubectl sumsq policy`: what to paste at AWS so that the identity in use may read the object.

use std::fmt::Write;

use indexmap::IndexMap;
use kube::ResourceExt;
use serde::Serialize;
use serde_json::Value;

use super::cluster::Cluster;
use super::failure::{Failure, Result};
use super::names;
use super::output::{Data, data, data_source_name, print};
use crate::args::plugin::{Format, PolicyArgs, PolicyKind};
use crate::crd::data_source::{DataSource, S3};
use crate::domain::fetch::ReadyPolicy;
use crate::object::{Grants, Place, grants};

pub(super) async fn run(cluster: &Cluster, args: &PolicyArgs) -> Result<()> {
    let name = names::of_data_source(&args.name)?;
    let source = names::data_source(cluster, name).await?;
    let policies = Policies::of(&source, args)?;
    let text = match (args.only, Data::asked_for(args.output)) {
        (Some(only), _) => data(&policies.document(only), Data::Json)?,
        (None, Some(format)) => data(&policies.listed(), format)?,
        (None, None) if args.output == Some(Format::Name) => data_source_name(name),
        (None, None) => policies.text(),
    };
    print(&text);
    Ok(())
}

struct Policies<'a> {
    source: &'a DataSource,
    s3: &'a S3,
    grants: Grants,
    knows_key: bool,
}

/// What `-o json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    namespace: String,
    name: String,
    reader: &'a str,
    bucket: &'a str,
    key: &'a str,
    /// Then the reader's own policy must allow it, too.
    crosses_accounts: bool,
    policies: Vec<Policy>,
}

#[derive(Serialize)]
struct Policy {
    target: &'static str,
    document: Document,
}

/// A whole policy, in the order in which people write it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    version: &'static str,
    statement: Vec<IndexMap<String, Value>>,
}

impl<'a> Policies<'a> {
    fn of(source: &'a DataSource, args: &PolicyArgs) -> Result<Self> {
        let (namespace, name) = (source.namespace().unwrap_or_default(), source.name_any());
        let s3 = source
            .spec
            .source
            .as_ref()
            .and_then(|from| from.s3.as_ref());
        let Some(s3) = s3 else {
            return Err(Failure::new(format!(
                "error: {namespace}/{name} names no object in S3"
            )));
        };
        let status = source.status.as_ref();
        let known = status.and_then(|status| status.reader.as_deref());
        let Some(reader) = args.reader.as_deref().or(known) else {
            return Err(Failure::new(format!(
                "error: it is not known yet who reads {namespace}/{name}: status.reader is empty"
            ))
            .with_hint(
                "it is learnt before the first fetch; or name it by --reader, as `aws sts \
                 get-caller-identity` with its credentials prints it",
            ));
        };
        let denied = denied_key(source);
        let key = args.kms_key.as_deref().or(denied);
        let place = Place {
            region: &s3.region,
            bucket: &s3.bucket,
            key: &s3.key,
            account_id: s3.account_id.as_deref(),
        };
        Ok(Self {
            source,
            s3,
            grants: grants(place, reader, key),
            knows_key: key.is_some(),
        })
    }

    fn document(&self, kind: PolicyKind) -> Document {
        match kind {
            PolicyKind::Bucket => document(std::slice::from_ref(&self.grants.bucket)),
            PolicyKind::Key => document(std::slice::from_ref(&self.grants.key)),
            PolicyKind::Reader => document(&self.grants.identity),
        }
    }

    fn listed(&self) -> Listed<'_> {
        let policy = |target, kind| Policy {
            target,
            document: self.document(kind),
        };
        Listed {
            namespace: self.source.namespace().unwrap_or_default(),
            name: self.source.name_any(),
            reader: &self.grants.reader,
            bucket: &self.s3.bucket,
            key: &self.s3.key,
            crosses_accounts: self.grants.crosses_accounts,
            policies: vec![
                policy("bucket", PolicyKind::Bucket),
                policy("key", PolicyKind::Key),
                policy("reader", PolicyKind::Reader),
            ],
        }
    }

    fn text(&self) -> String {
        let name = self.source.name_any();
        let namespace = self.source.namespace().unwrap_or_default();
        let S3 { bucket, key, .. } = self.s3;
        let mut text = format!(
            "dsrc/{name} in {namespace} reads s3://{bucket}/{key} as\n{}\n",
            self.grants.reader
        );
        if let Some(endpoint) = &self.s3.endpoint {
            _ = writeln!(
                text,
                "from {endpoint}: what follows is AWS's language, which that store may not speak"
            );
        }
        let both = self.grants.crosses_accounts;
        let bucket = if both {
            "The bucket's policy (the reader is of another account: its own policy must allow it, too)"
        } else {
            "The bucket's policy (within one account this or the reader's own is enough)"
        };
        self.section(&mut text, bucket, PolicyKind::Bucket);
        let key = if self.knows_key {
            "The KMS key's policy (add the statement to what the key has)"
        } else {
            "The KMS key's policy, where the object is encrypted with a key of your own (add the \
             statement to what the key has)"
        };
        self.section(&mut text, key, PolicyKind::Key);
        let reader = match (both, self.knows_key) {
            (true, true) => "The reader's own policy",
            (true, false) => "The reader's own policy (with a KMS key: --kms-key ARN adds it)",
            (false, _) => "The reader's own policy, instead of the bucket's",
        };
        self.section(&mut text, reader, PolicyKind::Reader);
        text
    }

    fn section(&self, text: &mut String, title: &str, kind: PolicyKind) {
        let document = serde_json::to_string_pretty(&self.document(kind)).unwrap_or_default();
        _ = write!(text, "\n{title}:\n{document}\n");
    }
}

fn document(statements: &[ReadyPolicy]) -> Document {
    let statements = statements.iter();
    Document {
        version: "2012-10-17",
        statement: statements
            .filter_map(|policy| serde_json::from_str(&policy.statement).ok())
            .collect(),
    }
}

/// The key that the newest fetch was denied, as AWS has named it.
fn denied_key(source: &DataSource) -> Option<&str> {
    let error = source.status.as_ref()?.history.first()?.error.as_ref()?;
    let mut words = error
        .message
        .split(|letter: char| letter.is_whitespace() || "\"'(),;".contains(letter));
    let key = words.find(|word| word.starts_with("arn:") && word.contains(":kms:"))?;
    Some(key.trim_end_matches('.'))
}
