//! What an address may ask for: every parameter of the Testing and the Activity Report, with its
//! limits. Whether the data hold a code that is asked for is said where the report is made.

use jiff::civil::Date;

use super::view::{
    ActivityReport, Adjust, GroupBy, IntervalKind, Measure, Metric, Per, TestingReport,
};
use crate::domain::agent_day::Day;
use crate::domain::data_source::MAX_CODE_BYTES;
use crate::domain::finding::excerpt;

/// Names of Kubernetes objects are at most this long.
const MAX_NAME_BYTES: usize = 253;
/// 0.5 to 0.9999.
pub const CONFIDENCE: (f64, f64) = (0.5, 0.9999);
/// Of an interval where nothing is said.
pub const DEFAULT_CONFIDENCE: f64 = 0.95;
/// A lift of ten thousand percent.
pub const MAX_TARGET_LIFT: f64 = 100.0;
/// Asks for every policy.
pub const ALL_POLICIES: &str = "all";

/// Which parameter can't be taken, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {message}")]
pub struct QueryError {
    pub parameter: String,
    /// Lower case, no full stop; says what the parameter takes.
    pub message: String,
}

impl QueryError {
    #[must_use]
    pub fn new(parameter: &str, message: impl Into<String>) -> Self {
        Self {
            parameter: excerpt(parameter.as_bytes()),
            message: message.into(),
        }
    }
}

/// None: the default, which may depend on the data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TestingQuery {
    pub data_source: Option<String>,
    pub goal: Option<String>,
    pub metric: Option<Metric>,
    /// First and last day in view, both included.
    pub from: Option<Day>,
    pub to: Option<Day>,
    /// A policy's code, or [`ALL_POLICIES`].
    pub policy: Option<String>,
    pub trait_group: Option<String>,
    pub trait_value: Option<String>,
    pub baseline: Option<String>,
    /// Within [`CONFIDENCE`].
    pub confidence: Option<f64>,
    pub interval: Option<IntervalKind>,
    pub adjust: Option<Adjust>,
    /// Relative, above 0, at most [`MAX_TARGET_LIFT`].
    pub target_lift: Option<f64>,
}

/// None: the default, which may depend on the data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActivityQuery {
    pub data_source: Option<String>,
    pub goal: Option<String>,
    pub from: Option<Day>,
    pub to: Option<Day>,
    /// A policy's code, or [`ALL_POLICIES`].
    pub policy: Option<String>,
    pub trait_group: Option<String>,
    pub trait_value: Option<String>,
    pub measure: Option<Measure>,
    pub group_by: Option<GroupBy>,
    pub per: Option<Per>,
    pub cumulative: Option<bool>,
}

const METRICS: &[(&str, Metric)] = &[("rate", Metric::Rate), ("value", Metric::Value)];
const INTERVALS: &[(&str, IntervalKind)] = &[
    ("fixed", IntervalKind::Fixed),
    ("alwaysValid", IntervalKind::AlwaysValid),
];
const ADJUSTMENTS: &[(&str, Adjust)] =
    &[("bonferroni", Adjust::Bonferroni), ("none", Adjust::None)];
const MEASURES: &[(&str, Measure)] = &[
    ("visitors", Measure::Visitors),
    ("conversions", Measure::Conversions),
    ("rate", Measure::Rate),
    ("value", Measure::Value),
];
const GROUPS: &[(&str, GroupBy)] = &[
    ("none", GroupBy::None),
    ("variation", GroupBy::Variation),
    ("trait", GroupBy::Trait),
    ("policy", GroupBy::Policy),
    ("dataSource", GroupBy::DataSource),
];
const PERIODS: &[(&str, Per)] = &[
    ("day", Per::Day),
    ("week", Per::Week),
    ("total", Per::Total),
];
const SWITCH: &[(&str, bool)] = &[("true", true), ("false", false)];

impl TestingQuery {
    pub const PARAMETERS: [&'static str; 13] = [
        "dataSource",
        "goal",
        "metric",
        "from",
        "to",
        "policy",
        "traitGroup",
        "traitValue",
        "baseline",
        "confidence",
        "interval",
        "adjust",
        "targetLift",
    ];

    /// From the decoded pairs of an address. An empty value, as a form sends for a field left
    /// alone, counts as not given.
    ///
    /// # Errors
    /// A parameter that is unknown, given twice, too long, or outside of its range.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, QueryError> {
        let (mut query, mut filters) = (Self::default(), Filters::default());
        read(pairs, &Self::PARAMETERS, |name, value| {
            match name {
                "metric" => query.metric = Some(choice(name, value, METRICS)?),
                "baseline" => query.baseline = Some(code(name, value)?),
                "confidence" => query.confidence = Some(confidence(value)?),
                "interval" => query.interval = Some(choice(name, value, INTERVALS)?),
                "adjust" => query.adjust = Some(choice(name, value, ADJUSTMENTS)?),
                "targetLift" => query.target_lift = Some(target_lift(value)?),
                _ => filters.take(name, value)?,
            }
            Ok(())
        })?;
        filters.check()?;
        Ok(Self {
            data_source: filters.data_source,
            goal: filters.goal,
            from: filters.from,
            to: filters.to,
            policy: filters.policy,
            trait_group: filters.trait_group,
            trait_value: filters.trait_value,
            ..query
        })
    }
}

impl ActivityQuery {
    pub const PARAMETERS: [&'static str; 11] = [
        "dataSource",
        "goal",
        "from",
        "to",
        "policy",
        "traitGroup",
        "traitValue",
        "measure",
        "groupBy",
        "per",
        "cumulative",
    ];

    /// As [`TestingQuery::parse`].
    ///
    /// # Errors
    /// A parameter that is unknown, given twice, too long, or outside of its range.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, QueryError> {
        let (mut query, mut filters) = (Self::default(), Filters::default());
        read(pairs, &Self::PARAMETERS, |name, value| {
            match name {
                "measure" => query.measure = Some(choice(name, value, MEASURES)?),
                "groupBy" => query.group_by = Some(choice(name, value, GROUPS)?),
                "per" => query.per = Some(choice(name, value, PERIODS)?),
                "cumulative" => query.cumulative = Some(choice(name, value, SWITCH)?),
                _ => filters.take(name, value)?,
            }
            Ok(())
        })?;
        filters.check()?;
        Ok(Self {
            data_source: filters.data_source,
            goal: filters.goal,
            from: filters.from,
            to: filters.to,
            policy: filters.policy,
            trait_group: filters.trait_group,
            trait_value: filters.trait_value,
            ..query
        })
    }
}

impl TestingReport {
    /// Every parameter written out, defaults included: what a link to share holds, and what the
    /// form shows.
    #[must_use]
    pub fn query_pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("dataSource", self.data_source.clone()),
            ("goal", self.goal.clone()),
            ("metric", name_of(self.metric, METRICS)),
            ("from", self.from.to_string()),
            ("to", self.to.to_string()),
            ("policy", self.policy.clone()),
        ];
        optional(&mut pairs, "traitGroup", self.trait_group.clone());
        optional(&mut pairs, "traitValue", self.trait_value.clone());
        pairs.extend([
            ("baseline", self.baseline.clone()),
            ("confidence", self.confidence.to_string()),
            ("interval", name_of(self.interval, INTERVALS)),
            ("adjust", name_of(self.adjust, ADJUSTMENTS)),
        ]);
        let target = self.target_lift.map(|lift| lift.to_string());
        optional(&mut pairs, "targetLift", target);
        pairs
    }
}

impl ActivityReport {
    /// Every parameter written out, defaults included.
    #[must_use]
    pub fn query_pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("dataSource", self.data_source.clone()),
            ("goal", self.goal.clone()),
            ("from", self.from.to_string()),
            ("to", self.to.to_string()),
            ("policy", self.policy.clone()),
        ];
        optional(&mut pairs, "traitGroup", self.trait_group.clone());
        optional(&mut pairs, "traitValue", self.trait_value.clone());
        pairs.extend([
            ("measure", name_of(self.measure, MEASURES)),
            ("groupBy", name_of(self.group_by, GROUPS)),
            ("per", name_of(self.per, PERIODS)),
            ("cumulative", self.cumulative.to_string()),
        ]);
        pairs
    }
}

impl Metric {
    /// As in an address.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = METRICS.iter().find(|(_, metric)| *metric == self);
        named.map_or("", |(name, _)| name)
    }
}

fn optional(pairs: &mut Vec<(&'static str, String)>, name: &'static str, value: Option<String>) {
    pairs.extend(value.map(|value| (name, value)));
}

fn name_of<T: Copy + PartialEq>(value: T, names: &[(&'static str, T)]) -> String {
    names
        .iter()
        .find(|(_, named)| *named == value)
        .map(|(name, _)| (*name).to_owned())
        .unwrap_or_default()
}

/// Hands each parameter that has a value to `take`.
fn read<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    known: &[&str],
    mut take: impl FnMut(&str, &str) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let mut given = Vec::new();
    for (name, value) in pairs {
        if !known.contains(&name) {
            return Err(unknown(name, known));
        }
        if value.is_empty() {
            continue;
        }
        take(name, value)?;
        if given.contains(&name) {
            return Err(QueryError::new(name, "given twice; takes one value"));
        }
        given.push(name);
    }
    Ok(())
}

/// What every report is narrowed down by.
#[derive(Default)]
struct Filters {
    data_source: Option<String>,
    goal: Option<String>,
    from: Option<Day>,
    to: Option<Day>,
    policy: Option<String>,
    trait_group: Option<String>,
    trait_value: Option<String>,
}

impl Filters {
    fn take(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        match name {
            "dataSource" => self.data_source = Some(source_name(value)?),
            "goal" => self.goal = Some(code(name, value)?),
            "from" => self.from = Some(day(name, value)?),
            "to" => self.to = Some(day(name, value)?),
            "policy" => self.policy = Some(code(name, value)?),
            "traitGroup" => self.trait_group = Some(code(name, value)?),
            "traitValue" => self.trait_value = Some(code(name, value)?),
            _ => return Err(QueryError::new(name, "no such parameter")),
        }
        Ok(())
    }

    /// What no single parameter shows.
    fn check(&self) -> Result<(), QueryError> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err(QueryError::new(
                "to",
                format!("{to} lies before {from}; takes a day on or after from"),
            ));
        }
        if self.trait_value.is_some() && self.trait_group.is_none() {
            return Err(QueryError::new(
                "traitValue",
                "takes a value of the group that traitGroup names, which is missing",
            ));
        }
        Ok(())
    }
}

fn unknown(name: &str, known: &[&str]) -> QueryError {
    QueryError::new(
        name,
        format!("no such parameter; there are {}", known.join(", ")),
    )
}

fn choice<T: Copy>(name: &str, value: &str, takes: &[(&str, T)]) -> Result<T, QueryError> {
    takes
        .iter()
        .find(|(written, _)| *written == value)
        .map(|(_, meant)| *meant)
        .ok_or_else(|| {
            let names: Vec<&str> = takes.iter().map(|(written, _)| *written).collect();
            QueryError::new(
                name,
                format!("{:?} is not one of {}", shown(value), names.join(", ")),
            )
        })
}

fn source_name(value: &str) -> Result<String, QueryError> {
    text(
        "dataSource",
        value,
        MAX_NAME_BYTES,
        "the name of a data source",
    )
}

fn code(name: &str, value: &str) -> Result<String, QueryError> {
    text(name, value, MAX_CODE_BYTES, "a code as written in the CSV")
}

fn text(name: &str, value: &str, most: usize, what: &str) -> Result<String, QueryError> {
    if value.len() > most || value.chars().any(char::is_control) {
        return Err(QueryError::new(
            name,
            format!("takes {what}: at most {most} bytes, no control characters"),
        ));
    }
    Ok(value.to_owned())
}

fn day(name: &str, value: &str) -> Result<Day, QueryError> {
    // Dates are also read in other forms (20240318), which a link should not have two of.
    let date = (value.len() == 10)
        .then(|| value.parse::<Date>().ok())
        .flatten();
    date.and_then(Day::from_date)
        .filter(|day| (Day::MIN..=Day::MAX).contains(day))
        .ok_or_else(|| {
            QueryError::new(
                name,
                format!("{:?} is not a day such as 2024-03-18", shown(value)),
            )
        })
}

fn confidence(value: &str) -> Result<f64, QueryError> {
    let (least, most) = CONFIDENCE;
    number(value)
        .filter(|confidence| (least..=most).contains(confidence))
        .ok_or_else(|| {
            QueryError::new(
                "confidence",
                format!(
                    "{:?} is not a number from {least} to {most}, such as 0.95",
                    shown(value)
                ),
            )
        })
}

fn target_lift(value: &str) -> Result<f64, QueryError> {
    number(value)
        .filter(|lift| *lift > 0.0 && *lift <= MAX_TARGET_LIFT)
        .ok_or_else(|| {
            QueryError::new(
                "targetLift",
                format!(
                    "{:?} is not a number above 0 and at most {MAX_TARGET_LIFT}, such as 0.02 for \
                     2%",
                    shown(value)
                ),
            )
        })
}

fn number(value: &str) -> Option<f64> {
    // Long enough for every double that is written out.
    let number = (value.len() <= 32).then(|| value.parse::<f64>().ok())?;
    number.filter(|number| number.is_finite())
}

fn shown(value: &str) -> String {
    excerpt(value.as_bytes())
}

#[cfg(test)]
mod tests;
