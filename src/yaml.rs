//! The one place that knows which YAML crate there is.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a document is not, and where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// With line and column where they are known.
    #[error("{0}")]
    Syntax(#[from] serde_yaml::Error),
    #[error("unknown field {0}")]
    UnknownField(String),
}

/// Every document of a stream, read strictly: a field that the type does not know is an error
/// (but for `apiVersion` and `kind`, which say what the document is and stand in no type).
/// `wanted` looks at a document's raw value first; those that it does not want are passed over.
///
/// # Errors
/// The first document that cannot be read.
pub(crate) fn documents<T: DeserializeOwned>(
    text: &str,
    wanted: impl Fn(&serde_json::Value) -> bool,
) -> Result<Vec<T>, Error> {
    use serde::Deserialize;
    let mut documents = Vec::new();
    // The stream is walked twice: a document has to be looked at before it is known to be ours,
    // and read from the text itself for its errors to have lines.
    let values = serde_yaml::Deserializer::from_str(text);
    for (value, document) in values.zip(serde_yaml::Deserializer::from_str(text)) {
        if !wanted(&serde_json::Value::deserialize(value)?) {
            continue;
        }
        let mut unknown = None;
        let read = serde_ignored::deserialize(document, |path| {
            let path = path.to_string();
            if path != "apiVersion" && path != "kind" {
                unknown.get_or_insert(path);
            }
        })?;
        if let Some(field) = unknown {
            return Err(Error::UnknownField(field.replace(".?", "")));
        }
        documents.push(read);
    }
    Ok(documents)
}

/// # Errors
/// A value that YAML cannot hold: a bug.
pub(crate) fn to_string(value: &impl Serialize) -> Result<String, Error> {
    Ok(serde_yaml::to_string(value)?)
}
