//! What is known of the connection that a request came on, and which of all connections do nothing.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Extensions, HeaderMap};
use http_body::{Frame, SizeHint};
use lru::LruCache;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Of a request's connection; in its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connection {
    pub tls: bool,
    /// Whether the client has shown a certificate, which TLS has verified.
    pub client_certificate: bool,
}

impl Connection {
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or_default()
    }

    /// Whether the browser speaks TLS: with us, or with what stands before us. A client that lies
    /// about it makes its own cookie stricter and no other's.
    pub(super) fn is_secure(self, headers: &HeaderMap) -> bool {
        let forwarded = headers.get("x-forwarded-proto");
        let first = forwarded.and_then(|value| value.to_str().ok()?.split(',').next());
        self.tls || first.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
    }
}

/// The last bytes of an answer may still be on their way when all of it has been handed over.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

/// The connections that do nothing: no head of a request has come, its answer is given, or nobody takes
/// what there is of it. Where all places are taken, the one that has done nothing for longest gives up
/// its own.
#[derive(Debug, Clone)]
pub(super) struct Idle {
    resting: Arc<Mutex<LruCache<u64, Resting>>>,
    changed: Arc<Notify>,
    /// A body of which nothing was taken for so long has no reader.
    reader_stalls: Duration,
}

#[derive(Debug)]
struct Resting {
    give_up: CancellationToken,
    /// From when on it may be given up; None: at once.
    after: Option<Instant>,
}

impl Idle {
    pub(super) fn new(reader_stalls: Duration) -> Self {
        Self {
            resting: Arc::new(Mutex::new(LruCache::unbounded())),
            changed: Arc::new(Notify::new()),
            reader_stalls,
        }
    }

    /// A new connection, which does nothing yet.
    pub(super) fn entered(&self, number: u64) -> Place {
        let place = Place {
            idle: self.clone(),
            number,
            give_up: CancellationToken::new(),
        };
        place.rests(None);
        place
    }

    /// Has the one end that has done nothing for longest; false where there is none that may.
    pub(super) fn give_up_one(&self, now: Instant) -> bool {
        let mut resting = self.lock();
        let over = |rest: &Resting| rest.after.is_none_or(|after| now >= after);
        let longest_first = resting.iter().rev();
        let found = longest_first
            .filter(|(_, rest)| over(rest))
            .map(|(n, _)| *n)
            .next();
        let gone = found.and_then(|number| resting.pop(&number));
        gone.inspect(|rest| rest.give_up.cancel()).is_some()
    }

    /// Until there may be one more that does nothing.
    pub(super) async fn changed(&self) {
        // What was answered just now, or taken, is told of by nobody when its time is over.
        tokio::time::timeout(ON_ITS_WAY, self.changed.notified())
            .await
            .ok();
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<u64, Resting>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of one connection.
#[derive(Debug)]
pub(super) struct Place {
    idle: Idle,
    number: u64,
    give_up: CancellationToken,
}

impl Place {
    /// Ends when this connection has to.
    pub(super) async fn given_up(&self) {
        self.give_up.cancelled().await;
    }

    fn rests(&self, after: Option<Instant>) {
        let rest = Resting {
            give_up: self.give_up.clone(),
            after,
        };
        self.idle.lock().put(self.number, rest);
        self.idle.changed.notify_one();
    }

    /// From a request's head until the end of the answer's body.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.works();
        Busy(Arc::clone(self))
    }

    fn works(&self) {
        self.idle.lock().pop(&self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.idle.lock().pop(&self.number);
    }
}

/// While this is held the connection is busy.
#[derive(Debug)]
pub(super) struct Busy(Arc<Place>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.rests(Some(Instant::now() + ON_ITS_WAY));
    }
}

/// A body that keeps its connection busy until it has been handed over, for as long as somebody takes
/// what there is of it: nothing more is asked of it while what it gave last lies about.
pub(super) struct BusyBody {
    body: Body,
    busy: Option<Busy>,
}

impl BusyBody {
    pub(super) fn new(body: Body, busy: Busy) -> Self {
        let busy = (!body.is_end_stream()).then_some(busy);
        let body = Self { body, busy };
        body.waits_for_its_reader();
        body
    }

    fn waits_for_its_reader(&self) {
        if let Some(Busy(place)) = &self.busy {
            let stalls = place.idle.reader_stalls;
            place.rests(Some(Instant::now() + stalls));
        }
    }
}

impl HttpBody for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let over = matches!(polled, Poll::Ready(None | Some(Err(_))));
        if over || self.body.is_end_stream() {
            self.busy = None;
        } else if polled.is_ready() {
            self.waits_for_its_reader();
        } else if let Some(Busy(place)) = &self.busy {
            // It is the reader who waits.
            place.works();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use axum::BoxError;
    use futures::channel::mpsc;

    use super::*;

    const STALLS: Duration = Duration::from_mins(1);
    const JUST_BEFORE: Duration = Duration::from_millis(59_999);

    #[test]
    fn the_longest_idle_goes_first_and_a_busy_one_never() {
        let idle = Idle::new(STALLS);
        let places: Vec<_> = (0..4).map(|n| Arc::new(idle.entered(n))).collect();
        let gone = || -> Vec<bool> {
            let gone = places.iter().map(|place| place.give_up.is_cancelled());
            gone.collect()
        };
        let now = Instant::now();
        let busy = places[0].busy();
        assert!(idle.give_up_one(now));
        assert_eq!(gone(), [false, true, false, false]);
        // Whoever was busy just now has rested for the shortest time, and may have to say more.
        drop(busy);
        assert!(idle.give_up_one(now) && idle.give_up_one(now));
        assert_eq!(gone(), [false, true, true, true]);
        assert!(!idle.give_up_one(now));
        assert!(idle.give_up_one(Instant::now() + ON_ITS_WAY));
        assert!(gone()[0]);
        assert!(!idle.give_up_one(now + ON_ITS_WAY));
        drop(places);
        assert!(idle.lock().is_empty());
    }

    /// The time stands still, but for what the test lets pass.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_takes_is_no_work() {
        let idle = Idle::new(STALLS);
        let place = Arc::new(idle.entered(1));
        let (give, given) = mpsc::unbounded::<Result<Bytes, BoxError>>();
        let part = || {
            give.unbounded_send(Ok(Bytes::from_static(b"part")))
                .unwrap();
        };
        let mut body = BusyBody::new(Body::from_stream(given), place.busy());
        let pass = async |time| tokio::time::advance(time).await;
        let gives_up = || idle.give_up_one(Instant::now());
        part();
        pass(JUST_BEFORE).await;
        assert!(!gives_up(), "before the first part is asked for");
        // Each part that is taken is a sign of life.
        for _ in 0..3 {
            let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
            assert!(frame.is_some_and(|frame| frame.is_ok()));
            pass(JUST_BEFORE).await;
            assert!(!gives_up());
            part();
        }
        // The reader has taken all that there was: it waits for us, for however long.
        let waker = futures::task::noop_waker();
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_ready());
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
        pass(STALLS * 10).await;
        assert!(!gives_up());
        part();
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_ready());
        pass(JUST_BEFORE).await;
        assert!(!gives_up());
        pass(Duration::from_millis(1)).await;
        assert!(gives_up(), "nobody has asked for more");
        assert!(place.give_up.is_cancelled());
        drop(body);
    }

    #[test]
    fn who_speaks_tls() {
        for (tls, forwarded, secure) in [
            (true, None, true),
            (false, None, false),
            (false, Some("https"), true),
            (false, Some("HTTPS, http"), true),
            (false, Some("http, https"), false),
        ] {
            let connection = Connection {
                tls,
                client_certificate: false,
            };
            let mut headers = HeaderMap::new();
            if let Some(forwarded) = forwarded {
                headers.insert("x-forwarded-proto", forwarded.parse().unwrap());
            }
            assert_eq!(connection.is_secure(&headers), secure, "{forwarded:?}");
        }
    }
}
