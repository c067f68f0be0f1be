//! DataSources and Agents in files: what `kubectl apply` would take, and where in the file it would
//! not.

use std::fmt;

use kube::ResourceExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::schema::{AGENT, DATA_SOURCE, Schema};
use crate::crd::agent::Agent;
use crate::crd::data_source::DataSource;
use crate::yaml::{self, Location};

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

/// One in the same line, several below each other.
fn lines(problems: &[ManifestProblem]) -> String {
    if let [problem] = problems {
        return problem.to_string();
    }
    let mut lines = vec![format!("{} problems:", problems.len())];
    lines.extend(problems.iter().map(|problem| format!("  {problem}")));
    lines.join("\n")
}

/// What a file asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Manifest {
    /// In the order of the file.
    pub data_sources: Vec<DataSource>,
    /// In the order of the file.
    pub agents: Vec<Agent>,
}

/// Every DataSource and every Agent of a file, held to the schema's rules. Documents of other kinds
/// are passed over.
///
/// # Errors
/// Text that is no YAML, fields that are unknown, missing or of the wrong type, and specs that
/// `kubectl apply` would refuse, with its sentence.
pub fn manifest(text: &str) -> Result<Manifest, ManifestError> {
    let mut manifest = Manifest::default();
    let mut problems = Vec::new();
    for (index, document) in yaml::documents(text).into_iter().enumerate() {
        let at = |field: &str, message: String| ManifestProblem {
            location: yaml::locate(text, index, field),
            message,
        };
        match document {
            Ok(document) => match our_kind(&document) {
                Some("DataSource") => manifest.data_sources.extend(resource(
                    &document,
                    &DATA_SOURCE,
                    &at,
                    &mut problems,
                )),
                Some(_) => {
                    manifest
                        .agents
                        .extend(resource(&document, &AGENT, &at, &mut problems));
                }
                None => problems.extend(bundled(&document).map(|told| at("items", told))),
            },
            Err(yaml::Error { location, message }) => {
                problems.push(ManifestProblem { location, message });
            }
        }
    }
    if problems.is_empty() {
        return Ok(manifest);
    }
    problems.sort();
    Err(ManifestError { problems })
}

/// The kind, where it is one of ours.
fn our_kind(document: &Value) -> Option<&str> {
    document["kind"]
        .as_str()
        .filter(|kind| ["DataSource", "Agent"].contains(kind) && is_ours(document))
}

/// Other groups may have a kind of the same name. None at all is a slip.
fn is_ours(document: &Value) -> bool {
    document["apiVersion"]
        .as_str()
        .is_none_or(|version| version.starts_with(GROUP))
}

/// What `kubectl get -o yaml` writes of several objects would otherwise be passed over in silence.
fn bundled(document: &Value) -> Option<String> {
    let is_list = document["kind"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("List"));
    let items = document["items"].as_array().filter(|_| is_list)?;
    let kind = items.iter().find_map(our_kind)?;
    Some(format!(
        "write each {kind} of this list as a document of its own, with --- between"
    ))
}

fn resource<T: DeserializeOwned + Serialize + ResourceExt>(
    document: &Value,
    schema: &Schema,
    at: &impl Fn(&str, String) -> ManifestProblem,
    problems: &mut Vec<ManifestProblem>,
) -> Option<T> {
    if document["apiVersion"] != API_VERSION {
        let field = if document["apiVersion"].is_null() {
            "kind"
        } else {
            "apiVersion"
        };
        problems.push(at(
            field,
            format!("apiVersion: this version of sumsq reads {API_VERSION}"),
        ));
    }
    let yaml::Strict {
        value,
        unknown_fields,
    } = yaml::strict::<T>(document);
    for field in unknown_fields {
        let hint = nearest(&field, &schema.json)
            .map(|name| format!(": did you mean {name}?"))
            .unwrap_or_default();
        problems.push(at(&field, format!("unknown field {field}{hint}")));
    }
    match value {
        Ok(resource) => {
            if resource.meta().name.as_ref().is_none_or(String::is_empty) {
                let kind = document["kind"].as_str().unwrap_or_default();
                let message = format!("metadata.name: every {kind} needs a name");
                problems.push(at("metadata.name", message));
            }
            for broken in schema.broken_rules(&resource) {
                problems.push(at(
                    &broken.field,
                    format!("{}: {}", broken.field, broken.message),
                ));
            }
            Some(resource)
        }
        Err(error) => {
            let colon = if error.field.is_empty() { "" } else { ": " };
            let message = plain(&error.message);
            let place = if error.field.is_empty() {
                "kind"
            } else {
                &error.field
            };
            problems.push(at(place, format!("{}{colon}{message}", error.field)));
            None
        }
    }
}

/// The deserializer's words, in those of YAML.
fn plain(message: &str) -> String {
    let message = message
        .replace("expected i64", "expected a whole number")
        .replace("expected f64", "expected a number")
        .replace("invalid type: null", "there is nothing");
    if let Some((before, _)) = message.split_once("expected struct ") {
        return format!("{before}expected a mapping");
    }
    if message.ends_with("expected a string") && message.contains('`') {
        return format!("{message}: write it in quotes");
    }
    message
}

/// The schema's name for what was probably meant: one that stands at the same place.
fn nearest<'a>(field: &str, schema: &'a Value) -> Option<&'a str> {
    let (parents, name) = field.rsplit_once('.').unwrap_or(("", field));
    let steps = parents
        .split(['.', '[', ']'])
        .filter(|step| !step.is_empty());
    let parent = steps.fold(schema, |schema, step| {
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            &schema["items"]
        } else {
            &schema["properties"][step]
        }
    });
    let known = parent["properties"].as_object()?.keys();
    known
        .map(|known| {
            (
                strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase()),
                known.as_str(),
            )
        })
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}
