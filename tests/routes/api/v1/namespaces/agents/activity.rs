//! `.../activity` and `.../activity.csv`

use axum::http::StatusCode;

use crate::fixture::{SIGNUPS, Site, goal};

const ACTIVITY: &str = "/api/v1/namespaces/growth/agents/agent-1/activity";

#[tokio::test]
async fn it_reads_like_this() {
    let site = Site::filled().await;
    let report = site
        .json(&format!(
            "{ACTIVITY}?goal=g-signup&groupBy=variation&per=week"
        ))
        .await;
    insta::assert_json_snapshot!(report, @r#"
    {
      "agent": "agent-1",
      "concerns": [],
      "cumulative": false,
      "dailyAverages": [
        {
          "conversions": 201.0,
          "group": "A",
          "rate": 0.1,
          "value": 201.0,
          "valuePerVisitor": 0.1,
          "visitors": 2010.0
        },
        {
          "conversions": 231.0,
          "group": "B",
          "rate": 0.11492537313432835,
          "value": 231.0,
          "valuePerVisitor": 0.11492537313432835,
          "visitors": 2010.0
        }
      ],
      "dataAsOf": "2024-03-21T09:00:02Z",
      "dataSource": "internal-conversions",
      "displayName": "Checkout button",
      "from": "2024-03-18",
      "goal": "g-signup",
      "goalDisplayName": null,
      "groupBy": "variation",
      "groupDisplayNames": [
        "Today",
        "Green"
      ],
      "groups": [
        "A",
        "B"
      ],
      "measure": "visitors",
      "namespace": "growth",
      "per": "week",
      "policy": "all",
      "rows": [
        {
          "cells": [
            {
              "conversions": 603,
              "group": "A",
              "rate": 0.1,
              "value": 603.0,
              "valuePerVisitor": 0.1,
              "visitors": 6030
            },
            {
              "conversions": 693,
              "group": "B",
              "rate": 0.11492537313432835,
              "value": 693.0,
              "valuePerVisitor": 0.11492537313432835,
              "visitors": 6030
            }
          ],
          "complete": false,
          "from": "2024-03-18",
          "to": "2024-03-20"
        }
      ],
      "to": "2024-03-20",
      "totals": [
        {
          "conversions": 603,
          "group": "A",
          "rate": 0.1,
          "value": 603.0,
          "valuePerVisitor": 0.1,
          "visitors": 6030
        },
        {
          "conversions": 693,
          "group": "B",
          "rate": 0.11492537313432835,
          "value": 693.0,
          "valuePerVisitor": 0.11492537313432835,
          "visitors": 6030
        }
      ],
      "traitGroup": null,
      "traitValue": null
    }
    "#);
}

#[tokio::test]
async fn its_csv_has_the_same_numbers() {
    let site = Site::filled().await;
    let query = "?goal=g-sales&groupBy=variation&measure=value";
    let csv = site.get(&format!("{ACTIVITY}.csv{query}")).await;
    assert_eq!(
        csv.header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    insta::assert_snapshot!(csv.body, @r"
    namespace,dataSource,agent,goal,policy,traitGroup,traitValue,groupBy,per,cumulative,from,to,complete,group,visitors,conversions,value,rate,valuePerVisitor
    growth,internal-conversions,agent-1,g-sales,all,,,variation,day,false,2024-03-18,2024-03-18,true,A,2000,200,200.5,0.1,0.10025
    growth,internal-conversions,agent-1,g-sales,all,,,variation,day,false,2024-03-18,2024-03-18,true,B,2000,230,230.5,0.115,0.11525
    growth,internal-conversions,agent-1,g-sales,all,,,variation,day,false,2024-03-19,2024-03-19,true,A,2010,201,201.5,0.1,0.10024875621890547
    growth,internal-conversions,agent-1,g-sales,all,,,variation,day,false,2024-03-19,2024-03-19,true,B,2010,231,231.5,0.11492537313432835,0.11517412935323383
    growth,internal-conversions,agent-1,g-sales,all,,,variation,day,false,2024-03-20,2024-03-20,true,A,2020,202,202.5,0.1,0.10024752475247525
    growth,internal-conversions,agent-1,g-sales,all,,,variation,day,false,2024-03-20,2024-03-20,true,B,2020,232,232.5,0.11485148514851486,0.1150990099009901
    ");
}

#[tokio::test]
async fn it_knows_the_other_data_sources() {
    let site = Site::filled().await;
    let report = site
        .json(&format!(
            "{ACTIVITY}?goal=g-signup&groupBy=dataSource&per=total"
        ))
        .await;
    let groups: Vec<_> = report["groups"].as_array().unwrap().iter().collect();
    assert_eq!(groups, ["internal-conversions", "signups"]);
    let older = site.json(&format!("{ACTIVITY}?dataSource=signups")).await;
    assert_eq!(older["dataSource"], "signups");
}

#[tokio::test]
async fn parameters_that_cannot_be() {
    let site = Site::filled().await;
    let mut said = Vec::new();
    for query in [
        "confidence=0.95",
        "goal=g-none",
        "per=month",
        "from=2024-3-18",
        "from=2024-03-20&to=2024-03-18",
        "policy=x",
        "traitValue=gold",
        "traitGroup=loyalty&traitValue=bronze",
        "cumulative=yes",
        "per=day&per=week",
    ] {
        let answer = site.get(&format!("{ACTIVITY}?{query}")).await;
        said.push(format!("{query}: {}", answer.problem()));
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    confidence=0.95: 400 [confidence] confidence: no such parameter; there are dataSource, goal, from, to, policy, traitGroup, traitValue, measure, groupBy, per, cumulative
    goal=g-none: 400 [goal] goal: "g-none" is not there; takes one of g-sales, g-signup
    per=month: 400 [per] per: "month" is not one of day, week, total
    from=2024-3-18: 400 [from] from: "2024-3-18" is not a day such as 2024-03-18
    from=2024-03-20&to=2024-03-18: 400 [to] to: 2024-03-18 lies before 2024-03-20; takes a day on or after from
    policy=x: 400 [policy] policy: "x" is not there; takes one of r, all
    traitValue=gold: 400 [traitValue] traitValue: takes a value of the group that traitGroup names, which is missing
    traitGroup=loyalty&traitValue=bronze: 400 [traitValue] traitValue: "bronze" is not there; takes one of gold, silver
    cumulative=yes: 400 [cumulative] cumulative: "yes" is not one of true, false
    per=day&per=week: 400 [per] per: given twice; takes one value
    "#);
}

#[tokio::test]
async fn not_any_number_of_data_sources_is_read_for_one_report() {
    let site = Site::filled().await;
    let signups = [goal("g-signup", false)];
    let by_source = format!("{ACTIVITY}?groupBy=dataSource&per=total");
    // Two hold the agent already.
    for count in 3..=21 {
        assert_eq!(site.get(&by_source).await.status, StatusCode::OK, "{count}");
        let more = site
            .source("growth", &format!("more-{count}"), &signups)
            .await;
        site.import(&more, &signups, SIGNUPS).await;
    }
    assert_eq!(
        site.get(&by_source).await.problem(),
        "400 [groupBy] groupBy: takes dataSource where at most 20 data sources hold the agent; \
         21 do, and dataSource shows one of them"
    );
    assert_eq!(site.get(ACTIVITY).await.status, StatusCode::OK);
    // The form offers only what is answered.
    let page = site.get("/namespaces/growth/agents/agent-1/activity").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.body.contains("<option value=\"dataSource\""));
}
