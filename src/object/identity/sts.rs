//! Asking STS for a role: with the token of a ServiceAccount, or as an identity that has
//! credentials already.
//!
//! A token is shown to AWS's STS alone (or to the one that the operator's environment names), never
//! to an endpoint that a tenant chose: whoever has it can be the account.

use jiff::Timestamp;

use super::sessions::{ends, key};
use super::{ServiceAccount, ServiceAccounts, SessionKey, session_name, sts_region};
use crate::domain::data_source::{AssumedRole, Identity, S3Object};
use crate::domain::fetch::{ErrorCode, FetchError, cases};
use crate::object::Inner;
use crate::object::credentials::{Credentials, SecretCredentials, Session};
use crate::object::diagnose::roles;
use crate::object::failure::Failure;
use crate::object::web_identity::WebIdentity;

/// STS without a region, as the SDK calls it: `sts.amazonaws.com`.
const GLOBAL: &str = "aws-global";

impl Inner {
    /// The session of a ServiceAccount's role.
    pub(super) async fn of_account(
        &self,
        object: &S3Object,
        namespace: &str,
        account: &ServiceAccount,
        accounts: &dyn ServiceAccounts,
    ) -> Result<SecretCredentials, FetchError> {
        let key = key(&["account", namespace, &account.uid, &account.role_arn]);
        if let Some(kept) = self.sessions.get(&key, Timestamp::now()) {
            return Ok(kept);
        }
        let token = accounts.token(account).await?;
        let region = if account.regional_sts {
            let own = self.clients.own_region();
            sts_region(own.as_deref(), &object.region, &account.role_arn)
        } else {
            GLOBAL.to_owned()
        };
        let answer = self
            .clients
            .sts_for_tokens(&region)
            .assume_role_with_web_identity()
            .role_arn(&account.role_arn)
            .role_session_name(session_name(namespace, &account.name))
            .web_identity_token(&token.0)
            .send()
            .await;
        let given = answer.map_err(|error| {
            let failure = Failure::from_sdk(&error);
            tracing::debug!(?failure, "STS did not give a ServiceAccount its role");
            let claims = WebIdentity::from_token(account.role_arn.clone(), &token.0);
            roles::account_refused(&failure, account, claims.as_ref(), self.timeouts)
        })?;
        self.session(key, given.credentials, &account.role_arn)
    }

    /// The session of a role that this identity assumes; None is the operator's own.
    pub(super) async fn of_role(
        &self,
        object: &S3Object,
        namespace: &str,
        asking: Option<&SecretCredentials>,
        role: &AssumedRole,
    ) -> Result<SecretCredentials, FetchError> {
        let external_id = role.external_id.as_deref().unwrap_or_default();
        let key = match asking {
            None => key(&["operator", namespace, &role.arn, external_id]),
            Some(asking) => {
                let secret = asking.secret_access_key.as_str();
                let id = asking.access_key_id.as_str();
                key(&["keys", namespace, id, secret, &role.arn, external_id])
            }
        };
        if let Some(kept) = self.sessions.get(&key, Timestamp::now()) {
            return Ok(kept);
        }
        let own = self.clients.own_region();
        let region = sts_region(own.as_deref(), &object.region, &role.arn);
        let who = match &object.identity {
            Identity::Operator => "operator",
            Identity::Secret { name } | Identity::ServiceAccount { name } => name,
        };
        let answer = self
            .clients
            .sts_for_roles(object, asking, &region)
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(session_name(namespace, who))
            .set_external_id(role.external_id.clone())
            .send()
            .await;
        let given = match answer {
            Ok(given) => given,
            Err(error) => {
                let failure = Failure::from_sdk(&error);
                tracing::debug!(?failure, "STS did not give a role");
                // What asked may be what is wrong.
                if let Some(session) = asking.and_then(|asking| asking.session.as_ref()) {
                    self.sessions.drop(&session.key);
                }
                let credentials = asking.map_or(Credentials::Operator, Credentials::Static);
                let asking = self.reader(object, credentials).await;
                let refused = roles::Refused {
                    object,
                    namespace,
                    role,
                    asking,
                    timeouts: self.timeouts,
                };
                return Err(roles::role_refused(&failure, &refused));
            }
        };
        self.session(key, given.credentials, &role.arn)
    }

    fn session(
        &self,
        key: SessionKey,
        given: Option<aws_sdk_sts::types::Credentials>,
        role_arn: &str,
    ) -> Result<SecretCredentials, FetchError> {
        let Some(given) = given else {
            return Err(FetchError::new(
                ErrorCode::AssumeRoleFailed,
                format!("STS answered for {role_arn} without credentials"),
                cases::check_sts_endpoint(),
            ));
        };
        let now = Timestamp::now();
        let ends = ends(Some(given.expiration.secs()), now);
        let credentials = SecretCredentials {
            access_key_id: given.access_key_id,
            secret_access_key: given.secret_access_key,
            session_token: Some(given.session_token),
            session: Some(Session {
                key,
                reader: role_arn.to_owned(),
            }),
        };
        self.sessions.keep(key, &credentials, ends);
        Ok(credentials)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

    use super::*;

    #[tokio::test]
    async fn sts_is_the_regions_or_everybodys() {
        for (region, expected) in [
            (GLOBAL, "https://sts.amazonaws.com"),
            ("eu-west-2", "https://sts.eu-west-2.amazonaws.com"),
            ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"),
        ] {
            let params = Params::builder().region(region).build().unwrap();
            let endpoint = DefaultResolver::new().resolve_endpoint(&params).await;
            assert_eq!(endpoint.unwrap().url(), expected);
        }
    }
}
