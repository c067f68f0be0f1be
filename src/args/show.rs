//! `sumsq show`: which report, and of what.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args as ClapArgs, ValueEnum};

use super::StoreFlag;

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The filters are those of the report's page and mean the same there. Exit status: 0 printed,
1 the store or the server does not answer, or the server lets you not, 2 usage, or no such agent.

Examples:
  sumsq show growth/checkout --store sqlite:/var/lib/sumsq/sumsq.db
  sumsq show growth/checkout --server http://127.0.0.1:8080 --goal sales --metric rate
  SUMSQ_TOKEN=$(kubectl -n growth create token me) sumsq show growth/checkout --server https://...
  sumsq show growth/checkout --interval always-valid --output json | jq .comparisons")]
pub struct ShowArgs {
    /// The agent, as its namespace, a slash and its code
    #[arg(value_name = "NAMESPACE/AGENT")]
    pub agent: AgentName,

    #[command(flatten)]
    pub store: StoreFlag,

    /// Ask a report server instead of reading a store
    #[arg(long, env = "SUMSQ_SERVER", value_name = "URL")]
    pub server: Option<String>,

    /// Who you are, to a server that asks: a file with a bearer token, as `kubectl create token` prints
    /// it
    #[arg(long, env = "SUMSQ_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// The token itself. Others on this machine can read what stands in a command: rather set the
    /// variable, or give --token-file
    #[arg(
        long,
        env = "SUMSQ_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub token: Option<BearerToken>,

    #[command(flatten)]
    pub filter: FilterArgs,

    #[arg(long, value_enum, default_value = "text")]
    pub output: ShowOutput,
}

/// A bearer token, which is shown to the server and to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

impl BearerToken {
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for BearerToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let token = text.trim();
        // The text is not repeated: an error is shown.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token is one word, such as `kubectl create token` prints".to_owned());
        }
        Ok(Self(token.to_owned()))
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(...)")
    }
}

/// What a Testing Report is about; what is left out has the default of the page.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Which of the data sources that hold the agent [default: the one with the newest data]
    #[arg(long, value_name = "NAME")]
    pub data_source: Option<String>,

    /// [default: the agent's first]
    #[arg(long, value_name = "CODE")]
    pub goal: Option<String>,

    /// Conversions or value per visitor: rate, value [default: value for a numeric goal]
    #[arg(long, value_name = "METRIC")]
    pub metric: Option<String>,

    /// First day, such as 2026-01-05 [default: the first there is]
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,

    /// Last day, included [default: the last there is]
    #[arg(long, value_name = "DAY")]
    pub to: Option<String>,

    /// Selection policy [default: r, or where there is none the one with the most visitors]
    #[arg(long, value_name = "CODE")]
    pub policy: Option<String>,

    /// Split by the values of this trait group
    #[arg(long, value_name = "CODE")]
    pub trait_group: Option<String>,

    /// Only visitors of this value; needs --trait-group
    #[arg(long, value_name = "CODE")]
    pub trait_value: Option<String>,

    /// Variation that the others are compared with
    #[arg(long, value_name = "CODE")]
    pub baseline: Option<String>,

    /// 0.5 to 0.9999 [default: 0.95]
    #[arg(long, value_name = "LEVEL")]
    pub confidence: Option<String>,

    /// For one look, or for as many as one likes: fixed, always-valid [default: fixed]
    #[arg(long, value_name = "KIND")]
    pub interval: Option<String>,

    /// For several comparisons: bonferroni, none [default: bonferroni for more than one]
    #[arg(long, value_name = "HOW")]
    pub adjust: Option<String>,

    /// Relative lift that is worth shipping, such as 0.02: says how many days are left
    #[arg(long, value_name = "LIFT")]
    pub target_lift: Option<String>,
}

impl FilterArgs {
    /// As the query of an address has them.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let interval = self.interval.as_deref().map(|kind| match kind {
            "always-valid" => "alwaysValid".to_owned(),
            other => other.to_owned(),
        });
        [
            ("dataSource", self.data_source.clone()),
            ("goal", self.goal.clone()),
            ("metric", self.metric.clone()),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
            ("policy", self.policy.clone()),
            ("traitGroup", self.trait_group.clone()),
            ("traitValue", self.trait_value.clone()),
            ("baseline", self.baseline.clone()),
            ("confidence", self.confidence.clone()),
            ("interval", interval),
            ("adjust", self.adjust.clone()),
            ("targetLift", self.target_lift.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// An agent as people name it. Codes may hold slashes; namespaces don't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentName {
    pub namespace: String,
    pub code: String,
}

impl FromStr for AgentName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, code)) if !namespace.is_empty() && !code.is_empty() => Ok(Self {
                namespace: namespace.to_owned(),
                code: code.to_owned(),
            }),
            _ => Err("write NAMESPACE/AGENT, such as growth/checkout".to_owned()),
        }
    }
}

impl std::fmt::Display for AgentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.code)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShowOutput {
    /// For people.
    Text,
    /// The report's JSON, as a report server sends it.
    Json,
    /// The same.
    Yaml,
    /// A row per comparison.
    Csv,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_s_code_may_hold_slashes() {
        let name = "growth/a/b".parse::<AgentName>().unwrap();
        assert_eq!((&*name.namespace, &*name.code), ("growth", "a/b"));
        for text in ["growth", "growth/", "/a", ""] {
            assert!(text.parse::<AgentName>().is_err(), "{text:?}");
        }
    }
}
