//! TLS by files that are read anew when they change.
//!
//! A volume of a Secret is changed by renaming one symbolic link, which the files themselves do not
//! notice: the folders are watched, and looked at now and then where nothing is told of them. Files
//! that make no sense together change nothing: the server goes on with what it has.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::connection::Connection;
use crate::metrics::Metrics;

/// What is written is written in several steps.
const SETTLES_WITHIN: Duration = Duration::from_millis(100);
/// Where no file system tells of changes.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Where certificate, key and authorities lie.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose certificates clients may show; None: none are asked for.
    pub client_authorities: Option<PathBuf>,
}

#[derive(Debug, Error)]
pub enum TlsError {
    #[error("cannot read {path}", path = path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("{path} holds no {what} in PEM", path = path.display())]
    Empty { path: PathBuf, what: &'static str },
    #[error("certificate and key do not go together, or one of them makes no sense")]
    Unusable(#[source] rustls::Error),
    #[error("the client authorities make no sense")]
    Authorities(#[source] rustls::server::VerifierBuilderError),
}

/// What the server speaks TLS with now.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    metrics: Arc<Metrics>,
    now: RwLock<(Arc<ServerConfig>, Read)>,
}

/// What the files held.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authorities: Option<Vec<u8>>,
}

impl Tls {
    /// # Errors
    /// Files that are not there or make no sense: a server does not start without.
    pub fn open(files: TlsFiles, metrics: Arc<Metrics>) -> Result<Self, TlsError> {
        let read = files.read()?;
        let config = files.config(&read)?;
        metrics.certificate_is_current(true);
        Ok(Self {
            files,
            metrics,
            now: RwLock::new((Arc::new(config), read)),
        })
    }

    /// Begins TLS, and says what it has shown of the client.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<(TlsStream<TcpStream>, Connection)> {
        let config = {
            let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&now.0)
        };
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let known = Connection {
            tls: true,
            client_certificate: shown.is_some_and(|chain| !chain.is_empty()),
        };
        Ok((stream, known))
    }

    /// Reads the files anew whenever they change, until the task is dropped.
    pub async fn follow(self: Arc<Self>) {
        let (tell, mut told) = mpsc::channel(1);
        let watched = self.files.watch(tell);
        if let Err(error) = &watched {
            tracing::warn!(%error, "changes of the certificate are looked for, not told");
        }
        loop {
            if let Ok(None) = tokio::time::timeout(LOOK_EVERY, told.recv()).await {
                // Nobody tells any more.
                tokio::time::sleep(LOOK_EVERY).await;
            }
            tokio::time::sleep(SETTLES_WITHIN).await;
            let this = Arc::clone(&self);
            // Files may lie far away.
            tokio::task::spawn_blocking(move || this.look()).await.ok();
        }
    }

    /// Takes what the files hold, where that is new and makes sense.
    fn look(&self) {
        let held = {
            let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
            now.1.clone()
        };
        let read = match self.files.read() {
            Ok(read) if read == held => {
                self.metrics.certificate_is_current(true);
                return;
            }
            read => read,
        };
        let taken = read.and_then(|read| Ok((Arc::new(self.files.config(&read)?), read)));
        self.metrics.certificate_read(taken.is_ok());
        match taken {
            Ok(taken) => {
                *self.now.write().unwrap_or_else(PoisonError::into_inner) = taken;
                tracing::info!("the certificate was changed");
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the new certificate is of no use; the old one stays");
            }
        }
    }
}

impl TlsFiles {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let paths = [Some(&self.certificate), Some(&self.key)];
        let paths = paths.into_iter().chain([self.client_authorities.as_ref()]);
        paths.flatten().map(PathBuf::as_path)
    }

    fn watch(&self, tell: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<_>| {
            // Reading is no change; one that waits to be looked at is enough.
            if event.is_ok_and(|event: notify::Event| !event.kind.is_access()) {
                tell.try_send(()).ok();
            }
        })?;
        for path in self.paths() {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }

    fn read(&self) -> Result<Read, TlsError> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|cause| TlsError::Unreadable {
                path: path.clone(),
                cause,
            })
        };
        Ok(Read {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_authorities: self.client_authorities.as_ref().map(read).transpose()?,
        })
    }

    fn config(&self, read: &Read) -> Result<ServerConfig, TlsError> {
        let chain = certificates(&self.certificate, &read.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&read.key).map_err(|_| TlsError::Empty {
            path: self.key.clone(),
            what: "private key",
        })?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?;
        let builder = match (&self.client_authorities, &read.client_authorities) {
            (Some(path), Some(pem)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path, pem)? {
                    roots.add(authority).map_err(TlsError::Unusable)?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        // Who shows none is told so by HTTP, in words.
                        .allow_unauthenticated()
                        .build()
                        .map_err(TlsError::Authorities)?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(TlsError::Unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| TlsError::Empty {
        path: path.to_owned(),
        what: "certificate",
    })
}
