//! Every control used, and every address that comes of it loaded again.

use std::fs;

use serde_json::json;

use crate::browser::{Browser, DEADLINE};
use crate::site::{ALARMED, BETTER, HOSTILE, HOSTILE_PATH, Site, UNDECIDED, get};
use crate::support::process::{temporary_folder, wait_for};

/// The report's own text, without what the browser adds, and without when its data were looked at last:
/// another test may fetch them meanwhile.
async fn report(browser: &Browser) -> String {
    let text = browser.text("main").await;
    let lines = text.lines().filter(|line| !line.starts_with("data as of "));
    lines.collect::<Vec<_>>().join("\n")
}

/// A new browser that is sent the address sees the same.
async fn shows_another_person_the_same(browser: &Browser) {
    let (address, seen) = (browser.address().await, report(browser).await);
    let other = Browser::open().await;
    other.go(&address).await;
    assert_eq!(report(&other).await, seen);
    other.close().await;
}

async fn choose(browser: &Browser, name: &str, value: &str) {
    let select = browser.find(&format!("select[name={name}]")).await;
    let chosen = select.select_by_value(value).await;
    chosen.unwrap_or_else(|error| panic!("{name}={value}: {error}"));
}

/// Text into a field, in place of what is there.
async fn write(browser: &Browser, name: &str, text: &str) {
    let field = browser.find(&format!("input[name={name}]")).await;
    field.clear().await.unwrap();
    field.send_keys(text).await.unwrap();
}

async fn show(browser: &Browser) {
    browser.follow(".filters button[type=submit]").await;
}

async fn value(browser: &Browser, css: &str) -> String {
    let value = browser.find(css).await.prop("value").await.unwrap();
    value.unwrap_or_default()
}

#[tokio::test]
async fn the_testing_reports_filters() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.go(&site.at(BETTER)).await;
    choose(&browser, "goal", "orders").await;
    show(&browser).await;
    choose(&browser, "metric", "value").await;
    // A date is typed as the browser's language has it.
    write(&browser, "from", "01102026").await;
    write(&browser, "to", "02202026").await;
    choose(&browser, "traitGroup", "loyalty-status").await;
    choose(&browser, "baseline", "B").await;
    choose(&browser, "policy", "all").await;
    choose(&browser, "interval", "alwaysValid").await;
    choose(&browser, "adjust", "none").await;
    write(&browser, "confidence", "0.9").await;
    write(&browser, "targetLift", "0.05").await;
    show(&browser).await;
    let address = browser.address().await;
    for pair in [
        "goal=orders",
        "metric=value",
        "from=2026-01-10",
        "to=2026-02-20",
        "policy=all",
        "traitGroup=loyalty-status",
        "baseline=B",
        "confidence=0.9",
        "interval=alwaysValid",
        "adjust=none",
        "targetLift=0.05",
    ] {
        assert!(address.contains(pair), "{pair} in {address}");
    }
    // The form shows what is asked for, and so does the report.
    assert_eq!(value(&browser, "input[name=from]").await, "2026-01-10");
    assert_eq!(value(&browser, "select[name=baseline]").await, "B");
    let seen = report(&browser).await;
    for text in [
        "2026-01-10 to 2026-02-20",
        "By loyalty-status",
        "Against B",
        "90% always-valid",
    ] {
        assert!(seen.contains(text), "{text} in {seen}");
    }
    shows_another_person_the_same(&browser).await;

    // One value of the trait, then another group's form no longer holds it.
    choose(&browser, "traitValue", "g").await;
    show(&browser).await;
    assert!(report(&browser).await.contains("loyalty-status: g"));
    choose(&browser, "traitGroup", "").await;
    show(&browser).await;
    let seen = report(&browser).await;
    assert!(!seen.contains("loyalty-status: g"), "{seen}");
    // A goal without values has no metric of values.
    choose(&browser, "goal", "purchase").await;
    show(&browser).await;
    assert_eq!(value(&browser, "select[name=metric]").await, "rate");
    browser.follow(".actions a").await;
    assert_eq!(browser.address().await, site.at(BETTER));
    browser.close().await;
}

#[tokio::test]
async fn the_activity_reports_filters() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.go(&site.at(&format!("{BETTER}/activity"))).await;
    choose(&browser, "goal", "orders").await;
    choose(&browser, "measure", "value").await;
    choose(&browser, "groupBy", "variation").await;
    choose(&browser, "per", "week").await;
    choose(&browser, "cumulative", "true").await;
    write(&browser, "from", "01102026").await;
    write(&browser, "to", "02202026").await;
    show(&browser).await;
    let seen = report(&browser).await;
    assert!(seen.contains("Orders: value up to each week"), "{seen}");
    assert!(seen.contains("2026-01-10 to 2026-02-20"), "{seen}");
    // A line and a name for each of the three variations.
    assert_eq!(
        browser.count("svg.lines path.line:not(.unfinished)").await,
        3
    );
    assert_eq!(browser.texts("svg.lines text.name").await, ["A", "B", "C"]);
    shows_another_person_the_same(&browser).await;
    choose(&browser, "traitGroup", "loyalty-status").await;
    choose(&browser, "groupBy", "trait").await;
    choose(&browser, "per", "day").await;
    choose(&browser, "measure", "rate").await;
    choose(&browser, "policy", "r").await;
    show(&browser).await;
    assert_eq!(
        browser.count("svg.lines path.line:not(.unfinished)").await,
        4
    );
    // Of an agent with two policies and two data sources: a line for each.
    browser
        .go(&site.at(&format!("{UNDECIDED}/activity?dataSource=till")))
        .await;
    for (group_by, groups) in [
        ("policy", ["f", "r"]),
        (
            "dataSource",
            [
                "shop-conversions · Shop conversions",
                "till · Till receipts",
            ],
        ),
    ] {
        choose(&browser, "groupBy", group_by).await;
        show(&browser).await;
        let address = browser.address().await;
        assert!(
            address.contains(&format!("groupBy={group_by}")),
            "{address}"
        );
        let totals = "section[aria-labelledby=totals-heading] tbody th";
        assert_eq!(browser.texts(totals).await, groups);
        shows_another_person_the_same(&browser).await;
    }
    browser.close().await;
}

#[tokio::test]
async fn a_table_sorts_by_its_headings() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.go(&site.at(&format!("{BETTER}/activity"))).await;
    let column = async || -> Vec<u64> {
        let texts = browser
            .texts("table[data-sortable] tbody td:nth-child(2)")
            .await;
        let numbers = texts
            .iter()
            .map(|text| text.replace(',', "").parse().unwrap());
        numbers.collect()
    };
    for direction in ["ascending", "descending"] {
        browser
            .find("table[data-sortable] th:nth-child(2) button")
            .await
            .click()
            .await
            .unwrap();
        let heading = browser.find("table[data-sortable] th:nth-child(2)").await;
        assert_eq!(heading.attr("aria-sort").await.unwrap().unwrap(), direction);
        let shown = column().await;
        let sorted = shown.windows(2).all(|two| match direction {
            "ascending" => two[0] <= two[1],
            _ => two[0] >= two[1],
        });
        assert!(sorted && shown.len() == 60, "{direction}: {shown:?}");
    }
    browser.close().await;
}

#[tokio::test]
async fn links_to_share_and_downloads_are_of_exactly_this_view() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    for (page, report_name) in [
        (format!("{UNDECIDED}?goal=orders&confidence=0.8"), "testing"),
        (
            format!("{UNDECIDED}/activity?groupBy=variation"),
            "activity",
        ),
    ] {
        browser.go(&site.at(&page)).await;
        let seen = report(&browser).await;
        let hrefs = [
            "[data-copy-link]",
            ".downloads a[download]",
            ".downloads a:nth-child(2)",
        ];
        let mut queries = Vec::new();
        for css in hrefs {
            let href = browser.find(css).await.attr("href").await.unwrap().unwrap();
            queries.push(href.split_once('?').unwrap().1.to_owned());
        }
        assert!(
            queries.iter().all(|query| *query == queries[0]),
            "{queries:?}"
        );
        assert!(queries[0].contains("dataSource=") && queries[0].contains("from=2026-01-05"));
        let download = async |css: &str| {
            let href = browser.find(css).await.attr("href").await.unwrap().unwrap();
            assert!(href.contains(report_name), "{href}");
            get(&site.at(&href)).expect("a download")
        };
        let csv = download(hrefs[1]).await;
        let json: serde_json::Value = serde_json::from_str(&download(hrefs[2]).await).unwrap();
        assert_eq!(
            json["goal"],
            if report_name == "testing" {
                "orders"
            } else {
                "purchase"
            }
        );
        assert!(csv.lines().count() > 1, "{csv}");
        // The script makes the link the address, and says so.
        browser
            .find("[data-copy-link]")
            .await
            .click()
            .await
            .unwrap();
        wait_for("the address", DEADLINE, async || {
            browser.address().await.contains(&queries[0]).then_some(())
        })
        .await;
        browser.client.refresh().await.unwrap();
        assert_eq!(report(&browser).await, seen);
    }
    browser.close().await;
}

#[tokio::test]
async fn goals_traits_tabs_and_data_sets_are_links() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser
        .go(&site.at(&format!("{UNDECIDED}?dataSource=shop-conversions")))
        .await;
    assert_eq!(
        browser.texts(".switch a").await,
        ["shop-conversions", "till"]
    );
    browser.follow(".goals tbody tr:nth-child(4) th a").await;
    assert!(browser.address().await.contains("goal=orders&metric=value"));
    browser.follow(".switch a:last-of-type").await;
    let seen = report(&browser).await;
    assert!(
        seen.contains("8 days") && seen.contains("Returns"),
        "{seen}"
    );
    // What is chosen of a data set is kept by tab and form.
    browser.follow(".tabs a:last-child").await;
    assert!(
        browser
            .address()
            .await
            .contains("/activity?dataSource=till")
    );
    show(&browser).await;
    assert!(browser.address().await.contains("dataSource=till"));
    browser.follow(".crumbs li:last-child a").await;
    assert_eq!(browser.text("h1").await, "Till receipts");

    browser
        .go(&site.at(&format!("{HOSTILE_PATH}?traitGroup=area")))
        .await;
    assert_eq!(browser.text("h1").await, HOSTILE);
    let cells = "tbody th.code a";
    let values = browser.texts(cells).await;
    assert_eq!(values, ["<north> & \"west\"", "south/50%"]);
    for (at, value) in values.iter().enumerate() {
        browser
            .go(&site.at(&format!("{HOSTILE_PATH}?traitGroup=area")))
            .await;
        browser
            .follow(&format!("tbody tr:nth-child({}) th.code a", at + 1))
            .await;
        assert!(report(&browser).await.contains(&format!("area: {value}")));
    }
    browser.close().await;
}

#[tokio::test]
async fn a_search_finds_agents_and_data_sources() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.go(&site.base).await;
    let agents = "section[aria-labelledby=agents-heading] tbody tr th a";
    assert_eq!(browser.count(agents).await, 5);
    write(&browser, "q", "SHOP free").await;
    browser.follow(".search button").await;
    assert_eq!(browser.texts(agents).await, ["free-shipping-banner"]);
    write(&browser, "q", HOSTILE).await;
    browser.follow(".search button").await;
    browser.follow(agents).await;
    assert_eq!(browser.address().await, site.at(HOSTILE_PATH));
    assert_eq!(browser.text("h1").await, HOSTILE);
    browser.close().await;
}

#[tokio::test]
async fn an_agent_called_as_a_folder_is_has_its_pages_and_downloads() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.go(&site.at("/?q=..")).await;
    let agents = "section[aria-labelledby=agents-heading] tbody tr th a";
    assert_eq!(browser.texts(agents).await, [".."]);
    browser.follow(agents).await;
    assert_eq!(browser.text("h1").await, "..");
    assert!(browser.address().await.contains("/agents/%1F.."));
    browser.follow(".tabs a:last-child").await;
    assert_eq!(browser.text("h1").await, "..");
    browser.follow(".tabs a:first-child").await;
    show(&browser).await;
    assert!(browser.address().await.contains("goal=purchase"));
    assert_eq!(browser.text("h1").await, "..");
    shows_another_person_the_same(&browser).await;
    let folder = temporary_folder("dots");
    browser.download_into(&folder).await;
    let link = browser.find(".downloads a[download]").await;
    link.click().await.unwrap();
    let csv = browser.downloaded(&folder).await;
    assert!(csv.contains(",..,"), "{csv}");
    fs::remove_dir_all(&folder).unwrap();
    browser.close().await;
}

const OPEN_POOLED: &str = "document.querySelector('details.pooled').open = true";

#[tokio::test]
async fn an_alarm_leaves_no_verdict_on_the_page() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    let by_trait = format!("{ALARMED}?traitGroup=loyalty-status");
    for path in [ALARMED, &by_trait] {
        browser.go(&site.at(path)).await;
        let seen = report(&browser).await;
        for word in ["Better", "Worse", "Undecided", "better →", "← worse"] {
            assert!(!seen.contains(word), "{word} in {seen}");
        }
        let judged = browser.count(".better, .worse, .undecided, .verdict").await;
        assert_eq!(judged, 0, "{path}");
        for words in [
            "ALARM",
            "The split changed over time",
            "Difference by day, weighted together",
        ] {
            assert!(seen.contains(words), "{words} in {seen}");
        }
        // What is pooled over the days, or over those of a trait's values, has to be asked for.
        for pooled in ["Relative interval", "+1.37", "+26.3%", "+28.1%", "6.25%"] {
            assert!(!seen.contains(pooled), "{pooled} in {seen}");
        }
        browser.run(OPEN_POOLED, vec![]).await;
        let opened = report(&browser).await;
        assert!(opened.contains("+28.1%"), "{opened}");
    }
    // Where there is none, the verdict stands.
    browser.go(&site.at(BETTER)).await;
    assert!(
        browser
            .texts(".verdict")
            .await
            .contains(&"Better".to_owned())
    );
    browser.close().await;
}

#[tokio::test]
async fn on_a_phone_the_means_of_all_goals_make_room_for_the_differences() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    for (width, seen) in [(1280, true), (320, false)] {
        browser.resize(width, 800).await;
        browser.go(&site.at(BETTER)).await;
        let heading = browser.text(".goals thead").await;
        assert_eq!(heading.contains("Its mean"), seen, "{heading}");
        assert!(heading.contains("Difference"), "{heading}");
    }
    browser.close().await;
}

#[tokio::test]
async fn a_chart_shows_its_numbers_in_a_table_too() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.go(&site.at(UNDECIDED)).await;
    browser
        .find(".numbers-by-day summary")
        .await
        .click()
        .await
        .unwrap();
    assert_eq!(browser.count(".numbers-by-day tbody tr").await, 60);
    let script = "const last = document.querySelector('.trend rect.hit:last-of-type title');
                  return last.textContent";
    let last = browser.run(script, vec![]).await;
    let cell = browser
        .text(".numbers-by-day tbody tr:last-child td:last-child")
        .await;
    let (difference, band) = cell.split_once('\n').expect("a difference and its band");
    let said = format!("2026-03-05: {difference} ({band})");
    assert_eq!(last, json!(said));
    // Every number's method is one click away.
    let summary = browser.find(".method summary").await;
    summary.click().await.unwrap();
    assert!(browser.text(".method").await.contains("Fieller"));
    browser.close().await;
}
