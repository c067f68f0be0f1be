//! Concerns about the rows themselves: numbers that can't be, policies that are mixed, traits that
//! do not add up.

use super::{concern, counted};
use crate::domain::finding::{FindingKind, grouped};
use crate::domain::report::query::ALL_POLICIES;
use crate::domain::report::slice::Broken;
use crate::domain::report::testing::Test;
use crate::domain::report::view::{Concern, ConcernCode, Severity};
use crate::domain::report::words;
use crate::domain::totals::{RANDOM_POLICY, policies};

/// One concern for what no visitors can have produced, one for what they can't where each stands
/// on one day.
pub(super) fn integrity_problems(test: &Test) -> Vec<Concern> {
    let mut concerns = Vec::new();
    let integrity = &test.slice.integrity;
    if let Some(always) = broken_cells(&integrity.always) {
        concerns.push(always);
    } else if let Some(sums) = impossible_sums(test) {
        concerns.push(sums);
    }
    concerns.extend(broken_cells(&integrity.dating).map(|concern| Concern {
        severity: Severity::Warning,
        ..concern
    }));
    concerns
}

fn broken_cells(broken: &Broken) -> Option<Concern> {
    let first = broken.first.as_ref()?;
    let (day, variation) = (first.day, &first.variation);
    // Other datings of events allow for the rest.
    let given = match first.rule.kind() {
        FindingKind::Dating => " where each visitor stands on one day",
        _ => "",
    };
    let rows = match broken.cells {
        1 => format!("The numbers of a row can't be right{given}"),
        more => format!(
            "The numbers of {} can't be right{given}, the first",
            counted(more, "row")
        ),
    };
    Some(concern(
        ConcernCode::IntegrityProblem,
        format!(
            "{rows}: on {day}, for {variation}, {}.",
            first.rule.message(first.visitors, &first.counts)
        ),
        format!("{}.", words::capitalised(&first.rule.hint())),
        [
            ("rows", broken.cells.into()),
            ("rule", first.rule.code().into()),
            ("day", day.to_string().into()),
            ("variation", variation.clone().into()),
        ],
    ))
}

/// Each cell may pass alone, and their sums not.
fn impossible_sums(test: &Test) -> Option<Concern> {
    let arms = test.question.arms.iter().zip(&test.slice.arms);
    let (arm, _) = arms
        .into_iter()
        .find(|(_, sums)| sums.moments.is_impossible())?;
    Some(concern(
        ConcernCode::IntegrityProblem,
        format!(
            "The sums of {} can't be right: their squares are smaller than those of any visitors.",
            arm.code
        ),
        "Check the dating: each visitor belongs on the day of the first exposure, with all events; \
         and square each visitor's sum, not each event's.",
        [("variation", arm.code.clone().into())],
    ))
}

/// Where numbers rest on other visitors than those who were assigned at random, or leave some out.
pub(super) fn policy_mixed(test: &Test) -> Option<Concern> {
    let question = test.question;
    let mut visitors = policies(question.rows());
    visitors.retain(|_, visitors| *visitors > 0);
    let names = |of: &dyn Fn(&str) -> bool| -> Vec<String> {
        let named = visitors.iter().filter(|(policy, _)| of(policy));
        named
            .map(|(policy, visitors)| format!("{} under {policy}", counted(*visitors, "visitor")))
            .collect()
    };
    let has_random = visitors.keys().any(|policy| **policy == *RANDOM_POLICY);
    let chosen = question.policy.as_str();
    let (message, hint) = if chosen == ALL_POLICIES {
        let all = names(&|_| true);
        if all.len() < 2 {
            return None;
        }
        (
            format!(
                "Several policies are mixed here: {}. Who got which variation was not always left \
                 to chance.",
                words::list(&all)
            ),
            if has_random {
                format!("Choose policy {RANDOM_POLICY} for a fair comparison.")
            } else {
                "No visitor was assigned at random: a fair comparison needs some who are."
                    .to_owned()
            },
        )
    } else {
        let others = names(&|policy| policy != chosen);
        let left_out = if others.is_empty() {
            String::new()
        } else {
            format!(" Left out are {}.", words::list(&others))
        };
        if chosen == RANDOM_POLICY && others.is_empty() {
            return None;
        }
        if chosen == RANDOM_POLICY {
            (
                format!("This is about visitors who were assigned at random.{left_out}"),
                "Nothing to do: comparing needs chance alone to decide. The Activity Report \
                 counts everybody."
                    .to_owned(),
            )
        } else {
            (
                format!(
                    "This is about policy {chosen}, under which visitors were not assigned at \
                     random: the variations' visitors may differ from the start.{left_out}"
                ),
                if has_random {
                    format!("Compare under policy {RANDOM_POLICY}.")
                } else {
                    "A fair comparison needs visitors who are assigned at random.".to_owned()
                },
            )
        }
    };
    // A random comparison that leaves the others out is as it should be.
    let severity = if chosen == RANDOM_POLICY {
        Severity::Info
    } else {
        Severity::Warning
    };
    let by_policy = visitors
        .iter()
        .map(|(policy, visitors)| (policy.to_string(), (*visitors).into()))
        .collect::<serde_json::Map<_, _>>();
    Some(Concern {
        severity,
        ..concern(
            ConcernCode::PolicyMixed,
            message,
            hint,
            [("policy", chosen.into()), ("visitors", by_policy.into())],
        )
    })
}

pub(super) fn trait_totals_disagree(test: &Test) -> Option<Concern> {
    let found = &test.slice.disagreements;
    let first = found.first.as_ref()?;
    Some(concern(
        ConcernCode::TraitTotalsDisagree,
        format!(
            "Rows by trait do not add up to the totals in {}: on {}, {} has {} {} in all, {} by \
             {}.",
            counted(found.count, "case"),
            first.day,
            first.variation,
            grouped(first.total),
            first.what,
            grouped(first.of_group),
            first.group,
        ),
        "Each group should count every visitor once: give those without a value one of their own, \
         such as unknown.",
        [
            ("cases", found.count.into()),
            ("traitGroup", first.group.clone().into()),
            ("variation", first.variation.clone().into()),
            ("day", first.day.to_string().into()),
        ],
    ))
}
