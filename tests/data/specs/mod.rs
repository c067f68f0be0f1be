//! The table of specs that are refused or taken, for every test that holds something to it.

use serde::Deserialize;
use serde_json::{Value, json};

/// One line of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What is the matter with it, for the test's failure.
    pub name: String,
    /// What it changes of good.yaml's spec.
    spec: Value,
    /// Where it is refused.
    #[serde(default)]
    pub field: String,
    /// And with which sentence.
    #[serde(default)]
    pub sentence: String,
}

/// What is refused, each with its field and sentence.
pub fn refused() -> Vec<Case> {
    read(include_str!("refused.yaml"))
}

/// What is taken.
pub fn taken() -> Vec<Case> {
    read(include_str!("taken.yaml"))
}

fn read<T: serde::de::DeserializeOwned>(yaml: &str) -> T {
    serde_yaml::from_str(yaml).expect("the table can be read")
}

impl Case {
    /// The whole resource in YAML. (JSON would do, but for control characters that YAML has escaped.)
    pub fn manifest(&self, name: &str) -> String {
        let mut resource: Value = read(include_str!("good.yaml"));
        resource["metadata"]["name"] = json!(name);
        merge(&mut resource["spec"], &written_out(&self.spec));
        serde_yaml::to_string(&resource).expect("JSON can be written as YAML")
    }
}

/// `{times: 3, text: x}` is `xxx`. `{times: 3, and: [...]}` is a list of three goals and these;
/// codes as long as can be, alike but for their end, which costs the API server the most.
fn written_out(value: &Value) -> Value {
    match value {
        Value::Object(fields) => match (value["times"].as_u64(), value["text"].as_str()) {
            (Some(times), Some(text)) => (0..times).map(|_| text).collect::<String>().into(),
            (Some(times), None) => {
                let goals = (0..times).map(|n| json!({"code": format!("{:g>124}-{n:03}", "")}));
                let others = value["and"].as_array().into_iter().flatten().cloned();
                goals.chain(others).collect()
            }
            (None, _) => fields
                .iter()
                .map(|(key, value)| (key.clone(), written_out(value)))
                .collect(),
        },
        Value::Array(items) => items.iter().map(written_out).collect(),
        _ => value.clone(),
    }
}

/// JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().expect("made one above").remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}
