//! A folder in the place of the cluster: the same decisions and the same ingest, over an S3
//! endpoint of its own. Editing a manifest or its annotations acts as `kubectl apply` would.

mod bucket_server;
mod folder;
mod screen;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use bucket_server::{BucketServer, FolderSecrets};
pub use folder::Folder;
pub use screen::Screen;
use summary::{ErrorSummary, SourceSummary, Summary};

use crate::args::Output;
use crate::crd;
use crate::domain::data_source::{DataSource, DeletionPolicy, Identity, SourceKey};
use crate::domain::plan::Waiting;
use crate::ingest::engine::{Engine, Standing, Wanted};
use crate::validate::{self, Defaults};

/// Manifests without a namespace are in this one, as kubectl's are.
const DEFAULT_NAMESPACE: &str = "default";
/// Editors write a file in several steps: look when they are through.
const EDIT_SETTLES: Duration = Duration::from_millis(200);

/// One run of `sumsq local`.
#[derive(Debug)]
pub struct Local {
    folder: Folder,
    engine: Arc<Engine>,
    ended: mpsc::UnboundedReceiver<SourceKey>,
    defaults: Defaults,
    screen: Arc<Screen>,
    output: Output,
    sources: BTreeMap<SourceKey, Entry>,
    /// Manifests that would be refused, and why; what they said before stays in force.
    refused: Vec<Refused>,
}

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    file: PathBuf,
    /// The newest history entry that has been told: id and attempts.
    told: Option<(Uuid, u32)>,
    until: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused {
    file: PathBuf,
    /// Namespace and name, where the manifest could be read that far.
    source: Option<SourceKey>,
    message: String,
}

impl Local {
    #[must_use]
    pub fn new(
        folder: Folder,
        engine: Arc<Engine>,
        ended: mpsc::UnboundedReceiver<SourceKey>,
        defaults: Defaults,
        screen: Arc<Screen>,
        output: Output,
    ) -> Self {
        Self {
            folder,
            engine,
            ended,
            defaults,
            screen,
            output,
            sources: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// Fetches every source once and prints what came of it. True where every fetch succeeded.
    ///
    /// # Errors
    /// A folder without manifests, a store that fails.
    pub async fn once(&mut self) -> Result<bool> {
        self.load()?;
        if self.sources.is_empty() && self.refused.is_empty() {
            bail!(
                "no DataSource manifest (*.yaml) in {}; `sumsq local --help` says what the folder \
                 holds",
                self.folder.path().display()
            );
        }
        let token = Uuid::now_v7().to_string();
        for entry in self.sources.values_mut() {
            entry.wanted.requested = Some(token.clone());
        }
        let summaries = self.first_round(Some(&token)).await?;
        let succeeded = summaries.iter().all(|summary| summary.error.is_none());
        self.print(summaries).await?;
        Ok(succeeded)
    }

    /// Runs schedules and follows edits until `shutdown`.
    ///
    /// # Errors
    /// A folder that cannot be watched, a store that fails.
    pub async fn serve(&mut self, shutdown: &CancellationToken) -> Result<()> {
        let (edited, mut edits) = mpsc::unbounded_channel();
        let _watcher = watch(&self.folder, edited)?;
        self.load()?;
        let summaries = tokio::select! {
            summaries = self.first_round(None) => summaries?,
            () = shutdown.cancelled() => return Ok(()),
        };
        self.print(summaries).await?;
        self.screen.say(&format!(
            "waiting for schedules and for edits in {}; Ctrl-C ends",
            self.folder.path().display()
        ));
        loop {
            let next = self.sources.values().filter_map(|entry| entry.until).min();
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Some(key) = self.ended.recv() => self.advance(&key).await?,
                Some(()) = edits.recv() => {
                    tokio::time::sleep(EDIT_SETTLES).await;
                    while edits.try_recv().is_ok() {}
                    self.follow_edits().await?;
                }
                () = until(next, self.engine.now()) => {
                    let now = self.engine.now();
                    let due: Vec<_> = self.sources.iter()
                        .filter(|(_, entry)| entry.until.is_some_and(|until| until <= now))
                        .map(|(key, _)| key.clone())
                        .collect();
                    for key in due {
                        self.advance(&key).await?;
                    }
                }
            }
        }
    }

    /// Begins what is due and waits until every source stands: fetched, or with nothing to fetch.
    async fn first_round(&mut self, token: Option<&str>) -> Result<Vec<SourceSummary>> {
        let began = Instant::now();
        let mut summaries = BTreeMap::new();
        for refused in &self.refused {
            self.screen.say(&refused.to_string());
            let key = refused.source.clone().unwrap_or_else(|| SourceKey {
                namespace: String::new(),
                name: refused.file.display().to_string(),
            });
            let summary = SourceSummary::unfetched(&key.namespace, &key.name, Some(refused.into()));
            summaries.insert(key, summary);
        }
        let mut pending: BTreeSet<SourceKey> = self.sources.keys().cloned().collect();
        let mut looks: Vec<SourceKey> = pending.iter().cloned().collect();
        while !pending.is_empty() {
            for key in looks.drain(..) {
                let Some(entry) = self.sources.get_mut(&key) else {
                    continue;
                };
                let standing = self.engine.advance(&entry.wanted).await?;
                entry.until = standing.until;
                if let Some(summary) = stands(&entry.wanted.source, &standing, token, began) {
                    entry.told = newest(&standing);
                    self.screen.done(&key);
                    self.screen.say(&format!("{key}  {}", summary.headline()));
                    pending.remove(&key);
                    summaries.insert(key, summary);
                }
            }
            if !pending.is_empty() {
                looks.extend(self.ended.recv().await);
            }
        }
        Ok(summaries.into_values().collect())
    }

    async fn print(&self, data_sources: Vec<SourceSummary>) -> Result<()> {
        let mut reports = Vec::new();
        for entry in self.sources.values() {
            let store = self.engine.store();
            reports.extend(summary::reports(store.as_ref(), &entry.wanted.source).await?);
        }
        let summary = Summary {
            data_sources,
            reports,
        };
        match self.output {
            Output::Text => println!("\n{}", summary.to_text().trim_end()),
            Output::Json => println!("{}", serde_json::to_string_pretty(&summary)?),
        }
        Ok(())
    }

    async fn advance(&mut self, key: &SourceKey) -> Result<()> {
        let Some(entry) = self.sources.get_mut(key) else {
            return Ok(());
        };
        let standing = self.engine.advance(&entry.wanted).await?;
        entry.until = standing.until;
        let newest = newest(&standing);
        if newest != entry.told && standing.in_flight.is_none() {
            entry.told = newest;
            self.screen.done(key);
            if let Some(record) = standing.stored.history.first() {
                let took = seconds(record);
                let summary =
                    SourceSummary::fetched(&entry.wanted.source, &standing.stored, record, took);
                self.screen.say(&format!("{key}  {}", summary.headline()));
                if let Some(error) = &summary.error {
                    self.screen.say(&format!("  hint: {}", error.hint));
                }
                if let Some(next) = standing.next_fetch {
                    self.screen.say(&format!("  next fetch at {}", shown(next)));
                }
            }
        }
        Ok(())
    }

    async fn follow_edits(&mut self) -> Result<()> {
        let before: BTreeSet<_> = self.sources.keys().cloned().collect();
        let refused_before = std::mem::take(&mut self.refused);
        self.load()?;
        for refused in &self.refused {
            if !refused_before.contains(refused) {
                self.screen.say(&refused.to_string());
            }
        }
        let gone: Vec<_> = before
            .iter()
            .filter(|key| !self.sources.contains_key(*key))
            .collect();
        for key in gone {
            self.screen.say(&format!("{key}  deleted"));
        }
        for key in self.sources.keys().cloned().collect::<Vec<_>>() {
            self.advance(&key).await?;
        }
        Ok(())
    }

    /// Reads the manifests anew. One that is refused leaves in force what it said before.
    fn load(&mut self) -> Result<()> {
        let mut found = BTreeMap::new();
        self.refused.clear();
        for (file, manifest) in self.folder.manifests()? {
            let resources = match manifest {
                Ok(manifest) => manifest.data_sources,
                Err(message) => {
                    self.keep(&file, &mut found);
                    self.refused.push(Refused {
                        file,
                        source: None,
                        message,
                    });
                    continue;
                }
            };
            for resource in resources {
                self.take(&resource, &file, &mut found);
            }
        }
        let gone = std::mem::replace(&mut self.sources, found);
        for (key, entry) in gone {
            if !self.sources.contains_key(&key) {
                let (engine, source) = (Arc::clone(&self.engine), entry.wanted.source);
                let delete = source.deletion_policy == DeletionPolicy::Delete;
                tokio::spawn(async move {
                    if let Err(error) = engine.forget(source.id, delete).await {
                        tracing::error!(error = &error as &dyn std::error::Error, "cannot forget");
                    }
                });
            }
        }
        Ok(())
    }

    /// Takes one manifest, or notes why not.
    fn take(
        &mut self,
        resource: &crd::data_source::DataSource,
        file: &Path,
        found: &mut BTreeMap<SourceKey, Entry>,
    ) {
        let key = key_of(resource);
        let message = if let Some(Entry { file: other, .. }) = found.get(&key) {
            format!(
                "{key} is in {} already: one of the two has to go",
                other.display()
            )
        } else {
            let identified = with_identity(resource.clone());
            match validate::data_source(&identified, &key.namespace, &self.defaults) {
                Ok(source) => {
                    let earlier = self.sources.get(&key);
                    let entry = Entry {
                        wanted: Wanted {
                            requested: annotation(resource, crd::FETCH_REQUESTED_AT),
                            force_requested: annotation(resource, crd::FORCE_FETCH_REQUESTED_AT),
                            source: Arc::new(from_folder(source)),
                        },
                        file: file.to_owned(),
                        told: earlier.and_then(|entry| entry.told),
                        until: earlier.and_then(|entry| entry.until),
                    };
                    found.insert(key, entry);
                    return;
                }
                Err(problems) => {
                    if let Some(earlier) = self.sources.remove(&key) {
                        found.insert(key.clone(), earlier);
                    }
                    let said = problems
                        .iter()
                        .map(|problem| format!("{}: {}", problem.field, problem.message));
                    said.collect::<Vec<_>>().join("; ")
                }
            }
        };
        self.refused.push(Refused {
            file: file.to_owned(),
            source: Some(key),
            message,
        });
    }

    fn keep(&mut self, file: &PathBuf, found: &mut BTreeMap<SourceKey, Entry>) {
        let of_file: Vec<_> = self
            .sources
            .iter()
            .filter(|(_, entry)| entry.file == *file)
            .map(|(key, _)| key.clone())
            .collect();
        for key in of_file {
            if let Some(entry) = self.sources.remove(&key) {
                found.insert(key, entry);
            }
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.message)
    }
}

impl From<&Refused> for ErrorSummary {
    fn from(refused: &Refused) -> Self {
        Self {
            code: "InvalidManifest".to_owned(),
            message: refused.message.clone(),
            hint: format!("mend {}", refused.file.display()),
        }
    }
}

fn key_of(resource: &crd::data_source::DataSource) -> SourceKey {
    SourceKey {
        namespace: resource
            .metadata
            .namespace
            .clone()
            .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        name: resource.metadata.name.clone().unwrap_or_default(),
    }
}

/// A manifest has no UID: the name stands for one.
fn with_identity(mut resource: crd::data_source::DataSource) -> crd::data_source::DataSource {
    let key = key_of(&resource);
    let uid = Uuid::new_v5(&Uuid::NAMESPACE_URL, key.to_string().as_bytes());
    resource.metadata.uid = Some(uid.to_string());
    resource.metadata.namespace = Some(key.namespace);
    resource
}

fn annotation(resource: &crd::data_source::DataSource, name: &str) -> Option<String> {
    resource.metadata.annotations.as_ref()?.get(name).cloned()
}

/// The folder's own credentials read every object.
fn from_folder(mut source: DataSource) -> DataSource {
    source.object.identity = Identity::Secret {
        name: "sumsq-local".to_owned(),
    };
    source
}

/// What to say of a source once its first fetch has ended; None while it has not.
fn stands(
    source: &DataSource,
    standing: &Standing,
    token: Option<&str>,
    began: Instant,
) -> Option<SourceSummary> {
    let never_fetched = standing.stored.history.is_empty();
    let unfetched = match standing.reason {
        Waiting::NoGoals => Some((
            "NoGoals",
            "spec.goals is empty: nothing is fetched yet",
            "name at least one goal: the columns of the CSV to read",
        )),
        Waiting::Suspended if never_fetched => Some((
            "Suspended",
            "spec.suspend is true and nothing has been fetched yet",
            "set it to false, or request one fetch by annotation",
        )),
        _ => None,
    };
    if let Some((code, message, hint)) = unfetched {
        let error = ErrorSummary {
            code: code.to_owned(),
            message: message.to_owned(),
            hint: hint.to_owned(),
        };
        let (namespace, name) = (&source.key.namespace, &source.key.name);
        return Some(SourceSummary::unfetched(namespace, name, Some(error)));
    }
    if standing.reason == Waiting::ForFetch {
        return None;
    }
    let handled =
        token.is_none_or(|token| standing.stored.handled_request.as_deref() == Some(token));
    let record = standing.stored.history.first()?;
    if !handled && record.error().is_none() {
        return None;
    }
    let took = if record.attempts > 1 {
        began.elapsed().as_secs_f64()
    } else {
        seconds(record)
    };
    Some(SourceSummary::fetched(
        source,
        &standing.stored,
        record,
        took,
    ))
}

fn newest(standing: &Standing) -> Option<(Uuid, u32)> {
    standing
        .stored
        .history
        .first()
        .map(|record| (record.id, record.attempts))
}

fn seconds(record: &crate::domain::fetch::FetchRecord) -> f64 {
    record
        .completed_at
        .map(|completed| completed.duration_since(record.started_at).as_secs_f64())
        .unwrap_or_default()
}

fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

async fn until(at: Option<Timestamp>, now: Timestamp) {
    match at {
        Some(at) => {
            let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            tokio::time::sleep(wait).await;
        }
        None => std::future::pending().await,
    }
}

fn watch(folder: &Folder, edited: mpsc::UnboundedSender<()>) -> Result<notify::RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        let manifests = event.paths.iter().any(|path| folder::is_manifest(path));
        if manifests && !matches!(event.kind, EventKind::Access(_)) {
            edited.send(()).ok();
        }
    })
    .context("cannot watch the folder")?;
    watcher
        .watch(folder.path(), RecursiveMode::NonRecursive)
        .context("cannot watch the folder")?;
    Ok(watcher)
}
