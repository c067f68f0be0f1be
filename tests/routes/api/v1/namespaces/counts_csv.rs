//! `.../data-sources/{name}/counts.csv`

use std::fmt::Write;

use sumsq::domain::agent_day::Day;
use sumsq::store::{SourceRef, Store, block};

use crate::fixture::{ODD_AGENT, Site, counts, goal};

const COUNTS: &str = "/api/v1/namespaces/growth/data-sources/internal-conversions/counts.csv";

/// Agent, day and content hash of everything that a source holds.
async fn hashes(site: &Site, source: &SourceRef) -> Vec<(String, Day, [u8; 16])> {
    let mut found = Vec::new();
    for agent in site.store.agents(source.id).await.unwrap() {
        let days = site
            .store
            .agent_days(source.id, &agent.code, Day::MIN, Day::MAX)
            .await
            .unwrap();
        found.extend(days.iter().map(|day| {
            let hash = block::hash(&block::write(day));
            (agent.code.clone(), day.day, hash)
        }));
    }
    found
}

#[tokio::test]
async fn it_is_what_was_imported() {
    let site = Site::filled().await;
    let document = site
        .get("/api/v1/namespaces/ops/data-sources/internal-conversions/counts.csv")
        .await;
    assert_eq!(
        document.header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    assert_eq!(
        document.header("content-disposition"),
        Some("attachment; filename=\"ops-internal-conversions-counts.csv\"")
    );
    insta::assert_snapshot!(document.body, @r"
    Date,Agent,Variation,Policy,Trait_Group,Trait_Value,Sels,g-sales,g-sales_sumsq,g-sales_val,g-sales_val_sumsq
    1710720000,agent-1,A,r,,,10,1,1,9.99,99.8001
    1710720000,agent-1,B,r,,,9,3,5,30.97,539.9605
    ");
}

#[tokio::test]
async fn it_can_be_a_part() {
    let site = Site::filled().await;
    let lines = async |query: &str| {
        site.get(&format!("{COUNTS}?{query}"))
            .await
            .body
            .lines()
            .count()
            - 1
    };
    let odd = percent_encoding::utf8_percent_encode(ODD_AGENT, percent_encoding::NON_ALPHANUMERIC);
    assert_eq!(lines("").await, 36);
    assert_eq!(lines("agent=agent-1").await, 18);
    assert_eq!(lines(&format!("agent={odd}")).await, 18);
    assert_eq!(lines("from=2024-03-19&to=2024-03-19").await, 12);
    assert_eq!(lines("agent=agent-1&to=2024-03-18").await, 6);
    assert_eq!(lines("part=1").await, 36);
}

#[tokio::test]
async fn what_cannot_be() {
    let site = Site::filled().await;
    let mut said = Vec::new();
    for query in [
        "agent=x",
        "from=18.3.2024",
        "from=2024-03-20&to=2024-03-18",
        "from=2025-01-01",
        "part=0",
        "part=2",
        "goal=g-sales",
    ] {
        let answer = site.get(&format!("{COUNTS}?{query}")).await;
        said.push(format!("{query}: {}", answer.problem()));
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    agent=x: 404 [-] data source growth/internal-conversions holds no agent "x"
    from=18.3.2024: 400 [from] from: a day such as 2024-03-18
    from=2024-03-20&to=2024-03-18: 400 [from] from: a day that is not after `to`
    from=2025-01-01: 404 [-] data source growth/internal-conversions holds no data of these days
    part=0: 400 [part] part: a whole number from 1 to 1000
    part=2: 400 [part] part: a whole number from 1 to 1 for these days
    goal=g-sales: 400 [goal] goal: not known; this address takes agent, from, to, part
    "#);
}

#[tokio::test]
async fn counts_of_one_set_of_goals_are_one_file() {
    let site = Site::filled().await;
    let link = COUNTS
        .trim_start_matches("/api/v1")
        .trim_end_matches(".csv");
    let answer = site.get(link).await;
    assert_eq!(answer.status, axum::http::StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), Some(COUNTS));
}

#[tokio::test]
async fn days_that_lack_a_goal_are_files_of_their_own() {
    let site = Site::empty().await;
    let goals = [goal("g-sales", true), goal("g-signup", false)];
    let source = site.source("growth", "internal-conversions", &goals).await;
    let both = counts(&["g-signup", "g-sales"]);
    site.import(&source, &goals, &both).await;
    // The last day comes again, without signups.
    let without = counts(&["g-sales"]);
    let mut rows = without.lines();
    let header = rows.next().unwrap();
    let last_day = rows.filter(|line| line.starts_with("1710892800"));
    let file = [header]
        .into_iter()
        .chain(last_day)
        .collect::<Vec<_>>()
        .join("\n");
    site.import(&source, &goals, &file).await;

    assert_eq!(
        site.get(COUNTS).await.problem(),
        "409 [-] these days hold different goals, and a file holds one set of them; part=1: \
         g-sales (2 agent days, 2024-03-20 to 2024-03-20); part=2: g-sales, g-signup (4 agent \
         days, 2024-03-18 to 2024-03-19)"
    );
    let one_set = site.get(&format!("{COUNTS}?to=2024-03-19")).await;
    assert_eq!(one_set.body.lines().count(), 25);

    // The source's page leads to a link for each.
    let page = COUNTS
        .trim_start_matches("/api/v1")
        .trim_end_matches("/counts.csv");
    let link = format!("{page}/counts");
    let source_page = site.get(page).await.body;
    assert!(source_page.contains(&format!("<a href=\"{link}\">Download the counts")));
    let parts = site.get(&link).await.body;
    let downloads: Vec<&str> = parts
        .split("<a href=\"")
        .filter_map(|rest| rest.split_once("\" download>"))
        .map(|(link, _)| link)
        .collect();
    assert_eq!(
        downloads,
        [1, 2].map(|part| format!("{COUNTS}?part={part}"))
    );
    for goals in ["<td>g-sales</td>", "<td>g-sales, g-signup</td>"] {
        assert!(parts.contains(goals), "{goals} in {parts}");
    }
    for download in downloads {
        assert_eq!(site.get(download).await.status, axum::http::StatusCode::OK);
    }

    let again = Site::empty().await;
    let copy = again.source("growth", "internal-conversions", &goals).await;
    for part in [1, 2] {
        let file = site.get(&format!("{COUNTS}?part={part}")).await.body;
        again.import(&copy, &goals, &file).await;
    }
    assert_eq!(hashes(&again, &copy).await, hashes(&site, &source).await);
}

#[tokio::test]
async fn an_import_half_way_breaks_it_off() {
    use axum::http::{Method, StatusCode};
    use tower::ServiceExt;

    let site = Site::empty().await;
    let goals = [goal("g-sales", true)];
    let source = site.source("growth", "internal-conversions", &goals).await;
    // More agents than are read ahead, each with some 100 kB.
    let mut file = String::from(
        "Date,Agent,Variation,Sels,g-sales,g-sales_sumsq,g-sales_val,g-sales_val_sumsq\n",
    );
    for agent in 0..20 {
        for variation in 0..2_000 {
            writeln!(
                file,
                "1710720000,agent-{agent},{variation},10,1,1,9.99,99.8001"
            )
            .unwrap();
        }
    }
    site.import(&source, &goals, &file).await;
    let request = crate::fixture::request(Method::GET, COUNTS);
    let response = site.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    // Nothing of the body is taken before the data are others.
    let half: Vec<&str> = file.lines().take(1 + 2_000 * 19).collect();
    let half = half.join("\n");
    site.import(
        &source,
        &goals,
        &half.replace("9.99,99.8001", "8.88,78.8544"),
    )
    .await;
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    assert!(body.is_err(), "a mixture of two files came to its end");
    assert_eq!(site.get(COUNTS).await.status, StatusCode::OK);
}
