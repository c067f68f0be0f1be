//! The view model. Field names are the JSON's; every number that is there is finite, and one that
//! does not exist is null with a note or a concern beside it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::agent_day::Day;
pub use crate::domain::stats::{IntervalKind, Verdict};

/// What a number is about: conversions per visitor, or value per visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    Rate,
    Value,
}

/// How several comparisons in one view are accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Adjust {
    Bonferroni,
    None,
}

/// One goal and metric of one agent over the filter in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestingReport {
    pub namespace: String,
    pub data_source: String,
    pub agent: String,
    pub display_name: Option<String>,
    pub goal: String,
    pub goal_display_name: Option<String>,
    pub metric: Metric,
    /// First and last day in view, both included.
    #[schema(value_type = String, format = Date)]
    pub from: Day,
    #[schema(value_type = String, format = Date)]
    pub to: Day,
    pub policy: String,
    pub visitors_under_other_policies: u64,
    pub trait_group: Option<String>,
    pub trait_value: Option<String>,
    /// 0.5 to 0.9999.
    pub confidence: f64,
    pub interval: IntervalKind,
    pub adjust: Adjust,
    /// Comparisons that are accounted for together: intervals are at 1 - (1 - confidence) / family.
    pub family: u32,
    /// Relative lift that is worth shipping, where one was named.
    pub target_lift: Option<f64>,
    /// When a fetch last found the data as they are here.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub data_as_of: Option<Timestamp>,
    /// Days in view that hold data.
    pub days: u32,
    /// Of those, days whose file lacked the goal.
    pub days_without_goal: u32,
    /// False where a concern is an alarm.
    pub trustworthy: bool,
    pub sentence: String,
    pub baseline: String,
    /// The baseline first, then the others in natural order.
    pub arms: Vec<Arm>,
    /// Every other arm of the test against the baseline.
    pub comparisons: Vec<Comparison>,
    /// Three arms or more.
    pub omnibus: Option<Omnibus>,
    /// Whom the questions about all arms (`omnibus`, `chanceToBeBest`) leave out, or why they have no
    /// answer.
    pub omnibus_note: Option<String>,
    /// By variation; null with fewer than two arms with data. Null for an arm that is left out.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Option<f64>>>)]
    pub chance_to_be_best: Option<indexmap::IndexMap<String, Option<f64>>>,
    pub by_day: Vec<DayOfTest>,
    /// Where a trait group is chosen, and no value.
    pub by_trait: Option<Vec<TraitOfTest>>,
    /// Where a trait group is chosen, and no value: one per comparison.
    pub trait_interaction: Option<Vec<TraitInteraction>>,
    /// By day under drift, by trait where a group is chosen.
    pub post_stratified: Option<Vec<PostStratified>>,
    pub concerns: Vec<Concern>,
}

impl TestingReport {
    /// In whose words means and differences are told: only where nobody converted more than once
    /// (Q = C <= N in every arm) are conversions per visitor a share of the visitors, in percent.
    #[must_use]
    pub fn unit(&self) -> Metric {
        unit(self.metric, self.arms.iter().all(Arm::is_share))
    }
}

fn unit(metric: Metric, is_share: bool) -> Metric {
    if is_share { metric } else { Metric::Value }
}

impl Arm {
    /// Whether each of its visitors converted once at most, where these are counts.
    #[allow(
        clippy::cast_precision_loss,
        reason = "compared with a sum that is a double"
    )]
    fn is_share(&self) -> bool {
        // Both are whole numbers.
        (self.sum_of_squares - self.sum).abs() < 0.5 && self.sum <= self.visitors as f64
    }
}

/// One variation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Arm {
    pub variation: String,
    pub display_name: Option<String>,
    /// On the days that have the goal.
    pub visitors: u64,
    pub conversions: u64,
    pub sum: f64,
    pub sum_of_squares: f64,
    /// Per visitor.
    pub mean: Option<f64>,
    /// Sample variance per visitor.
    pub variance: Option<f64>,
    pub standard_error: Option<f64>,
    /// At `confidence`, of this arm alone.
    pub interval: Option<[f64; 2]>,
    /// 0 to 1; null where an Agent declares others and not this one.
    pub expected_share: Option<f64>,
    /// S^2/Q.
    pub effective_conversions: Option<f64>,
    /// Bounds of the unique converters; null where events lie on their own days.
    pub converters_at_least: Option<u64>,
    pub converters_at_most: Option<u64>,
    /// Sum of values over conversions; no interval is known for it.
    pub value_per_conversion: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    pub variation: String,
    pub baseline: String,
    /// Mean of the variation less that of the baseline.
    pub difference: Option<f64>,
    pub standard_error: Option<f64>,
    pub degrees_of_freedom: Option<f64>,
    pub t: Option<f64>,
    /// Of the interval in force, unadjusted.
    pub p: Option<f64>,
    pub adjusted_p: Option<f64>,
    /// The one in force, at 1 - (1 - confidence) / family.
    pub interval: Option<[f64; 2]>,
    pub relative_difference: Option<f64>,
    /// Null on a side that has no bound.
    pub relative_interval: Option<[Option<f64>; 2]>,
    /// What is missing or special above, in sentences.
    pub note: Option<String>,
    pub always_valid: AlwaysValid,
    pub bayes: Option<Bayes>,
    /// In units of the mean, at 80% power.
    pub minimum_detectable_difference: Option<f64>,
    /// Until the target lift would be detectable.
    pub days_left: Option<u32>,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlwaysValid {
    pub interval: Option<[f64; 2]>,
    pub p: Option<f64>,
    pub note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bayes {
    pub chance_to_win: f64,
    /// Of choosing the variation, in units of the mean.
    pub expected_loss: f64,
}

/// Welch's ANOVA.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Omnibus {
    pub f: f64,
    pub df1: f64,
    pub df2: f64,
    pub p: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DayOfTest {
    #[schema(value_type = String, format = Date)]
    pub day: Day,
    /// False where it was fetched before it ended.
    pub complete: bool,
    /// Whether the day's file had the goal.
    pub has_goal: bool,
    pub arms: Vec<ArmOfDay>,
    /// From the first day in view to this one.
    pub cumulative: Vec<CumulativeDifference>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArmOfDay {
    pub variation: String,
    pub visitors: u64,
    pub mean: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CumulativeDifference {
    pub variation: String,
    pub difference: Option<f64>,
    pub always_valid_interval: Option<[f64; 2]>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraitOfTest {
    pub value: String,
    pub arms: Vec<Arm>,
    pub comparisons: Vec<Comparison>,
}

/// Cochran's Q, per comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraitInteraction {
    pub variation: String,
    pub q: Option<f64>,
    pub df: Option<f64>,
    pub p: Option<f64>,
    /// Trait values that were compared.
    pub values: Vec<String>,
    /// Too few conversions in an arm.
    pub left_out: Vec<String>,
    /// Why there is no test.
    pub note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Strata {
    Day,
    Trait,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostStratified {
    pub over: Strata,
    pub variation: String,
    pub difference: Option<f64>,
    pub standard_error: Option<f64>,
    pub interval: Option<[f64; 2]>,
    pub p: Option<f64>,
    /// min(1, family p), as the interval accounts for the family.
    pub adjusted_p: Option<f64>,
    /// Of the visitors, 0 to 1: strata with fewer than two visitors in an arm.
    pub share_dropped: Option<f64>,
    pub note: Option<String>,
}

/// Why a report can't be trusted, or what its reader should know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Concern {
    pub code: ConcernCode,
    pub severity: Severity,
    pub message: String,
    pub hint: String,
    /// The numbers behind the message.
    #[schema(value_type = Object)]
    pub values: serde_json::Map<String, serde_json::Value>,
}

/// From the gravest on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
pub enum Severity {
    Alarm,
    Warning,
    Info,
}

/// A closed list.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
pub enum ConcernCode {
    SampleRatioMismatch,
    AllocationDrift,
    TraitImbalance,
    IntegrityProblem,
    VisitorDays,
    FewVisitors,
    FewConversions,
    DaysMissing,
    LateArm,
    IncompleteDay,
    PolicyMixed,
    TraitTotalsDisagree,
    GoalAbsentOnDays,
    UnexpectedVariation,
    EffectDiffersByTrait,
    StaleData,
    LastFetchFailed,
}

/// All goals of an agent side by side, a row per goal, metric and comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoalsReport {
    pub namespace: String,
    pub data_source: String,
    pub agent: String,
    /// False where an alarm is raised about any of them.
    pub trustworthy: bool,
    pub rows: Vec<GoalRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoalRow {
    pub goal: String,
    pub display_name: Option<String>,
    pub metric: Metric,
    pub variation: String,
    pub baseline: String,
    pub baseline_mean: Option<f64>,
    pub mean: Option<f64>,
    pub difference: Option<f64>,
    pub interval: Option<[f64; 2]>,
    pub relative_difference: Option<f64>,
    pub relative_interval: Option<[Option<f64>; 2]>,
    pub p: Option<f64>,
    pub adjusted_p: Option<f64>,
    pub verdict: Verdict,
    /// By day, under drift: the difference to go by then.
    pub post_stratified: Option<PostStratified>,
    pub note: Option<String>,
    /// Whether a mean is a share of the visitors: nobody converted more than once.
    pub is_share: bool,
    /// False where a concern about this goal and metric is an alarm.
    pub trustworthy: bool,
    /// Those alarms, in the order of their gravity. The goal's own report tells of them.
    pub alarms: Vec<ConcernCode>,
}

impl GoalRow {
    /// As [`TestingReport::unit`].
    #[must_use]
    pub fn unit(&self) -> Metric {
        unit(self.metric, self.is_share)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Measure {
    Visitors,
    Conversions,
    Rate,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum GroupBy {
    None,
    Variation,
    Trait,
    Policy,
    DataSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Per {
    Day,
    /// ISO, from Monday.
    Week,
    Total,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivityReport {
    pub namespace: String,
    pub data_source: String,
    pub agent: String,
    pub display_name: Option<String>,
    pub goal: String,
    pub goal_display_name: Option<String>,
    #[schema(value_type = String, format = Date)]
    pub from: Day,
    #[schema(value_type = String, format = Date)]
    pub to: Day,
    /// `all`, or the one chosen.
    pub policy: String,
    pub trait_group: Option<String>,
    pub trait_value: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub data_as_of: Option<Timestamp>,
    pub measure: Measure,
    pub group_by: GroupBy,
    pub per: Per,
    pub cumulative: bool,
    /// Variations, trait values, policies or data sources, in the order of each row's cells; `all`
    /// where there is one group.
    pub groups: Vec<String>,
    /// Parallel to `groups`.
    pub group_display_names: Vec<Option<String>>,
    pub rows: Vec<ActivityRow>,
    /// Over all days in view, parallel to `groups`.
    pub totals: Vec<ActivityCell>,
    /// Totals over the days in view that have data, conversions and values over those of them that
    /// have the goal; a rate is not divided again.
    pub daily_averages: Vec<ActivityAverage>,
    pub concerns: Vec<Concern>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivityRow {
    #[schema(value_type = String, format = Date)]
    pub from: Day,
    #[schema(value_type = String, format = Date)]
    pub to: Day,
    /// False where the newest day was fetched before it ended, or a week is not over or has no
    /// data before some day within it.
    pub complete: bool,
    pub cells: Vec<ActivityCell>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivityCell {
    pub group: String,
    pub visitors: u64,
    /// Null where the goal is absent from these days; so are the others.
    pub conversions: Option<u64>,
    pub value: Option<f64>,
    /// Conversions per visitor of the days that have the goal.
    pub rate: Option<f64>,
    pub value_per_visitor: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivityAverage {
    pub group: String,
    pub visitors: f64,
    pub conversions: Option<f64>,
    pub value: Option<f64>,
    pub rate: Option<f64>,
    pub value_per_visitor: Option<f64>,
}
