//! Style sheet, script and icon: part of the program, at addresses that change with their content,
//! so that browsers keep them for ever.

use std::sync::OnceLock;

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/script.js");
const FAVICON: &str = include_str!("../assets/favicon.svg");

/// The addresses of what pages load.
#[derive(Debug, Clone)]
pub struct Assets {
    pub style: String,
    pub script: String,
    pub favicon: String,
}

impl Assets {
    #[must_use]
    pub fn get() -> &'static Self {
        static ASSETS: OnceLock<Assets> = OnceLock::new();
        ASSETS.get_or_init(|| Self {
            style: address("style", STYLE, "css"),
            script: address("script", SCRIPT, "js"),
            favicon: address("favicon", FAVICON, "svg"),
        })
    }

    /// Content type and content of what lies at `/assets/{name}`.
    #[must_use]
    pub fn find(name: &str) -> Option<(&'static str, &'static str)> {
        let assets = Self::get();
        let is = |address: &str| address.strip_prefix("/assets/") == Some(name);
        if is(&assets.style) {
            Some(("text/css; charset=utf-8", STYLE))
        } else if is(&assets.script) {
            Some(("text/javascript; charset=utf-8", SCRIPT))
        } else if is(&assets.favicon) {
            Some(("image/svg+xml", FAVICON))
        } else {
            None
        }
    }
}

fn address(name: &str, content: &str, extension: &str) -> String {
    let hash = blake3::hash(content.as_bytes()).to_hex();
    format!("/assets/{name}.{}.{extension}", &hash[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pages_link_to_is_there() {
        let assets = Assets::get();
        for address in [&assets.style, &assets.script, &assets.favicon] {
            let name = address.strip_prefix("/assets/").unwrap();
            assert!(Assets::find(name).is_some(), "{address}");
        }
        assert_eq!(Assets::find("style.css"), None);
    }

    #[test]
    fn the_style_loads_nothing() {
        for forbidden in ["url(", "@import", "http:", "https:"] {
            assert!(!STYLE.contains(forbidden), "{forbidden}");
        }
    }
}
