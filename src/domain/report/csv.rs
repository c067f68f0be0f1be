//! Downloads: exactly the view as CSV, header first, numbers unrounded.

use super::view::ActivityReport;

/// One row per row and group of the report.
#[must_use]
pub fn activity_csv(report: &ActivityReport) -> String {
    let header = [
        "namespace",
        "dataSource",
        "agent",
        "goal",
        "policy",
        "traitGroup",
        "traitValue",
        "groupBy",
        "per",
        "cumulative",
        "from",
        "to",
        "complete",
        "group",
        "visitors",
        "conversions",
        "value",
        "rate",
        "valuePerVisitor",
    ];
    let pairs = report.query_pairs();
    let parameter = |name: &str| {
        let pair = pairs.iter().find(|(known, _)| *known == name);
        pair.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let rows = report.rows.iter().flat_map(|row| {
        let parameter = &parameter;
        row.cells.iter().map(move |cell| {
            [
                report.namespace.clone(),
                report.data_source.clone(),
                report.agent.clone(),
                report.goal.clone(),
                report.policy.clone(),
                text(report.trait_group.as_ref()),
                text(report.trait_value.as_ref()),
                parameter("groupBy"),
                parameter("per"),
                report.cumulative.to_string(),
                row.from.to_string(),
                row.to.to_string(),
                row.complete.to_string(),
                cell.group.clone(),
                cell.visitors.to_string(),
                text(cell.conversions),
                text(cell.value),
                text(cell.rate),
                text(cell.value_per_visitor),
            ]
        })
    });
    table(&header, rows)
}

/// Empty for what is null.
fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn table<const N: usize>(header: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let mut written = writer.write_record(header);
    for row in rows {
        written = written.and_then(|()| writer.write_record(&row));
    }
    // A vector takes every byte, and each row has the header's length.
    debug_assert!(written.is_ok());
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
