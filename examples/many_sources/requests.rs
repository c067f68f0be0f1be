//! What the API server has been asked, by its own count.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use axum::http::Request;
use kube::Client;

/// The operator's. Lists and watches are not counted: they are this program's, too.
const RESOURCES: [&str; 5] = ["datasources", "agents", "secrets", "events", "namespaces"];

/// Requests by verb and resource.
pub struct Requests(BTreeMap<String, f64>);

impl Requests {
    /// Since the API server started.
    pub async fn now(client: &Client) -> Result<Self> {
        let request = Request::get("/metrics").body(Vec::new())?;
        let metrics = client.request_text(request).await?;
        let mut requests = BTreeMap::new();
        for line in metrics.lines() {
            let Some((series, count)) = line.rsplit_once(' ') else {
                continue;
            };
            if let Some(kind) = kind(series) {
                *requests.entry(kind).or_insert(0.0) += count.parse::<f64>()?;
            }
        }
        Ok(Self(requests))
    }

    pub fn since(mut self, before: &Self) -> Self {
        for (kind, count) in &mut self.0 {
            *count -= before.0.get(kind).copied().unwrap_or(0.0);
        }
        self.0.retain(|_, count| *count > 0.0);
        self
    }

    pub fn writes(&self) -> f64 {
        let writes = self.0.iter().filter(|(kind, _)| !kind.starts_with("GET "));
        writes.fold(0.0, |sum, (_, count)| sum + count)
    }
}

/// `APPLY datasources/status`; None for what does not count.
fn kind(series: &str) -> Option<String> {
    let labels = series.strip_prefix("apiserver_request_total{")?;
    let label = |name: &str| {
        let start = labels.find(&format!("{name}=\""))? + name.len() + 2;
        labels[start..].split('"').next()
    };
    let (verb, resource) = (label("verb")?, label("resource")?);
    if !RESOURCES.contains(&resource) || matches!(verb, "LIST" | "WATCH") {
        return None;
    }
    Some(match label("subresource").filter(|name| !name.is_empty()) {
        Some(subresource) => format!("{verb} {resource}/{subresource}"),
        None => format!("{verb} {resource}"),
    })
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self
            .0
            .iter()
            .map(|(kind, count)| format!("{kind}: {count}"));
        f.write_str(&kinds.collect::<Vec<_>>().join(", "))
    }
}
