//! Codes of agents, variations, policies and traits: each kept once, and numbered.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::super::data_source::MAX_CODE_BYTES;
use super::super::finding::{Finding, FindingKind, excerpt};
use super::notes::Notes;
use super::number_hints::Explained;

/// The codes of one column, numbered in the order in which they come. They lie in one piece of
/// memory: a file may have as many agents as rows.
#[derive(Debug, Default)]
pub(super) struct Codes {
    text: String,
    known: Vec<Known>,
    numbers: HashTable<u32>,
    hasher: RandomState,
    /// A row's code is often that of the row before, or the one that followed it the last time.
    last: u32,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    start: usize,
    bytes: u8,
    /// Written as it stands: no comma or quote in it.
    is_plain: bool,
    first_line: u64,
}

const _: () = assert!(MAX_CODE_BYTES <= u8::MAX as usize);

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
        match self.known.get(self.last as usize) {
            Some(last) if self.bytes(*last) == field => {}
            _ => self.last = self.find(field, line)?,
        }
        Ok(self.last)
    }

    /// The code that `text` begins with and its length, where it is a likely one and a comma or a
    /// quote follows.
    #[inline]
    pub(super) fn expected(&self, text: &[u8]) -> Option<(u32, usize)> {
        let begins = |number: u32| {
            let known = self.known.get(number as usize)?;
            let length = usize::from(known.bytes);
            let ends = matches!(text.get(length), Some(b',' | b'"'));
            (ends && known.is_plain && text[..length] == *self.bytes(*known))
                .then_some((number, length))
        };
        begins(self.last)
            .or_else(|| begins(self.last + 1))
            .or_else(|| begins(0))
    }

    /// Says that a row has this code: it is the likely one for the next.
    #[inline]
    pub(super) fn seen(&mut self, number: u32) {
        self.last = number;
    }

    fn find(&mut self, field: &[u8], line: u64) -> Result<u32, CodeError> {
        let hash = self.hasher.hash_one(field);
        let (text, known) = (self.text.as_bytes(), &self.known);
        let is_field = |number: &u32| bytes(text, known[*number as usize]) == field;
        if let Some(number) = self.numbers.find(hash, is_field) {
            return Ok(*number);
        }
        let code = std::str::from_utf8(field).map_err(|_| CodeError::NotUtf8)?;
        if code.is_empty() {
            return Err(CodeError::Empty);
        }
        let length = u8::try_from(code.len())
            .ok()
            .filter(|_| code.len() <= MAX_CODE_BYTES)
            .ok_or(CodeError::TooLong)?;
        if code.chars().any(char::is_control) {
            return Err(CodeError::ControlCharacter);
        }
        Ok(self.insert(hash, code, length, line))
    }

    fn insert(&mut self, hash: u64, code: &str, length: u8, first_line: u64) -> u32 {
        let number = u32::try_from(self.known.len()).expect("a file has fewer rows");
        self.known.push(Known {
            start: self.text.len(),
            bytes: length,
            is_plain: !code.contains([',', '"']),
            first_line,
        });
        self.text.push_str(code);
        let (text, known, hasher) = (self.text.as_bytes(), &self.known, &self.hasher);
        self.numbers.insert_unique(hash, number, |number| {
            hasher.hash_one(bytes(text, known[*number as usize]))
        });
        number
    }

    /// Takes over the codes of a later part of the file: by their numbers there, their numbers
    /// here.
    pub(super) fn take_over(&mut self, later: &Self) -> Vec<u32> {
        let number = |known: &Known| {
            let field = later.bytes(*known);
            self.number(field, known.first_line).ok()
        };
        // What is a code there is a code here.
        later.known.iter().filter_map(number).collect()
    }

    pub(super) fn get(&self, number: u32) -> &str {
        let known = self.known[number as usize];
        &self.text[known.start..known.start + usize::from(known.bytes)]
    }

    /// All codes by number, to be shared.
    pub(super) fn shared(&self) -> Vec<Arc<str>> {
        self.numbers()
            .map(|number| self.get(number).into())
            .collect()
    }

    /// By number, the place of each code in their order.
    pub(super) fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = self.numbers().collect();
        order.sort_unstable_by(|one, other| self.get(*one).cmp(self.get(*other)));
        let mut ranks = vec![0; order.len()];
        for (rank, number) in (0..).zip(order) {
            ranks[number as usize] = rank;
        }
        ranks
    }

    /// In order.
    pub(super) fn sorted(&self) -> Vec<String> {
        let mut sorted: Vec<String> = self
            .numbers()
            .map(|number| self.get(number).to_owned())
            .collect();
        sorted.sort_unstable();
        sorted
    }

    fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        0..u32::try_from(self.known.len()).unwrap_or(u32::MAX)
    }

    #[inline]
    fn bytes(&self, known: Known) -> &[u8] {
        bytes(self.text.as_bytes(), known)
    }

    /// Notes codes with space around them, and codes that only a computer tells apart.
    pub(super) fn review(&self, column: &str, place: usize, notes: &mut Notes) {
        for (number, known) in self.numbers().zip(&self.known) {
            let (code, line) = (self.get(number), known.first_line);
            if code.trim() != code {
                notes.add("SpaceAroundCode", place, Some(line), || {
                    Finding::new(
                        FindingKind::Warning,
                        "SpaceAroundCode",
                        format!(
                            "the code {:?} begins or ends with a space",
                            excerpt(code.as_bytes())
                        ),
                    )
                    .line(line)
                    .column(column)
                    .value(code.as_bytes())
                    .hint("codes are taken as they stand; remove the space unless the code has it")
                });
            }
        }
        self.look_alikes(column, place, notes);
    }

    fn look_alikes(&self, column: &str, place: usize, notes: &mut Notes) {
        if self.text.is_ascii() {
            return;
        }
        let mut seen: HashMap<String, u32> = HashMap::new();
        for number in self.numbers() {
            let code = self.get(number);
            let first = *seen.entry(appearance(code)).or_insert(number);
            let earlier = self.get(first);
            if first == number || (code.is_ascii() && earlier.is_ascii()) {
                continue;
            }
            let line = self.known[number as usize].first_line;
            let first_line = self.known[first as usize].first_line;
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

#[inline]
fn bytes(text: &[u8], known: Known) -> &[u8] {
    &text[known.start..known.start + usize::from(known.bytes)]
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
