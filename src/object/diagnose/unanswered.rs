//! The words where S3 was not reached, or nobody was found to ask it.

use std::time::Duration;

use jiff::SignedDuration;

use super::super::Timeouts;
use super::super::failure::{IdentityFailure, NoAnswer};
use super::super::policy;
use super::Attempt;
use crate::domain::fetch::{ErrorCode, FetchError, cases, presentable};

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
        NoAnswer::NameNotFound(_) if own => cases::check_endpoint_name(),
        NoAnswer::NameNotFound(_) => cases::check_region(&attempt.object.region),
        NoAnswer::Tls(_) => cases::check_tls(),
        NoAnswer::AnswerTimeout => cases::no_answer(),
        _ if own => cases::check_endpoint(),
        _ => cases::check_route(),
    }
}

pub(super) fn no_identity(cause: &IdentityFailure, attempt: &Attempt<'_>) -> FetchError {
    match cause {
        IdentityFailure::NotFound => FetchError::new(
            ErrorCode::NoCredentials,
            "no credentials found for the operator's own identity",
            cases::no_own_identity(),
        ),
        IdentityFailure::Provider(message) => FetchError::new(
            ErrorCode::NoCredentials,
            format!("no credentials for the operator's own identity: {message}"),
            cases::own_identity_fails(),
        ),
        IdentityFailure::NoAnswer(cause) => {
            let (class, message) = no_answer_words(cause, "STS", attempt.timeouts);
            FetchError::new(class, message, cases::sts_unreachable())
        }
        IdentityFailure::RoleRefused { code, message } => {
            role_refused(code.as_ref(), message.as_deref(), attempt)
        }
    }
}

fn role_refused(code: Option<&String>, message: Option<&str>, attempt: &Attempt<'_>) -> FetchError {
    let hint = match &attempt.web_identity {
        Some(identity) => cases::operator_not_trusted(
            &identity.role_arn,
            &identity.subject,
            &identity.audience,
            &identity.issuer,
        ),
        None => cases::operator_role_not_given(),
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
