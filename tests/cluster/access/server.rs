//! A report server of a test's own, and ways to ask it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Method, Request};

use crate::fixture::{DOCUMENT, Site, goal};
use crate::operator::PATIENCE;
use crate::support::kubernetes::{Cluster, Namespace};
use crate::support::process::{Server, ServerCommand, free_port, temporary_folder};

pub const SOURCE: &str = "internal-conversions";
pub const AGENT: &str = "agent-1";

/// A ServiceAccount that may ask who may (Kubernetes' own role for that), and nothing else.
pub async fn reviewer(cluster: &Cluster, namespace: &Namespace) -> PathBuf {
    let account = format!("{namespace}:report");
    let binding = format!("report-{namespace}");
    for args in [
        &["-n", namespace.name(), "create", "serviceaccount", "report"][..],
        &[
            "create",
            "clusterrolebinding",
            &binding,
            "--clusterrole=system:auth-delegator",
            &format!("--serviceaccount={account}"),
        ],
    ] {
        cluster.kubectl(args).await.expect_success();
    }
    cluster
        .service_account_kubeconfig(namespace.name(), "report")
        .await
}

/// Two namespaces with the same data source and agent in them.
pub async fn filled(namespaces: &[&str]) -> Site {
    let site = Site::empty().await;
    let sales = [goal("g-sales", true)];
    for namespace in namespaces {
        let source = site.source(namespace, SOURCE, &sales).await;
        site.import(&source, &sales, DOCUMENT).await;
    }
    site
}

/// `sumsq report` as a process.
pub struct Report {
    pub base: String,
    pub probes: String,
    server: Server,
    // The store is there for as long as somebody reads it.
    _site: Site,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
}

impl Report {
    pub async fn start(kubeconfig: &std::path::Path, site: Site, flags: &[&str]) -> Self {
        let folder = temporary_folder("access");
        let (port, probes) = (free_port(), free_port());
        let server = ServerCommand::new("report", env!("CARGO_BIN_EXE_sumsq"))
            .arg("report")
            .args(flags)
            .env("KUBECONFIG", kubeconfig)
            .env(
                "SUMSQ_STORE",
                format!("sqlite:{}", site.store_path().display()),
            )
            .env("SUMSQ_LISTEN", format!("127.0.0.1:{port}"))
            .env("SUMSQ_PROBE_LISTEN", format!("127.0.0.1:{probes}"))
            // All that there is to be logged: tokens are to be in none of it.
            .env("RUST_LOG", "trace")
            .removes(&folder)
            .start(&folder);
        let report = Self {
            base: format!("http://127.0.0.1:{port}"),
            probes: format!("http://127.0.0.1:{probes}"),
            server,
            _site: site,
        };
        let ready = format!("{}/readyz", report.probes);
        report
            .server
            .ready(PATIENCE, async || {
                ask(&ready, Method::GET, &[], "")
                    .await
                    .is_some_and(|answer| answer.status == 200)
            })
            .await;
        report
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let address = format!("{}{path}", self.base);
        let answer = ask(&address, method, headers, body).await;
        answer.unwrap_or_else(|| panic!("no answer\n{}", self.log()))
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.ask(Method::GET, path, &[("authorization", &bearer)], "")
            .await
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.server.log_path()).unwrap_or_default()
    }

    pub async fn metrics(&self) -> String {
        let address = format!("{}/metrics", self.probes);
        ask(&address, Method::GET, &[], "").await.unwrap().body
    }
}

/// None where nobody answers. Redirects are answers.
pub async fn ask(
    address: &str,
    method: Method,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Answer> {
    let mut request = Request::builder().method(method).uri(address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_empty() {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    let request = request.body(body.to_owned()).unwrap();
    let asked = tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let answer = agent.run(request).ok()?;
        let (parts, mut body) = answer.into_parts();
        Some(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.read_to_string().ok()?,
        })
    });
    asked.await.unwrap()
}
