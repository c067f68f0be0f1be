//! A problem or a warning about a CSV, said so that the person who writes the export can mend it.

use serde::Serialize;

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

impl std::fmt::Display for Finding { fn fmt(&self,f:&mut std::fmt::Formatter<'_>)->std::fmt::Result{ f.write_str(&self.message)} }
