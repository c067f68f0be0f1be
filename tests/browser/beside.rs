//! The report server as it runs beside an operator, over a store of its own: a data source whose
//! reader is denied, with the statements that would let it in, and more fetches than a page holds.

use sumsq::domain::fetch::{ErrorCode, FetchError};
use tokio::net::TcpListener;

use crate::fixture::{self, SIGNUPS};
use crate::site::get;

/// The data source that fails.
pub const DENIED: &str = "/namespaces/growth/data-sources/signups";
/// The files of one whose goals changed.
pub const COUNTS: &str = "/namespaces/growth/data-sources/changed/counts";
/// More than one page of them, fewer than three.
const FETCHES: usize = 30;

pub struct Beside {
    pub base: String,
    /// Holds the store's folder.
    _site: fixture::Site,
}

impl Beside {
    pub async fn start() -> Self {
        let site = fixture::Site::filled().await;
        let goals = [fixture::goal("g-signup", false)];
        let source = site.source("growth", "signups", &goals).await;
        for fetch in 0..FETCHES {
            // The same failure again would be the same entry.
            site.import(&source, &goals, SIGNUPS).await;
            let message = format!("failure {fetch}");
            let error = FetchError::new(ErrorCode::NoSuchKey, message, "Put it there.");
            site.fail(&source, error).await;
        }
        site.fail(&source, fixture::denied()).await;
        let goals = [
            fixture::goal("g-signup", false),
            fixture::goal("g-sales", true),
        ];
        let changed = site.source("growth", "changed", &goals).await;
        let both = fixture::counts(&["g-signup", "g-sales"]);
        site.import(&changed, &goals, &both).await;
        // The last day comes again, without signups.
        let without = fixture::counts(&["g-sales"]);
        let mut rows = without.lines();
        let header = rows.next().expect("a header");
        let last_day = rows.filter(|row| row.starts_with("1710892800"));
        let file: Vec<&str> = [header].into_iter().chain(last_day).collect();
        site.import(&changed, &goals, &file.join("\n")).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let router = site.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, _site: site }
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Those that the other server does not have.
    pub fn pages(&self) -> Vec<String> {
        let denied = get(&self.at(DENIED)).expect("a page");
        let (before, _) = denied.split_once("\" rel=\"next\"").expect("older fetches");
        let (_, older) = before.rsplit_once("href=\"").expect("a link");
        ["/", DENIED, older, COUNTS]
            .map(|path| self.at(path))
            .to_vec()
    }
}
