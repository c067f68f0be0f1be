//! A store with data, the router over it, and ways to ask it.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use sumsq::domain::agent::{Agent, AgentResource, DeclaredVariation};
use sumsq::domain::counts_csv::{CsvSpec, Limits, Reader};
use sumsq::domain::data_source::{
    Dating, Goal, GoodDirection, OnIntegrityProblem, SourceId, SourceKey,
};
use sumsq::domain::description::Description;
use sumsq::domain::fetch::{ErrorCode, FetchError, Import, Outcome, ReadyPolicy, Trigger};
use sumsq::domain::plan::FetchPlan;
use sumsq::http::{HttpLimits, ReportState, StoreSlot, router};
use sumsq::metrics::Metrics;
use sumsq::store::sqlite::Sqlite;
use sumsq::store::{BeginFetch, EndFetch, SourceRef, Store};
use tempfile::TempDir;
use tower::ServiceExt;

/// The agent whose code has everything that an address must not stumble over.
pub const ODD_AGENT: &str = "a/b c?d%2F\u{e9}\u{2011}x";

/// The day after the newest data, in the morning.
pub fn now() -> Timestamp {
    "2024-03-21T10:00:00Z".parse().unwrap()
}

/// A store of its own, with its folder.
pub struct Site {
    folder: TempDir,
    pub store: Arc<Sqlite>,
    pub metrics: Arc<Metrics>,
    pub state: ReportState,
    fetches: AtomicI64,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Status and problem, as one line.
    pub fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.body
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["title"], self.status.canonical_reason().unwrap());
        let about = problem["parameter"].as_str().unwrap_or("-");
        format!(
            "{} [{about}] {}",
            self.status.as_u16(),
            problem["detail"].as_str().unwrap()
        )
    }
}

impl Site {
    /// With nothing in it.
    pub async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sumsq.db");
        let store = Arc::new(Sqlite::open(&path).await.unwrap());
        let metrics = Arc::new(Metrics::new().unwrap());
        let slot = StoreSlot::holding(Arc::clone(&store) as Arc<dyn Store>);
        let state = ReportState::new(slot, Arc::clone(&metrics), Arc::new(now));
        Self {
            folder,
            store,
            metrics,
            state,
            fetches: AtomicI64::new(0),
        }
    }

    /// Two namespaces, three data sources, one of which fails, and an Agent.
    pub async fn filled() -> Self {
        let site = Self::empty().await;
        let sales = [goal("g-sales", true), goal("g-signup", false)];
        let source = site.source("growth", "internal-conversions", &sales).await;
        site.import(&source, &sales, &counts(&["g-signup", "g-sales"]))
            .await;
        let signups = [goal("g-signup", false)];
        let older = site.source("growth", "signups", &signups).await;
        site.import(&older, &signups, SIGNUPS).await;
        site.fail(&older, denied()).await;
        let elsewhere = site
            .source("ops", "internal-conversions", &sales[..1])
            .await;
        site.import(&elsewhere, &sales[..1], DOCUMENT).await;
        site.store.put_agent(&resource()).await.unwrap();
        site
    }

    pub fn store_path(&self) -> PathBuf {
        self.folder.path().join("sumsq.db")
    }

    /// As where a volume is swapped underneath.
    pub fn replace_store_file(&self) {
        let path = self.store_path();
        std::fs::rename(&path, path.with_extension("gone")).unwrap();
        std::fs::write(&path, "").unwrap();
    }

    pub fn with_limits(mut self, limits: HttpLimits) -> Self {
        self.state = self.state.with_limits(limits);
        self
    }

    pub fn router(&self) -> Router {
        router(self.state.clone())
    }

    pub async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap_or_default(),
        }
    }

    pub async fn get(&self, address: &str) -> Answer {
        self.ask(request(Method::GET, address)).await
    }

    /// The body of a 200.
    pub async fn json(&self, address: &str) -> Value {
        let answer = self.get(address).await;
        assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        answer.json()
    }

    /// Asks again with the ETag of an answer.
    pub async fn ask_again(&self, address: &str, etag: &str) -> Answer {
        let mut request = request(Method::GET, address);
        let headers = request.headers_mut();
        headers.insert(header::IF_NONE_MATCH, etag.parse().unwrap());
        self.ask(request).await
    }

    pub async fn source(&self, namespace: &str, name: &str, goals: &[Goal]) -> SourceRef {
        let source = SourceRef {
            id: SourceId::derive(namespace, name),
            key: SourceKey {
                namespace: namespace.into(),
                name: name.into(),
            },
            uid: format!("uid of {namespace}/{name}"),
        };
        self.store.observe(&source, 10).await.unwrap();
        self.store
            .describe(source.id, &description(name, goals))
            .await
            .unwrap();
        source
    }

    async fn begin(&self, source: &SourceRef) -> uuid::Uuid {
        let plan = FetchPlan {
            trigger: Trigger::Schedule,
            resume: None,
            slot: None,
            request: None,
            force_request: None,
            ignore_etag: false,
            resets_backoff: false,
        };
        let begin = BeginFetch {
            source: source.id,
            uid: source.uid.clone(),
            plan,
            cursor: None,
            fingerprint: "fingerprint".into(),
            started_at: "2024-03-21T09:00:00Z".parse().unwrap(),
        };
        self.store.begin_fetch(&begin).await.unwrap()
    }

    /// What a fetch of this file leaves in the store.
    pub async fn import(&self, source: &SourceRef, goals: &[Goal], csv: &str) {
        let spec = CsvSpec {
            goals: goals.to_vec(),
            dating: Dating::Exposure,
            on_integrity_problem: OnIntegrityProblem::Warn,
        };
        let mut reader = Reader::new(spec, Limits::default());
        reader.feed(csv.as_bytes()).unwrap();
        let parsed = reader.finish().unwrap();
        let import = Import {
            rows: parsed.summary.rows,
            bytes: parsed.summary.bytes,
            agent_count: parsed.summary.agents.len() as u64,
            agents: parsed.summary.agents,
            first_day: parsed.summary.first_day,
            last_day: parsed.summary.last_day,
            ..Import::default()
        };
        let end = self.end(source, Outcome::Imported(import)).await;
        self.store.import(&end, parsed.agent_days).await.unwrap();
    }

    pub async fn fail(&self, source: &SourceRef, error: FetchError) {
        let end = self.end(source, Outcome::Failed(error)).await;
        self.store.complete_fetch(&end).await.unwrap();
    }

    async fn end(&self, source: &SourceRef, outcome: Outcome) -> EndFetch {
        let began: Timestamp = "2024-03-21T09:00:02Z".parse().unwrap();
        let later = self.fetches.fetch_add(1, Ordering::Relaxed);
        EndFetch {
            source: source.id,
            fetch: self.begin(source).await,
            outcome,
            etag: Some("\"etag\"".into()),
            completed_at: began.checked_add(later.seconds()).unwrap(),
        }
    }
}

pub fn request(method: Method, address: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(address)
        .body(Body::empty())
        .unwrap()
}

pub fn goal(code: &str, numeric: bool) -> Goal {
    Goal {
        code: code.into(),
        display_name: None,
        numeric,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    }
}

fn description(name: &str, goals: &[Goal]) -> Description {
    Description {
        display_name: format!("The {name}"),
        goals: goals.to_vec(),
        dating: Dating::Exposure,
        schedule: "0 9 * * *".into(),
        time_zone: "UTC".into(),
        jitter_seconds: 60,
        suspend: false,
        region: "us-east-1".into(),
        bucket: "com.my-company.counts".into(),
        key: "exports/counts.csv".into(),
        stalled: None,
    }
}

fn resource() -> AgentResource {
    let variation = |code: &str, name: &str| DeclaredVariation {
        code: code.into(),
        display_name: Some(name.into()),
        weight: 1.0,
    };
    AgentResource {
        namespace: "growth".into(),
        name: "checkout".into(),
        uid: "uid".into(),
        created_at: Timestamp::UNIX_EPOCH,
        agent: Agent {
            code: "agent-1".into(),
            display_name: Some("Checkout button".into()),
            goals: Vec::new(),
            baseline: Some("A".into()),
            target_lift: None,
            variations: vec![variation("A", "Today"), variation("B", "Green")],
        },
    }
}

pub fn denied() -> FetchError {
    let mut error = FetchError::new(
        ErrorCode::AccessDenied,
        "User: arn:aws:iam::123456789012:role/r is not authorized to perform: s3:GetObject",
        "let the bucket's policy allow it",
    );
    error.policies.push(ReadyPolicy {
        target: "bucket policy".into(),
        statement: "{\"Effect\": \"Allow\"}".into(),
    });
    error
}

/// The document's own example.
pub const DOCUMENT: &str = "\
Date,Agent,Variation,Sels,g-sales,g-sales_sumsq,g-sales_val,g-sales_val_sumsq
1710720000,agent-1,A,10,1,1,9.99,99.8001
1710720000,agent-1,B,9,3,5,30.97,539.9605
";

pub const SIGNUPS: &str = "\
Date,Agent,Variation,Sels,g-signup,g-signup_sumsq
1710633600,agent-1,A,1000,100,100
1710633600,agent-1,B,1010,120,120
1710633600,only-here,A,100,10,10
";

/// Three days of two agents, with a trait; `goals` are the columns' codes, `g-sales` with values.
pub fn counts(goals: &[&str]) -> String {
    let mut csv = String::from("Date,Agent,Variation,Sels,Trait_Group,Trait_Value,Policy");
    for goal in goals {
        write!(csv, ",{goal},{goal}_sumsq").unwrap();
        if *goal == "g-sales" {
            write!(csv, ",{goal}_val,{goal}_val_sumsq").unwrap();
        }
    }
    csv.push('\n');
    for day in 0..3_u64 {
        for (number, agent) in ["agent-1", ODD_AGENT].iter().enumerate() {
            for (arm, variation) in ["A", "B"].iter().enumerate() {
                for (value, of_trait) in ["", "gold", "silver"].iter().enumerate() {
                    let group = if of_trait.is_empty() { "" } else { "loyalty" };
                    let visitors = 2000 / (1 + value as u64) + 10 * day;
                    let events = 200 + 30 * arm as u64 + day + number as u64 - 80 * value as u64;
                    write!(
                        csv,
                        "{},\"{agent}\",{variation},{visitors},{group},{of_trait},r",
                        1_710_720_000 + day * 86_400
                    )
                    .unwrap();
                    for goal in goals {
                        write!(csv, ",{events},{events}").unwrap();
                        if *goal == "g-sales" {
                            write!(csv, ",{events}.50,{}.2500", events * 2).unwrap();
                        }
                    }
                    csv.push('\n');
                }
            }
        }
    }
    csv
}
