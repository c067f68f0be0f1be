//! The Activity Report: groups, periods, cumulative rates, averages.

use std::fmt::Write;

use sumsq::domain::fetch::{ErrorCode, FetchError};
use sumsq::domain::report::view::{ActivityReport, ConcernCode};
use sumsq::domain::report::{ActivityQuery, AgentData, SourceData, activity};

use crate::fixture::{data, now, rows};

/// Monday 2026-01-05 and what follows; on day 1 the file lacks sales, B is missing on day 2.
fn shop() -> AgentData {
    data(
        &["sales", "visits"],
        &rows(&[
            "0 A r - 10 1/1/9.50/90.25 4/4",
            "0 A r s=g 4 1/1/9.50/90.25 2/2",
            "0 A r s=p 6 0/0/0/0 2/2",
            "0 B r - 20 4/6/40.00/600.00 4/4",
            "0 B r s=g 20 4/6/40.00/600.00 4/4",
            "1 A r - 10 x 5/5",
            "1 B f - 30 x 6/6",
            "2 A r - 30 7/7/70.00/700.00 7/7",
            "8 A r - 10 2/2/10.00/50.00 8/8",
            "8 B r - 10 5/5/25.00/125.00 9/9",
        ]),
    )
}

fn ask(data: &AgentData, others: &[SourceData], query: &str) -> ActivityReport {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
    activity(data, others, &ActivityQuery::parse(pairs).unwrap(), now()).unwrap()
}

fn table(report: &ActivityReport) -> String {
    let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.4}"));
    let count = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
    let mut shown = String::new();
    for row in &report.rows {
        let mark = if row.complete { "" } else { " incomplete" };
        _ = writeln!(shown, "{} to {}{mark}", row.from, row.to);
        for cell in &row.cells {
            _ = writeln!(
                shown,
                "  {} visitors {} conversions {} value {} rate {} mean {}",
                cell.group,
                cell.visitors,
                count(cell.conversions),
                number(cell.value),
                number(cell.rate),
                number(cell.value_per_visitor)
            );
        }
    }
    for (total, average) in report.totals.iter().zip(&report.daily_averages) {
        _ = writeln!(
            shown,
            "{} total {} {} {}, a day {:.4} {} {}",
            total.group,
            total.visitors,
            count(total.conversions),
            number(total.rate),
            average.visitors,
            number(average.conversions),
            number(average.rate)
        );
    }
    shown
}

#[test]
fn groups_and_periods() {
    let data = shop();
    let shown = [
        "per=day",
        "per=day&cumulative=true",
        "per=week",
        "per=total&groupBy=policy",
        "per=total&groupBy=none",
        "per=total&groupBy=trait",
        "per=total&groupBy=variation&traitGroup=s&traitValue=g",
        "per=week&from=2026-01-06&to=2026-01-13&goal=visits",
    ]
    .map(|query| format!("{query}\n{}", table(&ask(&data, &[], query))));
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn data_sources_stand_side_by_side() {
    let data = shop();
    let mut other = crate::fixture::data(&["sales"], &rows(&["1 A r - 7 3/3", "9 B r - 5 1/1"]));
    other.source.key.name = "returns".into();
    other.source.description.display_name = "Returns".into();
    let report = ask(&data, &[other.source], "groupBy=dataSource&per=week");
    assert_eq!(report.groups, ["returns", "sales"]);
    assert_eq!(report.group_display_names[0].as_deref(), Some("Returns"));
    insta::assert_snapshot!(table(&report));
}

#[test]
fn a_week_or_day_that_is_not_over_says_so() {
    let mut data = shop();
    data.source.imported_at = Some("2026-01-13T12:00:00Z".parse().unwrap());
    let complete = |query: &str| {
        let report = ask(&data, &[], query);
        report
            .rows
            .iter()
            .map(|row| row.complete)
            .collect::<Vec<_>>()
    };
    assert_eq!(complete("per=day"), [true, true, true, false]);
    assert_eq!(complete("per=week"), [true, false]);
    assert_eq!(complete("per=total"), [false]);
    assert_eq!(complete("per=total&to=2026-01-07"), [true]);
    let codes: Vec<_> = ask(&data, &[], "per=day")
        .concerns
        .iter()
        .map(|c| c.code)
        .collect();
    assert_eq!(
        codes,
        [
            ConcernCode::AllocationDrift,
            ConcernCode::DaysMissing,
            ConcernCode::GoalAbsentOnDays,
            ConcernCode::IncompleteDay
        ]
    );
}

#[test]
fn a_link_to_share_shows_the_same() {
    let data = shop();
    for query in [
        "per=day",
        "per=week&groupBy=trait&cumulative=true&measure=rate",
    ] {
        let report = ask(&data, &[], query);
        let pairs = report.query_pairs();
        let parsed =
            ActivityQuery::parse(pairs.iter().map(|(name, value)| (*name, value.as_str())));
        assert_eq!(
            activity(&data, &[], &parsed.unwrap(), now()).unwrap(),
            report
        );
    }
}

#[test]
fn traits_cannot_be_grouped_by_where_there_are_none() {
    let data = data(&["sales"], &rows(&["0 A r - 10 1/1"]));
    let query = ActivityQuery::parse([("groupBy", "trait")]).unwrap();
    let error = activity(&data, &[], &query, now()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "groupBy: takes trait only where the data have traits"
    );
}

#[test]
fn a_week_that_is_cut_is_not_complete() {
    // From Wednesday on, though Monday has data.
    let complete = |query: &str| -> Vec<bool> {
        let rows = ask(&shop(), &[], query).rows;
        rows.iter().map(|row| row.complete).collect()
    };
    let from = |day: &str| complete(&format!("per=week&from={day}"));
    assert_eq!(from("2026-01-05"), [true, false]);
    assert_eq!(from("2026-01-07"), [false, false]);
    // Data that begin within a week are no whole one either, from wherever it is looked at.
    let mut late = shop();
    late.source.days.remove(0);
    late.source.days.remove(0);
    for query in [
        "per=week",
        "per=week&from=2026-01-07",
        "per=week&from=2026-01-05",
    ] {
        let rows = ask(&late, &[], query).rows;
        assert!(!rows[0].complete, "{query}");
    }
    assert!(ask(&late, &[], "per=day").rows[0].complete);
}

#[test]
fn days_without_data_are_told() {
    let told = |query: &str| {
        let concerns = ask(&shop(), &[], query).concerns;
        let found = concerns
            .into_iter()
            .find(|concern| concern.code == ConcernCode::DaysMissing);
        found.map(|concern| concern.message)
    };
    assert_eq!(
        told("per=day").as_deref(),
        Some(
            "There are no data at all for 5 days (2026-01-08, 2026-01-09, 2026-01-10, 2026-01-11, \
             2026-01-12)."
        )
    );
    // None lies between the days in view; before them and after them nothing is missing.
    assert_eq!(told("from=2026-01-01&to=2026-01-10"), None);
}

#[test]
fn what_is_wrong_with_any_source_in_view_is_told_with_its_name() {
    let data = data(&["sales"], &rows(&["0 A r - 10 1/1", "1 A r - 10 1/1"]));
    let mut other = data.source.clone();
    other.key.name = "returns".into();
    // Fetched in the middle of its second day, and not again since.
    other.imported_at = Some("2026-01-06T12:00:00Z".parse().unwrap());
    other.data_as_of = other.imported_at;
    other.last_error = Some(FetchError::new(ErrorCode::Timeout, "no answer", "Look."));
    let report = ask(&data, std::slice::from_ref(&other), "groupBy=dataSource");
    let complete: Vec<bool> = report.rows.iter().map(|row| row.complete).collect();
    assert_eq!(complete, [true, false]);
    let told: Vec<_> = report
        .concerns
        .iter()
        .map(|concern| {
            assert_eq!(concern.values["dataSource"], "returns");
            assert!(
                concern.message.starts_with("returns: "),
                "{}",
                concern.message
            );
            concern.code
        })
        .collect();
    let all = [
        ConcernCode::StaleData,
        ConcernCode::LastFetchFailed,
        ConcernCode::IncompleteDay,
    ];
    assert_eq!(told, all);
    // Alone it needs no name, and beside another group it is not in view.
    let own = ask(&data, &[other], "groupBy=variation");
    assert!(own.concerns.is_empty() && own.rows.iter().all(|row| row.complete));
}

#[test]
fn shares_that_moved_are_told_beside_totals_by_variation() {
    let lines = rows(&[
        "0 A r - 9000 450/450",
        "0 B r - 1000 48/48",
        "1 A r - 1000 100/100",
        "1 B r - 9000 882/882",
    ]);
    let data = data(&["sales"], &lines);
    let has_drift = |data: &AgentData, query: &str| {
        let concerns = ask(data, &[], query).concerns;
        concerns
            .iter()
            .any(|concern| concern.code == ConcernCode::AllocationDrift)
    };
    assert!(has_drift(&data, "groupBy=variation&per=week"));
    assert!(!has_drift(&data, "groupBy=none"));
    // Within a day nothing moves.
    assert!(!has_drift(&data, "groupBy=variation&to=2026-01-05"));
    let mut declared = data;
    declared.resource = Some(crate::fixture::agent(&[("A", 1.0), ("C", 1.0)]));
    // B is not in the test.
    assert!(!has_drift(&declared, "groupBy=variation"));
}
