//! One fetch: why it ran, what came of it, and the words for what went wrong.

pub mod cases;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::agent_day::Day;

/// Messages shown to people are at most this many characters.
pub const MAX_MESSAGE_CHARS: usize = 1024;

/// Hints are at most this many, without the policies that stand beside them.
pub const MAX_HINT_CHARS: usize = 2048;

/// Why a fetch ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Trigger {
    Created,
    Schedule,
    Manual,
    SpecChange,
    Retry,
}

impl Trigger {
    pub const ALL: [Self; 5] = [
        Self::Created,
        Self::Schedule,
        Self::Manual,
        Self::SpecChange,
        Self::Retry,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Schedule => "Schedule",
            Self::Manual => "Manual",
            Self::SpecChange => "SpecChange",
            Self::Retry => "Retry",
        }
    }
}

/// One row of the fetch log, and one entry of the history in status. Repeats of the same failure
/// are one row with more `attempts`.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchRecord {
    /// UUIDv7: sorts by the time it began.
    pub id: Uuid,
    /// The UID of the object that it ran for.
    pub uid: String,
    pub trigger: Trigger,
    /// [`super::data_source::DataSource::fingerprint`] at its start.
    pub fingerprint: String,
    pub started_at: Timestamp,
    /// None while it runs, or where the process that ran it is gone.
    pub completed_at: Option<Timestamp>,
    pub attempts: u32,
    /// None while it runs.
    pub outcome: Option<Outcome>,
}

impl FetchRecord {
    #[must_use]
    pub fn error(&self) -> Option<&FetchError> {
        match &self.outcome {
            Some(Outcome::Failed(error)) => Some(error),
            _ => None,
        }
    }
}

/// What came of a fetch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    Imported(Import),
    /// The object is the one that was imported last.
    NotModified,
    Failed(FetchError),
}

impl Outcome {
    /// The value of `result` in status and of the metric's label.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Imported(_) => "Imported",
            Self::NotModified => "NotModified",
            Self::Failed(_) => "Error",
        }
    }

    #[must_use]
    pub fn succeeded(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }
}

/// What an imported file held.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// Data rows, without the header.
    pub rows: u64,
    /// After decompression.
    pub bytes: u64,
    pub agent_count: u64,
    /// Codes in order, at most [`Import::MAX_AGENTS`] of them.
    pub agents: Vec<String>,
    pub agent_days: u64,
    /// Of those, the ones whose content was new.
    pub changed_agent_days: u64,
    pub first_day: Option<Day>,
    pub last_day: Option<Day>,
    pub warnings: Warnings,
}

impl Import {
    pub const MAX_AGENTS: usize = 500;
}

/// Findings that did not stop an import: the first ones in words, and how many there were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Warnings {
    pub total: u64,
    /// At most [`Warnings::MAX_MESSAGES`], each one sentence or two.
    pub messages: Vec<String>,
}

impl Warnings {
    pub const MAX_MESSAGES: usize = 10;
}

/// Why a fetch failed, in words for the person who has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchError {
    /// The closed class: condition reason and metric label.
    pub class: ErrorCode,
    /// The code as it arrived (AWS's own where AWS answered), else the class.
    pub code: String,
    /// AWS's or our own message, at most [`MAX_MESSAGE_CHARS`] characters, no control characters.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// Ready-made policy statements (JSON) to copy and paste; kept with the newest error only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<ReadyPolicy>,
    /// The ETag of an object that was refused for its content: a 304 against it is this error again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_etag: Option<String>,
}

impl FetchError {
    #[must_use]
    pub fn new(class: ErrorCode, message: impl AsRef<str>, hint: impl Into<String>) -> Self {
        Self {
            class,
            code: class.as_str().to_owned(),
            message: presentable(message.as_ref()),
            hint: cut(hint.into(), MAX_HINT_CHARS),
            policies: Vec::new(),
            refused_etag: None,
        }
    }

    /// Whether `other` is a repeat of this failure: one history entry, one event.
    #[must_use]
    pub fn same_failure(&self, other: &Self) -> bool {
        self.class == other.class
            && self.code == other.code
            && without_session(&self.message) == without_session(&other.message)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for FetchError {}

/// A policy statement that can be pasted as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyPolicy {
    /// Where it goes: "bucket policy" or "key policy".
    pub target: String,
    pub statement: String,
}

/// AWS names the session of a role that is denied (`assumed-role/ROLE/SESSION`); it changes each
/// time credentials are renewed, and is no other failure for that.
fn without_session(message: &str) -> String {
    let Some((before, rest)) = message.split_once(":assumed-role/") else {
        return message.to_owned();
    };
    let (role, session) = rest.split_once('/').unwrap_or((rest, ""));
    let after = session
        .find(char::is_whitespace)
        .map_or("", |end| &session[end..]);
    format!("{before}:assumed-role/{role}{after}")
}

fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Control characters removed and cut to [`MAX_MESSAGE_CHARS`] characters.
#[must_use]
pub fn presentable(message: &str) -> String {
    let mut shown: String = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_MESSAGE_CHARS + 1)
        .collect();
    if shown.chars().count() > MAX_MESSAGE_CHARS {
        shown = shown.chars().take(MAX_MESSAGE_CHARS - 1).collect();
        shown.push('…');
    }
    shown.trim().to_owned()
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident => $next:ident,)*) => {
        /// The closed list of what can go wrong with a fetch: condition reasons and metric labels.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What helps: trying again, or only a change of the spec.
            #[must_use]
            pub fn next_step(self) -> NextStep {
                match self { $(Self::$name => NextStep::$next,)* }
            }

            /// The class of a code as AWS sends it; what is not named here is [`Self::S3Error`].
            #[must_use]
            pub fn from_raw(raw: &str) -> Self {
                match raw { $(stringify!($name) => Self::$name,)* _ => Self::S3Error }
            }
        }
    };
}

/// What helps against a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// The world outside the spec may change: try again with backoff.
    Retry,
    /// Nothing helps but another spec; the next slot tries again all the same.
    ChangeSpec,
}

error_codes! {
    AccessDenied => Retry,
    NoSuchKey => Retry,
    NoSuchBucket => Retry,
    PermanentRedirect => ChangeSpec,
    InvalidAccessKeyId => Retry,
    SignatureDoesNotMatch => Retry,
    RequestTimeTooSkewed => Retry,
    AuthorizationHeaderMalformed => ChangeSpec,
    IllegalLocationConstraintException => ChangeSpec,
    ExpiredToken => Retry,
    NoCredentials => Retry,
    AssumeRoleFailed => Retry,
    InvalidObjectState => Retry,
    InvalidRequest => Retry,
    ConnectFailed => Retry,
    Timeout => Retry,
    SlowDown => Retry,
    InternalError => Retry,
    ServiceUnavailable => Retry,
    BadGateway => Retry,
    GatewayTimeout => Retry,
    BodyInterrupted => Retry,
    ObjectChanged => Retry,
    ObjectTooLarge => Retry,
    /// Any other code that S3 sends; the raw one is kept beside it.
    S3Error => Retry,
    /// The Secret that `secretRef` names is not there.
    SecretNotFound => Retry,
    /// The Secret lacks a key, or one of them is empty.
    SecretInvalid => Retry,
    /// The Secret is not labelled `sumsq.dev/credentials: "true"`.
    SecretNotLabeled => Retry,
    /// The ServiceAccount that `serviceAccountName` names is not there.
    ServiceAccountNotFound => Retry,
    /// The ServiceAccount names no role that could be assumed.
    ServiceAccountInvalid => Retry,
    /// The operator may not have tokens of the ServiceAccount.
    TokenNotGranted => Retry,
    /// The operator's own identity does not read for this namespace.
    AmbientCredentialsRefused => Retry,
    /// The operator's list of endpoints does not name `endpoint`.
    EndpointNotAllowed => Retry,
    /// `endpoint` leads to an address that is nobody else's business.
    AddressNotAllowed => Retry,
    /// The file is not what the data source expects; nothing was changed.
    InvalidCsv => Retry,
    /// An "always" rule is broken and `onIntegrityProblem` is Reject; nothing was changed.
    IntegrityProblem => Retry,
    /// The store has no room left; nothing was changed.
    StoreFull => Retry,
    /// The store could not be written; nothing was changed.
    StoreError => Retry,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_session_is_the_same_failure() {
        let denied = |reader: &str| {
            let message = format!("User: {reader} is not authorized to perform: s3:GetObject");
            FetchError::new(ErrorCode::AccessDenied, message, "")
        };
        let role = "arn:aws:sts::123456789012:assumed-role/reader";
        let first = denied(&format!("{role}/session-1"));
        assert!(first.same_failure(&denied(&format!("{role}/session-2"))));
        assert!(!first.same_failure(&denied(&format!("{role}-2/session-1"))));
        assert!(!first.same_failure(&denied("arn:aws:iam::123456789012:user/reader")));
    }

    #[test]
    fn what_is_shown_has_an_end_and_no_control_characters() {
        let error = FetchError::new(
            ErrorCode::S3Error,
            "a\u{1b}[31m\n".repeat(2000),
            "é".repeat(9000),
        );
        assert_eq!(error.message.chars().count(), MAX_MESSAGE_CHARS);
        assert!(!error.message.contains(char::is_control));
        assert_eq!(error.hint.chars().count(), MAX_HINT_CHARS + 1);
    }
}
