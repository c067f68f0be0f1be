//! Agent: what an experiment's reports should know that its CSV does not say, and how it fares.
//!
//! Optional: an agent seen in a CSV has its reports without one. The rules are written as
//! [`super::data_source`] tells: a sentence for each mistake, and wide limits behind it.

#![allow(
    unreachable_pub,
    reason = "the schema's derive repeats each struct inside a function"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// What the reports of one agent (an experiment) should know that its CSV does not say: names,
/// the baseline, the shares expected, what is worth shipping.
#[allow(
    clippy::duplicated_attributes,
    reason = "each printer column has a type"
)]
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "sumsq.dev",
    version = "v1alpha1",
    kind = "Agent",
    plural = "agents",
    category = "sumsq",
    namespaced,
    doc = "An experiment that DataSources of this namespace hold counts of: names, baseline and \
           expected shares for its reports, and whether they can be trusted. Optional: reports \
           are there without it.",
    status = "AgentStatus",
    derive = "PartialEq",
    validation = Rule::new("has(self.spec.code) || self.metadata.name.size() <= 128")
        .message("code is missing: the object's name is longer than the 128 bytes that a code \
            may have; write the agent as the CSV does")
        .field_path(".spec.code")
        .reason(Reason::FieldValueRequired),
    printcolumn(
        name = "Trustworthy",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Trustworthy\")].status",
        description = "Whether nothing in its numbers keeps a reader from believing its reports."
    ),
    printcolumn(
        name = "Visitors",
        type_ = "integer",
        json_path = ".status.visitors",
        description = "Visitors that its Testing Report is about."
    ),
    // As dates they would print as an age.
    printcolumn(
        name = "From",
        type_ = "string",
        json_path = ".status.firstDay",
        description = "The first day with data."
    ),
    printcolumn(
        name = "To",
        type_ = "string",
        json_path = ".status.lastDay",
        description = "The last day with data."
    ),
    printcolumn(
        name = "Code",
        type_ = "string",
        json_path = ".spec.code",
        priority = 1,
        description = "The agent as the CSV writes it, where that is not the object's name."
    ),
    printcolumn(
        name = "Data Sources",
        type_ = "string",
        json_path = ".status.dataSources[*]",
        priority = 1,
        description = "Who holds data of it; the first one's are shown by default."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Trustworthy\")].reason",
        description = "Why Trustworthy is what it is: what is wrong with the experiment."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "How long ago the object was created."
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.baseline) || !has(self.variations) || \
        self.variations.size() == 0 || self.variations.exists(v, v.code == self.baseline)")
        .message(Message::Expression("'baseline takes the code of one of the variations: ' + \
            self.baseline + ' is none of them'".to_owned()))
        .field_path(".baseline"),
    validation = Rule::new("!has(self.baseline) || !has(self.variations) || \
        !self.variations.exists(v, v.weight > 0.0) || \
        !self.variations.exists(v, v.code == self.baseline && v.weight == 0.0)")
        .message(Message::Expression("'baseline takes a variation that is in the test: give ' + \
            self.baseline + ' a weight above 0'".to_owned()))
        .field_path(".baseline")
)]
pub struct AgentSpec {
    /// The agent as the CSV writes it, at most 128 bytes. Of two Agents with one code the older
    /// counts, and the other says so. Default: the object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(
        validation = Rule::new("self != '' && bytes(self).size() <= 128")
            .message("code takes the agent as the CSV writes it, 1 to 128 bytes; leave it out \
                where that is the object's name"),
        validation = Rule::new("!self.matches('\\\\p{Cc}')")
            .message("code takes no control characters, such as tabs and line breaks")
    )]
    pub code: Option<String>,

    /// What people call the experiment, such as "Checkout button". Default: the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("self.size() <= 256 && !self.matches('\\\\p{Cc}')")
        .message("displayName takes one line of at most 256 characters"))]
    pub display_name: Option<String>,

    /// The codes of the goals that its reports are about, at most 100, each once; the first is
    /// shown first. Default: all goals of the DataSource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(max = 256)))]
    #[x_kube(
        validation = Rule::new("self.size() <= 100")
            .message("goals takes at most 100"),
        validation = Rule::new("self.size() > 100 || \
            self.all(c, self.exists_one(d, d == c))")
            .message(Message::Expression("'goal ' + \
                self.filter(c, !self.exists_one(d, d == c))[0] + \
                ' stands more than once: write each goal once'".to_owned())),
        validation = Rule::new("self.all(c, c != '' && bytes(c).size() <= 128 && \
            !c.matches('\\\\p{Cc}'))")
            .message("goals takes the codes of goals as the DataSource has them, each 1 to 128 \
                bytes without control characters")
    )]
    pub goals: Vec<String>,

    /// The code of the variation that the others are compared with. Default: the first in natural
    /// order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(
        validation = Rule::new("self != '' && bytes(self).size() <= 128")
            .message("baseline takes the code of a variation as the CSV writes it, 1 to 128 bytes"),
        validation = Rule::new("!self.matches('\\\\p{Cc}')")
            .message("baseline takes no control characters, such as tabs and line breaks")
    )]
    pub baseline: Option<String>,

    /// The lift that is worth shipping, as a fraction of the baseline's mean: 0.02 is 2%. Reports
    /// then tell how many days are left until it could be told from chance. At most 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self > 0.0 && self <= 10.0")
        .message("targetLift takes a fraction above 0 and at most 10: write 0.02 for 2%"))]
    pub target_lift: Option<f64>,

    /// The variations that the experiment is meant to have, at most 100, with the shares of the
    /// visitors that each should get. Default: those that the CSV holds, in equal shares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    #[x_kube(
        validation = Rule::new("self.size() <= 100")
            .message("variations takes at most 100"),
        validation = Rule::new("self.size() > 100 || \
            self.all(v, self.exists_one(w, w.code == v.code))")
            .message(Message::Expression("'variation ' + \
                self.map(v, v.code).filter(c, !self.exists_one(w, w.code == c))[0] + \
                ' stands more than once: write each variation once'".to_owned())),
        validation = Rule::new("self.size() == 0 || self.exists(v, v.weight != 0.0)")
            .message("variations takes at least one with a weight above 0: those of weight 0 \
                are not in the test")
    )]
    pub variations: Vec<Variation>,
}

/// One variation, and the share of the visitors that it should get.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variation {
    /// As the CSV writes it, at most 128 bytes.
    #[schemars(length(max = 256))]
    #[x_kube(
        validation = Rule::new("self != '' && bytes(self).size() <= 128")
            .message("a variation's code takes it as the CSV writes it, 1 to 128 bytes"),
        validation = Rule::new("!self.matches('\\\\p{Cc}')")
            .message("a variation's code takes no control characters, such as tabs and line breaks")
    )]
    pub code: String,

    /// What people call it, such as "Green button". Default: the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("self.size() <= 256 && !self.matches('\\\\p{Cc}')")
        .message("displayName takes one line of at most 256 characters"))]
    pub display_name: Option<String>,

    /// Its share of the visitors is this over the sum of all weights, 0 to 1000000. 0: it is not
    /// in the test, and is listed without a comparison. Default: 1.
    #[serde(default = "default_weight")]
    #[x_kube(validation = Rule::new("self >= 0.0 && self <= 1000000.0")
        .message("weight takes 0 to 1000000: equal weights are equal shares, 0 is not in the test"))]
    pub weight: f64,
}

/// What the operator found: written by it alone.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready: reports use this object; False where an older one has its code. Trustworthy: nothing
    /// in the numbers keeps a reader from believing the reports; where it is False the reason is
    /// what is wrong, such as SampleRatioMismatch, AllocationDrift, IntegrityProblem or
    /// FewVisitors. Stalled (while True): another spec helps, or that an older Agent of this code
    /// goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,

    /// DataSources of this namespace that hold data of it, at most 100. The first is the one that
    /// reports show by default; it has the newest data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_sources: Vec<String>,

    /// The first day that the default DataSource holds, such as 2026-11-24 (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub first_day: Option<String>,

    /// The last day that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub last_day: Option<String>,

    /// Visitors that the Testing Report is about: of all variations, days and traits, under the
    /// policy that it shows by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitors: Option<i64>,
}

fn default_weight() -> f64 {
    1.0
}
