//! A picture of every page, in light and dark:
//! `SUMSQ_SCREENSHOTS=FOLDER cargo test --test browser screenshots`. Without the folder the pictures
//! are taken and let go.

use std::{env, fs, path::PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::browser::{Browser, Scheme};
use crate::everywhere::pages;
use crate::site::Site;

/// How every PNG begins.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

#[tokio::test]
async fn screenshots() {
    let folder = env::var_os("SUMSQ_SCREENSHOTS").map(PathBuf::from);
    let site = Site::shared().await;
    let browser = Browser::open().await;
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.prefer(scheme).await;
        for (name, path) in pages() {
            for width in [1280, 320] {
                browser.resize(width, 800).await;
                browser.go(&site.at(&path)).await;
                let picture = STANDARD.decode(browser.picture(width).await).unwrap();
                assert!(picture.starts_with(SIGNATURE), "{name}");
                if let Some(folder) = &folder {
                    fs::create_dir_all(folder).unwrap();
                    let file = format!("{name}-{}-{width}.png", scheme.name());
                    fs::write(folder.join(file), picture).unwrap();
                }
            }
        }
    }
    browser.close().await;
}
