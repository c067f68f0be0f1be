//! CSV: exactly the view, unrounded.

use sumsq::domain::report::csv::{activity_csv, goals_csv, testing_csv};
use sumsq::domain::report::view::TestingReport;
use sumsq::domain::report::{ActivityQuery, activity, goals};

use crate::fixture::{data, now, parsed, report, rows, tally};

fn records(csv: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

fn three() -> sumsq::domain::report::AgentData {
    data(
        &["sales, \"net\""],
        &rows(&[
            "0 A r s=g 300 31/31",
            "0 A r s=p 700 70/70",
            "0 B r s=g 300 47/47",
            "0 B r s=p 700 71/71",
            "0 C r s=g 1000 99/99",
        ]),
    )
}

#[test]
fn a_row_per_comparison_holds_the_numbers_of_the_json() {
    let report: TestingReport = report(&three(), "traitGroup=s");
    let records = records(&testing_csv(&report));
    // Two comparisons over all, two for each of two values.
    assert_eq!(records.len(), 6);
    let json = serde_json::to_value(&report).unwrap();
    for (index, record) in records[..2].iter().enumerate() {
        let comparison = &json["comparisons"][index];
        for field in [
            "variation",
            "baseline",
            "difference",
            "p",
            "adjustedP",
            "t",
            "verdict",
        ] {
            match &comparison[field] {
                serde_json::Value::String(text) => assert_eq!(record[field], *text, "{field}"),
                number => assert_eq!(record[field].parse().ok(), number.as_f64(), "{field}"),
            }
        }
        for (column, bound) in [("intervalLow", 0), ("intervalHigh", 1)] {
            let number: f64 = record[column].parse().unwrap();
            assert_eq!(Some(number), comparison["interval"][bound].as_f64());
        }
        assert_eq!(
            (&*record["goal"], &*record["traitValue"]),
            ("sales, \"net\"", "")
        );
        assert_eq!((&*record["interval"], &*record["family"]), ("fixed", "2"));
    }
    assert_eq!(
        (&*records[2]["traitValue"], &*records[2]["visitors"]),
        ("g", "300")
    );
    assert_eq!(&*records[4]["traitValue"], "p");
}

#[test]
fn activity_has_a_row_per_row_and_group() {
    let query = ActivityQuery::parse([("per", "day")]).unwrap();
    let report = activity(&three(), &[], &query, now()).unwrap();
    insta::assert_snapshot!(activity_csv(&report));
}

#[test]
fn goals_have_a_row_per_goal_metric_and_comparison() {
    let report = goals(&tally(&three()), &parsed(""), now()).unwrap();
    let records = records(&goals_csv(&report));
    assert_eq!(records.len(), report.rows.len());
    let p: f64 = records[0]["p"].parse().unwrap();
    assert_eq!(Some(p), report.rows[0].p);
}

#[test]
fn a_sheet_holds_no_verdict_that_no_page_shows() {
    let lines = rows(&[
        "0 A r - 9000 450/450",
        "0 B r - 1000 48/48",
        "1 A r - 1000 100/100",
        "1 B r - 9000 882/882",
    ]);
    let drifting = data(&["sales"], &lines);
    let shown: TestingReport = report(&drifting, "");
    let record = &records(&testing_csv(&shown))[0];
    assert_eq!(
        (&*record["trustworthy"], &*record["verdict"]),
        ("false", "")
    );
    assert_eq!(&*record["postStratifiedOver"], "day");
    let stratified = &shown.post_stratified.as_ref().unwrap()[0];
    let [low, high] = stratified.interval.unwrap();
    for (column, number) in [
        ("postStratifiedDifference", stratified.difference.unwrap()),
        ("postStratifiedLow", low),
        ("postStratifiedHigh", high),
        ("postStratifiedP", stratified.p.unwrap()),
    ] {
        assert_eq!(record[column].parse(), Ok(number), "{column}");
    }
    let all = goals(&tally(&drifting), &parsed(""), now()).unwrap();
    assert_eq!(records(&goals_csv(&all))[0]["verdict"], "");

    // By trait where the shares stood still, of the whole alone.
    let by_trait = records(&testing_csv(&report(&three(), "traitGroup=s")));
    assert_eq!(by_trait[0]["postStratifiedOver"], "trait");
    assert_eq!(by_trait[2]["postStratifiedOver"], "");
}

#[test]
fn no_text_is_run_by_a_spreadsheet_and_no_number_is_changed() {
    const LINK: &str = "=HYPERLINK(\"http://x.example\")";
    let mut found = data(
        &["@sum"],
        &rows(&["0 +1+A r =g=-x 300 47/47", "0 -1-B r =g=-x 300 31/31"]),
    );
    found.code = LINK.into();
    let testing = testing_csv(&report(&found, ""));
    let activity_query = "groupBy=variation".split_once('=').into_iter();
    let activity_query = ActivityQuery::parse(activity_query).unwrap();
    let activity = activity(&found, &[], &activity_query, now()).unwrap();
    let goals = goals(&tally(&found), &parsed(""), now()).unwrap();
    for csv in [testing.clone(), goals_csv(&goals), activity_csv(&activity)] {
        let records = records(&csv);
        assert!(!records.is_empty());
        for (column, cell) in records.iter().flatten() {
            let runs = cell.starts_with(['=', '+', '-', '@']);
            assert!(!runs || cell.parse::<f64>().is_ok(), "{column}: {cell}");
        }
        assert_eq!(records[0]["agent"], format!("'{LINK}"));
        assert_eq!(records[0]["goal"], "'@sum");
    }
    let [record] = &records(&testing)[..] else {
        panic!("{testing}");
    };
    assert_eq!(
        (&*record["baseline"], &*record["variation"]),
        ("'+1+A", "'-1-B")
    );
    assert!(record["difference"].parse::<f64>().unwrap() < 0.0);
    assert!(record["intervalLow"].starts_with('-'));
}
