//! The words where STS does not give a role: to a ServiceAccount, or to an identity that assumes
//! it. With the trust policy to write.

use super::super::Timeouts;
use super::super::denial::named_reader;
use super::super::failure::{Answer, Failure, IdentityFailure};
use super::super::identity::{ServiceAccount, TOKEN_AUDIENCE, not_reached};
use super::super::policy;
use super::super::web_identity::WebIdentity;
use super::unanswered::no_answer_words;
use crate::domain::data_source::{AssumedRole, Identity, S3Object};
use crate::domain::fetch::{ErrorCode, FetchError, cases, presentable};

/// What was asked for, and by whom.
pub(in super::super) struct Refused<'a> {
    pub(in super::super) object: &'a S3Object,
    pub(in super::super) namespace: &'a str,
    pub(in super::super) role: &'a AssumedRole,
    /// ARN of who asked, where it could be learnt.
    pub(in super::super) asking: Option<String>,
    pub(in super::super) timeouts: Timeouts,
}

/// `claims`: of the token that was shown.
pub(in super::super) fn account_refused(
    failure: &Failure,
    account: &ServiceAccount,
    claims: Option<&WebIdentity>,
    timeouts: Timeouts,
) -> FetchError {
    let answer = match failure {
        Failure::Answer(answer) => answer,
        other => return unasked(other, timeouts),
    };
    let (class, message) = class_and_message(answer);
    // Nothing but the token was shown.
    let class = match class {
        ErrorCode::ExpiredToken
        | ErrorCode::InvalidAccessKeyId
        | ErrorCode::SignatureDoesNotMatch => ErrorCode::AssumeRoleFailed,
        class => class,
    };
    let who = format!("ServiceAccount {}/{}", account.namespace, account.name);
    let issuer = claims.map_or("the cluster's issuer", |claims| claims.issuer.as_str());
    let mut hint = match (class, answer.code.as_deref()) {
        (ErrorCode::AssumeRoleFailed, Some("InvalidIdentityToken" | "IDPCommunicationError")) => {
            cases::no_oidc_provider(&account.role_arn, issuer, TOKEN_AUDIENCE)
        }
        (ErrorCode::AssumeRoleFailed, _) => cases::account_not_trusted(
            &who,
            &account.role_arn,
            claims.map_or("of the account", |claims| claims.subject.as_str()),
            TOKEN_AUDIENCE,
            issuer,
        ),
        _ => cases::sts_unavailable(),
    };
    if let Some(other) = &account.other_audience {
        hint += &cases::other_audience(presentable(other), TOKEN_AUDIENCE);
    }
    let mut error = FetchError::new(class, message, hint);
    coded(&mut error, answer);
    if class == ErrorCode::AssumeRoleFailed {
        error
            .policies
            .extend(claims.and_then(policy::trust_statement));
    }
    error
}

pub(in super::super) fn role_refused(failure: &Failure, refused: &Refused<'_>) -> FetchError {
    let answer = match failure {
        Failure::Answer(answer) => answer,
        Failure::Identity(_) if refused.object.identity == Identity::Operator => {
            return no_own_identity(failure, refused);
        }
        other => return unasked(other, refused.timeouts),
    };
    let (class, message) = class_and_message(answer);
    let role = &refused.role.arn;
    let asking = refused.asking.clone().or_else(|| named_reader(&message));
    let who = asking.clone().unwrap_or_else(|| whose(refused));
    let hint = match class {
        ErrorCode::InvalidAccessKeyId
        | ErrorCode::SignatureDoesNotMatch
        | ErrorCode::ExpiredToken => unknown_keys(refused),
        ErrorCode::AssumeRoleFailed => not_trusted(&who, refused),
        _ => cases::sts_unavailable(),
    };
    let mut error = FetchError::new(class, message, hint);
    coded(&mut error, answer);
    if let (ErrorCode::AssumeRoleFailed, Some(asking)) = (class, asking) {
        let external_id = refused.role.external_id.as_deref();
        error
            .policies
            .push(policy::assume_statement(&asking, external_id));
        let is_of_another = policy::account(&asking) != policy::account(role);
        if is_of_another || error.message.contains("identity-based policy") {
            error
                .policies
                .push(policy::identity_statement("sts:AssumeRole", role));
        }
    }
    error
}

fn not_trusted(who: &str, refused: &Refused<'_>) -> String {
    let role = &refused.role.arn;
    let external_id = refused.role.external_id.as_deref();
    let condition =
        external_id.map_or_else(String::new, |id| format!(" with the external ID {id}"));
    let mut hint = cases::not_trusted(role, who, condition);
    if external_id.is_some() && refused.object.identity == Identity::Operator {
        hint += &cases::external_id_is_made();
    }
    hint
}

/// Those that ask, not the role's.
fn unknown_keys(refused: &Refused<'_>) -> String {
    match &refused.object.identity {
        Identity::Operator => cases::sts_refuses_operator(),
        Identity::Secret { .. } => cases::sts_refuses_secret(whose(refused)),
        Identity::ServiceAccount { .. } => cases::sts_refuses_account(whose(refused)),
    }
}

fn whose(refused: &Refused<'_>) -> String {
    let namespace = refused.namespace;
    match &refused.object.identity {
        Identity::Operator => "the operator's own identity".to_owned(),
        Identity::Secret { name } => format!("Secret {namespace}/{name}"),
        Identity::ServiceAccount { name } => format!("ServiceAccount {namespace}/{name}"),
    }
}

fn no_own_identity(failure: &Failure, refused: &Refused<'_>) -> FetchError {
    let Failure::Identity(cause) = failure else {
        return unasked(failure, refused.timeouts);
    };
    let told = match cause {
        IdentityFailure::Provider(message) => format!(": {message}"),
        _ => String::new(),
    };
    FetchError::new(
        ErrorCode::NoCredentials,
        format!(
            "no credentials for the operator's own identity, which is to assume the role{told}"
        ),
        cases::no_identity_to_assume(),
    )
}

fn unasked(failure: &Failure, timeouts: Timeouts) -> FetchError {
    let cause = match failure {
        Failure::NoAnswer(cause) | Failure::Identity(IdentityFailure::NoAnswer(cause)) => cause,
        Failure::NotReached(refusal) => return not_reached(refusal),
        other => {
            return FetchError::new(
                ErrorCode::AssumeRoleFailed,
                format!("STS could not be asked: {}", other.words()),
                cases::odd_role(),
            );
        }
    };
    let (class, message) = no_answer_words(cause, "STS", timeouts);
    FetchError::new(class, message, cases::sts_unreachable_for_role())
}

/// What passes by itself and keys that are wrong have a class of their own; all else is that the
/// role is not given.
fn class_and_message(answer: &Answer) -> (ErrorCode, String) {
    let class = match super::class_of(answer) {
        passing @ (ErrorCode::SlowDown
        | ErrorCode::InternalError
        | ErrorCode::ServiceUnavailable
        | ErrorCode::BadGateway
        | ErrorCode::GatewayTimeout
        | ErrorCode::Timeout
        | ErrorCode::InvalidAccessKeyId
        | ErrorCode::SignatureDoesNotMatch
        | ErrorCode::ExpiredToken) => passing,
        _ => match answer.code.as_deref() {
            Some("InvalidClientTokenId") => ErrorCode::InvalidAccessKeyId,
            _ => ErrorCode::AssumeRoleFailed,
        },
    };
    let message = answer.message.as_deref().map(str::trim);
    let message = message.filter(|message| !message.is_empty());
    let told = format!("STS answered {} without a message", answer.status);
    (class, message.map_or(told, str::to_owned))
}

fn coded(error: &mut FetchError, answer: &Answer) {
    if let Some(code) = &answer.code {
        error.code = presentable(code);
    }
}

#[cfg(test)]
mod tests;
