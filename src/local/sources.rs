//! What the manifests say: the data sources in force, and the manifests that are refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::folder::Manifests;
use super::summary::ErrorSummary;
use crate::crd;
use crate::domain::data_source::{DataSource, Identity, SourceKey};
use crate::ingest::engine::Wanted;
use crate::validate::{self, Defaults};

/// Manifests without a namespace are in this one, as kubectl's are.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// The sources of a folder.
#[derive(Debug)]
pub(super) struct Sources {
    defaults: Defaults,
    pub(super) in_force: BTreeMap<SourceKey, Entry>,
    /// Manifests that would be refused, and why; what they said before stays in force.
    pub(super) refused: Vec<Refused>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) wanted: Wanted,
    file: PathBuf,
    /// The manifest's own request, as it was last read.
    annotated: Option<String>,
    /// The newest history entry that has been told: id and attempts.
    pub(super) told: Option<(Uuid, u32)>,
    pub(super) until: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) file: PathBuf,
    /// Namespace and name, where the manifest could be read that far.
    pub(super) source: Option<SourceKey>,
    pub(super) message: String,
}

impl Sources {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self {
            defaults,
            in_force: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// Takes what the manifests say, and returns the sources that are there no more. A manifest that
    /// is refused leaves in force what it said before.
    pub(super) fn load(&mut self, manifests: &Manifests) -> Vec<Arc<DataSource>> {
        let mut found = BTreeMap::new();
        self.refused.clear();
        for (file, manifest) in manifests {
            match manifest {
                Ok(manifest) => {
                    for resource in &manifest.data_sources {
                        self.take(resource, file, &mut found);
                    }
                }
                Err(message) => {
                    self.keep(file, &mut found);
                    self.refused.push(Refused {
                        file: file.clone(),
                        source: None,
                        message: message.clone(),
                    });
                }
            }
        }
        let before = std::mem::replace(&mut self.in_force, found);
        let gone = before
            .into_iter()
            .filter(|(key, _)| !self.in_force.contains_key(key))
            .map(|(_, entry)| entry.wanted.source);
        gone.collect()
    }

    /// Asks for one fetch, as another annotation would. False where there is no such source.
    pub(super) fn request(&mut self, key: &SourceKey, token: String) -> bool {
        let entry = self.in_force.get_mut(key);
        entry
            .map(|entry| entry.wanted.requested = Some(token))
            .is_some()
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
                    let earlier = self.in_force.get(&key);
                    let annotated = annotation(resource, crd::FETCH_REQUESTED_AT);
                    // An annotation that stands there as before is no request after one by page.
                    let requested = match earlier {
                        Some(earlier) if earlier.annotated == annotated => {
                            earlier.wanted.requested.clone()
                        }
                        _ => annotated.clone(),
                    };
                    let entry = Entry {
                        wanted: Wanted {
                            requested,
                            force_requested: annotation(resource, crd::FORCE_FETCH_REQUESTED_AT),
                            source: Arc::new(from_folder(source)),
                        },
                        file: file.to_owned(),
                        annotated,
                        told: earlier.and_then(|entry| entry.told),
                        until: earlier.and_then(|entry| entry.until),
                    };
                    found.insert(key, entry);
                    return;
                }
                Err(problems) => {
                    if let Some(earlier) = self.in_force.remove(&key) {
                        found.insert(key.clone(), earlier);
                    }
                    validate::sentences(&problems)
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
            .in_force
            .iter()
            .filter(|(_, entry)| entry.file == *file)
            .map(|(key, _)| key.clone())
            .collect();
        for key in of_file {
            if let Some(entry) = self.in_force.remove(&key) {
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
    source.object.role = None;
    source
}
