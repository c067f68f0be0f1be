//! A data source with nothing special about it, for tests to change what they are about.

use std::time::Duration;

use super::{
    DataSource, Dating, DeletionPolicy, Goal, GoodDirection, Identity, OnIntegrityProblem,
    S3Object, SourceId, SourceKey,
};
use crate::domain::schedule::Schedule;

/// `growth/sales`: one goal, every day at 9:00 UTC, else the defaults.
pub(crate) fn source() -> DataSource {
    DataSource {
        id: SourceId::derive("growth", "sales"),
        key: SourceKey {
            namespace: "growth".into(),
            name: "sales".into(),
        },
        uid: "uid-1".into(),
        generation: 1,
        display_name: "Sales".into(),
        goals: vec![goal("sales")],
        dating: Dating::Exposure,
        object: S3Object {
            region: "us-east-1".into(),
            bucket: "counts".into(),
            key: "counts.csv".into(),
            account_id: None,
            endpoint: None,
            force_path_style: false,
            identity: Identity::Operator,
            role: None,
        },
        schedule: Schedule::parse("0 9 * * *", "UTC").unwrap(),
        starting_deadline: Duration::from_hours(12),
        suspend: false,
        timeout: Duration::from_mins(10),
        max_object_bytes: 1 << 30,
        history_limit: 10,
        on_integrity_problem: OnIntegrityProblem::Warn,
        deletion_policy: DeletionPolicy::Retain,
    }
}

pub(crate) fn goal(code: &str) -> Goal {
    Goal {
        code: code.into(),
        display_name: None,
        numeric: false,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    }
}
