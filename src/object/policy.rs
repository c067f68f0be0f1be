//! ARNs, and the policy statements to copy and paste. Pure.

use serde::Serialize;

use super::web_identity::WebIdentity;
use crate::domain::fetch::ReadyPolicy;

/// What a policy names as its principal: of an assumed role's session, the role. A role's path is
/// not part of its session's ARN, so it is missing here too; other ARNs stay as they are.
pub(super) fn principal(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let ["arn", partition, "sts", _, account, resource] = parts[..]
        && let Some(session) = resource.strip_prefix("assumed-role/")
        && let Some((role, _session)) = session.split_once('/')
    {
        return format!("arn:{partition}:iam::{account}:role/{role}");
    }
    arn.to_owned()
}

/// The account that an ARN names.
pub(super) fn account(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

/// The part of AWS that a region belongs to, as its ARNs write it.
pub(super) fn partition(region: &str) -> &'static str {
    const OTHERS: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
    ];
    OTHERS
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or("aws", |(_, partition)| partition)
}

/// The object's ARN as a policy's resource: characters that a policy would take for wildcards are
/// written as the variables that stand for them.
pub(super) fn object_resource(region: &str, bucket: &str, key: &str) -> String {
    let mut escaped = String::with_capacity(key.len());
    for c in key.chars() {
        match c {
            '*' | '?' | '$' => escaped.extend(["${", c.encode_utf8(&mut [0; 4]), "}"]),
            c => escaped.push(c),
        }
    }
    format!("arn:{}:s3:::{bucket}/{escaped}", partition(region))
}

/// An object by its place, as a policy names it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub region: &'a str,
    pub bucket: &'a str,
    pub key: &'a str,
    /// Whose bucket it is, where that is known.
    pub account_id: Option<&'a str>,
}

/// Everything that lets a reader get an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// What the policies name: of a role's session, the role.
    pub reader: String,
    pub bucket: ReadyPolicy,
    /// For an object that is encrypted with a KMS key of one's own.
    pub key: ReadyPolicy,
    /// One statement for the object, and one for the key where its ARN is known.
    pub identity: Vec<ReadyPolicy>,
    /// Whether bucket and reader are of two accounts, so that both must allow it.
    pub crosses_accounts: bool,
}

/// What lets `reader` get the object at `place`; `kms_key` is the ARN of the key that it is
/// encrypted with, where there is one.
#[must_use]
pub fn grants(place: Place<'_>, reader: &str, kms_key: Option<&str>) -> Grants {
    let reader = principal(reader);
    let resource = object_resource(place.region, place.bucket, place.key);
    let mut identity = vec![identity_statement("s3:GetObject", &resource)];
    identity.extend(kms_key.map(|key| identity_statement("kms:Decrypt", key)));
    let of_reader = account(&reader);
    Grants {
        bucket: bucket_statement(&reader, &resource),
        key: key_statement(&reader),
        identity,
        crosses_accounts: place
            .account_id
            .zip(of_reader)
            .is_some_and(|(owner, account)| owner != account),
        reader,
    }
}

/// Lets `reader` get the object: for the bucket's own policy.
pub(super) fn bucket_statement(reader: &str, resource: &str) -> ReadyPolicy {
    ready(
        "bucket policy",
        &Statement {
            sid: "LetSumsqReadCounts",
            principal: Some(Principal::Aws(reader)),
            action: "s3:GetObject",
            resource: Some(resource),
            ..Statement::default()
        },
    )
}

/// Lets `reader` decrypt: for the policy of the key, where `*` is that key.
pub(super) fn key_statement(reader: &str) -> ReadyPolicy {
    ready(
        "key policy",
        &Statement {
            sid: "LetSumsqDecryptCounts",
            principal: Some(Principal::Aws(reader)),
            action: "kms:Decrypt",
            resource: Some("*"),
            ..Statement::default()
        },
    )
}

/// For the reader's own policy, which must agree where bucket or key are of another account.
pub(super) fn identity_statement(action: &'static str, resource: &str) -> ReadyPolicy {
    let sid = match action {
        "kms:Decrypt" => "LetSumsqDecryptCounts",
        "sts:AssumeRole" => "LetSumsqTakeRole",
        _ => "LetSumsqReadCounts",
    };
    ready(
        "identity policy",
        &Statement {
            sid,
            action,
            resource: Some(resource),
            ..Statement::default()
        },
    )
}

/// Lets the token's subject take the role: for the role's trust policy.
pub(super) fn trust_statement(identity: &WebIdentity) -> Option<ReadyPolicy> {
    let parts: Vec<&str> = identity.role_arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", _, account, _] = parts[..] else {
        return None;
    };
    let provider = identity
        .issuer
        .strip_prefix("https://")
        .unwrap_or(&identity.issuer);
    let federated = format!("arn:{partition}:iam::{account}:oidc-provider/{provider}");
    let equals = serde_json::json!({
        (format!("{provider}:sub")): identity.subject,
        (format!("{provider}:aud")): identity.audience,
    });
    Some(ready(
        "trust policy",
        &Statement {
            sid: "LetSumsqTakeThisRole",
            principal: Some(Principal::Federated(&federated)),
            action: "sts:AssumeRoleWithWebIdentity",
            condition: Some(serde_json::json!({ "StringEquals": equals })),
            ..Statement::default()
        },
    ))
}

/// Lets `asking` assume the role, under this external ID where there is one: for the role's trust
/// policy.
pub(super) fn assume_statement(asking: &str, external_id: Option<&str>) -> ReadyPolicy {
    let condition =
        external_id.map(|id| serde_json::json!({ "StringEquals": { "sts:ExternalId": id } }));
    ready(
        "trust policy",
        &Statement {
            sid: "LetSumsqTakeThisRole",
            principal: Some(Principal::Aws(asking)),
            action: "sts:AssumeRole",
            condition,
            ..Statement::default()
        },
    )
}

/// One statement, in the order in which people write them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    sid: &'static str,
    effect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Principal<'a>>,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<serde_json::Value>,
}

impl Default for Statement<'_> {
    fn default() -> Self {
        Self {
            sid: "",
            effect: "Allow",
            principal: None,
            action: "",
            resource: None,
            condition: None,
        }
    }
}

#[derive(Serialize)]
enum Principal<'a> {
    #[serde(rename = "AWS")]
    Aws(&'a str),
    Federated(&'a str),
}

fn ready(target: &str, statement: &Statement<'_>) -> ReadyPolicy {
    ReadyPolicy {
        target: target.to_owned(),
        statement: serde_json::to_string_pretty(statement).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_by_its_role() {
        for (arn, expected) in [
            (
                "arn:aws:sts::123456789012:assumed-role/sumsq/i-0abc",
                "arn:aws:iam::123456789012:role/sumsq",
            ),
            (
                "arn:aws-cn:sts::123456789012:assumed-role/sumsq/1",
                "arn:aws-cn:iam::123456789012:role/sumsq",
            ),
            (
                "arn:aws-us-gov:sts::123456789012:assumed-role/r/s",
                "arn:aws-us-gov:iam::123456789012:role/r",
            ),
            (
                "arn:aws:iam::123456789012:user/team/reader",
                "arn:aws:iam::123456789012:user/team/reader",
            ),
            (
                "arn:aws:iam::123456789012:root",
                "arn:aws:iam::123456789012:root",
            ),
            (
                "arn:aws:sts::123456789012:federated-user/bob",
                "arn:aws:sts::123456789012:federated-user/bob",
            ),
            ("something else", "something else"),
        ] {
            assert_eq!(principal(arn), expected);
        }
    }

    #[test]
    fn a_region_has_its_partition() {
        for (region, expected) in [
            ("us-east-1", "aws"),
            ("eu-west-2", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eusc-de-east-1", "aws-eusc"),
            ("", "aws"),
        ] {
            assert_eq!(partition(region), expected, "{region}");
        }
    }

    #[test]
    fn a_key_is_no_wildcard() {
        assert_eq!(
            object_resource("cn-north-1", "counts", "a/b.csv"),
            "arn:aws-cn:s3:::counts/a/b.csv"
        );
        assert_eq!(
            object_resource("us-east-1", "counts", "a*?$"),
            "arn:aws:s3:::counts/a${*}${?}${$}"
        );
    }

    #[test]
    fn a_reader_of_another_account_needs_both_sides() {
        let place = |account_id| Place {
            region: "us-east-1",
            bucket: "counts",
            key: "a.csv",
            account_id,
        };
        let session = "arn:aws:sts::123456789012:assumed-role/sumsq/i-0abc";
        let key = "arn:aws:kms:us-east-1:999999999999:key/1";
        let across = grants(place(Some("999999999999")), session, Some(key));
        assert!(across.crosses_accounts);
        assert_eq!(across.reader, "arn:aws:iam::123456789012:role/sumsq");
        assert_eq!(across.identity.len(), 2);
        assert!(across.identity[1].statement.contains(key));
        let within = grants(place(Some("123456789012")), session, None);
        assert!(!within.crosses_accounts);
        assert_eq!(within.identity.len(), 1);
        assert!(!grants(place(None), session, None).crosses_accounts);
    }

    #[test]
    fn statements_can_be_pasted() {
        let bucket = bucket_statement("arn:aws:iam::1:role/r", "arn:aws:s3:::counts/a.csv");
        insta::assert_snapshot!(bucket.statement, @r#"
    {
      "Sid": "LetSumsqReadCounts",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::1:role/r"
      },
      "Action": "s3:GetObject",
      "Resource": "arn:aws:s3:::counts/a.csv"
    }
    "#);
        let identity = WebIdentity {
            role_arn: "arn:aws:iam::123456789012:role/sumsq".into(),
            issuer: "https://oidc.eks.us-east-1.amazonaws.com/id/ABC".into(),
            subject: "system:serviceaccount:sumsq:controller".into(),
            audience: "sts.amazonaws.com".into(),
        };
        insta::assert_snapshot!(trust_statement(&identity).unwrap().statement, @r#"
    {
      "Sid": "LetSumsqTakeThisRole",
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
      },
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "StringEquals": {
          "oidc.eks.us-east-1.amazonaws.com/id/ABC:aud": "sts.amazonaws.com",
          "oidc.eks.us-east-1.amazonaws.com/id/ABC:sub": "system:serviceaccount:sumsq:controller"
        }
      }
    }
    "#);
    }
}
