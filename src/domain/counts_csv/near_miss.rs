//! Headers that are almost right: names that mean a column, other delimiters, no header at all.

use super::super::finding::{Finding, FindingKind};
use super::numbers;

/// The names that are matched without regard to case, each with what else exports call it.
const COLUMNS: [(&str, &[&str]); 7] = [
    (
        "Date",
        &[
            "day",
            "dt",
            "ds",
            "time",
            "timestamp",
            "datum",
            "eventdate",
            "dateday",
            "unixtime",
        ],
    ),
    (
        "Agent",
        &[
            "experiment",
            "experimentid",
            "experimentcode",
            "test",
            "testid",
            "campaign",
            "agentcode",
            "agentid",
        ],
    ),
    (
        "Variation",
        &[
            "variant",
            "arm",
            "treatment",
            "bucket",
            "variationcode",
            "variationid",
            "variantid",
            "option",
        ],
    ),
    (
        "Sels",
        &[
            "selections",
            "sel",
            "visitors",
            "visitor",
            "users",
            "exposures",
            "exposed",
            "participants",
            "sessions",
            "subjects",
            "n",
        ],
    ),
    (
        "Trait_Group",
        &["trait", "traitgroups", "group", "segment", "dimension"],
    ),
    (
        "Trait_Value",
        &["traitvalues", "traitcode", "segmentvalue", "dimensionvalue"],
    ),
    ("Policy", &["policies", "selectionpolicy", "policycode"]),
];

/// Letters and digits alone, in lower case.
fn bare(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn is_column(name: &str) -> bool {
    COLUMNS
        .iter()
        .any(|(column, _)| column.eq_ignore_ascii_case(name))
}

/// The name in the header that most likely means `column`, one of the seven.
pub(super) fn of_required<'a>(column: &str, names: &'a [String]) -> Option<&'a str> {
    let (wanted, others) = (
        bare(column),
        COLUMNS.iter().find(|(name, _)| *name == column)?.1,
    );
    let free = || {
        names
            .iter()
            .map(String::as_str)
            .filter(|name| !is_column(name))
    };
    free()
        .find(|name| bare(name) == wanted)
        .or_else(|| free().find(|name| others.contains(&bare(name).as_str())))
        .or_else(|| free().find(|name| is_word_of(&wanted, name)))
        .or_else(|| free().find(|name| is_similar(&wanted, &bare(name))))
}

/// The name that is a goal's column but for case and space around it.
pub(super) fn but_for_case<'a>(column: &str, names: &'a [String]) -> Option<&'a str> {
    let wanted = column.to_lowercase();
    names
        .iter()
        .map(String::as_str)
        .find(|name| *name != column && name.trim().to_lowercase() == wanted)
}

/// The name that most likely means the goal's count.
pub(super) fn of_goal<'a>(code: &str, names: &'a [String]) -> Option<&'a str> {
    let wanted = bare(code);
    let free = || {
        names
            .iter()
            .map(String::as_str)
            .filter(|name| !is_column(name))
    };
    free()
        .find(|name| bare(name) == wanted)
        .or_else(|| free().find(|name| is_similar(&wanted, &bare(name))))
}

/// An unknown column that most likely means one of the optional ones.
pub(super) fn of_optional<'a>(unknown: &[&'a str]) -> Option<(&'a str, &'static str)> {
    ["Trait_Group", "Trait_Value", "Policy"]
        .into_iter()
        .find_map(|column| {
            let wanted = bare(column);
            let near = unknown
                .iter()
                .find(|name| bare(name) == wanted || is_similar(&wanted, &bare(name)))?;
            Some((*near, column))
        })
}

/// `date_day` says Date, `update` does not.
fn is_word_of(wanted: &str, name: &str) -> bool {
    name.split(|c: char| !c.is_alphanumeric())
        .any(|word| word.to_lowercase() == wanted)
}

fn is_similar(wanted: &str, name: &str) -> bool {
    wanted.len() > 3 && strsim::normalized_damerau_levenshtein(wanted, name) >= 0.75
}

/// The problem of a first line that is no header of a comma-separated file at all.
pub(super) fn no_header(names: &[String]) -> Option<Finding> {
    if names.iter().any(|name| is_column(name)) {
        return None;
    }
    let problem = |code, message: &str| Finding::new(FindingKind::Structure, code, message);
    let first = names.first()?;
    if first.trim().to_ascii_lowercase().starts_with("sep=") {
        return Some(
            problem(
                "SeparatorLine",
                "the first line is Excel's sep= line, not the header",
            )
            .hint("remove that line, and separate fields with commas"),
        );
    }
    let line = names.join(",");
    for (delimiter, name) in [(';', "semicolons"), ('\t', "tabs"), ('|', "vertical bars")] {
        if line
            .split(delimiter)
            .filter(|name| is_column(name.trim().trim_matches('"')))
            .count()
            > 1
        {
            return Some(
                problem("WrongDelimiter", &format!("fields are separated by {name}, not commas"))
                    .hint("write commas between fields, a point as the decimal sign, and no thousands separators"),
            );
        }
    }
    if names.len() == 1
        && line
            .split(',')
            .filter(|name| is_column(name.trim()))
            .count()
            > 1
    {
        return Some(
            problem(
                "QuotedLine",
                "the whole header stands in one pair of quotes",
            )
            .hint("quote each field by itself, or none"),
        );
    }
    let data = names.len() > 1
        && names
            .iter()
            .any(|name| numbers::decimal(name.as_bytes()).is_ok());
    data.then(|| {
        problem("NoHeader", "the first line holds data, not column names")
            .hint("begin the file with a header: Date,Agent,Variation,Sels and the goals' columns")
    })
}
