//! "Fetch now", asked for outside of the folder: by a page's button.

use tokio::sync::{mpsc, oneshot};

use crate::domain::data_source::SourceKey;

/// Requests that wait; a reader who clicks faster waits, too.
const WAITING: usize = 16;

/// Where requests go in.
#[derive(Debug, Clone)]
pub struct FetchRequests(mpsc::Sender<FetchRequest>);

/// Where the folder takes them out.
#[derive(Debug)]
pub struct PendingRequests(mpsc::Receiver<FetchRequest>);

/// One request, and who waits to hear whether there is such a source.
#[derive(Debug)]
pub(super) struct FetchRequest {
    pub(super) source: SourceKey,
    known: oneshot::Sender<bool>,
}

/// Both ends.
#[must_use]
pub fn fetch_requests() -> (FetchRequests, PendingRequests) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (FetchRequests(sender), PendingRequests(receiver))
}

impl FetchRequests {
    /// False where no manifest in force names the source, or the folder is served no more.
    pub async fn fetch_now(&self, source: &SourceKey) -> bool {
        let (known, answer) = oneshot::channel();
        let request = FetchRequest {
            source: source.clone(),
            known,
        };
        self.0.send(request).await.is_ok() && answer.await.unwrap_or(false)
    }
}

impl FetchRequest {
    pub(super) fn answer(self, known: bool) -> SourceKey {
        self.known.send(known).ok();
        self.source
    }
}

/// Never, where none can come.
pub(super) async fn next(requests: &mut Option<PendingRequests>) -> Option<FetchRequest> {
    match requests {
        Some(requests) => requests.0.recv().await,
        None => std::future::pending().await,
    }
}
