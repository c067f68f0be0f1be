//! What is said to who may not: which Role to ask for, and the command that gives it.

use axum::http::StatusCode;

use super::identity::{Action, Identity};
use super::reviews::ReviewError;
use crate::http::problem::Problem;

/// The ClusterRole that lets read reports; the chart has it.
const VIEWER: &str = "sumsq-report-viewer";
/// The ClusterRole that lets change data sources and Agents, and nothing else; the chart has it.
const EDITOR: &str = "sumsq-edit";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
/// Of a RoleBinding's name.
const MOST_NAME: usize = 40;

/// 401: nobody has said who they are.
pub(super) fn unknown() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "send a bearer token that the Kubernetes API server takes, as `Authorization: Bearer TOKEN`; \
         `kubectl create token ACCOUNT` makes one",
    )
}

/// 401: they have, and it is not taken.
pub(super) fn not_taken() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "the Kubernetes API server does not take this token: it is over, was revoked, or is meant for \
         another audience",
    )
}

/// 401: not by the proxy, or not with what it proves itself by. Which one is in the log alone.
pub(super) fn not_by_the_proxy() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "this server takes requests from its authenticating proxy alone, which proves itself and names \
         a user",
    )
}

/// 503: who may read is not known now.
pub(super) fn not_known(error: &ReviewError) -> Problem {
    // A flood fills no log.
    if *error != ReviewError::Busy {
        tracing::warn!(%error, "who may read cannot be asked");
    }
    Problem::unavailable(match error {
        ReviewError::Busy => {
            "too many others ask at once who they are and what they may; try again in a moment"
        }
        ReviewError::Unreachable(_) => {
            "the Kubernetes API server, which says who may read, does not answer; try again in a moment"
        }
        ReviewError::NotMine(_) => {
            "this server may not ask the Kubernetes API server who may read: its ServiceAccount lacks \
             `create tokenreviews` or `create subjectaccessreviews`"
        }
    })
}

/// Status 403. What it says depends on the caller, the action and the name of the namespace alone: whether
/// there is such a namespace, or anything in it, cannot be read from it.
pub(super) fn forbidden(who: &Identity, action: Action, namespace: &str) -> Problem {
    let (what, role) = match action {
        Action::ReadSources => ("see the data sources", VIEWER),
        Action::ReadAgents => ("see the reports", VIEWER),
        Action::Fetch => ("request fetches of the data sources", EDITOR),
    };
    let detail = format!(
        "you ({}) may not {what} in namespace {namespace:?}: ask an administrator for the role {role} \
         there, or for another one with {action} (sumsq.dev)",
        who.user
    );
    Problem::new(StatusCode::FORBIDDEN, detail).with_command(grant(who, role, namespace))
}

/// How an administrator gives somebody a role in a namespace. Every name in it is quoted: addresses
/// are written by anybody, and this is pasted into a shell.
fn grant(who: &Identity, role: &str, namespace: &str) -> String {
    let subject = match who.user.strip_prefix(SERVICE_ACCOUNT) {
        Some(account) => format!("--serviceaccount={}", quoted(account)),
        None => format!("--user={}", quoted(&who.user)),
    };
    format!(
        "kubectl -n {} create rolebinding {role}-{} --clusterrole={role} {subject}",
        quoted(namespace),
        plain(&who.user)
    )
}

/// As a part of an object's name.
fn plain(user: &str) -> String {
    let user = user.strip_prefix(SERVICE_ACCOUNT).unwrap_or(user);
    let mut name = String::new();
    for letter in user.chars().take(MOST_NAME) {
        if letter.is_ascii_alphanumeric() {
            name.push(letter.to_ascii_lowercase());
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "user" } else { name }.to_owned()
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn it_says_what_to_ask_for() {
        let mut told = String::new();
        for (user, action) in [
            ("alice@example.com", Action::ReadAgents),
            (
                "system:serviceaccount:growth:dashboard",
                Action::ReadSources,
            ),
            ("oidc:O'Brien; rm -rf /", Action::Fetch),
            ("\u{e9}", Action::ReadAgents),
        ] {
            let who = Identity {
                user: user.to_owned(),
                uid: None,
                groups: Vec::new(),
                extra: std::collections::BTreeMap::new(),
            };
            let problem = forbidden(&who, action, "growth");
            let command = problem.command().unwrap();
            writeln!(told, "{}\n  {command}", problem.detail()).unwrap();
        }
        insta::assert_snapshot!(told, @r#"
        you (alice@example.com) may not see the reports in namespace "growth": ask an administrator for the role sumsq-report-viewer there, or for another one with get agents/report (sumsq.dev)
          kubectl -n growth create rolebinding sumsq-report-viewer-alice-example-com --clusterrole=sumsq-report-viewer --user=alice@example.com
        you (system:serviceaccount:growth:dashboard) may not see the data sources in namespace "growth": ask an administrator for the role sumsq-report-viewer there, or for another one with get datasources/report (sumsq.dev)
          kubectl -n growth create rolebinding sumsq-report-viewer-growth-dashboard --clusterrole=sumsq-report-viewer --serviceaccount=growth:dashboard
        you (oidc:O'Brien; rm -rf /) may not request fetches of the data sources in namespace "growth": ask an administrator for the role sumsq-edit there, or for another one with patch datasources (sumsq.dev)
          kubectl -n growth create rolebinding sumsq-edit-oidc-o-brien-rm-rf --clusterrole=sumsq-edit --user='oidc:O'\''Brien; rm -rf /'
        you (é) may not see the reports in namespace "growth": ask an administrator for the role sumsq-report-viewer there, or for another one with get agents/report (sumsq.dev)
          kubectl -n growth create rolebinding sumsq-report-viewer-user --clusterrole=sumsq-report-viewer --user='é'
        "#);
    }
}
