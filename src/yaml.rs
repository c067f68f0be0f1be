//! The one place that knows which YAML crate there is: streams of documents, read strictly, and
//! where in the text a field stands.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A place in a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What a document is not, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", location.map(|location| format!("{location}: ")).unwrap_or_default())]
pub struct Error {
    /// None where the YAML crate does not say.
    pub location: Option<Location>,
    /// Without the location.
    pub message: String,
}

impl From<serde_yaml::Error> for Error {
    fn from(error: serde_yaml::Error) -> Self {
        let location = error.location().map(|at| Location {
            line: at.line(),
            column: at.column(),
        });
        let mut message = error.to_string();
        if let Some(Location { line, column }) = location {
            message = message.replacen(&format!(" at line {line} column {column}"), "", 1);
        }
        Self { location, message }
    }
}

/// Every document of a stream, with YAML's merge keys followed. Text that is no YAML ends the
/// stream with an error; what follows it can't be told apart.
pub(crate) fn documents(text: &str) -> Vec<Result<Value, Error>> {
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let document = serde_yaml::Value::deserialize(document).and_then(|mut document| {
            document.apply_merge()?;
            Ok(document)
        });
        match document {
            Ok(document) => documents.push(json(&document)),
            Err(error) => {
                documents.push(Err(error.into()));
                break;
            }
        }
    }
    documents
}

fn json(document: &serde_yaml::Value) -> Result<Value, Error> {
    let error = |error: serde_json::Error| Error {
        location: None,
        message: error.to_string(),
    };
    let mut document = serde_json::to_value(document).map_err(error)?;
    remove_empty_fields(&mut document);
    Ok(document)
}

/// A field that says nothing (`goals:`) is none, as for the API server.
fn remove_empty_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(remove_empty_fields);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_empty_fields),
        _ => {}
    }
}

/// A document read as a type.
#[derive(Debug)]
pub(crate) struct Strict<T> {
    pub(crate) value: Result<T, FieldError>,
    /// What the type does not know, such as `spec.shedule`.
    pub(crate) unknown_fields: Vec<String>,
}

/// What a field is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// Such as `spec.goals[0].numeric`; empty for the document itself.
    pub(crate) field: String,
    pub(crate) message: String,
}

/// Reads by JSON's types, as Kubernetes does: `123456789012` without quotes is no text.
pub(crate) fn strict<T: DeserializeOwned>(document: &Value) -> Strict<T> {
    let mut unknown_fields = Vec::new();
    let mut note = |path: serde_ignored::Path<'_>| {
        let field = field_name(&path.to_string());
        // These two say what the document is, and stand in no type.
        if field != "apiVersion" && field != "kind" {
            unknown_fields.push(field);
        }
    };
    let known = serde_ignored::Deserializer::new(document, &mut note);
    let value = serde_path_to_error::deserialize(known).map_err(|error| FieldError {
        field: match error.path().to_string().as_str() {
            "." => String::new(),
            path => path.to_owned(),
        },
        message: error.into_inner().to_string(),
    });
    Strict {
        value,
        unknown_fields,
    }
}

/// `spec.goals[0].code` for `spec.goals.0.code`, without the question marks that options leave.
fn field_name(path: &str) -> String {
    let steps = path.split('.').filter(|step| *step != "?");
    let steps = steps.map(|step| {
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("[{step}]")
        } else {
            format!(".{}", step.trim_matches('?'))
        }
    });
    steps
        .collect::<Vec<_>>()
        .concat()
        .trim_start_matches('.')
        .to_owned()
}

/// Where a field such as `spec.goals[1].code` stands in the document at `index`; where it does not,
/// the nearest field around it.
pub(crate) fn locate(text: &str, index: usize, field: &str) -> Option<Location> {
    let steps: Vec<&str> = field
        .split(['.', '[', ']'])
        .filter(|step| !step.is_empty())
        .collect();
    (1..=steps.len()).rev().find_map(|depth| {
        let document = serde_yaml::Deserializer::from_str(text).nth(index)?;
        let found = Find(&steps[..depth]).deserialize(document).err()?;
        Error::from(found).location
    })
}

/// Walks down a path and fails at its end: an error is the one thing that the YAML crate gives a
/// place in the text.
struct Find<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping or a sequence")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((name, rest)) = self.0.split_first() else {
            return Ok(());
        };
        while let Some(is_it) = map.next_key_seed(Key {
            name,
            is_last: rest.is_empty(),
        })? {
            if is_it {
                map.next_value_seed(Find(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let Some((name, rest)) = self.0.split_first() else {
            return Ok(());
        };
        for index in 0_usize.. {
            let here = index.to_string() == *name;
            let more = match (here, rest.is_empty()) {
                (true, true) => sequence.next_element_seed(Here)?,
                (true, false) => sequence.next_element_seed(Find(rest))?,
                (false, _) => sequence.next_element::<IgnoredAny>()?.map(drop),
            };
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a mapping's key is the one that is looked for; where the path ends there, the error.
struct Key<'a> {
    name: &'a str,
    is_last: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        match key == self.name {
            true if self.is_last => Err(E::custom("here")),
            is_it => Ok(is_it),
        }
    }
}

/// Fails at whatever stands there.
struct Here;

impl<'de> DeserializeSeed<'de> for Here {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl Visitor<'_> for Here {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing: whatever stands here is the error")
    }
}

/// # Errors
/// A value that YAML cannot hold: a bug.
pub(crate) fn to_string(value: &impl Serialize) -> Result<String, Error> {
    Ok(serde_yaml::to_string(value)?)
}
