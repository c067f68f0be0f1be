//! What the API server has been asked, by its own count.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use axum::http::Request;
use kube::Client;

/// What is read of the API server by the operator, or by the CronJob controller. Lists and watches are not
/// counted: they are this program's, too.
const RESOURCES: [&str; 7] = [
    "datasources",
    "agents",
    "secrets",
    "events",
    "namespaces",
    // Those of the CronJob controller.
    "cronjobs",
    "jobs",
];

/// What the API server has done.
pub struct Requests {
    /// By verb and resource.
    asked: BTreeMap<String, f64>,
    cpu_seconds: f64,
}

impl Requests {
    /// Since the API server started.
    pub async fn now(client: &Client) -> Result<Self> {
        let request = Request::get("/metrics").body(Vec::new())?;
        let metrics = client.request_text(request).await?;
        let (mut asked, mut cpu_seconds) = (BTreeMap::new(), 0.0);
        for line in metrics.lines() {
            let Some((series, count)) = line.rsplit_once(' ') else {
                continue;
            };
            if series == "process_cpu_seconds_total" {
                cpu_seconds = count.parse()?;
            } else if let Some(kind) = kind(series) {
                *asked.entry(kind).or_insert(0.0) += count.parse::<f64>()?;
            }
        }
        Ok(Self { asked, cpu_seconds })
    }

    pub fn since(mut self, before: &Self) -> Self {
        for (kind, count) in &mut self.asked {
            *count -= before.asked.get(kind).copied().unwrap_or(0.0);
        }
        self.asked.retain(|_, count| *count > 0.0);
        self.cpu_seconds -= before.cpu_seconds;
        self
    }

    /// Of a core, that the API server has taken.
    pub fn cpu_seconds(&self) -> f64 {
        self.cpu_seconds
    }

    pub fn all(&self) -> f64 {
        self.asked.values().sum()
    }

    pub fn writes(&self) -> f64 {
        let writes = self
            .asked
            .iter()
            .filter(|(kind, _)| !kind.starts_with("GET "));
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
    let is_ours = match verb {
        "LIST" | "WATCH" => false,
        "GET" => RESOURCES.contains(&resource),
        // The API server's own, by which it says that it is there. Nobody else elects.
        _ => resource != "leases",
    };
    if !is_ours {
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
            .asked
            .iter()
            .map(|(kind, count)| format!("{kind}: {count}"));
        f.write_str(&kinds.collect::<Vec<_>>().join(", "))
    }
}
