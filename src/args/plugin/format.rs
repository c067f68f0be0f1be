//! How an answer is printed (`-o`): the same words for every command, and CSV for a report.

use clap::ValueEnum;

/// Of what is about objects of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    // More columns, where there are more. (No help text: kubectl's own formats have none.)
    Wide,
    Json,
    Yaml,
    // Resource and name alone.
    Name,
}

/// Of what is about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// For people, as with no -o.
    #[value(alias = "text")]
    Wide,
    Json,
    Yaml,
}

/// Of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people, as with no -o.
    Wide,
    /// As the report server sends it.
    Json,
    /// The same.
    Yaml,
    /// A row per comparison.
    Csv,
}
