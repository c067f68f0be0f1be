//! The filters, as a plain form whose fields are the address's parameters.

use super::View;
use crate::domain::report::query::ALL_POLICIES;
use crate::domain::report::view::IntervalKind;
use crate::domain::report::{Choice, Choices};
use crate::http::pages::parts::Select;

#[derive(Debug)]
pub struct Form {
    pub action: String,
    /// Kept where there are several.
    pub data_source: Option<String>,
    /// Goal and metric.
    pub first: Vec<Select>,
    pub from: String,
    pub to: String,
    pub first_day: String,
    pub last_day: String,
    /// Who is looked at, and how.
    pub second: Vec<Select>,
    pub confidence: String,
    pub target_lift: String,
}

impl Form {
    pub(super) fn new(view: &View<'_>, choices: &Choices, data_sources: usize) -> Self {
        let report = view.report;
        let value = |name: &str| value(&view.pairs, name);
        let mut second = traits(
            choices,
            report.trait_group.as_deref(),
            report.trait_value.as_deref(),
        );
        second.push(policy(choices, &report.policy));
        second.push(Select::new(
            "baseline",
            "Baseline",
            &report.baseline,
            choices.variations.iter().map(named),
        ));
        second.push(Select::new(
            "interval",
            "Interval",
            match report.interval {
                IntervalKind::Fixed => "fixed",
                IntervalKind::AlwaysValid => "alwaysValid",
            },
            [
                ("fixed", "Fixed: looked at once"),
                ("alwaysValid", "Always valid: looked at any day"),
            ],
        ));
        second.push(Select::new(
            "adjust",
            "Several comparisons",
            &value("adjust"),
            [
                ("bonferroni", "Adjusted (Bonferroni)"),
                ("none", "Each by itself"),
            ],
        ));
        Self {
            action: view.address.clone(),
            data_source: (data_sources > 1).then(|| report.data_source.clone()),
            first: vec![
                goal(choices, &report.goal),
                Select::new(
                    "metric",
                    "Metric",
                    &value("metric"),
                    metrics(choices, &report.goal),
                ),
            ],
            from: value("from"),
            to: value("to"),
            first_day: choices.first_day.to_string(),
            last_day: choices.last_day.to_string(),
            second,
            confidence: value("confidence"),
            target_lift: value("targetLift"),
        }
    }
}

pub(in crate::http::pages) fn value(pairs: &[(&'static str, String)], name: &str) -> String {
    pairs
        .iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.clone())
        .unwrap_or_default()
}

pub(in crate::http::pages) fn named(choice: &Choice) -> (String, String) {
    let label = match &choice.display_name {
        Some(name) if *name != choice.code => format!("{name} ({})", choice.code),
        _ => choice.code.clone(),
    };
    (choice.code.clone(), label)
}

pub(in crate::http::pages) fn goal(choices: &Choices, chosen: &str) -> Select {
    Select::new("goal", "Goal", chosen, choices.goals.iter().map(named))
}

/// Values only where the goal has its own.
fn metrics(choices: &Choices, goal: &str) -> Vec<(&'static str, &'static str)> {
    let numeric = choices
        .goals
        .iter()
        .any(|choice| choice.code == goal && choice.numeric);
    let mut metrics = vec![("rate", "Conversions per visitor")];
    if numeric {
        metrics.push(("value", "Value per visitor"));
    }
    metrics
}

/// The trait group, and the values of the one that is chosen; nothing without traits.
pub(in crate::http::pages) fn traits(
    choices: &Choices,
    group: Option<&str>,
    value: Option<&str>,
) -> Vec<Select> {
    let mut selects = Vec::new();
    if choices.traits.is_empty() {
        return selects;
    }
    let groups = choices.traits.iter().map(|(group, _)| (group, group));
    let none = [(String::new(), "All visitors".to_owned())];
    selects.push(Select::new(
        "traitGroup",
        "Trait",
        group.unwrap_or_default(),
        none.into_iter()
            .chain(groups.map(|(value, label)| (value.clone(), label.clone()))),
    ));
    let values = choices
        .traits
        .iter()
        .find(|(code, _)| Some(code.as_str()) == group)
        .map(|(_, values)| values);
    if let Some(values) = values {
        let every = [(String::new(), "Every value, side by side".to_owned())];
        let values = values.iter().map(|value| (value.clone(), value.clone()));
        selects.push(Select::new(
            "traitValue",
            "Value of the trait",
            value.unwrap_or_default(),
            every.into_iter().chain(values),
        ));
    }
    selects
}

pub(in crate::http::pages) fn policy(choices: &Choices, chosen: &str) -> Select {
    let policies = choices
        .policies
        .iter()
        .map(|policy| (policy.clone(), policy.clone()));
    let all = [(ALL_POLICIES.to_owned(), "All policies".to_owned())];
    Select::new("policy", "Policy", chosen, policies.chain(all))
}
