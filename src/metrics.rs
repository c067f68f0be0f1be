//! Every metric, registered once.
//!
//! Labels come from closed lists (trigger, result, error code, reason) plus the namespace and name
//! of a data source or an Agent, whose series end with the object.

mod described;
mod sources;

use std::time::Duration;

use jiff::Timestamp;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use self::described::Book;
use self::sources::Sources;

use crate::domain::agent_status::TrustReason;
use crate::domain::data_source::SourceKey;
use crate::domain::fetch::{ErrorCode, Outcome, Trigger};
use crate::domain::shard::Shard;

pub use self::described::{Described, Process};

/// The counters, gauges and histograms of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    described: Vec<Described>,
    sources: Sources,
    fetch_duration: HistogramVec,
    agent_trustworthy: IntGaugeVec,
    leader: IntGaugeVec,
    fenced_fetches: IntCounter,
    reconcile_duration: Histogram,
    reconcile_errors: IntCounter,
    status_writes: IntCounter,
    access_reviews: IntCounterVec,
    tls_reads: IntCounterVec,
    tls_stale: IntGauge,
    report_serving: IntGaugeVec,
    http_requests: IntCounterVec,
    http_duration: HistogramVec,
    /// Fetches that wait for a worker.
    pub queue_depth: IntGauge,
    /// Fetches under way.
    pub fetches_in_flight: IntGauge,
}

/// What a data source's gauges say at rest.
#[derive(Debug, Clone, Copy)]
pub struct SourceGauges {
    pub agents: u64,
    pub last_success: Option<Timestamp>,
    pub next_fetch: Option<Timestamp>,
    /// The first slot after the last success, or after the creation; None where no slot fires.
    pub success_due: Option<Timestamp>,
    pub missed_fetches: u64,
    /// Of the newest imported file.
    pub rows: Option<u64>,
    pub object_bytes: Option<u64>,
    pub suspended: bool,
    pub stalled: bool,
    pub ready: bool,
    /// The class of the error with which the newest fetch has failed, from a closed list.
    pub failing: Option<&'static str>,
}

impl Metrics {
    /// # Errors
    /// A name that is registered twice or malformed: a bug.
    #[allow(
        clippy::too_many_lines,
        reason = "one list of all metrics, each with its sentence"
    )]
    pub fn new() -> Result<Self, prometheus::Error> {
        use Process::{Both, Controller, Report};
        let mut book = Book::default();
        book.add(Both, ProcessCollector::for_self())?;
        let info = IntGaugeVec::new(
            Opts::new("sumsq_build_info", "The running version; always 1."),
            &["version", "commit"],
        )?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION"), env!("SUMSQ_COMMIT")])
            .set(1);
        book.keep(Both, info)?;
        book.described.extend(sources::described());
        Ok(Self {
            fetch_duration: book.keep(
                Controller,
                HistogramVec::new(
                    HistogramOpts::new(
                        "sumsq_fetch_duration_seconds",
                        "From the request to the commit.",
                    )
                    .buckets(vec![
                        0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
                    ]),
                    &["result"],
                )?,
            )?,
            queue_depth: book.keep(
                Controller,
                IntGauge::new("sumsq_fetch_queue_depth", "Fetches that wait for a worker.")?,
            )?,
            fetches_in_flight: book.keep(
                Controller,
                IntGauge::new("sumsq_fetches_in_flight", "Fetches under way.")?,
            )?,
            agent_trustworthy: book.keep(
                Controller,
                IntGaugeVec::new(
                    Opts::new(
                        "sumsq_agent_trustworthy",
                        "1 while the reports of an Agent can be trusted, 0 while the reason keeps \
                         a reader from believing them; absent while nothing is known.",
                    ),
                    &["namespace", "agent", "reason"],
                )?,
            )?,
            leader: book.keep(
                Controller,
                IntGaugeVec::new(
                    Opts::new(
                        "sumsq_leader",
                        "1 while this replica does the work of its shard, 0 while it stands by.",
                    ),
                    &["shard"],
                )?,
            )?,
            fenced_fetches: book.keep(
                Controller,
                IntCounter::new(
                    "sumsq_fenced_fetches_total",
                    "Fetches that were refused since another replica had taken their source.",
                )?,
            )?,
            reconcile_duration: book.keep(
                Controller,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "sumsq_reconcile_duration_seconds",
                        "One look at one data source (without its fetch) or Agent.",
                    )
                    .buckets(vec![0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0]),
                )?,
            )?,
            reconcile_errors: book.keep(
                Controller,
                IntCounter::new(
                    "sumsq_reconcile_errors_total",
                    "Looks at a data source or Agent that failed and are tried again.",
                )?,
            )?,
            status_writes: book.keep(
                Controller,
                IntCounter::new(
                    "sumsq_status_writes_total",
                    "Writes to a status subresource.",
                )?,
            )?,
            http_requests: book.keep(
                Report,
                IntCounterVec::new(
                    Opts::new(
                        "sumsq_http_requests_total",
                        "Requests that were answered, by the route's template.",
                    ),
                    &["route", "method", "status"],
                )?,
            )?,
            // Of no label, so that a process that serves no reports has no such series.
            report_serving: book.keep(
                Report,
                IntGaugeVec::new(
                    Opts::new(
                        "sumsq_report_serving",
                        "1 while the report server has the store open, 0 before that.",
                    ),
                    &[],
                )?,
            )?,
            http_duration: book.keep(
                Report,
                HistogramVec::new(
                    HistogramOpts::new(
                        "sumsq_http_request_duration_seconds",
                        "From the request's head to the answer's.",
                    )
                    .buckets(vec![
                        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
                    ]),
                    &["route"],
                )?,
            )?,
            access_reviews: book.keep(
                Report,
                IntCounterVec::new(
                    Opts::new(
                        "sumsq_access_reviews_total",
                        "Questions to the Kubernetes API server: whose a token is, and who has a \
                         right.",
                    ),
                    &["question", "answer"],
                )?,
            )?,
            tls_reads: book.keep(
                Report,
                IntCounterVec::new(
                    Opts::new(
                        "sumsq_tls_reads_total",
                        "Certificates that were found changed, and taken or found to be of no use.",
                    ),
                    &["result"],
                )?,
            )?,
            tls_stale: book.keep(
                Report,
                IntGauge::new(
                    "sumsq_tls_certificate_stale",
                    "1 while an earlier certificate is served, since the one in the file is of no use.",
                )?,
            )?,
            registry: book.registry,
            described: book.described,
            sources: Sources::default(),
        })
    }

    /// What there is to scrape, whether it has a value yet or not.
    #[must_use]
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// In Prometheus' text format.
    ///
    /// # Errors
    /// A metric that cannot be encoded: a bug.
    pub fn encode(&self) -> Result<String, prometheus::Error> {
        let mut text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        self.sources.encode(&mut text);
        Ok(text)
    }

    /// Whether this process does the work of its shard.
    pub fn leads(&self, shard: Shard, leads: bool) {
        self.leader
            .with_label_values(&[&shard.to_string()])
            .set(i64::from(leads));
    }

    /// A fetch was refused since another replica has its source.
    pub fn fenced(&self) {
        self.fenced_fetches.inc();
    }

    /// One fetch has ended.
    pub fn fetch_ended(
        &self,
        source: &SourceKey,
        trigger: Trigger,
        outcome: &Outcome,
        took: Duration,
    ) {
        self.sources.fetch_ended(source, trigger, outcome);
        self.fetch_duration
            .with_label_values(&[outcome.as_str()])
            .observe(took.as_secs_f64());
    }

    /// What is known of a data source after a look at it.
    pub fn observed(&self, source: &SourceKey, seen: SourceGauges) {
        self.sources.observed(source, seen);
    }

    /// The store takes nothing of a data source, not even that.
    pub fn unstored(&self, source: &SourceKey, class: ErrorCode) {
        self.sources.failed(source, class);
    }

    /// The object is gone: so are its series.
    pub fn forget(&self, source: &SourceKey) {
        self.sources.forget(source);
    }

    /// Whether the reports of the Agent `name` can be trusted. One series at most: the reason is
    /// what it is now.
    pub fn agent_judged(&self, namespace: &str, name: &str, now: TrustReason) {
        for reason in TrustReason::ALL {
            let labels = [namespace, name, reason.as_str()];
            match reason.is_trustworthy() {
                Some(trustworthy) if *reason == now => self
                    .agent_trustworthy
                    .with_label_values(&labels)
                    .set(i64::from(trustworthy)),
                _ => drop(self.agent_trustworthy.remove_label_values(&labels)),
            }
        }
    }

    /// The Agent is gone: so is its series.
    pub fn forget_agent(&self, namespace: &str, name: &str) {
        for reason in TrustReason::ALL {
            let labels = [namespace, name, reason.as_str()];
            drop(self.agent_trustworthy.remove_label_values(&labels));
        }
    }

    /// One look at one object, which took so long.
    pub fn reconciled(&self, took: Duration, succeeded: bool) {
        self.reconcile_duration.observe(took.as_secs_f64());
        if !succeeded {
            self.reconcile_errors.inc();
        }
    }

    /// Whether this process, a report server, has the store open.
    pub fn report_is_serving(&self, serving: bool) {
        let none: [&str; 0] = [];
        let series = self.report_serving.with_label_values(&none);
        series.set(i64::from(serving));
    }

    /// One request was answered. `route` is a template, never an address.
    pub fn request_ended(&self, route: &str, method: &str, status: u16, took: Duration) {
        let method = match method {
            "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" => method,
            _ => "other",
        };
        self.http_requests
            .with_label_values(&[route, method, &status.to_string()])
            .inc();
        self.http_duration
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }

    /// The API server was asked `question` (token or right), and its answer (yes, no or error).
    pub fn access_reviewed(&self, question: &str, answer: &str) {
        self.access_reviews
            .with_label_values(&[question, answer])
            .inc();
    }

    /// A changed certificate was read, and could be used or not.
    pub fn certificate_read(&self, usable: bool) {
        let result = if usable { "taken" } else { "refused" };
        self.tls_reads.with_label_values(&[result]).inc();
        self.certificate_is_current(usable);
    }

    /// Whether the certificate that is served is the one in its file.
    pub fn certificate_is_current(&self, current: bool) {
        self.tls_stale.set(i64::from(!current));
    }

    pub fn status_written(&self) {
        self.status_writes.inc();
    }
}

#[cfg(test)]
mod tests;
