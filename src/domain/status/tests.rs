//! Conditions as people read them, and a size that holds whatever the data say.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::data_source::plain;
use crate::domain::fetch::{ErrorCode, MAX_MESSAGE_CHARS, Outcome, ReadyPolicy, Trigger, Warnings};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn source() -> DataSource {
    DataSource {
        generation: 3,
        history_limit: 100,
        ..plain::source()
    }
}

fn record(outcome: Outcome) -> FetchRecord {
    FetchRecord {
        id: Uuid::nil(),
        uid: source().uid,
        trigger: Trigger::Schedule,
        fingerprint: source().fingerprint(),
        started_at: at("2026-01-05T09:00:00.5Z"),
        completed_at: Some(at("2026-01-05T09:00:01.5Z")),
        attempts: 1,
        outcome: Some(outcome),
    }
}

fn import() -> Import {
    Import {
        rows: 1203,
        bytes: 100_000,
        agent_count: 3,
        agents: vec!["a".into(), "b".into(), "c".into()],
        agent_days: 180,
        changed_agent_days: 3,
        first_day: Some(Day(20_000)),
        last_day: Some(Day(20_059)),
        warnings: Warnings {
            total: 2,
            messages: vec!["one".into(), "two".into()],
        },
    }
}

fn denied() -> FetchError {
    let mut error = FetchError::new(
        ErrorCode::AccessDenied,
        "Access Denied",
        "grant s3:GetObject",
    );
    error.policies = vec![ReadyPolicy {
        target: "bucket policy".into(),
        statement: "{\n}".into(),
    }];
    error
}

const AT_REST: Situation = Situation {
    in_flight: None,
    waiting: Waiting::ForSlot,
    until: None,
    next_fetch: None,
};

/// `Type=Status Reason: message` of every condition.
fn conditions(source: &DataSource, history: Vec<FetchRecord>, situation: Situation) -> Vec<String> {
    let stored = Stored {
        history,
        failures: 2,
        ..Stored::default()
    };
    status(source, &stored, situation, at("2026-01-05T10:00:00Z"))
        .conditions()
        .iter()
        .map(|(kind, c)| format!("{kind}={:?} {}: {}", c.status, c.reason, c.message))
        .collect()
}

#[test]
fn ready_says_what_the_newest_fetch_of_this_spec_was() {
    let source = source();
    assert_eq!(
        conditions(&source, vec![record(Outcome::Imported(import()))], AT_REST),
        ["Ready=True Imported: 3 agents, 1203 rows, 2024-10-04 to 2024-12-02, 2 warnings"]
    );
    assert_eq!(
        conditions(&source, vec![record(Outcome::NotModified)], AT_REST),
        ["Ready=True NotModified: the file is the one that was imported before"]
    );
    let retry = Situation {
        waiting: Waiting::ForRetry,
        until: Some(at("2026-01-05T10:01:00Z")),
        ..AT_REST
    };
    assert_eq!(
        conditions(&source, vec![record(Outcome::Failed(denied()))], retry),
        [
            "Ready=False AccessDenied: Access Denied; grant s3:GetObject; will be retried at 2026-01-05T10:01:00Z",
            "Reconciling=True WaitingForRetry: failed 2 times in a row; will be retried at 2026-01-05T10:01:00Z",
        ]
    );
    let wrong_region = FetchError::new(
        ErrorCode::PermanentRedirect,
        "elsewhere",
        "region should be eu-west-2",
    );
    assert_eq!(
        conditions(
            &source,
            vec![record(Outcome::Failed(wrong_region))],
            AT_REST
        ),
        [
            "Ready=False PermanentRedirect: elsewhere; region should be eu-west-2; retrying does not help, another spec does"
        ]
    );
}

#[test]
fn ready_is_unknown_before_the_first_fetch_of_this_spec() {
    let mut source = source();
    let fetched = || vec![record(Outcome::NotModified)];
    assert_eq!(
        conditions(&source, vec![], AT_REST),
        ["Ready=Unknown NotFetchedYet: the first fetch is under way"]
    );
    source.object.key = "other.csv".into();
    assert_eq!(
        conditions(&source, fetched(), AT_REST),
        ["Ready=Unknown SpecChanged: the spec has changed; the fetch is under way"]
    );
    source.suspend = true;
    assert!(conditions(&source, fetched(), AT_REST)[0].starts_with("Ready=Unknown SpecChanged"));
    assert!(conditions(&source, vec![], AT_REST)[0].starts_with("Ready=Unknown Suspended"));
    source.goals.clear();
    assert!(conditions(&source, fetched(), AT_REST)[0].starts_with("Ready=Unknown NoGoals"));
}

#[test]
fn a_fetch_shows_after_five_seconds() {
    let flight = |started_at| InFlight {
        trigger: Trigger::Schedule,
        fingerprint: source().fingerprint(),
        queued_at: at("2026-01-05T09:59:00Z"),
        started_at: Some(at(started_at)),
    };
    let (short, long) = (
        flight("2026-01-05T09:59:56Z"),
        flight("2026-01-05T09:59:54Z"),
    );
    let situation = |flight| Situation {
        in_flight: Some(flight),
        waiting: Waiting::ForFetch,
        ..AT_REST
    };
    assert_eq!(conditions(&source(), vec![], situation(&short)).len(), 1);
    assert_eq!(
        conditions(&source(), vec![], situation(&long))[1],
        "Reconciling=True Fetching: fetching since 2026-01-05T09:59:54Z"
    );
}

#[test]
fn a_queued_fetch_shows_after_half_a_minute_where_somebody_waits_for_it() {
    let queued = |trigger, queued_at| InFlight {
        trigger,
        fingerprint: source().fingerprint(),
        queued_at: at(queued_at),
        started_at: None,
    };
    let shown = |flight: &InFlight| {
        let situation = Situation {
            in_flight: Some(flight),
            waiting: Waiting::ForFetch,
            ..AT_REST
        };
        conditions(&source(), vec![], situation).get(1).cloned()
    };
    for (trigger, is_waited_for) in [
        (Trigger::Created, true),
        (Trigger::Manual, true),
        (Trigger::SpecChange, true),
        (Trigger::Schedule, false),
        (Trigger::Retry, false),
    ] {
        let short = queued(trigger, "2026-01-05T09:59:31Z");
        assert_eq!(shown(&short), None, "{trigger:?}");
        let long = queued(trigger, "2026-01-05T09:59:30Z");
        let expected = "Reconciling=True Queued: waiting for a worker since 2026-01-05T09:59:30Z";
        let expected = is_waited_for.then(|| expected.to_owned());
        assert_eq!(shown(&long), expected, "{trigger:?}");
    }
}

#[test]
fn stalled_still_tells_what_was_fetched() {
    let stored = Stored {
        history: vec![record(Outcome::Imported(import()))],
        agent_count: 3,
        ..Stored::default()
    };
    let status = stalled_status(4, 10, Reason::InvalidSchedule, "never fires", &stored);
    let kinds: Vec<_> = status.conditions().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, ["Ready", "Stalled"]);
    assert_eq!((status.agent_count, status.history.len()), (3, 1));
}

#[test]
fn it_reads_like_this() {
    let stored = Stored {
        history: vec![
            record(Outcome::Failed(denied())),
            record(Outcome::Failed(denied())),
            record(Outcome::Imported(import())),
        ],
        agent_count: 3,
        agents: vec!["a".into(), "b".into(), "c".into()],
        rows: Some(1203),
        first_day: Some(Day(20_000)),
        last_day: Some(Day(20_059)),
        last_success_at: Some(at("2026-01-05T09:00:01.5Z")),
        reader: Some("arn:aws:iam::123456789012:role/sumsq".into()),
        ..Stored::default()
    };
    let situation = Situation {
        next_fetch: Some(at("2026-01-06T09:01:30Z")),
        ..AT_REST
    };
    let status = status(&source(), &stored, situation, at("2026-01-05T10:00:00Z"));
    insta::assert_json_snapshot!(status);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// A hundred entries of the longest codes and messages, of letters that JSON makes longer.
    #[test]
    fn the_status_never_exceeds_64_kib(
        letter in prop::sample::select(vec!["a", "\"", "\\", "é", "€", "😀"]),
        failed in prop::collection::vec(any::<bool>(), 1..=100),
        policies in 0..3_usize,
    ) {
        let code = |number: usize| format!("{number}{}", letter.repeat(125 / letter.len()));
        let message = letter.repeat(MAX_MESSAGE_CHARS);
        let agents: Vec<String> = (0..500).map(code).collect();
        let error = FetchError {
            policies: (0..policies)
                .map(|_| ReadyPolicy { target: "bucket policy".into(), statement: message.clone() })
                .collect(),
            ..FetchError::new(ErrorCode::AccessDenied, &message, message.clone())
        };
        let import = Import {
            agent_count: 500,
            agents: agents.clone(),
            warnings: Warnings { total: 10, messages: vec![message.clone(); 10] },
            ..import()
        };
        let history = failed.iter().map(|failed| record(if *failed {
            Outcome::Failed(error.clone())
        } else {
            Outcome::Imported(import.clone())
        }));
        let stored = Stored {
            history: history.collect(),
            agent_count: 500,
            agents,
            reader: Some(message.clone()),
            handled_request: Some(message),
            ..Stored::default()
        };
        let situation = Situation { waiting: Waiting::ForRetry, until: Some(at("2026-01-05T10:01:00Z")), ..AT_REST };
        let status = status(&source(), &stored, situation, at("2026-01-05T10:00:00Z"));
        prop_assert!(status.json_bytes() <= MAX_STATUS_BYTES, "{} bytes", status.json_bytes());
        prop_assert!(!status.history.is_empty());
        prop_assert!(status.agents_truncated == (status.agents.len() < 500));
    }
}
