//! What AWS sends, and what the user is told. Pure: facts in, words out.
//!
//! When the next attempt comes is not said here: the caller knows.

pub(super) mod roles;
#[cfg(test)]
mod tests;
mod unanswered;

use jiff::{SignedDuration, Timestamp};

use self::unanswered::{no_answer, no_identity};
use super::Timeouts;
use super::denial::{Denial, denial, remedy};
use super::failure::{Answer, Failure};
use super::identity::not_reached;
use super::policy;
use super::web_identity::WebIdentity;
use crate::domain::data_source::{Identity, S3Object};
use crate::domain::fetch::{ErrorCode, FetchError, cases, presentable};

/// A clock that differs by less is right enough: AWS refuses from 15 minutes on.
const NO_SKEW: SignedDuration = SignedDuration::from_mins(1);

/// What was asked, and by whom.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) object: &'a S3Object,
    pub(super) namespace: &'a str,
    /// The address tried, such as `https://counts.s3.us-east-1.amazonaws.com`.
    pub(super) endpoint: Option<String>,
    /// Whether it is the operator's setting rather than the spec that says where to read.
    pub(super) overridden: bool,
    /// The access key is a temporary one, and there is no token.
    pub(super) lacks_session_token: bool,
    pub(super) timeouts: Timeouts,
    pub(super) now: Timestamp,
    /// ARN of whose identity reads, where it could be learnt.
    pub(super) reader: Option<String>,
    /// ARN of the role whose session reads, where it is one.
    pub(super) session: Option<String>,
    /// What a denial turned out to be about; None: as its message says.
    pub(super) denial: Option<Denial>,
    /// Whose token asked for the role.
    pub(super) web_identity: Option<WebIdentity>,
}

impl Attempt<'_> {
    /// Whose credentials, in words.
    pub(super) fn who(&self) -> String {
        if let Some(role) = &self.session {
            return role.clone();
        }
        match &self.object.identity {
            Identity::Operator => "the operator's own identity".to_owned(),
            Identity::Secret { name } => {
                format!("the identity of Secret {}/{name}", self.namespace)
            }
            Identity::ServiceAccount { name } => {
                format!("the role of ServiceAccount {}/{name}", self.namespace)
            }
        }
    }

    /// Where a credential is written.
    fn credential(&self, key: &str) -> String {
        if let Some(role) = &self.session {
            return format!("the session of {role}");
        }
        match &self.object.identity {
            Identity::Operator => "the operator's own credentials".to_owned(),
            Identity::Secret { name } => format!("Secret {}/{name}, key {key}", self.namespace),
            Identity::ServiceAccount { name } => {
                format!(
                    "the credentials of ServiceAccount {}/{name}",
                    self.namespace
                )
            }
        }
    }

    fn is_from_secret(&self) -> bool {
        matches!(self.object.identity, Identity::Secret { .. })
    }

    pub(super) fn is_of_another_account(&self, reader: &str) -> bool {
        let owner = self.object.account_id.as_deref();
        owner.is_some_and(|owner| policy::account(reader).is_some_and(|account| account != owner))
    }

    fn address(&self) -> &str {
        self.endpoint.as_deref().unwrap_or("S3")
    }
}

/// The error to show for a failure.
pub(super) fn diagnose(failure: &Failure, attempt: &Attempt<'_>) -> FetchError {
    match failure {
        Failure::Answer(answer) => refused(answer, attempt),
        Failure::NoAnswer(cause) => no_answer(cause, attempt),
        Failure::Identity(cause) => no_identity(cause, attempt),
        Failure::NotReached(refusal) => not_reached(refusal),
        Failure::NotSent(message) => FetchError::new(
            ErrorCode::InvalidRequest,
            format!("the request cannot be made: {message}"),
            cases::odd_characters(),
        ),
    }
}

fn refused(answer: &Answer, attempt: &Attempt<'_>) -> FetchError {
    let class = class_of(answer);
    let message = match answer.message.as_deref().map(str::trim) {
        Some(message) if !message.is_empty() => message.to_owned(),
        _ => format!(
            "{} answered {} without a message",
            attempt.address(),
            answer.status
        ),
    };
    let known = attempt.denial.clone().or_else(|| denial(answer));
    let (hint, policies) = match known {
        Some(kind) => remedy(&kind, answer, attempt),
        None => (hint_for(class, answer, attempt), Vec::new()),
    };
    let mut error = FetchError::new(class, message, hint);
    if let Some(code) = &answer.code {
        error.code = presentable(code);
    }
    error.policies = policies;
    error
}

/// The class of an answer: its code where that is a known one of S3's, else its status.
fn class_of(answer: &Answer) -> ErrorCode {
    let code = answer.code.as_deref().unwrap_or_default();
    let by_code = match code {
        "PreconditionFailed" => ErrorCode::ObjectChanged,
        "RequestTimeout" => ErrorCode::Timeout,
        "ExpiredTokenException" | "TokenRefreshRequired" => ErrorCode::ExpiredToken,
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => ErrorCode::SlowDown,
        code => ErrorCode::from_raw(code),
    };
    let is_ours = matches!(
        by_code,
        ErrorCode::SecretNotFound
            | ErrorCode::SecretInvalid
            | ErrorCode::SecretNotLabeled
            | ErrorCode::ServiceAccountNotFound
            | ErrorCode::ServiceAccountInvalid
            | ErrorCode::TokenNotGranted
            | ErrorCode::AmbientCredentialsRefused
            | ErrorCode::EndpointNotAllowed
            | ErrorCode::AddressNotAllowed
            | ErrorCode::AssumeRoleFailed
            | ErrorCode::InvalidCsv
            | ErrorCode::IntegrityProblem
            | ErrorCode::StoreFull
            | ErrorCode::StoreError
    );
    if by_code != ErrorCode::S3Error && !is_ours {
        return by_code;
    }
    match (answer.status, code) {
        (500, _) => ErrorCode::InternalError,
        (502, _) => ErrorCode::BadGateway,
        (503, _) => ErrorCode::ServiceUnavailable,
        (504, _) => ErrorCode::GatewayTimeout,
        (429, _) => ErrorCode::SlowDown,
        (301, "") => ErrorCode::PermanentRedirect,
        (403, "") => ErrorCode::AccessDenied,
        (412, "") => ErrorCode::ObjectChanged,
        _ => ErrorCode::S3Error,
    }
}

fn hint_for(class: ErrorCode, answer: &Answer, attempt: &Attempt<'_>) -> String {
    let object = attempt.object;
    match class {
        ErrorCode::NoSuchKey => cases::no_such_key(&object.key, &object.bucket),
        ErrorCode::NoSuchBucket => cases::no_such_bucket(&object.bucket, attempt.address()),
        ErrorCode::PermanentRedirect
        | ErrorCode::AuthorizationHeaderMalformed
        | ErrorCode::IllegalLocationConstraintException => other_region(answer, attempt),
        ErrorCode::InvalidAccessKeyId | ErrorCode::ExpiredToken if attempt.session.is_some() => {
            cases::session_over(attempt.credential(""))
        }
        ErrorCode::InvalidAccessKeyId if attempt.lacks_session_token => {
            cases::lacks_session_token(attempt.credential("accessKeyId"))
        }
        ErrorCode::InvalidAccessKeyId => {
            cases::unknown_access_key(attempt.credential("accessKeyId"))
        }
        ErrorCode::SignatureDoesNotMatch => {
            cases::other_secret_key(attempt.credential("secretAccessKey"))
        }
        ErrorCode::RequestTimeTooSkewed => skewed(answer, attempt),
        ErrorCode::ExpiredToken if attempt.is_from_secret() => {
            cases::write_all_three(attempt.credential("sessionToken"))
        }
        ErrorCode::ExpiredToken => cases::own_credentials_ended(),
        ErrorCode::InvalidObjectState => cases::archived(&object.key),
        ErrorCode::InvalidRequest if is_about_encryption(answer) => {
            cases::customer_key(&object.key)
        }
        ErrorCode::SlowDown => cases::slow_down(attempt.address()),
        ErrorCode::InternalError
        | ErrorCode::ServiceUnavailable
        | ErrorCode::BadGateway
        | ErrorCode::GatewayTimeout
        | ErrorCode::Timeout => cases::unavailable(attempt.address()),
        ErrorCode::ObjectChanged => cases::object_changed(),
        _ => other_answer(answer, attempt),
    }
}

fn other_answer(answer: &Answer, attempt: &Attempt<'_>) -> String {
    match answer.code.as_deref() {
        Some(code) if code.starts_with("KMS.") => cases::enable_key(),
        Some("InvalidToken") => cases::other_session_token(attempt.credential("sessionToken")),
        Some("InvalidBucketName") => cases::bucket_name(),
        Some(_) => cases::own_words(),
        None => cases::not_s3(attempt.address()),
    }
}

fn other_region(answer: &Answer, attempt: &Attempt<'_>) -> String {
    let object = attempt.object;
    let named = answer.bucket_region.clone().or_else(|| {
        let texts = [answer.endpoint.as_deref(), answer.message.as_deref()];
        let region = texts
            .into_iter()
            .flatten()
            .flat_map(regions)
            .find(|region| *region != object.region);
        region.map(str::to_owned)
    });
    match named {
        Some(region) => cases::set_region(region, &object.bucket, &object.region),
        None => cases::find_region(&object.bucket, &object.region),
    }
}

/// The words of a text that look like regions, such as eu-west-2 or us-gov-east-1.
fn regions(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        // Old endpoints join service and region by a hyphen.
        .map(|word| word.strip_prefix("s3-").unwrap_or(word))
        .filter(|word| {
            let parts: Vec<&str> = word.split('-').collect();
            let letters =
                |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
            matches!(&parts[..], [head @ .., number]
                if (2..=3).contains(&head.len()) && head.iter().all(letters)
                    && number.len() == 1 && number.bytes().all(|b| b.is_ascii_digit()))
        })
}

fn skewed(answer: &Answer, attempt: &Attempt<'_>) -> String {
    let Some(server) = answer.date else {
        return cases::clock_wrong();
    };
    let ahead = attempt.now.duration_since(server);
    let apart = SignedDuration::from_secs(ahead.as_secs().abs());
    if apart < NO_SKEW {
        return cases::clocks_agree();
    }
    let direction = if ahead.is_positive() {
        "ahead of"
    } else {
        "behind"
    };
    cases::clock_off(format!("{apart:#}"), direction)
}

fn is_about_encryption(answer: &Answer) -> bool {
    answer
        .message
        .as_deref()
        .is_some_and(|message| message.to_lowercase().contains("encrypt"))
}
