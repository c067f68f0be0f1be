//! Without a mouse.

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::browser::{Browser, Scheme};
use crate::site::{BETTER, Site};

/// Enough to come past everything on a page.
const MOST_TABS: usize = 300;

/// What has the focus: what it is, its name, and whether that can be seen.
async fn focused(browser: &Browser) -> Value {
    let script = "const e = document.activeElement; const style = getComputedStyle(e); return {
        tag: e.tagName, name: e.getAttribute('name'), text: e.textContent.trim().slice(0, 40),
        href: e.getAttribute('href'), outline: style.outlineStyle, form: e.form != null,
        width: e.getBoundingClientRect().width}";
    browser.run(script, vec![]).await
}

pub async fn press(browser: &Browser, key: Key) {
    let keys = String::from(char::from(key));
    let active = browser.client.active_element().await.expect("a focus");
    active.send_keys(&keys).await.expect("a key");
}

/// Presses Tab until `wanted`; every stop on the way has to be seen.
async fn tab_to(browser: &Browser, mut wanted: impl FnMut(&Value) -> bool) -> Value {
    for _ in 0..MOST_TABS {
        press(browser, Key::Tab).await;
        let at = focused(browser).await;
        assert_ne!(at["outline"], "none", "the focus can't be seen at {at}");
        if wanted(&at) {
            return at;
        }
    }
    panic!("no number of tabs leads there");
}

#[tokio::test]
async fn from_the_start_page_to_a_filtered_report() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.prefer(Scheme::Light).await;
    browser.go(&site.base).await;
    // The first stop leads past the head.
    let first = tab_to(&browser, |_| true).await;
    assert_eq!(first["href"], "#main");
    press(&browser, Key::Enter).await;
    assert_eq!(focused(&browser).await["tag"], "MAIN");
    // On to an agent's report.
    tab_to(&browser, |at| at["href"] == BETTER).await;
    let before = browser.find("html").await;
    press(&browser, Key::Enter).await;
    browser.left(&before).await;
    assert_eq!(browser.address().await, site.at(BETTER));
    // A method note opens and closes.
    tab_to(&browser, |at| at["tag"] == "SUMMARY").await;
    for open in [true, false] {
        press(&browser, Key::Enter).await;
        let script = "return document.activeElement.parentElement.open";
        assert_eq!(browser.run(script, vec![]).await, json!(open));
    }
    // A select changes by its arrows, and Enter in a field sends the form.
    tab_to(&browser, |at| at["name"] == "goal").await;
    press(&browser, Key::Down).await;
    tab_to(&browser, |at| at["name"] == "confidence").await;
    let before = browser.find("html").await;
    press(&browser, Key::Enter).await;
    browser.left(&before).await;
    assert!(browser.address().await.contains("goal=add-to-cart"));
    browser.close().await;
}

#[tokio::test]
async fn every_control_of_a_report_is_reached() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.go(&site.at(BETTER)).await;
    let mut reached = Vec::new();
    tab_to(&browser, |at| {
        if at["form"] == true {
            reached.extend(at["name"].as_str().map(str::to_owned));
        }
        at["text"] == "API description"
    })
    .await;
    reached.dedup();
    assert_eq!(
        reached,
        [
            "q",
            "goal",
            "metric",
            "from",
            "to",
            "traitGroup",
            "policy",
            "baseline",
            "interval",
            "adjust",
            "confidence",
            "targetLift",
        ]
    );
    browser.close().await;
}

#[tokio::test]
async fn what_scrolls_sideways_can_be_scrolled() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.resize(320, 800).await;
    browser.go(&site.at(BETTER)).await;
    let script = "const box = document.querySelector('.goals').parentElement; box.focus();
                  return [box.scrollWidth > box.clientWidth, document.activeElement === box]";
    assert_eq!(browser.run(script, vec![]).await, json!([true, true]));
    press(&browser, Key::Right).await;
    let script = "return document.querySelector('.goals').parentElement.scrollLeft";
    crate::support::process::wait_for("a scroll", crate::browser::DEADLINE, async || {
        (browser.run(script, vec![]).await.as_f64()? > 0.0).then_some(())
    })
    .await;
    browser.close().await;
}
