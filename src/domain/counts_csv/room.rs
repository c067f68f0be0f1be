//! How much memory rows may take, and where they go when it is used up.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Spilled;
use super::spill::SpillFile;

/// What all files that are read at the same time share.
#[derive(Debug)]
pub struct Shared {
    /// Rows in memory, in bytes.
    most: usize,
    used: AtomicUsize,
    /// For rows beyond that, in files that have no name: whatever dies, nothing is left behind.
    folder: PathBuf,
}

/// How a file is read: on how many threads, and in how much memory.
#[derive(Debug, Clone)]
pub struct Means {
    pub(super) shared: Arc<Shared>,
    /// Threads that read at the same time; 1 reads on the caller's alone.
    pub workers: usize,
    /// The file is cut into chunks of about so many bytes.
    pub chunk_bytes: usize,
}

/// A file gets so much, however many are read at the same time.
const LEAST: usize = 4 << 20;
const MOST_WORKERS: usize = 8;

impl Means {
    /// Rows in memory, packed, for all files together, in bytes.
    pub const DEFAULT_MEMORY: usize = 32 << 20;

    /// On every processor that there is, up to eight. Rows of all files that are read with this, or
    /// with a copy of it, share `memory` bytes; what goes beyond is put into `folder`.
    #[must_use]
    pub fn new(memory: usize, folder: PathBuf) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            shared: Arc::new(Shared {
                most: memory,
                used: AtomicUsize::new(0),
                folder,
            }),
            workers: processors.min(MOST_WORKERS),
            chunk_bytes: 512 << 10,
        }
    }
}

/// The folder for temporary files, and [`Means::DEFAULT_MEMORY`].
impl Default for Means {
    fn default() -> Self {
        Self::new(Self::DEFAULT_MEMORY, std::env::temp_dir())
    }
}

/// One file's share.
#[derive(Debug)]
pub(super) struct Room {
    shared: Arc<Shared>,
    taken: usize,
}

impl Room {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, taken: 0 }
    }

    /// Takes so much more; false where it is time to put everything on disk.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        self.taken += bytes;
        let used = self.shared.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        used <= self.shared.most || self.taken < LEAST.min(self.shared.most)
    }

    pub(super) fn give_back(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        self.shared.used.fetch_sub(taken, Ordering::Relaxed);
    }

    pub(super) fn take_out(&mut self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            taken: std::mem::take(&mut self.taken),
        }
    }

    /// A new file without a name.
    pub(super) fn open(&self) -> Result<SpillFile, Spilled> {
        let folder = &self.shared.folder;
        let file: File = tempfile::tempfile_in(folder).map_err(|error| Spilled {
            folder: folder.clone(),
            error: error.into(),
        })?;
        Ok(SpillFile::new(file, folder.clone()))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.give_back();
    }
}
