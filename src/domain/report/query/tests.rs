use super::*;
use proptest::prelude::*;

fn testing(query: &str) -> Result<TestingQuery, String> {
    TestingQuery::parse(pairs(query)).map_err(|error| error.to_string())
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

#[test]
fn every_parameter_is_read() {
    let query = testing(
        "dataSource=sales&goal=g-sales&metric=value&from=2024-03-18&to=2024-03-19&policy=all&\
         traitGroup=loyalty&traitValue=g&baseline=B&confidence=0.9&interval=alwaysValid&\
         adjust=none&targetLift=0.02",
    );
    let expected = TestingQuery {
        data_source: Some("sales".into()),
        goal: Some("g-sales".into()),
        metric: Some(Metric::Value),
        from: Some(Day(19_800)),
        to: Some(Day(19_801)),
        policy: Some("all".into()),
        trait_group: Some("loyalty".into()),
        trait_value: Some("g".into()),
        baseline: Some("B".into()),
        confidence: Some(0.9),
        interval: Some(IntervalKind::AlwaysValid),
        adjust: Some(Adjust::None),
        target_lift: Some(0.02),
    };
    assert_eq!(query, Ok(expected));
    let query = ActivityQuery::parse(pairs(
        "goal=sales&from=2024-03-18&measure=rate&groupBy=dataSource&per=week&cumulative=true",
    ));
    let expected = ActivityQuery {
        goal: Some("sales".into()),
        from: Some(Day(19_800)),
        measure: Some(Measure::Rate),
        group_by: Some(GroupBy::DataSource),
        per: Some(Per::Week),
        cumulative: Some(true),
        ..ActivityQuery::default()
    };
    assert_eq!(query, Ok(expected));
}

#[test]
fn an_untouched_form_asks_for_the_defaults() {
    let untouched = TestingQuery::PARAMETERS.map(|name| (name, ""));
    assert_eq!(TestingQuery::parse(untouched), Ok(TestingQuery::default()));
    let untouched = ActivityQuery::PARAMETERS.map(|name| (name, ""));
    assert_eq!(
        ActivityQuery::parse(untouched),
        Ok(ActivityQuery::default())
    );
    assert_eq!(
        testing("from=&from=2024-03-18").unwrap().from,
        Some(Day(19_800))
    );
}

#[test]
fn what_cannot_be_taken_says_what_can() {
    let long = format!("goal={}", "x".repeat(129));
    let name = format!("{}=1", "y".repeat(500));
    let queries = [
        "colour=red",
        "colour=",
        "metric=mean",
        "from=18.03.2024",
        "from=20240318",
        "from=2024-02-30",
        "to=2024-03-18T00:00",
        "from=2024-03-19&to=2024-03-18",
        "confidence=95",
        "confidence=NaN",
        "confidence=0.99999",
        "targetLift=0",
        "targetLift=inf",
        "targetLift=2%",
        "traitValue=g",
        "goal=a&goal=b",
        "goal=a\u{7}b",
        "interval=always-valid",
        "adjust=holm",
        &long,
        &name,
    ];
    let errors = queries.map(|query| testing(query).unwrap_err()).join("\n");
    insta::assert_snapshot!(errors);
    let errors = [
        "confidence=0.9",
        "measure=mean",
        "groupBy=day",
        "per=month",
        "cumulative=1",
    ]
    .map(|query| ActivityQuery::parse(pairs(query)).unwrap_err().to_string())
    .join("\n");
    insta::assert_snapshot!(errors);
}

proptest! {
    #[test]
    fn nothing_panics(query in "(from|to|goal|confidence|x)=.{0,12}(&(to|targetLift|metric)=[0-9.e-]{0,40})?") {
        _ = TestingQuery::parse(pairs(&query));
        _ = ActivityQuery::parse(pairs(&query));
    }
}
