//! The words where S3 was not reached, or nobody was found to ask it.

use std::time::Duration;

use jiff::SignedDuration;

use super::super::Timeouts;
use super::super::failure::{IdentityFailure, NoAnswer};
use super::super::policy;
use super::Attempt;
use crate::domain::fetch::{ErrorCode, FetchError, presentable};

pub(super) fn no_answer(cause: &NoAnswer, attempt: &Attempt<'_>) -> FetchError {
    let (class, message) = no_answer_words(cause, attempt.address(), attempt.timeouts);
    FetchError::new(class, message, connect_hint(cause, attempt))
}

pub(super) fn no_answer_words(
    cause: &NoAnswer,
    address: &str,
    timeouts: Timeouts,
) -> (ErrorCode, String) {
    match cause {
        NoAnswer::NameNotFound(_) => (
            ErrorCode::ConnectFailed,
            format!("the name in {address} cannot be resolved"),
        ),
        NoAnswer::Refused(text) | NoAnswer::Other(text) => (
            ErrorCode::ConnectFailed,
            format!("no connection to {address}: {text}"),
        ),
        NoAnswer::Tls(text) => (
            ErrorCode::ConnectFailed,
            format!("no TLS connection to {address}: {text}"),
        ),
        NoAnswer::Closed => (
            ErrorCode::ConnectFailed,
            format!("{address} closed the connection without an answer"),
        ),
        NoAnswer::ConnectTimeout => (
            ErrorCode::Timeout,
            format!(
                "no connection to {address} within {:#}",
                seconds(timeouts.connect)
            ),
        ),
        NoAnswer::AnswerTimeout => (
            ErrorCode::Timeout,
            format!(
                "no answer from {address} within {:#}",
                seconds(timeouts.answer)
            ),
        ),
    }
}

fn connect_hint(cause: &NoAnswer, attempt: &Attempt<'_>) -> String {
    let own = attempt.overridden || attempt.object.endpoint.is_some();
    match cause {
        NoAnswer::NameNotFound(_) if own => {
            "Check `endpoint` for a typo, and that the operator's DNS knows the name.".to_owned()
        }
        NoAnswer::NameNotFound(_) => format!(
            "Check `region` ({}) for a typo, and that the operator's DNS knows the name.",
            attempt.object.region
        ),
        NoAnswer::Tls(_) => {
            "Check that `endpoint` speaks https on that port. A private certificate authority is \
             trusted by naming its file in the operator's SSL_CERT_FILE."
                .to_owned()
        }
        NoAnswer::AnswerTimeout => {
            "The connection stands, but nothing comes back. Nothing needs a change unless it lasts; \
             then check the endpoint and what lies between."
                .to_owned()
        }
        _ if own => {
            "Check host and port of `endpoint`, that it is up, and that network policies and proxies let \
             the operator reach it."
                .to_owned()
        }
        _ => "Check that network policies, proxies and routes let the operator reach S3 (a NAT gateway or \
             a VPC endpoint)."
            .to_owned(),
    }
}

pub(super) fn no_identity(cause: &IdentityFailure, attempt: &Attempt<'_>) -> FetchError {
    match cause {
        IdentityFailure::NotFound => FetchError::new(
            ErrorCode::NoCredentials,
            "no credentials found for the operator's own identity",
            "Looked for in the environment, AWS's files, a web identity token, the container's and the \
             node's metadata. Name a Secret in `secretRef`, or give the operator's service account a role \
             (EKS: annotation eks.amazonaws.com/role-arn, or Pod Identity).",
        ),
        IdentityFailure::Provider(message) => FetchError::new(
            ErrorCode::NoCredentials,
            format!("no credentials for the operator's own identity: {message}"),
            "Something is set up to give the operator an identity, and fails: check what AWS_PROFILE, AWS_ROLE_ARN, \
             AWS_WEB_IDENTITY_TOKEN_FILE or AWS_CONTAINER_CREDENTIALS_FULL_URI name; or name a Secret in \
             `secretRef`.",
        ),
        IdentityFailure::NoAnswer(cause) => {
            let (class, message) = no_answer_words(cause, "STS", attempt.timeouts);
            FetchError::new(
                class,
                message,
                "The operator asks STS for its role, and does not get through: check that network policies, \
                 proxies and routes let it reach sts.REGION.amazonaws.com, or set AWS_ENDPOINT_URL_STS.",
            )
        }
        IdentityFailure::RoleRefused { code, message } => {
            role_refused(code.as_ref(), message.as_deref(), attempt)
        }
    }
}

fn role_refused(code: Option<&String>, message: Option<&str>, attempt: &Attempt<'_>) -> FetchError {
    let hint = match &attempt.web_identity {
        Some(identity) => format!(
            "STS does not give the operator {}. The role's trust policy must allow \
             sts:AssumeRoleWithWebIdentity to subject {} with audience {} (the statement is ready), and the \
             account must have an OIDC provider for {}.",
            identity.role_arn, identity.subject, identity.audience, identity.issuer
        ),
        None => "STS does not give the operator its role: the role's trust policy must allow \
                 sts:AssumeRole to the identity that asks for it."
            .to_owned(),
    };
    let mut error = FetchError::new(
        ErrorCode::AssumeRoleFailed,
        message.unwrap_or("STS refused the role"),
        hint,
    );
    if let Some(code) = code {
        error.code = presentable(code);
    }
    error.policies.extend(
        attempt
            .web_identity
            .as_ref()
            .and_then(policy::trust_statement),
    );
    error
}

fn seconds(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
