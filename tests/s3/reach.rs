//! Where tenants can have the operator go: nowhere but to endpoints that the list names, and inside
//! the network only where it names the host exactly. Every server here counts who has come.

use std::collections::VecDeque;
use std::env;
use std::net::IpAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, SharedDnsResolver};
use insta::assert_snapshot;
use sumsq::domain::data_source::{Identity, S3Object};
use sumsq::domain::fetch::FetchError;
use sumsq::domain::tenancy::Ambient;
use sumsq::domain::tenancy::endpoints::AllowedEndpoints;
use sumsq::object::{Base, Objects, Opened, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fixture::{KEY, LIMIT, allowed, object, root, shown};

/// A server that answers the same to everybody, and counts them.
struct Door {
    port: u16,
    knocked: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Door {
    async fn answering(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let knocked = Arc::new(AtomicUsize::new(0));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (count, kept) = (Arc::clone(&knocked), Arc::clone(&heads));
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match connection.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                kept.lock().unwrap().push(head);
                connection.write_all(answer.as_bytes()).await.ok();
            }
        });
        Self {
            port,
            knocked,
            heads,
        }
    }

    async fn with_an_object() -> Self {
        let head = "HTTP/1.1 200 OK\r\nETag: \"abc\"\r\nContent-Length: 2\r\nConnection: close";
        Self::answering(format!("{head}\r\n\r\nhi")).await
    }

    fn knocked(&self) -> usize {
        self.knocked.load(Ordering::SeqCst)
    }
}

/// Answers in turn; the last answer stays.
#[derive(Debug, Clone)]
struct Names {
    answers: Arc<Mutex<VecDeque<Vec<IpAddr>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    fn answering(answers: &[&[&str]]) -> Self {
        let answers = answers.iter();
        let answers = answers.map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect());
        Self {
            answers: Arc::new(Mutex::new(answers.collect())),
            asked: Arc::default(),
        }
    }
}

impl ResolveDns for Names {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        };
        DnsFuture::ready(Ok(answer))
    }
}

fn reaching(patterns: &[&str], names: Option<&Names>) -> Setup {
    Setup {
        ambient: Ambient::of(["growth".to_owned()]),
        allowed_endpoints: AllowedEndpoints {
            patterns: allowed(patterns),
            ..AllowedEndpoints::default()
        },
        resolver: names.map(|names| SharedDnsResolver::new(names.clone())),
        ..Setup::default()
    }
}

async fn open(setup: Setup, object: &S3Object) -> Result<Opened, FetchError> {
    let objects = Objects::with(setup).await;
    let keys = root();
    objects
        .open(object, "growth", Some(&keys), None, LIMIT)
        .await
}

async fn refused(setup: Setup, object: &S3Object) -> FetchError {
    open(setup, object).await.expect_err("it is not asked")
}

#[tokio::test]
async fn an_endpoint_that_is_not_listed_is_not_asked() {
    let door = Door::with_an_object().await;
    let object = object(&format!("http://127.0.0.1:{}", door.port), "counts", KEY);
    let error = refused(reaching(&["https://*.example.com"], None), &object).await;
    assert_snapshot!(shown(&error, &object), @r#"
    EndpointNotAllowed (EndpointNotAllowed)
    the operator's list of allowed endpoints does not name ENDPOINT
    Only endpoints of AWS's S3, and those that the operator's --allowed-endpoints lists, are asked. Who runs the operator can add ENDPOINT to it (chart: controller.allowedEndpoints).
    "#);
    let objects = Objects::with(reaching(&[], None)).await;
    assert!(objects.admit(&object, "growth").is_err());
    let base = Base::Secret(root());
    assert!(objects.sign_in(&object, "growth", base).await.is_err());
    assert_eq!(objects.reader(&object, "growth", Some(&root())).await, None);
    assert_eq!(door.knocked(), 0);

    let listed = format!("http://127.0.0.1:{}", door.port);
    let opened = open(reaching(&[&listed], None), &object).await;
    assert!(matches!(opened, Ok(Opened::Body(_))), "{opened:?}");
    assert_eq!(door.knocked(), 1);
}

#[tokio::test]
async fn another_tenants_service_is_not_asked() {
    let door = Door::with_an_object().await;
    let names = Names::answering(&[&["127.0.0.1"]]);
    let port = door.port;
    let listed = [
        format!("http://minio.minio.svc:{port}"),
        "https://*.example.com".to_owned(),
        "http://*:*".to_owned(),
    ];
    let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
    for host in [
        "minio.other.svc",
        "minio.other.svc.cluster.local",
        "minio.other",
        "minio",
        "localhost",
        "counts.example.com",
        "minio.minio.svc.example.com",
    ] {
        let object = object(&format!("http://{host}:{port}"), "counts", KEY);
        let error = refused(reaching(&listed, Some(&names)), &object).await;
        let class = error.class.as_str();
        assert!(
            ["EndpointNotAllowed", "AddressNotAllowed"].contains(&class),
            "{host}: {error}"
        );
    }
    assert_eq!(door.knocked(), 0);
    let object = object(&format!("http://minio.minio.svc:{port}"), "counts", KEY);
    let opened = open(reaching(&listed, Some(&names)), &object).await;
    assert!(matches!(opened, Ok(Opened::Body(_))), "{opened:?}");
    assert_eq!(door.knocked(), 1);
}

/// The door is the API server's: whoever answers for a name that is listed can let it lead there.
#[tokio::test]
async fn a_name_that_is_listed_leads_to_a_store_alone() {
    let door = Door::with_an_object().await;
    let port = door.port;
    let listed = [
        format!("http://store.example.com:{port}"),
        format!("http://127.0.0.1:{port}"),
    ];
    let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
    for (api_server, answers) in [
        ("127.0.0.1", &[&["127.0.0.1"][..]][..]),
        ("api.example.net", &[&["127.0.0.1"]]),
        ("10.96.0.1", &[&["127.0.0.1", "169.254.169.254"]]),
    ] {
        let mut setup = reaching(&listed, Some(&Names::answering(answers)));
        setup.allowed_endpoints.api_server = api_server.parse().ok();
        let named = object(listed[0], "counts", KEY);
        let error = refused(setup.clone(), &named).await;
        let knocked = door.knocked();
        assert_eq!((error.class.as_str(), knocked), ("AddressNotAllowed", 0));
        if api_server == "127.0.0.1" {
            assert_snapshot!(shown(&error, &named), @"
            AddressNotAllowed (AddressNotAllowed)
            store.example.com leads to the API server's address, to which no name may lead
            Metadata services, other link-local addresses and the Kubernetes API server are no stores: no name leads there, not even one that the operator's --allowed-endpoints names. Let the name lead to the store, or `endpoint` name another.
            ");
        }
    }
    let mut setup = reaching(&listed, None);
    setup.allowed_endpoints.api_server = "127.0.0.1".parse().ok();
    let literal = object(listed[1], "counts", KEY);
    let opened = open(setup, &literal).await;
    assert!(matches!(opened, Ok(Opened::Body(_))), "{opened:?}");
    assert_eq!(door.knocked(), 1);
}

/// A host that is named exactly, and a bucket's name before it, which is the tenant's choice.
#[tokio::test]
async fn a_bucket_in_the_hosts_name_is_another_host() {
    let door = Door::with_an_object().await;
    let names = Names::answering(&[&["127.0.0.1"]]);
    let listed = format!("http://store.internal.example:{}", door.port);
    let mut object = object(&listed, "kubernetes", KEY);
    object.force_path_style = false;
    let error = refused(reaching(&[&listed], Some(&names)), &object).await;
    assert_eq!(
        *names.asked.lock().unwrap(),
        ["kubernetes.store.internal.example"]
    );
    assert_snapshot!(shown(&error, &object), @r#"
    AddressNotAllowed (AddressNotAllowed)
    BUCKET.store.internal.example leads to a loopback address
    Addresses that are not public are asked only for a host that the operator's --allowed-endpoints names exactly, without a wildcard. Who runs the operator can add BUCKET.store.internal.example to it. Where the bucket's name stands before a host that is named, set `forcePathStyle: true`.
    "#);
    assert_eq!(door.knocked(), 0);
}

#[tokio::test]
async fn literals_lead_inside_in_no_form() {
    let door = Door::with_an_object().await;
    let port = door.port;
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "100.64.0.1",
    ] {
        let endpoint = format!("http://{host}:{port}");
        for path_style in [true, false] {
            let mut object = object(&endpoint, "counts", KEY);
            object.force_path_style = path_style;
            let error = refused(reaching(&["http://*:*"], None), &object).await;
            let class = error.class.as_str();
            assert!(
                ["EndpointNotAllowed", "AddressNotAllowed"].contains(&class),
                "{host}: {error}"
            );
        }
    }
    assert_eq!(door.knocked(), 0);
}

/// Half of an address in the bucket's name, which stands before the host's.
#[tokio::test]
async fn an_address_in_two_halves_is_none() {
    let door = Door::with_an_object().await;
    for (bucket, host) in [("127.0", "0.1"), ("127.0.0", "1"), ("0x7f", "1")] {
        let mut object = object(&format!("http://{host}:{}", door.port), bucket, KEY);
        object.force_path_style = false;
        let error = refused(reaching(&["http://*:*"], None), &object).await;
        assert_eq!(
            error.class.as_str(),
            "EndpointNotAllowed",
            "{bucket} {host}: {error}"
        );
    }
    assert_eq!(door.knocked(), 0);
}

/// A check that asked the resolver first, and connected to what it says then, would come to the
/// door: the first answer holds nothing that is forbidden.
#[tokio::test]
async fn a_name_that_leads_elsewhere_later_is_caught_at_the_connection() {
    let door = Door::with_an_object().await;
    let names = Names::answering(&[&[], &["127.0.0.1"]]);
    let object = object(
        &format!("http://counts.example.com:{}", door.port),
        "counts",
        KEY,
    );
    let error = refused(reaching(&["http://*.example.com:*"], Some(&names)), &object).await;
    assert_snapshot!(shown(&error, &object), @r#"
    AddressNotAllowed (AddressNotAllowed)
    BUCKET.example.com leads to a loopback address
    Addresses that are not public are asked only for a host that the operator's --allowed-endpoints names exactly, without a wildcard. Who runs the operator can add BUCKET.example.com to it. Where the bucket's name stands before a host that is named, set `forcePathStyle: true`.
    "#);
    assert_eq!(names.asked.lock().unwrap().len(), 2);
    assert_eq!(door.knocked(), 0);
}

/// As a name of one's own does that one has two answers for: one to be checked, one to be used.
#[tokio::test]
async fn no_address_of_several_leads_inside() {
    let door = Door::with_an_object().await;
    let names = Names::answering(&[&["127.0.0.1", "8.8.8.8"]]);
    let object = object(
        &format!("http://counts.example.com:{}", door.port),
        "counts",
        KEY,
    );
    let error = refused(reaching(&["http://*.example.com:*"], Some(&names)), &object).await;
    assert_eq!(error.class.as_str(), "AddressNotAllowed", "{error}");
    // It is no slip of the network: nobody tries again at once.
    assert_eq!(names.asked.lock().unwrap().len(), 1);
    assert_eq!(door.knocked(), 0);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let inside = Door::with_an_object().await;
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let inner = format!("http://127.0.0.1:{}/counts/exports/counts.csv", inside.port);
        let body = format!(
            "<Error><Code>TemporaryRedirect</Code><Endpoint>127.0.0.1:{}</Endpoint></Error>",
            inside.port
        );
        let outside = Door::answering(format!(
            "HTTP/1.1 {status}\r\nLocation: {inner}\r\nx-amz-bucket-region: eu-west-2\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ))
        .await;
        let endpoint = format!("http://127.0.0.1:{}", outside.port);
        let object = object(&endpoint, "counts", KEY);
        // Both are on the list: it is not the address that keeps it from going there.
        let setup = reaching(&["http://127.0.0.1:*"], None);
        let opened = open(setup, &object).await;
        assert!(opened.is_err(), "{status}: {opened:?}");
        assert!(outside.knocked() > 0);
    }
    assert_eq!(inside.knocked(), 0);
}

#[tokio::test]
async fn the_operators_own_identity_is_lent_to_those_on_its_list() {
    let door = Door::with_an_object().await;
    let endpoint = format!("http://127.0.0.1:{}", door.port);
    let mut object = object(&endpoint, "counts", KEY);
    object.identity = Identity::Operator;
    let objects = Objects::with(reaching(&[&endpoint], None)).await;
    let opened = objects.open(&object, "shop", None, None, LIMIT).await;
    let error = opened.expect_err("shop is not on the list");
    assert_snapshot!(shown(&error, &object), @r#"
    AmbientCredentialsRefused (AmbientCredentialsRefused)
    the operator's own identity does not read for namespace shop
    Name whose identity reads: `serviceAccountName`, a ServiceAccount of this namespace with an AWS role (annotation eks.amazonaws.com/role-arn), or `secretRef`, a Secret labelled sumsq.dev/credentials: "true". Or let who runs the operator add shop to --ambient-credentials-namespaces: then everybody who may create a DataSource there reads what the operator can read.
    "#);
    assert!(
        objects
            .sign_in(&object, "shop", Base::Operator)
            .await
            .is_err()
    );
    assert_eq!(objects.reader(&object, "shop", None).await, None);
    assert_eq!(door.knocked(), 0);
    assert!(
        objects
            .sign_in(&object, "growth", Base::Operator)
            .await
            .is_ok()
    );
}

/// Set in the process that has the environment: the endpoint.
const ENDPOINT: &str = "SUMSQ_TEST_ENDPOINT";

#[tokio::test]
async fn through_a_proxy_only_what_is_named_exactly_is_asked() {
    let listed = ["http://store.example.com:9000", "http://*.example.com:9000"];
    if let Ok(endpoint) = env::var(ENDPOINT) {
        let object = object(&endpoint, "counts", KEY);
        let opened = open(reaching(&listed, None), &object).await;
        let told = opened.map_or_else(|error| shown(&error, &object), |_| "opened".to_owned());
        println!("\nRESULT {}", serde_json::Value::from(told));
        return;
    }
    let proxy = Door::with_an_object().await;
    let told = async |endpoint: &str| {
        let test = "reach::through_a_proxy_only_what_is_named_exactly_is_asked";
        let output = tokio::process::Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env_clear()
            .env("AWS_CONFIG_FILE", "/nonexistent")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
            .env("HTTP_PROXY", format!("http://127.0.0.1:{}", proxy.port))
            .env(ENDPOINT, endpoint)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let written = String::from_utf8_lossy(&output.stdout).into_owned();
        let (_, result) = written.split_once("\nRESULT ").expect(&written);
        serde_json::from_str::<String>(result.lines().next().unwrap()).unwrap()
    };
    assert_eq!(told("http://store.example.com:9000").await, "opened");
    assert_eq!(proxy.knocked(), 1);
    let head = proxy.heads.lock().unwrap()[0].clone();
    assert!(
        head.starts_with("GET http://store.example.com:9000/counts/"),
        "{head}"
    );
    assert_snapshot!(told("http://counts.example.com:9000").await, @r#"
    AddressNotAllowed (AddressNotAllowed)
    BUCKET.example.com would be asked through a proxy, and nobody could check to which address that leads
    A wildcard of the operator's --allowed-endpoints does not do behind a proxy: let who runs the operator name BUCKET.example.com there exactly, or except it by NO_PROXY.
    "#);
    assert_eq!(proxy.knocked(), 1);
}
