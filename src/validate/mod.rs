//! The raw resources, parsed once into the domain's data source and agent.
//!
//! In a cluster the API server has held every rule of the schema already, unless the definition
//! there is of another version; what it cannot check (cron, zone) is checked here. Manifests in
//! files are held to all of it, by the same rules with the same sentences.

mod agent;
mod manifest;
mod schema;

use std::time::Duration;

use kube::ResourceExt;

use crate::crd;
use crate::crd::data_source as raw;
use crate::domain::data_source::{
    AssumedRole, DataSource, Dating, DeletionPolicy, Goal, GoodDirection, Identity,
    OnIntegrityProblem, S3Object, SourceId, SourceKey,
};
use crate::domain::schedule::{Schedule, ScheduleError};
use crate::domain::status::Reason;
use crate::domain::tenancy;
use crate::yaml;

pub use agent::agent;
pub use manifest::{Manifest, ManifestError, ManifestProblem, manifest};

/// What the operator says where a spec says nothing.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// IANA.
    pub default_time_zone: String,
}

/// One thing that another spec has to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecProblem {
    pub reason: Reason,
    /// Such as `spec.schedule`.
    pub field: String,
    /// A sentence that says what to write instead.
    pub message: String,
}

/// All of them in one line, each after its field.
#[must_use]
pub fn sentences(problems: &[SpecProblem]) -> String {
    let said = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.field, problem.message));
    said.collect::<Vec<_>>().join("; ")
}

/// The definitions as `sumsq crd` prints them, each with its name: `agents.sumsq.dev`.
///
/// # Errors
/// A schema that cannot be written: a bug.
pub fn crd_yamls() -> Result<Vec<(String, String)>, yaml::Error> {
    let definitions = crd::all().into_iter();
    let written = definitions.map(|definition| {
        let yaml = yaml::to_string(&definition)?;
        Ok((definition.name_any(), format!("---\n{yaml}")))
    });
    written.collect()
}

/// `namespace_uid` as [`SourceId::derive`] takes it.
///
/// # Errors
/// Everything that only another spec can mend, by field; at least one.
pub fn data_source(
    resource: &raw::DataSource,
    namespace_uid: &str,
    defaults: &Defaults,
) -> Result<DataSource, Vec<SpecProblem>> {
    let spec = &resource.spec;
    let mut problems = schema::DATA_SOURCE.broken_rules(resource);
    let schedule = schedule(spec, defaults, &mut problems);
    let s3 = spec.source.as_ref().and_then(|source| source.s3.as_ref());
    let max_object_bytes = schema::bytes(&spec.max_object_bytes);
    let (Some(schedule), Some(s3), Some(max_object_bytes), true) =
        (schedule, s3, max_object_bytes, problems.is_empty())
    else {
        return Err(problems);
    };
    let name = resource.name_any();
    Ok(DataSource {
        id: SourceId::derive(namespace_uid, &name),
        uid: resource.uid().unwrap_or_default(),
        generation: resource.metadata.generation.unwrap_or_default(),
        display_name: non_empty(spec.display_name.as_ref()).unwrap_or_else(|| name.clone()),
        key: SourceKey {
            namespace: resource.namespace().unwrap_or_default(),
            name,
        },
        goals: spec.goals.iter().map(goal).collect(),
        dating: match spec.dating {
            raw::Dating::Exposure => Dating::Exposure,
            raw::Dating::Event => Dating::Event,
        },
        object: object(s3, &resource.namespace().unwrap_or_default(), namespace_uid),
        schedule,
        starting_deadline: seconds(spec.starting_deadline_seconds),
        suspend: spec.suspend,
        timeout: seconds(spec.timeout_seconds),
        max_object_bytes,
        history_limit: usize::try_from(spec.history_limit).unwrap_or(1),
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

/// None with a problem more, unless the schema's rules have named one of these fields already.
fn schedule(
    spec: &raw::DataSourceSpec,
    defaults: &Defaults,
    problems: &mut Vec<SpecProblem>,
) -> Option<Schedule> {
    let zone = spec
        .time_zone
        .as_deref()
        .unwrap_or(&defaults.default_time_zone);
    let error = match Schedule::parse(&spec.schedule, zone) {
        Ok(schedule) => return Some(schedule),
        Err(error) => error,
    };
    let (reason, field) = match error {
        ScheduleError::InvalidCron { .. } | ScheduleError::NeverFires { .. } => {
            (Reason::InvalidSchedule, "spec.schedule")
        }
        ScheduleError::UnknownTimeZone { .. } => (Reason::InvalidTimeZone, "spec.timeZone"),
    };
    match problems.iter_mut().find(|problem| problem.field == field) {
        Some(told) => told.reason = reason,
        None => {
            problems.push(SpecProblem {
                reason,
                field: field.to_owned(),
                message: error.to_string(),
            });
        }
    }
    None
}

fn goal(goal: &raw::Goal) -> Goal {
    Goal {
        code: goal.code.clone(),
        display_name: non_empty(goal.display_name.as_ref()),
        numeric: goal.numeric,
        allow_negative: goal.allow_negative,
        good_direction: match goal.good_direction {
            raw::GoodDirection::Increase => GoodDirection::Increase,
            raw::GoodDirection::Decrease => GoodDirection::Decrease,
        },
    }
}

fn object(s3: &raw::S3, namespace: &str, namespace_uid: &str) -> S3Object {
    let identity = match (&s3.secret_ref, &s3.service_account_name) {
        (Some(secret), _) => Identity::Secret {
            name: secret.name.clone(),
        },
        (None, Some(account)) => Identity::ServiceAccount {
            name: account.clone(),
        },
        (None, None) => Identity::Operator,
    };
    let external_id = match identity {
        // Never one that a tenant chose: it could be another tenant's.
        Identity::Operator => Some(tenancy::external_id(namespace, namespace_uid)),
        _ => s3.external_id.clone(),
    };
    S3Object {
        region: s3.region.clone(),
        bucket: s3.bucket.clone(),
        key: s3.key.clone(),
        account_id: s3.account_id.clone(),
        endpoint: s3.endpoint.clone(),
        force_path_style: s3.force_path_style,
        role: s3
            .role_arn
            .clone()
            .map(|arn| AssumedRole { arn, external_id }),
        identity,
    }
}

/// An empty name is as good as none, as everywhere in Kubernetes.
fn non_empty(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
