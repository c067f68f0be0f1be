//! Every metric, with what the chart's alerts and dashboard make of it.

use std::collections::BTreeMap;

use serde_json::Value;
use sumsq::metrics::{Described, Metrics, Process};

use crate::page::{holds, table};

const ALERTS: &str = include_str!("../../charts/sumsq/files/alerts.yaml");
/// What the chart writes for `$(leaders)`.
const LEADERS: &str = include_str!("../../charts/sumsq/templates/_alerts.tpl");
const DASHBOARD: &str = include_str!("../../charts/sumsq/files/dashboard.json");

/// Whether a query asks for it; of a histogram, for one of its series.
fn asks_for(query: &str, metric: &Described) -> bool {
    let is_of_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let mut names = query.split(|char| !is_of_name(char));
    let suffixes: &[&str] = match metric.kind {
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    names.any(|name| {
        let mut of_series = suffixes.iter();
        of_series.any(|suffix| name.strip_suffix(suffix) == Some(&*metric.name))
    })
}

/// Alerts and panels, in their order.
fn used_by(metric: &Described) -> String {
    let alerts: Value = serde_yaml::from_str(ALERTS).unwrap();
    let alerts = alerts.as_array().unwrap().iter().filter_map(|alert| {
        let query = alert["expr"].as_str()?.replace("$(leaders)", LEADERS);
        let name = alert["alert"].as_str()?;
        asks_for(&query, metric).then(|| format!("[{name}](runbooks/{name}.md)"))
    });
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let panels = panels.filter_map(|panel| {
        let mut targets = panel["targets"].as_array()?.iter();
        let asked = targets.any(|target| asks_for(target["expr"].as_str().unwrap(), metric));
        asked.then(|| format!("\"{}\"", panel["title"].as_str().unwrap()))
    });
    alerts.chain(panels).collect::<Vec<_>>().join(", ")
}

/// Of a name, by Prometheus' conventions.
fn unit(metric: &Described) -> &'static str {
    let name = metric.name.strip_suffix("_total").unwrap_or(&metric.name);
    let flag = metric.help.contains("1 while") || metric.help.contains("always 1");
    match name {
        name if name.ends_with("timestamp_seconds") => "Unix time, in seconds",
        "process_start_time_seconds" => "Unix time, in seconds",
        name if name.ends_with("_seconds") => "seconds",
        name if name.ends_with("_bytes") => "bytes",
        _ if flag => "0 or 1",
        _ => "a number",
    }
}

fn row(metric: &Described) -> [String; 6] {
    let labels = metric.labels.iter().map(|label| format!("`{label}`"));
    [
        format!("`{}`", metric.name),
        metric.kind.to_owned(),
        labels.collect::<Vec<_>>().join(" "),
        unit(metric).to_owned(),
        metric.help.clone(),
        used_by(metric),
    ]
}

#[test]
fn the_page_has_every_metric() {
    let metrics = Metrics::new().unwrap();
    let rows = |process| {
        let of = metrics.described().iter();
        let of = of.filter(move |metric| metric.process == process);
        let head = [
            "metric",
            "type",
            "labels",
            "unit",
            "what it says",
            "used by",
        ];
        table(head, of.map(row))
    };
    holds(
        "metrics.md",
        &BTreeMap::from([
            ("sumsq controller".to_owned(), rows(Process::Controller)),
            ("sumsq report".to_owned(), rows(Process::Report)),
            ("both".to_owned(), rows(Process::Both)),
        ]),
    );
}

/// What is scraped is what is described: no name that the page does not know, and its type.
#[test]
fn nothing_is_scraped_that_is_not_described() {
    let metrics = Metrics::new().unwrap();
    let scraped = metrics.encode().unwrap();
    let types = scraped
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let mut seen = 0;
    for line in types {
        let (name, kind) = line.split_once(' ').unwrap();
        let known = metrics.described().iter().find(|known| known.name == name);
        assert_eq!(known.map(|known| known.kind), Some(kind), "{name}");
        seen += 1;
    }
    assert!(seen > 10, "{scraped}");
}

/// An alert or a panel that asks for a name that nobody has would never show anything.
#[test]
fn the_chart_asks_for_metrics_that_there_are() {
    let metrics = Metrics::new().unwrap();
    let is_of_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let asked = [ALERTS, LEADERS, DASHBOARD].concat();
    let names = asked.split(|char| !is_of_name(char));
    for name in names.filter(|name| name.starts_with("sumsq_") && *name != "sumsq_") {
        let mut described = metrics.described().iter();
        let known = described.any(|metric| asks_for(name, metric));
        assert!(known, "nobody has {name}");
    }
}
