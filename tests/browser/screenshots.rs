//! A picture of every page, in light and dark, wide and narrow, and those that docs/images has:
//! `SUMSQ_SCREENSHOTS=FOLDER cargo test --test browser screenshots`. Without the folder the pictures
//! are taken and let go.

use std::{env, fs, path::PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::browser::{Browser, Scheme};
use crate::everywhere::pages;
use crate::site::{ALARMED, BETTER, Site};

/// What docs/images has, with the height of what is seen of it.
const FOR_DOCS: [(&str, &str, Scheme, u32); 3] = [
    ("testing-report", BETTER, Scheme::Light, 1020),
    ("testing-report-alarm", ALARMED, Scheme::Dark, 1020),
    (
        "activity-report",
        "/namespaces/default/agents/checkout-button/activity?goal=purchase&measure=rate\
         &groupBy=variation&per=week",
        Scheme::Light,
        720,
    ),
];

/// How every PNG begins.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

#[tokio::test]
async fn screenshots() {
    let site = Site::shared().await;
    let browser = Browser::open().await;
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.prefer(scheme).await;
        for (name, path) in pages() {
            for width in [1280, 320] {
                browser.resize(width, 800).await;
                browser.go(&site.at(&path)).await;
                let height = browser.height().await;
                browser.resize(width, height).await;
                let name = format!("{name}-{}-{width}", scheme.name());
                keep(&name, &browser.picture().await);
            }
        }
    }
    for (name, path, scheme, height) in FOR_DOCS {
        browser.prefer(scheme).await;
        browser.resize(1200, height).await;
        browser.go(&site.at(path)).await;
        keep(&format!("docs-{name}"), &browser.picture().await);
    }
    browser.close().await;
}

pub fn keep(name: &str, base64: &str) {
    let picture = STANDARD.decode(base64).unwrap();
    assert!(picture.starts_with(SIGNATURE), "{name}");
    if let Some(folder) = env::var_os("SUMSQ_SCREENSHOTS").map(PathBuf::from) {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }
}
