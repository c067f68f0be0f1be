//! A folder in the place of the cluster: the same decisions and the same ingest, over an S3
//! endpoint of its own. Editing a manifest or its annotations acts as `kubectl apply` would.

mod agents;
mod bucket_server;
mod fetch_requests;
mod folder;
mod screen;
mod sources;
mod standing;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use agents::Agents;
pub use bucket_server::{BucketServer, FolderSecrets};
use fetch_requests::FetchRequest;
pub use fetch_requests::{FetchRequests, PendingRequests, fetch_requests};
pub use folder::Folder;
pub use screen::Screen;
use sources::Sources;
use standing::{newest, seconds, shown, stands};
use summary::{SourceSummary, Summary};

use crate::args::Output;
use crate::domain::data_source::{DeletionPolicy, SourceKey};
use crate::ingest::engine::Engine;
use crate::store::StoreError;
use crate::validate::Defaults;

/// Editors write a file in several steps: look when they are through.
const EDIT_SETTLES: Duration = Duration::from_millis(200);

/// From a failure of the store until it is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(5);

/// One run of `sumsq local`.
#[derive(Debug)]
pub struct Local {
    folder: Folder,
    engine: Arc<Engine>,
    ended: mpsc::UnboundedReceiver<SourceKey>,
    screen: Arc<Screen>,
    output: Output,
    sources: Sources,
    agents: Agents,
    /// Of "Fetch now", where pages are served.
    requests: Option<PendingRequests>,
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
            agents: Agents::new(Arc::clone(&engine)),
            folder,
            engine,
            ended,
            screen,
            output,
            sources: Sources::new(defaults),
            requests: None,
        }
    }

    /// Fetches what is asked for by these requests, too.
    #[must_use]
    pub fn answering(mut self, requests: PendingRequests) -> Self {
        self.requests = Some(requests);
        self
    }

    /// Fetches every source once and prints what came of it. True where every fetch succeeded.
    ///
    /// # Errors
    /// A folder without manifests, a store that fails.
    pub async fn once(&mut self) -> Result<bool> {
        self.load().await?;
        if self.sources.in_force.is_empty() && self.sources.refused.is_empty() {
            bail!(
                "no DataSource manifest (*.yaml) in {}; `sumsq local --help` says what the folder \
                 holds",
                self.folder.path().display()
            );
        }
        let token = Uuid::now_v7().to_string();
        for entry in self.sources.in_force.values_mut() {
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
    /// A folder that cannot be watched or read, a store that fails at the start or is replaced.
    pub async fn serve(&mut self, shutdown: &CancellationToken) -> Result<()> {
        let (edited, mut edits) = mpsc::unbounded_channel();
        let _watcher = self.folder.watch(edited)?;
        self.load().await?;
        let summaries = tokio::select! {
            summaries = self.first_round(None) => summaries?,
            () = shutdown.cancelled() => return Ok(()),
        };
        self.print(summaries).await?;
        self.tell_of_agents().await?;
        self.screen.say(&format!(
            "waiting for schedules and for edits in {}; Ctrl-C ends",
            self.folder.path().display()
        ));
        let mut again = None;
        loop {
            let next = self
                .sources
                .in_force
                .values()
                .filter_map(|entry| entry.until)
                .min();
            let went = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Some(key) = self.ended.recv() => self.advance(&key).await,
                Some(request) = fetch_requests::next(&mut self.requests) => {
                    let source = self.take(request);
                    self.advance(&source).await
                }
                Some(()) = edits.recv() => {
                    tokio::time::sleep(EDIT_SETTLES).await;
                    while edits.try_recv().is_ok() {}
                    self.follow_edits().await
                }
                () = until(next, self.engine.now()), if again.is_none() => {
                    self.advance_due().await
                }
                () = at(again) => self.follow_edits().await,
            };
            let went = match went {
                Ok(()) => self.tell_of_agents().await,
                failed => failed,
            };
            again = match went {
                Ok(()) => None,
                Err(error) => Some(self.outlive(error)?),
            };
        }
    }

    /// A store that fails may answer again: a full disk is emptied, a lock is let go. One that was
    /// replaced stays so. Gives the time to look at everything again.
    fn outlive(&self, error: anyhow::Error) -> Result<Instant> {
        match error.chain().find_map(|cause| cause.downcast_ref()) {
            None | Some(StoreError::Replaced { .. }) => Err(error),
            Some(_) => {
                self.screen.say(&format!(
                    "{error:#}; it is tried again in {} s",
                    STORE_AGAIN.as_secs()
                ));
                Ok(Instant::now() + STORE_AGAIN)
            }
        }
    }

    async fn advance_due(&mut self) -> Result<()> {
        let now = self.engine.now();
        let due: Vec<_> = self
            .sources
            .in_force
            .iter()
            .filter(|(_, entry)| entry.until.is_some_and(|until| until <= now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            self.advance(&key).await?;
        }
        Ok(())
    }

    /// Notes the request, and says whether there is such a source.
    fn take(&mut self, request: FetchRequest) -> SourceKey {
        let token = Uuid::now_v7().to_string();
        let known = self.sources.request(&request.source, token);
        request.answer(known)
    }

    /// Begins what is due and waits until every source stands: fetched, or with nothing to fetch.
    async fn first_round(&mut self, token: Option<&str>) -> Result<Vec<SourceSummary>> {
        let began = Instant::now();
        let mut summaries = BTreeMap::new();
        for refused in &self.sources.refused {
            self.screen.say(&refused.to_string());
            let key = refused.source.clone().unwrap_or_else(|| SourceKey {
                namespace: String::new(),
                name: refused.file.display().to_string(),
            });
            let summary = SourceSummary::unfetched(&key.namespace, &key.name, Some(refused.into()));
            summaries.insert(key, summary);
        }
        let mut pending: BTreeSet<SourceKey> = self.sources.in_force.keys().cloned().collect();
        let mut looks: Vec<SourceKey> = pending.iter().cloned().collect();
        while !pending.is_empty() {
            for key in looks.drain(..) {
                let Some(entry) = self.sources.in_force.get_mut(&key) else {
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
                // A reader who asks for a fetch meanwhile does not wait until all the others stand.
                tokio::select! {
                    ended = self.ended.recv() => looks.extend(ended),
                    Some(request) = fetch_requests::next(&mut self.requests) => {
                        let source = self.take(request);
                        looks.push(source);
                    }
                }
            }
        }
        Ok(summaries.into_values().collect())
    }

    async fn print(&self, data_sources: Vec<SourceSummary>) -> Result<()> {
        let now = self.engine.now();
        let colour = std::io::stdout().is_terminal();
        let mut reports = Vec::new();
        for entry in self.sources.in_force.values() {
            let store = self.engine.store();
            let source = &entry.wanted.source;
            reports.extend(summary::reports(store.as_ref(), source, now).await?);
        }
        let summary = Summary {
            data_sources,
            reports,
        };
        match self.output {
            Output::Text => println!("\n{}", summary.to_text(colour).trim_end()),
            Output::Json => println!("{}", serde_json::to_string_pretty(&summary)?),
        }
        Ok(())
    }

    async fn advance(&mut self, key: &SourceKey) -> Result<()> {
        let Some(entry) = self.sources.in_force.get_mut(key) else {
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
        let before: BTreeSet<_> = self.sources.in_force.keys().cloned().collect();
        let refused_before = std::mem::take(&mut self.sources.refused);
        self.load().await?;
        for refused in &self.sources.refused {
            if !refused_before.contains(refused) {
                self.screen.say(&refused.to_string());
            }
        }
        let gone: Vec<_> = before
            .iter()
            .filter(|key| !self.sources.in_force.contains_key(*key))
            .collect();
        for key in gone {
            self.screen.say(&format!("{key}  deleted"));
        }
        for key in self.sources.in_force.keys().cloned().collect::<Vec<_>>() {
            self.advance(&key).await?;
        }
        Ok(())
    }

    /// Reads the manifests anew. The data of sources that are gone stay, unless they say otherwise;
    /// those of Agents that are gone stay always.
    async fn load(&mut self) -> Result<()> {
        let manifests = self.folder.manifests()?;
        for source in self.sources.load(&manifests) {
            let delete = source.deletion_policy == DeletionPolicy::Delete;
            self.engine.forget(source.id, delete).await?;
        }
        self.sources.refused.extend(self.agents.load(&manifests));
        for gone in self.agents.keep().await? {
            self.screen.say(&format!("agent {gone}  deleted"));
        }
        Ok(())
    }

    async fn tell_of_agents(&mut self) -> Result<()> {
        for line in self.agents.news().await? {
            self.screen.say(&line);
        }
        Ok(())
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
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
