//! The series of data sources. There may be ten thousand of those, with a dozen series each: what is
//! kept of one is a few numbers, and they become series as text while they are read: as the crate's
//! own values they would take more than all the rest of a source does.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Described, Process, SourceGauges};
use crate::domain::data_source::SourceKey;
use crate::domain::fetch::{ErrorCode, Import, Outcome, Trigger};

/// About so many: room is made once, not by doubling.
const BYTES_OF_A_SERIES: usize = 80;

#[derive(Debug, Default)]
pub(super) struct Sources(Mutex<BTreeMap<SourceKey, Source>>);

/// What is known of one.
#[derive(Debug, Default)]
struct Source {
    seen: Option<SourceGauges>,
    failing: Option<&'static str>,
    rows: Option<u64>,
    object_bytes: Option<u64>,
    changed_agent_days: Option<u64>,
    /// By what started them and what came of them.
    fetches: Vec<((Trigger, &'static str), u64)>,
    errors: Vec<(ErrorCode, u64)>,
}

impl Sources {
    pub(super) fn fetch_ended(&self, key: &SourceKey, trigger: Trigger, outcome: &Outcome) {
        self.change(key, |source| {
            count(&mut source.fetches, (trigger, outcome.as_str()));
            match outcome {
                Outcome::Imported(import) => source.imported(import),
                Outcome::NotModified => {}
                Outcome::Failed(error) => count(&mut source.errors, error.class),
            }
        });
    }

    pub(super) fn observed(&self, key: &SourceKey, seen: SourceGauges) {
        self.change(key, |source| {
            source.rows = seen.rows.or(source.rows);
            source.object_bytes = seen.object_bytes.or(source.object_bytes);
            source.failing = seen.failing;
            source.seen = Some(seen);
        });
    }

    pub(super) fn failed(&self, key: &SourceKey, class: ErrorCode) {
        self.change(key, |source| source.failing = Some(class.as_str()));
    }

    pub(super) fn forget(&self, key: &SourceKey) {
        self.lock().remove(key);
    }

    /// In Prometheus' text format, after what is in `text`.
    pub(super) fn encode(&self, text: &mut String) {
        let held = self.lock();
        text.reserve(held.len() * FAMILIES.len() * BYTES_OF_A_SERIES);
        for family in FAMILIES {
            family.encode(&held, text);
        }
    }

    fn change(&self, key: &SourceKey, change: impl FnOnce(&mut Source)) {
        let mut held = self.lock();
        match held.get_mut(key) {
            Some(source) => change(source),
            None => change(held.entry(key.clone()).or_default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SourceKey, Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn imported(&mut self, import: &Import) {
        self.object_bytes = Some(import.bytes);
        self.rows = Some(import.rows);
        let earlier = self.changed_agent_days.unwrap_or(0);
        self.changed_agent_days = Some(earlier + import.changed_agent_days);
    }

    fn seen<T>(&self, value: impl FnOnce(&SourceGauges) -> Option<T>) -> Option<T> {
        self.seen.as_ref().and_then(value)
    }
}

fn count<K: PartialEq>(counts: &mut Vec<(K, u64)>, of: K) {
    match counts.iter_mut().find(|(known, _)| *known == of) {
        Some((_, count)) => *count += 1,
        None => counts.push((of, 1)),
    }
}

/// The series of one name.
struct Family {
    name: &'static str,
    help: &'static str,
    of: Of,
}

/// Values of a family's further labels, each with its count.
type Counts<'s> = Vec<(Vec<&'s str>, u64)>;

/// What a source has of a family.
enum Of {
    Gauge(fn(&Source) -> Option<f64>),
    /// 1, with this label besides the source's.
    Gauges(&'static str, fn(&Source) -> Option<&'static str>),
    Counter(fn(&Source) -> Option<f64>),
    /// With these labels besides the source's.
    Counters(&'static [&'static str], fn(&Source) -> Counts<'_>),
}

const FAMILIES: &[Family] = &[
    Family {
        name: "sumsq_fetches_total",
        help: "Fetches that ended, by what started them and what came of them.",
        of: Of::Counters(&["trigger", "result"], |source| {
            let fetches = source.fetches.iter();
            fetches
                .map(|((trigger, result), count)| (vec![trigger.as_str(), *result], *count))
                .collect()
        }),
    },
    Family {
        name: "sumsq_fetch_errors_total",
        help: "Fetches that failed, by error code.",
        of: Of::Counters(&["code"], |source| {
            let errors = source.errors.iter();
            errors
                .map(|(code, count)| (vec![code.as_str()], *count))
                .collect()
        }),
    },
    Family {
        name: "sumsq_agent_day_changes_total",
        help: "Agent days whose content a fetch changed.",
        of: Of::Counter(|source| source.changed_agent_days.map(number)),
    },
    Family {
        name: "sumsq_object_bytes",
        help: "Size of the newest imported file, decompressed.",
        of: Of::Gauge(|source| source.object_bytes.map(number)),
    },
    Family {
        name: "sumsq_rows",
        help: "Data rows of the newest imported file.",
        of: Of::Gauge(|source| source.rows.map(number)),
    },
    Family {
        name: "sumsq_agents",
        help: "Agents that the store holds.",
        of: Of::Gauge(|source| source.seen(|seen| Some(number(seen.agents)))),
    },
    Family {
        name: "sumsq_last_success_timestamp_seconds",
        help: "When a fetch last succeeded.",
        of: Of::Gauge(|source| source.seen(|seen| seen.last_success.map(seconds))),
    },
    Family {
        name: "sumsq_next_fetch_timestamp_seconds",
        help: "When the next fetch is due, with jitter; absent where none is.",
        of: Of::Gauge(|source| source.seen(|seen| seen.next_fetch.map(seconds))),
    },
    Family {
        name: "sumsq_success_due_timestamp_seconds",
        help: "The first slot of the schedule after the last success, or after the creation; absent where no slot fires.",
        of: Of::Gauge(|source| source.seen(|seen| seen.success_due.map(seconds))),
    },
    Family {
        name: "sumsq_missed_fetches",
        help: "Slots of the schedule that were skipped since the object was created.",
        of: Of::Gauge(|source| source.seen(|seen| Some(number(seen.missed_fetches)))),
    },
    Family {
        name: "sumsq_suspended",
        help: "1 while the data source is suspended.",
        of: Of::Gauge(|source| source.seen(|seen| Some(flag(seen.suspended)))),
    },
    Family {
        name: "sumsq_stalled",
        help: "1 while only a change of the spec helps (schedule or time zone).",
        of: Of::Gauge(|source| source.seen(|seen| Some(flag(seen.stalled)))),
    },
    Family {
        name: "sumsq_ready",
        help: "1 while the newest fetch succeeded.",
        of: Of::Gauge(|source| source.seen(|seen| Some(flag(seen.ready)))),
    },
    Family {
        name: "sumsq_failing",
        help: "1 while the newest fetch has failed, by error code; absent otherwise.",
        of: Of::Gauges("code", |source| source.failing),
    },
];

/// What the reference says of these.
pub(super) fn described() -> impl Iterator<Item = Described> {
    FAMILIES.iter().map(|family| {
        let more: &[&str] = match &family.of {
            Of::Gauge(_) | Of::Counter(_) => &[],
            Of::Gauges(label, _) => std::slice::from_ref(label),
            Of::Counters(labels, _) => labels,
        };
        let labels = ["namespace", "name"].iter().chain(more);
        Described {
            name: family.name.to_owned(),
            kind: family.kind(),
            labels: labels.map(|label| (*label).to_owned()).collect(),
            help: family.help.to_owned(),
            process: Process::Controller,
        }
    })
}

impl Family {
    fn kind(&self) -> &'static str {
        match self.of {
            Of::Gauge(_) | Of::Gauges(..) => "gauge",
            Of::Counter(_) | Of::Counters(..) => "counter",
        }
    }

    fn encode(&self, sources: &BTreeMap<SourceKey, Source>, text: &mut String) {
        let before = text.len();
        let (name, kind, help) = (self.name, self.kind(), self.help);
        for part in [
            "# HELP ",
            name,
            " ",
            help,
            "\n# TYPE ",
            name,
            " ",
            kind,
            "\n",
        ] {
            text.push_str(part);
        }
        let head = text.len();
        for (key, source) in sources {
            match &self.of {
                Of::Gauge(value) | Of::Counter(value) => {
                    if let Some(value) = value(source) {
                        self.push(key, &[], value, text);
                    }
                }
                Of::Gauges(label, value) => {
                    if let Some(value) = value(source) {
                        self.push(key, &[(*label, value)], 1.0, text);
                    }
                }
                Of::Counters(names, values) => {
                    for (values, count) in values(source) {
                        let pairs: Vec<_> = names.iter().copied().zip(values).collect();
                        self.push(key, &pairs, number(count), text);
                    }
                }
            }
        }
        if text.len() == head {
            text.truncate(before);
        }
    }

    /// One series: the source's name and `more`, in the order of the labels. Names of objects and what
    /// stands in a closed list hold nothing that would have to be escaped.
    fn push(&self, key: &SourceKey, more: &[(&str, &str)], value: f64, text: &mut String) {
        let source = [("namespace", key.namespace.as_str()), ("name", &key.name)];
        let mut pairs: Vec<(&str, &str)> = source.into_iter().chain(more.iter().copied()).collect();
        pairs.sort_unstable();
        text.push_str(self.name);
        for (index, (label, value)) in pairs.into_iter().enumerate() {
            let before = if index == 0 { "{" } else { "," };
            for part in [before, label, "=\"", value, "\""] {
                text.push_str(part);
            }
        }
        text.push_str("} ");
        text.push_str(&value.to_string());
        text.push('\n');
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a metric is a double; counts are at most 1e15"
)]
fn number(count: u64) -> f64 {
    count as f64
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}
