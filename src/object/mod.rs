//! The S3 object: whose identity reads it, its bytes, and what to tell the user when it can't be read.

pub mod diagnose;

use bytes::Bytes;

use crate::domain::data_source::S3Object;
use crate::domain::fetch::FetchError;

/// Opens objects with the real S3 client.
#[derive(Debug, Clone)]
pub struct Objects {}

/// Credentials out of a Secret. Debug never shows them.
#[derive(Clone)]
pub struct SecretCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

impl Objects {
    /// `endpoint`: every source's objects are read from there (path style), whatever its spec says
    /// (`sumsq local`); None: as the spec says.
    pub async fn new(endpoint: Option<String>) -> Self {
        todo!()
    }

    /// The ARN of whose identity reads: best effort, bounded in time, cached.
    pub async fn reader(&self, object: &S3Object, namespace: &str, credentials: Option<&SecretCredentials>) -> Option<String> {
        todo!()
    }

    /// Asks for the object, unless it is still the one with `etag`.
    ///
    /// `credentials` are those of the Secret where the object's identity is one; `namespace` is
    /// for hints that name that Secret.
    ///
    /// # Errors
    /// Every situation of the table in docs/errors.md, ready to show.
    pub async fn open(
        &self,
        object: &S3Object,
        namespace: &str,
        credentials: Option<&SecretCredentials>,
        etag: Option<&str>,
        max_object_bytes: u64,
    ) -> Result<Opened, FetchError> {
        todo!()
    }
}

pub enum Opened {
    /// It is the one with the ETag that was sent.
    NotModified,
    Body(ObjectBody),
}

/// The object's bytes, decompressed where they are gzip or zstd (by magic bytes), under the limit.
pub struct ObjectBody {
    pub etag: Option<String>,
    /// As stored (compressed where it is).
    pub content_length: Option<u64>,
}

impl ObjectBody {
    /// The next bytes; None at the end.
    ///
    /// # Errors
    /// BodyInterrupted, ObjectTooLarge.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        todo!()
    }

    /// Bytes received so far, as stored: for progress against `content_length`.
    #[must_use]
    pub fn received(&self) -> u64 {
        todo!()
    }
}
