//! The table of specs that are refused or taken, for every test that holds something to it.

use serde::Deserialize;
use serde_json::{Value, json};

/// One line of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What is the matter with it, for the test's failure.
    pub name: String,
    /// Which good one it changes.
    #[serde(skip)]
    pub kind: Kind,
    /// The object's name, where its own matters.
    #[serde(default)]
    named: Value,
    /// What it changes of the good one's spec.
    spec: Value,
    /// Where it is refused.
    #[serde(default)]
    pub field: String,
    /// And with which sentence.
    #[serde(default)]
    pub sentence: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    DataSource,
    Agent,
}

/// What is refused, each with its field and sentence: DataSources, then Agents.
pub fn refused() -> Vec<Case> {
    both(
        include_str!("refused.yaml"),
        include_str!("agents/refused.yaml"),
    )
}

/// What is taken: DataSources, then Agents.
pub fn taken() -> Vec<Case> {
    both(
        include_str!("taken.yaml"),
        include_str!("agents/taken.yaml"),
    )
}

fn both(data_sources: &str, agents: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = read(data_sources);
    let of_agents: Vec<Case> = read(agents);
    let kind = Kind::Agent;
    cases.extend(of_agents.into_iter().map(|case| Case { kind, ..case }));
    cases
}

fn read<T: serde::de::DeserializeOwned>(yaml: &str) -> T {
    serde_yaml::from_str(yaml).expect("the table can be read")
}

impl Case {
    /// The object's name; `name` where its own does not matter.
    pub fn name(&self, name: &str) -> String {
        let own = written_out(&self.named);
        own.as_str().unwrap_or(name).to_owned()
    }

    /// The whole resource in YAML. (JSON would do, but for control characters that YAML has escaped.)
    pub fn manifest(&self, name: &str) -> String {
        let mut resource: Value = match self.kind {
            Kind::DataSource => read(include_str!("good.yaml")),
            Kind::Agent => read(include_str!("agents/good.yaml")),
        };
        resource["metadata"]["name"] = json!(self.name(name));
        merge(&mut resource["spec"], &written_out(&self.spec));
        serde_yaml::to_string(&resource).expect("JSON can be written as YAML")
    }
}

/// `{times: 3, text: x}` is `xxx`. `{times: 3, and: [...]}` is a list of three goals or variations
/// and these, `{times: 3, codes: [...]}` one of three codes and these; codes as long as can be,
/// alike but for their end, which costs the API server the most.
fn written_out(value: &Value) -> Value {
    match value {
        Value::Object(fields) => match (value["times"].as_u64(), value["text"].as_str()) {
            (Some(times), Some(text)) => (0..times).map(|_| text).collect::<String>().into(),
            (Some(times), None) => {
                let codes = (0..times).map(|n| format!("{:g>124}-{n:03}", ""));
                let others = |key: &str| value[key].as_array().into_iter().flatten().cloned();
                if value["codes"].is_array() {
                    codes.map(Value::from).chain(others("codes")).collect()
                } else {
                    let named = codes.map(|code| json!({"code": code}));
                    named.chain(others("and")).collect()
                }
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
