//! Connections to the endpoints that tenants name: to public addresses, and to hosts that the
//! operator's list names exactly. No name leads to the machine's own addresses or to the API server.
//!
//! An address is looked at in the moment in which it is connected to: the resolver's answer is what
//! is checked and what is connected to, so that a name can't lead elsewhere in between. A literal
//! address never comes to the resolver, and is checked before. The client follows no redirects.
//!
//! Where the environment names a proxy for the endpoint, the proxy resolves its name, and nobody
//! here sees the address: then only a host that the list names exactly is asked.

use std::error::Error;
use std::sync::Arc;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_runtime_api::client::dns::{
    DnsFuture, ResolveDns, ResolveDnsError, SharedDnsResolver,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use hyper_util::client::proxy::matcher::Matcher;

use super::client::http_client;
use super::failure::chain;
use crate::domain::tenancy::endpoints::{Address, AllowedEndpoints, Host, Refusal};

/// What the requests go through that are sent to endpoints of tenants.
pub(super) fn guarded_client(
    allowed: Arc<AllowedEndpoints>,
    resolver: Option<SharedDnsResolver>,
) -> SharedHttpClient {
    let resolver = GuardedResolver {
        resolver: resolver.unwrap_or_else(|| SharedDnsResolver::new(SystemResolver)),
        allowed: Arc::clone(&allowed),
    };
    SharedHttpClient::new(Guarded {
        direct: http_client(
            ProxyConfig::disabled,
            Some(SharedDnsResolver::new(resolver)),
        ),
        proxied: http_client(ProxyConfig::from_env, None),
        proxies: Arc::new(Matcher::from_env()),
        allowed,
    })
}

#[derive(Debug)]
struct Guarded {
    direct: SharedHttpClient,
    proxied: SharedHttpClient,
    proxies: Arc<Matcher>,
    allowed: Arc<AllowedEndpoints>,
}

impl HttpClient for Guarded {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(GuardedConnector {
            direct: self.direct.http_connector(settings, components),
            proxied: self.proxied.http_connector(settings, components),
            proxies: Arc::clone(&self.proxies),
            allowed: Arc::clone(&self.allowed),
        })
    }
}

#[derive(Debug)]
struct GuardedConnector {
    direct: SharedHttpConnector,
    proxied: SharedHttpConnector,
    proxies: Arc<Matcher>,
    allowed: Arc<AllowedEndpoints>,
}

impl HttpConnector for GuardedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = match self.way(request.uri()) {
            Ok(connector) => connector,
            Err(refusal) => return HttpConnectorFuture::ready(Err(refused(refusal))),
        };
        let answer = connector.call(request);
        HttpConnectorFuture::new(async move {
            answer.await.map_err(|error| {
                let refusal = refusal(&error).cloned();
                // No attempt more: the SDK would take it for a slip of the network.
                refusal.map_or(error, refused)
            })
        })
    }
}

impl GuardedConnector {
    fn way(&self, uri: &str) -> Result<&SharedHttpConnector, Refusal> {
        let is_proxied = uri
            .parse()
            .is_ok_and(|uri| self.proxies.intercept(&uri).is_some());
        match way(uri, is_proxied, &self.allowed)? {
            Way::Direct => Ok(&self.direct),
            Way::Proxied => Ok(&self.proxied),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A name's addresses are looked at by the resolver.
    Direct,
    Proxied,
}

/// Of a request as it is sent: with the bucket in the host's name, where it stands there.
fn way(uri: &str, is_proxied: bool, allowed: &AllowedEndpoints) -> Result<Way, Refusal> {
    let url = uri.split_once('?').map_or(uri, |(url, _)| url);
    let address: Address = url.parse()?;
    allowed.keep_to_what_is_named(&address)?;
    let host = address.host;
    if is_proxied {
        return if allowed.names(&host) {
            Ok(Way::Proxied)
        } else {
            let host = host.to_string();
            Err(Refusal::ThroughProxy { host })
        };
    }
    if let Host::Ip(ip) = host {
        allowed.check(&host, ip)?;
    }
    Ok(Way::Direct)
}

fn refused(refusal: Refusal) -> ConnectorError {
    ConnectorError::user(Box::new(refusal))
}

/// The refusal that an error comes from.
pub(super) fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Refusal> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// Answers with addresses that may be connected to, or not at all.
#[derive(Debug, Clone)]
struct GuardedResolver {
    resolver: SharedDnsResolver,
    allowed: Arc<AllowedEndpoints>,
}

impl ResolveDns for GuardedResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let host: Host = name
                .parse()
                .map_err(|refusal: Refusal| ResolveDnsError::new(refusal))?;
            let addresses = self.resolver.resolve_dns(name).await?;
            for &address in &addresses {
                // One that is not is reason enough: whoever answers so has no good in mind.
                self.allowed.check(&host, address).map_err(|refusal| {
                    tracing::warn!(name, %address, "an endpoint is not connected to: {refusal}");
                    ResolveDnsError::new(refusal)
                })?;
            }
            // Some clusters tell their Pods the API server's name in place of an address.
            if let Some(Host::Name(api_server)) = &self.allowed.api_server {
                let ends = self.resolver.resolve_dns(api_server).await?;
                AllowedEndpoints::keep_apart(&host, &addresses, &ends).map_err(|refusal| {
                    tracing::warn!(name, "an endpoint is not connected to: {refusal}");
                    ResolveDnsError::new(refusal)
                })?;
            }
            Ok(addresses)
        })
    }
}

/// The machine's own.
#[derive(Debug, Clone, Copy)]
struct SystemResolver;

impl ResolveDns for SystemResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = tokio::net::lookup_host((name, 0)).await;
            let found = found.map_err(ResolveDnsError::new)?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Answers differently each time.
    #[derive(Debug, Clone)]
    struct Scripted {
        answers: Vec<Vec<&'static str>>,
        asked: Arc<AtomicUsize>,
    }

    impl Scripted {
        fn answering(answers: &[&[&'static str]]) -> Self {
            Self {
                answers: answers.iter().map(|answer| answer.to_vec()).collect(),
                asked: Arc::default(),
            }
        }
    }

    impl ResolveDns for Scripted {
        fn resolve_dns<'a>(&'a self, _name: &'a str) -> DnsFuture<'a> {
            let turn = self.asked.fetch_add(1, Ordering::Relaxed);
            let answer = &self.answers[turn.min(self.answers.len() - 1)];
            DnsFuture::ready(Ok(answer.iter().map(|ip| ip.parse().unwrap()).collect()))
        }
    }

    fn guarded(patterns: &[&str], resolver: &Scripted) -> GuardedResolver {
        GuardedResolver {
            resolver: SharedDnsResolver::new(resolver.clone()),
            allowed: Arc::new(listing(patterns)),
        }
    }

    fn listing(patterns: &[&str]) -> AllowedEndpoints {
        AllowedEndpoints {
            patterns: patterns.iter().map(|text| text.parse().unwrap()).collect(),
            ..AllowedEndpoints::default()
        }
    }

    #[tokio::test]
    async fn what_is_checked_is_what_is_connected_to() {
        let resolver = Scripted::answering(&[&["8.8.8.8"], &["127.0.0.1"]]);
        let guarded = guarded(&["https://*.example.com"], &resolver);
        let first = guarded.resolve_dns("counts.example.com").await;
        assert_eq!(first.unwrap(), ["8.8.8.8".parse::<IpAddr>().unwrap()]);
        // It asked once: there is no second answer that it could have connected to.
        assert_eq!(resolver.asked.load(Ordering::Relaxed), 1);
        let second = guarded.resolve_dns("counts.example.com").await.unwrap_err();
        let refusal = refusal(&second).unwrap();
        assert_eq!(
            refusal.to_string(),
            "counts.example.com leads to a loopback address"
        );
    }

    #[test]
    fn a_literal_address_is_looked_at_in_every_request() {
        let allowed = listing(&[
            "http://*:*",
            "http://10.0.0.7:9000",
            "http://store.example.com",
        ]);
        for (uri, is_proxied, expected) in [
            (
                "http://8.8.8.8:9000/counts/a.csv?x-id=GetObject",
                false,
                Some(Way::Direct),
            ),
            ("http://counts.example.com/a.csv", false, Some(Way::Direct)),
            (
                "http://10.0.0.7:9000/counts/a.csv",
                false,
                Some(Way::Direct),
            ),
            // Of a bucket 127.0 and a host 0.1.
            ("http://127.0.0.1:9000/a.csv", false, None),
            ("http://[::ffff:169.254.169.254]/a.csv", false, None),
            ("http://0x7f.1/a.csv", false, None),
            ("http://store.example.com/a.csv", true, Some(Way::Proxied)),
            ("http://counts.example.com/a.csv", true, None),
            ("http://8.8.8.8/a.csv", true, None),
            // A wildcard beside a host that is named opens no other port of it, and no other scheme.
            ("http://store.example.com/a.csv", false, Some(Way::Direct)),
            ("http://store.example.com:22/a.csv", false, None),
            ("http://store.example.com:22/a.csv", true, None),
            ("https://store.example.com/a.csv", true, None),
            ("http://10.0.0.7:22/counts/a.csv", false, None),
            ("http://10.0.0.7:22/counts/a.csv", true, None),
        ] {
            assert_eq!(way(uri, is_proxied, &allowed).ok(), expected, "{uri}");
        }
    }

    #[tokio::test]
    async fn one_address_inside_spoils_all() {
        let inside = ["8.8.8.8", "::ffff:10.0.0.7"];
        let resolver = Scripted::answering(&[&inside]);
        let listed = ["https://*.example.com", "https://store.example.com:9000"];
        let guarded = guarded(&listed, &resolver);
        let answer = guarded.resolve_dns("counts.example.com").await;
        assert!(answer.is_err(), "{answer:?}");
        // A host that is named exactly may lie anywhere.
        let answer = guarded.resolve_dns("store.example.com").await.unwrap();
        assert_eq!(answer, inside.map(|ip| ip.parse::<IpAddr>().unwrap()));
        // Resolvers of many a system take this for an address.
        let answer = guarded.resolve_dns("0x7f.1").await;
        assert!(answer.is_err(), "{answer:?}");
    }

    #[tokio::test]
    async fn no_name_leads_to_the_machine_or_to_the_api_server() {
        let listed = ["http://store.example.com:9000", "http://*:*"];
        let api_server = |host: &str| Some(host.parse().unwrap());
        for (answer, leads_there) in [
            ("10.0.0.7", true),
            ("127.0.0.1", true),
            ("169.254.169.254", false),
            ("::ffff:169.254.170.23", false),
            ("fe80::1", false),
            ("fd00:ec2::254", false),
            ("168.63.129.16", false),
            ("100.100.100.200", false),
            ("10.96.0.1", false),
            ("::ffff:10.96.0.1", false),
        ] {
            let resolver = Scripted::answering(&[&["10.0.0.7", answer]]);
            let mut guarded = guarded(&listed, &resolver);
            let mut allowed = listing(&listed);
            allowed.api_server = api_server("10.96.0.1");
            guarded.allowed = Arc::new(allowed);
            let answered = guarded.resolve_dns("store.example.com").await;
            assert_eq!(answered.is_ok(), leads_there, "{answer}: {answered:?}");
        }
        // It has a name: who leads where that leads is refused.
        let resolver = Scripted::answering(&[
            &["10.0.0.7"],
            &["10.0.0.8"],
            &["10.0.0.7"],
            &["10.0.0.9", "::ffff:10.0.0.7"],
        ]);
        let mut guarded = guarded(&listed, &resolver);
        let mut allowed = listing(&listed);
        allowed.api_server = api_server("api.example.net");
        guarded.allowed = Arc::new(allowed);
        let answered = guarded.resolve_dns("store.example.com").await.unwrap();
        assert_eq!(answered, ["10.0.0.7".parse::<IpAddr>().unwrap()]);
        let refused = guarded.resolve_dns("store.example.com").await.unwrap_err();
        assert_eq!(
            refusal(&refused).unwrap().to_string(),
            "store.example.com leads to the API server's address, to which no name may lead"
        );
        // The name itself is nobody's, also where a proxy would resolve it.
        for is_proxied in [false, true] {
            let way = way(
                "http://api.example.net:9000/a.csv",
                is_proxied,
                &guarded.allowed,
            );
            assert!(way.is_err(), "{way:?}");
        }
    }
}
