//! What the SDK reports, as plain facts: an answer, no answer, no credentials, no request.
//!
//! The last place that knows the SDK's errors. It judges nothing: see [`super::diagnose`].

use std::error::Error;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, DispatchFailure, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::reach::refusal;
use crate::domain::tenancy::endpoints::Refusal;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server said no.
    Answer(Answer),
    NoAnswer(NoAnswer),
    /// Who is to ask could not be established.
    Identity(IdentityFailure),
    /// The endpoint is one that is not connected to.
    NotReached(Refusal),
    /// The request could not be made at all, such as for a region that is no name.
    NotSent(String),
}

/// An answer that is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    /// Header `x-amz-bucket-region`.
    pub(super) bucket_region: Option<String>,
    /// Element `Endpoint` of the body: where a redirect would lead.
    pub(super) endpoint: Option<String>,
    /// Header `Date`: the server's clock.
    pub(super) date: Option<Timestamp>,
}

/// Why nothing was answered. The text is the innermost cause's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    NameNotFound(String),
    Refused(String),
    Tls(String),
    /// Connected, then closed without an answer.
    Closed,
    ConnectTimeout,
    AnswerTimeout,
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdentityFailure {
    /// No provider of the chain has any.
    NotFound,
    /// A provider is set up and failed, in its own words.
    Provider(String),
    /// STS refused the role.
    RoleRefused {
        code: Option<String>,
        message: Option<String>,
    },
    /// STS gave no answer.
    NoAnswer(NoAnswer),
}

impl Failure {
    pub(super) fn from_sdk<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        if let Some(response) = error.raw_response() {
            return Self::Answer(answer(response, error));
        }
        if let Some(refusal) = refusal(error) {
            return Self::NotReached(refusal.clone());
        }
        if let Some(identity) =
            chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())
        {
            return Self::Identity(identity_failure(identity));
        }
        match error {
            SdkError::ConstructionFailure(_) => Self::NotSent(innermost(error)),
            SdkError::DispatchFailure(dispatch)
                if dispatch.is_user() || is_of_no_connection(dispatch, error) =>
            {
                Self::NotSent(innermost(error))
            }
            _ => Self::NoAnswer(no_answer(error)),
        }
    }

    /// As it was put, where nothing better is known.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Answer(answer) => answer.message.clone().unwrap_or_default(),
            Self::NoAnswer(cause) => format!("{cause:?}"),
            Self::Identity(IdentityFailure::NotFound) => "there are no credentials".to_owned(),
            Self::Identity(IdentityFailure::Provider(message)) | Self::NotSent(message) => {
                message.clone()
            }
            Self::Identity(cause) => format!("{cause:?}"),
            Self::NotReached(refusal) => refusal.to_string(),
        }
    }
}

/// What fails before anything is sent, such as the endpoint's rules, arrives as a failure to send;
/// but no connection fails without an I/O error or a kind of its own.
fn is_of_no_connection(dispatch: &DispatchFailure, error: &(dyn Error + 'static)) -> bool {
    dispatch.is_other()
        && dispatch.as_other().is_none()
        && !chain(error).any(<dyn Error>::is::<io::Error>)
}

fn answer<E>(response: &HttpResponse, error: &SdkError<E, HttpResponse>) -> Answer
where
    E: ProvideErrorMetadata,
{
    let header = |name| response.headers().get(name);
    Answer {
        status: response.status().as_u16(),
        code: error.code().map(str::to_owned),
        message: error.message().map(str::to_owned),
        bucket_region: header("x-amz-bucket-region").map(str::to_owned),
        endpoint: response.body().bytes().and_then(endpoint_element),
        date: header("date")
            .and_then(|date| rfc2822::parse(date).ok())
            .map(|date| date.timestamp()),
    }
}

/// The SDK reads code and message only.
fn endpoint_element(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let (_, rest) = body.split_once("<Endpoint>")?;
    let (endpoint, _) = rest.split_once("</Endpoint>")?;
    Some(endpoint.to_owned())
}

fn identity_failure(error: &CredentialsError) -> IdentityFailure {
    if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return IdentityFailure::NotFound;
    }
    for cause in chain(error) {
        if let Some(sts) =
            cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>()
        {
            return role_failure(sts);
        }
        if let Some(sts) = cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>() {
            return role_failure(sts);
        }
    }
    IdentityFailure::Provider(innermost(error))
}

fn role_failure<E>(error: &SdkError<E, HttpResponse>) -> IdentityFailure
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match Failure::from_sdk(error) {
        Failure::Answer(answer) => IdentityFailure::RoleRefused {
            code: answer.code,
            message: answer.message,
        },
        Failure::NoAnswer(cause) => IdentityFailure::NoAnswer(cause),
        Failure::Identity(cause) => cause,
        Failure::NotSent(message) => IdentityFailure::Provider(message),
        Failure::NotReached(refusal) => IdentityFailure::Provider(refusal.to_string()),
    }
}

fn no_answer<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> NoAnswer {
    let timed_out = matches!(error, SdkError::TimeoutError(_))
        || chain(error).any(|cause| {
            cause
                .downcast_ref::<ConnectorError>()
                .is_some_and(ConnectorError::is_timeout)
        });
    if timed_out {
        let connecting = chain(error).any(|cause| cause.to_string().contains("connect timeout"));
        return if connecting {
            NoAnswer::ConnectTimeout
        } else {
            NoAnswer::AnswerTimeout
        };
    }
    let text = innermost(error);
    // The resolver's error has no type of its own in this stack.
    if chain(error).any(|cause| cause.to_string() == "dns error") {
        return NoAnswer::NameNotFound(text);
    }
    let kinds = || {
        chain(error)
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .map(io::Error::kind)
    };
    for kind in kinds() {
        match kind {
            io::ErrorKind::ConnectionRefused => return NoAnswer::Refused(text),
            io::ErrorKind::TimedOut => return NoAnswer::ConnectTimeout,
            io::ErrorKind::InvalidData => return NoAnswer::Tls(text),
            io::ErrorKind::UnexpectedEof if text.contains("tls") => return NoAnswer::Tls(text),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => return NoAnswer::Closed,
            _ => {}
        }
    }
    if text.contains("connection closed before message completed") {
        return NoAnswer::Closed;
    }
    NoAnswer::Other(text)
}

/// An error and its causes, outermost first. An `io::Error`'s `source` skips what it holds.
pub(super) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}
