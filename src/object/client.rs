//! One S3 client per region, endpoint and identity, kept; and the STS client that says whose
//! identity that is.

use std::env;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{
    Credentials as AwsCredentials, IdentityCache, ResponseChecksumValidation,
    SharedCredentialsProvider,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::dns::SharedDnsResolver;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
pub(super) use lru::LruCache;

use super::credentials::{Credentials, SecretCredentials};
use super::reach::guarded_client;
use super::{Setup, lock};
use crate::domain::data_source::S3Object;
use crate::domain::tenancy::endpoints::{AllowedEndpoints, Listed};
use crate::roots;

/// Clients are small (they share one connection pool), but a namespace can make any number of
/// Secrets over time.
const KEPT: NonZeroUsize = NonZeroUsize::new(512).expect("more than 0");

/// Where the web identity's role is asked for if nothing says which region.
const FALLBACK_REGION: &str = "us-east-1";

/// Tells clients apart: a digest, so that no key of a map holds a credential.
pub(super) type Key = [u8; 32];

pub(super) struct Clients {
    /// The operator's identity, HTTP client, time limits and retries.
    base: SdkConfig,
    /// The same with no identity.
    anonymous: SdkConfig,
    /// In place of every spec's.
    endpoint: Option<String>,
    /// In place of AWS's STS.
    sts_endpoint: Option<String>,
    /// Where the operator itself is; None: nothing says so.
    own_region: Option<Region>,
    pub(super) allowed: Arc<AllowedEndpoints>,
    /// For endpoints that tenants name.
    guarded: SharedHttpClient,
    s3: Mutex<LruCache<Key, aws_sdk_s3::Client>>,
}

impl Clients {
    /// Loads the operator's settings from AWS's usual environment and files. Credentials are
    /// looked for when they are first needed.
    pub(super) async fn load(setup: &Setup) -> Self {
        let timeouts = setup.timeouts;
        // Not from the instance's metadata: each object names its region, and asking takes seconds
        // where there is no such service.
        let own_region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .region()
            .await;
        let region = own_region.clone();
        let region = region.unwrap_or(Region::from_static(FALLBACK_REGION));
        let limits = TimeoutConfig::builder()
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.answer)
            .build();
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client(ProxyConfig::from_env, None))
            .region(region)
            .timeout_config(limits)
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled()
                    .grace_period(timeouts.stall)
                    .build(),
            );
        let loader = match AppName::new("sumsq") {
            Ok(name) => loader.app_name(name),
            Err(_) => loader,
        };
        let base = loader.load().await;
        let mut anonymous = base.clone().into_builder();
        anonymous.set_credentials_provider(None);
        let allowed = Arc::new(setup.allowed_endpoints.clone());
        Self {
            anonymous: anonymous.build(),
            base,
            endpoint: setup.endpoint.clone(),
            sts_endpoint: setup.sts_endpoint.clone(),
            own_region,
            guarded: guarded_client(Arc::clone(&allowed), setup.resolver.clone()),
            allowed,
            s3: cache(),
        }
    }

    /// Where the operator itself is, as its environment says.
    pub(super) fn own_region(&self) -> Option<String> {
        self.own_region.as_ref().map(ToString::to_string)
    }

    /// Whether it is an endpoint that a tenant chose: where it leads is looked at. AWS's own are
    /// whatever they resolve to, VPC endpoints with private addresses among them.
    fn is_guarded(&self, object: &S3Object) -> bool {
        let endpoint = object.endpoint.as_deref();
        !self.is_overridden()
            && endpoint.is_some_and(|endpoint| self.allowed.judge(endpoint) != Ok(Listed::Aws))
    }

    /// Whether every object is read from one endpoint, whatever its spec says.
    pub(super) fn is_overridden(&self) -> bool {
        self.endpoint.is_some()
    }

    /// The address that settings give, without the bucket; None: AWS's own.
    pub(super) fn endpoint(&self, object: &S3Object) -> Option<String> {
        self.endpoint.clone().or_else(|| object.endpoint.clone())
    }

    /// Tells apart what needs a client of its own.
    pub(super) fn key(&self, object: &S3Object, credentials: Credentials<'_>) -> Key {
        let endpoint = self.endpoint(object).unwrap_or_default();
        let style = if object.force_path_style { "path" } else { "" };
        let mut parts = vec![object.region.as_str(), &endpoint, style];
        match credentials {
            Credentials::Operator => parts.push("operator"),
            Credentials::Unsigned => parts.push("unsigned"),
            Credentials::Static(given) => parts.extend([
                "static",
                given.access_key_id.as_str(),
                given.secret_access_key.as_str(),
                given.session_token.as_deref().unwrap_or_default(),
            ]),
        }
        let mut digest = blake3::Hasher::new();
        for part in parts {
            // With its length, so that no two lists of parts read the same.
            digest
                .update(&(part.len() as u64).to_le_bytes())
                .update(part.as_bytes());
        }
        *digest.finalize().as_bytes()
    }

    pub(super) fn s3(&self, object: &S3Object, credentials: Credentials<'_>) -> aws_sdk_s3::Client {
        let key = self.key(object, credentials);
        lock(&self.s3)
            .get_or_insert(key, || self.build_s3(object, credentials))
            .clone()
    }

    /// The SDK compares the checksum of an answer's body; here it is one of several requests, and
    /// the whole is what has a checksum: [`super::download`] compares that.
    fn build_s3(&self, object: &S3Object, credentials: Credentials<'_>) -> aws_sdk_s3::Client {
        let base = self.base_of(credentials);
        let mut config = aws_sdk_s3::config::Builder::from(base)
            .region(Region::new(object.region.clone()))
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .force_path_style(object.force_path_style || self.is_overridden());
        if let Some(endpoint) = self.endpoint(object) {
            config = config.endpoint_url(endpoint);
        }
        if self.is_guarded(object) {
            config = config.http_client(self.guarded.clone());
        }
        config = match credentials {
            Credentials::Operator => config,
            Credentials::Unsigned => config.allow_no_auth(),
            // A shared identity cache would keep what it holds for every Secret there ever was.
            Credentials::Static(given) => config
                .credentials_provider(provider(given))
                .identity_cache(IdentityCache::no_cache()),
        };
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// Who says whose credentials these are. Credentials for an S3-compatible store are shown to
    /// that store only, which may or may not speak STS; where the operator's environment names an
    /// STS, it decides.
    pub(super) fn sts(
        &self,
        object: &S3Object,
        credentials: Credentials<'_>,
    ) -> aws_sdk_sts::Client {
        let is_sessions =
            matches!(credentials, Credentials::Static(given) if given.session.is_some());
        let config = self.sts_config(credentials, &object.region);
        let config = match self.endpoint(object) {
            Some(endpoint) if !is_sessions && !self.settings_name_sts() => {
                self.at_store(config, object, endpoint)
            }
            _ => config,
        };
        aws_sdk_sts::Client::from_conf(config.build())
    }

    /// Who gives a role for a token. Nothing is signed.
    pub(super) fn sts_for_tokens(&self, region: &str) -> aws_sdk_sts::Client {
        let config = self.sts_config(Credentials::Unsigned, region);
        aws_sdk_sts::Client::from_conf(config.build())
    }

    /// Who gives a role to these credentials; None are the operator's own, which like a session's
    /// are AWS's and shown to its STS alone.
    pub(super) fn sts_for_roles(
        &self,
        object: &S3Object,
        asking: Option<&SecretCredentials>,
        region: &str,
    ) -> aws_sdk_sts::Client {
        match asking {
            Some(keys) if keys.session.is_none() => {
                let object = S3Object {
                    region: region.to_owned(),
                    ..object.clone()
                };
                self.sts(&object, Credentials::Static(keys))
            }
            Some(session) => {
                let config = self.sts_config(Credentials::Static(session), region);
                aws_sdk_sts::Client::from_conf(config.build())
            }
            None => {
                let config = self.sts_config(Credentials::Operator, region);
                aws_sdk_sts::Client::from_conf(config.build())
            }
        }
    }

    /// AWS's own STS, or the one that settings name.
    fn sts_config(
        &self,
        credentials: Credentials<'_>,
        region: &str,
    ) -> aws_sdk_sts::config::Builder {
        let base = self.base_of(credentials);
        let mut config =
            aws_sdk_sts::config::Builder::from(base).region(Region::new(region.to_owned()));
        if let Some(endpoint) = &self.sts_endpoint {
            config = config.endpoint_url(endpoint);
        }
        if let Credentials::Static(given) = credentials {
            config = config
                .credentials_provider(provider(given))
                .identity_cache(IdentityCache::no_cache());
        }
        config
    }

    /// A store that may speak STS beside S3. AWS's S3 does not.
    fn at_store(
        &self,
        config: aws_sdk_sts::config::Builder,
        object: &S3Object,
        endpoint: String,
    ) -> aws_sdk_sts::config::Builder {
        if self.is_guarded(object) {
            return config
                .endpoint_url(endpoint)
                .http_client(self.guarded.clone());
        }
        if self.is_overridden() {
            return config.endpoint_url(endpoint);
        }
        config
    }

    fn settings_name_sts(&self) -> bool {
        !self.is_overridden()
            && (self.sts_endpoint.is_some()
                || self.base.endpoint_url().is_some()
                || env::var_os("AWS_ENDPOINT_URL_STS").is_some())
    }

    fn base_of(&self, credentials: Credentials<'_>) -> &SdkConfig {
        match credentials {
            Credentials::Operator => &self.base,
            Credentials::Static(_) | Credentials::Unsigned => &self.anonymous,
        }
    }
}

pub(super) fn cache<T>() -> Mutex<LruCache<Key, T>> {
    Mutex::new(LruCache::new(KEPT))
}

fn provider(given: &SecretCredentials) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(AwsCredentials::new(
        &given.access_key_id,
        &given.secret_access_key,
        given.session_token.clone(),
        None,
        "Secret",
    ))
}

/// One pool of connections for all clients: rustls on ring, the authorities of
/// [`crate::roots`], the proxy that is named, and names as `resolver` has them (None: the machine's).
pub(super) fn http_client(
    proxy: fn() -> ProxyConfig,
    resolver: Option<SharedDnsResolver>,
) -> SharedHttpClient {
    let trusted = trusted();
    Builder::new().build_with_connector_fn(move |settings, _components| {
        let mut connector = Connector::builder().proxy_config(proxy());
        connector.set_connector_settings(settings.cloned());
        let connector = connector
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(trusted.clone());
        match &resolver {
            Some(resolver) => connector.build_with_resolver(resolver.clone()),
            None => connector.build(),
        }
    })
}

fn trusted() -> TlsContext {
    let store = match roots::bundled() {
        None => TrustStore::empty().with_native_roots(true),
        Some(pem) => TrustStore::empty().with_pem_certificate(pem),
    };
    TlsContext::builder()
        .with_trust_store(store)
        .build()
        .expect("a trust store alone is a context")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::data_source::Identity;

    fn object(endpoint: Option<&str>) -> S3Object {
        S3Object {
            region: "us-east-1".to_owned(),
            bucket: "counts".to_owned(),
            key: "counts.csv".to_owned(),
            account_id: None,
            endpoint: endpoint.map(str::to_owned),
            force_path_style: false,
            identity: Identity::Operator,
            role: None,
        }
    }

    fn secret(id: &str, secret: &str, token: Option<&str>) -> SecretCredentials {
        SecretCredentials {
            access_key_id: id.to_owned(),
            secret_access_key: secret.to_owned(),
            session_token: token.map(str::to_owned),
            session: None,
        }
    }

    #[tokio::test]
    async fn a_client_serves_every_object_of_its_kind_and_no_other() {
        let clients = Clients::load(&Setup::default()).await;
        let plain = object(None);
        let other_bucket = S3Object {
            bucket: "other".to_owned(),
            ..plain.clone()
        };
        assert_eq!(
            clients.key(&plain, Credentials::Operator),
            clients.key(&other_bucket, Credentials::Operator)
        );

        let region = S3Object {
            region: "eu-west-2".to_owned(),
            ..plain.clone()
        };
        let path = S3Object {
            force_path_style: true,
            ..plain.clone()
        };
        let endpoint = object(Some("http://127.0.0.1:1"));
        let secrets = [
            secret("ab", "c", None),
            secret("a", "bc", None),
            secret("ab", "c", Some("d")),
            secret("ab", "cd", None),
        ];
        let mut keys = vec![
            clients.key(&plain, Credentials::Operator),
            clients.key(&plain, Credentials::Unsigned),
            clients.key(&region, Credentials::Operator),
            clients.key(&path, Credentials::Operator),
            clients.key(&endpoint, Credentials::Operator),
        ];
        keys.extend(
            secrets
                .iter()
                .map(|given| clients.key(&plain, Credentials::Static(given))),
        );
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }

    #[tokio::test]
    async fn no_more_clients_are_kept_than_fit() {
        let clients = Clients::load(&Setup::default()).await;
        let plain = object(None);
        for number in 0..KEPT.get() + 10 {
            let given = secret(&number.to_string(), "secret", None);
            clients.s3(&plain, Credentials::Static(&given));
            clients.s3(&plain, Credentials::Static(&given));
        }
        assert_eq!(lock(&clients.s3).len(), KEPT.get());
    }
}
