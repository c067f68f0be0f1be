//! A data source's page: what it says, what it fetches, and when.

use std::fs;

use crate::beside::{Beside, DENIED};
use crate::browser::{Browser, DEADLINE};
use crate::site::{FAILING, SOURCE, Site, TILL, fill, get, post};
use crate::support::process::{temporary_folder, wait_for};

#[tokio::test]
async fn fetch_now_fetches() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.go(&site.at(SOURCE)).await;
    browser.follow("form[method=post] button").await;
    assert!(
        browser
            .text("[role=status]")
            .await
            .contains("A fetch was asked for.")
    );
    wait_for("the fetch", DEADLINE, async || {
        browser.go(&site.at(SOURCE)).await;
        let newest = "section[aria-labelledby=history-heading] tbody tr:first-child";
        let seen = browser.text(newest).await;
        (seen.contains("asked for") && seen.contains("Unchanged")).then_some(())
    })
    .await;
    assert!(browser.console().await.is_empty());
    browser.close().await;
}

#[tokio::test]
async fn beside_an_operator_the_page_shows_the_command() {
    let site = Site::shared().await.beside_an_operator().await;
    let browser = Browser::open().await;
    browser.go(&site.at(SOURCE)).await;
    assert_eq!(browser.count("form[method=post]").await, 0);
    let command = browser.text("section pre").await;
    assert!(command.starts_with("kubectl "), "{command}");
    assert!(
        command.contains("sumsq.dev/fetch-requested-at="),
        "{command}"
    );
    browser
        .find("button[data-copy]")
        .await
        .click()
        .await
        .unwrap();
    wait_for("the copy", DEADLINE, async || {
        (browser.text("button[data-copy]").await == "Copied").then_some(())
    })
    .await;
    let found = browser.axe().await;
    assert!(found.is_empty(), "{found:?}");
    browser.close().await;
}

#[tokio::test]
async fn who_is_denied_copies_the_statement() {
    let beside = Beside::start().await;
    let browser = Browser::open().await;
    browser.go(&beside.at(DENIED)).await;
    let button = ".concern .copy button";
    assert_eq!(browser.text(button).await, "Copy");
    browser.find(button).await.click().await.unwrap();
    wait_for("the copy", DEADLINE, async || {
        (browser.text(button).await == "Copied").then_some(())
    })
    .await;
    let pasted = browser.pasted().await;
    assert_eq!(pasted, browser.text(".concern .copy pre").await);
    assert!(pasted.contains("\"Allow\""), "{pasted}");
    let found = browser.axe().await;
    assert!(found.is_empty(), "{found:?}");
    assert!(browser.console().await.is_empty());
    browser.close().await;
}

#[tokio::test]
async fn the_counts_are_saved_as_they_are_imported_again() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    let folder = temporary_folder("counts");
    browser.download_into(&folder).await;
    browser.go(&site.at(TILL)).await;
    let link = browser.find(".note a[href$='/counts']").await;
    assert_eq!(link.text().await.unwrap(), "Download the counts");
    link.click().await.unwrap();
    let counts = browser.downloaded(&folder).await;
    let address = format!("/api/v1{TILL}/counts.csv");
    assert_eq!(counts, get(&site.at(&address)).unwrap());
    assert!(
        counts.starts_with("Date,Agent,Variation,") && counts.lines().count() > 100,
        "{counts}"
    );
    fs::remove_dir_all(&folder).unwrap();
    browser.close().await;
}

#[tokio::test]
async fn older_fetches_are_on_pages_of_their_own() {
    let site = Site::start(temporary_folder("fetches")).await;
    fill(&site.folder);
    let source = TILL;
    let logged = || -> usize {
        let fetches = get(&site.at(&format!("/api/v1{source}/fetches?limit=100")));
        let fetches = fetches.unwrap_or_default();
        fetches.matches("\"completedAt\":\"").count()
    };
    wait_for("the first fetch", DEADLINE, async || {
        (logged() == 1).then_some(())
    })
    .await;
    for count in 2..=45 {
        post(&site.at(&format!("/api/v1{source}/fetch")));
        wait_for("one more fetch", DEADLINE, async || {
            (logged() == count).then_some(())
        })
        .await;
    }
    let browser = Browser::open().await;
    browser.go(&site.at(source)).await;
    let rows = "section[aria-labelledby=history-heading] tbody tr";
    let mut shown = Vec::new();
    for page in [20, 20, 5] {
        assert_eq!(browser.count(rows).await, page);
        let times = "section[aria-labelledby=history-heading] tbody td:nth-child(2)";
        shown.extend(browser.texts(times).await);
        if page == 20 {
            browser.follow(".pages a[rel=next]").await;
        }
    }
    assert_eq!(browser.count(".pages a[rel=next]").await, 0);
    // The oldest one is why it was fetched first, and stands last.
    assert_eq!(
        shown.iter().filter(|why| *why == "new data source").count(),
        1
    );
    assert_eq!(shown.last().unwrap(), "new data source");
    browser.follow(".pages a").await;
    assert_eq!(browser.address().await, site.at(source));
    browser.close().await;
}

#[tokio::test]
async fn a_failure_says_what_to_do_and_when_it_is_tried_again() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.go(&site.at(FAILING)).await;
    let seen = browser.text("main").await;
    for text in [
        "Failing",
        "NoSuchKey",
        "none has gone well yet",
        "Europe/Berlin (in ",
    ] {
        assert!(seen.contains(text), "{text} in {seen}");
    }
    assert!(!browser.text(".concern .hint").await.is_empty());
    browser.close().await;
}

#[tokio::test]
async fn times_are_in_utc_and_in_the_readers_zone_where_asked() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.time_zone("Asia/Tokyo").await;
    browser.go(&site.at(SOURCE)).await;
    let time = "section[aria-labelledby=history-heading] tbody time";
    let utc = browser.text(time).await;
    assert!(utc.ends_with(" UTC"), "{utc}");
    let toggle = browser.find("[data-zone-toggle]").await;
    toggle.click().await.unwrap();
    let own = browser.text(time).await;
    assert!(
        own.ends_with(" Asia/Tokyo") && own[..16] != utc[..16],
        "{own}"
    );
    // It stays so, until it is turned back.
    browser.go(&site.at(SOURCE)).await;
    assert_eq!(browser.text(time).await, own);
    browser
        .find("[data-zone-toggle]")
        .await
        .click()
        .await
        .unwrap();
    assert_eq!(browser.text(time).await, utc);
    browser.close().await;
}
