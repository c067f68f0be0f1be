//! Whose identity reads, where it is not the operator's own: ServiceAccounts with a role of AWS's,
//! and roles that are assumed.
//!
//! - [`sessions`]: credentials that STS gave, for as long as they last.
//! - [`sts`]: asking for them.
//!
//! Kubernetes is behind [`ServiceAccounts`].

mod sessions;
mod sts;

use std::fmt;

use async_trait::async_trait;

pub(super) use self::sessions::{SessionKey, Sessions};
use super::credentials::SecretCredentials;
use super::policy;
use super::{Inner, Objects};
use crate::domain::data_source::{Identity, S3Object};
use crate::domain::fetch::{ErrorCode, FetchError, cases};
use crate::domain::tenancy::endpoints::Refusal;

/// Whom the operator's tokens are for: AWS takes them, the Kubernetes API does not.
pub const TOKEN_AUDIENCE: &str = "sts.amazonaws.com";

/// A ServiceAccount, as far as it bears on AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    pub namespace: String,
    pub name: String,
    /// Tells it from another one of its name.
    pub uid: String,
    /// Annotation `eks.amazonaws.com/role-arn`.
    pub role_arn: String,
    /// Annotation `eks.amazonaws.com/sts-regional-endpoints`: false asks `sts.amazonaws.com`.
    pub regional_sts: bool,
    /// Annotation `eks.amazonaws.com/audience`, where it is not [`TOKEN_AUDIENCE`].
    pub other_audience: Option<String>,
}

/// A token that says who asks. Debug never shows it.
#[derive(Clone)]
pub struct WebToken(pub String);

impl fmt::Debug for WebToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebToken")
    }
}

/// Knows the ServiceAccounts that data sources name.
#[async_trait]
pub trait ServiceAccounts: Send + Sync {
    /// # Errors
    /// ServiceAccountNotFound or ServiceAccountInvalid, ready to show.
    async fn read(&self, namespace: &str, name: &str) -> Result<ServiceAccount, FetchError>;

    /// A token of this account for [`TOKEN_AUDIENCE`].
    ///
    /// # Errors
    /// TokenNotGranted or ServiceAccountNotFound, ready to show.
    async fn token(&self, account: &ServiceAccount) -> Result<WebToken, FetchError>;
}

/// Where there are none: every one is not found.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoServiceAccounts;

#[async_trait]
impl ServiceAccounts for NoServiceAccounts {
    async fn read(&self, namespace: &str, name: &str) -> Result<ServiceAccount, FetchError> {
        Err(FetchError::new(
            ErrorCode::ServiceAccountNotFound,
            format!("there is no ServiceAccount {name} in namespace {namespace}"),
            cases::no_accounts(),
        ))
    }

    async fn token(&self, account: &ServiceAccount) -> Result<WebToken, FetchError> {
        self.read(&account.namespace, &account.name).await.map(|_| {
            unreachable!("none was found");
        })
    }
}

/// The identity that a spec names, as the cluster knows it.
pub enum Base<'a> {
    Operator,
    Secret(SecretCredentials),
    Account {
        account: ServiceAccount,
        accounts: &'a dyn ServiceAccounts,
    },
}

impl fmt::Debug for Base<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operator => "Operator",
            Self::Secret(_) => "Secret",
            Self::Account { .. } => "Account",
        })
    }
}

impl Objects {
    /// Whether the operator lends this namespace what the spec wants of it: its own identity, and a
    /// connection to the endpoint. Asks nobody.
    ///
    /// # Errors
    /// AmbientCredentialsRefused, EndpointNotAllowed or AddressNotAllowed, ready to show.
    pub fn admit(&self, object: &S3Object, namespace: &str) -> Result<(), FetchError> {
        self.inner.admit(object, namespace)
    }

    /// What signs for this object: None is the operator's own identity. Asks STS where a role is
    /// assumed, unless what it gave last lasts.
    ///
    /// # Errors
    /// [`Self::admit`]'s, what [`ServiceAccounts`] says, and AssumeRoleFailed.
    pub async fn sign_in(
        &self,
        object: &S3Object,
        namespace: &str,
        base: Base<'_>,
    ) -> Result<Option<SecretCredentials>, FetchError> {
        self.inner.admit(object, namespace)?;
        let signs = match base {
            Base::Operator => None,
            Base::Secret(secret) => Some(secret),
            Base::Account { account, accounts } => Some(
                self.inner
                    .of_account(object, namespace, &account, accounts)
                    .await?,
            ),
        };
        let Some(role) = &object.role else {
            return Ok(signs);
        };
        if let (Identity::Secret { name }, Some(secret)) = (&object.identity, &signs) {
            secret.check(namespace, name)?;
        }
        let session = self.inner.of_role(object, namespace, signs.as_ref(), role);
        session.await.map(Some)
    }
}

impl Inner {
    pub(super) fn admit(&self, object: &S3Object, namespace: &str) -> Result<(), FetchError> {
        // Everything is read from where the operator says.
        if self.clients.is_overridden() {
            return Ok(());
        }
        if object.identity == Identity::Operator && !self.ambient.serves(namespace) {
            return Err(no_identity_of_its_own(namespace));
        }
        let endpoint = object.endpoint.as_deref();
        match endpoint.map(|endpoint| self.clients.allowed.judge(endpoint)) {
            None | Some(Ok(_)) => Ok(()),
            Some(Err(refusal)) => Err(not_reached(&refusal)),
        }
    }
}

fn no_identity_of_its_own(namespace: &str) -> FetchError {
    FetchError::new(
        ErrorCode::AmbientCredentialsRefused,
        format!("the operator's own identity does not read for namespace {namespace}"),
        cases::name_identity(namespace),
    )
}

/// The words for an endpoint that is not asked.
pub(super) fn not_reached(refusal: &Refusal) -> FetchError {
    let (class, hint) = match refusal {
        Refusal::NoAddress(_) => (ErrorCode::EndpointNotAllowed, cases::endpoint_form()),
        Refusal::OddAddress(_) => (ErrorCode::EndpointNotAllowed, cases::endpoint_host()),
        Refusal::NotListed(address) => (
            ErrorCode::EndpointNotAllowed,
            cases::endpoint_not_listed(address),
        ),
        Refusal::Inside { host, .. } => (
            ErrorCode::AddressNotAllowed,
            cases::address_not_public(host),
        ),
        Refusal::NeverByName { .. } => (
            ErrorCode::AddressNotAllowed,
            "Metadata services, other link-local addresses and the Kubernetes API server are no stores: no \
             name leads there, not even one that the operator's --allowed-endpoints names. Let the name \
             lead to the store, or `endpoint` name another."
                .to_owned(),
        ),
        Refusal::ThroughProxy { host } => (
            ErrorCode::AddressNotAllowed,
            cases::wildcard_behind_proxy(host),
        ),
    };
    FetchError::new(class, refusal.to_string(), hint)
}

/// What STS calls a session: who it is for, as far as AWS takes the characters.
fn session_name(namespace: &str, who: &str) -> String {
    let named = format!("sumsq-{namespace}-{who}");
    named
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_=,.@-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(64)
        .collect()
}

/// In which region STS is asked for a role: the operator's own where the role is of the same
/// partition of AWS, else the bucket's.
fn sts_region(own: Option<&str>, object: &str, role_arn: &str) -> String {
    let of_role = role_arn.split(':').nth(1).unwrap_or("aws");
    let own = own.filter(|region| policy::partition(region) == of_role);
    own.unwrap_or(object).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_as_aws_takes_it() {
        assert_eq!(
            session_name("growth", "counts-reader"),
            "sumsq-growth-counts-reader"
        );
        let long = session_name(&"n".repeat(63), "räder");
        assert_eq!(long.len(), 64);
        assert_eq!(session_name("a", "ä/b"), "sumsq-a---b");
    }

    #[test]
    fn sts_is_asked_where_the_role_is() {
        for (own, object, role, expected) in [
            (
                Some("eu-central-1"),
                "us-east-1",
                "arn:aws:iam::1:role/r",
                "eu-central-1",
            ),
            (None, "eu-west-2", "arn:aws:iam::1:role/r", "eu-west-2"),
            (
                Some("eu-central-1"),
                "cn-north-1",
                "arn:aws-cn:iam::1:role/r",
                "cn-north-1",
            ),
            (
                Some("us-gov-west-1"),
                "us-gov-east-1",
                "arn:aws-us-gov:iam::1:role/r",
                "us-gov-west-1",
            ),
        ] {
            assert_eq!(
                sts_region(own, object, role),
                expected,
                "{own:?} {object} {role}"
            );
        }
    }
}
