//! A real S3 endpoint on this machine over `DIR/buckets`, read by the same client as any other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::{GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::domain::fetch::FetchError;
use crate::ingest::Secrets;
use crate::object::SecretCredentials;

/// After a failed accept (no file descriptors left) some connections have to end first.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// Serves until it is dropped.
#[derive(Debug)]
pub struct BucketServer {
    endpoint: String,
    credentials: FolderSecrets,
    task: JoinHandle<()>,
}

impl BucketServer {
    /// Binds a free port of the loopback interface; only the credentials made here may read.
    ///
    /// # Errors
    /// A folder that cannot be read, no free port.
    pub async fn start(buckets: &Path) -> Result<Self> {
        let files = s3s_fs::FileSystem::new(buckets)
            .map_err(|error| anyhow::anyhow!("{error:?}"))
            .with_context(|| format!("cannot serve {}", buckets.display()))?;
        let credentials = FolderSecrets(SecretCredentials {
            access_key_id: "sumsq-local".to_owned(),
            secret_access_key: Uuid::new_v4().simple().to_string(),
            session_token: None,
            session: None,
        });
        let mut service = S3ServiceBuilder::new(Buckets {
            folder: buckets.to_owned(),
            files,
        });
        service.set_auth(SimpleAuth::from_single(
            credentials.0.access_key_id.clone(),
            credentials.0.secret_access_key.clone(),
        ));
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("no free port for the buckets")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(accept(listener, service.build()));
        Ok(Self {
            endpoint,
            credentials,
            task,
        })
    }

    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whatever Secret a manifest names, these are the credentials that open the folder.
    #[must_use]
    pub fn secrets(&self) -> FolderSecrets {
        self.credentials.clone()
    }
}

impl Drop for BucketServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The folder's objects, to be read and not to be changed, with words for what is not there.
struct Buckets {
    folder: PathBuf,
    files: s3s_fs::FileSystem,
}

impl Buckets {
    fn explained(&self, error: S3Error, bucket: &str, key: &str) -> S3Error {
        let folder = self.folder.join(bucket);
        match error.code() {
            S3ErrorCode::NoSuchBucket | S3ErrorCode::NoSuchKey if !folder.is_dir() => {
                let message = format!("There is no folder {}", folder.display());
                S3Error::with_message(S3ErrorCode::NoSuchBucket, message)
            }
            S3ErrorCode::NoSuchKey => {
                let message = format!("There is no file {}", folder.join(key).display());
                S3Error::with_message(S3ErrorCode::NoSuchKey, message)
            }
            _ => error,
        }
    }
}

#[async_trait]
impl S3 for Buckets {
    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let answer = self.files.get_object(request).await;
        answer.map_err(|error| self.explained(error, &bucket, &key))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.files.head_object(request).await
    }
}

async fn accept(listener: TcpListener, service: S3Service) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let service = service.clone();
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            // A client that hangs up early is its own business.
            server
                .serve_connection(TokioIo::new(socket), service)
                .await
                .ok();
        });
    }
}

/// The folder's own credentials under every name.
#[derive(Clone)]
pub struct FolderSecrets(SecretCredentials);

impl std::fmt::Debug for FolderSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FolderSecrets").finish_non_exhaustive()
    }
}

#[async_trait]
impl Secrets for FolderSecrets {
    async fn read(&self, _: &str, _: &str) -> Result<SecretCredentials, FetchError> {
        Ok(self.0.clone())
    }
}
