//! How each number is made, in a sentence that a reader who is no statistician can follow.

use super::parts::Note;
use crate::domain::report::view::{IntervalKind, TestingReport};

const fn note(term: &'static str, sentence: &'static str) -> Note {
    Note { term, sentence }
}

const ARMS: &[Note] = &[
    note(
        "Visitors",
        "Everyone exposed to the variation on the days in view that have this goal; each visitor counts once, on the day of the first exposure, unless a concern says otherwise.",
    ),
    note(
        "Share (expected)",
        "This variation’s part of all visitors, beside the part it should have: equal parts, or the weights that an Agent resource declares.",
    ),
    note(
        "Conversions",
        "How often the goal was reached; a visitor may count several times.",
    ),
    note(
        "Rate, value per visitor",
        "Conversions, or the sum of values, divided by visitors. Below it, the interval for this variation alone: Wilson’s where each visitor converts at most once, else Student’s t from the sum of squares.",
    ),
    note(
        "Value per conversion",
        "Sum of values divided by conversions. It has no interval: counts and values of the same visitor are not known together.",
    ),
    note(
        "Converters",
        "At least and at most so many different visitors converted. The sums of squares bound the number; they don’t tell it.",
    ),
    note(
        "Effective conversions",
        "Squared sum divided by sum of squares: how many equal conversions would be as informative. Below 40 the intervals are rough.",
    ),
];

const COMPARISONS: &[Note] = &[
    note(
        "Difference",
        "Mean of the variation less mean of the baseline. Its interval and p are Welch’s, which lets the two have different spreads; where a variation shows no spread and each visitor converts at most once, Miettinen and Nurminen’s score interval.",
    ),
    note(
        "Relative",
        "The difference as a part of the baseline’s mean. Its interval is Fieller’s, with the same critical value, so that it never contradicts the test beside it.",
    ),
    note(
        "p",
        "How often chance alone would show a difference at least as large, were there none. Adjusted: times the number of comparisons (Bonferroni), as the intervals and the verdict are; the small number below is without that.",
    ),
    note(
        "Always valid",
        "An interval that holds however often one looks, so a test may stop on it any day (asymptotic confidence sequence). It is wider than the fixed one, and starts at 40 effective conversions in both variations.",
    ),
    note(
        "Chance to win",
        "Probability that the variation is better in the goal’s direction, given these data and no opinion beforehand (flat prior).",
    ),
    note(
        "Expected loss",
        "What choosing the variation costs on average, per visitor, in the cases where it is not better after all.",
    ),
    note(
        "Smallest detectable",
        "The true difference that a test of this size finds four times out of five (80% power).",
    ),
    note(
        "Days left",
        "Days until the target lift would be detectable, at the visitors a day of the last seven complete days. Never computed from the lift that was observed.",
    ),
    note(
        "Verdict",
        "Better or Worse where the interval in force excludes zero, in the goal’s good direction; Undecided where it does not.",
    ),
];

const BEST: Note = note(
    "Chance to be best",
    "Probability that this variation is the best of all of them, given these data and no opinion beforehand.",
);

pub const TREND: &[Note] = &[
    note(
        "Line",
        "Difference over all days from the first one in view to this one, not of the day alone.",
    ),
    note(
        "Band",
        "The always-valid interval of that difference: it may be looked at every day. It begins when both variations have 40 effective conversions.",
    ),
];

pub const TRAITS: &[Note] = &[
    note(
        "By trait",
        "The same comparison among visitors with each value of the trait alone, at the same confidence. A single value that stands out among many is often chance: look at the interaction test first.",
    ),
    note(
        "Interaction test",
        "Cochran’s Q over the values with at least 20 effective conversions in both variations: whether the differences differ among each other more than chance would make them.",
    ),
];

pub const STRATA: &[Note] = &[note(
    "Weighted difference",
    "The difference within each stratum, averaged by the visitors that all variations together have in it. A split that changes between strata cannot bend it, as it bends the pooled difference. Strata with fewer than two visitors in a variation are left out; beyond a tenth of the visitors there is no result.",
)];

pub const ACTIVITY: &[Note] = &[
    note(
        "Visitors",
        "Everyone exposed, of all variations or of each.",
    ),
    note(
        "Rate",
        "Conversions per visitor of the days that have the goal. A cumulative rate is cumulative conversions divided by cumulative visitors, never a sum of rates.",
    ),
    note("Value", "Sum of the values that the export gives."),
    note(
        "Daily average",
        "The total divided by the days in view that have data: conversions and values by those that have the goal. A rate is not divided again.",
    ),
];

/// Of the two tables of the chosen goal.
#[must_use]
pub fn of_report(report: &TestingReport) -> Vec<Note> {
    let mut notes = ARMS.to_vec();
    if report.chance_to_be_best.is_some() {
        notes.push(BEST);
    }
    notes.extend_from_slice(COMPARISONS);
    if report.omnibus.is_some() {
        notes.push(note(
            "All together",
            "Welch’s analysis of variance: whether any variation differs from any other.",
        ));
    }
    if report.interval == IntervalKind::AlwaysValid {
        notes.push(note(
            "Interval in force",
            "This view uses the always-valid interval everywhere: difference, relative interval, p and verdict are those of the sequence.",
        ));
    }
    notes
}
