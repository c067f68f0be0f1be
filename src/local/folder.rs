//! The folder: manifests, buckets, and the place of the store.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::validate::{self, Manifest};

/// Where `sumsq local` keeps what it imported.
const STATE: &str = ".sumsq";
const BUCKETS: &str = "buckets";
/// A manifest larger than this is none.
const MAX_MANIFEST_BYTES: u64 = 3 << 20;

/// A folder that has been looked at and can be worked in.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    /// Held as long as the folder is worked in; the system lets go of it however the process ends.
    _at_work: Arc<File>,
}

/// What the manifests say, file by file, so that one that cannot be read leaves the others alone.
pub(super) type Manifests = BTreeMap<PathBuf, Result<Manifest, String>>;

impl Folder {
    /// Makes the state folder, and the one for buckets where it is missing.
    ///
    /// # Errors
    /// No such folder, one that cannot be written, one that another process works in.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            bail!("{} is not a folder", path.display());
        }
        for part in [path.join(STATE), path.join(BUCKETS)] {
            fs::create_dir_all(&part)
                .with_context(|| format!("cannot make the folder {}", part.display()))?;
        }
        Ok(Self {
            path: path.to_owned(),
            _at_work: Arc::new(lock(path)?),
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn buckets(&self) -> PathBuf {
        self.path.join(BUCKETS)
    }

    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.path.join(STATE).join("sumsq.db")
    }

    /// Reads every manifest (`*.yaml`, `*.yml`) of the folder itself.
    ///
    /// # Errors
    /// A folder that cannot be listed; a file that cannot be read is told in its place.
    pub fn manifests(&self) -> Result<Manifests> {
        let entries = fs::read_dir(&self.path)
            .with_context(|| format!("cannot list {}", self.path.display()))?;
        let mut manifests = Manifests::new();
        for entry in entries {
            let path = entry?.path();
            if is_manifest(&path) {
                let read = read(&path);
                manifests.insert(path, read);
            }
        }
        Ok(manifests)
    }

    /// Says on `edited` whenever a manifest was made, changed or removed, for as long as the
    /// watcher is kept.
    pub(super) fn watch(
        &self,
        edited: mpsc::UnboundedSender<()>,
    ) -> Result<notify::RecommendedWatcher> {
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                let Ok(event) = event else { return };
                let manifests = event.paths.iter().any(|path| is_manifest(path));
                if manifests && !matches!(event.kind, EventKind::Access(_)) {
                    edited.send(()).ok();
                }
            })
            .context("cannot watch the folder")?;
        watcher
            .watch(&self.path, RecursiveMode::NonRecursive)
            .context("cannot watch the folder")?;
        Ok(watcher)
    }
}

/// Whether a file's name says that it is a manifest.
#[must_use]
pub(super) fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Two at work in one folder would fetch everything twice, each unaware of the other.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(STATE).join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another sumsq local is at work in {}: end it first, or `sumsq show` what it has",
            folder.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn read(path: &Path) -> Result<Manifest, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_MANIFEST_BYTES {
        return Err(format!("{length} bytes are too many for a manifest"));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    validate::manifest(&text).map_err(|error| error.to_string())
}
