//! The words where STS does not give a role: to a ServiceAccount, or to an identity that assumes
//! it. With the trust policy to write.

use std::fmt::Write;

use super::super::Timeouts;
use super::super::denial::named_reader;
use super::super::failure::{Answer, Failure, IdentityFailure};
use super::super::identity::{ServiceAccount, TOKEN_AUDIENCE, not_reached};
use super::super::policy;
use super::super::web_identity::WebIdentity;
use super::unanswered::no_answer_words;
use crate::domain::data_source::{AssumedRole, Identity, S3Object};
use crate::domain::fetch::{ErrorCode, FetchError, presentable};

const PASSES: &str = "STS is unavailable at the moment. Nothing needs a change unless it lasts.";

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
    let mut hint = match (class, answer.code.as_deref()) {
        (ErrorCode::AssumeRoleFailed, Some("InvalidIdentityToken" | "IDPCommunicationError")) => {
            format!(
                "The account of {} needs an OIDC provider (IAM, identity providers) for {} with the \
                 audience {TOKEN_AUDIENCE}, whose keys AWS can fetch.",
                account.role_arn,
                claims.map_or("the cluster's issuer", |claims| claims.issuer.as_str()),
            )
        }
        (ErrorCode::AssumeRoleFailed, _) => format!(
            "STS does not give {who} the role {}. It must exist, and its trust policy must allow \
             sts:AssumeRoleWithWebIdentity to subject {} with audience {TOKEN_AUDIENCE} (the statement \
             is ready); its account must have an OIDC provider for {}.",
            account.role_arn,
            claims.map_or("of the account", |claims| claims.subject.as_str()),
            claims.map_or("the cluster's issuer", |claims| claims.issuer.as_str()),
        ),
        _ => PASSES.to_owned(),
    };
    if let Some(other) = &account.other_audience {
        _ = write!(
            hint,
            " The annotation eks.amazonaws.com/audience says {}, which is not asked for: tokens are for \
             {TOKEN_AUDIENCE} alone.",
            presentable(other)
        );
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
        _ => PASSES.to_owned(),
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
    let made = match (external_id, &refused.object.identity) {
        (Some(_), Identity::Operator) => {
            " The operator makes the external ID of this namespace's name and UID: a namespace that is \
             made anew has another."
        }
        _ => "",
    };
    format!(
        "STS does not give {role} to {who}. The role must exist, and its trust policy must allow \
         sts:AssumeRole to that identity{condition}: the statement is ready. Where the identity is of \
         another account than the role, its own policy must allow sts:AssumeRole on the role, too.{made}"
    )
}

/// Those that ask, not the role's.
fn unknown_keys(refused: &Refused<'_>) -> String {
    match &refused.object.identity {
        Identity::Operator => {
            "STS does not take the operator's own credentials: check what renews \
                               them, such as the service account's token or the node's role."
                .to_owned()
        }
        Identity::Secret { .. } => format!(
            "STS does not take the credentials of {}: write accessKeyId and secretAccessKey anew (and \
             sessionToken, where they are temporary).",
            whose(refused)
        ),
        Identity::ServiceAccount { .. } => format!(
            "The session of {} has ended, or was ended. The next attempt asks for another.",
            whose(refused)
        ),
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
        "Give the operator's service account a role (EKS: annotation eks.amazonaws.com/role-arn, or Pod \
         Identity); or name an identity of your own in `serviceAccountName` or `secretRef`.",
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
                "Check `region`, `roleArn` and `externalId` for characters that do not belong there.",
            );
        }
    };
    let (class, message) = no_answer_words(cause, "STS", timeouts);
    FetchError::new(
        class,
        message,
        "The operator asks STS for the role, and does not get through: check that network policies, \
         proxies and routes let it reach sts.REGION.amazonaws.com, or set AWS_ENDPOINT_URL_STS.",
    )
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
