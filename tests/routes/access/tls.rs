//! TLS by files that change, and a proxy that proves itself by its certificate.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sumsq::http::access::{From, Proxy};
use sumsq::http::{Server, ServerLimits, Tls, TlsFiles, router};
use sumsq::metrics::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::rbac::Guarded;
use crate::fixture::Site;
use crate::support::process::{temporary_folder, wait_for};

/// Less than the server takes to look by itself: it is told of what changes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Pair {
    certificate: String,
    key: String,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn pair(authority: &CertifiedIssuer<'static, KeyPair>) -> Pair {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A volume of a Secret as the kubelet writes it: files are links into `..data`, which is a link to a
/// folder, and renamed as a whole.
struct Volume {
    folder: PathBuf,
    writes: u32,
}

impl Volume {
    fn new(pair: &Pair) -> Self {
        let folder = temporary_folder("volume");
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
        }
        let mut volume = Self { folder, writes: 0 };
        volume.write(&pair.certificate, &pair.key);
        volume
    }

    fn write(&mut self, certificate: &str, key: &str) {
        self.writes += 1;
        let written = format!("..2026_{}", self.writes);
        let folder = self.folder.join(&written);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("tls.crt"), certificate).unwrap();
        fs::write(folder.join("tls.key"), key).unwrap();
        let (next, data) = (self.folder.join("..data_tmp"), self.folder.join("..data"));
        symlink(&written, &next).unwrap();
        let before = fs::read_link(&data);
        fs::rename(&next, &data).unwrap();
        if let Ok(before) = before {
            fs::remove_dir_all(self.folder.join(before)).unwrap();
        }
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.folder.join("tls.crt"),
            key: self.folder.join("tls.key"),
            client_authorities: None,
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// A client that trusts the authority, with a certificate or without.
async fn connect(
    server: &Server,
    trusted: &str,
    own: Option<&Pair>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(der(trusted)).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
            let chain = vec![der(&own.certificate)];
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let stream = TcpStream::connect(server.address()).await?;
    let name = "localhost".try_into().unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

async fn ask(
    stream: &mut TlsStream<TcpStream>,
    path: &str,
    headers: &str,
) -> std::io::Result<String> {
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

async fn start(site: &Site, tls: &Arc<Tls>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (router, limits) = (router(site.state.clone()), ServerLimits::default());
    Server::start_with(listener, router, limits, Some(Arc::clone(tls))).unwrap()
}

#[tokio::test]
async fn a_certificate_that_changes_is_taken_and_a_broken_one_is_not() {
    let authority = authority();
    let trusted = authority.pem();
    let (first, second, third) = (pair(&authority), pair(&authority), pair(&authority));
    let mut volume = Volume::new(&first);
    let site = Site::filled().await;
    let metrics = Arc::clone(&site.metrics);
    let tls = Arc::new(Tls::open(volume.files(), Arc::clone(&metrics)).unwrap());
    let following = tokio::spawn(Arc::clone(&tls).follow());
    let server = start(&site, &tls).await;
    let shown = async || {
        let stream = connect(&server, &trusted, None).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    };
    let metric = |line: &str| metrics.encode().unwrap().lines().any(|seen| seen == line);
    assert_eq!(shown().await, der(&first.certificate));
    let mut open = connect(&server, &trusted, None).await.unwrap();

    volume.write(&second.certificate, &second.key);
    wait_for("the second certificate", PATIENCE, async || {
        (shown().await == der(&second.certificate)).then_some(())
    })
    .await;
    assert!(metric("sumsq_tls_reads_total{result=\"taken\"} 1"));

    // A key of another certificate, half a file, none at all.
    let half = &third.certificate[..third.certificate.len() / 2];
    for (count, (certificate, key)) in (1_u64..).zip([
        (&*third.certificate, &*second.key),
        (half, &third.key),
        ("", ""),
    ]) {
        volume.write(certificate, key);
        wait_for("the refusal", PATIENCE, async || {
            let line = format!("sumsq_tls_reads_total{{result=\"refused\"}} {count}");
            metric(&line).then_some(())
        })
        .await;
        assert!(metric("sumsq_tls_certificate_stale 1"));
        assert_eq!(shown().await, der(&second.certificate));
    }
    volume.write(&third.certificate, &third.key);
    wait_for("the third certificate", PATIENCE, async || {
        (shown().await == der(&third.certificate)).then_some(())
    })
    .await;
    assert!(metric("sumsq_tls_certificate_stale 0"));

    // Who was there all the time was not disturbed.
    let said = ask(&mut open, "/api/v1/agents", "").await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert!(
        said.contains("strict-transport-security: max-age=31536000"),
        "{said}"
    );
    // A server does not start with what it cannot use.
    volume.write(&first.certificate, &second.key);
    let error = Tls::open(volume.files(), Arc::new(Metrics::new().unwrap())).unwrap_err();
    assert!(error.to_string().contains("do not go together"), "{error}");
    following.abort();
    server.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_proxy_proves_itself_by_its_certificate() {
    let (ours, others) = (authority(), authority());
    let volume = Volume::new(&pair(&ours));
    let authorities = volume.folder.join("client-ca.crt");
    fs::write(&authorities, ours.pem()).unwrap();
    let files = TlsFiles {
        client_authorities: Some(authorities),
        ..volume.files()
    };
    let guarded = Guarded::from(
        Site::filled().await,
        From::Proxy(Proxy {
            secret: None,
            certificate: true,
            user: HeaderName::from_static("x-forwarded-user"),
            groups: HeaderName::from_static("x-forwarded-groups"),
        }),
    );
    guarded.rbac.allow("alice", "get agents/report", "growth");
    let tls = Tls::open(files, Arc::clone(&guarded.site.metrics)).unwrap();
    let server = start(&guarded.site, &Arc::new(tls)).await;
    let trusted = ours.pem();
    let report = "/api/v1/namespaces/growth/agents/agent-1/goals";
    let says = async |own: Option<&Pair>, headers: &str| {
        let mut stream = connect(&server, &trusted, own).await?;
        ask(&mut stream, report, headers).await
    };
    let (proxy, stranger) = (pair(&ours), pair(&others));
    for (own, headers, status) in [
        (Some(&proxy), "x-forwarded-user: alice\r\n", 200),
        (Some(&proxy), "x-forwarded-user: bob\r\n", 403),
        (Some(&proxy), "", 401),
        (None, "x-forwarded-user: alice\r\n", 401),
    ] {
        let said = says(own, headers).await.unwrap();
        let expected = format!("HTTP/1.1 {status} ");
        assert!(said.starts_with(&expected), "{status}: {said}");
    }
    // A certificate of somebody else does not even get to say so.
    let said = says(Some(&stranger), "x-forwarded-user: alice\r\n").await;
    assert!(!said.is_ok_and(|said| said.contains("HTTP/1.1")));
    server.stop(PATIENCE).await;
}
