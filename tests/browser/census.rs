//! Every control of every page is known here and used by keyboard alone: a control that a page gains
//! fails this test until it is used too.

use std::collections::BTreeMap;
use std::fs;

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::beside::Beside;
use crate::browser::{Browser, DEADLINE};
use crate::everywhere::{ERRORS, OPEN_ALL, pages};
use crate::keyboard::press;
use crate::site::{SOURCE, Site, get};
use crate::support::process::{temporary_folder, wait_for};

/// What a control is there for, by keys alone.
#[derive(Debug, Clone, Copy)]
enum Use {
    /// Enter leads to its address, and something is there.
    Follow,
    /// Enter leads to the place on this page.
    Jump,
    /// Enter saves what its address holds.
    Download,
    /// Enter opens what it heads, and closes it again.
    Open,
    /// An arrow chooses another value, and the form's button shows the view that has it.
    Choose,
    /// What is typed stands in the address that Enter leads to.
    Type(&'static str, &'static str),
    /// Enter sends its form, and the new page's address has this.
    Send(&'static str),
    /// Enter presses it, and then this place has that text.
    Press(&'static str, &'static str),
    /// Space sorts by it.
    Sort,
    /// It has the focus, and the arrows move what does not fit.
    Scroll,
}

/// Every control: where it is, and its use.
const CONTROLS: [(&str, Use); 51] = [
    // On every page.
    ("a.skip", Use::Jump),
    ("header a.brand", Use::Follow),
    ("header input[name=q]", Use::Type("till", "q=till")),
    ("header .search button", Use::Send("?q=")),
    ("footer a[href='/api/openapi.json']", Use::Follow),
    (
        "footer [data-zone-toggle]",
        Use::Press("footer [data-zone-toggle]", "show them in UTC"),
    ),
    (".crumbs a", Use::Follow),
    (".table-box", Use::Scroll),
    ("main pre", Use::Scroll),
    (".empty a", Use::Follow),
    // The start page.
    ("section[aria-labelledby=sources-heading] th a", Use::Follow),
    ("section[aria-labelledby=agents-heading] th a", Use::Follow),
    (
        "section[aria-labelledby=agents-heading] td:nth-child(2) a",
        Use::Follow,
    ),
    (
        "section[aria-labelledby=agents-heading] td:last-child a:nth-child(1)",
        Use::Follow,
    ),
    (
        "section[aria-labelledby=agents-heading] td:last-child a:nth-child(2)",
        Use::Follow,
    ),
    (".sentence + p a[href='/']", Use::Follow),
    // A data source's page.
    ("form[method=post] button", Use::Send("asked=yes")),
    ("[role=status] a", Use::Follow),
    (
        ".concern [data-copy]",
        Use::Press(".concern [data-copy]", "Copied"),
    ),
    (
        "section[aria-labelledby=next-heading] [data-copy]",
        Use::Press(
            "section[aria-labelledby=next-heading] [data-copy]",
            "Copied",
        ),
    ),
    (
        "section[aria-labelledby=next-heading] a[href$='/counts']",
        Use::Download,
    ),
    ("tbody th a[download]", Use::Download),
    ("td summary", Use::Open),
    (".pages a[rel=next]", Use::Follow),
    (".pages a:not([rel])", Use::Follow),
    // An agent's reports.
    (".tabs a", Use::Follow),
    (".switch a", Use::Follow),
    (".to-filters a", Use::Jump),
    (".goals th a", Use::Follow),
    ("tbody th.code a", Use::Follow),
    (".method summary", Use::Open),
    (".pooled > summary", Use::Open),
    (".numbers-by-day summary", Use::Open),
    ("th button.sort", Use::Sort),
    ("#f-goal", Use::Choose),
    ("#f-metric", Use::Choose),
    ("#f-measure", Use::Choose),
    ("#f-groupBy", Use::Choose),
    ("#f-per", Use::Choose),
    ("#f-cumulative", Use::Choose),
    ("#f-traitGroup", Use::Choose),
    ("#f-traitValue", Use::Choose),
    ("#f-policy", Use::Choose),
    ("#f-baseline", Use::Choose),
    ("#f-interval", Use::Choose),
    ("#f-adjust", Use::Choose),
    // A date is typed as the browser's language has it.
    ("#f-from", Use::Type("01072026", "from=2026-01-07")),
    ("#f-to", Use::Type("01112026", "to=2026-01-11")),
    ("#f-confidence", Use::Type("0.9", "confidence=0.9")),
    ("#f-targetLift", Use::Type("0.05", "targetLift=0.05")),
    (".filters .actions button", Use::Send("?goal=")),
];

/// More controls of the same pages, whose addresses are of exactly this view.
const LINKS_OF_A_VIEW: [(&str, Use); 4] = [
    (".filters .actions a", Use::Follow),
    (".downloads a[download]", Use::Download),
    (".downloads a:nth-child(2)", Use::Follow),
    (
        ".downloads [data-copy-link]",
        Use::Press("[data-copy-said]", "the address now."),
    ),
];

fn controls() -> impl Iterator<Item = &'static (&'static str, Use)> {
    CONTROLS.iter().chain(&LINKS_OF_A_VIEW)
}

/// Whatever takes a focus or a click, but the main part, which only the first link leads to.
const INTERACTIVE: &str = "a, area, button, input:not([type=hidden]), select, textarea, summary, \
     iframe, audio, video, [contenteditable], [onclick], [role=button], \
     [tabindex]:not(main)";

/// Notes each place that the focus comes to, and those where it can't be seen.
const WATCH: &str = "
    const [interactive, selectors] = arguments;
    const all = [...document.querySelectorAll(interactive)].filter(e => e.checkVisibility());
    window.seen = new Set();
    window.unseen = [];
    document.addEventListener('focusin', ({ target }) => {
        window.seen.add(target);
        if (getComputedStyle(target).outlineStyle === 'none') window.unseen.push(target.outerHTML);
    });
    window.all = all;
    const known = all.map(e => selectors.findIndex(css => e.matches(css)));
    const dates = all.filter(e => e.type === 'date').length;
    // A select with one value is used where it has more.
    const usable = all.map(e => e.tagName !== 'SELECT' || e.options.length > 1);
    return [all.length + 4 * dates, known, usable, all.map(e => e.outerHTML.slice(0, 200))]";

const REACHED: &str = "return [window.unseen,
    window.all.filter(e => !window.seen.has(e)).map(e => e.outerHTML.slice(0, 200))]";

/// Walks a page by Tab alone: which controls it has, each of them known, reached and seen.
async fn walk(browser: &Browser, address: &str) -> Vec<usize> {
    browser.go(address).await;
    browser.run(OPEN_ALL, vec![]).await;
    let selectors: Vec<&str> = controls().map(|(css, _)| *css).collect();
    let found = browser
        .run(WATCH, vec![json!(INTERACTIVE), json!(selectors)])
        .await;
    let (stops, known, usable, html): (usize, Vec<i64>, Vec<bool>, Vec<String>) =
        serde_json::from_value(found).expect("a page's controls");
    for (at, html) in known.iter().zip(&html) {
        assert!(*at >= 0, "no test uses {html} of {address}");
    }
    let tabs = String::from(char::from(Key::Tab)).repeat(stops + 2);
    browser
        .find("body")
        .await
        .send_keys(&tabs)
        .await
        .expect("keys");
    let (unseen, unreached): (Vec<String>, Vec<String>) =
        serde_json::from_value(browser.run(REACHED, vec![]).await).expect("the walk");
    assert!(unseen.is_empty(), "{address}: focus not seen: {unseen:?}");
    assert!(unreached.is_empty(), "{address}: no Tab to {unreached:?}");
    let known = known.iter().zip(usable).filter(|(_, usable)| *usable);
    known
        .filter_map(|(at, _)| usize::try_from(*at).ok())
        .collect()
}

/// Gives the focus to the first that can be seen, as Tab has been shown to.
async fn focus(browser: &Browser, css: &str) {
    let script = "const [css] = arguments;
        const all = [...document.querySelectorAll(css)];
        window.control = all.find(e => e.checkVisibility());
        window.control.focus();
        return document.activeElement === window.control";
    assert_eq!(browser.run(script, vec![json!(css)]).await, true, "{css}");
}

async fn of_control(browser: &Browser, expression: &str) -> Value {
    let script = format!("return window.control.{expression}");
    browser.run(&script, vec![]).await
}

async fn text_of_control(browser: &Browser, property: &str) -> String {
    let value = of_control(browser, property).await;
    value.as_str().unwrap_or_default().to_owned()
}

/// Presses a key and waits for the page that it leads to.
async fn leave(browser: &Browser, key: Key) -> String {
    let before = browser.find("html").await;
    press(browser, key).await;
    browser.left(&before).await;
    browser.address().await
}

async fn perform(browser: &Browser, css: &str, with: Use) {
    focus(browser, css).await;
    match with {
        Use::Follow => {
            let href = text_of_control(browser, "href").await;
            assert_eq!(leave(browser, Key::Enter).await, href, "{css}");
            assert!(get(&href).is_ok(), "{css} leads to {href}");
        }
        Use::Jump => {
            let hash = text_of_control(browser, "hash").await;
            press(browser, Key::Enter).await;
            assert!(browser.address().await.ends_with(&hash), "{css}");
            assert_eq!(browser.count(&hash).await, 1, "{css}");
        }
        Use::Download => {
            let href = text_of_control(browser, "href").await;
            let folder = temporary_folder("downloads");
            browser.download_into(&folder).await;
            press(browser, Key::Enter).await;
            assert_eq!(
                browser.downloaded(&folder).await,
                get(&href).expect("a download"),
                "{css}"
            );
            fs::remove_dir_all(&folder).expect("it goes");
        }
        Use::Open => {
            let was = of_control(browser, "parentElement.open").await;
            for open in [!was.as_bool().expect("a details element"), was == true] {
                press(browser, Key::Enter).await;
                let is = of_control(browser, "parentElement.open").await;
                assert_eq!(is, json!(open), "{css}");
            }
        }
        Use::Choose => {
            let was = text_of_control(browser, "value").await;
            let last = of_control(browser, "selectedIndex").await
                == of_control(browser, "options.length - 1").await;
            press(browser, if last { Key::Up } else { Key::Down }).await;
            let is = text_of_control(browser, "value").await;
            assert_ne!(is, was, "{css}");
            focus(browser, ".filters button[type=submit]").await;
            leave(browser, Key::Enter).await;
            focus(browser, css).await;
            assert_eq!(text_of_control(browser, "value").await, is, "{css}");
        }
        Use::Type(keys, pair) => {
            let date = text_of_control(browser, "type").await == "date";
            if !date {
                browser.find(css).await.clear().await.expect("a field");
                focus(browser, css).await;
            }
            let active = browser.client.active_element().await.expect("a focus");
            active.send_keys(keys).await.expect("keys");
            let address = leave(browser, Key::Enter).await;
            assert!(address.contains(pair), "{css}: {address}");
        }
        Use::Send(part) => {
            let address = leave(browser, Key::Enter).await;
            assert!(address.contains(part), "{css}: {address}");
        }
        Use::Press(place, text) => {
            press(browser, Key::Enter).await;
            wait_for("what it says", DEADLINE, async || {
                browser.text(place).await.contains(text).then_some(())
            })
            .await;
        }
        Use::Sort => {
            for direction in ["ascending", "descending"] {
                press(browser, Key::Space).await;
                let sorted = of_control(browser, "parentElement.ariaSort").await;
                assert_eq!(sorted, direction, "{css}");
            }
        }
        Use::Scroll => {
            if of_control(browser, "scrollWidth > window.control.clientWidth").await == true {
                press(browser, Key::Right).await;
                wait_for("a scroll", DEADLINE, async || {
                    (of_control(browser, "scrollLeft").await.as_f64()? > 0.0).then_some(())
                })
                .await;
            }
        }
    }
}

/// With a thread for the server beside it, which answers while this one asks.
#[tokio::test(flavor = "multi_thread")]
async fn every_control_of_every_page_is_used_by_keyboard_alone() {
    let site = Site::shared().await;
    let beside = Beside::start().await;
    let empty = Site::start(temporary_folder("census")).await;
    let mut addresses = vec![empty.at("/")];
    addresses.extend(pages().iter().map(|(_, path)| site.at(path)));
    addresses.extend(ERRORS.iter().map(|(path, _)| site.at(path)));
    addresses.push(site.at(&format!("{SOURCE}?asked=yes")));
    addresses.extend(beside.pages());
    let browser = Browser::open().await;
    browser.time_zone("Asia/Tokyo").await;
    let mut first = BTreeMap::new();
    for width in [320, 1280] {
        browser.resize(width, 900).await;
        for address in &addresses {
            for control in walk(&browser, address).await {
                first.entry(control).or_insert((width, address.clone()));
            }
        }
    }
    for (at, (css, with)) in controls().enumerate() {
        let (width, address) = first
            .get(&at)
            .unwrap_or_else(|| panic!("no page has {css}"));
        browser.resize(*width, 900).await;
        browser.go(address).await;
        if !matches!(with, Use::Open) {
            browser.run(OPEN_ALL, vec![]).await;
        }
        perform(&browser, css, *with).await;
    }
    browser.close().await;
}
