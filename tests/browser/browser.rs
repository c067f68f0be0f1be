//! A Chromium of the test's own, driven by the shared ChromeDriver.

use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::http::Method;
use fantoccini::elements::Element;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use url::{ParseError, Url};

use crate::support::process::{
    Server, ServerCommand, free_port, temporary_folder, testbed_path, wait_for,
};

pub const DEADLINE: Duration = Duration::from_secs(30);

/// Light or dark, as the reader's system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

#[derive(Debug)]
pub struct Browser {
    pub client: Client,
}

/// Starts the driver once, for all tests of this process.
async fn driver() -> u16 {
    static DRIVER: OnceCell<(Server, u16)> = OnceCell::const_new();
    let (_, port) = DRIVER
        .get_or_init(|| async {
            let folder = temporary_folder("chromedriver");
            let port = free_port();
            let server =
                ServerCommand::new("chromedriver", testbed_path("SUMSQ_TEST_CHROMEDRIVER"))
                    .arg(format!("--port={port}"))
                    .removes(&folder)
                    .start(&folder);
            let status = format!("http://127.0.0.1:{port}/status");
            server
                .ready(DEADLINE, async || crate::site::get(&status).is_ok())
                .await;
            (server, port)
        })
        .await;
    *port
}

/// The driver's own commands, beyond the standard.
#[derive(Debug)]
struct Chromium(&'static str, Value);

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

impl Browser {
    /// A window of 1280 by 900 pixels.
    pub async fn open() -> Self {
        let folder = temporary_folder("chromium");
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--lang=en-US",
            "--hide-scrollbars",
        ];
        let mut args: Vec<String> = flags.map(str::to_owned).to_vec();
        args.push(format!("--user-data-dir={}", folder.display()));
        let mut capabilities = Capabilities::new();
        capabilities.insert(
            "goog:chromeOptions".to_owned(),
            json!({"binary": testbed_path("SUMSQ_TEST_CHROMIUM"), "args": args}),
        );
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({"browser": "ALL"}));
        let driver = format!("http://127.0.0.1:{}", driver().await);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver)
            .await
            .expect("Chromium starts");
        let browser = Self { client };
        browser.resize(1280, 900).await;
        browser
    }

    pub async fn close(self) {
        self.client.close().await.expect("Chromium ends");
    }

    pub async fn go(&self, address: &str) {
        self.client.goto(address).await.expect("a page");
    }

    pub async fn address(&self) -> String {
        self.client.current_url().await.expect("an address").into()
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.client
            .issue_cmd(Chromium("goog/cdp/execute", body))
            .await
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Of the page itself, not of a window around it.
    pub async fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    pub async fn prefer(&self, scheme: Scheme) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme.name()});
        self.devtools("Emulation.setEmulatedMedia", json!({"features": [feature]}))
            .await;
    }

    pub async fn time_zone(&self, zone: &str) {
        let zone = json!({"timezoneId": zone});
        self.devtools("Emulation.setTimezoneOverride", zone).await;
    }

    /// What a copy has left to paste.
    pub async fn pasted(&self) -> String {
        let permission = json!({"permissions": ["clipboardReadWrite"]});
        self.devtools("Browser.grantPermissions", permission).await;
        let script = "const done = arguments[0]; \
             navigator.clipboard.readText().then(done, error => done(String(error)))";
        let text = self.client.execute_async(script, vec![]).await;
        serde_json::from_value(text.expect("a clipboard")).expect("a text")
    }

    /// What is saved from now on goes there.
    pub async fn download_into(&self, folder: &Path) {
        let place = json!({"behavior": "allow", "downloadPath": folder});
        self.devtools("Browser.setDownloadBehavior", place).await;
    }

    /// The one file that is saved there, when it is whole.
    pub async fn downloaded(&self, folder: &Path) -> String {
        wait_for("a download", DEADLINE, async || {
            let files = fs::read_dir(folder).expect("the folder");
            let mut paths = files.map(|file| file.expect("a file").path());
            let path = paths.next().filter(|_| paths.next().is_none())?;
            let whole = path.extension().is_some_and(|extension| extension == "csv");
            whole.then(|| fs::read_to_string(path).expect("the file"))
        })
        .await
    }

    /// As a reader whose browser runs no script has it.
    pub async fn without_script(&self) {
        self.devtools("Network.enable", json!({})).await;
        let scripts = json!({"urls": ["*/assets/script*"]});
        self.devtools("Network.setBlockedURLs", scripts).await;
    }

    /// Of the whole page, in pixels.
    pub async fn height(&self) -> u32 {
        let script = "return document.documentElement.scrollHeight";
        let height = self.run(script, vec![]).await.as_u64();
        u32::try_from(height.expect("a height")).expect("no endless page")
    }

    /// What is in view as a PNG, in base64.
    pub async fn picture(&self) -> String {
        let picture = self
            .devtools("Page.captureScreenshot", json!({"format": "png"}))
            .await;
        picture["data"].as_str().expect("a picture").to_owned()
    }

    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client
            .execute(script, arguments)
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// What the console has said since the last time, of any level.
    pub async fn console(&self) -> Vec<String> {
        let said = self
            .client
            .issue_cmd(Chromium("se/log", json!({"type": "browser"})))
            .await
            .expect("a log");
        said.as_array()
            .expect("entries")
            .iter()
            .map(|entry| format!("{} {}", entry["level"], entry["message"]))
            .collect()
    }

    /// Addresses that this page has loaded, itself included.
    pub async fn loaded(&self) -> Vec<String> {
        let script = "return [location.href, \
                      ...performance.getEntriesByType('resource').map(entry => entry.name)]";
        let loaded = self.run(script, vec![]).await;
        serde_json::from_value(loaded).expect("addresses")
    }

    /// What axe finds: the rule, what it is about, and why. What it leaves undecided is found too,
    /// but for the contrast of texts, which is then measured here.
    pub async fn axe(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(testbed_path("SUMSQ_TEST_AXE")).expect("axe");
        self.run(&axe, vec![]).await;
        let script = "const done = arguments[0]; \
             const lines = rules => rules.map(rule => `${rule.id}: ${rule.help}: ` + \
             rule.nodes.map(node => node.html + ' ' + node.failureSummary).join('; ')); \
             const isContrast = rule => rule.id === 'color-contrast'; \
             axe.run(document).then(found => done([ \
             lines([...found.violations, ...found.incomplete.filter(rule => !isContrast(rule))]), \
             found.incomplete.filter(isContrast).flatMap(rule => \
             rule.nodes.map(node => node.target[0]))]), \
             error => done([[String(error)], []]))";
        let found = self
            .client
            .execute_async(script, vec![])
            .await
            .expect("axe");
        let (mut found, undecided): (Vec<String>, Value) =
            serde_json::from_value(found).expect("what axe found");
        let measured = self
            .run(include_str!("undecided.js"), vec![undecided])
            .await;
        found.extend(serde_json::from_value::<Vec<String>>(measured).expect("contrasts"));
        found
    }

    pub async fn find(&self, css: &str) -> Element {
        self.client
            .find(Locator::Css(css))
            .await
            .unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    pub async fn count(&self, css: &str) -> usize {
        let found = self.client.find_all(Locator::Css(css)).await;
        found.expect("a list").len()
    }

    pub async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.expect("text")
    }

    /// What is shown in all places that match.
    pub async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.client.find_all(Locator::Css(css)).await.unwrap() {
            texts.push(element.text().await.unwrap());
        }
        texts
    }

    /// Clicks what leads elsewhere, and waits until that is there.
    pub async fn follow(&self, css: &str) {
        let before = self.find("html").await;
        self.find(css).await.click().await.expect("a click");
        self.left(&before).await;
    }

    /// Waits until the page of `before` is gone and another one is whole.
    pub async fn left(&self, before: &Element) {
        wait_for("another page", DEADLINE, async || {
            let gone = before.tag_name().await.is_err();
            let ready = self.client.execute("return document.readyState", vec![]);
            (gone && ready.await.ok()? == "complete").then_some(())
        })
        .await;
    }
}
