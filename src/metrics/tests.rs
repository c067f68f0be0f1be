use super::*;

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
            missed_fetches: 0,
            rows: Some(2),
            object_bytes: Some(3),
            suspended: false,
            stalled: false,
            ready: true,
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
