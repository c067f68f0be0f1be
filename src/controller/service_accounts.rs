//! ServiceAccounts that data sources name, and tokens of theirs: asked for on demand and never kept.
//!
//! A token is for AWS's STS alone ([`TOKEN_AUDIENCE`]): the Kubernetes API takes none of them.

use std::fmt::Display;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount as RawAccount;
use kube::api::PostParams;
use kube::core::Status;
use kube::{Api, Client, ResourceExt};

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

#[async_trait]
impl ServiceAccounts for KubeServiceAccounts {
    async fn read(&self, namespace: &str, name: &str) -> Result<ServiceAccount, FetchError> {
        let api: Api<RawAccount> = Api::namespaced(self.client.clone(), namespace);
        let answer = tokio::time::timeout(PATIENCE, api.get_opt(name)).await;
        match answer {
            Ok(Ok(Some(account))) => account_of(namespace, name, &account),
            Ok(Ok(None)) => Err(not_found(namespace, name)),
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
        let api: Api<RawAccount> = Api::namespaced(self.client.clone(), namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: Some(vec![TOKEN_AUDIENCE.to_owned()]),
                expiration_seconds: Some(TOKEN_SECONDS),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let parameters = PostParams::default();
        let asked = api.create_token_request(name, &parameters, &request);
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => answer
                .status
                .and_then(|status| status.token)
                .map(WebToken)
                .ok_or_else(|| unanswered(namespace, name, None)),
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
        let value = account.annotations().get(key)?.trim();
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
        uid: account.uid().unwrap_or_default(),
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
mod tests {
    use super::*;

    fn account(annotations: &[(&str, &str)]) -> Result<ServiceAccount, FetchError> {
        let mut raw = RawAccount::default();
        raw.metadata.uid = Some("uid-1".to_owned());
        let annotations = annotations.iter();
        let annotations = annotations.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        raw.metadata.annotations = Some(annotations.collect());
        account_of("growth", "counts-reader", &raw)
    }

    const ROLE: &str = "arn:aws:iam::123456789012:role/team/counts-reader";

    #[test]
    fn annotations_are_read_as_eks_has_them() {
        let plain = account(&[(ROLE_ARN, ROLE)]).unwrap();
        assert_eq!(plain.role_arn, ROLE);
        assert_eq!(plain.uid, "uid-1");
        assert!(plain.regional_sts);
        assert_eq!(plain.other_audience, None);
        let full = account(&[
            (ROLE_ARN, &format!(" {ROLE}\n")),
            (REGIONAL_STS, "false"),
            (AUDIENCE, "my-vault"),
        ]);
        let full = full.unwrap();
        assert_eq!(full.role_arn, ROLE);
        assert!(!full.regional_sts);
        assert_eq!(full.other_audience.as_deref(), Some("my-vault"));
        let same = account(&[(ROLE_ARN, ROLE), (AUDIENCE, TOKEN_AUDIENCE)]).unwrap();
        assert_eq!(same.other_audience, None);
    }

    #[test]
    fn an_account_without_a_role_says_how_to_give_it_one() {
        for (annotations, says) in [
            (&[][..], "has no annotation eks.amazonaws.com/role-arn"),
            (&[(ROLE_ARN, " ")], "has no annotation"),
            (&[(ROLE_ARN, "counts-reader")], "is no role's ARN"),
            (
                &[(ROLE_ARN, "arn:aws:iam::123456789012:user/x")],
                "is no role's ARN",
            ),
            (
                &[(ROLE_ARN, "arn:aws:iam::12345678901x:role/x")],
                "is no role's ARN",
            ),
            (
                &[(ROLE_ARN, "arn:aws:iam::123456789012:role/")],
                "is no role's ARN",
            ),
            (
                &[(ROLE_ARN, "arn:aws:iam::123456789012:role/a b")],
                "is no role's ARN",
            ),
        ] {
            let error = account(annotations).unwrap_err();
            assert_eq!(error.class, ErrorCode::ServiceAccountInvalid);
            assert!(error.message.contains(says), "{}", error.message);
            assert!(error.hint.contains("annotate"), "{}", error.hint);
        }
    }

    #[test]
    fn what_is_granted_is_this_account_alone() {
        insta::assert_snapshot!(grant("growth", "counts-reader", "system:serviceaccount:sumsq-system:sumsq"), @r#"
    apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata:
      name: sumsq-counts-reader
      namespace: growth
    rules:
    - apiGroups: [""]
      resources: [serviceaccounts]
      resourceNames: [counts-reader]
      verbs: [get]
    - apiGroups: [""]
      resources: [serviceaccounts/token]
      resourceNames: [counts-reader]
      verbs: [create]
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: RoleBinding
    metadata:
      name: sumsq-counts-reader
      namespace: growth
    roleRef:
      apiGroup: rbac.authorization.k8s.io
      kind: Role
      name: sumsq-counts-reader
    subjects:
    - kind: ServiceAccount
      name: sumsq
      namespace: sumsq-system
    "#);
        let by_name = grant("growth", "r", "jane \"the\" admin");
        assert!(
            by_name.contains("- kind: User\n  name: \"jane \\\"the\\\" admin\""),
            "{by_name}"
        );
    }
}
