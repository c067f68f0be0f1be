//! What is shown where there is nothing to show: a problem in the pages' clothes.

use askama::Template;
use axum::http::Uri;

use super::parts::{Frame, sentence};
use super::sign_in;
use crate::http::problem::Problem;

#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub(super) frame: Frame,
    status: u16,
    heading: &'static str,
    /// The one that is wrong, as the address spells it.
    parameter: Option<String>,
    detail: String,
    advice: &'static str,
    /// Of the report that was asked for, where its parameters are wrong.
    agent_link: Option<String>,
    /// What somebody else would run to mend it.
    command: Option<String>,
    sign_in: Option<String>,
}

impl ErrorPage {
    /// `asked` as it was asked for; `signs_in`, whether people sign in here.
    #[must_use]
    pub fn new(problem: &Problem, asked: &Uri, signs_in: bool) -> Self {
        let path = asked.path();
        let status = problem.status().as_u16();
        let (heading, advice) = words(status);
        let prefix = problem.about().map(|name| format!("{name}: "));
        let takes = prefix.and_then(|prefix| problem.detail().strip_prefix(&prefix));
        Self {
            frame: Frame::new(heading),
            status,
            heading,
            parameter: problem
                .about()
                .filter(|_| takes.is_some())
                .map(str::to_owned),
            // What follows the parameter's name and a colon is no new sentence.
            detail: takes.map_or_else(
                || sentence(problem.detail()),
                |takes| format!("{}.", takes.trim_end_matches('.')),
            ),
            advice,
            agent_link: (status == 400).then(|| agent(path)).flatten(),
            command: problem.command().map(str::to_owned),
            sign_in: (status == 401 && signs_in).then(|| sign_in::address("/")),
        }
    }
}

/// The agent's own page, where the path is one of its reports.
fn agent(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').collect();
    match segments[..] {
        ["", "namespaces", namespace, "agents", code]
        | ["", "namespaces", namespace, "agents", code, _] => {
            Some(format!("/namespaces/{namespace}/agents/{code}"))
        }
        _ => None,
    }
}

fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => (
            "That can’t be shown",
            "The address asks for something that this report doesn’t know. Correct the parameter, or begin anew from the agent’s page.",
        ),
        401 => ("Who are you?", ""),
        403 => ("That is not allowed", ""),
        404 => (
            "There is nothing here",
            "It may be called something else now, or its data source is gone. Search for it above.",
        ),
        405 => ("Not that way", "Pages are read; only buttons write."),
        413 | 414 => ("Too long", ""),
        500 => (
            "Something went wrong here",
            "Trying again may help; if it does not, the log does.",
        ),
        503 | 504 => ("Not right now", "Reload the page in a moment."),
        _ => ("That did not work", ""),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn page(problem: &Problem, path: &str) -> ErrorPage {
        ErrorPage::new(problem, &path.parse().unwrap(), false)
    }

    #[test]
    fn a_wrong_parameter_keeps_its_name_and_the_agent_is_a_click_away() {
        let problem = Problem::parameter("confidence", "a number from 0.5 to 0.9999");
        let report = "/namespaces/growth/agents/a%2Fb%20c";
        let said = "<span class=\"code\">confidence</span>: a number from 0.5 to 0.9999.";
        let link = format!("<a href=\"{report}\">");
        for path in [report.to_owned(), format!("{report}/activity")] {
            let html = page(&problem, &path).render().unwrap();
            assert!(html.contains(said) && html.contains(&link), "{html}");
        }
        // What is not there is not linked to.
        let missing = Problem::new(StatusCode::NOT_FOUND, "there is no agent x");
        for (problem, path) in [
            (&missing, report),
            (&problem, "/"),
            (&problem, "/namespaces/a/b"),
        ] {
            let html = page(problem, path).render().unwrap();
            assert!(!html.contains("/agents/"), "{html}");
        }
        let html = page(&missing, report).render().unwrap();
        assert!(html.contains("There is no agent x."), "{html}");
    }
}
