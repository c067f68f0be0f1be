//! The reports' parameters as the document describes them. What reads them is the domain's
//! `report::query`; a test holds the two to the same names.

use utoipa::IntoParams;

use crate::domain::report::view::{Adjust, GroupBy, IntervalKind, Measure, Metric, Per};

/// Of the Testing Report and of all goals side by side.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code, reason = "described here, read by the domain")]
pub(super) struct TestingParameters {
    /// Name of the data source; by default the one with the newest data that holds the agent.
    #[param(max_length = 253)]
    data_source: Option<String>,
    /// Code; by default the agent's first.
    #[param(max_length = 128)]
    goal: Option<String>,
    /// By default `value` for a numeric goal.
    #[param(inline)]
    metric: Option<Metric>,
    /// First day; by default the first one that holds data.
    #[param(value_type = Option<String>, format = Date, example = "2024-03-18")]
    from: Option<String>,
    /// Last day, included.
    #[param(value_type = Option<String>, format = Date, example = "2024-03-20")]
    to: Option<String>,
    /// Code, or `all`; by default `r`, or where there is none the largest.
    #[param(max_length = 128, example = "r")]
    policy: Option<String>,
    /// Alone: the report by each of the group's values.
    #[param(max_length = 128)]
    trait_group: Option<String>,
    /// Of the group: only its visitors.
    #[param(max_length = 128)]
    trait_value: Option<String>,
    /// Code of the variation that the others are compared with.
    #[param(max_length = 128)]
    baseline: Option<String>,
    /// Of every interval; 0.95 by default.
    #[param(minimum = 0.5, maximum = 0.9999, example = 0.95)]
    confidence: Option<f64>,
    /// `fixed` by default: for one look at the end. `alwaysValid` may be looked at every day.
    #[param(inline)]
    interval: Option<IntervalKind>,
    /// By default `none` for one comparison, `bonferroni` for more.
    #[param(inline)]
    adjust: Option<Adjust>,
    /// Relative lift that is worth shipping; gives the days left.
    #[param(exclusive_minimum = 0, maximum = 100, example = 0.02)]
    target_lift: Option<f64>,
}

/// Of the Activity Report.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code, reason = "described here, read by the domain")]
pub(super) struct ActivityParameters {
    /// Name of the data source; by default the one with the newest data that holds the agent.
    #[param(max_length = 253)]
    data_source: Option<String>,
    /// Code; by default the agent's first.
    #[param(max_length = 128)]
    goal: Option<String>,
    /// First day; by default the first one that holds data.
    #[param(value_type = Option<String>, format = Date, example = "2024-03-18")]
    from: Option<String>,
    /// Last day, included.
    #[param(value_type = Option<String>, format = Date, example = "2024-03-20")]
    to: Option<String>,
    /// Code, or `all`, the default.
    #[param(max_length = 128, example = "r")]
    policy: Option<String>,
    /// Alone: the group that `groupBy=trait` divides by.
    #[param(max_length = 128)]
    trait_group: Option<String>,
    /// Of the group: only its visitors.
    #[param(max_length = 128)]
    trait_value: Option<String>,
    /// What the chart shows; the rows have all of them.
    #[param(inline)]
    measure: Option<Measure>,
    /// A line and a cell for each of these.
    #[param(inline)]
    group_by: Option<GroupBy>,
    /// A row for each of these.
    #[param(inline)]
    per: Option<Per>,
    /// Each row with all before it; a cumulative rate is the cumulative sum divided.
    cumulative: Option<bool>,
}
