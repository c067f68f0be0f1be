use super::*;
use crate::domain::fetch::{ErrorCode, Import};

fn key() -> SourceKey {
    SourceKey {
        namespace: "growth".into(),
        name: "sales".into(),
    }
}

#[test]
fn series_end_with_their_object() {
    let metrics = Metrics::new().unwrap();
    for outcome in [
        Outcome::Imported(Import {
            rows: 2,
            changed_agent_days: 1,
            ..Import::default()
        }),
        Outcome::NotModified,
        Outcome::Failed(crate::domain::fetch::FetchError::new(
            ErrorCode::NoSuchKey,
            "no",
            "",
        )),
    ] {
        metrics.fetch_ended(&key(), Trigger::Manual, &outcome, Duration::from_millis(3));
    }
    metrics.observed(
        &key(),
        SourceGauges {
            agents: 1,
            last_success: Some(Timestamp::UNIX_EPOCH),
            next_fetch: Some(Timestamp::UNIX_EPOCH),
            success_due: Some(Timestamp::UNIX_EPOCH),
            missed_fetches: 0,
            rows: Some(2),
            object_bytes: Some(3),
            suspended: false,
            stalled: false,
            ready: true,
            failing: None,
        },
    );
    assert!(metrics.encode().unwrap().contains(r#"name="sales""#));

    metrics.agent_judged("growth", "sales", TrustReason::NoAlarm);

    metrics.forget(&key());
    metrics.forget_agent("growth", "sales");

    let left = metrics.encode().unwrap();
    assert!(!left.contains(r#"="sales""#), "left over:\n{left}");
}

#[test]
fn a_source_reads_like_this() {
    let metrics = Metrics::new().unwrap();
    let import = Import {
        rows: 1_440_000,
        bytes: 265_000_000,
        changed_agent_days: 200,
        ..Import::default()
    };
    for (trigger, outcome) in [
        (Trigger::Created, Outcome::Imported(import.clone())),
        (Trigger::Schedule, Outcome::NotModified),
        (Trigger::Schedule, Outcome::Imported(import)),
    ] {
        metrics.fetch_ended(&key(), trigger, &outcome, Duration::from_millis(3));
    }
    let other = SourceKey {
        namespace: "growth".into(),
        name: "calls".into(),
    };
    let error = crate::domain::fetch::FetchError::new(ErrorCode::NoSuchKey, "no", "");
    let failed = Outcome::Failed(error);
    metrics.fetch_ended(&other, Trigger::Manual, &failed, Duration::from_millis(3));
    let text = metrics.encode().unwrap();
    let first = text.find("# HELP sumsq_fetches_total").unwrap();
    insta::assert_snapshot!(&text[first..], @r#"
    # HELP sumsq_fetches_total Fetches that ended, by what started them and what came of them.
    # TYPE sumsq_fetches_total counter
    sumsq_fetches_total{name="calls",namespace="growth",result="Error",trigger="Manual"} 1
    sumsq_fetches_total{name="sales",namespace="growth",result="Imported",trigger="Created"} 1
    sumsq_fetches_total{name="sales",namespace="growth",result="NotModified",trigger="Schedule"} 1
    sumsq_fetches_total{name="sales",namespace="growth",result="Imported",trigger="Schedule"} 1
    # HELP sumsq_fetch_errors_total Fetches that failed, by error code.
    # TYPE sumsq_fetch_errors_total counter
    sumsq_fetch_errors_total{code="NoSuchKey",name="calls",namespace="growth"} 1
    # HELP sumsq_agent_day_changes_total Agent days whose content a fetch changed.
    # TYPE sumsq_agent_day_changes_total counter
    sumsq_agent_day_changes_total{name="sales",namespace="growth"} 400
    # HELP sumsq_object_bytes Size of the newest imported file, decompressed.
    # TYPE sumsq_object_bytes gauge
    sumsq_object_bytes{name="sales",namespace="growth"} 265000000
    # HELP sumsq_rows Data rows of the newest imported file.
    # TYPE sumsq_rows gauge
    sumsq_rows{name="sales",namespace="growth"} 1440000
    "#);
}

#[test]
fn a_failure_is_a_series_while_it_lasts() {
    let metrics = Metrics::new().unwrap();
    let failing = || {
        let text = metrics.encode().unwrap();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("sumsq_failing{"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let seen = |failing: Option<&'static str>| SourceGauges {
        agents: 0,
        last_success: None,
        next_fetch: None,
        success_due: None,
        missed_fetches: 0,
        rows: None,
        object_bytes: None,
        suspended: false,
        stalled: false,
        ready: failing.is_none(),
        failing,
    };
    metrics.observed(&key(), seen(Some("NoSuchKey")));
    let series = r#"sumsq_failing{code="NoSuchKey",name="sales",namespace="growth"} 1"#;
    assert_eq!(failing(), [series]);
    // What the store does not take is told beside it.
    metrics.unstored(&key(), ErrorCode::StoreFull);
    assert_eq!(failing(), [series.replace("NoSuchKey", "StoreFull")]);
    metrics.observed(&key(), seen(None));
    assert_eq!(failing(), [""; 0]);
}

#[test]
fn an_agent_has_one_series_or_none() {
    let metrics = Metrics::new().unwrap();
    let series = |reason| {
        metrics.agent_judged("growth", "checkout", reason);
        let text = metrics.encode().unwrap();
        let lines = text.lines().filter(|line| line.contains("checkout"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for (reason, value) in [
        (TrustReason::NoData, None),
        (TrustReason::NoAlarm, Some(1)),
        (TrustReason::SampleRatioMismatch, Some(0)),
        (TrustReason::AllocationDrift, Some(0)),
        (TrustReason::NoAlarm, Some(1)),
        (TrustReason::DuplicateCode, None),
    ] {
        let expected = value.map(|value| {
            let reason = reason.as_str();
            format!(
                r#"sumsq_agent_trustworthy{{agent="checkout",namespace="growth",reason="{reason}"}} {value}"#
            )
        });
        assert_eq!(series(reason), Vec::from_iter(expected), "{reason:?}");
    }
}

#[test]
fn only_a_report_server_says_whether_it_serves() {
    let metrics = Metrics::new().unwrap();
    let said = || {
        let text = metrics.encode().unwrap();
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix("sumsq_report_serving "));
        line.map(str::to_owned)
    };
    assert_eq!(said(), None);
    metrics.report_is_serving(false);
    assert_eq!(said().as_deref(), Some("0"));
    metrics.report_is_serving(true);
    assert_eq!(said().as_deref(), Some("1"));
}
