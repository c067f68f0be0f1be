//! A variation against the baseline: every number of one line of the report.

use crate::domain::data_source::GoodDirection;

use super::always_valid::{self, AlwaysValid};
use super::bayes::{Bayes, bayes};
use super::distribution::t_two_sided;
use super::fieller::relative_interval;
use super::moments::{Moments, finite};
use super::note::Note;
use super::power::POWER_QUANTILE;
use super::score::Rates;
use super::welch::Pair;
use super::{IntervalKind, LEAST_P, Verdict, at_least_least, error_rate};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// 0.5 to 0.9999.
    pub confidence: f64,
    /// Comparisons that are accounted for together, at least 1; 1 leaves p as it is.
    pub family: u32,
    pub interval: IntervalKind,
    /// Whether values may be negative, and so the lift below -100%.
    pub allow_negative: bool,
    pub good_direction: GoodDirection,
}

impl Settings {
    /// a / family.
    pub(super) fn error_rate(&self) -> f64 {
        error_rate(self.confidence, self.family)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Mean of the variation less that of the baseline.
    pub difference: Option<f64>,
    pub standard_error: Option<f64>,
    pub degrees_of_freedom: Option<f64>,
    pub t: Option<f64>,
    /// Of the interval in force, two-sided, unadjusted.
    pub p: Option<f64>,
    /// min(1, family p).
    pub adjusted_p: Option<f64>,
    /// The one in force, at 1 - a / family.
    pub interval: Option<[f64; 2]>,
    /// To the magnitude of the baseline's mean.
    pub relative_difference: Option<f64>,
    /// Null on a side that has no bound.
    pub relative_interval: Option<[Option<f64>; 2]>,
    pub notes: Vec<Note>,
    /// In both modes.
    pub always_valid: AlwaysValid,
    pub bayes: Option<Bayes>,
    /// Found four times in five if it is there, in units of the mean.
    pub minimum_detectable_difference: Option<f64>,
    pub verdict: Verdict,
}

impl Comparison {
    /// Nothing known but what was seen.
    fn untested(difference: Option<f64>) -> Self {
        Self {
            difference,
            standard_error: None,
            degrees_of_freedom: None,
            t: None,
            p: None,
            adjusted_p: None,
            interval: None,
            relative_difference: None,
            relative_interval: None,
            notes: Vec::new(),
            always_valid: AlwaysValid::default(),
            bayes: None,
            minimum_detectable_difference: None,
            verdict: Verdict::NotEnoughData,
        }
    }
}

/// A test's answer, whichever test it is.
#[derive(Debug, Clone, Copy, Default)]
struct Answer {
    p: Option<f64>,
    interval: Option<[f64; 2]>,
    relative_interval: Option<[Option<f64>; 2]>,
    minimum_detectable_difference: Option<f64>,
}

/// Welch's test with Fieller's relative interval; the score test for two binary arms of which one
/// has no variance; no test where there is too little to go by.
#[must_use]
pub fn compare(baseline: &Moments, variation: &Moments, settings: &Settings) -> Comparison {
    let mut notes = Vec::new();
    let mut comparison = Comparison::untested(variation.mean_less(baseline));
    comparison.relative_difference =
        relative_difference(baseline.mean(), comparison.difference, &mut notes);
    let pair = match Pair::new(baseline, variation) {
        Ok(pair) => pair,
        Err(note) => {
            notes.push(note);
            comparison.always_valid.note = Some(note);
            comparison.notes = notes;
            return comparison;
        }
    };
    comparison.always_valid = always_valid_of(baseline, variation, &pair, settings);
    if pair.has_variance() {
        comparison.standard_error = finite(pair.standard_error);
        comparison.degrees_of_freedom = finite(pair.degrees_of_freedom());
        comparison.t = finite(pair.t());
        comparison.bayes = bayes(&pair, settings.good_direction);
    }
    let answer = match settings.interval {
        IntervalKind::Fixed if pair.has_variance() => welch(&pair, settings, &mut notes),
        IntervalKind::Fixed if baseline.is_binary() && variation.is_binary() => {
            score(baseline, variation, settings, &mut notes)
        }
        IntervalKind::Fixed => {
            notes.push(Note::NoVariance);
            Answer::default()
        }
        IntervalKind::AlwaysValid => {
            always_valid_answer(&pair, comparison.always_valid, settings, &mut notes)
        }
    };
    fill_in(&mut comparison, answer, settings, &mut notes);
    comparison.notes = notes;
    comparison
}

fn relative_difference(
    baseline_mean: Option<f64>,
    difference: Option<f64>,
    notes: &mut Vec<Note>,
) -> Option<f64> {
    let (mean, difference) = (baseline_mean?, difference?);
    if mean == 0.0 {
        notes.push(Note::BaselineIsZero);
        return None;
    }
    if mean < 0.0 {
        notes.push(Note::BaselineIsNegative);
    }
    finite(difference / mean.abs())
}

fn welch(pair: &Pair, settings: &Settings, notes: &mut Vec<Note>) -> Answer {
    let critical = pair.critical_value(settings.error_rate());
    let p = t_two_sided(pair.t(), pair.degrees_of_freedom());
    answer_of(pair, critical, p, settings, notes)
}

fn always_valid_of(
    baseline: &Moments,
    variation: &Moments,
    pair: &Pair,
    settings: &Settings,
) -> AlwaysValid {
    match always_valid::gate(baseline, variation, pair) {
        Ok(()) => AlwaysValid {
            interval: pair.interval(always_valid::critical_value(pair, settings.error_rate())),
            p: always_valid::p(pair),
            note: None,
        },
        Err(note) => AlwaysValid {
            note: Some(note),
            ..AlwaysValid::default()
        },
    }
}

fn always_valid_answer(
    pair: &Pair,
    always_valid: AlwaysValid,
    settings: &Settings,
    notes: &mut Vec<Note>,
) -> Answer {
    match (always_valid.p, always_valid.note) {
        (Some(p), None) => {
            let critical = always_valid::critical_value(pair, settings.error_rate());
            answer_of(pair, critical, p, settings, notes)
        }
        (_, note) => {
            notes.extend(note);
            Answer::default()
        }
    }
}

fn answer_of(
    pair: &Pair,
    critical: f64,
    p: f64,
    settings: &Settings,
    notes: &mut Vec<Note>,
) -> Answer {
    let (relative_interval, note) = if pair.baseline_mean == 0.0 {
        (None, None)
    } else {
        relative_interval(pair, critical, settings.allow_negative)
    };
    notes.extend(note);
    Answer {
        p: finite(at_least_least(p)),
        interval: pair.interval(critical),
        relative_interval,
        minimum_detectable_difference: finite((critical + POWER_QUANTILE) * pair.standard_error),
    }
}

fn score(
    baseline: &Moments,
    variation: &Moments,
    settings: &Settings,
    notes: &mut Vec<Note>,
) -> Answer {
    notes.push(Note::ScoreTest);
    let rates = Rates::new(baseline, variation);
    let relative = rates.relative_interval(settings.error_rate());
    Answer {
        p: finite(at_least_least(rates.p())),
        interval: rates.interval(settings.error_rate()),
        relative_interval: relative.map(|limits| limits.map(Some)),
        minimum_detectable_difference: None,
    }
}

/// Takes over an answer and judges it. All of it or nothing: a p without an interval, or the other
/// way round, would be a verdict that can't be seen.
fn fill_in(
    comparison: &mut Comparison,
    answer: Answer,
    settings: &Settings,
    notes: &mut Vec<Note>,
) {
    let (Some(p), Some(interval)) = (answer.p, answer.interval) else {
        return;
    };
    if p <= LEAST_P {
        notes.push(Note::LeastP);
    }
    let adjusted = (p * f64::from(settings.family.max(1))).min(1.0);
    comparison.p = Some(p);
    comparison.adjusted_p = Some(adjusted);
    comparison.interval = Some(interval);
    comparison.relative_interval = answer.relative_interval;
    comparison.minimum_detectable_difference = answer.minimum_detectable_difference;
    let up = comparison.difference.unwrap_or_default() > 0.0;
    comparison.verdict = if adjusted >= error_rate(settings.confidence, 1) {
        Verdict::Undecided
    } else if up == (settings.good_direction == GoodDirection::Increase) {
        Verdict::Better
    } else {
        Verdict::Worse
    };
}
