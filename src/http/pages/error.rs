//! What is shown where there is nothing to show: a problem in the pages' clothes.

use askama::Template;

use super::parts::{Frame, sentence};

#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    frame: Frame,
    status: u16,
    heading: &'static str,
    detail: String,
    advice: &'static str,
}

impl ErrorPage {
    #[must_use]
    pub fn new(status: u16, detail: &str) -> Self {
        let (heading, advice) = words(status);
        Self {
            frame: Frame::new(heading),
            status,
            heading,
            detail: sentence(detail),
            advice,
        }
    }
}

fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => (
            "That can’t be shown",
            "The address asks for something that this report doesn’t know. Correct the parameter, or begin anew from the agent’s page.",
        ),
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
