//! A problem or a warning about a CSV, said so that the person who writes the export can mend it.

use std::fmt;

use serde::Serialize;

/// Values are shown with at most this many characters.
const MAX_VALUE_CHARS: usize = 80;

/// One finding: where it is, what stands there, what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub kind: FindingKind,
    /// A stable CamelCase word for programs, such as `MissingColumn` or `SumOfSquaresTooSmall`.
    pub code: &'static str,
    /// 1 is the header.
    pub line: Option<u64>,
    /// The column's name as in the header.
    pub column: Option<String>,
    /// What stands there, cut to 80 characters and without control characters.
    pub value: Option<String>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What it looks like and what to write instead.
    pub hint: Option<String>,
}

/// What a finding means for the import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum FindingKind {
    /// The file's structure: rejects the whole file.
    Structure,
    /// Impossible whatever the dating: rejects under `onIntegrityProblem: Reject`.
    Always,
    /// Impossible where each visitor stands on one day: "check the dating".
    Dating,
    /// Unusual, not wrong.
    Warning,
}

impl Finding {
    #[must_use]
    pub fn new(kind: FindingKind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            line: None,
            column: None,
            value: None,
            message: message.into(),
            hint: None,
        }
    }

    #[must_use]
    pub fn line(self, line: u64) -> Self {
        Self {
            line: Some(line),
            ..self
        }
    }

    #[must_use]
    pub fn column(self, column: &str) -> Self {
        Self {
            column: Some(excerpt(column.as_bytes())),
            ..self
        }
    }

    #[must_use]
    pub fn value(self, value: &[u8]) -> Self {
        Self {
            value: Some(excerpt(value)),
            ..self
        }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Where it is and what is wrong, in one line, without the hint.
    #[must_use]
    pub fn headline(&self) -> String {
        match (self.line, &self.column) {
            (Some(line), Some(column)) => {
                format!("line {line}, column {column}: {}", self.message)
            }
            (Some(line), None) => format!("line {line}: {}", self.message),
            (None, Some(column)) => format!("column {column}: {}", self.message),
            (None, None) => self.message.clone(),
        }
    }
}

/// The headline and, where there is one, the hint in a second line.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// What stands in a file, fit to be shown: bytes that are not UTF-8 and control characters
/// replaced, and cut to 80 characters.
#[must_use]
pub fn excerpt(bytes: &[u8]) -> String {
    // No character takes more than four bytes, so the rest need not be decoded.
    let head = &bytes[..bytes.len().min(4 * (MAX_VALUE_CHARS + 1))];
    let text = String::from_utf8_lossy(head);
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(MAX_VALUE_CHARS + 1)
        .collect();
    if shown.chars().count() > MAX_VALUE_CHARS {
        shown = shown.chars().take(MAX_VALUE_CHARS - 1).collect();
        shown.push('…');
    }
    shown
}

/// A number as people read it: `1,203`.
#[must_use]
pub fn grouped(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, expected) in [
            (0_u64, "0"),
            (999, "999"),
            (1_203, "1,203"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt(b"12,5"), "12,5");
        assert_eq!(excerpt(b"a\x00b\xff"), "a\u{fffd}b\u{fffd}");
        let long = excerpt("ä".repeat(500).as_bytes());
        assert_eq!((long.chars().count(), long.ends_with("ä…")), (80, true));
    }

    #[test]
    fn a_finding_says_where_what_and_what_to_do() {
        let finding = Finding::new(
            FindingKind::Structure,
            "InvalidNumber",
            "\"x\" is not a number",
        )
        .line(14)
        .column("g-sales_sumsq")
        .hint("write it so");
        assert_eq!(
            finding.to_string(),
            "line 14, column g-sales_sumsq: \"x\" is not a number\n  hint: write it so"
        );
    }
}
