//! What a field that is no number looks like, and what to write instead.

use super::super::finding::grouped;
use super::numbers::{self, NumberError};

/// The number that a column needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    Whole { most: u128 },
    Decimal,
}

/// Words for a field that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Explained {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) hint: String,
}

/// What is wrong with `shown`, the field as it is shown to people.
pub(super) fn explain(shown: &str, error: NumberError, needed: Needed) -> Explained {
    let is_whole = matches!(needed, Needed::Whole { .. });
    match error {
        NumberError::NotANumber if shown.is_empty() => Explained {
            code: "EmptyNumber",
            message: "the field is empty".into(),
            hint: "write 0 where there was nothing to count; in SQL, COALESCE(x, 0)".into(),
        },
        NumberError::NotANumber => Explained {
            code: "InvalidNumber",
            message: format!(
                "{shown:?} is not a {}number",
                if is_whole { "whole " } else { "" }
            ),
            hint: looks_like(shown, is_whole),
        },
        NumberError::Negative => Explained {
            code: "NegativeCount",
            message: format!("{shown:?} is negative"),
            hint: "write a whole number of at least 0; refunds belong in the goal's _val column, \
                   with allowNegative: true in the data source"
                .into(),
        },
        NumberError::Fraction => Explained {
            code: "FractionalCount",
            message: format!("{shown:?} is not a whole number"),
            hint: "write the count itself: an average, a rate, or a count that was sampled or \
                   weighted is none"
                .into(),
        },
        NumberError::TooLarge => Explained {
            code: "NumberTooLarge",
            message: match needed {
                Needed::Whole { most } => {
                    format!(
                        "{shown:?} is more than {}, the most that is read",
                        power_of_ten(most)
                    )
                }
                Needed::Decimal => {
                    format!("{shown:?} does not lie between -1e24 and 1e24, the most that is read")
                }
            },
            hint: if is_whole {
                "check the query for a join that repeats rows, and for an identifier or a time in \
                 the place of a count"
                    .into()
            } else {
                "write the value in a larger unit, such as thousands".into()
            },
        },
    }
}

/// `1e15`, or the number itself where it is no power of ten.
fn power_of_ten(number: u128) -> String {
    let digits = number.to_string();
    match digits.strip_prefix('1') {
        Some(zeros) if zeros.bytes().all(|zero| zero == b'0') => format!("1e{}", zeros.len()),
        _ => grouped(number),
    }
}

fn looks_like(shown: &str, is_whole: bool) -> String {
    let trimmed = shown.trim();
    let lower = trimmed.to_lowercase();
    if matches!(
        lower.as_str(),
        "nan"
            | "null"
            | "none"
            | "nil"
            | "na"
            | "n/a"
            | "\\n"
            | "-"
            | "#n/a"
            | "undefined"
            | "<na>"
    ) {
        return "a missing value: write 0 where there was nothing to count; in SQL, COALESCE(x, 0)"
            .into();
    }
    if matches!(lower.trim_start_matches(['-', '+']), "inf" | "infinity") || lower.starts_with('#')
    {
        return "the result of a division by zero or of a failed formula: write the sum itself"
            .into();
    }
    if matches!(lower.as_str(), "true" | "false") {
        return "a yes or no: write how many events there were, 1 or 0".into();
    }
    if trimmed != shown && readable(trimmed, is_whole) {
        return format!("write it without the space around it: {trimmed}");
    }
    if trimmed.ends_with('%') {
        return "a percentage: write the count or the sum itself, not a rate".into();
    }
    spelled_otherwise(trimmed, is_whole).unwrap_or_else(|| {
        let example = if is_whole {
            "digits only, such as 1234"
        } else {
            "a number such as 1234.56"
        };
        format!("write {example}")
    })
}

/// A number that is readable once its decoration is gone.
fn spelled_otherwise(text: &str, is_whole: bool) -> Option<String> {
    let plain: String = text
        .chars()
        .filter(|c| !is_currency(*c) && !matches!(c, '"' | '\'' | '=' | '’'))
        .collect();
    let plain = plain.trim().replace(['−', '‐', '‑', '–'], "-");
    let plain = plain
        .trim_matches(|c: char| c.is_alphabetic() || c.is_whitespace())
        .to_owned();
    let joined: String = plain
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '_')
        .collect();
    if readable(&joined, is_whole) && joined != text {
        let what = if text.chars().any(is_currency) || text.chars().any(char::is_alphabetic) {
            "write the number alone, without a currency or a unit"
        } else if text.contains(['−', '‐', '‑', '–']) {
            "the minus sign is not the ASCII one (-): write"
        } else if text.contains(['"', '=']) {
            "a formula or quotes within the field: write"
        } else {
            "thousands separators: write"
        };
        let colon = if what.ends_with("write") { "" } else { ":" };
        return Some(format!("{what}{colon} {joined}"));
    }
    with_commas(&joined, is_whole)
}

/// Commas as thousands separators or as the decimal sign.
fn with_commas(text: &str, is_whole: bool) -> Option<String> {
    let unsigned = text.trim_start_matches(['-', '+']);
    let commas = text.matches(',').count();
    if commas == 0 {
        let joined = text.replace('.', "");
        return (by_threes(unsigned, '.') && readable(&joined, is_whole))
            .then(|| format!("thousands separators: write {joined}"));
    }
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let as_thousands = text.replace(',', "");
    let as_decimal = text.replace('.', "").replace(',', ".");
    if by_threes(whole, ',') && !fraction.contains(',') && readable(&as_thousands, is_whole) {
        if is_whole || commas > 1 || text.contains('.') {
            return Some(format!("thousands separators: write {as_thousands}"));
        }
        return Some(format!(
            "write {as_decimal} where the comma is the decimal sign, {as_thousands} where it \
             separates thousands"
        ));
    }
    if !readable(&as_decimal, false) {
        return None;
    }
    Some(if is_whole {
        "a decimal comma: write the count itself, which has no fraction".into()
    } else {
        format!("a decimal comma: write {as_decimal}")
    })
}

/// Groups of three digits after the first.
fn by_threes(whole: &str, separator: char) -> bool {
    whole.contains(separator) && whole.split(separator).skip(1).all(|group| group.len() == 3)
}

fn readable(text: &str, is_whole: bool) -> bool {
    if is_whole {
        numbers::whole(text.as_bytes(), u128::MAX).is_ok()
    } else {
        numbers::decimal(text.as_bytes()).is_ok()
    }
}

fn is_currency(c: char) -> bool {
    matches!(
        c,
        '$' | '¢' | '£' | '¥' | '₩' | '€' | '₹' | '₽' | '₺' | '฿' | '₫' | '₪' | '¤'
    )
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn explained(text: &str, needed: Needed) -> String {
        let error = match needed {
            Needed::Whole { most } => numbers::whole(text.as_bytes(), most).err(),
            Needed::Decimal => numbers::decimal(text.as_bytes()).err(),
        };
        let said = explain(text, error.unwrap(), needed);
        format!("{}: {} | {}", said.code, said.message, said.hint)
    }

    #[test]
    fn counts() {
        let mut said = String::new();
        for text in [
            "",
            "NaN",
            "NULL",
            "None",
            "\\N",
            "inf",
            "#DIV/0!",
            "true",
            " 10",
            "12%",
            "1,234",
            "1 234",
            "1\u{a0}234",
            "1'234",
            "1.234.567",
            "1_000",
            "10.5",
            "12,5",
            "-3",
            "−3",
            "$12",
            "12 visitors",
            "=\"12\"",
            "1000000000000001",
            "1e400",
            "ten",
            "２",
        ] {
            writeln!(
                said,
                "{}",
                explained(
                    text,
                    Needed::Whole {
                        most: 1_000_000_000_000_000
                    }
                )
            )
            .unwrap();
        }
        insta::assert_snapshot!(said, @r##"
    EmptyNumber: the field is empty | write 0 where there was nothing to count; in SQL, COALESCE(x, 0)
    InvalidNumber: "NaN" is not a whole number | a missing value: write 0 where there was nothing to count; in SQL, COALESCE(x, 0)
    InvalidNumber: "NULL" is not a whole number | a missing value: write 0 where there was nothing to count; in SQL, COALESCE(x, 0)
    InvalidNumber: "None" is not a whole number | a missing value: write 0 where there was nothing to count; in SQL, COALESCE(x, 0)
    InvalidNumber: "\\N" is not a whole number | a missing value: write 0 where there was nothing to count; in SQL, COALESCE(x, 0)
    InvalidNumber: "inf" is not a whole number | the result of a division by zero or of a failed formula: write the sum itself
    InvalidNumber: "#DIV/0!" is not a whole number | the result of a division by zero or of a failed formula: write the sum itself
    InvalidNumber: "true" is not a whole number | a yes or no: write how many events there were, 1 or 0
    InvalidNumber: " 10" is not a whole number | write it without the space around it: 10
    InvalidNumber: "12%" is not a whole number | a percentage: write the count or the sum itself, not a rate
    InvalidNumber: "1,234" is not a whole number | thousands separators: write 1234
    InvalidNumber: "1 234" is not a whole number | thousands separators: write 1234
    InvalidNumber: "1\u{a0}234" is not a whole number | thousands separators: write 1234
    InvalidNumber: "1'234" is not a whole number | thousands separators: write 1234
    InvalidNumber: "1.234.567" is not a whole number | thousands separators: write 1234567
    InvalidNumber: "1_000" is not a whole number | thousands separators: write 1000
    FractionalCount: "10.5" is not a whole number | write the count itself: an average, a rate, or a count that was sampled or weighted is none
    InvalidNumber: "12,5" is not a whole number | a decimal comma: write the count itself, which has no fraction
    NegativeCount: "-3" is negative | write a whole number of at least 0; refunds belong in the goal's _val column, with allowNegative: true in the data source
    InvalidNumber: "−3" is not a whole number | write digits only, such as 1234
    InvalidNumber: "$12" is not a whole number | write the number alone, without a currency or a unit: 12
    InvalidNumber: "12 visitors" is not a whole number | write the number alone, without a currency or a unit: 12
    InvalidNumber: "=\"12\"" is not a whole number | a formula or quotes within the field: write 12
    NumberTooLarge: "1000000000000001" is more than 1e15, the most that is read | check the query for a join that repeats rows, and for an identifier or a time in the place of a count
    NumberTooLarge: "1e400" is more than 1e15, the most that is read | check the query for a join that repeats rows, and for an identifier or a time in the place of a count
    InvalidNumber: "ten" is not a whole number | write digits only, such as 1234
    InvalidNumber: "２" is not a whole number | write digits only, such as 1234
    "##);
    }

    #[test]
    fn values() {
        let mut said = String::new();
        for text in [
            "",
            "nan",
            "-inf",
            "12,5",
            "1,234",
            "1,234.56",
            "1.234,56",
            "1 234.56",
            "$12.50",
            "12.50 EUR",
            "€-12.50",
            "1.2.3",
            "1e400",
            "12.5%",
            "abc",
        ] {
            writeln!(said, "{}", explained(text, Needed::Decimal)).unwrap();
        }
        insta::assert_snapshot!(said, @r##"
    EmptyNumber: the field is empty | write 0 where there was nothing to count; in SQL, COALESCE(x, 0)
    InvalidNumber: "nan" is not a number | a missing value: write 0 where there was nothing to count; in SQL, COALESCE(x, 0)
    InvalidNumber: "-inf" is not a number | the result of a division by zero or of a failed formula: write the sum itself
    InvalidNumber: "12,5" is not a number | a decimal comma: write 12.5
    InvalidNumber: "1,234" is not a number | write 1.234 where the comma is the decimal sign, 1234 where it separates thousands
    InvalidNumber: "1,234.56" is not a number | thousands separators: write 1234.56
    InvalidNumber: "1.234,56" is not a number | a decimal comma: write 1234.56
    InvalidNumber: "1 234.56" is not a number | thousands separators: write 1234.56
    InvalidNumber: "$12.50" is not a number | write the number alone, without a currency or a unit: 12.50
    InvalidNumber: "12.50 EUR" is not a number | write the number alone, without a currency or a unit: 12.50
    InvalidNumber: "€-12.50" is not a number | write the number alone, without a currency or a unit: -12.50
    InvalidNumber: "1.2.3" is not a number | write a number such as 1234.56
    NumberTooLarge: "1e400" does not lie between -1e24 and 1e24, the most that is read | write the value in a larger unit, such as thousands
    InvalidNumber: "12.5%" is not a number | a percentage: write the count or the sum itself, not a rate
    InvalidNumber: "abc" is not a number | write a number such as 1234.56
    "##);
    }
}
