//! The Agents that manifests name: kept in the store for the reports, and told when it turns
//! whether those can be trusted.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::folder::Manifests;
use super::sources::{DEFAULT_NAMESPACE, Refused};
use crate::crd::agent::Agent as Resource;
use crate::domain::agent::{AgentResource, in_force};
use crate::domain::agent_status::{Trust, TrustReason};
use crate::domain::data_source::SourceKey;
use crate::ingest::engine::Engine;
use crate::ingest::judge::{Judge, JudgeError};
use crate::validate;

/// The Agents of a folder.
#[derive(Debug)]
pub(super) struct Agents {
    engine: Arc<Engine>,
    judge: Judge,
    /// By namespace and name.
    named: BTreeMap<SourceKey, Entry>,
}

#[derive(Debug)]
struct Entry {
    resource: AgentResource,
    file: PathBuf,
    /// What has been told of it.
    told: Option<TrustReason>,
}

impl Agents {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self {
            judge: Judge::new(Arc::clone(&engine)),
            engine,
            named: BTreeMap::new(),
        }
    }

    /// Takes what the manifests say, and returns those that are refused. A file that cannot be read
    /// leaves in force what it said before.
    pub(super) fn load(&mut self, manifests: &Manifests) -> Vec<Refused> {
        let mut before = std::mem::take(&mut self.named);
        let mut refused = Vec::new();
        for (file, manifest) in manifests {
            let Ok(manifest) = manifest else {
                let of_file = before.extract_if(.., |_, entry| entry.file == *file);
                self.named.extend(of_file);
                continue;
            };
            for resource in &manifest.agents {
                match self.entry(resource, file) {
                    Ok((key, mut entry)) => {
                        entry.told = before.get(&key).and_then(|earlier| earlier.told);
                        self.named.insert(key, entry);
                    }
                    Err(message) => refused.push(Refused {
                        file: file.clone(),
                        source: None,
                        message,
                    }),
                }
            }
        }
        refused
    }

    fn entry(&self, resource: &Resource, file: &Path) -> Result<(SourceKey, Entry), String> {
        let mut resource = resource.clone();
        let namespace = &mut resource.metadata.namespace;
        namespace.get_or_insert_with(|| DEFAULT_NAMESPACE.to_owned());
        let resource =
            validate::agent(&resource).map_err(|problems| validate::sentences(&problems))?;
        let key = SourceKey {
            namespace: resource.namespace.clone(),
            name: resource.name.clone(),
        };
        if let Some(Entry { file: other, .. }) = self.named.get(&key) {
            let other = other.display();
            return Err(format!(
                "Agent {key} is in {other} already: one of the two has to go"
            ));
        }
        let entry = Entry {
            resource,
            file: file.to_owned(),
            told: None,
        };
        Ok((key, entry))
    }

    /// Brings the store to what the folder says, for the reports. Returns the Agents that are there
    /// no more.
    pub(super) async fn keep(&self) -> Result<Vec<SourceKey>> {
        let store = self.engine.store();
        for entry in self.named.values() {
            store.put_agent(&entry.resource).await?;
        }
        let mut gone = Vec::new();
        for kept in store.agent_resources(None).await? {
            let key = SourceKey {
                namespace: kept.namespace,
                name: kept.name,
            };
            if !self.named.contains_key(&key) {
                store.remove_agent(&key.namespace, &key.name).await?;
                self.judge.forget(&key.namespace, &key.name);
                gone.push(key);
            }
        }
        Ok(gone)
    }

    /// What is news of them since it was last asked for, a line each.
    pub(super) async fn news(&mut self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        let mut turned = Vec::new();
        for (key, entry) in &self.named {
            let trust = match self.trust(&entry.resource).await {
                Ok(trust) => trust,
                Err(JudgeError::Store(error)) => return Err(error.into()),
                Err(error @ JudgeError::Bug(_)) => {
                    tracing::error!(agent = %key, error = &error as &dyn Error, "not judged");
                    continue;
                }
            };
            if entry.told == Some(trust.reason) {
                continue;
            }
            turned.push((key.clone(), trust.reason));
            lines.extend(line(key, entry.told, &trust));
        }
        for (key, reason) in turned {
            if let Some(entry) = self.named.get_mut(&key) {
                entry.told = Some(reason);
            }
        }
        Ok(lines)
    }

    async fn trust(&self, resource: &AgentResource) -> Result<Trust, JudgeError> {
        let code = &resource.agent.code;
        let of_namespace = self
            .named
            .values()
            .map(|entry| &entry.resource)
            .filter(|other| other.namespace == resource.namespace);
        match in_force(of_namespace, code) {
            Some(counts) if counts.name != resource.name => Ok(Trust {
                reason: TrustReason::DuplicateCode,
                message: format!(
                    "Agent {} has the code {code} too, and counts. Delete one of the two, or give \
                     this one another code.",
                    counts.name
                ),
            }),
            _ => Ok(self.judge.findings(resource).await?.trust),
        }
    }
}

/// None while a first judgement is awaited.
fn line(key: &SourceKey, told: Option<TrustReason>, trust: &Trust) -> Option<String> {
    let Trust { reason, message } = trust;
    let said = match reason.is_trustworthy() {
        Some(true) => format!("trustworthy: {message}"),
        Some(false) => format!("not trustworthy: {}: {message}", reason.as_str()),
        None => {
            let awaited = |reason: TrustReason| {
                matches!(reason, TrustReason::NoData) && told.is_none_or(|told| told == reason)
            };
            if awaited(*reason) {
                return None;
            }
            format!("{}: {message}", reason.as_str())
        }
    };
    Some(format!("agent {key}  {said}"))
}
