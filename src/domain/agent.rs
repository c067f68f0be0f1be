//! What an Agent resource adds to an agent seen in a CSV: names, baseline, expected shares.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An Agent resource as it was last seen, kept so that reports need no cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentResource {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// Of two resources with one code the older counts.
    pub created_at: Timestamp,
    pub agent: Agent,
}

/// A validated Agent spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// As written in the CSV.
    pub code: String,
    pub display_name: Option<String>,
    /// Goal codes that its reports are about; empty: all.
    pub goals: Vec<String>,
    /// None: the first variation code in natural order.
    pub baseline: Option<String>,
    /// Relative lift that is worth shipping, > 0.
    pub target_lift: Option<f64>,
    /// Unique by code; empty: equal shares of whatever the data hold.
    pub variations: Vec<DeclaredVariation>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeclaredVariation {
    pub code: String,
    pub display_name: Option<String>,
    /// Its share is weight over the sum of weights; 0: not in the test.
    pub weight: f64,
}

impl Agent {
    #[must_use]
    pub fn variation(&self, code: &str) -> Option<&DeclaredVariation> {
        self.variations
            .iter()
            .find(|variation| variation.code == code)
    }

    /// Whether its reports are about `goal`.
    #[must_use]
    pub fn includes_goal(&self, goal: &str) -> bool {
        self.goals.is_empty() || self.goals.iter().any(|code| code == goal)
    }
}

/// The resource that counts for `code` in its namespace: the oldest one that names it, by name
/// where two are of one second.
pub fn in_force<'a>(
    resources: impl IntoIterator<Item = &'a AgentResource>,
    code: &str,
) -> Option<&'a AgentResource> {
    resources
        .into_iter()
        .filter(|resource| resource.agent.code == code)
        .min_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)))
}

/// Browsers and most other clients take `.` and `..` in a path for folders, percent-encoded too. No
/// code holds a control character, so this one before them says that they are a code.
const NO_FOLDER: char = '\u{1f}';

/// A code as one segment of an address, before it is percent-encoded.
#[must_use]
pub fn to_segment(code: &str) -> Cow<'_, str> {
    match code {
        "." | ".." => format!("{NO_FOLDER}{code}").into(),
        _ => code.into(),
    }
}

/// The code that a segment names, after it is percent-decoded.
#[must_use]
pub fn from_segment(segment: &str) -> &str {
    match segment.strip_prefix(NO_FOLDER) {
        Some(code @ ("." | "..")) => code,
        _ => segment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_resources_with_one_code_the_older_counts() {
        let resource = |name: &str, code: &str, second: i64| AgentResource {
            namespace: "growth".into(),
            name: name.into(),
            uid: name.into(),
            created_at: Timestamp::from_second(second).unwrap(),
            agent: Agent {
                code: code.into(),
                display_name: None,
                goals: Vec::new(),
                baseline: None,
                target_lift: None,
                variations: Vec::new(),
            },
        };
        let resources = [
            resource("c", "x", 2),
            resource("b", "x", 1),
            resource("a", "x", 1),
            resource("d", "y", 0),
        ];
        let found = |code| in_force(&resources, code).map(|resource| resource.name.as_str());
        assert_eq!(found("x"), Some("a"));
        assert_eq!(found("y"), Some("d"));
        assert_eq!(found("z"), None);
    }
}
