//! gzip and zstd, told by their first bytes.

use std::io::{self, Cursor};

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, BufReader};

/// zstd keeps a window of what it has written, as large as the file asks for. RFC 8878 has every
/// decoder support 8 MiB, which `zstd` asks for up to level 19; more would let a small object take
/// any amount of memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The bytes of a local file, decompressed as an object's would be.
///
/// # Errors
/// Those of the file.
pub async fn decompressed(
    mut file: impl AsyncRead + Send + Unpin + 'static,
) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
    let mut head = Vec::with_capacity(4);
    (&mut file).take(4).read_to_end(&mut head).await?;
    let format = Format::of(&head);
    let peeked = BufReader::new(Cursor::new(head).chain(file));
    Ok(match format {
        Format::Gzip => Box::new(gzip(peeked)),
        Format::Zstd => Box::new(zstd(peeked)),
        // The reader of the CSV says what else it may be.
        Format::Plain | Format::Other(_) => Box::new(peeked),
    })
}

/// Of one member or several, as `cat a.gz b.gz` makes them.
pub(super) fn gzip<R: AsyncBufRead>(compressed: R) -> GzipDecoder<R> {
    let mut decoder = GzipDecoder::new(compressed);
    decoder.multiple_members(true);
    decoder
}

/// Of one frame or several, in bounded memory.
pub(super) fn zstd<R: AsyncBufRead>(compressed: R) -> ZstdDecoder<R> {
    let window = DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX);
    let mut decoder = ZstdDecoder::with_params(compressed, &[window]);
    decoder.multiple_members(true);
    decoder
}

pub(super) enum Format {
    Plain,
    Gzip,
    Zstd,
    /// What exports are often written as by mistake.
    Other(&'static str),
}

impl Format {
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Zstd,
            b"PK\x03\x04" => Self::Other("a zip archive (or an Excel workbook)"),
            b"PAR1" => Self::Other("a Parquet file"),
            b"\xfd7zX" => Self::Other("compressed by xz"),
            [b'B', b'Z', b'h', b'1'..=b'9'] => Self::Other("compressed by bzip2"),
            _ => Self::Plain,
        }
    }
}
