//! One fetch: object stream -> agent days -> one store transaction.
//!
//! [`engine`] carries out what the domain decides, for the cluster and for a folder alike;
//! [`pool`] runs fetches apart from everything else, fairly between namespaces; [`judge`] says
//! whether the reports of what was fetched can be trusted.

pub mod engine;
pub mod judge;
pub mod pool;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::Clock;
use crate::domain::counts_csv::{
    CsvSpec, FileReader, Limits, Means, Rejected, Reviewed, Spilled, Summary, Unread,
};
use crate::domain::data_source::{DataSource, Identity, SourceKey};
use crate::domain::fetch::{ErrorCode, FetchError, Import, Outcome, Warnings, cases, presentable};
use crate::object::{Base, ObjectBody, Objects, Opened, SecretCredentials, ServiceAccounts};
use crate::store::{EncodedDay, EndFetch, Store, StoreError, block};

/// Chunks of a body, of at most 64 KiB each, that wait to be read.
const CHUNKS_AHEAD: usize = 8;

/// Reads the Secrets that data sources name, on demand: nothing keeps them.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// # Errors
    /// SecretNotFound, SecretNotLabeled or SecretInvalid, ready to show.
    async fn read(&self, namespace: &str, name: &str) -> Result<SecretCredentials, FetchError>;
}

/// Told of a fetch's progress.
pub trait Progress: Send + Sync {
    /// So many bytes of the object have arrived, of so many where that is known.
    fn received(&self, source: &SourceKey, received: u64, of: Option<u64>);
    /// Everything has arrived; the store is being written.
    fn storing(&self, source: &SourceKey, agent_days: u64);
}

/// Progress for nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn received(&self, _: &SourceKey, _: u64, _: Option<u64>) {}
    fn storing(&self, _: &SourceKey, _: u64) {}
}

/// Everything that a fetch needs.
#[derive(Clone)]
pub struct Ingest {
    pub objects: Objects,
    pub store: Arc<dyn Store>,
    pub secrets: Arc<dyn Secrets>,
    pub accounts: Arc<dyn ServiceAccounts>,
    pub progress: Arc<dyn Progress>,
    /// Shared by all fetches.
    pub means: Means,
    pub clock: Clock,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest").finish_non_exhaustive()
    }
}

/// What the last fetches left behind that bears on the next one.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Sent as If-None-Match.
    pub etag: Option<String>,
    /// Where that ETag is of an object that was refused for its content: a 304 is this error again.
    pub refused: Option<FetchError>,
}

/// What a fetch and what goes along with it sign with: read once for both, and never kept.
#[derive(Debug, Default)]
pub struct Credentials(OnceCell<Option<SecretCredentials>>);

/// Whose identity reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// Its ARN.
    Known(String),
    /// It could not be had this time: what was known before may well stand.
    Unknown,
    /// The identity that the spec names reads nothing: who read before is the wrong answer.
    Nobody,
}

impl Reader {
    /// What the store has to be told, where it has it otherwise.
    fn changes(&self, stored: Option<&str>) -> Option<&str> {
        let reader = match self {
            Self::Known(reader) => reader,
            Self::Unknown => return None,
            Self::Nobody => "",
        };
        (stored.unwrap_or_default() != reader).then_some(reader)
    }
}

/// Whether there is no such identity, or it is not lent: an API that does not answer says neither.
fn is_refused(class: ErrorCode) -> bool {
    matches!(
        class,
        ErrorCode::AmbientCredentialsRefused
            | ErrorCode::AssumeRoleFailed
            | ErrorCode::SecretInvalid
            | ErrorCode::SecretNotLabeled
            | ErrorCode::ServiceAccountInvalid
            | ErrorCode::TokenNotGranted
    )
}

/// How a fetch ended.
#[derive(Debug)]
pub enum Ended {
    /// It is in the log.
    Logged(Outcome),
    /// Cancelled before anything was stored; the log still says that it runs.
    Cancelled,
}

impl Ingest {
    /// Runs one fetch that the log knows as `fetch`, to its end in the log.
    ///
    /// The time limit and cancelling hold until the store is written: what is committed is never
    /// taken back.
    ///
    /// # Errors
    /// The store's own, where not even the failure could be logged.
    pub async fn run(
        &self,
        source: &DataSource,
        fetch: Uuid,
        known: Known,
        credentials: &Credentials,
        cancel: &CancellationToken,
    ) -> Result<Ended, StoreError> {
        let downloaded = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Ended::Cancelled),
            result = tokio::time::timeout(source.timeout, self.download(source, known, credentials)) => {
                result.unwrap_or_else(|_| Err(timed_out(source.timeout)))
            }
        };
        let outcome = match downloaded {
            Ok(Downloaded::NotModified) => Outcome::NotModified,
            Ok(Downloaded::File { reviewed, etag }) => {
                match self.store_file(source, fetch, reviewed, etag).await {
                    Ok(import) => return Ok(Ended::Logged(Outcome::Imported(import))),
                    // There is nothing to log: the log is another operator's by now.
                    Err(error @ StoreError::Fenced { .. }) => return Err(error),
                    Err(error) => {
                        // The status has what is for everybody's eyes; the cause is here alone.
                        let cause = &error as &dyn std::error::Error;
                        tracing::warn!(source = %source.key, error = cause, "not stored");
                        Outcome::Failed(unstored(&error))
                    }
                }
            }
            Err(error) => Outcome::Failed(error),
        };
        let end = EndFetch {
            source: source.id,
            fetch,
            outcome,
            etag: None,
            completed_at: (self.clock)(),
        };
        self.store.complete_fetch(&end).await?;
        Ok(Ended::Logged(end.outcome))
    }

    /// Whose identity reads this source's object: best effort.
    pub async fn reader(&self, source: &DataSource, credentials: &Credentials) -> Reader {
        let credentials = match self.read_once(source, credentials).await {
            Ok(credentials) => credentials,
            Err(error) if is_refused(error.class) => return Reader::Nobody,
            Err(_) => return Reader::Unknown,
        };
        self.objects
            .reader(&source.object, &source.key.namespace, credentials)
            .await
            .map_or(Reader::Unknown, Reader::Known)
    }

    async fn read_once<'c>(
        &self,
        source: &DataSource,
        credentials: &'c Credentials,
    ) -> Result<Option<&'c SecretCredentials>, FetchError> {
        let read = credentials.0.get_or_try_init(|| self.credentials(source));
        Ok(read.await?.as_ref())
    }

    async fn credentials(
        &self,
        source: &DataSource,
    ) -> Result<Option<SecretCredentials>, FetchError> {
        let (object, namespace) = (&source.object, source.key.namespace.as_str());
        // Nothing is looked up for what is refused anyway.
        self.objects.admit(object, namespace)?;
        let base = match &object.identity {
            Identity::Operator => Base::Operator,
            Identity::Secret { name } => Base::Secret(self.secrets.read(namespace, name).await?),
            Identity::ServiceAccount { name } => Base::Account {
                account: self.accounts.read(namespace, name).await?,
                accounts: self.accounts.as_ref(),
            },
        };
        self.objects.sign_in(object, namespace, base).await
    }

    async fn download(
        &self,
        source: &DataSource,
        known: Known,
        credentials: &Credentials,
    ) -> Result<Downloaded, FetchError> {
        let credentials = self.read_once(source, credentials).await?;
        let opened = self
            .objects
            .open(
                &source.object,
                &source.key.namespace,
                credentials,
                known.etag.as_deref(),
                source.max_object_bytes,
            )
            .await?;
        let body = match (opened, known.refused) {
            (Opened::NotModified, Some(refused)) => return Err(refused),
            (Opened::NotModified, None) => return Ok(Downloaded::NotModified),
            (Opened::Body(body), _) => body,
        };
        let etag = body.etag.clone();
        let reviewed = self.read(source, body, etag.as_deref()).await?;
        Ok(Downloaded::File { reviewed, etag })
    }

    async fn read(
        &self,
        source: &DataSource,
        mut body: ObjectBody,
        etag: Option<&str>,
    ) -> Result<Reviewed, FetchError> {
        let spec = CsvSpec {
            goals: source.goals.clone(),
            dating: source.dating,
            on_integrity_problem: source.on_integrity_problem,
        };
        let reader = FileReader::new(spec, Limits::default(), self.means.clone());
        let (chunks, received) = mpsc::channel(CHUNKS_AHEAD);
        // Reading is computing, of seconds where the file is large: not on a thread that others
        // wait for.
        let reading = tokio::task::spawn_blocking(move || read_chunks(reader, received));
        let mut is_read = true;
        while let Some(chunk) = body.next().await? {
            // A file that makes no sense is still received to its end: only there its checksum
            // tells whether it was changed on its way, and what it says may be held against it.
            is_read = is_read && chunks.send(Some(chunk)).await.is_ok();
            self.progress
                .received(&source.key, body.received(), body.content_length);
        }
        // Where reading has ended by itself, it says why.
        drop(chunks.send(None).await);
        let read = reading
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        match read {
            Some(Ok(reviewed)) => Ok(reviewed),
            Some(Err(Unread::Rejected(rejected))) => Err(refused(&rejected, etag)),
            Some(Err(Unread::Spilled(error))) => Err(unspilled(&error)),
            None => unreachable!("reading ends without a word only where the body does"),
        }
    }

    async fn store_file(
        &self,
        source: &DataSource,
        fetch: Uuid,
        reviewed: Reviewed,
        etag: Option<String>,
    ) -> Result<Import, StoreError> {
        let Reviewed { summary, days } = reviewed;
        self.progress.storing(&source.key, summary.agent_days);
        let end = EndFetch {
            source: source.id,
            fetch,
            outcome: Outcome::Imported(import_of(summary)),
            etag,
            completed_at: (self.clock)(),
        };
        let encoded = days.map(block::Writer::default, |writer, day| {
            let block = writer.write(&day);
            EncodedDay::of(Arc::clone(day.agent()), day.day(), block)
        });
        let encoded = encoded.map(|day| day.map_err(StoreError::from));
        self.store.import_blocks(&end, Box::new(encoded)).await
    }
}

/// Reads what comes, up to the None that ends the file. None where that does not come: the fetch is
/// given up.
fn read_chunks(
    mut reader: FileReader,
    mut received: mpsc::Receiver<Option<Bytes>>,
) -> Option<Result<Reviewed, Unread>> {
    loop {
        match received.blocking_recv()? {
            None => return Some(reader.finish()),
            Some(chunk) => {
                if let Err(unread) = reader.feed(&chunk) {
                    return Some(Err(unread));
                }
            }
        }
    }
}

enum Downloaded {
    NotModified,
    File {
        reviewed: Reviewed,
        etag: Option<String>,
    },
}

fn import_of(summary: Summary) -> Import {
    let mut agents = summary.agents;
    let agent_count = agents.len() as u64;
    agents.truncate(Import::MAX_AGENTS);
    Import {
        rows: summary.rows,
        bytes: summary.bytes,
        agent_count,
        agents,
        agent_days: summary.agent_days,
        changed_agent_days: 0,
        first_day: summary.first_day,
        last_day: summary.last_day,
        warnings: Warnings {
            total: summary.total_findings,
            messages: summary
                .findings
                .iter()
                .take(Warnings::MAX_MESSAGES)
                .map(|finding| presentable(&finding.headline()))
                .collect(),
        },
    }
}

fn refused(rejected: &Rejected, etag: Option<&str>) -> FetchError {
    FetchError {
        refused_etag: etag.map(str::to_owned),
        ..FetchError::new(rejected.class(), rejected.message(), rejected.hint())
    }
}

fn timed_out(limit: Duration) -> FetchError {
    FetchError::new(
        ErrorCode::Timeout,
        format!("the fetch took longer than {} s", limit.as_secs()),
        cases::took_too_long(),
    )
}

/// What status says where rows could not be put aside on disk.
fn unspilled(error: &Spilled) -> FetchError {
    FetchError::new(
        ErrorCode::StoreFull,
        format!("{error}: {}", error.error),
        cases::spill_full(),
    )
}

/// What status says of a store that could not be written.
pub(crate) fn unstored(error: &StoreError) -> FetchError {
    match error {
        StoreError::Spilled(error) => unspilled(error),
        StoreError::Full(_) => {
            FetchError::new(ErrorCode::StoreFull, error.to_string(), cases::store_full())
        }
        _ => FetchError::new(
            ErrorCode::StoreError,
            error.to_string(),
            cases::still_served(remedy(error)),
        ),
    }
}

fn remedy(error: &StoreError) -> String {
    match error {
        StoreError::Unreachable { .. } => cases::database_unreachable(),
        StoreError::Refused { .. } => cases::database_refuses(),
        StoreError::NoDatabase { .. } => cases::no_database(),
        StoreError::ReadOnly { .. } => cases::read_only_database(),
        StoreError::TooSlow { .. } => cases::slow_database(),
        StoreError::Replaced { .. } => cases::store_replaced(),
        _ => cases::see_the_log(),
    }
}
