//! `.../testing`, `.../goals` and their CSV

use serde_json::{Value, json};

use crate::fixture::Site;

const TESTING: &str = "/api/v1/namespaces/growth/agents/agent-1/testing";
const GOALS: &str = "/api/v1/namespaces/growth/agents/agent-1/goals";

/// Equal to ten digits.
fn assert_near(number: &Value, expected: f64) {
    let number = number.as_f64().unwrap();
    assert!(
        (number - expected).abs() < 1e-9,
        "{number} is not {expected}"
    );
}

#[tokio::test]
async fn the_documents_example_has_its_numbers() {
    let site = Site::filled().await;
    let report = site
        .json("/api/v1/namespaces/ops/agents/agent-1/testing?metric=rate")
        .await;
    let comparison = &report["comparisons"][0];
    assert_near(&comparison["difference"], 0.233_333_333_3);
    assert_near(&comparison["degreesOfFreedom"], 10.827_371_695_2);
    assert_near(&comparison["p"], 0.381_967_181_7);
    assert_eq!(report["dataAsOf"], "2024-03-21T09:00:05Z");
    assert_eq!(comparison["verdict"], "Undecided");
}

#[tokio::test]
async fn what_is_asked_for_is_said_again() {
    let site = Site::filled().await;
    let query = "goal=g-signup&from=2024-03-18&to=2024-03-19&confidence=0.9&interval=alwaysValid\
                 &adjust=bonferroni&baseline=B&targetLift=0.1&traitGroup=loyalty&traitValue=gold\
                 &policy=r&metric=rate&dataSource=internal-conversions";
    let report = site.json(&format!("{TESTING}?{query}")).await;
    for pair in query.split('&') {
        let (name, asked) = pair.split_once('=').unwrap();
        let said = &report[name];
        let said = said
            .as_str()
            .map_or_else(|| said.to_string(), str::to_owned);
        assert_eq!(said, asked, "{name}");
    }
    assert_eq!(report["days"], 2);
}

#[tokio::test]
async fn a_trait_group_alone_shows_each_of_its_values() {
    let site = Site::filled().await;
    let report = site.json(&format!("{TESTING}?traitGroup=loyalty")).await;
    let values: Vec<_> = report["byTrait"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of_value| of_value["value"].clone())
        .collect();
    assert_eq!(values, [json!("gold"), json!("silver")]);
}

#[tokio::test]
async fn csv_and_json_say_the_same() {
    let site = Site::filled().await;
    for (address, rows) in [(TESTING, "comparisons"), (GOALS, "rows")] {
        let json = site.json(address).await;
        let answer = site.get(&format!("{address}.csv")).await;
        assert_eq!(
            answer.header("content-type"),
            Some("text/csv; charset=utf-8; header=present")
        );
        let mut reader = csv::Reader::from_reader(answer.body.as_bytes());
        let header = reader.headers().unwrap().clone();
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        let rows = json[rows].as_array().unwrap();
        assert_eq!(records.len(), rows.len(), "{address}");
        for (record, row) in records.iter().zip(rows) {
            for name in ["difference", "p", "verdict", "variation"] {
                let at = header.iter().position(|column| column == name).unwrap();
                let told = &row[name];
                let told = told
                    .as_str()
                    .map_or_else(|| told.to_string(), str::to_owned);
                assert_eq!(record[at], told, "{address} {name}");
            }
        }
    }
}

#[tokio::test]
async fn every_goal_has_its_row() {
    let site = Site::filled().await;
    let report = site.json(GOALS).await;
    let rows: Vec<_> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["goal"].as_str().unwrap(),
                row["metric"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("g-sales", "rate"),
            ("g-sales", "value"),
            ("g-signup", "rate")
        ]
    );
}

#[tokio::test]
async fn parameters_that_cannot_be() {
    let site = Site::filled().await;
    for (query, about) in [
        ("measure=rate", "measure"),
        ("confidence=1", "confidence"),
        ("confidence=NaN", "confidence"),
        ("confidence=95", "confidence"),
        ("targetLift=0", "targetLift"),
        ("interval=always", "interval"),
        ("adjust=holm", "adjust"),
        ("baseline=Z", "baseline"),
        ("goal=g-none", "goal"),
        ("metric=sum", "metric"),
        ("from=2023-02-29", "from"),
        ("policy=x", "policy"),
        ("traitValue=gold", "traitValue"),
        ("goal=g-sales&goal=g-signup", "goal"),
    ] {
        for address in [TESTING, GOALS] {
            let answer = site.get(&format!("{address}?{query}")).await;
            let problem = answer.problem();
            let expected = format!("400 [{about}] {about}: ");
            assert!(problem.starts_with(&expected), "{query}: {problem}");
        }
    }
    // A form sends the fields that were left alone, too.
    let left_alone = site
        .json(&format!("{TESTING}?goal=&from=&confidence="))
        .await;
    assert_eq!(left_alone, site.json(TESTING).await);
}
