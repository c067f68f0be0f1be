//! The header: which field is what. Its problems are told all at once.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::data_source::Goal;
use super::super::finding::{Finding, FindingKind, excerpt, grouped};
use super::near_miss;
use super::records::Record;
use super::{CsvSpec, Limits};

/// Where each column stands.
#[derive(Debug)]
pub(super) struct Columns {
    /// As in the header.
    pub(super) names: Vec<String>,
    pub(super) date: usize,
    pub(super) agent: usize,
    pub(super) variation: usize,
    pub(super) visitors: usize,
    pub(super) policy: Option<usize>,
    /// Trait_Group and Trait_Value.
    pub(super) visitor_trait: Option<(usize, usize)>,
    /// Those of the spec's goals that the file holds, in the spec's order.
    pub(super) goals: Vec<GoalColumns>,
}

#[derive(Debug)]
pub(super) struct GoalColumns {
    pub(super) code: Arc<str>,
    pub(super) allow_negative: bool,
    pub(super) count: usize,
    pub(super) count_sumsq: usize,
    /// `_val` and `_val_sumsq`.
    pub(super) values: Option<(usize, usize)>,
}

/// Reads the header.
///
/// # Errors
/// Every problem that it has.
pub(super) fn read(
    record: Record<'_>,
    spec: &CsvSpec,
    limits: &Limits,
) -> Result<(Columns, Vec<Finding>), Vec<Finding>> {
    if record.len() > limits.columns {
        let message = format!(
            "{} columns are more than the {} that are read",
            grouped(record.len() as u64),
            grouped(limits.columns as u64)
        );
        return Err(vec![
            problem(record.line, "TooManyColumns", message)
                .hint("leave out the columns that are not about this data source"),
        ]);
    }
    let names: Vec<String> = record
        .fields()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    if let Some(other) = near_miss::no_header(&names) {
        return Err(vec![other.line(record.line)]);
    }
    let mut header = Header {
        line: record.line,
        names,
        goal_names: spec.goals.iter().flat_map(goal_names).collect(),
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let date = header.required("Date");
    let agent = header.required("Agent");
    let variation = header.required("Variation");
    let visitors = header.required("Sels");
    let policy = header.optional("Policy");
    let visitor_trait = header.visitor_trait();
    let goals = header.goals(&spec.goals);
    let (Some(date), Some(agent), Some(variation), Some(visitors), true) =
        (date, agent, variation, visitors, header.problems.is_empty())
    else {
        return Err(header.problems);
    };
    let mut used = vec![date, agent, variation, visitors];
    used.extend(policy);
    used.extend(
        visitor_trait
            .into_iter()
            .flat_map(|(group, value)| [group, value]),
    );
    for goal in &goals {
        used.extend([goal.count, goal.count_sumsq]);
        used.extend(
            goal.values
                .into_iter()
                .flat_map(|(sum, sumsq)| [sum, sumsq]),
        );
    }
    header.note_unknown(&used);
    let names = header.names;
    let columns = Columns {
        names,
        date,
        agent,
        variation,
        visitors,
        policy,
        visitor_trait,
        goals,
    };
    Ok((columns, header.notes))
}

fn problem(line: u64, code: &'static str, message: impl Into<String>) -> Finding {
    Finding::new(FindingKind::Structure, code, message).line(line)
}

struct Header {
    line: u64,
    names: Vec<String>,
    /// Every name that some goal's column may have: none of them is another one misspelled.
    goal_names: HashSet<String>,
    problems: Vec<Finding>,
    notes: Vec<Finding>,
}

impl Header {
    /// A column whose name matches without regard to case.
    fn optional(&mut self, name: &str) -> Option<usize> {
        self.find(name, |found| found.eq_ignore_ascii_case(name))
    }

    fn required(&mut self, name: &'static str) -> Option<usize> {
        let found = self.optional(name);
        if found.is_none() {
            let hint = match near_miss::of_required(name, &self.names) {
                Some(near) => format!(
                    "did you mean {:?}? rename it to {name}",
                    excerpt(near.as_bytes())
                ),
                None => match name {
                    "Date" => "add the day as Unix seconds",
                    "Agent" => "add the agent's code",
                    "Variation" => "add the variation's code",
                    _ => "add the number of visitors who were exposed to the variation on the day",
                }
                .into(),
            };
            self.missing(name, "MissingColumn", hint);
        }
        found
    }

    fn missing(&mut self, name: &str, code: &'static str, hint: String) {
        self.problems.push(
            problem(self.line, code, "the column is missing")
                .column(name)
                .hint(hint),
        );
    }

    fn find(&mut self, name: &str, matches: impl Fn(&str) -> bool) -> Option<usize> {
        let mut places = (0..self.names.len()).filter(|index| matches(&self.names[*index]));
        let first = places.next()?;
        if let Some(second) = places.next() {
            let message = format!(
                "the column stands there twice, as fields {} and {}",
                first + 1,
                second + 1
            );
            let twice = problem(self.line, "DuplicateColumn", message)
                .column(name)
                .hint("keep one of them, or give the other another name");
            // Two goals may share a column, which is one problem all the same.
            if !self.problems.contains(&twice) {
                self.problems.push(twice);
            }
        }
        Some(first)
    }

    fn visitor_trait(&mut self) -> Option<(usize, usize)> {
        let pair = (self.optional("Trait_Group"), self.optional("Trait_Value"));
        let (lone, other) = match pair {
            (Some(group), Some(value)) => return Some((group, value)),
            (None, None) => return None,
            (Some(_), None) => ("Trait_Group", "Trait_Value"),
            (None, Some(_)) => ("Trait_Value", "Trait_Group"),
        };
        let hint = match near_miss::of_required(other, &self.names) {
            Some(near) => format!(
                "did you mean {:?}? rename it to {other}",
                excerpt(near.as_bytes())
            ),
            None => format!("{lone} and {other} stand together: add {other}, or remove {lone}"),
        };
        self.missing(other, "HalfTraitPair", hint);
        None
    }

    fn goals(&mut self, goals: &[Goal]) -> Vec<GoalColumns> {
        let problems = self.problems.len();
        let found: Vec<GoalColumns> = goals.iter().filter_map(|goal| self.goal(goal)).collect();
        if found.is_empty() && self.problems.len() == problems {
            let codes: Vec<&str> = goals.iter().map(|goal| goal.code.as_str()).collect();
            let shown = listed(&codes);
            let absent = std::mem::take(&mut self.notes);
            let hint = absent.into_iter().find_map(|note| note.hint).unwrap_or_else(|| {
                "for each goal g add g, the number of events, and g_sumsq, the sum over visitors \
                 of the squared number of events"
                    .into()
            });
            let message = format!("no goal of this data source has columns here ({shown})");
            self.problems
                .push(problem(self.line, "NoGoal", message).hint(hint));
        }
        found
    }

    /// None where the file lacks the goal, which is no problem unless it has a part of it.
    fn goal(&mut self, goal: &Goal) -> Option<GoalColumns> {
        let names = goal_names(goal);
        let found = [0, 1, 2, 3].map(|part| self.find(&names[part], |found| found == names[part]));
        let near = [0, 1, 2, 3].map(|part| {
            near_miss::but_for_case(&names[part], &self.names)
                .filter(|near| !self.goal_names.contains(*near))
                .map(|near| excerpt(near.as_bytes()))
        });
        let [count, count_sumsq, sum, sumsq] = found;
        let valued = goal.numeric
            || [2, 3]
                .iter()
                .any(|part| found[*part].is_some() || near[*part].is_some());
        if found.iter().all(Option::is_none) && near.iter().all(Option::is_none) {
            self.note_absent(goal);
            return None;
        }
        for part in 0..if valued { 4 } else { 2 } {
            if found[part].is_some() {
                continue;
            }
            let (code, hint) = match &near[part] {
                Some(near) => (
                    "WrongCase",
                    format!(
                        "did you mean {:?}? goal columns are matched exactly: rename it to {}",
                        near, names[part]
                    ),
                ),
                None => ("PartOfGoal", why_needed(part, goal)),
            };
            self.missing(&names[part], code, hint);
        }
        Some(GoalColumns {
            code: Arc::from(goal.code.as_str()),
            allow_negative: goal.allow_negative,
            count: count?,
            count_sumsq: count_sumsq?,
            values: if valued { Some((sum?, sumsq?)) } else { None },
        })
    }

    fn note_absent(&mut self, goal: &Goal) {
        let note = Finding::new(
            FindingKind::Warning,
            "GoalAbsent",
            format!(
                "goal {:?} has no columns: its counts are absent, not zero",
                goal.code
            ),
        )
        .line(self.line)
        .column(&goal.code);
        let hint = match near_miss::of_goal(&goal.code, &self.names) {
            Some(near) => {
                format!(
                    "did you mean {:?}? rename it to {}",
                    excerpt(near.as_bytes()),
                    goal.code
                )
            }
            None => format!(
                "add {0} and {0}_sumsq, or take the goal out of the data source",
                goal.code
            ),
        };
        self.notes.push(note.hint(hint));
    }

    fn note_unknown(&mut self, used: &[usize]) {
        let unknown: Vec<&str> = (0..self.names.len())
            .filter(|index| !used.contains(index))
            .map(|index| self.names[index].as_str())
            .collect();
        if unknown.is_empty() {
            return;
        }
        let message = match unknown.len() {
            1 => format!("1 column is not read: {}", listed(&unknown)),
            many => format!(
                "{} columns are not read: {}",
                grouped(many as u64),
                listed(&unknown)
            ),
        };
        let note = Finding::new(FindingKind::Warning, "UnknownColumns", message).line(self.line);
        let hint = near_miss::of_optional(&unknown)
            .map(|(near, name)| format!("did you mean {name} by {:?}?", excerpt(near.as_bytes())));
        self.notes.push(Finding { hint, ..note });
    }
}

/// Of count, sum of squares, value and the value's sum of squares.
fn goal_names(goal: &Goal) -> [String; 4] {
    ["", "_sumsq", "_val", "_val_sumsq"].map(|suffix| format!("{}{suffix}", goal.code))
}

fn why_needed(part: usize, goal: &Goal) -> String {
    let code = &goal.code;
    match part {
        0 => format!("add the number of events; the goal's other columns need it ({code})"),
        1 => "add the sum over visitors of the squared number of events".into(),
        2 if goal.numeric => "the goal is numeric: add the sum of its events' values".into(),
        3 if goal.numeric => {
            "the goal is numeric: add the sum over visitors of the squared value".into()
        }
        _ => format!("{code}_val and {code}_val_sumsq stand together: add it, or remove the other"),
    }
}

/// The first names, and how many more there are.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| {
            if name.is_empty() {
                "(no name)".into()
            } else {
                excerpt(name.as_bytes())
            }
        })
        .collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), grouped(more as u64)),
    }
}
