//! What is registered, and what docs/metrics.md says of it.

use prometheus::core::Collector;
use prometheus::proto::MetricType;
use prometheus::{Error, Registry};

/// Which command's endpoint has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// `sumsq controller`
    Controller,
    /// `sumsq report`
    Report,
    Both,
}

/// One metric, as it is scraped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub name: String,
    /// Prometheus' word: counter, gauge or histogram.
    pub kind: &'static str,
    pub labels: Vec<String>,
    /// A sentence.
    pub help: String,
    pub process: Process,
}

/// Registers, and writes down what it was.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) registry: Registry,
    pub(super) described: Vec<Described>,
}

impl Book {
    /// The metric, registered.
    pub(super) fn keep<C>(&mut self, process: Process, metric: C) -> Result<C, Error>
    where
        C: Collector + Clone + 'static,
    {
        self.add(process, metric.clone())?;
        Ok(metric)
    }

    pub(super) fn add<C>(&mut self, process: Process, metric: C) -> Result<(), Error>
    where
        C: Collector + 'static,
    {
        let families = metric.collect();
        let descriptions = metric.desc().into_iter().map(|desc| {
            let family = families.iter().find(|family| family.name() == desc.fq_name);
            Described {
                name: desc.fq_name.clone(),
                kind: family.map_or("gauge", |family| kind(family.get_field_type())),
                labels: desc.variable_labels.clone(),
                help: desc.help.clone(),
                process,
            }
        });
        self.described.extend(descriptions);
        self.registry.register(Box::new(metric))
    }
}

fn kind(of: MetricType) -> &'static str {
    match of {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::SUMMARY => "summary",
        MetricType::UNTYPED => "untyped",
        MetricType::HISTOGRAM => "histogram",
    }
}
