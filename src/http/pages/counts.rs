//! The counts of a data source, where its goals changed over time: a link for each file.

use askama::Template;

use super::links;
use super::parts::Frame;
use crate::domain::report::words;
use crate::http::api::counts::File;
use crate::store::SourceRow;

#[derive(Debug, Template)]
#[template(path = "counts.html")]
pub struct CountsPage {
    pub(super) frame: Frame,
    namespace: String,
    namespace_query: String,
    name: String,
    display_name: String,
    source_link: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    link: String,
    goals: String,
    days: String,
    agent_days: String,
}

impl CountsPage {
    #[must_use]
    pub(super) fn new(source: &SourceRow, files: &[File]) -> Self {
        let key = &source.key;
        let display_name = source
            .description
            .as_ref()
            .map_or(&key.name, |description| &description.display_name);
        let download = download(source);
        Self {
            frame: Frame::new(format!("Counts of {display_name}")),
            namespace: key.namespace.clone(),
            namespace_query: links::encode(&key.namespace),
            name: key.name.clone(),
            display_name: display_name.clone(),
            source_link: links::source(&key.namespace, &key.name),
            parts: (1..)
                .zip(files)
                .map(|(number, file): (u32, &File)| Part {
                    link: links::with_query(&download, &[("part", number.to_string())]),
                    goals: file.goals.join(", "),
                    days: format!("{} to {}", file.first, file.last),
                    agent_days: words::count(file.agent_days),
                })
                .collect(),
        }
    }
}

/// Of the file that all counts of a source are.
pub(super) fn download(source: &SourceRow) -> String {
    let link = links::source(&source.key.namespace, &source.key.name);
    format!("/api/v1{link}/counts.csv")
}
