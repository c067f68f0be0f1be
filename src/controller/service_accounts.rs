//! ServiceAccounts that data sources name, and tokens of theirs: asked for on demand and never kept.
//!
//! A token is for AWS's STS alone ([`TOKEN_AUDIENCE`]): the Kubernetes API takes none of them.
//!
//! Answers are taken as text and read here: the client writes to its log what it can't read, and one of
//! these is a token. No more of them is read than is used.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::ServiceAccount as KubeAccount;
use kube::api::{GetParams, PostParams};
use kube::core::{Request, Status};
use kube::{Api, Client, Resource};
use serde::Deserialize;
use serde_json::json;

use crate::domain::fetch::{ErrorCode, FetchError, ReadyPolicy, cases, presentable};
use crate::object::{ServiceAccount, ServiceAccounts, TOKEN_AUDIENCE, WebToken};

const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE: &str = "eks.amazonaws.com/audience";
const REGIONAL_STS: &str = "eks.amazonaws.com/sts-regional-endpoints";

/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The shortest that Kubernetes gives. It is shown to STS at once and then forgotten, so the
/// annotation `eks.amazonaws.com/token-expiration`, which is for Pods, has no say.
const TOKEN_SECONDS: i64 = 600;

/// Asks the API server.
#[derive(Clone)]
pub struct KubeServiceAccounts {
    client: Client,
}

impl std::fmt::Debug for KubeServiceAccounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeServiceAccounts")
            .finish_non_exhaustive()
    }
}

impl KubeServiceAccounts {
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn get(&self, namespace: &str, name: &str) -> Result<String, kube::Error> {
        let request = requests(namespace).get(name, &GetParams::default());
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.client.request_text(request).await
    }

    async fn request_token(&self, namespace: &str, name: &str) -> Result<String, kube::Error> {
        let asked = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [TOKEN_AUDIENCE], "expirationSeconds": TOKEN_SECONDS},
        });
        let (asked, parameters) = (asked.to_string().into_bytes(), PostParams::default());
        let request = requests(namespace).create_subresource("token", name, &parameters, asked);
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.client.request_text(request).await
    }

    /// Who the API server takes the operator for; where that can't be had, as the chart calls it.
    async fn myself(&self) -> String {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = SelfSubjectReview::default();
        let parameters = PostParams::default();
        let asked = api.create(&parameters, &review);
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        let user = answer.ok().and_then(Result::ok).and_then(|review| {
            let user = review.status?.user_info?;
            user.username
        });
        user.unwrap_or_else(|| "system:serviceaccount:sumsq:sumsq".to_owned())
    }

    /// What lets the operator have tokens of this account, as YAML to apply.
    async fn grant(&self, namespace: &str, name: &str) -> ReadyPolicy {
        ReadyPolicy {
            target: format!("Role and RoleBinding, to apply in namespace {namespace}"),
            statement: grant(namespace, name, &self.myself().await),
        }
    }
}

fn requests(namespace: &str) -> Request {
    Request::new(KubeAccount::url_path(&(), Some(namespace)))
}

/// What is looked at of an account; the rest may be anything.
#[derive(Deserialize)]
struct RawAccount {
    metadata: RawMetadata,
}

#[derive(Deserialize)]
struct RawMetadata {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawToken {
    status: RawTokenStatus,
}

#[derive(Deserialize)]
struct RawTokenStatus {
    token: String,
}

#[async_trait]
impl ServiceAccounts for KubeServiceAccounts {
    async fn read(&self, namespace: &str, name: &str) -> Result<ServiceAccount, FetchError> {
        let answer = tokio::time::timeout(PATIENCE, self.get(namespace, name)).await;
        match answer {
            Ok(Ok(text)) => match serde_json::from_str(&text) {
                Ok(account) => account_of(namespace, name, &account),
                Err(_) => Err(FetchError::new(
                    ErrorCode::ServiceAccountInvalid,
                    format!("ServiceAccount {namespace}/{name} is not one that can be read"),
                    cases::make_account(ROLE_ARN),
                )),
            },
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => {
                Err(not_found(namespace, name))
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                let mut error = FetchError::new(
                    ErrorCode::TokenNotGranted,
                    format!("the operator may not read ServiceAccount {namespace}/{name}"),
                    cases::grant_tokens(namespace),
                );
                error.policies.push(self.grant(namespace, name).await);
                Err(error)
            }
            Ok(Err(error)) => Err(unanswered(namespace, name, Some(&error))),
            Err(_elapsed) => Err(unanswered(namespace, name, None)),
        }
    }

    async fn token(&self, account: &ServiceAccount) -> Result<WebToken, FetchError> {
        let (namespace, name) = (account.namespace.as_str(), account.name.as_str());
        let asked = self.request_token(namespace, name);
        match tokio::time::timeout(PATIENCE, asked).await {
            // Why it can't be read would quote it.
            Ok(Ok(text)) => match serde_json::from_str(&text) {
                Ok(RawToken { status }) if !status.token.is_empty() => Ok(WebToken(status.token)),
                _ => Err(unanswered(namespace, name, None)),
            },
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => {
                Err(not_found(namespace, name))
            }
            Ok(Err(kube::Error::Api(status))) if is_refusal(&status) => {
                let mut error = not_granted(account, &status);
                if !is_by_policy(&status) {
                    error.policies.push(self.grant(namespace, name).await);
                }
                Err(error)
            }
            Ok(Err(error)) => Err(unanswered(namespace, name, Some(&error))),
            Err(_elapsed) => Err(unanswered(namespace, name, None)),
        }
    }
}

fn account_of(
    namespace: &str,
    name: &str,
    account: &RawAccount,
) -> Result<ServiceAccount, FetchError> {
    let annotation = |key: &str| {
        let value = account.metadata.annotations.get(key)?.trim();
        (!value.is_empty()).then_some(value)
    };
    let Some(role_arn) = annotation(ROLE_ARN) else {
        return Err(FetchError::new(
            ErrorCode::ServiceAccountInvalid,
            format!("ServiceAccount {namespace}/{name} has no annotation {ROLE_ARN}"),
            cases::annotate_account(namespace, name, ROLE_ARN),
        ));
    };
    if !is_role(role_arn) {
        return Err(FetchError::new(
            ErrorCode::ServiceAccountInvalid,
            format!(
                "ServiceAccount {namespace}/{name}, annotation {ROLE_ARN}: {:?} is no role's ARN",
                presentable(role_arn)
            ),
            cases::annotate_account_anew(namespace, name, ROLE_ARN),
        ));
    }
    Ok(ServiceAccount {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: account.metadata.uid.clone(),
        role_arn: role_arn.to_owned(),
        // As EKS has it since 2022: regional, unless said otherwise.
        regional_sts: annotation(REGIONAL_STS) != Some("false"),
        other_audience: annotation(AUDIENCE)
            .filter(|audience| *audience != TOKEN_AUDIENCE)
            .map(str::to_owned),
    })
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH`.
fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts[..] else {
        return false;
    };
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let is_of_role = |c: char| c.is_ascii_alphanumeric() || "_+=,.@/-".contains(c);
    let role = resource.strip_prefix("role/").unwrap_or_default();
    partition.starts_with("aws")
        && is_account
        && !role.is_empty()
        && role.len() <= 576
        && role.chars().all(is_of_role)
}

fn not_found(namespace: &str, name: &str) -> FetchError {
    FetchError::new(
        ErrorCode::ServiceAccountNotFound,
        format!("there is no ServiceAccount {name} in namespace {namespace}"),
        cases::create_account(ROLE_ARN),
    )
}

fn unanswered(namespace: &str, name: &str, error: Option<&kube::Error>) -> FetchError {
    if let Some(error) = error {
        let error = error as &dyn std::error::Error;
        tracing::warn!(error, "cannot ask for a ServiceAccount");
    }
    FetchError::new(
        ErrorCode::ServiceAccountNotFound,
        format!("ServiceAccount {name} in namespace {namespace} could not be asked for"),
        cases::api_silent_on_account(),
    )
}

/// By RBAC, or by an admission policy.
fn is_refusal(status: &Status) -> bool {
    matches!(status.code, 403 | 422)
}

/// An admission policy or a webhook says so in its own words; RBAC names who may not do what.
fn is_by_policy(status: &Status) -> bool {
    status.code == 422
        || status.message.contains("ValidatingAdmissionPolicy")
        || status.message.contains("admission webhook")
}

fn not_granted(account: &ServiceAccount, status: &Status) -> FetchError {
    let (namespace, name) = (&account.namespace, &account.name);
    if is_by_policy(status) {
        return FetchError::new(
            ErrorCode::TokenNotGranted,
            format!(
                "the cluster refuses a token of ServiceAccount {namespace}/{name}: {}",
                status.message
            ),
            cases::except_operator(TOKEN_AUDIENCE, TOKEN_SECONDS),
        );
    }
    FetchError::new(
        ErrorCode::TokenNotGranted,
        format!("the operator may not have tokens of ServiceAccount {namespace}/{name}"),
        cases::grant_tokens(namespace),
    )
}

/// The least that will do: this account alone, by name. `operator` is a user's name, as the API
/// server has it.
fn grant(namespace: &str, name: &str, operator: &str) -> String {
    let account = operator
        .strip_prefix("system:serviceaccount:")
        .and_then(|account| account.split_once(':'));
    let subject: Box<dyn Display> = match account {
        Some((namespace, name)) => Box::new(format!(
            "- kind: ServiceAccount\n  name: {name}\n  namespace: {namespace}"
        )),
        None => Box::new(format!(
            "- kind: User\n  name: {}\n  apiGroup: rbac.authorization.k8s.io",
            serde_json::Value::from(operator)
        )),
    };
    format!(
        "\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: sumsq-{name}
  namespace: {namespace}
rules:
- apiGroups: [\"\"]
  resources: [serviceaccounts]
  resourceNames: [{name}]
  verbs: [get]
- apiGroups: [\"\"]
  resources: [serviceaccounts/token]
  resourceNames: [{name}]
  verbs: [create]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: sumsq-{name}
  namespace: {namespace}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: sumsq-{name}
subjects:
{subject}
"
    )
}

#[cfg(test)]
mod tests;
