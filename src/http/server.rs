//! Serves a router on a listener: slow, idle and too many clients do not hold it up, and open
//! requests end before it does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::connection::{BusyBody, Connection, Idle, Place};
use super::tls::Tls;

/// Limits on connections.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// At once. One more takes the place of the one that has done nothing for longest; where all of
    /// them are busy, it waits to be accepted.
    pub connections: usize,
    /// An answer of which its reader takes nothing for so long does not keep the connection's place.
    pub reader_stalls: Duration,
    /// For a request's head to arrive; also how long a connection may be idle, and how long TLS may
    /// take to begin.
    pub head_within: Duration,
    pub head_bytes: usize,
    pub head_lines: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            reader_stalls: Duration::from_mins(1),
            head_within: Duration::from_secs(15),
            head_bytes: 32 << 10,
            head_lines: 100,
        }
    }
}

/// After a failed accept (no file descriptors left) some connections have to end first.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// A server that runs until it is stopped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// # Errors
    /// A listener without an address.
    pub fn start(listener: TcpListener, router: Router) -> std::io::Result<Self> {
        Self::start_with(listener, router, ServerLimits::default(), None)
    }

    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(
        listener: TcpListener,
        router: Router,
        limits: ServerLimits,
        tls: Option<Arc<Tls>>,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let serving = Serving {
            router,
            limits,
            tls,
            graceful: GracefulShutdown::new(),
        };
        let task = tokio::spawn(serving.run(listener, stop.clone()));
        Ok(Self {
            address,
            stop,
            task,
        })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more, and gives open requests `grace` to end.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// What every connection is served with.
struct Serving {
    router: Router,
    limits: ServerLimits,
    tls: Option<Arc<Tls>>,
    graceful: GracefulShutdown,
}

impl Serving {
    async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let (places, idle) = (
            Arc::new(Semaphore::new(self.limits.connections)),
            Idle::new(self.limits.reader_stalls),
        );
        for number in 0.. {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&listener, &places, &idle) => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    stream.set_nodelay(true).ok();
                    let place = Arc::new(idle.entered(number));
                    tokio::spawn(self.connection(stream, place, permit));
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
        drop(listener);
        self.graceful.shutdown().await;
    }

    /// From the first byte until the last, or until another one needs the place more.
    fn connection(
        &self,
        stream: TcpStream,
        place: Arc<Place>,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (router, limits, tls) = (self.router.clone(), self.limits, self.tls.clone());
        let watcher = self.graceful.watcher();
        async move {
            let _permit = permit;
            let given_up = Arc::clone(&place);
            let talk = async {
                let Some(tls) = tls else {
                    let plain = Connection::default();
                    return talk(stream, router, limits, plain, place, watcher).await;
                };
                match tokio::time::timeout(limits.head_within, tls.accept(stream)).await {
                    Ok(Ok((stream, known))) => {
                        talk(stream, router, limits, known, place, watcher).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%error, "TLS does not begin"),
                    Err(_) => tracing::debug!("TLS does not begin in time"),
                }
            };
            tokio::select! {
                () = talk => {}
                () = given_up.given_up() => tracing::debug!("an idle connection gives up its place"),
            }
        }
    }
}

async fn talk<S>(
    stream: S,
    router: Router,
    limits: ServerLimits,
    known: Connection,
    place: Arc<Place>,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // HTTP/2 would be told by its first bytes, for which nobody waits with a deadline.
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_headers(limits.head_lines)
        .max_buf_size(limits.head_bytes);
    let service = tower::service_fn(move |mut request: axum::http::Request<_>| {
        let (router, busy) = (router.clone(), place.busy());
        request.extensions_mut().insert(known);
        async move {
            let answer = router.oneshot(request).await?;
            Ok::<_, std::convert::Infallible>(answer.map(|body| BusyBody::new(body, busy)))
        }
    });
    let connection =
        builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(error = %error, "a connection ended early");
    }
}

/// The next connection and its place. Where there is none left, the one that has done nothing for
/// longest makes room: clients that only hold on to connections keep nobody out.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    idle: &Idle,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let (stream, _) = listener.accept().await?;
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return Ok((stream, place));
    }
    let mut leaving = std::pin::pin!(Arc::clone(places).acquire_owned());
    let mut told = idle.give_up_one(Instant::now());
    loop {
        tokio::select! {
            place = &mut leaving => return Ok((stream, place.map_err(std::io::Error::other)?)),
            () = idle.changed(), if !told => told = idle.give_up_one(Instant::now()),
        }
    }
}
