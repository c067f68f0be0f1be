//! DataSources in files: what `kubectl apply` would take, and where in the file it would not.

use std::fmt;

use serde_json::Value;

use super::schema;
use crate::crd::data_source::DataSource;
use crate::yaml::{self, Document, Location};

const KIND: &str = "DataSource";
const GROUP: &str = "sumsq.dev/";
const API_VERSION: &str = "sumsq.dev/v1alpha1";
/// How alike two names are (0 to 1) for one to be the other misspelt; as clap has it for flags.
const ALIKE: f64 = 0.8;

/// Everything in a file that `kubectl apply` would refuse, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(problems))]
pub struct ManifestError {
    /// At least one.
    pub problems: Vec<ManifestProblem>,
}

/// One thing to mend in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestProblem {
    /// None where the text says nothing about it.
    pub location: Option<Location>,
    /// Begins with the field where there is one, such as `spec.schedule: `.
    pub message: String,
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = self.location {
            write!(f, "{location}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl From<yaml::Error> for ManifestProblem {
    fn from(error: yaml::Error) -> Self {
        Self { location: error.location, message: error.message }
    }
}

fn lines(problems: &[ManifestProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Every DataSource of a file, held to the schema's rules. Documents of other kinds are passed
/// over.
///
/// # Errors
/// Text that is no YAML, fields that are unknown, missing or of the wrong type, and specs that
/// `kubectl apply` would refuse, with its sentence.
pub fn manifest(text: &str) -> Result<Vec<DataSource>, ManifestError> {
    let mut resources = Vec::new();
    let mut problems = Vec::new();
    let documents = yaml::documents(text, |document| {
        problems.extend(bundled(document));
        document["kind"] == KIND && is_ours(document)
    });
    for document in documents {
        match document {
            Ok(document) => {
                problems.extend(problems_of(text, &document));
                resources.push(document.value);
            }
            Err(error) => problems.push(error.into()),
        }
    }
    if problems.is_empty() {
        return Ok(resources);
    }
    problems.sort();
    Err(ManifestError { problems })
}

/// Other groups may have a kind of the same name. None at all is a slip.
fn is_ours(document: &Value) -> bool {
    document["apiVersion"].as_str().is_none_or(|version| version.starts_with(GROUP))
}

/// What `kubectl get -o yaml` writes of several objects would otherwise be passed over in silence.
fn bundled(document: &Value) -> Option<ManifestProblem> {
    let items = document["items"].as_array().filter(|_| {
        document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"))
    })?;
    let ours = items.iter().filter(|item| item["kind"] == KIND && is_ours(item)).count();
    (ours > 0).then(|| ManifestProblem {
        location: None,
        message: format!(
            "a list of {ours} DataSources: write each as a document of its own, with --- between"
        ),
    })
}

fn problems_of(text: &str, document: &Document<DataSource>) -> Vec<ManifestProblem> {
    let resource = &document.value;
    let at = |field: &str, message: String| ManifestProblem {
        location: yaml::locate(text, document.index, field),
        message,
    };
    let mut problems = Vec::new();
    if document.raw["apiVersion"] != API_VERSION {
        let message = format!("apiVersion: this version of sumsq reads {API_VERSION}");
        problems.push(at("apiVersion", message));
    }
    if resource.metadata.name.as_ref().is_none_or(String::is_empty) {
        problems.push(at("metadata.name", "metadata.name: every DataSource needs a name".to_owned()));
    }
    for field in &document.unknown_fields {
        let hint = nearest(field).map(|name| format!(": did you mean {name}?")).unwrap_or_default();
        problems.push(at(field, format!("unknown field {field}{hint}")));
    }
    for broken in schema::broken_rules(resource) {
        problems.push(at(&broken.field, format!("{}: {}", broken.field, broken.message)));
    }
    problems
}

/// The schema's name for what was probably meant: one that stands at the same place.
fn nearest(field: &str) -> Option<&'static str> {
    let (parents, name) = field.rsplit_once('.').unwrap_or(("", field));
    let steps = parents.split(['.', '[', ']']).filter(|step| !step.is_empty());
    let parent = steps.fold(&*schema::SCHEMA, |schema, step| {
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            &schema["items"]
        } else {
            &schema["properties"][step]
        }
    });
    let known = parent["properties"].as_object()?.keys();
    known
        .map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase()), known.as_str()))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}
