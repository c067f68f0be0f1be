//! Every case of a failure, once: what happened, and the hint that says what to do. The hints of
//! [`FetchError`](super::FetchError) are made here, and docs/errors.md is written of the same table.
//!
//! A hint is a function of what the case knows; where the page shows it, the values' names stand in
//! capitals.

mod answered;
mod content;
mod identities;
mod storing;
mod unanswered;

use super::ErrorCode;

pub use answered::hints::*;
pub use content::hints::*;
pub use identities::hints::*;
pub use storing::hints::*;
pub use unanswered::hints::*;

/// A row of the reference: one of the things that a code can mean.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What it shows as; where there are several, all mean the same.
    pub codes: &'static [ErrorCode],
    /// What tells it from the code's other cases; empty where there is none or nothing to tell.
    pub told_by: &'static str,
    pub happened: &'static str,
    /// Templates of the hints: the first, and what may stand after it.
    pub hints: &'static [&'static str],
    /// What the hint leaves to the page: links, and what is too long for a status. Markdown.
    pub more: &'static str,
}

/// The cases that belong together, under a heading of docs/errors.md.
#[derive(Debug, Clone, Copy)]
pub struct Chapter {
    pub heading: &'static str,
    pub cases: &'static [Case],
}

/// All of them, in the order of a fetch.
pub const CHAPTERS: &[Chapter] = &[
    Chapter {
        heading: "The request was answered, and refused",
        cases: answered::CASES,
    },
    Chapter {
        heading: "Nobody answered",
        cases: unanswered::CASES,
    },
    Chapter {
        heading: "Whose identity reads",
        cases: identities::CASES,
    },
    Chapter {
        heading: "The content",
        cases: content::CASES,
    },
    Chapter {
        heading: "The store",
        cases: storing::CASES,
    },
];

impl ErrorCode {
    /// What this code can mean.
    pub fn cases(self) -> impl Iterator<Item = &'static Case> {
        let all = CHAPTERS.iter().flat_map(|chapter| chapter.cases);
        all.filter(move |case| case.codes.contains(&self))
    }
}

impl Case {
    /// What to do, in general: the hints with the values' names in capitals, and the rest. Markdown.
    #[must_use]
    pub fn remedy(&self) -> String {
        let mut remedy = String::new();
        for (index, hint) in self.hints.iter().enumerate() {
            if index > 0 {
                remedy += " Where it is so, it goes on: ";
            }
            remedy += &named(hint.trim());
        }
        if !self.more.is_empty() && !self.hints.is_empty() {
            remedy += if remedy.ends_with('.') { " " } else { ". " };
        }
        remedy + self.more
    }
}

/// A template with `{key}` and `{key:?}` written as `KEY`.
fn named(template: &str) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (value, after) = after.split_once('}').unwrap_or((after, ""));
        text += before;
        // A value that follows a word as it stands brings its own space.
        if text.ends_with(char::is_alphanumeric) {
            text.push(' ');
        }
        let name = value.split(':').next().unwrap_or_default();
        text += &name.to_uppercase().replace('_', " ");
        rest = after;
    }
    text + rest
}

/// Rows of a chapter, and the functions that make their hints:
/// `[codes], "told by": "happened" => hint(values) "template", ...; "more";`
macro_rules! cases {
    ($(
        [$($code:ident),+] $(, $told:literal)? : $happened:literal
            $(=> $($hint:ident ($($value:ident),*) $text:literal),+)?
            $(; $more:literal)? ;
    )*) => {
        pub(super) const CASES: &[$crate::domain::fetch::cases::Case] = &[$(
            $crate::domain::fetch::cases::Case {
                codes: &[$($crate::domain::fetch::ErrorCode::$code),+],
                told_by: concat!($($told)?),
                happened: $happened,
                hints: &[$($($text),+)?],
                more: concat!($($more)?),
            },
        )*];

        pub(super) mod hints {
            $($($(
                #[must_use]
                pub fn $hint($($value: impl std::fmt::Display + std::fmt::Debug),*) -> String {
                    std::fmt::format(format_args!($text))
                }
            )+)?)*
        }
    };
}
use cases;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_case_that_says_what_to_do() {
        for code in ErrorCode::ALL {
            assert!(code.cases().count() > 0, "{code:?}");
        }
        for case in CHAPTERS.iter().flat_map(|chapter| chapter.cases) {
            assert!(!case.remedy().is_empty(), "{case:?}");
        }
    }

    #[test]
    fn cases_of_a_code_are_told_apart() {
        for code in ErrorCode::ALL {
            let mut told: Vec<_> = code.cases().map(|case| case.told_by).collect();
            let all = told.len();
            told.sort_unstable();
            told.dedup();
            assert_eq!(told.len(), all, "{code:?}: {told:?}");
        }
    }

    #[test]
    fn the_page_and_the_error_say_the_same() {
        let made = no_such_key("a/b.csv", "counts");
        let case = ErrorCode::NoSuchKey.cases().next().unwrap();
        assert_eq!(
            case.remedy()
                .replace("KEY", "\"a/b.csv\"")
                .replace("BUCKET", "counts"),
            format!("{made} {}", case.more)
        );
        assert_eq!(named("{a_b:?} of {c}."), "A B of C.");
    }
}
