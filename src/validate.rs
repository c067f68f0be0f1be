//! The raw resource, parsed once into the domain's data source.
//!
//! In a cluster the API server has held every rule of the schema already; what it can't check
//! (cron, zone) is checked here. Manifests in files are held to all of it, by the same rules with
//! the same sentences.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use crate::crd;
use crate::crd::data_source as raw;
use crate::domain::data_source::{
    DataSource, Dating, DeletionPolicy, Goal, GoodDirection, Identity, OnIntegrityProblem,
    S3Object, SourceId, SourceKey,
};
use crate::domain::schedule::{Schedule, ScheduleError};
use crate::yaml;

/// What the operator says where a spec says nothing.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// IANA.
    pub default_time_zone: String,
}

/// One thing that another spec has to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecProblem {
    pub reason: SpecProblemReason,
    /// Such as `spec.schedule`.
    pub field: String,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecProblemReason {
    InvalidSchedule,
    InvalidTimeZone,
    InvalidSpec,
}

impl SpecProblemReason {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSchedule => "InvalidSchedule",
            Self::InvalidTimeZone => "InvalidTimeZone",
            Self::InvalidSpec => "InvalidSpec",
        }
    }
}

/// Why a file's manifests cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error(transparent)]
    Yaml(#[from] yaml::Error),
    #[error("DataSource {name}: {problems}")]
    Refused { name: String, problems: String },
}

/// The definitions as `sumsq crd` prints them.
///
/// # Errors
/// A schema that cannot be written: a bug.
pub fn crd_yaml() -> Result<String, yaml::Error> {
    let mut text = String::new();
    for definition in crd::all() {
        text.push_str("---\n");
        text.push_str(&yaml::to_string(&definition)?);
    }
    Ok(text)
}

/// Every DataSource of a file, held to the schema's rules; documents of other kinds are passed
/// over.
///
/// # Errors
/// Text that is no YAML, fields that are unknown or of the wrong type, and specs that
/// `kubectl apply` would refuse, with its sentence.
pub fn manifest(text: &str) -> Result<Vec<raw::DataSource>, ManifestError> {
    let resources: Vec<raw::DataSource> =
        yaml::documents(text, |document| document["kind"] == "DataSource")?;
    for resource in &resources {
        if let Err(errors) = resource.validate_cel() {
            let mut problems: Vec<String> = errors
                .into_vec()
                .into_iter()
                .map(|error| format!("{}: {}", error.field_path, error.message))
                .collect();
            problems.dedup();
            let problems = problems.join("; ");
            return Err(ManifestError::Refused {
                name: resource.name_any(),
                problems,
            });
        }
    }
    Ok(resources)
}

/// # Errors
/// Everything that only another spec can mend.
pub fn data_source(
    resource: &raw::DataSource,
    namespace_uid: &str,
    defaults: &Defaults,
) -> Result<DataSource, Vec<SpecProblem>> {
    let spec = &resource.spec;
    let mut problems = Vec::new();
    let zone = spec
        .time_zone
        .as_deref()
        .unwrap_or(&defaults.default_time_zone);
    let schedule = Schedule::parse(&spec.schedule, zone)
        .map_err(|error| problems.push(schedule_problem(&error)))
        .ok();
    let object = spec
        .source
        .as_ref()
        .and_then(|source| source.s3.as_ref())
        .map(object);
    if object.is_none() {
        problems.push(invalid(
            "spec.source",
            "source is missing: write source: {s3: {...}}",
        ));
    }
    let max_object_bytes = bytes(&spec.max_object_bytes);
    if max_object_bytes.is_none() {
        let message = "maxObjectBytes takes a quantity of bytes, such as 500Mi or 1Gi";
        problems.push(invalid("spec.maxObjectBytes", message));
    }
    let (Some(schedule), Some(object), Some(max_object_bytes)) =
        (schedule, object, max_object_bytes)
    else {
        return Err(problems);
    };
    let name = resource.name_any();
    Ok(DataSource {
        id: SourceId::derive(namespace_uid, &name),
        uid: resource.uid().unwrap_or_default(),
        generation: resource.metadata.generation.unwrap_or_default(),
        display_name: spec.display_name.clone().unwrap_or_else(|| name.clone()),
        key: SourceKey {
            namespace: resource.namespace().unwrap_or_default(),
            name,
        },
        goals: spec.goals.iter().map(goal).collect(),
        dating: match spec.dating {
            raw::Dating::Exposure => Dating::Exposure,
            raw::Dating::Event => Dating::Event,
        },
        object,
        schedule,
        starting_deadline: seconds(spec.starting_deadline_seconds),
        suspend: spec.suspend,
        timeout: seconds(spec.timeout_seconds),
        max_object_bytes,
        history_limit: usize::try_from(spec.history_limit)
            .unwrap_or(1)
            .clamp(1, 100),
        on_integrity_problem: match spec.on_integrity_problem {
            raw::OnIntegrityProblem::Warn => OnIntegrityProblem::Warn,
            raw::OnIntegrityProblem::Reject => OnIntegrityProblem::Reject,
        },
        deletion_policy: match spec.deletion_policy {
            raw::DeletionPolicy::Retain => DeletionPolicy::Retain,
            raw::DeletionPolicy::Delete => DeletionPolicy::Delete,
        },
    })
}

fn goal(goal: &raw::Goal) -> Goal {
    Goal {
        code: goal.code.clone(),
        display_name: goal.display_name.clone(),
        numeric: goal.numeric,
        allow_negative: goal.allow_negative,
        good_direction: match goal.good_direction {
            raw::GoodDirection::Increase => GoodDirection::Increase,
            raw::GoodDirection::Decrease => GoodDirection::Decrease,
        },
    }
}

fn object(s3: &raw::S3) -> S3Object {
    S3Object {
        region: s3.region.clone(),
        bucket: s3.bucket.clone(),
        key: s3.key.clone(),
        account_id: s3.account_id.clone(),
        endpoint: s3.endpoint.clone(),
        force_path_style: s3.force_path_style,
        identity: match &s3.secret_ref {
            Some(secret) => Identity::Secret {
                name: secret.name.clone(),
            },
            None => Identity::Operator,
        },
    }
}

fn schedule_problem(error: &ScheduleError) -> SpecProblem {
    let (reason, field) = match error {
        ScheduleError::InvalidCron { .. } | ScheduleError::NeverFires { .. } => {
            (SpecProblemReason::InvalidSchedule, "spec.schedule")
        }
        ScheduleError::UnknownTimeZone { .. } => {
            (SpecProblemReason::InvalidTimeZone, "spec.timeZone")
        }
    };
    SpecProblem {
        reason,
        field: field.to_owned(),
        message: error.to_string(),
    }
}

fn invalid(field: &str, message: &str) -> SpecProblem {
    SpecProblem {
        reason: SpecProblemReason::InvalidSpec,
        field: field.to_owned(),
        message: message.to_owned(),
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// A Kubernetes quantity in bytes, rounded down; None where it is none, or negative.
fn bytes(quantity: &IntOrString) -> Option<u64> {
    let text = match quantity {
        IntOrString::Int(bytes) => return u64::try_from(*bytes).ok(),
        IntOrString::String(text) => text,
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let unit: u128 = match suffix {
        "" => 1,
        "k" => 1000,
        "M" => 1000_u128.pow(2),
        "G" => 1000_u128.pow(3),
        "T" => 1000_u128.pow(4),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        exponent => 10_u128.checked_pow(exponent.strip_prefix(['e', 'E'])?.parse().ok()?)?,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() > 15 {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    u64::try_from(digits.checked_mul(unit)? / scale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_bytes() {
        let of = |text: &str| bytes(&IntOrString::String(text.to_owned()));
        for (text, expected) in [
            ("1Gi", Some(1 << 30)),
            ("1.5Gi", Some(3 << 29)),
            ("500M", Some(500_000_000)),
            ("1024", Some(1024)),
            ("2e6", Some(2_000_000)),
            ("0.5Ki", Some(512)),
            ("10k", Some(10_000)),
            ("", None),
            ("Gi", None),
            ("1.2.3Gi", None),
            ("-1Gi", None),
            ("1GB", None),
            ("1 Gi", None),
        ] {
            assert_eq!(of(text), expected, "{text:?}");
        }
        assert_eq!(bytes(&IntOrString::Int(4096)), Some(4096));
    }
}
