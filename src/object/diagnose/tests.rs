//! What the servers of tests/s3 can't bring about: other clocks, partitions, identities, wordings.

use super::super::denial::{Denial, denial};
use super::super::failure::{IdentityFailure, NoAnswer};
use super::*;
use crate::domain::fetch::MAX_MESSAGE_CHARS;

fn object() -> S3Object {
    S3Object {
        region: "us-east-1".to_owned(),
        bucket: "counts".to_owned(),
        key: "exports/counts.csv".to_owned(),
        account_id: Some("123456789012".to_owned()),
        endpoint: None,
        force_path_style: false,
        identity: Identity::Operator,
        role: None,
    }
}

fn attempt(object: &S3Object) -> Attempt<'_> {
    Attempt {
        object,
        namespace: "growth",
        endpoint: Some("https://counts.s3.us-east-1.amazonaws.com".to_owned()),
        overridden: false,
        lacks_session_token: false,
        timeouts: Timeouts::default(),
        now: "2026-11-24T12:00:00Z".parse().unwrap(),
        reader: None,
        session: None,
        denial: None,
        web_identity: None,
    }
}

fn answer(status: u16, code: &str, message: &str) -> Answer {
    Answer {
        status,
        code: (!code.is_empty()).then(|| code.to_owned()),
        message: (!message.is_empty()).then(|| message.to_owned()),
        ..Answer::default()
    }
}

fn hint(answer: &Answer, attempt: &Attempt<'_>) -> String {
    diagnose(&Failure::Answer(answer.clone()), attempt).hint
}

#[test]
fn the_class_is_the_code_where_it_is_known_and_else_the_status() {
    for (status, code, expected) in [
        (404, "NoSuchKey", ErrorCode::NoSuchKey),
        (403, "RequestTimeTooSkewed", ErrorCode::RequestTimeTooSkewed),
        (412, "PreconditionFailed", ErrorCode::ObjectChanged),
        (400, "RequestTimeout", ErrorCode::Timeout),
        (400, "ExpiredTokenException", ErrorCode::ExpiredToken),
        (400, "Throttling", ErrorCode::SlowDown),
        (429, "TooManyRequests", ErrorCode::SlowDown),
        (503, "Busy", ErrorCode::ServiceUnavailable),
        (400, "KMS.DisabledException", ErrorCode::S3Error),
        (400, "StoreFull", ErrorCode::S3Error),
        (301, "", ErrorCode::PermanentRedirect),
        (403, "", ErrorCode::AccessDenied),
        (404, "", ErrorCode::S3Error),
        (412, "", ErrorCode::ObjectChanged),
        (500, "", ErrorCode::InternalError),
        (502, "", ErrorCode::BadGateway),
        (504, "", ErrorCode::GatewayTimeout),
    ] {
        let class = class_of(&answer(status, code, ""));
        assert_eq!(class, expected, "{status} {code}");
    }
}

#[test]
fn a_denial_is_about_what_its_message_says() {
    let kms = |key: Option<&str>| Denial::Kms {
        key: key.map(str::to_owned),
    };
    for (message, expected) in [
        (
            "User: arn:aws:iam::1:user/r is not authorized to perform: s3:ListBucket on resource: \"arn:aws:s3:::b\"",
            Denial::ListBucket,
        ),
        (
            "User: arn:aws:iam::1:user/r is not authorized to perform: s3:GetObject on resource: \"x\" because no identity-based policy allows it",
            Denial::NotGranted,
        ),
        (
            "User: arn:aws:iam::1:user/r is not authorized to perform: s3:GetObject with an explicit deny in a service control policy",
            Denial::Explicit,
        ),
        (
            "User: arn:aws:iam::1:user/r is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext",
            kms(None),
        ),
        (
            "... kms:Decrypt on resource: \"arn:aws-cn:kms:cn-north-1:1:key/2\".",
            kms(Some("arn:aws-cn:kms:cn-north-1:1:key/2")),
        ),
        (
            "The ciphertext refers to a customer master key that does not exist",
            kms(None),
        ),
        ("Access Denied", Denial::NotNamed),
        ("Access denied by administrator.", Denial::NotNamed),
        ("", Denial::NotNamed),
    ] {
        assert_eq!(
            denial(&answer(403, "AccessDenied", message)),
            Some(expected),
            "{message}"
        );
    }
    assert_eq!(denial(&answer(403, "", "")), Some(Denial::NotNamed));
    assert_eq!(denial(&answer(403, "InvalidAccessKeyId", "")), None);
    assert_eq!(denial(&answer(404, "NoSuchKey", "")), None);
}

#[test]
fn statements_name_the_role_and_the_partition() {
    let mut object = object();
    object.region = "cn-north-1".to_owned();
    let message = "User: arn:aws-cn:sts::123456789012:assumed-role/sumsq/i-1 is not authorized to \
                   perform: s3:GetObject on resource: \"arn:aws-cn:s3:::counts/exports/counts.csv\"";
    let denied = Failure::Answer(answer(403, "AccessDenied", message));
    let error = diagnose(&denied, &attempt(&object));
    let [policy] = &error.policies[..] else {
        panic!("{error:?}")
    };
    assert_eq!(policy.target, "bucket policy");
    insta::assert_snapshot!(policy.statement, @r#"
    {
      "Sid": "LetSumsqReadCounts",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws-cn:iam::123456789012:role/sumsq"
      },
      "Action": "s3:GetObject",
      "Resource": "arn:aws-cn:s3:::counts/exports/counts.csv"
    }
    "#);
}

#[test]
fn a_reader_that_nobody_names_is_asked_for() {
    let object = object();
    insta::assert_snapshot!(hint(&answer(403, "AccessDenied", "Access Denied"), &attempt(&object)), @"Grant s3:GetObject on counts/exports/counts.csv to the operator's own identity; `aws sts get-caller-identity` with its credentials tells its ARN. Where that is granted already, compare `key` with the bucket's contents: to a reader without s3:ListBucket, S3 says AccessDenied for a missing key too.");
    insta::assert_snapshot!(hint(&answer(403, "AccessDenied", "The ciphertext refers to a key"), &attempt(&object)), @"Grant kms:Decrypt on the object's KMS key to the operator's own identity; `aws sts get-caller-identity` with its credentials tells its ARN.");
}

#[test]
fn the_operators_own_credentials_are_called_so() {
    let object = object();
    for code in ["InvalidAccessKeyId", "SignatureDoesNotMatch"] {
        let hint = hint(&answer(403, code, ""), &attempt(&object));
        assert!(
            hint.starts_with("the operator's own credentials: "),
            "{hint}"
        );
    }
    insta::assert_snapshot!(hint(&answer(400, "ExpiredToken", ""), &attempt(&object)), @"The operator's own credentials have ended. Check what renews them: the service account's token, the node's role, or the session of a profile.");
}

#[test]
fn a_clock_is_compared_with_the_servers() {
    let object = object();
    let skewed = |date: &str| {
        let date = date.parse().ok();
        hint(
            &Answer {
                date,
                ..answer(403, "RequestTimeTooSkewed", "")
            },
            &attempt(&object),
        )
    };
    insta::assert_snapshot!(skewed("2026-11-24T12:20:05Z"), @"The clock of the operator's node is 20m 5s behind the server's: let the node keep time (chrony, systemd-timesyncd).");
    insta::assert_snapshot!(skewed("2026-11-23T11:00:00Z"), @"The clock of the operator's node is 25h ahead of the server's: let the node keep time (chrony, systemd-timesyncd).");
    insta::assert_snapshot!(skewed("2026-11-24T12:00:30Z"), @"The server's clock and that of the operator's node agree at this moment: let the node keep time (chrony, systemd-timesyncd).");
    insta::assert_snapshot!(skewed("unknown"), @"The clock of the operator's node is wrong: let the node keep time (chrony, systemd-timesyncd).");
}

#[test]
fn regions_are_found_in_texts() {
    for (text, expected) in [
        (
            "the region 'us-east-1' is wrong; expecting 'eu-west-2'",
            vec!["us-east-1", "eu-west-2"],
        ),
        (
            "counts.s3.us-gov-west-1.amazonaws.com",
            vec!["us-gov-west-1"],
        ),
        ("counts.s3-eu-west-1.amazonaws.com", vec!["eu-west-1"]),
        ("com-my-company-counts.s3.amazonaws.com", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(regions(text).collect::<Vec<_>>(), expected, "{text}");
    }
}

#[test]
fn a_region_that_nobody_names_is_to_be_looked_up() {
    let object = object();
    insta::assert_snapshot!(hint(&answer(301, "", ""), &attempt(&object)), @"Set `region` to the one that bucket counts is in; us-east-1 is not it. `aws s3api get-bucket-location --bucket counts` tells it.");
}

#[test]
fn what_does_not_connect_to_aws_points_at_region_and_network() {
    let object = object();
    let shown = |cause| diagnose(&Failure::NoAnswer(cause), &attempt(&object));
    let error = shown(NoAnswer::NameNotFound("no such host".to_owned()));
    insta::assert_snapshot!(format!("{error}\n{}", error.hint), @r#"
    ConnectFailed: the name in https://counts.s3.us-east-1.amazonaws.com cannot be resolved
    Check `region` (us-east-1) for a typo, and that the operator's DNS knows the name.
    "#);
    let error = shown(NoAnswer::ConnectTimeout);
    insta::assert_snapshot!(format!("{error}\n{}", error.hint), @r#"
    Timeout: no connection to https://counts.s3.us-east-1.amazonaws.com within 10s
    Check that network policies, proxies and routes let the operator reach S3 (a NAT gateway or a VPC endpoint).
    "#);
}

#[test]
fn a_role_refused_without_a_token_is_explained_too() {
    let object = object();
    let cause = IdentityFailure::RoleRefused {
        code: Some("AccessDenied".to_owned()),
        message: None,
    };
    let error = diagnose(&Failure::Identity(cause), &attempt(&object));
    insta::assert_snapshot!(format!("{}: {error}\n{}", error.class.as_str(), error.hint), @r#"
    AssumeRoleFailed: AccessDenied: STS refused the role
    STS does not give the operator its role: the role's trust policy must allow sts:AssumeRole to the identity that asks for it.
    "#);
}

proptest::proptest! {
    /// Whatever a server says, it is shown in bounds and breaks nothing.
    #[test]
    fn any_answer_can_be_shown(status in 300_u16..600, code in "\\PC{0,40}|AccessDenied", message in "(?s).{0,2000}") {
        let object = object();
        let error = diagnose(&Failure::Answer(answer(status, &code, &message)), &attempt(&object));
        proptest::prop_assert!(error.message.chars().count() <= MAX_MESSAGE_CHARS);
        proptest::prop_assert!(!error.message.chars().any(char::is_control));
        proptest::prop_assert!(!error.hint.is_empty());
    }
}
