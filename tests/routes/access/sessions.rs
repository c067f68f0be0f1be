//! Signing in and out, and what a browser sends along for others.

use axum::http::{Method, StatusCode};

use super::rbac::Guarded;
use crate::fixture::Answer;

const READ_SOURCES: &str = "get datasources/report";
const PAGE: &str = "/namespaces/growth/data-sources/internal-conversions";

/// As the browser sends it back.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap().to_owned()
}

async fn sign_in(guarded: &Guarded, token: &str) -> String {
    let body = format!("token={token}");
    let answer = guarded.ask(Method::POST, "/sign-in", &[], &body).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    cookie(&answer)
}

fn word(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"word\" value=\"").expect("a form");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn from_a_link_through_the_sign_in_to_the_page() {
    let guarded = Guarded::filled().await;
    guarded.rbac.allow("alice", READ_SOURCES, "growth");
    let wanted = format!("{PAGE}?before=00000000-0000-0000-0000-000000000000");
    let led = guarded.ask(Method::GET, &wanted, &[], "").await;
    assert_eq!(led.status, StatusCode::SEE_OTHER);
    let form_at = led.header("location").unwrap().to_owned();
    let form = guarded.ask(Method::GET, &form_at, &[], "").await;
    assert_eq!(form.status, StatusCode::OK);
    let hidden = format!("name=\"next\" value=\"{wanted}\"");
    assert!(form.body.contains(&hidden), "{}", form.body);

    let body = "token=alice&next=%2Fnamespaces%2Fgrowth%2Fdata-sources%2Finternal-conversions";
    let signed = guarded.ask(Method::POST, "/sign-in", &[], body).await;
    assert_eq!(signed.status, StatusCode::SEE_OTHER);
    assert_eq!(signed.header("location"), Some(PAGE));
    assert_eq!(signed.header("cache-control"), Some("no-store"));
    let set = signed.header("set-cookie").unwrap();
    assert!(set.contains("; HttpOnly; SameSite=Strict; Path=/"), "{set}");
    assert!(!set.contains("alice") && !set.contains("Secure"), "{set}");
    let held = cookie(&signed);
    let page = guarded
        .ask(Method::GET, PAGE, &[("cookie", &held)], "")
        .await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("href=\"/account\""));
    let account = guarded
        .ask(Method::GET, "/account", &[("cookie", &held)], "")
        .await;
    assert!(account.body.contains("alice"), "{}", account.body);

    // Out again: the browser forgets it.
    let body = format!("word={}", word(&account.body));
    let out = guarded
        .ask(Method::POST, "/sign-out", &[("cookie", &held)], &body)
        .await;
    assert_eq!(out.status, StatusCode::SEE_OTHER);
    assert_eq!(out.header("location"), Some("/sign-in?out=yes"));
    assert_eq!(out.header("clear-site-data"), Some("\"cache\""));
    let set = out.header("set-cookie").unwrap();
    assert!(
        set.starts_with("sumsq-session=;") && set.contains("Max-Age=0"),
        "{set}"
    );
}

#[tokio::test]
async fn behind_tls_a_cookie_is_for_tls_alone() {
    let guarded = Guarded::filled().await;
    let behind = ("x-forwarded-proto", "https");
    let signed = guarded
        .ask(Method::POST, "/sign-in", &[behind], "token=alice")
        .await;
    let set = signed.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-sumsq-session="), "{set}");
    assert!(set.contains("; Secure;"), "{set}");
    assert_eq!(
        signed.header("strict-transport-security"),
        Some("max-age=31536000")
    );
    let held = cookie(&signed);
    let seen = guarded
        .ask(Method::GET, "/", &[("cookie", &held), behind], "")
        .await;
    assert_eq!(seen.status, StatusCode::OK);
    // And the other way round it is none.
    let seen = guarded
        .ask(Method::GET, "/", &[("cookie", &held)], "")
        .await;
    assert_eq!(seen.status, StatusCode::SEE_OTHER);
    assert_eq!(seen.header("strict-transport-security"), None);
}

#[tokio::test]
async fn a_cookie_that_was_touched_is_none() {
    let guarded = Guarded::filled().await;
    let held = sign_in(&guarded, "alice").await;
    let (name, value) = held.split_once('=').unwrap();
    guarded.rbac.asked();
    for forged in [
        format!("{name}=alice"),
        format!("{name}="),
        format!("{name}={}", &value[..value.len() - 8]),
        format!("{name}=A{}", &value[1..]),
        format!("__Host-{name}={value}"),
        format!("{held}; {held}"),
    ] {
        let seen = guarded
            .ask(Method::GET, "/account", &[("cookie", &forged)], "")
            .await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{forged}");
    }
    assert_eq!(guarded.rbac.asked(), Vec::<String>::new());
    // It ends after twelve hours.
    for (second, status) in [(12 * 3600 - 1, 200), (12 * 3600, 303)] {
        guarded.at(second);
        let seen = guarded
            .ask(Method::GET, "/account", &[("cookie", &held)], "")
            .await;
        assert_eq!(seen.status, status, "{second}");
    }
    // A header that makes no sense is not made up for by a cookie.
    guarded.at(0);
    let both = [
        ("cookie", held.as_str()),
        ("authorization", "Bearer forged"),
    ];
    let seen = guarded.ask(Method::GET, "/api/v1/agents", &both, "").await;
    assert_eq!(seen.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn who_is_not_taken_is_told_why() {
    let guarded = Guarded::filled().await;
    let long = "a".repeat(2_901);
    for (token, status, said) in [
        (
            "forged",
            401,
            "The Kubernetes API server does not take this token",
        ),
        ("", 401, "This is no token: paste all of it"),
        ("a+b", 401, "This is no token"),
        (&long, 422, "longer than the 2900 bytes"),
    ] {
        let body = format!("token={token}&next=%2Faccount");
        let answer = guarded.ask(Method::POST, "/sign-in", &[], &body).await;
        assert_eq!(answer.status, status, "{said}");
        assert!(answer.body.contains(said), "{}", answer.body);
        assert!(
            answer.body.contains("value=\"/account\""),
            "it leads on from there"
        );
        assert_eq!(answer.header("set-cookie"), None);
        assert!(token.is_empty() || !answer.body.contains(&format!("\"{token}\"")));
    }
    for (body, status) in [
        ("token=a&token=b".to_owned(), 400),
        (format!("token={}", "a".repeat(20_000)), 413),
    ] {
        let answer = guarded.ask(Method::POST, "/sign-in", &[], &body).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn nobody_is_led_elsewhere() {
    let guarded = Guarded::filled().await;
    for next in [
        "https%3A%2F%2Felsewhere.example",
        "%2F%2Felsewhere.example",
        "%2F%5Celsewhere.example",
        "%2F%09%2Felsewhere.example",
        "javascript%3Aalert(1)",
    ] {
        let form = guarded
            .ask(Method::GET, &format!("/sign-in?next={next}"), &[], "")
            .await;
        assert!(
            form.body.contains("name=\"next\" value=\"/\""),
            "{}",
            form.body
        );
        let body = format!("token=alice&next={next}");
        let answer = guarded.ask(Method::POST, "/sign-in", &[], &body).await;
        assert_eq!(answer.header("location"), Some("/"), "{next}");
    }
}

#[tokio::test]
async fn another_site_does_nothing_in_a_readers_name() {
    let guarded = Guarded::filled().await;
    guarded.rbac.allow("alice", READ_SOURCES, "growth");
    guarded.rbac.allow("alice", "patch datasources", "growth");
    let held = sign_in(&guarded, "alice").await;
    let page = guarded
        .ask(Method::GET, PAGE, &[("cookie", &held)], "")
        .await;
    let good = format!("word={}", word(&page.body));
    let of_another_session = {
        let other = sign_in(&guarded, "alice").await;
        let page = guarded
            .ask(Method::GET, PAGE, &[("cookie", &other)], "")
            .await;
        format!("word={}", word(&page.body))
    };
    let fetch = format!("{PAGE}/fetch");
    let host = ("host", "reports.example");
    let cookie = ("cookie", held.as_str());
    let cross = ("sec-fetch-site", "cross-site");
    let origin = ("origin", "https://elsewhere.example");
    let own = ("origin", "https://reports.example");
    for (headers, body, status) in [
        (&[host, cookie, own][..], good.as_str(), 303),
        (&[host, cookie], &good, 303),
        (&[host, cookie, cross], &good, 403),
        (&[host, cookie, origin], &good, 403),
        (&[host, cookie, ("origin", "null")], &good, 403),
        (&[host, cookie, own], "", 403),
        (&[host, cookie, own], &of_another_session, 403),
    ] {
        for address in [fetch.as_str(), "/sign-out"] {
            let answer = guarded.ask(Method::POST, address, headers, body).await;
            assert_eq!(answer.status, status, "{address} {headers:?} {body}");
        }
    }
    let fetched = guarded.rbac.fetched.lock().unwrap().clone();
    assert_eq!(fetched, ["growth/internal-conversions by alice"; 2]);
    // Nor does it sign a reader in as somebody else.
    for header in [cross, origin] {
        let answer = guarded
            .ask(Method::POST, "/sign-in", &[host, header], "token=mallory")
            .await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.header("set-cookie"), None);
    }
    // A form is a form.
    let json = [cookie, ("content-type", "text/plain")];
    let request = guarded.ask(Method::POST, &fetch, &json, "").await;
    assert_eq!(request.status, 403);
}

/// Who follows a link of another site is signed in, though the browser does not say so at once.
#[tokio::test]
async fn a_link_from_elsewhere_takes_one_step_more() {
    let guarded = Guarded::filled().await;
    let cross = ("sec-fetch-site", "cross-site");
    let wanted = "/?q=%22%3E%3Cscript";
    let step = guarded.ask(Method::GET, wanted, &[cross], "").await;
    assert_eq!(step.status, StatusCode::UNAUTHORIZED);
    assert!(
        step.body.contains("content=\"0; url=/?q=%22%3E%3Cscript\""),
        "{}",
        step.body
    );
    assert_eq!(step.header("cache-control"), Some("no-store"));
    // From there on it is the reader's own step.
    let own = ("sec-fetch-site", "same-origin");
    let asked = guarded.ask(Method::GET, wanted, &[own], "").await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);
}
