//! The Activity Report: counts and rates over time, by group.

mod cell;

use std::collections::BTreeMap;

use jiff::Timestamp;

use self::cell::Cell;
use super::choices::{trait_groups, variations};
use super::concerns;
use super::natural;
use super::query::{ALL_POLICIES, ActivityQuery, QueryError};
use super::scope;
use super::view::{
    ActivityAverage, ActivityCell, ActivityReport, ActivityRow, GroupBy, Measure, Per,
};
use super::{AgentData, SourceData};
use crate::domain::agent_day::{AgentDay, Day};
use crate::domain::totals;

/// The group where there is but one.
const ALL: &str = "all";

/// What one agent's activity was. `others` are further data sources that hold the agent, for
/// `groupBy=dataSource`.
///
/// # Errors
/// A code that the data do not hold.
pub fn activity(
    data: &AgentData,
    others: &[SourceData],
    query: &ActivityQuery,
    now: Timestamp,
) -> Result<ActivityReport, QueryError> {
    let goal = scope::chosen_goal(data, &scope::goals(data), query.goal.as_deref())?;
    let view = View::resolve(data, others, query, goal.code, now)?;
    let mut sums = Sums::new(&view);
    for (index, source) in view.sources.iter().enumerate() {
        for day in scope::in_view(&source.days, view.from, view.to) {
            sums.add(&view, index, day);
        }
    }
    let (codes, by_day) = sums.of_test(&view, data);
    Ok(ActivityReport {
        namespace: data.source.key.namespace.clone(),
        data_source: data.source.key.name.clone(),
        agent: data.code.clone(),
        display_name: data
            .resource
            .as_ref()
            .and_then(|agent| agent.display_name.clone()),
        goal_display_name: goal.display_name,
        data_as_of: data.source.data_as_of,
        measure: query.measure.unwrap_or(Measure::Visitors),
        group_by: view.group_by,
        per: view.per,
        cumulative: query.cumulative.unwrap_or(false),
        rows: sums.rows(&view, query.cumulative.unwrap_or(false)),
        totals: sums.totals(&view),
        daily_averages: sums.averages(&view),
        concerns: concerns::of_activity(&view.held(), &view.goal, (&codes, &by_day), now),
        goal: view.goal,
        from: view.from,
        to: view.to,
        policy: view.policy,
        trait_group: view.trait_group,
        trait_value: query.trait_value.clone(),
        group_display_names: view.display_names,
        groups: view.groups,
    })
}

/// The question with every default filled in.
struct View<'a> {
    sources: Vec<&'a SourceData>,
    /// Parallel to `sources`: the agent as each holds it, without the days.
    holders: Vec<AgentData>,
    goal: String,
    from: Day,
    to: Day,
    policy: String,
    trait_group: Option<String>,
    trait_value: Option<String>,
    group_by: GroupBy,
    per: Per,
    groups: Vec<String>,
    display_names: Vec<Option<String>>,
}

impl<'a> View<'a> {
    fn resolve(
        data: &'a AgentData,
        others: &'a [SourceData],
        query: &ActivityQuery,
        goal: String,
        now: Timestamp,
    ) -> Result<Self, QueryError> {
        let own = &data.source;
        let group_by = query.group_by.unwrap_or(GroupBy::Variation);
        let mut sources = vec![own];
        if group_by == GroupBy::DataSource {
            let others = others.iter().filter(|other| other.key != own.key);
            sources.extend(others);
            sources.sort_by(|a, b| natural::compare(&a.key.name, &b.key.name));
        }
        let rows: Vec<totals::Rows> = sources
            .iter()
            .flat_map(|source| &source.days)
            .flat_map(totals::rows)
            .collect();
        let policies = totals::policies(&rows);
        let asked = query.policy.as_deref().unwrap_or(ALL_POLICIES);
        let policy = scope::chosen_policy(&policies, Some(asked))?;
        let groups = trait_groups(&own.days);
        if let Some(group) = query.trait_group.as_deref() {
            scope::chosen_trait(&groups, group, query.trait_value.as_deref())?;
        }
        let mut trait_group = query.trait_group.clone();
        if group_by == GroupBy::Trait && trait_group.is_none() {
            let first = groups.first().map(|(group, _)| group.clone());
            trait_group = Some(first.ok_or_else(|| {
                QueryError::new("groupBy", "takes trait only where the data have traits")
            })?);
        }
        let (from, to) = bounds(&sources, (query.from, query.to), now);
        let codes: Vec<String> = match group_by {
            GroupBy::None => vec![ALL.to_owned()],
            GroupBy::Variation => variations(data, rows.iter().map(|row| &*row.variation)),
            GroupBy::Policy => match scope::policy_filter(&policy) {
                Some(one) => vec![one.to_owned()],
                None => policies.keys().map(ToString::to_string).collect(),
            },
            GroupBy::DataSource => sources
                .iter()
                .map(|source| source.key.name.clone())
                .collect(),
            GroupBy::Trait => match &query.trait_value {
                Some(value) => vec![value.clone()],
                None => groups
                    .into_iter()
                    .find(|(group, _)| Some(group) == trait_group.as_ref())
                    .map(|(_, values)| values)
                    .unwrap_or_default(),
            },
        };
        let name = |(index, code): (usize, &String)| match group_by {
            GroupBy::Variation => scope::variation_name(data, code),
            GroupBy::DataSource => Some(sources[index].description.display_name.clone()),
            _ => None,
        };
        Ok(Self {
            holders: sources.iter().map(|of| without_days(data, of)).collect(),
            display_names: codes.iter().enumerate().map(name).collect(),
            groups: codes,
            sources,
            goal,
            from,
            to,
            policy,
            trait_group,
            trait_value: query.trait_value.clone(),
            group_by,
            per: query.per.unwrap_or(Per::Day),
        })
    }

    /// Each source with its days in view.
    fn held(&self) -> Vec<(&AgentData, &[AgentDay])> {
        let days = |of: &&'a SourceData| scope::in_view(&of.days, self.from, self.to);
        self.holders
            .iter()
            .zip(self.sources.iter().map(days))
            .collect()
    }

    /// The groups that a source's days speak about.
    fn groups_of(&self, source: usize) -> std::ops::Range<usize> {
        match self.group_by {
            GroupBy::DataSource => source..source + 1,
            _ => 0..self.groups.len(),
        }
    }

    /// First and last day of the row that a day belongs to, cut to what is in view.
    fn period(&self, day: Day) -> (Day, Day) {
        match self.per {
            Per::Day => (day, day),
            Per::Week => {
                let (monday, sunday) = week(day);
                (monday.max(self.from), sunday.min(self.to))
            }
            Per::Total => (self.from, self.to),
        }
    }
}

fn without_days(data: &AgentData, source: &SourceData) -> AgentData {
    AgentData {
        code: data.code.clone(),
        resource: data.resource.clone(),
        source: SourceData {
            key: source.key.clone(),
            description: source.description.clone(),
            data_as_of: source.data_as_of,
            imported_at: source.imported_at,
            last_error: source.last_error.clone(),
            days: Vec::new(),
        },
    }
}

/// Monday and Sunday of the ISO week that a day lies in.
fn week(day: Day) -> (Day, Day) {
    // 1970-01-01 was a Thursday.
    let since_monday = (day.0 + 3).rem_euclid(7);
    let monday = day.0 - since_monday;
    (Day(monday), Day(monday + 6))
}

/// From the first day of any source to the last of any, where nothing else is asked.
fn bounds(
    sources: &[&SourceData],
    asked: (Option<Day>, Option<Day>),
    now: Timestamp,
) -> (Day, Day) {
    let bounds = sources
        .iter()
        .filter(|source| !source.days.is_empty())
        .map(|source| scope::range(&source.days, asked, now))
        .reduce(|(from, to), (first, last)| (from.min(first), to.max(last)));
    bounds.unwrap_or_else(|| scope::range(&[], asked, now))
}

/// Sums by row and group.
struct Sums {
    rows: BTreeMap<Day, Vec<Cell>>,
    /// Days with data, and of those the days with the goal; by group.
    days: Vec<(u32, u32)>,
    /// Visitors by group of each day, in order.
    visitors: Vec<Vec<u64>>,
}

impl Sums {
    fn new(view: &View) -> Self {
        Self {
            rows: BTreeMap::new(),
            days: vec![(0, 0); view.groups.len()],
            visitors: Vec::new(),
        }
    }

    fn add(&mut self, view: &View, source: usize, day: &AgentDay) {
        let goal = day.goals.iter().position(|code| **code == *view.goal);
        let (start, _) = view.period(day.day);
        let row = self
            .rows
            .entry(start)
            .or_insert_with(|| vec![Cell::default(); view.groups.len()]);
        for group in view.groups_of(source) {
            self.days[group].0 += 1;
            if goal.is_some() {
                self.days[group].1 += 1;
                // A group without rows had no visitors: an export's GROUP BY leaves it out.
                row[group].have_goal();
            }
        }
        let mut visitors = vec![0_u64; view.groups.len()];
        let policy = scope::policy_filter(&view.policy);
        for rows in totals::rows(day) {
            if policy.is_some_and(|policy| *policy != *rows.policy) {
                continue;
            }
            let by_trait = view.trait_value.is_some() || view.group_by == GroupBy::Trait;
            let taken = if by_trait {
                rows.group.as_deref() == view.trait_group.as_deref()
            } else {
                rows.whole
            };
            for cell in day.cells.range(rows.cells.clone()).filter(|_| taken) {
                let value = cell.key.visitor_trait.as_ref().map(|of| &*of.value);
                if view.trait_value.is_some() && value != view.trait_value.as_deref() {
                    continue;
                }
                let code = match view.group_by {
                    GroupBy::None => ALL,
                    GroupBy::Variation => &rows.variation,
                    GroupBy::Policy => &rows.policy,
                    GroupBy::Trait => value.unwrap_or_default(),
                    GroupBy::DataSource => &view.groups[source],
                };
                let group = match view.group_by {
                    GroupBy::DataSource => Some(source),
                    _ => view.groups.iter().position(|group| group == code),
                };
                if let Some(group) = group {
                    visitors[group] = visitors[group].saturating_add(cell.visitors);
                    row[group].count(cell.visitors, goal.and_then(|goal| cell.goals.get(goal)));
                }
            }
        }
        self.visitors.push(visitors);
    }

    /// The variations that are groups and in the test, and their visitors by day.
    fn of_test<'v>(&self, view: &'v View, data: &AgentData) -> (Vec<&'v str>, Vec<Vec<u64>>) {
        let agent = data.resource.iter();
        let declared = agent.flat_map(|agent| &agent.variations);
        let declared: Vec<_> = declared.filter(|of| of.weight > 0.0).collect();
        let in_test = |code: &str| declared.is_empty() || declared.iter().any(|of| of.code == code);
        let groups = view.groups.iter().enumerate();
        let (indices, codes): (Vec<usize>, Vec<&str>) = groups
            .filter(|(_, code)| view.group_by == GroupBy::Variation && in_test(code))
            .map(|(index, code)| (index, code.as_str()))
            .unzip();
        let of_day = |day: &Vec<u64>| indices.iter().map(|index| day[*index]).collect();
        (codes, self.visitors.iter().map(of_day).collect())
    }

    fn rows(&self, view: &View, cumulative: bool) -> Vec<ActivityRow> {
        let held = view.held();
        let first_with_data = held
            .iter()
            .filter_map(|(_, days)| days.first())
            .map(|day| day.day);
        let first = first_with_data.min().unwrap_or(view.from);
        let mut running = vec![Cell::default(); view.groups.len()];
        let mut rows = Vec::with_capacity(self.rows.len());
        for (start, cells) in &self.rows {
            let (from, to) = view.period(*start);
            let end = match view.per {
                Per::Week => week(*start).1,
                _ => to,
            };
            for (sum, cell) in running.iter_mut().zip(cells) {
                sum.merge(cell);
            }
            let shown = if cumulative { &running } else { cells };
            rows.push(ActivityRow {
                from,
                to,
                // A week that begins before the first day in view, or before there were data, is
                // part of one.
                complete: end <= to
                    && (view.per != Per::Week || week(*start).0 >= first)
                    && held.iter().all(|of| Self::is_over(view, *of, (from, end))),
                cells: Cell::shown(shown, &view.groups),
            });
        }
        rows
    }

    /// Whether the last day of a row had ended when a source that has data in the row was fetched.
    /// A total need not reach the last day that was asked for.
    fn is_over(
        view: &View,
        (source, days): (&AgentData, &[AgentDay]),
        (from, to): (Day, Day),
    ) -> bool {
        let Some(newest) = scope::in_view(days, from, to).last() else {
            return true;
        };
        let last = match view.per {
            Per::Total => newest.day,
            Per::Day | Per::Week => to,
        };
        scope::is_complete(source, last)
    }

    fn total(&self, view: &View) -> Vec<Cell> {
        let mut total = vec![Cell::default(); view.groups.len()];
        for cells in self.rows.values() {
            for (sum, cell) in total.iter_mut().zip(cells) {
                sum.merge(cell);
            }
        }
        total
    }

    fn totals(&self, view: &View) -> Vec<ActivityCell> {
        Cell::shown(&self.total(view), &view.groups)
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "an average for people; counts are at most 1e15"
    )]
    fn averages(&self, view: &View) -> Vec<ActivityAverage> {
        let totals = self.totals(view);
        let averages = totals.into_iter().zip(&self.days);
        averages
            .map(|(total, (days, goal_days))| {
                let days = f64::from((*days).max(1));
                let goal_days = f64::from((*goal_days).max(1));
                ActivityAverage {
                    group: total.group,
                    visitors: total.visitors as f64 / days,
                    conversions: total.conversions.map(|count| count as f64 / goal_days),
                    value: total.value.map(|value| value / goal_days),
                    rate: total.rate,
                    value_per_visitor: total.value_per_visitor,
                }
            })
            .collect()
    }
}
