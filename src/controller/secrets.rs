//! Secrets that data sources name, read on demand and never kept.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::GetParams;
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;

use crate::crd;
use crate::domain::fetch::{ErrorCode, FetchError, cases};
use crate::ingest::Secrets;
use crate::object::SecretCredentials;

/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads them from the API server.
#[derive(Clone)]
pub struct KubeSecrets {
    client: Client,
}

impl std::fmt::Debug for KubeSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeSecrets").finish_non_exhaustive()
    }
}

impl KubeSecrets {
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The answer as text: the client writes to its log what it can't read, and this is a Secret.
    async fn get(&self, namespace: &str, name: &str) -> Result<String, kube::Error> {
        let path = Secret::url_path(&(), Some(namespace));
        let request = Request::new(path).get(name, &GetParams::default());
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.client.request_text(request).await
    }
}

/// What is looked at of a Secret; the rest may be anything.
#[derive(Deserialize)]
struct Labelled {
    metadata: Labels,
    #[serde(default)]
    data: BTreeMap<String, ByteString>,
}

#[derive(Deserialize)]
struct Labels {
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[async_trait]
impl Secrets for KubeSecrets {
    async fn read(&self, namespace: &str, name: &str) -> Result<SecretCredentials, FetchError> {
        let answer = tokio::time::timeout(PATIENCE, self.get(namespace, name)).await;
        let Ok(answer) = answer else {
            return Err(FetchError::new(
                ErrorCode::SecretNotFound,
                format!("Secret {name} in namespace {namespace} could not be read in time"),
                cases::api_silent_on_secret(),
            ));
        };
        match answer {
            Ok(text) => match serde_json::from_str(&text) {
                Ok(secret) => credentials(namespace, name, &secret),
                // Why would quote it.
                Err(_) => Err(FetchError::new(
                    ErrorCode::SecretInvalid,
                    format!("Secret {namespace}/{name} is not one that can be read"),
                    cases::make_secret(),
                )),
            },
            Err(kube::Error::Api(status)) if status.code == 404 => Err(FetchError::new(
                ErrorCode::SecretNotFound,
                format!("there is no Secret {name} in namespace {namespace}"),
                cases::create_secret(),
            )),
            Err(kube::Error::Api(status)) if status.code == 403 => Err(FetchError::new(
                ErrorCode::SecretNotFound,
                format!("the operator may not read Secret {name} in namespace {namespace}"),
                cases::grant_secret(),
            )),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot read a Secret"
                );
                Err(FetchError::new(
                    ErrorCode::SecretNotFound,
                    format!("Secret {name} in namespace {namespace} could not be read"),
                    cases::api_silent_on_secret(),
                ))
            }
        }
    }
}

fn credentials(
    namespace: &str,
    name: &str,
    secret: &Labelled,
) -> Result<SecretCredentials, FetchError> {
    let label = secret.metadata.labels.get(crd::CREDENTIALS);
    if label.map(String::as_str) != Some("true") {
        return Err(FetchError::new(
            ErrorCode::SecretNotLabeled,
            format!(
                "Secret {namespace}/{name} is not labelled {}: \"true\"",
                crd::CREDENTIALS
            ),
            cases::label_secret(namespace, name, crd::CREDENTIALS),
        ));
    }
    let value = |key: &str| {
        let bytes = secret.data.get(key)?;
        // A newline at the end is how `echo` and editors write files, never part of a key. What
        // else a value must not be is judged where it is used.
        let text = std::str::from_utf8(&bytes.0).unwrap_or_default().trim();
        Some(text.to_owned())
    };
    let required = |key: &str| {
        value(key).ok_or_else(|| {
            // What else is in it is nobody's business who may only name it.
            FetchError::new(
                ErrorCode::SecretInvalid,
                format!("Secret {namespace}/{name} has no key {key}"),
                cases::secret_needs(),
            )
        })
    };
    Ok(SecretCredentials {
        access_key_id: required("accessKeyId")?,
        secret_access_key: required("secretAccessKey")?,
        session_token: value("sessionToken"),
        session: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(entries: &[(&str, &str)]) -> Labelled {
        let data = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
            .collect();
        let label = (crd::CREDENTIALS.to_owned(), "true".to_owned());
        Labelled {
            metadata: Labels {
                labels: [label].into(),
            },
            data,
        }
    }

    #[test]
    fn what_else_stands_in_a_secret_is_not_looked_at() {
        let text = r#"{"kind": "Secret", "metadata": {"labels": {"sumsq.dev/credentials": "true"},
            "managedFields": [{"time": "9999-12-31T00:00:00Z"}]}, "type": 7,
            "data": {"accessKeyId": "QUtJQQ==", "secretAccessKey": "czNjcjN0"}}"#;
        let found = credentials("growth", "s3", &serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(found.access_key_id, "AKIA");
        assert_eq!(found.secret_access_key, "s3cr3t");
    }

    #[test]
    fn a_secret_that_does_not_say_so_is_none() {
        for value in [None, Some(""), Some("false"), Some("True")] {
            let mut secret = secret(&[("accessKeyId", "AKIA"), ("secretAccessKey", "s3cr3t")]);
            let label = value.map(|value| (crd::CREDENTIALS.to_owned(), value.to_owned()));
            secret.metadata.labels = label.into_iter().collect();
            let error = credentials("growth", "s3", &secret).err().unwrap();
            assert_eq!(error.class, ErrorCode::SecretNotLabeled, "{value:?}");
            let command = "kubectl -n growth label secret s3 sumsq.dev/credentials=true";
            assert!(error.hint.ends_with(command), "{}", error.hint);
        }
    }

    #[test]
    fn a_complete_secret_is_read_without_the_newline_of_a_file() {
        let found = credentials(
            "growth",
            "s3",
            &secret(&[("accessKeyId", "AKIA\n"), ("secretAccessKey", "s3cr3t")]),
        )
        .unwrap();
        assert_eq!(found.access_key_id, "AKIA");
        assert_eq!(found.secret_access_key, "s3cr3t");
        assert_eq!(found.session_token, None);
    }

    #[test]
    fn what_is_missing_is_named_and_no_value_is_shown() {
        let error = credentials("growth", "s3", &secret(&[("AWS_ACCESS_KEY_ID", "AKIA")]))
            .err()
            .unwrap();
        assert_eq!(error.class, ErrorCode::SecretInvalid);
        assert_eq!(error.message, "Secret growth/s3 has no key accessKeyId");
        assert!(!error.hint.contains("AWS_ACCESS_KEY_ID"), "{}", error.hint);
        assert!(!format!("{error:?}").contains("AKIA\""));
    }
}
