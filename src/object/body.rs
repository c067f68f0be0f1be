//! The object's bytes: decompressed where they are gzip or zstd, counted, under a limit.
//!
//! Two things can be wrong with them, and they are told apart. Where bytes were lost or changed on
//! their way, the next attempt may get them whole: `BodyInterrupted`. Where all have arrived as
//! they are stored and still can't be decompressed, the object itself is broken: `InvalidCsv`.

use std::fmt;
use std::io::{self, Cursor};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use aws_smithy_types::byte_stream::ByteStream;
use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use jiff::SignedDuration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use tokio_util::io::StreamReader;

use super::compression::{Format, gzip, zstd};
use super::download::{Broken, Download};
use crate::domain::fetch::{ErrorCode, FetchError, cases};

const CHUNK_BYTES: usize = 64 * 1024;

/// The object's bytes, decompressed where they are gzip or zstd (by magic bytes), under the limit.
///
/// Read it to its end before judging the contents: the checksum of what was received is compared
/// there, so a change of bytes on their way is known only then.
pub struct ObjectBody {
    pub etag: Option<String>,
    /// As stored (compressed where it is), in bytes.
    pub content_length: Option<u64>,
    content: Box<Content>,
    received: Arc<AtomicU64>,
    decompressed: u64,
    limit: u64,
    stall: Duration,
}

enum Content {
    /// Not a byte has been asked for.
    Unread(Source),
    Plain(Peeked),
    Gzip(GzipDecoder<Peeked>),
    Zstd(ZstdDecoder<Peeked>),
    /// At the end, or failed.
    Ended,
}

type Source = StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>;
/// The first bytes, which were looked at, and then the rest.
type Peeked = tokio::io::Chain<Cursor<Vec<u8>>, Source>;

impl ObjectBody {
    /// `first`: the body of the answer that `download` is of.
    pub(super) fn new(
        download: Download,
        first: ByteStream,
        limit: u64,
        stall: Duration,
    ) -> Result<Self, FetchError> {
        let content_length = download.length();
        let etag = download.etag().map(str::to_owned);
        if let Some(length) = content_length.filter(|length| *length > limit) {
            let message = format!(
                "the object has {length} bytes, more than `maxObjectBytes` ({}) allows",
                quantity(limit)
            );
            return Err(refused(
                ErrorCode::ObjectTooLarge,
                &message,
                cases::too_large(),
                etag,
            ));
        }
        let received = Arc::new(AtomicU64::new(0));
        let content = Content::Unread(source(download.bytes(first), Arc::clone(&received)));
        Ok(Self {
            etag,
            content_length,
            content: Box::new(content),
            received,
            decompressed: 0,
            limit,
            stall,
        })
    }

    /// The next bytes; None at the end, and after an error.
    ///
    /// # Errors
    /// BodyInterrupted, ObjectTooLarge; InvalidCsv where the object can't be decompressed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let result = self.read().await;
        if !matches!(result, Ok(Some(_))) {
            *self.content = Content::Ended;
        }
        result
    }

    /// Bytes received so far, as stored: for progress against `content_length`.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    async fn read(&mut self) -> Result<Option<Bytes>, FetchError> {
        if let Content::Unread(_) = *self.content {
            self.look_at_magic_bytes().await?;
        }
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        let read = match &mut *self.content {
            Content::Plain(source) => source.read_buf(&mut chunk).await,
            Content::Gzip(decoder) => decoder.read_buf(&mut chunk).await,
            Content::Zstd(decoder) => decoder.read_buf(&mut chunk).await,
            Content::Unread(_) | Content::Ended => return Ok(None),
        };
        match read {
            Ok(0) => Ok(None),
            Ok(bytes) => {
                self.decompressed += bytes as u64;
                // Chunked answers do not say their length; compressed ones may say a small one.
                if self.decompressed.max(self.received()) > self.limit {
                    return Err(self.too_large());
                }
                Ok(Some(chunk.freeze()))
            }
            Err(error) => Err(self.failed(error).await),
        }
    }

    async fn look_at_magic_bytes(&mut self) -> Result<(), FetchError> {
        let Content::Unread(mut source) = std::mem::replace(&mut *self.content, Content::Ended)
        else {
            return Ok(());
        };
        let mut head = Vec::with_capacity(4);
        (&mut source)
            .take(4)
            .read_to_end(&mut head)
            .await
            .map_err(|error| self.interrupted(&error))?;
        let format = Format::of(&head);
        let peeked = Cursor::new(head).chain(source);
        *self.content = match format {
            Format::Plain => Content::Plain(peeked),
            Format::Gzip => Content::Gzip(gzip(peeked)),
            Format::Zstd => Content::Zstd(zstd(peeked)),
            Format::Other(name) => {
                let message = format!("the object is {name}, not CSV");
                return Err(refused(
                    ErrorCode::InvalidCsv,
                    &message,
                    cases::other_format(),
                    self.etag.clone(),
                ));
            }
        };
        Ok(())
    }

    /// Where decompression fails, only the rest of the bytes tells whether they have come as they
    /// are stored.
    async fn failed(&mut self, error: io::Error) -> FetchError {
        if broken(&error).is_some() {
            return self.interrupted(&error);
        }
        let (format, hint) = match &*self.content {
            Content::Zstd(_) => ("zstd", cases::broken_zstd()),
            _ => ("gzip", cases::broken_gzip()),
        };
        if let Err(error) = self.drain().await {
            return self.interrupted(&error);
        }
        let message = format!(
            "the object is not valid {format}: {}",
            said_by_decoder(&error)
        );
        refused(ErrorCode::InvalidCsv, &message, hint, self.etag.clone())
    }

    /// Receives what is left, up to the limit.
    async fn drain(&mut self) -> io::Result<()> {
        let source: &mut (dyn AsyncBufRead + Unpin + Send) = match &mut *self.content {
            Content::Plain(source) => source,
            Content::Gzip(decoder) => decoder.get_mut(),
            Content::Zstd(decoder) => decoder.get_mut(),
            Content::Unread(_) | Content::Ended => return Ok(()),
        };
        while self.received.load(Ordering::Relaxed) <= self.limit {
            let buffered = source.fill_buf().await?.len();
            if buffered == 0 {
                break;
            }
            source.consume(buffered);
        }
        Ok(())
    }

    /// Says the same whatever the number of bytes that came: repeats are one failure.
    fn interrupted(&self, error: &io::Error) -> FetchError {
        let message = match broken(error) {
            Some(Broken::Changed) => {
                return FetchError::new(
                    ErrorCode::ObjectChanged,
                    "the object was replaced while it was being read",
                    cases::object_changed_on_the_way(),
                );
            }
            Some(Broken::Checksum) => {
                "the bytes that arrived are not those of the object: their checksum differs"
                    .to_owned()
            }
            Some(Broken::Stalled) => format!(
                "no bytes arrived for {:#} while the object was being read",
                SignedDuration::try_from(self.stall).unwrap_or_default()
            ),
            Some(Broken::Cut) | None => "the connection ended before the object did".to_owned(),
        };
        FetchError::new(ErrorCode::BodyInterrupted, message, cases::interrupted())
    }

    fn too_large(&self) -> FetchError {
        let grown = if self.decompressed > self.received() {
            " when decompressed"
        } else {
            ""
        };
        let message = format!(
            "the object has more bytes{grown} than `maxObjectBytes` ({}) allows",
            quantity(self.limit)
        );
        refused(
            ErrorCode::ObjectTooLarge,
            &message,
            cases::too_large(),
            self.etag.clone(),
        )
    }
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBody")
            .field("etag", &self.etag)
            .field("content_length", &self.content_length)
            .field("received", &self.received())
            .finish_non_exhaustive()
    }
}

/// An error that the object itself is to blame for, so that meeting it again is no news.
fn refused(class: ErrorCode, message: &str, hint: String, etag: Option<String>) -> FetchError {
    FetchError {
        refused_etag: etag,
        ..FetchError::new(class, message, hint)
    }
}

/// The bytes as a reader that counts what it receives.
fn source(bytes: BoxStream<'static, Result<Bytes, Broken>>, received: Arc<AtomicU64>) -> Source {
    let chunks = bytes
        .inspect_ok(move |chunk| {
            received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        })
        .map_err(io::Error::other);
    StreamReader::new(chunks.boxed())
}

/// What came through the decoders: why no more bytes come.
fn broken(error: &io::Error) -> Option<Broken> {
    error.get_ref()?.downcast_ref().copied()
}

fn said_by_decoder(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "it ends too early".to_owned();
    }
    error.to_string()
}

/// Bytes as Kubernetes writes a quantity.
fn quantity(bytes: u64) -> String {
    for (shift, suffix) in [(40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")] {
        if bytes >> shift > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{suffix}", bytes >> shift);
        }
    }
    bytes.to_string()
}
