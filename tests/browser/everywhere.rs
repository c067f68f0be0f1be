//! What holds on every page, wide and narrow, light and dark.

use crate::beside::{Beside, COUNTS};
use crate::browser::{Browser, Scheme};
use crate::site::{ALARMED, BETTER, FAILING, HOSTILE_PATH, SOURCE, Site, TILL, UNDECIDED};
use crate::support::process::temporary_folder;

/// Every kind of page, with its variants.
pub fn pages() -> Vec<(&'static str, String)> {
    let pages = [
        ("start", "/".to_owned()),
        ("search", "/?q=till".to_owned()),
        (
            "search-nothing",
            "/?q=nothing%20is%20called%20so".to_owned(),
        ),
        ("source", SOURCE.to_owned()),
        ("source-warned", TILL.to_owned()),
        ("source-failing", FAILING.to_owned()),
        ("testing-better", BETTER.to_owned()),
        ("testing-undecided", UNDECIDED.to_owned()),
        ("testing-alarm", ALARMED.to_owned()),
        ("testing-hostile", format!("{HOSTILE_PATH}?traitGroup=area")),
        (
            "testing-by-trait",
            format!(
                "{BETTER}?traitGroup=loyalty-status&goal=orders&metric=value&\
                 interval=alwaysValid&targetLift=0.05"
            ),
        ),
        ("activity", format!("{BETTER}/activity?groupBy=variation")),
        (
            "activity-by-trait",
            format!(
                "{BETTER}/activity?groupBy=trait&traitGroup=loyalty-status&per=week&measure=rate"
            ),
        ),
        (
            "activity-many-groups",
            format!("{HOSTILE_PATH}/activity?groupBy=trait&traitGroup=hour"),
        ),
        (
            "activity-total",
            format!("{BETTER}/activity?per=total&goal=orders&measure=value"),
        ),
    ];
    pages.to_vec()
}

/// Pages that say that there is nothing, with their status.
pub const ERRORS: [(&str, u16); 4] = [
    ("/nowhere", 404),
    ("/namespaces/default/agents/nobody", 404),
    ("/namespaces/default/data-sources/none", 404),
    (
        "/namespaces/default/agents/recommendations?confidence=2",
        400,
    ),
];

/// Opens every details element, so that what is in it is looked at too.
pub const OPEN_ALL: &str = "document.querySelectorAll('details').forEach(d => { d.open = true })";

async fn looks_right(browser: &Browser, base: &str, name: &str, path: &str, axe: bool) {
    browser.go(&format!("{base}{path}")).await;
    browser.run(OPEN_ALL, vec![]).await;
    for loaded in browser.loaded().await {
        assert!(loaded.starts_with(base), "{name} loads {loaded}");
    }
    let widths = browser
        .run(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]",
            vec![],
        )
        .await;
    assert!(
        widths[0].as_u64() <= widths[1].as_u64(),
        "{name} scrolls sideways: {widths}"
    );
    if axe {
        let found = browser.axe().await;
        assert!(found.is_empty(), "{name}: {}", found.join("\n"));
    }
}

async fn all_look_right(scheme: Scheme, width: u32) {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.prefer(scheme).await;
    browser.resize(width, 900).await;
    for (name, path) in pages() {
        looks_right(&browser, &site.base, name, &path, true).await;
        let said = browser.console().await;
        assert!(said.is_empty(), "{name}: {}", said.join("\n"));
    }
    for (path, status) in ERRORS {
        looks_right(&browser, &site.base, path, path, true).await;
        assert_eq!(browser.text("main .quiet").await, status.to_string());
        // The browser itself says that the page's status is an error; nothing else.
        let said = browser.console().await;
        let own = |line: &&String| !line.contains("Failed to load resource");
        assert_eq!(said.iter().find(own), None, "{path}");
    }
    browser.close().await;
}

#[tokio::test]
async fn wide_and_light() {
    all_look_right(Scheme::Light, 1280).await;
}

#[tokio::test]
async fn wide_and_dark() {
    all_look_right(Scheme::Dark, 1280).await;
}

#[tokio::test]
async fn on_a_phone_in_light() {
    all_look_right(Scheme::Light, 320).await;
}

#[tokio::test]
async fn on_a_phone_in_dark() {
    all_look_right(Scheme::Dark, 320).await;
}

#[tokio::test]
async fn the_schemes_differ() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    let mut papers = Vec::new();
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.prefer(scheme).await;
        browser.go(&site.at("/")).await;
        let paper = "return getComputedStyle(document.body).backgroundColor";
        papers.push(browser.run(paper, vec![]).await);
    }
    assert_ne!(papers[0], papers[1]);
    browser.close().await;
}

/// With a thread for the server beside it, which answers while this one asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_the_page_of_several_files_of_counts() {
    let beside = Beside::start().await;
    let browser = Browser::open().await;
    for (scheme, width) in [(Scheme::Light, 1280), (Scheme::Dark, 320)] {
        browser.prefer(scheme).await;
        browser.resize(width, 900).await;
        looks_right(&browser, &beside.base, "counts", COUNTS, true).await;
        assert_eq!(browser.text("tbody").await.matches("Part ").count(), 2);
        let said = browser.console().await;
        assert!(said.is_empty(), "{}", said.join("\n"));
    }
    browser.close().await;
}

#[tokio::test]
async fn with_nothing_there_the_start_page_says_what_to_do_first() {
    let site = Site::start(temporary_folder("empty")).await;
    let browser = Browser::open().await;
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.prefer(scheme).await;
        looks_right(&browser, &site.base, "empty", "/", true).await;
    }
    let text = browser.text("main").await;
    assert!(text.contains("There is no data source yet."), "{text}");
    // What it tells to write is a manifest that is taken.
    let manifest = browser.text("main pre").await;
    let (_, rest) = manifest.split_once("<<'YAML'\n").expect("a here document");
    let yaml = rest.strip_suffix("YAML").expect("its end");
    std::fs::write(site.folder.join("my-counts.yaml"), yaml).unwrap();
    crate::support::process::wait_for(
        "the new data source",
        crate::browser::DEADLINE,
        async || {
            browser.go(&site.at("/")).await;
            browser
                .text("main")
                .await
                .contains("My counts")
                .then_some(())
        },
    )
    .await;
    browser.close().await;
}

#[tokio::test]
async fn pages_work_without_the_script() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.without_script().await;
    browser.go(&site.at(BETTER)).await;
    assert_eq!(browser.count("svg.chart").await, 3);
    browser.follow(".filters button[type=submit]").await;
    assert!(browser.address().await.contains("confidence=0.95"));
    browser.follow("a[data-copy-link]").await;
    assert!(browser.address().await.contains("adjust=bonferroni"));
    browser.go(&site.at(FAILING)).await;
    assert_eq!(browser.count("button[data-copy]:not([hidden])").await, 0);
    browser.close().await;
}

#[tokio::test]
async fn a_short_code_stays_in_one_piece_on_a_phone() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    browser.resize(320, 900).await;
    for path in [
        BETTER.to_owned(),
        format!("{BETTER}?traitGroup=loyalty-status"),
    ] {
        browser.go(&site.at(&path)).await;
        browser.run(OPEN_ALL, vec![]).await;
        let counted = browser
            .run(
                "const codes = [...document.querySelectorAll('td .code:not(.sub), th .code:not(.sub), th.code a')];
                codes.forEach(code => { code.textContent = 'ctl-/9' });
                const lines = code => {
                    const range = document.createRange();
                    range.selectNodeContents(code);
                    return new Set([...range.getClientRects()].map(rect => rect.top)).size;
                };
                return [codes.length, codes.filter(code => lines(code) > 1).length]",
                vec![],
            )
            .await;
        assert!(counted[0].as_u64() > Some(3), "{path}: {counted}");
        assert_eq!(counted[1], 0, "{path}: {counted}");
    }
    browser.close().await;
}
