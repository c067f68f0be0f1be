//! The cluster that a kubeconfig names: a few requests, each with its time limit, and errors in
//! kubectl's words.

use std::fmt::Debug;
use std::time::Duration;

use axum::http::{Request, Response};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::NamespaceResourceScope;
use kube::{Client, Config, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::{Layer, ServiceExt};

use super::failure::{Failure, Result};
use crate::args::plugin::ClusterArgs;
use crate::crd::Pruned;

/// Who a change is by, as `kubectl get --show-managed-fields` shows it.
const FIELD_MANAGER: &str = "kubectl-sumsq";

/// What a namespaced kind of ours or of Kubernetes' own is.
pub(super) trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug
{
}
impl<K> Kind for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Debug
{
}

/// Which namespaces a list is of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    All,
    Namespace(&'a str),
}

pub(super) struct Cluster {
    client: Client,
    /// What the client was made from.
    config: Config,
    /// None: as long as it takes.
    patience: Option<Duration>,
    is_someone_else: bool,
}

impl Cluster {
    /// Reads the kubeconfig. Nothing is sent yet.
    pub(super) async fn connect(args: &ClusterArgs) -> Result<Self> {
        let mut config = load(args).await?;
        if args.as_user.is_some() {
            config.auth_info.impersonate.clone_from(&args.as_user);
        }
        if !args.as_group.is_empty() {
            config.auth_info.impersonate_groups = Some(args.as_group.clone());
        }
        let patience = (!args.request_timeout.is_zero()).then_some(args.request_timeout);
        if let Some(patience) = patience {
            config.connect_timeout = Some(patience);
        }
        if let Some(namespace) = &args.namespace {
            config.default_namespace.clone_from(namespace);
        }
        let client = ClientBuilder::try_from(config.clone())
            .map_err(|error| Failure::of_request(&error, &authority(&config)))?
            .build();
        Ok(Self {
            client,
            patience,
            is_someone_else: config.auth_info.impersonate.is_some(),
            config,
        })
    }

    /// The one that `-n` or the context names.
    pub(super) fn namespace(&self) -> &str {
        &self.config.default_namespace
    }

    pub(super) fn scope(&self, all: bool) -> Scope<'_> {
        if all {
            Scope::All
        } else {
            Scope::Namespace(self.namespace())
        }
    }

    pub(super) fn api<K: Kind>(&self, scope: Scope<'_>) -> Api<Pruned<K>> {
        match scope {
            Scope::All => Api::all(self.client.clone()),
            Scope::Namespace(namespace) => Api::namespaced(self.client.clone(), namespace),
        }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) async fn get<K: Kind>(&self, namespace: &str, name: &str) -> Result<K> {
        let api = self.api::<K>(Scope::Namespace(namespace));
        let Pruned(object) = self.bounded(api.get(name)).await?;
        Ok(object)
    }

    /// In the order of the API server: by namespace and name.
    pub(super) async fn list<K: Kind>(
        &self,
        scope: Scope<'_>,
        selector: Option<&str>,
    ) -> Result<Vec<K>> {
        let params = ListParams {
            label_selector: selector.map(str::to_owned),
            ..ListParams::default()
        };
        let api = self.api::<K>(scope);
        let listed = self.bounded(api.list(&params)).await?;
        let objects = listed.items.into_iter();
        Ok(objects.map(|Pruned(object)| object).collect())
    }

    /// A merge patch; the object as it is then.
    pub(super) async fn patch<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<K> {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let api = self.api::<K>(Scope::Namespace(namespace));
        let patch = Patch::Merge(patch);
        let patched = api.patch(name, &params, &patch);
        let Pruned(object) = self.bounded(patched).await?;
        Ok(object)
    }

    /// Waits for the answer as long as `--request-timeout` says.
    pub(super) async fn bounded<T>(
        &self,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T> {
        let answer = match self.patience {
            None => request.await,
            Some(patience) => tokio::time::timeout(patience, request)
                .await
                .map_err(|_| self.silent(patience))?,
        };
        answer.map_err(|error| self.failure(&error))
    }

    pub(super) fn failure(&self, error: &kube::Error) -> Failure {
        Failure::of_request(error, &authority(&self.config))
    }

    fn silent(&self, patience: Duration) -> Failure {
        let server = authority(&self.config);
        Failure::new(format!(
            "Unable to connect to the server: {server} has not answered within {} s \
             (--request-timeout)",
            patience.as_secs_f64()
        ))
    }

    /// The bearer token that requests to the API server carry, where they carry one: of the
    /// kubeconfig itself, of a file, or of a credential plugin. None for whoever acts `--as`
    /// another: the token is not that one's.
    pub(super) async fn token(&self) -> Option<String> {
        if self.is_someone_else {
            return None;
        }
        let layer = self.config.auth_layer().ok()??;
        // The layer adds the header; the service behind it looks what it is.
        let looking = layer.layer(tower::service_fn(|request: Request<Body>| {
            let mut seen = Response::new(());
            seen.headers_mut().clone_from(request.headers());
            std::future::ready(Ok::<_, tower::BoxError>(seen))
        }));
        let seen = looking.oneshot(Request::new(Body::empty())).await.ok()?;
        let header = seen.headers().get("authorization")?;
        let token = header.to_str().ok()?.strip_prefix("Bearer ")?;
        Some(token.to_owned())
    }
}

async fn load(args: &ClusterArgs) -> Result<Config> {
    let read = match &args.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        Err(error) => {
            // In a Pod there is none, and a ServiceAccount instead.
            let named = [&args.context, &args.cluster, &args.user];
            let asked_for = args.kubeconfig.is_some() || named.iter().any(|name| name.is_some());
            return match Config::incluster() {
                Ok(config) if !asked_for => Ok(config),
                _ => Err(unreadable(&error)),
            };
        }
    };
    if let Some(name) = &args.context
        && !kubeconfig.contexts.iter().any(|known| known.name == *name)
    {
        let known = kubeconfig.contexts.iter().map(|known| &*known.name);
        return Err(unknown("context", name, known));
    }
    if let Some(name) = &args.cluster
        && !kubeconfig.clusters.iter().any(|known| known.name == *name)
    {
        let known = kubeconfig.clusters.iter().map(|known| &*known.name);
        return Err(unknown("cluster", name, known));
    }
    if let Some(name) = &args.user
        && !kubeconfig
            .auth_infos
            .iter()
            .any(|known| known.name == *name)
    {
        let known = kubeconfig.auth_infos.iter().map(|known| &*known.name);
        return Err(unknown("auth info", name, known));
    }
    let options = KubeConfigOptions {
        context: args.context.clone(),
        cluster: args.cluster.clone(),
        user: args.user.clone(),
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.map_err(|error| unreadable(&error))
}

/// As kubectl says it of each of them.
fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let failure = Failure::new(format!("error: {what} \"{name}\" does not exist"));
    match super::names::nearest(name, known) {
        Some(near) => failure.with_hint(format!("did you mean {near}?")),
        None => failure,
    }
}

fn unreadable(error: &KubeconfigError) -> Failure {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    Failure::new(format!("error: {said}"))
        .with_hint("--kubeconfig FILE or KUBECONFIG says which cluster")
}

/// Host and port.
fn authority(config: &Config) -> String {
    let authority = config.cluster_url.authority();
    authority.map_or_else(|| config.cluster_url.to_string(), ToString::to_string)
}
