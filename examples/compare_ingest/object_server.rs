//! Files of a folder by HTTP, as much like S3 as reading an object needs, and from memory: what a
//! server takes of the cores is not what is compared.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

struct Folder {
    path: PathBuf,
    /// The file that was asked for last, with its ETag.
    held: Mutex<Option<(String, Bytes)>>,
}

/// Serves `folder/BUCKET/KEY` until it is killed; prints its address first.
pub async fn serve(folder: &Path) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let folder = Folder {
        path: folder.to_owned(),
        held: Mutex::default(),
    };
    let router = Router::new()
        .route("/{*path}", get(object))
        .with_state(Arc::new(folder));
    Ok(axum::serve(listener, router).await?)
}

async fn object(
    method: Method,
    UrlPath(path): UrlPath<String>,
    State(folder): State<Arc<Folder>>,
    asked: HeaderMap,
) -> Response {
    folder
        .answer(&method, &path, &asked)
        .unwrap_or_else(|error| (StatusCode::NOT_FOUND, error.to_string()).into_response())
}

impl Folder {
    fn answer(&self, method: &Method, path: &str, asked: &HeaderMap) -> Result<Response> {
        let path = self.path.join(path);
        let metadata = std::fs::metadata(&path)?;
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
        let bytes = self.held(&path, &etag)?;
        let bytes = bytes.slice(usize::try_from(part.start)?..usize::try_from(part.end)?);
        let mut answer = Response::builder()
            .status(status)
            .header(header::ETAG, etag)
            .header(header::ACCEPT_RANGES, "bytes")
            .header(header::CONTENT_LENGTH, bytes.len());
        if range.is_some() {
            let said = format!("bytes {}-{}/{}", part.start, part.end - 1, metadata.len());
            answer = answer.header(header::CONTENT_RANGE, said);
        }
        let body = match *method {
            Method::HEAD => Body::empty(),
            _ => Body::from(bytes),
        };
        Ok(answer.body(body)?)
    }

    fn held(&self, path: &Path, etag: &str) -> Result<Bytes> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = held.as_ref().filter(|(of, _)| of == etag) {
            return Ok(bytes.clone());
        }
        let bytes = Bytes::from(std::fs::read(path)?);
        *held = Some((etag.to_owned(), bytes.clone()));
        Ok(bytes)
    }
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
