//! Files of a folder by HTTP, as much like S3 as reading an object needs.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Serves `folder/BUCKET/KEY` until it is killed; prints its address first.
pub async fn serve(folder: &Path) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let router = Router::new()
        .route("/{*path}", get(object))
        .with_state(Arc::new(folder.to_owned()));
    Ok(axum::serve(listener, router).await?)
}

async fn object(
    method: Method,
    UrlPath(path): UrlPath<String>,
    State(folder): State<Arc<PathBuf>>,
    asked: HeaderMap,
) -> Response {
    answer(&method, &folder.join(path), &asked)
        .await
        .unwrap_or_else(|error| (StatusCode::NOT_FOUND, error.to_string()).into_response())
}

async fn answer(method: &Method, path: &Path, asked: &HeaderMap) -> Result<Response> {
    let mut file = tokio::fs::File::open(path).await?;
    let metadata = file.metadata().await?;
    let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH)?;
    let etag = format!("\"{:x}-{:x}\"", modified.as_nanos(), metadata.len());
    let asks = |name| {
        asked
            .get(name)
            .and_then(|value: &header::HeaderValue| value.to_str().ok())
    };
    if asks(header::IF_NONE_MATCH) == Some(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    if asks(header::IF_MATCH).is_some_and(|wanted| wanted != etag) {
        return Ok(StatusCode::PRECONDITION_FAILED.into_response());
    }
    let range = asks(header::RANGE).and_then(|text| range(text, metadata.len()));
    let (status, part) = match &range {
        Some(range) => (StatusCode::PARTIAL_CONTENT, range.clone()),
        None => (StatusCode::OK, 0..metadata.len()),
    };
    let length = part.end - part.start;
    let mut answer = Response::builder()
        .status(status)
        .header(header::ETAG, etag)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_LENGTH, length);
    if range.is_some() {
        let said = format!("bytes {}-{}/{}", part.start, part.end - 1, metadata.len());
        answer = answer.header(header::CONTENT_RANGE, said);
    }
    if method == Method::HEAD {
        return Ok(answer.body(Body::empty())?);
    }
    file.seek(std::io::SeekFrom::Start(part.start)).await?;
    let bytes = ReaderStream::with_capacity(file.take(length), 1 << 20);
    Ok(answer.body(Body::from_stream(bytes))?)
}

/// `bytes=FIRST-LAST`, either of which may be missing.
fn range(text: &str, length: u64) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let newest: u64 = last.parse().ok()?;
        return Some(length.saturating_sub(newest)..length);
    }
    let first = first.parse().ok()?;
    let end = last
        .parse::<u64>()
        .map_or(length, |last| length.min(last + 1));
    (first < end).then_some(first..end)
}
