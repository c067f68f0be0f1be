//! One operator on one file.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::super::StoreError;
use super::shown;

/// The right to run the one operator on a store: a lock on a file beside it, which the kernel gives
/// back when the process ends, however that happens. `sumsq store copy --to` takes it as well; readers,
/// `adopt` and `purge` need none.
#[derive(Debug)]
pub struct WriterLock(#[allow(dead_code, reason = "held open")] File);

impl WriterLock {
    /// For the store at `path`, whose folders are made where they are missing.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another process has it.
    pub fn take(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError::Open {
            path: shown(path),
            source: sqlx::Error::from(error).into(),
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(beside)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: shown(path) }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_waits_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/sumsq.db");
        let first = WriterLock::take(&path).unwrap();
        let refused = WriterLock::take(&path).unwrap_err();
        assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
        drop(first);
        WriterLock::take(&path).unwrap();
    }
}
