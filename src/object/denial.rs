//! The many meanings of AccessDenied, told apart by its message. Pure.

use super::diagnose::Attempt;
use super::failure::Answer;
use super::policy;
use crate::domain::fetch::{ReadyPolicy, cases};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denial {
    /// The key may not exist, and the reader may not be told.
    ListBucket,
    /// The object is under a KMS key, named where it is known.
    Kms { key: Option<String> },
    /// `accountId` is not the bucket's owner.
    OtherOwner,
    /// A Deny statement, which no grant outweighs.
    Explicit,
    /// The action is named: it is not granted.
    NotGranted,
    /// "Access Denied", no more.
    NotNamed,
}

impl Denial {
    pub(super) fn concerns_the_reader(&self) -> bool {
        !matches!(self, Self::ListBucket | Self::OtherOwner)
    }
}

/// What a denial is about, as far as its message says; None: it is no denial.
pub(super) fn denial(answer: &Answer) -> Option<Denial> {
    match answer.code.as_deref() {
        Some("AccessDenied") => {}
        None if answer.status == 403 => {}
        _ => return None,
    }
    let message = answer.message.as_deref().unwrap_or_default();
    let lower = message.to_lowercase();
    Some(if lower.contains("s3:listbucket") {
        Denial::ListBucket
    } else if lower.contains("explicit deny") {
        Denial::Explicit
    } else if lower.contains("kms:") || lower.contains("ciphertext") {
        Denial::Kms {
            key: arns(message)
                .find(|arn| arn.contains(":kms:"))
                .map(str::to_owned),
        }
    } else if lower.contains("not authorized to perform") {
        Denial::NotGranted
    } else {
        Denial::NotNamed
    })
}

/// The hint and the statements that would mend it.
pub(super) fn remedy(
    denial: &Denial,
    answer: &Answer,
    attempt: &Attempt<'_>,
) -> (String, Vec<ReadyPolicy>) {
    let message = answer.message.as_deref().unwrap_or_default();
    // S3 names whom it has refused in most denials; STS only says who asks it.
    // Of a role that was asked for, the ARN is known with its path.
    let reader = attempt.session.clone();
    let reader = reader.or_else(|| named_reader(message));
    let reader = reader.or_else(|| attempt.reader.clone());
    match denial {
        Denial::ListBucket => (
            cases::key_may_not_exist(&attempt.object.key, &attempt.object.bucket),
            Vec::new(),
        ),
        Denial::OtherOwner => (other_owner(attempt), Vec::new()),
        Denial::Explicit => (
            cases::except_from_denial(reader.unwrap_or_else(|| attempt.who())),
            Vec::new(),
        ),
        Denial::Kms { key } => kms(key.as_deref(), reader, attempt),
        Denial::NotGranted => not_granted(reader, attempt),
        Denial::NotNamed => {
            let (hint, policies) = not_granted(reader, attempt);
            (hint + &cases::granted_already(), policies)
        }
    }
}

fn other_owner(attempt: &Attempt<'_>) -> String {
    let account = attempt.object.account_id.as_deref().unwrap_or_default();
    cases::other_owner(account, &attempt.object.bucket)
}

fn not_granted(reader: Option<String>, attempt: &Attempt<'_>) -> (String, Vec<ReadyPolicy>) {
    let object = attempt.object;
    let resource = policy::object_resource(&object.region, &object.bucket, &object.key);
    let Some(reader) = reader else {
        let hint = cases::grant_reading_to_whom(&object.bucket, &object.key, attempt.who());
        return (hint, Vec::new());
    };
    let mut hint = cases::grant_reading(&object.bucket, &object.key, &reader);
    let mut policies = vec![policy::bucket_statement(&reader, &resource)];
    if attempt.is_of_another_account(&reader) {
        policies.push(policy::identity_statement("s3:GetObject", &resource));
        hint += &cases::both_policies();
    }
    (hint, policies)
}

fn kms(
    key: Option<&str>,
    reader: Option<String>,
    attempt: &Attempt<'_>,
) -> (String, Vec<ReadyPolicy>) {
    let key_words = key.map_or_else(
        || "the object's KMS key".to_owned(),
        |key| format!("KMS key {key}"),
    );
    let Some(reader) = reader else {
        let hint = cases::grant_decrypting_to_whom(key_words, attempt.who());
        return (hint, Vec::new());
    };
    let mut hint = cases::grant_decrypting(key_words, &reader);
    let mut policies = vec![policy::key_statement(&reader)];
    if attempt.is_of_another_account(&reader) {
        policies.extend(key.map(|key| policy::identity_statement("kms:Decrypt", key)));
        hint += &cases::both_key_policies();
    }
    (hint, policies)
}

/// Whom a message of AWS's begins with: `User: ARN is not authorized`.
pub(super) fn named_reader(message: &str) -> Option<String> {
    let arn = arns(message.strip_prefix("User: ")?).next()?;
    let names_someone = arn.contains(":iam:") || arn.contains(":sts:");
    names_someone.then(|| policy::principal(arn))
}

/// The ARNs in a message, without the quotes around them.
fn arns(message: &str) -> impl Iterator<Item = &str> {
    message
        .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '(' | ')'))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.starts_with("arn:"))
}
