//! What STS says that the server of tests/s3 does not.

use super::super::super::failure::NoAnswer;
use super::*;
use crate::domain::tenancy::endpoints::Refusal;

const ROLE: &str = "arn:aws:iam::123456789012:role/team/counts-reader";

fn account(other_audience: Option<&str>) -> ServiceAccount {
    ServiceAccount {
        namespace: "growth".to_owned(),
        name: "counts-reader".to_owned(),
        uid: "uid-1".to_owned(),
        role_arn: ROLE.to_owned(),
        regional_sts: true,
        other_audience: other_audience.map(str::to_owned),
    }
}

fn claims() -> WebIdentity {
    WebIdentity {
        role_arn: ROLE.to_owned(),
        issuer: "https://oidc.example/id/1".to_owned(),
        subject: "system:serviceaccount:growth:counts-reader".to_owned(),
        audience: TOKEN_AUDIENCE.to_owned(),
    }
}

fn answer(status: u16, code: &str, message: &str) -> Failure {
    Failure::Answer(Answer {
        status,
        code: Some(code.to_owned()),
        message: Some(message.to_owned()),
        ..Answer::default()
    })
}

fn told(error: &FetchError) -> String {
    let policies: Vec<&str> = error
        .policies
        .iter()
        .map(|made| made.target.as_str())
        .collect();
    format!(
        "{}: {error}\n{}\n{policies:?}",
        error.class.as_str(),
        error.hint
    )
}

fn of_account(failure: &Failure) -> String {
    let claims = claims();
    told(&account_refused(
        failure,
        &account(None),
        Some(&claims),
        Timeouts::default(),
    ))
}

#[test]
fn a_cluster_that_the_account_does_not_know_is_named() {
    let failure = answer(
        400,
        "InvalidIdentityToken",
        "No OpenIDConnect provider found in your account for https://oidc.example/id/1",
    );
    insta::assert_snapshot!(of_account(&failure), @r#"
    AssumeRoleFailed: InvalidIdentityToken: No OpenIDConnect provider found in your account for https://oidc.example/id/1
    The account of arn:aws:iam::123456789012:role/team/counts-reader needs an OIDC provider (IAM, identity providers) for https://oidc.example/id/1 with the audience sts.amazonaws.com, whose keys AWS can fetch.
    ["trust policy"]
    "#);
}

#[test]
fn what_passes_by_itself_is_no_refusal() {
    for (status, code, class) in [
        (400, "Throttling", "SlowDown"),
        (400, "RequestLimitExceeded", "SlowDown"),
        (503, "ServiceUnavailable", "ServiceUnavailable"),
        (500, "InternalFailure", "InternalError"),
        (403, "AccessDenied", "AssumeRoleFailed"),
        (400, "InvalidIdentityToken", "AssumeRoleFailed"),
        (400, "ExpiredTokenException", "AssumeRoleFailed"),
        (400, "IDPCommunicationError", "AssumeRoleFailed"),
        (403, "RegionDisabledException", "AssumeRoleFailed"),
        // A reason of ours out of a server's mouth.
        (400, "EndpointNotAllowed", "AssumeRoleFailed"),
    ] {
        let error = account_refused(
            &answer(status, code, "x"),
            &account(None),
            None,
            Timeouts::default(),
        );
        assert_eq!(error.class.as_str(), class, "{code}");
        assert_eq!(error.code, code);
    }
}

#[test]
fn another_audience_is_told_of() {
    let failure = answer(400, "InvalidIdentityToken", "Incorrect token audience");
    let account = account(Some("vault"));
    let error = account_refused(&failure, &account, Some(&claims()), Timeouts::default());
    let says = "The annotation eks.amazonaws.com/audience says vault, which is not asked for";
    assert!(error.hint.contains(says), "{}", error.hint);
}

fn object(identity: Identity) -> S3Object {
    S3Object {
        region: "us-east-1".to_owned(),
        bucket: "counts".to_owned(),
        key: "counts.csv".to_owned(),
        account_id: None,
        endpoint: None,
        force_path_style: false,
        identity,
        role: None,
    }
}

fn of_role(failure: &Failure, identity: Identity, asking: Option<&str>) -> FetchError {
    let role = AssumedRole {
        arn: ROLE.to_owned(),
        external_id: Some("sumsq:growth:uid-1".to_owned()),
    };
    let refused = Refused {
        object: &object(identity),
        namespace: "growth",
        role: &role,
        asking: asking.map(str::to_owned),
        timeouts: Timeouts::default(),
    };
    role_refused(failure, &refused)
}

#[test]
fn the_operators_role_in_another_account_needs_both_policies() {
    let failure = answer(
        403,
        "AccessDenied",
        "User: arn:aws:sts::444455556666:assumed-role/sumsq/1 is not authorized to perform: \
         sts:AssumeRole on resource: arn:aws:iam::123456789012:role/team/counts-reader",
    );
    let asking = Some("arn:aws:iam::444455556666:role/sumsq");
    let error = of_role(&failure, Identity::Operator, asking);
    insta::assert_snapshot!(told(&error), @r#"
    AssumeRoleFailed: AccessDenied: User: arn:aws:sts::444455556666:assumed-role/sumsq/1 is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/team/counts-reader
    STS does not give arn:aws:iam::123456789012:role/team/counts-reader to arn:aws:iam::444455556666:role/sumsq. The role must exist, and its trust policy must allow sts:AssumeRole to that identity with the external ID sumsq:growth:uid-1: the statement is ready. Where the identity is of another account than the role, its own policy must allow sts:AssumeRole on the role, too. The operator makes the external ID of this namespace's name and UID: a namespace that is made anew has another.
    ["trust policy", "identity policy"]
    "#);
    insta::assert_snapshot!(error.policies[0].statement, @r#"
    {
      "Sid": "LetSumsqTakeThisRole",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::444455556666:role/sumsq"
      },
      "Action": "sts:AssumeRole",
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": "sumsq:growth:uid-1"
        }
      }
    }
    "#);
    insta::assert_snapshot!(error.policies[1].statement, @r#"
    {
      "Sid": "LetSumsqTakeRole",
      "Effect": "Allow",
      "Action": "sts:AssumeRole",
      "Resource": "arn:aws:iam::123456789012:role/team/counts-reader"
    }
    "#);
    // Nobody else says who asked: the message does.
    let unknown = of_role(&failure, Identity::Operator, None);
    assert_eq!(unknown.policies, error.policies);
}

#[test]
fn an_operator_without_an_identity_assumes_nothing() {
    let failure = Failure::Identity(IdentityFailure::NotFound);
    insta::assert_snapshot!(told(&of_role(&failure, Identity::Operator, None)), @r#"
    NoCredentials: NoCredentials: no credentials for the operator's own identity, which is to assume the role
    Give the operator's service account a role (EKS: annotation eks.amazonaws.com/role-arn, or Pod Identity); or name an identity of your own in `serviceAccountName` or `secretRef`.
    []
    "#);
}

#[test]
fn keys_that_sts_does_not_know_are_the_secrets() {
    let secret = || Identity::Secret {
        name: "s3".to_owned(),
    };
    let failure = answer(
        403,
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
    );
    let error = of_role(&failure, secret(), None);
    insta::assert_snapshot!(told(&error), @r#"
    InvalidAccessKeyId: InvalidClientTokenId: The security token included in the request is invalid.
    STS does not take the credentials of Secret growth/s3: write accessKeyId and secretAccessKey anew (and sessionToken, where they are temporary).
    []
    "#);
    let ended = answer(
        400,
        "ExpiredTokenException",
        "The security token has expired",
    );
    let account = Identity::ServiceAccount {
        name: "reader".to_owned(),
    };
    for (identity, says) in [
        (secret(), "write accessKeyId and secretAccessKey anew"),
        (Identity::Operator, "check what renews them"),
        (account, "The next attempt asks for another."),
    ] {
        let error = of_role(&ended, identity, None);
        assert_eq!(error.class, ErrorCode::ExpiredToken);
        assert!(error.hint.contains(says), "{}", error.hint);
        assert!(error.policies.is_empty());
    }
    let unreached = Failure::NotReached(Refusal::Inside {
        host: "sts.example.com".to_owned(),
        kind: "a private",
    });
    assert_eq!(
        of_role(&unreached, secret(), None).class,
        ErrorCode::AddressNotAllowed
    );
    let unanswered = Failure::NoAnswer(NoAnswer::AnswerTimeout);
    assert_eq!(
        of_role(&unanswered, secret(), None).class,
        ErrorCode::Timeout
    );
}
