//! Commits that share a wait for the disk.
//!
//! With `synchronous = FULL` SQLite waits for the disk within every commit, while it holds the write
//! lock: a disk that takes 4 ms allows 250 commits a second, however many there are to make. Here it
//! runs with `NORMAL`, in which a commit only appends to the write-ahead log, and what `FULL` adds, a
//! sync of that log after the commit, is done for all commits at once that have been made meanwhile.
//! A commit is told of only when it is on disk, as with `FULL`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

type Sync = dyn Fn() -> io::Result<()> + Send + std::marker::Sync;

/// The write-ahead log of a store.
#[derive(Clone)]
pub(super) struct Log {
    sync: Arc<Sync>,
    /// Commits so far.
    committed: Arc<AtomicU64>,
    /// Of those, how many are known to be on disk. Who holds it may sync.
    synced: Arc<Mutex<u64>>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// Of the store at `path`, which is there.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        // SQLite follows links, and keeps the log beside the file itself.
        let mut log = path.canonicalize()?.into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        Ok(Self::synced_by(move || match std::fs::File::open(&log) {
            Ok(file) => file.sync_data(),
            // The last connection that is closed brings all of it into the store's file, which it
            // syncs, and removes it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }))
    }

    fn synced_by(sync: impl Fn() -> io::Result<()> + Send + std::marker::Sync + 'static) -> Self {
        Self {
            sync: Arc::new(sync),
            committed: Arc::default(),
            synced: Arc::default(),
        }
    }

    /// Called after a commit; returns when that is on disk.
    pub(super) async fn reach_disk(&self) -> io::Result<()> {
        let own = self.committed.fetch_add(1, Ordering::AcqRel) + 1;
        let mut synced = self.synced.lock().await;
        if *synced >= own {
            return Ok(());
        }
        let covered = self.committed.load(Ordering::Acquire);
        let sync = Arc::clone(&self.sync);
        tokio::task::spawn_blocking(move || sync())
            .await
            .map_err(io::Error::other)??;
        *synced = covered;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn each_commit_is_followed_by_a_sync_that_others_share() {
        let (made, on_disk) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let syncs = Arc::new(AtomicUsize::new(0));
        let log = {
            let (made, on_disk, syncs) = (made.clone(), on_disk.clone(), syncs.clone());
            Log::synced_by(move || {
                // What was written before the sync began is what it brings to the disk.
                let written = made.load(Ordering::SeqCst);
                std::thread::yield_now();
                on_disk.fetch_max(written, Ordering::SeqCst);
                syncs.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        };
        let commits = (0..1_000).map(|_| {
            let (log, made, on_disk) = (log.clone(), made.clone(), on_disk.clone());
            tokio::spawn(async move {
                let own = made.fetch_add(1, Ordering::SeqCst) + 1;
                log.reach_disk().await.unwrap();
                assert!(on_disk.load(Ordering::SeqCst) >= own);
            })
        });
        let commits: Vec<_> = commits.collect();
        for commit in commits {
            commit.await.unwrap();
        }
        assert!(syncs.load(Ordering::SeqCst) <= 1_000);
    }

    #[tokio::test]
    async fn those_who_wait_for_the_same_sync_need_no_other() {
        let syncs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&syncs);
        let log = Log::synced_by(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        // All have committed before the first is let in.
        let turn = log.synced.lock().await;
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let log = log.clone();
                tokio::spawn(async move { log.reach_disk().await })
            })
            .collect();
        while log.committed.load(Ordering::SeqCst) < 10 {
            tokio::task::yield_now().await;
        }
        drop(turn);
        for one in waiting {
            one.await.unwrap().unwrap();
        }
        assert_eq!(syncs.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_sync_that_failed_covers_nobody() {
        let fails = Arc::new(AtomicUsize::new(1));
        let left = Arc::clone(&fails);
        let log = Log::synced_by(move || {
            let failing = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
            failing.map_or(Ok(()), |_| Err(io::ErrorKind::StorageFull.into()))
        });
        let error = log.reach_disk().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(*log.synced.lock().await, 0);
        log.reach_disk().await.unwrap();
        assert_eq!(*log.synced.lock().await, 2);
    }
}
