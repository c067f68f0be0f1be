//! What several pages have in common: the frame, the agent's head, fields of forms, marks of health
//! and verdicts, method notes.

use super::assets::Assets;
use super::format::Moment;
use super::links;
use crate::domain::report::query::ALL_POLICIES;
use crate::domain::report::view::{Concern, ConcernCode, Severity, Verdict};
use crate::domain::totals::RANDOM_POLICY;
use crate::http::charts::intervals::Judgement;

/// What stands around every page.
#[derive(Debug, Clone)]
pub struct Frame {
    pub title: String,
    /// What was searched for.
    pub q: String,
    pub assets: &'static Assets,
    /// Whether there is somebody to sign in; never who: pages are kept for all who may read them.
    pub has_account: bool,
    pub version: &'static str,
}

impl Frame {
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            q: String::new(),
            assets: Assets::get(),
            has_account: false,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// A page within its frame.
pub trait Framed: askama::Template {
    fn frame(&mut self) -> &mut Frame;
}

macro_rules! framed {
    ($($page:ty),+ $(,)?) => {
        $(impl Framed for $page {
            fn frame(&mut self) -> &mut Frame {
                &mut self.frame
            }
        })+
    };
}

framed!(
    super::account::AccountPage,
    super::activity::ActivityPage,
    super::counts::CountsPage,
    super::error::ErrorPage,
    super::sign_in::SignInPage,
    super::source::SourcePage,
    super::start::StartPage,
    super::testing::TestingPage<'_>,
);

/// The head of both reports of an agent.
#[derive(Debug, Clone)]
pub struct Head {
    pub namespace: String,
    pub namespace_query: String,
    pub source: String,
    pub source_link: String,
    pub title: String,
    /// Where the title is another one.
    pub code: Option<String>,
    pub testing: bool,
    pub testing_link: String,
    pub activity_link: String,
    pub facts: Vec<String>,
    pub as_of: Option<Moment>,
    /// Empty with one data source.
    pub switch: Vec<DataSet>,
}

/// A data source that holds the agent too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    pub name: String,
    pub link: String,
    pub chosen: bool,
}

#[derive(Debug, Clone)]
pub struct Links {
    pub csv: String,
    pub json: String,
    pub share: String,
}

impl Links {
    /// Of the report at `page`, whose parameters are `pairs`.
    #[must_use]
    pub fn new(page: &str, report: &str, pairs: &[(&'static str, String)]) -> Self {
        let agent = page.strip_suffix("/activity").unwrap_or(page);
        let api = format!("/api/v1{agent}/{report}");
        Self {
            csv: links::with_query(&format!("{api}.csv"), pairs),
            json: links::with_query(&api, pairs),
            share: links::with_query(page, pairs),
        }
    }
}

/// A select of a form.
#[derive(Debug, Clone)]
pub struct Select {
    pub name: &'static str,
    pub label: &'static str,
    pub options: Vec<Opt>,
}

#[derive(Debug, Clone)]
pub struct Opt {
    pub value: String,
    pub label: String,
    pub selected: bool,
}

impl Select {
    /// Of values and their labels; `chosen` is selected, and offered where it is none of them.
    #[must_use]
    pub fn new<V: Into<String>, L: Into<String>>(
        name: &'static str,
        label: &'static str,
        chosen: &str,
        options: impl IntoIterator<Item = (V, L)>,
    ) -> Self {
        let mut options: Vec<Opt> = options
            .into_iter()
            .map(|(value, label)| {
                let value = value.into();
                Opt {
                    selected: value == chosen,
                    label: label.into(),
                    value,
                }
            })
            .collect();
        if !options.iter().any(|option| option.selected) && !chosen.is_empty() {
            options.push(Opt {
                value: chosen.to_owned(),
                label: chosen.to_owned(),
                selected: true,
            });
        }
        Self {
            name,
            label,
            options,
        }
    }
}

/// How a number is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    pub term: &'static str,
    pub sentence: &'static str,
}

/// A shape, a colour and a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub class: &'static str,
    pub shape: &'static str,
    pub word: String,
}

impl Mark {
    fn new(class: &'static str, shape: &'static str, word: impl Into<String>) -> Self {
        Self {
            class,
            shape,
            word: word.into(),
        }
    }

    /// A full circle.
    #[must_use]
    pub fn good(word: impl Into<String>) -> Self {
        Self::new("good", "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0Z", word)
    }

    /// A cross.
    #[must_use]
    pub fn bad(word: impl Into<String>) -> Self {
        Self::new("bad", "M-5-5 5 5M5-5-5 5", word)
    }

    /// An open circle.
    #[must_use]
    pub fn waiting(word: impl Into<String>) -> Self {
        Self::new("waiting", "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0Z", word)
    }

    /// A triangle.
    #[must_use]
    pub fn late(word: impl Into<String>) -> Self {
        Self::new("waiting", "M0-5.5 6 5H-6Z", word)
    }

    #[must_use]
    pub fn verdict(verdict: Verdict) -> Self {
        let judgement = judgement(verdict, true);
        Self::new(
            judgement.class(),
            judgement.shape(),
            match verdict {
                Verdict::Better => "Better",
                Verdict::Worse => "Worse",
                Verdict::Undecided => "Undecided",
                Verdict::NotEnoughData => "Not enough data",
            },
        )
    }
}

/// What colour and shape may say; nothing where the report can't be trusted.
#[must_use]
pub fn judgement(verdict: Verdict, trustworthy: bool) -> Judgement {
    match verdict {
        Verdict::Better if trustworthy => Judgement::Better,
        Verdict::Worse if trustworthy => Judgement::Worse,
        Verdict::Undecided if trustworthy => Judgement::Undecided,
        _ => Judgement::Unjudged,
    }
}

#[derive(Debug, Clone)]
pub struct ConcernView {
    pub class: &'static str,
    pub severity: &'static str,
    pub title: &'static str,
    pub message: Prose,
    pub hint: Prose,
}

impl From<&Concern> for ConcernView {
    fn from(concern: &Concern) -> Self {
        let (class, severity) = match concern.severity {
            Severity::Alarm => ("alarm", "Alarm"),
            Severity::Warning => ("warning", "Warning"),
            Severity::Info => ("info", "Note"),
        };
        Self {
            class,
            severity,
            title: match concern.code {
                ConcernCode::PolicyMixed => policy_title(concern),
                code => title(code, concern.severity),
            },
            message: Prose(sentence(&concern.message)),
            hint: Prose(sentence(&concern.hint)),
        }
    }
}

/// The gravest first.
#[must_use]
pub fn concerns(concerns: &[Concern]) -> Vec<ConcernView> {
    let mut sorted: Vec<&Concern> = concerns.iter().collect();
    sorted.sort_by_key(|concern| concern.severity);
    sorted.into_iter().map(ConcernView::from).collect()
}

/// What is mixed, left out or chosen.
fn policy_title(concern: &Concern) -> &'static str {
    match concern
        .values
        .get("policy")
        .and_then(|policy| policy.as_str())
    {
        Some(ALL_POLICIES) => "Several policies mixed",
        Some(RANDOM_POLICY) => "Other policies left out",
        _ => "Not assigned at random",
    }
}

pub(super) fn title(code: ConcernCode, severity: Severity) -> &'static str {
    match code {
        ConcernCode::SampleRatioMismatch => "The split is not the planned one",
        ConcernCode::AllocationDrift => "The split changed over time",
        ConcernCode::TraitImbalance => "Uneven split within a trait",
        ConcernCode::IntegrityProblem if severity == Severity::Alarm => "Impossible sums",
        ConcernCode::IntegrityProblem => "Sums that the dating does not allow",
        ConcernCode::VisitorDays => "Visitor-days, not visitors",
        ConcernCode::FewVisitors => "Too few visitors",
        ConcernCode::FewConversions => "Few conversions",
        ConcernCode::DaysMissing => "Days are missing",
        ConcernCode::LateArm => "A variation joined late",
        ConcernCode::IncompleteDay => "The last day is incomplete",
        ConcernCode::PolicyMixed => "Several policies mixed",
        ConcernCode::TraitTotalsDisagree => "Trait groups disagree",
        ConcernCode::GoalAbsentOnDays => "Days without this goal",
        ConcernCode::UnexpectedVariation => "A variation nobody declared",
        ConcernCode::EffectDiffersByTrait => "The effect differs by trait",
        ConcernCode::StaleData => "The data are old",
        ConcernCode::LastFetchFailed => "The last fetch failed",
    }
}

/// Text in which a day stays on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prose(pub String);

/// A run of text, or a word that is not to be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    pub text: &'a str,
    pub keep: bool,
}

impl Prose {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn pieces(&self) -> Vec<Piece<'_>> {
        let mut pieces = Vec::new();
        let (mut run, mut at) = (0, 0);
        for word in self.0.split_inclusive(' ') {
            let text = word.trim_end();
            if is_day(text) {
                if run < at {
                    let text = &self.0[run..at];
                    pieces.push(Piece { text, keep: false });
                }
                pieces.push(Piece { text, keep: true });
                run = at + text.len();
            }
            at += word.len();
        }
        if run < self.0.len() {
            let text = &self.0[run..];
            pieces.push(Piece { text, keep: false });
        }
        pieces
    }
}

/// `2024-03-18`, also with a comma or a full stop behind it.
fn is_day(word: &str) -> bool {
    word.len() >= 10
        && word.bytes().take(10).enumerate().all(|(at, byte)| {
            if at == 4 || at == 7 {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        })
}

/// With a capital and a full stop, as prose needs them.
#[must_use]
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return String::new();
    };
    // Codes and commands keep their case: only a plain word is raised.
    let word = text.split_whitespace().next().unwrap_or_default();
    let plain = word
        .trim_end_matches([',', ':', ';'])
        .chars()
        .all(|c| c.is_ascii_lowercase());
    let mut shown = if plain && word.len() > 1 || word == "a" {
        first.to_uppercase().collect::<String>() + characters.as_str()
    } else {
        text.to_owned()
    };
    if !shown.ends_with(['.', '!', '?', '…', ':']) {
        shown.push('.');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_sentences() {
        for (text, expected) in [
            ("", ""),
            ("the split is odd", "The split is odd."),
            ("a day is missing", "A day is missing."),
            ("A stands alone.", "A stands alone."),
            ("agent-1 is odd", "agent-1 is odd."),
        ] {
            assert_eq!(sentence(text), expected);
        }
    }

    #[test]
    fn days_are_kept_together() {
        let prose = Prose("from 2024-03-18 to 2024-03-19, é".to_owned());
        let pieces: Vec<_> = prose.pieces();
        let kept: Vec<_> = pieces.iter().filter(|piece| piece.keep).collect();
        assert_eq!(kept.len(), 2);
        assert_eq!((kept[0].text, kept[1].text), ("2024-03-18", "2024-03-19,"));
        let all: String = pieces.iter().map(|piece| piece.text).collect();
        assert_eq!(all, prose.0);
    }

    #[test]
    fn nothing_is_judged_that_cannot_be_trusted() {
        for verdict in [Verdict::Better, Verdict::Worse, Verdict::Undecided] {
            assert_eq!(judgement(verdict, false), Judgement::Unjudged);
            assert_ne!(judgement(verdict, true), Judgement::Unjudged);
        }
    }

    #[test]
    fn links_hold_every_parameter() {
        let links = Links::new(
            "/namespaces/n/agents/a%2Fb/activity",
            "activity",
            &[("goal", "g 1".to_owned())],
        );
        assert_eq!(
            links.csv,
            "/api/v1/namespaces/n/agents/a%2Fb/activity.csv?goal=g%201"
        );
        assert_eq!(
            links.json,
            "/api/v1/namespaces/n/agents/a%2Fb/activity?goal=g%201"
        );
        assert_eq!(
            links.share,
            "/namespaces/n/agents/a%2Fb/activity?goal=g%201"
        );
    }
}
