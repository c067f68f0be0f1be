//! What went wrong, in the words that kubectl has for it.

use std::error::Error as StdError;
use std::io;

use kube::core::Status;

/// What kubectl itself exits with.
const FAILED: u8 = 1;
/// What was asked for makes no sense.
const USAGE: u8 = 2;

const NOT_INSTALLED: &str = "sumsq is not installed in this cluster: `helm install sumsq ...`, or \
     `sumsq crd | kubectl apply --server-side -f -` for its definitions alone";

pub(super) type Result<T, E = Failure> = std::result::Result<T, E>;

/// One line for people, and perhaps what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) code: u8,
    /// What was asked for is not there.
    pub(super) is_not_found: bool,
}

impl Failure {
    /// `message` begins as kubectl's do: `error: ...` or `Error from server (...): ...`.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: FAILED,
            is_not_found: false,
        }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            ..Self::new(message)
        }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// On standard error.
    pub(super) fn tell(&self) {
        eprintln!("{}", self.message);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
    }

    /// What a request to the API server at `server` (host and port) came to.
    pub(super) fn of_request(error: &kube::Error, server: &str) -> Self {
        if let kube::Error::Api(status) = error {
            return Self::of_answer(status);
        }
        if let kube::Error::Auth(error) = error {
            return Self::new(format!(
                "Unable to connect to the server: getting credentials: {}",
                innermost(error)
            ));
        }
        if io_kind(error) == Some(io::ErrorKind::ConnectionRefused) {
            return Self::new(format!(
                "The connection to the server {server} was refused - did you specify the right \
                 host or port?"
            ));
        }
        if let kube::Error::SerdeError(error) = error {
            return Self::new(format!(
                "error: the server's objects are not of this version of sumsq: {error}"
            ));
        }
        Self::new(format!(
            "Unable to connect to the server: {}",
            innermost(error)
        ))
    }

    /// What the API server itself said.
    fn of_answer(status: &Status) -> Self {
        // A path that the API server does not know is no Status, or one without details of an
        // object: there is no such resource.
        let names_an_object = status
            .details
            .as_ref()
            .is_some_and(|details| !details.name.is_empty());
        if status.code == 404 && !names_an_object {
            return Self::new("error: the server doesn't have a resource type \"datasources\"")
                .with_hint(NOT_INSTALLED);
        }
        if status.code == 401 {
            return Self::new("error: You must be logged in to the server (Unauthorized)");
        }
        Self {
            is_not_found: status.code == 404,
            ..Self::new(format!(
                "Error from server ({}): {}",
                status.reason, status.message
            ))
        }
    }
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The last cause says the most: those before it say where.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
}

fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    chain(error).find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: Status) -> Failure {
        Failure::of_request(&kube::Error::Api(Box::new(status)), "127.0.0.1:6443")
    }

    #[test]
    fn answers_are_told_as_kubectl_tells_them() {
        let details = serde_json::json!({"name": "counts"});
        let status = Status::failure("datasources.sumsq.dev \"counts\" not found", "NotFound")
            .with_code(404)
            .with_details(serde_json::from_value(details).unwrap());
        let missing = said(status);
        assert_eq!(
            missing.message,
            "Error from server (NotFound): datasources.sumsq.dev \"counts\" not found"
        );
        assert!(missing.is_not_found);
        let uninstalled = said(
            Status::failure("404 page not found", "Failed to parse error data").with_code(404),
        );
        assert_eq!(
            uninstalled.message,
            "error: the server doesn't have a resource type \"datasources\""
        );
        assert_eq!(uninstalled.hint.as_deref(), Some(NOT_INSTALLED));
        assert!(!uninstalled.is_not_found);
        let stranger = said(Status::failure("Unauthorized", "Unauthorized").with_code(401));
        assert_eq!(
            stranger.message,
            "error: You must be logged in to the server (Unauthorized)"
        );
    }

    #[test]
    fn a_refused_connection_names_the_server() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = kube::Error::Service(Box::new(refused));
        assert_eq!(
            Failure::of_request(&error, "127.0.0.1:6443").message,
            "The connection to the server 127.0.0.1:6443 was refused - did you specify the right \
             host or port?"
        );
    }
}
