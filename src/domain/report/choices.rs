//! What a report's form offers: the codes that an agent's data hold.

use std::collections::HashMap;

use super::AgentData;
use super::natural;
use super::scope;
use super::tally::Tally;
use crate::domain::agent_day::{AgentDay, Day};

/// What the selects of a form offer, each in the order in which it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    pub goals: Vec<Choice>,
    pub variations: Vec<Choice>,
    pub policies: Vec<String>,
    /// Each group's code with its values.
    pub traits: Vec<(String, Vec<String>)>,
    pub first_day: Day,
    pub last_day: Day,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub code: String,
    pub display_name: Option<String>,
    /// Whether a goal has values of its own.
    pub numeric: bool,
}

/// Everything that can be asked for of this agent.
#[must_use]
pub fn choices(tally: &Tally) -> Choices {
    let data = tally.data();
    let days = &data.source.days;
    let goals = tally.goals.iter().map(|code| {
        let goal = scope::goal(data, code);
        Choice {
            code: goal.code,
            display_name: goal.display_name,
            numeric: goal.numeric,
        }
    });
    let variations = tally.variations.iter().map(|code| Choice {
        display_name: scope::variation_name(data, code),
        code: code.clone(),
        numeric: false,
    });
    Choices {
        goals: goals.collect(),
        variations: variations.collect(),
        policies: tally.policies.keys().map(ToString::to_string).collect(),
        traits: tally.traits.clone(),
        first_day: days.first().map_or(Day(0), |day| day.day),
        last_day: days.last().map_or(Day(0), |day| day.day),
    }
}

/// Every variation that the data hold or an Agent declares as in the test, in natural order.
/// `held`: those of the data.
pub(super) fn variations<'a>(
    data: &'a AgentData,
    held: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let mut codes = Codes::default();
    for code in held {
        codes.index(code);
    }
    let declared = data.resource.iter().flat_map(|agent| &agent.variations);
    for variation in declared.filter(|variation| variation.weight > 0.0) {
        codes.index(&variation.code);
    }
    codes.sorted().into_iter().map(str::to_owned).collect()
}

/// Each trait group with its values, in natural order.
pub(super) fn trait_groups(days: &[AgentDay]) -> Vec<(String, Vec<String>)> {
    let mut groups = Codes::default();
    let mut values: Vec<Codes> = Vec::new();
    let keys = days.iter().flat_map(|day| day.cells.keys().iter());
    for key in keys {
        let Some(of) = &key.visitor_trait else {
            continue;
        };
        let group = groups.index(&of.group);
        if values.len() <= group {
            values.push(Codes::default());
        }
        values[group].index(&of.value);
    }
    groups
        .sorted()
        .into_iter()
        .map(|group| {
            let values = groups.find(group).and_then(|index| values.get(index));
            let values = values.map(Codes::sorted).unwrap_or_default();
            let values = values.into_iter().map(str::to_owned).collect();
            (group.to_owned(), values)
        })
        .collect()
}

/// Distinct codes, numbered as they come. Rows repeat them day after day in one order, so the code
/// wanted is nearly always the last one or the one after it.
#[derive(Debug, Clone, Default)]
pub(super) struct Codes<'a> {
    seen: Vec<&'a str>,
    numbers: HashMap<&'a str, usize>,
    last: usize,
}

impl<'a> Codes<'a> {
    pub(super) fn of(codes: impl IntoIterator<Item = &'a str>) -> Self {
        let mut numbered = Self::default();
        for code in codes {
            numbered.index(code);
        }
        numbered
    }

    /// Its number; a new one where it has none.
    pub(super) fn index(&mut self, code: &'a str) -> usize {
        self.locate(code).unwrap_or_else(|| {
            self.last = self.seen.len();
            self.seen.push(code);
            self.numbers.insert(code, self.last);
            self.last
        })
    }

    /// Its number, where it has one.
    pub(super) fn locate(&mut self, code: &str) -> Option<usize> {
        let next = if self.last + 1 < self.seen.len() {
            self.last + 1
        } else {
            0
        };
        let is = |at: &usize| self.seen.get(*at).is_some_and(|known| *known == code);
        let found = [self.last, next].into_iter().find(is);
        self.last = found.or_else(|| self.find(code))?;
        Some(self.last)
    }

    pub(super) fn find(&self, code: &str) -> Option<usize> {
        self.numbers.get(code).copied()
    }

    pub(super) fn contains(&self, code: &str) -> bool {
        self.find(code).is_some()
    }

    /// In natural order.
    pub(super) fn sorted(&self) -> Vec<&'a str> {
        let mut sorted = self.seen.clone();
        sorted.sort_by(|a, b| natural::compare(a, b));
        sorted
    }
}
