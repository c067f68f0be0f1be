//! The store's contract as one story, told on every store there is; and what each alone must hold.

mod backup;
mod catalogue;
mod copy_into;
mod crash;
mod distributed;
mod fence;
mod leave;
mod postgres;
mod report_servers;
mod sqlite;
mod story;
#[path = "../support/mod.rs"]
mod support;
mod upkeep;

use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use sumsq::domain::agent_day::{AgentDay, Cell, CellKey, Day, Decimal, GoalCounts, GoalValues};
use sumsq::domain::data_source::{SourceId, SourceKey};
use sumsq::domain::fetch::{ErrorCode, FetchError, Import, Outcome, Trigger};
use sumsq::domain::plan::FetchPlan;
use sumsq::store::{BeginFetch, EndFetch, SourceRef, Store};
use uuid::Uuid;

/// As the operator does.
async fn open(address: &str) -> Arc<dyn Store> {
    sumsq::app::open_store(&address.parse().unwrap())
        .await
        .unwrap()
}

/// The chain of causes, as the command line prints it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        shown = format!("{shown}: {error}");
        cause = error.source();
    }
    shown
}

fn source(name: &str) -> SourceRef {
    SourceRef {
        id: SourceId::derive("growth", name),
        key: SourceKey {
            namespace: "growth".into(),
            name: name.into(),
        },
        uid: format!("uid of {name}"),
    }
}

fn now() -> Timestamp {
    "2026-01-05T09:00:00.123456789Z".parse().unwrap()
}

fn plan(trigger: Trigger) -> FetchPlan {
    FetchPlan {
        trigger,
        resume: None,
        slot: None,
        request: None,
        force_request: None,
        ignore_etag: false,
        resets_backoff: false,
    }
}

fn begin(source: &SourceRef, plan: FetchPlan) -> BeginFetch {
    BeginFetch {
        source: source.id,
        uid: source.uid.clone(),
        plan,
        cursor: None,
        fingerprint: "fingerprint".into(),
        started_at: now(),
    }
}

fn end(source: &SourceRef, fetch: Uuid, outcome: Outcome) -> EndFetch {
    let etag = matches!(outcome, Outcome::Imported(_)).then(|| "\"etag\"".to_owned());
    EndFetch {
        source: source.id,
        fetch,
        outcome,
        etag,
        completed_at: now().checked_add(2.seconds()).unwrap(),
    }
}

fn denied(message: &str) -> Outcome {
    Outcome::Failed(FetchError::new(
        ErrorCode::AccessDenied,
        message,
        "grant it",
    ))
}

fn imported(rows: u64) -> Outcome {
    Outcome::Imported(Import {
        rows,
        ..Import::default()
    })
}

/// A day whose every number is `value`, so that a mixture of two shows.
fn day(agent: &str, day: i32, value: u64) -> AgentDay {
    let counts = GoalCounts {
        count: value,
        count_sumsq: value.into(),
        values: Some(GoalValues {
            sum: Decimal::from(value),
            sumsq: Decimal::from(value),
        }),
    };
    let cell = |variation: &str| Cell {
        key: CellKey {
            variation: variation.into(),
            policy: "r".into(),
            visitor_trait: None,
        },
        visitors: value,
        goals: vec![counts],
    };
    AgentDay {
        agent: agent.into(),
        day: Day(day),
        goals: Arc::new([Arc::from("sales")]),
        cells: vec![cell("A"), cell("B")].into(),
    }
}

fn boxed(days: Vec<AgentDay>) -> Box<dyn Iterator<Item = AgentDay> + Send> {
    Box::new(days.into_iter())
}
