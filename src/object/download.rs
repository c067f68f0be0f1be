//! The object's bytes as they are stored, over as many requests as it takes.
//!
//! A body that is cut goes on where it stopped, so that a reset at 99% does not start over. A large
//! object is asked for in parts, several at a time where memory for them is left. All of it bears the ETag of the first answer
//! (`If-Match`): an object that is replaced in between is never mixed with the one before. Answers
//! to such requests have no checksum, so that of the whole is compared here.

use std::collections::VecDeque;
use std::error::Error;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::ChecksumType;
use aws_smithy_checksums::ChecksumAlgorithm;
use aws_smithy_checksums::http::HttpChecksum;
use aws_smithy_types::{base64, byte_stream::ByteStream};
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use super::failure::{Failure, chain};
use crate::domain::data_source::S3Object;

/// From here on an object comes in parts.
const LARGE_BYTES: u64 = 32 << 20;
const PART_BYTES: u64 = 8 << 20;
/// Parts of an object that wait in memory or are under way, besides the one that is read.
const PARTS_AHEAD: usize = 3;
/// The same of all objects together, however many are read at the same time.
const MOST_PARTS_AHEAD: usize = 6;
/// Requests in a row that bring less than [`PROGRESS_BYTES`]: then it is given up.
const MOST_FUTILE: u32 = 4;
const PROGRESS_BYTES: u64 = 1 << 20;
/// Before the second futile request; before each further one twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// Why no more bytes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error("the connection ended before the object did")]
    Cut,
    #[error("no bytes arrived")]
    Stalled,
    #[error("the checksum of what arrived is another")]
    Checksum,
    #[error("the object is another by now")]
    Changed,
}

/// Memory for parts that come before they are read, shared by all downloads. One that gets none reads
/// on without: the bytes of its next part as they come.
#[derive(Debug, Clone)]
pub(super) struct PartsAhead(Arc<Semaphore>);

impl Default for PartsAhead {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_PARTS_AHEAD)))
    }
}

/// One state of an object.
pub(super) struct Download {
    client: Client,
    object: S3Object,
    /// None: what was begun can't be gone on with.
    etag: Option<String>,
    /// As stored.
    length: Option<u64>,
    checksum: Option<Checksum>,
    ahead: PartsAhead,
}

/// What the bytes must add up to, in base64.
struct Checksum {
    algorithm: ChecksumAlgorithm,
    expected: String,
}

impl Download {
    /// Of the object that was answered with.
    pub(super) fn of(
        answer: &GetObjectOutput,
        client: Client,
        object: S3Object,
        ahead: PartsAhead,
    ) -> Self {
        Self {
            client,
            ahead,
            object,
            etag: answer.e_tag().map(str::to_owned),
            length: answer
                .content_length()
                .and_then(|length| u64::try_from(length).ok()),
            checksum: Checksum::of(answer),
        }
    }

    pub(super) fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// All bytes in order; `first` is the body of the first answer, which was asked for the whole.
    pub(super) fn bytes(mut self, first: ByteStream) -> BoxStream<'static, Result<Bytes, Broken>> {
        let checksum = self.checksum.take();
        let bytes = match self.length {
            Some(length) if length >= LARGE_BYTES && self.etag.is_some() => {
                self.in_parts(first, length).boxed()
            }
            length => Segment::of(Arc::new(self), 0, length, Some(first)).boxed(),
        };
        match checksum {
            Some(checksum) => checksum.compared(bytes).boxed(),
            None => bytes,
        }
    }

    /// The first part comes by the request that is there already.
    fn in_parts(
        self,
        first: ByteStream,
        length: u64,
    ) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
        let download = Arc::new(self);
        let parts = Parts {
            left: parts(PART_BYTES..length),
            first: Some(
                Segment::of(Arc::clone(&download), 0, Some(PART_BYTES), Some(first)).boxed(),
            ),
            ahead: VecDeque::new(),
            download,
        };
        stream::unfold(parts, |mut parts| async move {
            let part = parts.next().await?;
            Some((part, parts))
        })
        .flatten()
    }

    /// The bytes from `start` on, of the same state of the object.
    async fn get(&self, start: u64, end: Option<u64>) -> Result<ByteStream, Broken> {
        let last = end.map_or_else(String::new, |end| (end - 1).to_string());
        let answer = self
            .client
            .get_object()
            .bucket(&self.object.bucket)
            .key(&self.object.key)
            .set_expected_bucket_owner(self.object.account_id.clone())
            .set_if_match(self.etag.clone())
            .range(format!("bytes={start}-{last}"))
            .send()
            .await;
        let answer = answer.map_err(|error| match Failure::from_sdk(&error) {
            Failure::Answer(answer) if matches!(answer.status, 404 | 412) => Broken::Changed,
            failure => {
                tracing::debug!(?failure, start, "S3 did not go on with the object");
                Broken::Cut
            }
        })?;
        // Not every store knows If-Match or Range.
        if answer.e_tag() != self.etag.as_deref() {
            return Err(Broken::Changed);
        }
        let range = answer.content_range().unwrap_or_default();
        if !range.starts_with(&format!("bytes {start}-")) {
            return Err(Broken::Cut);
        }
        Ok(answer.body)
    }
}

fn parts(whole: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let starts = whole
        .clone()
        .step_by(usize::try_from(PART_BYTES).unwrap_or(usize::MAX));
    starts.map(move |start| start..(start + PART_BYTES).min(whole.end))
}

type Part = BoxStream<'static, Result<Bytes, Broken>>;

/// The parts of an object, in order.
struct Parts<I> {
    download: Arc<Download>,
    first: Option<Part>,
    /// Not asked for yet.
    left: I,
    ahead: VecDeque<Ahead>,
}

/// A part that comes while others are made sense of.
struct Ahead {
    fetched: AbortOnDropHandle<Result<Vec<Bytes>, Broken>>,
    /// Until its bytes have been taken.
    room: OwnedSemaphorePermit,
}

impl<I: Iterator<Item = Range<u64>>> Parts<I> {
    async fn next(&mut self) -> Option<Part> {
        let part = match self.first.take() {
            Some(first) => Some(first),
            None => match self.ahead.pop_front() {
                Some(ahead) => Some(ahead.part().await),
                None => (self.left.next()).map(|part| Segment::whole(&self.download, part).boxed()),
            },
        };
        self.ask_ahead();
        part
    }

    fn ask_ahead(&mut self) {
        while self.ahead.len() < PARTS_AHEAD
            && let Ok(room) = Arc::clone(&self.download.ahead.0).try_acquire_owned()
            && let Some(part) = self.left.next()
        {
            let segment = Segment::whole(&self.download, part);
            let fetched = AbortOnDropHandle::new(tokio::spawn(segment.try_collect()));
            self.ahead.push_back(Ahead { fetched, room });
        }
    }
}

impl Ahead {
    async fn part(self) -> Part {
        let room = self.room;
        match self.fetched.await.unwrap_or(Err(Broken::Cut)) {
            Ok(chunks) => {
                let held = chunks.into_iter().map(move |chunk| {
                    _ = &room;
                    Ok(chunk)
                });
                stream::iter(held).boxed()
            }
            Err(broken) => stream::iter([Err(broken)]).boxed(),
        }
    }
}

/// Consecutive bytes, by one request or, where that breaks, by several.
struct Segment {
    download: Arc<Download>,
    /// Where the next byte lies.
    at: u64,
    /// None: the object's, which is not known.
    end: Option<u64>,
    body: Option<ByteStream>,
    /// What the request that is under way has brought.
    brought: u64,
    /// Requests in a row that brought little.
    futile: u32,
}

impl Segment {
    /// By requests of its own.
    fn whole(
        download: &Arc<Download>,
        part: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, Broken>> + Send + use<> {
        Self::of(Arc::clone(download), part.start, Some(part.end), None)
    }

    fn of(
        download: Arc<Download>,
        at: u64,
        end: Option<u64>,
        body: Option<ByteStream>,
    ) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
        let segment = Self {
            download,
            at,
            end,
            body,
            brought: 0,
            futile: 0,
        };
        stream::try_unfold(segment, |mut segment| async move {
            let chunk = segment.next().await?;
            Ok(chunk.map(|chunk| (chunk, segment)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        while self.end != Some(self.at) {
            let broken = match self.received().await {
                Ok(Some(chunk)) => return Ok(Some(chunk)),
                Ok(None) if self.end.is_none() => return Ok(None),
                Ok(None) => Broken::Cut,
                Err(broken) => broken,
            };
            self.resume(broken).await?;
        }
        Ok(None)
    }

    /// The next bytes of the request that is under way, or of a new one.
    async fn received(&mut self) -> Result<Option<Bytes>, Broken> {
        let body = match &mut self.body {
            Some(body) => body,
            None => self
                .body
                .insert(self.download.get(self.at, self.end).await?),
        };
        let chunk = body.try_next().await.map_err(|error| broken(&error))?;
        let Some(mut chunk) = chunk else {
            return Ok(None);
        };
        if let Some(end) = self.end {
            chunk.truncate(usize::try_from(end - self.at).unwrap_or(usize::MAX));
        }
        self.at += chunk.len() as u64;
        self.brought += chunk.len() as u64;
        Ok(Some(chunk))
    }

    /// Makes ready for another request, where that may help.
    async fn resume(&mut self, broken: Broken) -> Result<(), Broken> {
        self.body = None;
        self.futile = if self.brought < PROGRESS_BYTES {
            self.futile + 1
        } else {
            1
        };
        self.brought = 0;
        let helps = matches!(broken, Broken::Cut | Broken::Stalled);
        if !helps || self.download.etag.is_none() || self.futile >= MOST_FUTILE {
            return Err(broken);
        }
        tracing::debug!(
            key = self.download.object.key,
            at = self.at,
            %broken,
            "the object is gone on with"
        );
        if self.futile > 1 {
            tokio::time::sleep(PAUSE * 2_u32.pow(self.futile - 2)).await;
        }
        Ok(())
    }
}

/// The error that tells of a stall has no public type.
fn broken(error: &(dyn Error + 'static)) -> Broken {
    let mut causes = chain(error);
    if causes.any(|cause| cause.to_string().contains("minimum throughput")) {
        Broken::Stalled
    } else {
        Broken::Cut
    }
}

impl Checksum {
    /// Of the whole object; one of its parts' checksums says nothing of the bytes themselves.
    fn of(answer: &GetObjectOutput) -> Option<Self> {
        if answer.checksum_type() == Some(&ChecksumType::Composite) {
            return None;
        }
        let stored = [
            ("crc64nvme", answer.checksum_crc64_nvme()),
            ("crc32c", answer.checksum_crc32_c()),
            ("crc32", answer.checksum_crc32()),
            ("sha256", answer.checksum_sha256()),
            ("sha1", answer.checksum_sha1()),
        ];
        stored.into_iter().find_map(|(name, expected)| {
            // `VALUE-3` is one of three parts.
            let expected = expected.filter(|value| !value.contains('-'))?;
            Some(Self {
                algorithm: name.parse().ok()?,
                expected: expected.to_owned(),
            })
        })
    }

    /// The same bytes, and an error at their end where they are not the object's.
    fn compared(
        self,
        bytes: BoxStream<'static, Result<Bytes, Broken>>,
    ) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
        let hash: Box<dyn HttpChecksum> = self.algorithm.into_impl();
        let state = Some((bytes, hash, self.expected));
        stream::try_unfold(state, |state| async move {
            let Some((mut bytes, mut hash, expected)) = state else {
                return Ok(None);
            };
            let Some(chunk) = bytes.try_next().await? else {
                let found = base64::encode(hash.finalize());
                return if found == expected {
                    Ok(None)
                } else {
                    Err(Broken::Checksum)
                };
            };
            hash.update(&chunk);
            Ok(Some((chunk, Some((bytes, hash, expected)))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_to_the_end() {
        for length in [LARGE_BYTES, LARGE_BYTES + 1, 100_000_001] {
            let parts: Vec<_> = parts(PART_BYTES..length).collect();
            assert_eq!(parts.first().map(|part| part.start), Some(PART_BYTES));
            assert_eq!(parts.last().map(|part| part.end), Some(length));
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(parts.iter().all(|part| part.end - part.start <= PART_BYTES));
        }
    }
}
