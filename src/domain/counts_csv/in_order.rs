//! Work on several threads whose results come in the order in which it was given.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// Jobs under way. No more are begun than threads can be kept busy with, so that what waits in
/// memory is bounded.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    most: usize,
    under_way: VecDeque<Job<T>>,
}

#[derive(Debug)]
enum Job<T> {
    Done(T),
    Elsewhere(Receiver<thread::Result<T>>),
}

impl<T: Send + 'static> InOrder<T> {
    /// With one worker, work is done on the caller's thread.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            most: if workers < 2 { 1 } else { workers + 2 },
            under_way: VecDeque::new(),
        }
    }

    /// Whether a result is to be taken before more is given.
    pub(super) fn is_full(&self) -> bool {
        self.under_way.len() >= self.most
    }

    pub(super) fn give(&mut self, work: impl FnOnce() -> T + Send + 'static) {
        if self.most == 1 {
            self.under_way.push_back(Job::Done(work()));
            return;
        }
        let (done, result) = sync_channel(1);
        rayon::spawn_fifo(move || {
            let worked = catch_unwind(AssertUnwindSafe(work));
            // Nobody waits for it any more where the file is given up.
            drop(done.send(worked));
        });
        self.under_way.push_back(Job::Elsewhere(result));
    }

    /// The next result, waited for; None where no work is under way.
    pub(super) fn take(&mut self) -> Option<T> {
        Some(match self.under_way.pop_front()? {
            Job::Done(result) => result,
            Job::Elsewhere(result) => match result.recv() {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => unreachable!("a job sends its result or its panic"),
            },
        })
    }
}
