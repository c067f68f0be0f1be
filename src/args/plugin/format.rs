//! How an answer is printed (`-o`): what each command knows.

use clap::ValueEnum;

/// Of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    Wide,
    Json,
    Yaml,
    Name,
}

/// Of a table about one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WideFormat {
    Wide,
    Json,
    Yaml,
}

/// Of objects that were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ObjectFormat {
    Json,
    Yaml,
    Name,
}

/// Of what is told in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DetailFormat {
    Json,
    Yaml,
}

/// Of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// As the report server sends it.
    Json,
    /// A row per comparison.
    Csv,
}
