//! For how long an answer of the API server holds. The server is in this process, on a clock that the
//! tests turn; the API server is the real one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use jiff::{SignedDuration, Timestamp};
use kube::config::{KubeConfigOptions, Kubeconfig};
use sumsq::http::access::{Access, Action, From, KubeReviews, Reviewer, Right, SessionKey, Token};
use sumsq::http::{ReportState, router};
use sumsq::metrics::Metrics;
use tower::ServiceExt;

use super::people::{ADMIN, grant, person, token};
use super::roles::cluster_with_roles;
use super::server::{AGENT, Report, SOURCE, filled, reviewer};
use crate::cluster_with_crds;
use crate::fixture::Site;
use crate::operator::PATIENCE;
use crate::support::kubernetes::Cluster;
use crate::support::process::wait_for;

struct Clocked {
    state: ReportState,
    metrics: Arc<Metrics>,
    /// To ask the API server itself.
    reviews: Arc<KubeReviews>,
    later: Arc<AtomicI64>,
    begun: Timestamp,
    _site: Site,
}

impl Clocked {
    async fn start(kubeconfig: &Path, site: Site) -> Self {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let reviews = Arc::new(KubeReviews::new(config.unwrap()).unwrap());
        let metrics = Arc::clone(&site.metrics);
        let access = Access::new(
            From::Kubernetes,
            Arc::clone(&reviews) as Arc<dyn Reviewer>,
            SessionKey::drawn(),
            Arc::clone(&metrics),
        );
        let later = Arc::new(AtomicI64::new(0));
        let begun = Timestamp::now();
        let mut state = site.state.clone().with_access(Arc::new(access));
        let clock = Arc::clone(&later);
        state.clock =
            Arc::new(move || begun + SignedDuration::from_secs(clock.load(Ordering::SeqCst)));
        Self {
            state,
            metrics,
            reviews,
            later,
            begun,
            _site: site,
        }
    }

    /// So many seconds after the start.
    async fn at(&self, second: i64, token: &str, path: &str) -> (u16, String) {
        self.later.store(second, Ordering::SeqCst);
        let request = Request::get(path)
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let answer = router(self.state.clone()).oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Until the API server itself says that the token may read agents there: None, that it knows no
    /// such token. It takes a moment, and keeps tokens for ten seconds of its own.
    async fn until(&self, token: &str, namespace: &str, says: Option<bool>) {
        let token = Token::parse(token).unwrap();
        wait_for("what the API server says", PATIENCE, async || {
            let said = match self.reviews.identify(&token).await.unwrap() {
                None => None,
                Some(who) => {
                    let right = Right::within(Action::ReadAgents, namespace);
                    Some(self.reviews.allows(&who, &right).await.unwrap())
                }
            };
            (said == says).then_some(())
        })
        .await;
    }

    fn asked(&self, question: &str) -> u64 {
        let metrics = self.metrics.encode().unwrap();
        let of = format!("question=\"{question}\"}} ");
        let lines = metrics
            .lines()
            .filter(|line| line.starts_with("sumsq_access_reviews_total") && line.contains(&of));
        lines
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
            .sum()
    }
}

fn report_of(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/agents/{AGENT}/goals")
}

#[tokio::test]
async fn what_is_taken_away_is_felt_within_a_minute() {
    let cluster = cluster_with_roles().await;
    let growth = cluster.namespace("growth").await;
    let account = reviewer(cluster, &growth).await;
    let site = filled(&[growth.name()]).await;
    let clocked = Clocked::start(&account, site).await;
    let path = report_of(growth.name());

    // A Role that comes is felt in five seconds.
    let viewer = person(cluster, &growth, "viewer").await;
    assert_eq!(clocked.at(0, &viewer, &path).await.0, 403);
    grant(cluster, &growth, "viewer", "sumsq-report-viewer").await;
    clocked.until(&viewer, growth.name(), Some(true)).await;
    assert_eq!(clocked.at(4, &viewer, &path).await.0, 403);
    let (status, body) = clocked.at(5, &viewer, &path).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!((clocked.asked("token"), clocked.asked("right")), (1, 2));

    // One that goes, in sixty.
    let args = ["-n", growth.name(), "delete", "rolebinding", "--all"];
    cluster.kubectl(&args).await.expect_success();
    clocked.until(&viewer, growth.name(), Some(false)).await;
    assert_eq!(clocked.at(64, &viewer, &path).await.0, 200);
    assert_eq!(clocked.at(65, &viewer, &path).await.0, 403);

    // So does a token.
    grant(cluster, &growth, "viewer", "sumsq-report-viewer").await;
    clocked.until(&viewer, growth.name(), Some(true)).await;
    assert_eq!(clocked.at(200, &viewer, &path).await.0, 200);
    let args = ["-n", growth.name(), "delete", "serviceaccount", "viewer"];
    cluster.kubectl(&args).await.expect_success();
    clocked.until(&viewer, growth.name(), None).await;
    assert_eq!(clocked.at(259, &viewer, &path).await.0, 200);
    let (status, body) = clocked.at(260, &viewer, &path).await;
    assert_eq!(status, 401);
    assert!(body.contains("does not take this token"), "{body}");
    // A session with it is over as well, and a new token of the same name is another.
    let account = ["-n", growth.name(), "create", "serviceaccount", "viewer"];
    cluster.kubectl(&account).await.expect_success();
    assert_eq!(clocked.at(264, &viewer, &path).await.0, 401);
    let anew = token(cluster, &growth, "viewer").await;
    assert_eq!(clocked.at(264, &anew, &path).await.0, 200);
    assert_eq!(clocked.at(265, &viewer, &path).await.0, 401);
}

#[tokio::test]
async fn a_yes_ends_with_its_token() {
    let cluster = cluster_with_crds().await;
    let growth = cluster.namespace("growth").await;
    let account = reviewer(cluster, &growth).await;
    person(cluster, &growth, "viewer").await;
    let args = [
        "-n",
        growth.name(),
        "create",
        "token",
        "viewer",
        "--duration=10m",
    ];
    let token = cluster.kubectl(&args).await.expect_success();
    let clocked = Clocked::start(&account, filled(&[growth.name()]).await).await;
    let path = "/api/v1/agents";
    let begun = clocked.begun.as_second();
    let ends = Token::parse(token.trim()).unwrap().ends();
    let ends = ends.unwrap().as_second() - begun;
    assert!((590..=600).contains(&ends), "{ends}");
    for (second, times) in [(ends - 30, 1), (ends - 1, 1), (ends + 1, 2)] {
        let (status, body) = clocked.at(second, token.trim(), path).await;
        assert_eq!((status, body.as_str()), (200, "{\"agents\":[]}"));
        assert_eq!(clocked.asked("token"), times, "{second}");
    }
    // A token for somebody else than the API server is none.
    let args = [
        "-n",
        growth.name(),
        "create",
        "token",
        "viewer",
        "--audience=vault",
    ];
    let other = cluster.kubectl(&args).await.expect_success();
    assert_eq!(clocked.at(0, other.trim(), path).await.0, 401);
}

#[tokio::test]
async fn without_the_api_server_nobody_is_let_in_and_nobody_is_turned_away() {
    let cluster = Cluster::start().await;
    let growth = cluster.namespace("growth").await;
    let account = reviewer(&cluster, &growth).await;
    let clocked = Clocked::start(&account, filled(&[growth.name()]).await).await;
    let path = report_of(growth.name());
    assert_eq!(clocked.at(0, ADMIN, &path).await.0, 200);
    cluster.stop_api_server();
    // What was answered holds for its minute.
    assert_eq!(clocked.at(59, ADMIN, &path).await.0, 200);
    for token in [ADMIN, "another.one"] {
        let (status, body) = clocked.at(60, token, &path).await;
        assert_eq!(status, 503);
        let reason = "the Kubernetes API server, which says who may read, does not answer";
        assert!(body.contains(reason), "{body}");
    }
    cluster.start_api_server().await;
    assert_eq!(clocked.at(61, ADMIN, &path).await.0, 200);
    assert_eq!(clocked.at(61, "another.one", &path).await.0, 401);
}

#[tokio::test]
async fn who_may_not_ask_says_so() {
    let cluster = cluster_with_crds().await;
    let growth = cluster.namespace("growth").await;
    person(cluster, &growth, "powerless").await;
    let account = cluster
        .service_account_kubeconfig(growth.name(), "powerless")
        .await;
    let clocked = Clocked::start(&account, filled(&[growth.name()]).await).await;
    let (status, body) = clocked.at(0, ADMIN, &report_of(growth.name())).await;
    assert_eq!(status, 503);
    assert!(
        body.contains("its ServiceAccount lacks `create tokenreviews`"),
        "{body}"
    );
}

#[tokio::test]
async fn no_token_is_in_the_log() {
    let cluster = cluster_with_crds().await;
    let growth = cluster.namespace("growth").await;
    let account = reviewer(cluster, &growth).await;
    let site = filled(&[growth.name()]).await;
    let report = Report::start(&account, site, &["--auth", "kubernetes"]).await;
    let known = person(cluster, &growth, "somebody").await;
    let forged = format!("{}AAAA", &known[..known.len() - 4]);
    let page = format!("/namespaces/{growth}/data-sources/{SOURCE}");
    let mut cookies = Vec::new();
    for token in [&known, &forged, &"x".repeat(300)] {
        for path in ["/", "/api/v1/agents", &page, &report_of(growth.name())] {
            report.get(path, token).await;
        }
        let body = format!("token={token}");
        let answer = report
            .ask("POST".parse().unwrap(), "/sign-in", &[], &body)
            .await;
        cookies.extend(answer.header("set-cookie").map(str::to_owned));
        let fetch = format!("/api/v1{page}/fetch");
        let bearer = format!("Bearer {token}");
        let sent = [("authorization", bearer.as_str())];
        report.ask("POST".parse().unwrap(), &fetch, &sent, "").await;
    }
    let log = report.log();
    assert!(
        log.contains("TRACE") && log.contains("tokenreviews"),
        "it says a lot"
    );
    let own = std::fs::read_to_string(&account).unwrap();
    let own: serde_json::Value = serde_json::from_str(&own).unwrap();
    let own = own["users"][0]["user"]["token"].as_str().unwrap();
    assert_eq!(cookies.len(), 1);
    let value = cookies[0].split_once('=').unwrap().1;
    for secret in [&known, &forged, own, &value[..40], &"x".repeat(300)] {
        // The signature is what makes it one.
        let end = &secret[secret.len().saturating_sub(40)..];
        assert!(!log.contains(end), "{end}");
    }
}
