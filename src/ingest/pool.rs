//! Workers for fetches, apart from everything else: a hanging endpoint keeps a worker busy, never
//! the reconciling. Jobs are taken from the namespaces in turn, so that one tenant's thousand
//! sources do not hold up another's one.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;

type Job = BoxFuture<'static, ()>;

/// A fixed number of workers over a fair queue. Where they are shared between tenants, no
/// namespace has all of several: however long its fetches hang, another's begin.
pub struct Pool {
    queue: Mutex<FairQueue<Job>>,
    pushed: Notify,
    stop: CancellationToken,
    workers: TaskTracker,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts `concurrency` workers (at least one) on the present runtime. With `shared`, between
    /// tenants that must not be able to hold each other up, one of several is kept from each.
    #[must_use]
    pub fn start(concurrency: usize, shared: bool, metrics: Arc<Metrics>) -> Arc<Self> {
        let kept = usize::from(shared);
        let pool = Arc::new(Self {
            queue: Mutex::new(FairQueue::new(concurrency.saturating_sub(kept).max(1))),
            pushed: Notify::new(),
            stop: CancellationToken::new(),
            workers: TaskTracker::new(),
            metrics,
        });
        for _ in 0..concurrency.max(1) {
            let pool_of_worker = Arc::clone(&pool);
            pool.workers
                .spawn(async move { pool_of_worker.work().await });
        }
        pool
    }

    /// Puts a job at the end of its namespace's line.
    pub fn submit(&self, namespace: &str, job: Job) {
        let depth = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push(namespace, job);
            queue.len()
        };
        self.show_depth(depth);
        self.pushed.notify_one();
    }

    /// Takes no more jobs from the queue, and returns when those under way have ended.
    pub async fn drain(&self) {
        self.stop.cancel();
        self.workers.close();
        self.workers.wait().await;
    }

    async fn work(&self) {
        loop {
            let pushed = self.pushed.notified();
            if self.stop.is_cancelled() {
                return;
            }
            if let Some((namespace, job)) = self.next() {
                self.metrics.fetches_in_flight.inc();
                if AssertUnwindSafe(job).catch_unwind().await.is_err() {
                    tracing::error!(namespace, "a job met a bug; the panic is above");
                }
                self.metrics.fetches_in_flight.dec();
                self.queue
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .finished(&namespace);
                continue;
            }
            tokio::select! {
                () = pushed => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    fn next(&self) -> Option<(String, Job)> {
        let (job, depth) = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            (queue.pop(), queue.len())
        };
        self.show_depth(depth);
        // A worker that was woken for one job may find more: pass it on.
        if depth > 0 && job.is_some() {
            self.pushed.notify_one();
        }
        job
    }

    fn show_depth(&self, depth: usize) {
        self.metrics
            .queue_depth
            .set(i64::try_from(depth).unwrap_or(i64::MAX));
    }
}

/// First in, first out within a namespace; round robin between namespaces.
#[derive(Debug)]
struct FairQueue<T> {
    lines: HashMap<String, VecDeque<T>>,
    /// Namespaces with a line, in the order of their next turn.
    turns: VecDeque<String>,
    len: usize,
    /// Jobs taken and not finished, by namespace.
    running: HashMap<String, usize>,
    most_of_one: usize,
}

impl<T> FairQueue<T> {
    fn new(most_of_one: usize) -> Self {
        Self {
            lines: HashMap::new(),
            turns: VecDeque::new(),
            len: 0,
            running: HashMap::new(),
            most_of_one,
        }
    }

    fn push(&mut self, namespace: &str, item: T) {
        self.len += 1;
        if let Some(line) = self.lines.get_mut(namespace) {
            line.push_back(item);
        } else {
            self.lines
                .insert(namespace.to_owned(), VecDeque::from([item]));
            self.turns.push_back(namespace.to_owned());
        }
    }

    /// The next job and whose it is; None where nobody who waits may have another worker.
    fn pop(&mut self) -> Option<(String, T)> {
        let free = |namespace: &String| {
            self.running
                .get(namespace)
                .is_none_or(|running| *running < self.most_of_one)
        };
        let turn = self.turns.iter().position(free)?;
        let namespace = self.turns.remove(turn)?;
        let line = self.lines.get_mut(&namespace)?;
        let item = line.pop_front()?;
        self.len -= 1;
        *self.running.entry(namespace.clone()).or_default() += 1;
        if line.is_empty() {
            self.lines.remove(&namespace);
        } else {
            self.turns.push_back(namespace.clone());
        }
        Some((namespace, item))
    }

    fn finished(&mut self, namespace: &str) {
        if let Some(running) = self.running.get_mut(namespace) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(namespace);
            }
        }
    }

    fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn namespaces_take_turns() {
        let mut queue = FairQueue::new(9);
        for item in ["a1", "a2", "a3", "b1", "c1", "c2"] {
            queue.push(&item[..1], item);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|(_, item)| item)
            .collect();
        assert_eq!(order, ["a1", "b1", "c1", "a2", "c2", "a3"]);
        assert_eq!(queue.len(), 0);
        assert!(queue.lines.is_empty(), "an empty line takes no memory");
    }

    #[test]
    fn a_latecomer_waits_for_one_turn_at_most() {
        let mut queue = FairQueue::new(9);
        for _ in 0..1000 {
            queue.push("crowd", "crowd");
        }
        queue.pop();
        queue.push("late", "late");
        let next: Vec<_> = (0..2)
            .filter_map(|_| queue.pop())
            .map(|(_, item)| item)
            .collect();
        assert_eq!(next, ["crowd", "late"]);
    }

    #[test]
    fn no_namespace_has_every_worker() {
        let mut queue = FairQueue::new(3);
        for _ in 0..5 {
            queue.push("hangs", "hangs");
        }
        let taken = std::iter::from_fn(|| queue.pop()).count();
        assert_eq!(taken, 3, "one worker of four is left for others");
        queue.push("goes", "goes");
        assert_eq!(queue.pop(), Some(("goes".to_owned(), "goes")));
        queue.finished("hangs");
        assert_eq!(queue.pop(), Some(("hangs".to_owned(), "hangs")));
        assert_eq!(queue.pop(), None);
    }

    #[tokio::test]
    async fn no_more_jobs_run_at_once_than_there_are_workers() {
        let pool = Pool::start(2, false, Arc::new(Metrics::new().unwrap()));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (done, mut all_done) = tokio::sync::mpsc::channel(10);
        for index in 0..10 {
            let (running, most, done) = (Arc::clone(&running), Arc::clone(&most), done.clone());
            let job = async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                done.send(()).await.ok();
            };
            pool.submit(if index % 2 == 0 { "a" } else { "b" }, job.boxed());
        }
        for _ in 0..10 {
            all_done.recv().await;
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
        pool.drain().await;
    }

    #[tokio::test]
    async fn a_drained_pool_finishes_what_runs_and_starts_nothing() {
        let pool = Pool::start(1, false, Arc::new(Metrics::new().unwrap()));
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let ended = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ended);
        pool.submit(
            "a",
            async move {
                started.send(()).ok();
                released.await.ok();
                count.fetch_add(1, Ordering::SeqCst);
            }
            .boxed(),
        );
        let count = Arc::clone(&ended);
        pool.submit(
            "a",
            async move { _ = count.fetch_add(100, Ordering::SeqCst) }.boxed(),
        );
        has_started.await.unwrap();
        let drained = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.drain().await }
        });
        release.send(()).unwrap();
        drained.await.unwrap();
        assert_eq!(ended.load(Ordering::SeqCst), 1);
    }
}
