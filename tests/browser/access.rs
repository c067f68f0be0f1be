//! Signing in, being turned away, and fetching, as a reader meets them.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::browser::{Browser, Scheme};
use crate::fixture::Site;
use crate::rbac::{Guarded, Rbac};
use crate::screenshots::keep;

const PAGE: &str = "/namespaces/growth/data-sources/internal-conversions";

/// A server that asks who one is: the editor may see and fetch in growth, the stranger nothing.
struct Door {
    port: u16,
    rbac: Arc<Rbac>,
    _guarded: Guarded,
}

impl Door {
    async fn open() -> Self {
        let guarded = Guarded::over(Site::filled().await);
        let rbac = Arc::clone(&guarded.rbac);
        for action in [
            "get datasources/report",
            "get agents/report",
            "patch datasources",
        ] {
            rbac.allow("editor", action, "growth");
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = guarded.site.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            port,
            rbac,
            _guarded: guarded,
        }
    }

    fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Wide and narrow, light and dark: axe finds nothing, and nothing sticks out.
async fn looked_at(browser: &Browser, name: &str) {
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.prefer(scheme).await;
        for width in [1280, 320] {
            browser.resize(width, 900).await;
            let found = browser.axe().await;
            assert!(found.is_empty(), "{name} {width}: {found:?}");
            let script = "return document.documentElement.scrollWidth";
            let wide = browser.run(script, vec![]).await.as_u64().unwrap();
            assert!(wide <= width.into(), "{name} is {wide} wide on {width}");
            keep(
                &format!("{name}-{}-{width}", scheme.name()),
                &browser.picture().await,
            );
        }
    }
    browser.prefer(Scheme::Light).await;
    browser.resize(1280, 900).await;
}

async fn sign_in(browser: &Browser, token: &str) {
    let field = browser.find("#token").await;
    field.send_keys(token).await.unwrap();
    browser.follow("main form button").await;
}

#[tokio::test]
async fn in_at_the_page_that_was_asked_for_and_out_again() {
    let door = Door::open().await;
    let browser = Browser::open().await;
    browser.go(&door.at(PAGE)).await;
    assert_eq!(browser.text("h1").await, "Sign in");
    looked_at(&browser, "sign-in").await;
    sign_in(&browser, "forged").await;
    let refused = browser.text("[role=alert]").await;
    assert!(refused.contains("does not take this token"), "{refused}");
    looked_at(&browser, "sign-in-refused").await;

    sign_in(&browser, "editor").await;
    assert_eq!(browser.address().await, door.at(PAGE));
    let script = "return document.cookie";
    let cookie = browser.run(script, vec![]).await;
    assert_eq!(cookie, "", "no script reads it");
    looked_at(&browser, "source-of-an-editor").await;
    browser.follow("form[method=post] button").await;
    let said = browser.text("[role=status]").await;
    assert!(said.contains("A fetch was asked for."), "{said}");
    let fetched = door.rbac.fetched.lock().unwrap().clone();
    assert_eq!(fetched, ["growth/internal-conversions by editor"]);

    browser.follow("a.account").await;
    assert_eq!(browser.text("dd.code").await, "editor");
    looked_at(&browser, "account").await;
    browser.follow("main form button").await;
    let said = browser.text("[role=status]").await;
    assert!(said.contains("You are signed out."), "{said}");
    browser.go(&door.at(PAGE)).await;
    assert_eq!(browser.text("h1").await, "Sign in");
    let said = browser.console().await;
    let other: Vec<_> = said
        .iter()
        // Chromium's own words of a token that was not taken, and of the cache that is emptied.
        .filter(|said| !(said.contains("/sign-in") && said.contains("status of 4")))
        .filter(|said| !said.contains("Clear-Site-Data"))
        .collect();
    assert!(other.is_empty(), "{said:?}");
    browser.close().await;
}

#[tokio::test]
async fn who_may_not_learns_what_to_ask_for() {
    let door = Door::open().await;
    let browser = Browser::open().await;
    browser.go(&door.at(PAGE)).await;
    sign_in(&browser, "stranger").await;
    assert_eq!(browser.text("h1").await, "That is not allowed");
    let command = browser.text("pre").await;
    assert_eq!(
        command,
        "kubectl -n growth create rolebinding sumsq-report-viewer-stranger \
         --clusterrole=sumsq-report-viewer --user=stranger"
    );
    browser
        .find("button[data-copy]")
        .await
        .click()
        .await
        .unwrap();
    assert_eq!(browser.pasted().await, command);
    looked_at(&browser, "forbidden").await;
    browser.go(&door.at("/")).await;
    let said = browser.text("main").await;
    assert!(
        said.contains("There is nothing that you may see."),
        "{said}"
    );
    looked_at(&browser, "start-of-a-stranger").await;
    browser.close().await;
}

/// A browser keeps a cookie of SameSite=Strict back from whoever comes by another site's link.
#[tokio::test]
async fn a_link_from_another_site_leads_to_the_page() {
    let door = Door::open().await;
    let browser = Browser::open().await;
    browser.go(&door.at(PAGE)).await;
    sign_in(&browser, "editor").await;
    // To browsers this is another site than the address.
    let elsewhere = format!("http://localhost:{}/sign-in", door.port);
    browser.go(&elsewhere).await;
    let script = "const link = document.createElement('a'); link.href = arguments[0]; \
                  link.id = 'there'; link.textContent = 'there'; \
                  document.querySelector('main').prepend(link)";
    browser.run(script, vec![door.at(PAGE).into()]).await;
    browser.find("#there").await.click().await.unwrap();
    crate::support::process::wait_for("the page", crate::browser::DEADLINE, async || {
        let script = "return document.querySelector('h1')?.textContent ?? ''";
        let seen = browser.client.execute(script, vec![]).await.ok()?;
        (seen == "The internal-conversions").then_some(())
    })
    .await;
    assert_eq!(browser.address().await, door.at(PAGE));
    browser.close().await;
}
