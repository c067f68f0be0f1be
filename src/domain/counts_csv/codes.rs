//! Codes of agents, variations, policies and traits: each kept once, and numbered.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexSet;

use super::super::data_source::MAX_CODE_BYTES;
use super::super::finding::{Finding, FindingKind, excerpt};
use super::notes::Notes;
use super::number_hints::Explained;

/// The codes of one column, numbered in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Codes {
    known: IndexSet<Arc<str>>,
    first_lines: Vec<u64>,
    /// A row's code is often that of the row before.
    last: usize,
}

/// Why a field is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeError {
    Empty,
    NotUtf8,
    TooLong,
    ControlCharacter,
}

impl Codes {
    /// The number of the code that `field` is.
    #[inline]
    pub(super) fn number(&mut self, field: &[u8], line: u64) -> Result<u32, CodeError> {
        if self
            .known
            .get_index(self.last)
            .is_none_or(|last| last.as_bytes() != field)
        {
            self.last = self.find(field, line)?;
        }
        Ok(u32::try_from(self.last).unwrap_or(u32::MAX))
    }

    fn find(&mut self, field: &[u8], line: u64) -> Result<usize, CodeError> {
        let code = std::str::from_utf8(field).map_err(|_| CodeError::NotUtf8)?;
        if let Some(known) = self.known.get_index_of(code) {
            return Ok(known);
        }
        if code.is_empty() {
            return Err(CodeError::Empty);
        }
        if code.len() > MAX_CODE_BYTES {
            return Err(CodeError::TooLong);
        }
        if code.chars().any(char::is_control) {
            return Err(CodeError::ControlCharacter);
        }
        self.first_lines.push(line);
        Ok(self.known.insert_full(Arc::from(code)).0)
    }

    pub(super) fn get(&self, number: u32) -> &Arc<str> {
        &self.known[number as usize]
    }

    /// In order.
    pub(super) fn sorted(&self) -> Vec<String> {
        let mut sorted: Vec<String> = self.known.iter().map(ToString::to_string).collect();
        sorted.sort_unstable();
        sorted
    }

    /// Notes codes with space around them, and codes that only a computer tells apart.
    pub(super) fn review(&self, column: &str, place: usize, notes: &mut Notes) {
        for (code, line) in self.known.iter().zip(&self.first_lines) {
            if code.trim() != &**code {
                notes.add("SpaceAroundCode", place, Some(*line), || {
                    Finding::new(
                        FindingKind::Warning,
                        "SpaceAroundCode",
                        format!(
                            "the code {:?} begins or ends with a space",
                            excerpt(code.as_bytes())
                        ),
                    )
                    .line(*line)
                    .column(column)
                    .value(code.as_bytes())
                    .hint("codes are taken as they stand; remove the space unless the code has it")
                });
            }
        }
        self.look_alikes(column, place, notes);
    }

    fn look_alikes(&self, column: &str, place: usize, notes: &mut Notes) {
        if self.known.iter().all(|code| code.is_ascii()) {
            return;
        }
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (number, code) in self.known.iter().enumerate() {
            let first = *seen.entry(appearance(code)).or_insert(number);
            let earlier = &self.known[first];
            if first == number || (code.is_ascii() && earlier.is_ascii()) {
                continue;
            }
            let (line, first_line) = (self.first_lines[number], self.first_lines[first]);
            notes.add("LookAlikeCodes", place, Some(line), || {
                Finding::new(
                    FindingKind::Warning,
                    "LookAlikeCodes",
                    format!(
                        "{} looks like {} on line {first_line} and is another code",
                        spelled(code),
                        spelled(earlier)
                    ),
                )
                .line(line)
                .column(column)
                .value(code.as_bytes())
                .hint("write one of them throughout, or their counts stay apart")
            });
        }
    }
}

/// What a code looks like to people: confusable characters as one, and none that is invisible.
fn appearance(code: &str) -> String {
    let visible: String = code
        .trim()
        .chars()
        .filter(|c| {
            !matches!(
                c,
                '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
            )
        })
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .collect();
    unicode_security::skeleton(&visible).collect()
}

/// A code with its characters beyond ASCII named: `"agent‑1" (with U+2011)`.
fn spelled(code: &str) -> String {
    let mut foreign: Vec<String> = code
        .chars()
        .filter(|c| !c.is_ascii())
        .map(|c| format!("U+{:04X}", c as u32))
        .collect();
    foreign.dedup();
    foreign.truncate(3);
    if foreign.is_empty() {
        format!("\"{code}\"")
    } else {
        format!("\"{code}\" (with {})", foreign.join(", "))
    }
}

/// Words for a field, shown as `shown`, that is no code.
pub(super) fn explain(shown: &str, error: CodeError) -> Explained {
    match error {
        CodeError::Empty => Explained {
            code: "EmptyCode",
            message: "the field is empty".into(),
            hint: "each row needs its code here, as it is set up for the experiment".into(),
        },
        CodeError::NotUtf8 => Explained {
            code: "NotUtf8",
            message: format!("{shown:?} is not UTF-8"),
            hint: "save the file as UTF-8; it looks like Latin-1 or Windows-1252".into(),
        },
        CodeError::TooLong => Explained {
            code: "CodeTooLong",
            message: format!("{shown:?} is longer than {MAX_CODE_BYTES} bytes"),
            hint: "write the code, not a name or a description".into(),
        },
        CodeError::ControlCharacter => Explained {
            code: "ControlCharacter",
            message: format!("{shown:?} holds a control character"),
            hint: "remove line breaks, tabs and other characters that do not print from the code"
                .into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_people_cannot_tell_apart_look_the_same() {
        for (one, other) in [
            ("agent-1", "agent\u{2011}1"),
            ("agent-1", "agent\u{2013}1"),
            ("a b", "a\u{a0}b"),
            ("A", "\u{410}"),
            ("ab", "a\u{200b}b"),
            ("é", "e\u{301}"),
        ] {
            assert_eq!(appearance(one), appearance(other), "{one:?} {other:?}");
        }
        for (one, other) in [("A", "B"), ("a", "A"), ("ä", "a")] {
            assert_ne!(appearance(one), appearance(other), "{one:?} {other:?}");
        }
    }
}
